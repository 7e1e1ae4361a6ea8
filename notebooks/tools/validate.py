"""Hold notebooks to what the course's lessons are held to, and say what is still to write.

python notebooks/tools/validate.py notebooks/14_my_topic.ipynb      one lesson (make check-lesson NAME=14_my_topic)
python notebooks/tools/validate.py my_lessons                       those of a folder of yours
python notebooks/tools/validate.py                                  the course's own, and the package's tests

Parts: `anatomy` (form, claims, line in the companion), `exercises` (every solution, and the answers that are held),
`cells` (every cell in its order), `package` (tests of the package: only without notebooks, or by --only package).
Works without make, on Linux, macOS and Windows. Ends with 1 when a part fails; the other parts still run.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("package", "anatomy", "exercises", "cells")
OF_LESSONS = [str(ROOT / "tests" / f"test_{name}.py") for name in ("anatomy", "claims", "lessons", "adoption")]


def notebooks(places: list[str]) -> list[Path]:
    """Files, and the notebooks that lie directly in folders. Exits with a sentence where there are none."""
    found = []
    for place in map(Path, places):
        found += sorted(place.glob("*.ipynb")) if place.is_dir() else [place]
    if missing := [str(path) for path in found if not path.is_file()]:
        sys.exit(f"no such notebook: {', '.join(missing)}")
    if not found:
        sys.exit(f"no notebooks in {', '.join(places)}")
    return [path.resolve() for path in found]


def commands(lessons: list[Path], package: list[str], workers: str, named: bool) -> dict[str, list[str]]:
    """The part's name -> what pytest is told. named: only what concerns these lessons."""
    spread = ["-n", workers]
    plain = ["-p", "no:nbval"]  # the plugin loads much, and only `cells` needs it
    cells = ["--dist", "loadfile", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "600"]
    about_lessons = [f"--ignore={name}" for name in OF_LESSONS[::2]]  # anatomy and lessons: parts of their own
    stems = " or ".join(path.stem for path in lessons)
    these = ["-k", stems] if named else []
    solved = f"solutions and ({stems})" if named else "solutions"
    return {
        "package": [*plain, *spread, "-m", "not slow", *about_lessons, *package],
        "anatomy": [*plain, "-m", "not slow", *these, *(OF_LESSONS if named else OF_LESSONS[:1])],
        "exercises": [*plain, *spread, "-m", "slow", "-k", solved, OF_LESSONS[2]],
        "cells": [*spread, *cells, *map(str, lessons)],
    }


def still_to_write(path: Path) -> list[str]:
    """What a lesson has not yet, in sentences; for one that lies beside the course's own, what `make test` asks too."""
    import nbformat
    import plan
    from claims import stated
    from new_lesson import TEMPLATE

    def sources(notebook) -> list[str]:
        leave = {"note", "exercise", "solution"}  # short ones are alike in many lessons
        return [cell.source for cell in notebook.cells if not leave & set(cell.metadata.get("tags", []))]

    def missing(page: str, words: str) -> bool:
        return words not in (ROOT / page).read_text(encoding="utf-8")

    found, number = [], path.stem[:2]
    notebook = nbformat.read(path, as_version=4)
    given = set(sources(nbformat.read(TEMPLATE, as_version=4)))
    own = sources(notebook)
    if kept := [source for source in own if source in given]:
        headings = re.findall(r"^## (.+)$", "\n".join(kept), flags=re.M)
        found.append(f"{len(kept)} of {len(own)} cells are the template's: {'; '.join(headings)}")
    if "Mirrored and moved" in own[0]:
        found.append("the first cell has the template's title and facts")
    minutes, counted = re.search(r"\*\*Time\*\* (\d+)", own[0]), plan.counted_minutes(notebook)
    if minutes and not counted <= int(minutes[1]) <= min(45, counted + 10):
        found.append(f"the first cell states {minutes[1]} minutes; the rule in tools/plan.py counts {counted:.0f}")
    if not any(stated(cell.source) for cell in notebook.cells if cell.cell_type == "code"):
        found.append("no cell has a `# CLAIM: …`: write one beside each comparison that the text makes")
    if path.parent == ROOT / "notebooks":
        if missing("README.md", f"(notebooks/{path.name})"):
            found.append("README.md: a row in the table of lessons")
        if missing("notebooks/README.md", f"]: {path.name}"):
            found.append(f"notebooks/README.md: a line that says when to show it, and its link [{number}]: {path.name}")
        if number not in plan.PLAN["lessons"]:
            found.append("notebooks/plan.yaml: what students can do after it, and its week; then `make plan`")
        if number not in plan.memory():
            found.append(f"its memory: notebooks/tools/memory.py notebooks/{path.name}, then `make plan`")
        if not (ROOT / "tests" / "exercises" / f"{number}.yaml").is_file():
            found.append(f"tests/exercises/{number}.yaml: right and wrong answers to each exercise")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", help="notebooks, or their folders")
    parser.add_argument("--only", nargs="+", choices=PARTS, help="the parts to run")
    parser.add_argument("--package", nargs="+", default=[str(ROOT / "tests")], help="tests of the package to run")
    parser.add_argument("--workers", default="auto", help="processes, as pytest-xdist counts them")
    given = parser.parse_args(arguments)
    if not all(map(find_spec, ("pytest", "xdist", "nbval"))):
        sys.exit('pytest or its plugins are not installed here: make test once, or  python -m pip install -e ".[test]"')
    named = bool(given.notebooks)
    lessons = notebooks(given.notebooks or [str(ROOT / "notebooks")])
    parts = given.only or (PARTS[1:] if named else ("package", "anatomy", "cells"))
    environment = {"OMP_NUM_THREADS": "1", "CAM_PRESET": "smoke", **os.environ}
    if named:
        environment["CAM_LESSONS"] = os.pathsep.join(map(str, lessons))
    failed = []
    for part, options in commands(lessons, given.package, given.workers, named).items():
        if part not in parts:
            continue
        start = time.perf_counter()
        code = subprocess.run([sys.executable, "-m", "pytest", "-q", *options], cwd=ROOT, env=environment).returncode
        print(f"-- {part}: {'passed' if code == 0 else 'FAILED'} in {time.perf_counter() - start:.0f} s", flush=True)
        failed += [part] if code else []
    for path in lessons if named else ():
        todo = still_to_write(path) or ["nothing"]
        print(f"-- {path.stem}, still to write:", *(f"   - {one}" for one in todo), sep="\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
