"""The two commands of the lecturer: grade a folder of submissions, and write the students' archive."""

import argparse
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from filelock import Timeout

from class_list import statistics
from class_list.dates import deadline
from class_list.people import People, Roster
from class_list.platforms import write_feedback, write_marks
from class_list.table import read_table
from sandbox.packages import ROOT

from .by_hand import renew_feedback
from .course import ASSIGNMENTS
from .release import release
from .runner import Limits, grade


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="grader", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    grading = commands.add_parser("grade", help="marks and feedback for a folder of submissions")
    grading.add_argument("submissions", type=Path, help="folder of .zip, folders or .ipynb, each named for its student")
    grading.add_argument(
        "--roster", type=Path, help="CSV of the class: Moodle's, Canvas's, or one with a column `name`"
    )
    grading.add_argument("--due", type=deadline, help="the deadline, local time: 2026-12-01T23:59")
    grading.add_argument("--last", action="store_true", help="of several the last counts, not the last before --due")
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
    except (OSError, RuntimeError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    except KeyboardInterrupt:
        parser.exit(130, "Stopped. The same command continues from here.\n")


def _grade(given: argparse.Namespace) -> None:
    if not given.submissions.is_dir():
        raise ValueError(f"there is no folder {given.submissions}")
    if given.no_isolation:
        print("Students' code runs with your rights: it can read your files and use your network.", file=sys.stderr)
    limits = Limits(given.cell_seconds, given.seconds, int(given.memory * 2**30))
    course = given.course.resolve()
    roster = Roster(given.roster) if given.roster else None
    people = People(given.submissions, roster, given.due, given.last)
    before = {(row["student"], row["assignment"]): row["points"] for row in read_table(course / "grades.csv")}
    table = grade(given.submissions, course, limits, given.workers, not given.no_isolation, people.read)
    rows = read_table(table)
    for row in rows:
        points = f"{row['points']} of {row['of']}" if row["points"] else "no mark"
        old = before.get((row["student"], row["assignment"]), row["points"])
        changed = f"(was {old or 'no mark'}) " if old != row["points"] else ""
        print(f"{row['name']:20} {row['assignment']:20} {points:14} {changed}{row['reason'] or row['notes']}")
    print(f"{len(rows)} rows in {table}; feedback in {course / 'feedback'}")
    _report(rows, roster, people.assignments, course)


def _report(rows: list[dict], roster: Roster | None, graded: list[str], course: Path) -> None:
    """What is made of the table for others than the lecturer."""
    folder = course / "reports"
    if renewed := renew_feedback(rows, course):
        print(f"feedback pages made again, with marks and comments that were given by hand: {renewed}")
    for path in write_feedback(rows, roster, course, folder):
        print(f"{path}: pages for Moodle's upload")
    if any(row["points"] for row in rows):
        print(f"{statistics.write_page(rows, course, folder / 'statistics.html')}: the class in numbers")
    if roster:
        print(write_marks(rows, roster, graded, folder))
