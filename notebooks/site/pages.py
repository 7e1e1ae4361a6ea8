"""The lessons to read without running them.

python notebooks/site/pages.py site [DIR]      a static site (Sphinx, MyST-NB), by default in dist/site
python notebooks/site/pages.py slides [DIR]    slides (nbconvert, reveal.js) in dist/slides
python notebooks/site/pages.py figures [DIR]   every figure as a file, with a page of them, in dist/figures

Slides and figures are drawn for a wall (wall.py): each lesson runs once, for minutes. --stored takes the figures that
the lessons hold.
"""

from __future__ import annotations

import html
import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from deck import slides
from gallery import gallery
from live.export import FRONT, export
from reading import LESSONS, ROOT, START, alt, cited, figures, kind, read, tags, within
from sphinx.cmd.build import build_main

HERE = Path(__file__).resolve().parent
DATA_PAGE = ROOT / "data" / "what_the_world_looks_like.ipynb"
ABOUT = [
    ROOT / name
    for name in (
        "notebooks/RUNNING.md",
        "notebooks/README.md",
        "notebooks/TERM.md",
        "data/README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
    )
]
COMPANION = ROOT / "notebooks" / "README.md"
IMAGE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")
ROW = re.compile(
    r"^\| (?P<number>\d\d) \| \[(?P<name>[^\]]+)\]\((?P<file>[^)]+)\) \| (?P<what>[^|]+) \| (?P<time>\d+) \|$"
)


CELLS = re.compile(r"(?:(\d\d)(?:: |, [\w ]+ and ))?cell (\d+)")


def site(out: Path) -> None:
    """Copy what is read, in the folders where it lies, and have Sphinx make pages of it. A warning is an error."""
    with tempfile.TemporaryDirectory() as folder:
        source, pages = Path(folder, "source"), Path(folder, "pages")
        stage(source, pages)
        options = ["-q", "-W", "--keep-going", "-d", f"{folder}/doctrees", "-c", str(HERE)]
        if build_main([*options, str(source), str(pages)]):
            sys.exit("the site was not built")
        shutil.copytree(pages, out, dirs_exist_ok=True)
    export(out / "live")


def stage(out: Path, site: Path) -> None:
    about = [path for path in ABOUT if path.exists()]
    notebooks = [*LESSONS, DATA_PAGE]
    pages = {*notebooks, *about, START}

    def adapted(text: str, path: Path) -> str:
        text = cited(within(text, path, pages))
        for picture in IMAGE.findall(text):
            copy(path.parent / picture, out)
        return text

    for path in about:
        text = adapted(path.read_text(encoding="utf-8"), path)
        write(out / path.relative_to(ROOT), linked_cells(text) if path == COMPANION else text)
    start = adapted(START.read_text(encoding="utf-8"), START)
    write(out / "index.md", start_page(start, site, [path.relative_to(ROOT) for path in about]))
    for path in notebooks:
        notebook = read(path)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = adapted(cell.source, path)
        notebook.cells = [part for cell in notebook.cells for part in [*number(cell, path), *dress(cell)]]
        write(out / path.relative_to(ROOT), nbformat.writes(notebook))


def linked_cells(text: str) -> str:
    """The companion's `00: cell 2, cell 4` leads to these cells of lesson 00."""
    lines = []
    for line in text.splitlines():
        lesson = None

        def link(found):
            nonlocal lesson
            lesson = found[1] or lesson
            return f"[{found[0]}](#{lesson}-cell-{found[2]})" if lesson else found[0]

        lines.append(CELLS.sub(link, line) if line.startswith("|") else line)
    return "\n".join([*lines, ""])


def number(cell, path: Path) -> list:
    """Above a code cell its number, to refer to and to link to -> one cell, or none."""
    if cell.cell_type != "code" or not cell.execution_count or path not in LESSONS:
        return []
    where = f"cell-{cell.execution_count}"
    words = f'({path.stem[:2]}-{where})=\n\n<a class="number" href="#{where}">cell {cell.execution_count}</a>'
    return [nbformat.v4.new_markdown_cell(words)]


def dress(cell) -> list:
    """Tell MyST-NB what tags and the metadata of outputs say -> the cell; or several, of one picture each."""
    shown = [i for i, output in enumerate(cell.get("outputs", [])) if kind(output)]
    if "check" in tags(cell):
        return [marked(cell, "hide-input", mystnb=prompt("The check, and what it says to each answer"))]
    if cell.get("execution_count") == 1:
        return [marked(cell, "hide-input", mystnb=prompt("Set-up: what is imported"))]
    if not shown:
        return [cell]
    parts = []
    for first, last in zip([0, *shown[1:]], [*shown[1:], None], strict=True):
        part = nbformat.from_dict(
            {**cell, "id": f"{cell.id}-{first}", "outputs": cell.outputs[first:last], "metadata": {**cell.metadata}}
        )
        words = next(alt(output) for output in part.outputs if kind(output))
        parts.append(marked(part, *(["remove-input"] if first else []), mystnb={"image": {"alt": words}}))
    return parts


def prompt(words: str) -> dict:
    return {"code_prompt_show": words, "code_prompt_hide": words}


def marked(cell, *more_tags, **metadata):
    cell.metadata = nbformat.from_dict({**cell.metadata, **metadata, "tags": [*tags(cell), *more_tags]})
    return cell


def start_page(readme: str, site: Path, about: list[Path]) -> str:
    """The README, its table of lessons as cards with a picture each, and the list from which the menu is made."""
    rows = [ROW.match(line) for line in readme.splitlines()]
    cards = "\n".join(card(row, site) for row in rows if row)
    table = re.compile(r"^\| \| lesson \|.*?\n\n", flags=re.M | re.S)
    readme = table.sub(lambda _: f'<div class="cards">\n{cards}\n</div>\n\n', readme, count=1)
    readme = readme.replace("\n## ", f"\n{FRONT.read_text(encoding='utf-8')}\n## ", 1)
    lessons = [f"{row['number']} · {row['name']} <{row['file'].removesuffix('.ipynb')}>" for row in rows if row]
    around = [str(DATA_PAGE.relative_to(ROOT).with_suffix("")), *(p.with_suffix("").as_posix() for p in about)]
    return readme + menu("Lessons", lessons) + menu("Around them", around)


def menu(caption: str, entries: list[str]) -> str:
    return "\n".join(["", "", "```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```", ""])


def card(row, site: Path) -> str:
    *_, (name, data, words, _) = figures(read(ROOT / row["file"]), Path(row["file"]).stem)  # the recap's picture
    write(site / "_images" / name, data)
    page = Path(row["file"]).with_suffix(".html").as_posix()
    what = re.sub(r"\*(.+?)\*", r"<em>\1</em>", html.escape(row["what"]))
    return (
        f'<a class="card" href="{page}"><img src="_images/{name}" alt="{html.escape(words)}">'
        f"<b>{row['number']} · {row['name']}</b><span>{what}</span><small>{row['time']} minutes</small></a>"
    )


def write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def copy(path: Path, out: Path) -> None:
    target = out / path.resolve().relative_to(ROOT)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)


if __name__ == "__main__":
    what, *where = [argument for argument in sys.argv[1:] if argument != "--stored"]
    out = Path(where[0] if where else ROOT / "dist" / what).resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    drawn = {} if what == "site" else {"run": "--stored" not in sys.argv}
    {"site": site, "slides": slides, "figures": gallery}[what](out, **drawn)
    print(out / "index.html")
