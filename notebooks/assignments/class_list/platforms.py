"""What goes back to the learning platform: marks as a CSV that it imports, feedback as a zip that it takes."""

import re
import zipfile
from collections import defaultdict
from pathlib import Path

from collector.names import EXPORTED

from .files import replacing
from .people import Roster, fold

AROUND = re.compile(r"^[^:]*:\s*|\s*\([^)]*\)$")  # Moodle's "Assignment: NAME (Real)", Canvas's "NAME (4711)"


def write_marks(rows: list[dict], roster: Roster, graded: list[str], folder: Path) -> str:
    """Write the roster with marks in it, for the import of the platform that it comes from -> what was written.

    All that the roster holds stays, except for the cells of marks. An assignment has the column that is called like
    it, in a grading worksheet of Moodle the column `Grade`, or else a new column. A mark is written when nothing is
    left to be marked by hand.

    Args:
        rows: of grades.csv
        roster: whose rows and columns are taken
        graded: the assignments of this call; a grading worksheet is of one of them
        folder: where marks_for_canvas.csv or marks_for_moodle.csv is written
    """
    table, header = roster.table.copy(), list(roster.table.iloc[0])
    worksheet = {"identifier", "grade"} <= set(roster.columns)
    row_of = {person.student: row for row, person in roster.people.items()}
    rows = [row for row in rows if row["points"] and row["student"] in row_of]
    if worksheet and len(graded) != 1:
        return f"no marks for Moodle: a grading worksheet is of one assignment, and here are {', '.join(graded)}"
    if worksheet:
        rows = [row for row in rows if row["assignment"] == graded[0]]
    for row in rows:
        name = row["assignment"]
        wanted = "grade" if worksheet else fold(name)
        column = next((k for k, title in enumerate(header) if fold(AROUND.sub("", title)) == wanted), len(header))
        if column == len(header):
            header.append(name)
            table[column] = table[0].map(lambda cell, of=row["of"]: of if "Points Possible" in cell else "")
            table.loc[0, column] = name
        if not float(row["to mark"] or 0):
            table.loc[row_of[row["student"]], column] = row["points"]
    path = folder / f"marks_for_{'canvas' if roster.canvas else 'moodle'}.csv"
    with replacing(path) as file:
        file.write(table.to_csv(header=False, index=False, sep=roster.separator, lineterminator="\r\n").encode())
    waiting = sum(float(row["to mark"] or 0) > 0 for row in rows)
    left_out = f"; left out, because written parts are not marked yet: {waiting}" if waiting else ""
    return f"{path}: marks to import: {len(rows) - waiting}{left_out}"


def write_feedback(rows: list[dict], roster: Roster | None, course: Path, folder: Path) -> list[Path]:
    """Write NAME_feedback.zip for each assignment, with folders as Moodle knows them: NAME_123_assignsubmission_file_.

    Where neither an entry's name nor the roster has Moodle's number, the folder is called as in feedback/.

    Args:
        rows: of grades.csv
        roster: the class; None: numbers come from the entries' names alone
        course: where feedback/ lies
        folder: where the files are written
    """
    participants = {p.student: p.participant for p in roster.people.values()} if roster else {}
    pages = defaultdict(dict)
    for row in rows:
        student, assignment = row["student"], row["assignment"]
        page = course / "feedback" / student / assignment / f"{assignment}.html"
        entry = EXPORTED.match(row["handed in as"])
        number = (entry and entry["participant"]) or participants.get(student)
        name = re.sub(r"[/\\_]", " ", row["name"])  # Moodle finds the number behind the first _
        place = f"{name}_{number}_assignsubmission_file_" if number else student
        if page.is_file():
            pages[assignment][f"{place}/{page.name}"] = page
    for assignment, found in pages.items():
        with (
            replacing(folder / f"{assignment}_feedback.zip") as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for name, page in found.items():
                archive.write(page, name)
    return [folder / f"{assignment}_feedback.zip" for assignment in pages]
