"""Hold notebooks to what the course's lessons are held to: the package's tests, the anatomy, every cell in its order.

python notebooks/tools/validate.py                   the course's own lessons
python notebooks/tools/validate.py my_lessons        those of a folder of yours
python notebooks/tools/validate.py my_lessons/14_my_topic.ipynb --only anatomy cells

Works without make, on Linux, macOS and Windows. Ends with 1 when a part fails; the other parts still run.
"""

import argparse
import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("package", "anatomy", "cells")


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


def commands(lessons: list[Path], package: list[str], workers: str) -> dict[str, list[str]]:
    """The part's name -> what pytest is told."""
    spread = ["-n", workers]
    cells = ["--dist", "loadfile", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "600"]
    about_lessons = [f"--ignore={ROOT / 'tests' / f'test_{name}.py'}" for name in ("anatomy", "lessons")]
    return {
        "package": [*spread, "-m", "not slow", *about_lessons, *package],
        "anatomy": [str(ROOT / "tests" / "test_anatomy.py")],
        "cells": [*spread, *cells, *map(str, lessons)],
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", default=[str(ROOT / "notebooks")], help="notebooks, or their folders")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="the parts to run")
    parser.add_argument("--package", nargs="+", default=[str(ROOT / "tests")], help="tests of the package to run")
    parser.add_argument("--workers", default="auto", help="processes, as pytest-xdist counts them")
    given = parser.parse_args(arguments)
    if not all(map(find_spec, ("pytest", "xdist", "nbval"))):
        sys.exit('pytest or its plugins are not installed here: python -m pip install -e ".[test]", or make test once')
    lessons = notebooks(given.notebooks)
    environment = {"OMP_NUM_THREADS": "1", "CAM_PRESET": "smoke", **os.environ}
    if given.notebooks != parser.get_default("notebooks"):
        environment["CAM_LESSONS"] = os.pathsep.join(map(str, lessons))
    failed = []
    for part, options in commands(lessons, given.package, given.workers).items():
        if part not in given.only:
            continue
        start = time.perf_counter()
        code = subprocess.run([sys.executable, "-m", "pytest", "-q", *options], cwd=ROOT, env=environment).returncode
        print(f"-- {part}: {'passed' if code == 0 else 'FAILED'} in {time.perf_counter() - start:.0f} s", flush=True)
        failed += [part] if code else []
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
