"""python -m cam_helpers.grading SUBMISSIONS: grade a folder of archives, folders and notebooks, one per student."""

from __future__ import annotations

import argparse
import csv
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from .runner import Limits, grade


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cam_helpers.grading", description=__doc__)
    parser.add_argument("submissions", type=Path, help="folder of .zip, folders or .ipynb, each named for its student")
    parser.add_argument("--course", type=Path, default=Path("notebooks/assignments"))
    parser.add_argument("--workers", type=int, help="submissions at a time (all cores)")
    parser.add_argument("--cell-seconds", type=int, default=Limits.cell_seconds)
    parser.add_argument("--seconds", type=int, default=Limits.seconds, help="for a whole submission")
    parser.add_argument("--memory", type=float, default=Limits.memory / 2**30, metavar="GIB", help="for a submission")
    parser.add_argument("--no-isolation", action="store_true", help="run students' code with your own rights")
    given = parser.parse_args(arguments)
    if not given.submissions.is_dir():
        parser.error(f"there is no folder {given.submissions}")
    if given.no_isolation:
        print("Students' code runs with your rights: it can read your files and use your network.", file=sys.stderr)
    limits = Limits(given.cell_seconds, given.seconds, int(given.memory * 2**30))
    try:
        path = grade(given.submissions, given.course, limits, given.workers, not given.no_isolation)
    except PackageNotFoundError as error:
        parser.exit(1, f"{error.name} is missing: pip install -e '.[grade]'\n")
    except (RuntimeError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "Stopped. The same command goes on from here.\n")
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        points = f"{row['points']} of {row['of']}" if row["points"] else "no mark"
        print(f"{row['student']:20} {row['assignment']:20} {points:14} {row['reason'] or row['notes']}")
    print(f"{len(rows)} rows in {path}; feedback in {path.parent / 'feedback'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
