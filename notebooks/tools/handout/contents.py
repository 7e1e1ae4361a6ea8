"""Which files students get, and what stands in them."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from sandbox.packages import ROOT

from .lessons import for_colab, without_solutions

HERE = Path(__file__).resolve().parent / "for_students"
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
AS_THEY_ARE = ["data/README.md", "data/what_the_world_looks_like.ipynb", "notebooks/figures/first_map.png"]
FOR_HOSTS = {"What students get", "JupyterHub, repo2docker", "What was tested"}  # sections of RUNNING.md
IGNORED = ".venv/\n__pycache__/\n*.egg-info/\n.ipynb_checkpoints/\nbuild/\ndata/cache/\n"
PLACEHOLDER = "OWNER/REPO"
HUB = {"nbgitpuller"}  # what a hub's image needs besides: its link for students asks their server for it


def contents(released: dict[str, bytes], solutions: set[str], branch: str) -> dict[str, bytes]:
    """Name -> content of every file.

    Args:
        released: the assignments and the packages, see `grader.release.for_students`
        solutions: numbers ("00") of the lessons that keep their folded solutions
        branch: the branch from which Colab installs the course

    Raises:
        ValueError: `solutions` names a lesson that there is not
    """
    if unknown := solutions - {path.name[:2] for path in LESSONS}:
        raise ValueError(f"expected numbers of lessons, 00 to {LESSONS[-1].name[:2]}, got {', '.join(sorted(unknown))}")
    found = released | {name: (ROOT / name).read_bytes() for name in AS_THEY_ARE}
    found |= {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in ROOT.glob("data/sheets/*.jpg")}
    needs = tomllib.loads(found["pyproject.toml"].decode())["project"]["dependencies"]
    for path in LESSONS:
        lesson = path.read_bytes() if path.name[:2] in solutions else without_solutions(path.read_bytes())
        found[f"notebooks/{path.name}"] = lesson
        found[f"colab/{path.name}"] = for_colab(lesson, repository(), branch, f"notebooks/{path.name}", needs)
    texts = {
        "README.md": readme(found["README.md"].decode(), solutions),
        "notebooks/RUNNING.md": running((ROOT / "notebooks" / "RUNNING.md").read_text(encoding="utf-8")),
        "environment.yml": environment(found["environment.yml"].decode(), needs),
        "Makefile": (HERE / "Makefile").read_text(encoding="utf-8"),
        ".gitignore": IGNORED,
    }
    return found | {name: text.encode() for name, text in texts.items()}


def repository(citation: Path = ROOT / "CITATION.cff") -> str:
    """owner/name, as `make badges` wrote it; until then a placeholder."""
    found = re.search(r'^repository-code: "https://github\.com/(.+)"$', citation.read_text("utf-8"), flags=re.M)
    return found[1] if found else PLACEHOLDER


def readme(assignments: str, solutions: set[str]) -> str:
    """The course's first page: the table of lessons from the README, and what for_students.md says of assignments."""
    rows = re.search(r"^\| \| lesson \|.*?\n\n", (ROOT / "README.md").read_text("utf-8"), flags=re.M | re.S)[0]
    answering = "".join(assignments.partition("## Answer")[1:])
    words = "Your lecturer has the solutions."
    if solutions:
        where = "all lessons" if len(solutions) == len(LESSONS) else f"lesson {', '.join(sorted(solutions))}"
        words = f"In {where}, the solution is folded below the check: open it when you have tried."
    text = (HERE / "README.md").read_text(encoding="utf-8")
    return text.format(lessons=rows.strip(), solutions=words, answering=answering.strip().replace("## ", "### "))


def running(page: str) -> str:
    """RUNNING.md without the sections for those who give the course out or run a hub."""
    first, *sections = re.split(r"^(?=## )", re.sub(r"^Where \*OWNER.*?\n\n", "", page, flags=re.M | re.S), flags=re.M)
    kept = [part for part in sections if part.partition("\n")[0].removeprefix("## ") not in FOR_HOSTS]
    return "".join([first, *kept]).rstrip() + "\n"


def environment(listed: str, needs: list[str]) -> str:
    """environment.yml without what only tests, pages and grading need; a hub's image is made from it too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {Requirement(need).name for need in needs} | HUB
    extra = {Requirement(need).name for needed in project["optional-dependencies"].values() for need in needed} - wanted
    lines = [(line, re.match(r"\s+- ([\w.-]+)=", line)) for line in listed.splitlines()]
    return "\n".join(line for line, entry in lines if not entry or entry[1] not in extra) + "\n"
