"""Write what the documents say about a term from one source: notebooks/plan.yaml, and the notebooks' first cells.

python notebooks/tools/plan.py            (make plan) the tables of TERM.md, README.md and assignments/README.md, and
                                          the minutes in the README's table of lessons; says what it changed

A table is what stands between `<!-- plan: NAME -->` and `<!-- end of plan -->`.
"""

import functools
import json
import re
from pathlib import Path

import nbformat
import yaml

NOTEBOOKS = Path(__file__).resolve().parents[1]
PAGES = (NOTEBOOKS / "TERM.md", NOTEBOOKS / "README.md", NOTEBOOKS / "assignments" / "README.md")
START = NOTEBOOKS.parent / "README.md"
PLAN = yaml.safe_load((NOTEBOOKS / "plan.yaml").read_text(encoding="utf-8"))
MUCH = 2.0  # gigabytes; public Binder, and many hubs, give a student no more


@functools.cache
def first_cell(path: Path) -> str:
    return nbformat.read(path, as_version=4).cells[0].source


def minutes(path: Path) -> int:
    """What a notebook's first cell states as its time; ValueError where it states none."""
    found = re.search(r"\*\*Time\*\* (\d+) minutes", first_cell(path))
    if not found:
        raise ValueError(f"expected `**Time** N minutes` in the first cell of {path.name}")
    return int(found[1])


def counted_minutes(notebook) -> float:
    """What a new student needs, running apart: words / 200, visible lines of code / 40, 3 an exercise, ½ a figure."""
    tags = [(cell, set(cell.metadata.get("tags", []))) for cell in notebook.cells]
    words = sum(len(c.source.split()) for c, t in tags if c.cell_type == "markdown" and "solution" not in t)
    lines = sum(c.source.count("\n") + 1 for c, t in tags if c.cell_type == "code" and "check" not in t)
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    figures = sum(any(kind.startswith("image/") for kind in output.get("data", {})) for output in shown)
    return words / 200 + lines / 40 + 3 * sum("exercise" in t for _, t in tags) + figures / 2


def lesson(number: str) -> Path:
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    return path


def assignment(name: str) -> Path:
    return NOTEBOOKS / "assignments" / "source" / name / f"{name}.ipynb"


def prepared_by(name: str) -> list[str]:
    """The numbers of the lessons that an assignment's first cell names."""
    line = re.search(r"\*\*Prepared by\*\* (.*)", first_cell(assignment(name)))[1]
    return re.findall(r"\b\d\d\b", line)


def in_order() -> list[str]:
    """The assignments by the number in their titles."""
    return sorted(PLAN["assignments"], key=lambda name: first_cell(assignment(name)))


def memory() -> dict[str, dict]:
    """Number of a lesson -> the row that tools/memory.py measured; without those that were not measured."""
    return json.loads((NOTEBOOKS / "tools" / "memory.json").read_text(encoding="utf-8"))


def grading() -> dict[str, dict]:
    """Assignment -> the row that tests/assignments/class_of_sixty.py --time measured."""
    return json.loads((NOTEBOOKS / "tools" / "grading.json").read_text(encoding="utf-8"))


def most_memory(numbers: list[str]) -> str:
    """What the largest of these lessons needs; "?" where one was not measured."""
    rows = memory()
    if set(numbers) - set(rows):
        return "?"
    return f"{max(rows[number]['gigabytes'] for number in numbers):.1f} GB"


def link(name: str) -> str:
    return f"[{name}](assignments/source/{name}/{name}.ipynb)"


def cells(*values) -> str:
    return f"| {' | '.join(map(str, values))} |"


def table(*head: str) -> list[str]:
    return [cells(*head), "|" + "---|" * len(head)]


# -- the tables ----------------------------------------------------------------------------------------------------


def short_term(name: str) -> str:
    """When which lesson, and what is handed out."""
    term = PLAN["terms"][name]
    lines = table(term["unit"], "lesson", "hand out")
    for count, row in enumerate(term["rows"], 1):
        given = link(row["hand out"]) if "hand out" in row else ""
        lines.append(cells(count, ", ".join(f"[{number}]" for number in row["lessons"]), given))
    return "\n".join(lines)


def whole_term(name: str) -> str:
    """A row a week: lessons, minutes, assignment, memory, what students can do afterwards, what to show."""
    term = PLAN["terms"][name]
    lines = table(term["unit"], "lesson", "minutes", "hand out (minutes)", "memory", "students can", "show")
    for count, row in enumerate(term["rows"], 1):
        numbers = row["lessons"]
        given = f"{link(row['hand out'])} ({minutes(assignment(row['hand out']))})" if "hand out" in row else ""
        lines.append(
            cells(
                count,
                ", ".join(f"[{number}]" for number in numbers),
                sum(minutes(lesson(number)) for number in numbers),
                given,
                most_memory(numbers),
                "; ".join(PLAN["lessons"][number]["can"] for number in numbers),
                ", ".join(f"[{PLAN['lessons'][number]['show']}]" for number in numbers),
            )
        )
    return "\n".join(lines)


def assignments() -> str:
    """In the order in which they are handed out."""
    lines = table("", "assignment", "minutes", "lessons before it", "what it asks")
    for count, name in enumerate(in_order(), 1):
        before = ", ".join(prepared_by(name))
        lines.append(cells(count, f"`{name}`", minutes(assignment(name)), before, PLAN["assignments"][name]))
    return "\n".join(lines)


def needs() -> str:
    """What each lesson takes on its first run, as measured; below it why some need much memory."""
    lines, why = table("lesson", "minutes", "memory", "most at", "disk", "first run", "measured"), [""]
    for number, row in memory().items():
        ran = f"{row['seconds']} s" + ("" if row["preset"] == "quick" else f" (preset {row['preset']})")
        amount = f"{row['gigabytes']:.1f} GB"
        at = f"cell {row['at_cell']}" if "at_cell" in row else ""
        if row["gigabytes"] > MUCH:
            amount = f"**{amount}**"
            why.append(f"- **{number}**{at and ', ' + at}: {PLAN['lessons'][number]['memory']}.")
        disk = f"{row['megabytes_on_disk']} MB"
        measured = f"{row['day']}, {row['machine']}"
        lines.append(cells(f"[{number}]", minutes(lesson(number)), amount, at, disk, ran, measured))
    return "\n".join(lines + why).rstrip()


def grading_time() -> str:
    """What it takes to grade a submission with all answers, and a class of sixty of them on four cores."""
    lines = table("assignment", "one submission, on one core", "sixty, on four cores", "measured")
    rows = grading()
    for name in in_order():
        row = rows[name]
        sixty = f"{-(-60 * row['seconds'] // (4 * 60))} minutes"
        lines.append(cells(f"`{name}`", f"{row['seconds']} s", sixty, f"{row['day']}, {row['machine']}"))
    return "\n".join(lines)


def links() -> str:
    """The targets of the links in the tables above it, as README.md lists them."""
    made = whole_term("six weeks") + whole_term("twelve weeks") + needs()
    used = set(re.findall(r"\[(\d\d(?: §\d+)?)\]", made))
    listed = dict(re.findall(r"^\[(\d\d[^\]]*)\]: (\S+)$", PAGES[1].read_text(encoding="utf-8"), flags=re.M))
    if missing := sorted(used - set(listed)):
        raise KeyError(f"expected notebooks/README.md to list the links {missing}: add them at its end")
    return "\n".join(f"[{name}]: {listed[name]}" for name in sorted(used))


TABLES = {
    "two weeks": lambda: short_term("two weeks"),
    "six weeks": lambda: whole_term("six weeks"),
    "twelve weeks": lambda: whole_term("twelve weeks"),
    "assignments": assignments,
    "needs": needs,
    "grading time": grading_time,
    "links": links,
}


def written(page: Path) -> str:
    """The text of a page with its tables made anew."""

    def anew(found: re.Match) -> str:
        return f"{found[1]}\n\n{TABLES[found[2]]()}\n\n<!-- end of plan -->"

    text = page.read_text(encoding="utf-8")
    if page != START:
        return re.sub(r"(<!-- plan: ([a-z ]+) -->).*?<!-- end of plan -->", anew, text, flags=re.S)
    row = r"^(\| \d\d \| \[[^\]]+\]\(notebooks/([^)]+)\) \|.*\| )\d+( \|)$"
    return re.sub(row, lambda found: f"{found[1]}{minutes(NOTEBOOKS / found[2])}{found[3]}", text, flags=re.M)


if __name__ == "__main__":
    for page in (*PAGES, START):
        before, text = page.read_text(encoding="utf-8"), written(page)
        if text != before:
            from cam_helpers.files import replacing  # it loads PyTorch, which tests and validate.py do not need

            with replacing(page) as file:
                file.write(text.encode())
        print(f"{page.relative_to(NOTEBOOKS.parent)}: {'as it was' if text == before else 'written'}")
