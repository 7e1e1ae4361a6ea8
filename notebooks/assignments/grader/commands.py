"""The two commands of the lecturer: grade a folder of submissions, and write the students' archive."""

import argparse
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from filelock import Timeout

from .course import ASSIGNMENTS, ROOT
from .release import release
from .runner import Limits, grade, read_table


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="grader", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    grading = commands.add_parser("grade", help="marks and feedback for a folder of submissions")
    grading.add_argument("submissions", type=Path, help="folder of .zip, folders or .ipynb, each named for its student")
    grading.add_argument("--workers", type=int, help="submissions at a time (default: one per core)")
    grading.add_argument("--cell-seconds", type=int, default=Limits.cell_seconds, help="for one cell")
    grading.add_argument("--seconds", type=int, default=Limits.seconds, help="for one submission")
    grading.add_argument(
        "--memory", type=float, default=Limits.memory / 2**30, metavar="GIB", help="for one submission"
    )
    grading.add_argument("--no-isolation", action="store_true", help="run students' code with your own rights")
    releasing = commands.add_parser("release", help="the archive for students, without solutions and hidden tests")
    releasing.add_argument("--out", type=Path, default=ROOT / "dist" / "assignments.zip")
    for command in (grading, releasing):
        command.add_argument("--course", type=Path, default=ASSIGNMENTS, help="folder with nbgrader_config.py")
    given = parser.parse_args(arguments)
    try:
        if given.command == "release":
            names = release(given.course.resolve(), given.out)
            print(f"{given.out}: {len(names)} files, {given.out.stat().st_size / 1e6:.1f} MB")
        else:
            _grade(given)
        return 0
    except PackageNotFoundError as error:
        parser.exit(1, f"{error.name} is missing: pip install -e '.[grade]'\n")
    except Timeout:
        parser.exit(1, "another call is grading this course: wait until it has ended\n")
    except (RuntimeError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "Stopped. The same command continues from here.\n")


def _grade(given: argparse.Namespace) -> None:
    if not given.submissions.is_dir():
        raise ValueError(f"there is no folder {given.submissions}")
    if given.no_isolation:
        print("Students' code runs with your rights: it can read your files and use your network.", file=sys.stderr)
    limits = Limits(given.cell_seconds, given.seconds, int(given.memory * 2**30))
    table = grade(given.submissions, given.course, limits, given.workers, not given.no_isolation)
    rows = read_table(table)
    for row in rows:
        points = f"{row['points']} of {row['of']}" if row["points"] else "no mark"
        print(f"{row['student']:20} {row['assignment']:20} {points:14} {row['reason'] or row['notes']}")
    print(f"{len(rows)} rows in {table}; feedback in {table.parent / 'feedback'}")
