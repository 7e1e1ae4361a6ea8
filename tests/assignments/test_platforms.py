"""What goes back to Moodle and Canvas: marks in the roster's own rows and columns, feedback in Moodle's folders."""

from __future__ import annotations

import csv
import re
import zipfile

import pytest
import tiny_course as tiny
from test_people import CANVAS, MOODLE, OWN, WORKSHEET

from class_list.people import Roster
from class_list.platforms import write_feedback, write_marks


def row(student: str, points: str, to_mark: str = "0", assignment: str = tiny.NAME, entry: str = "") -> dict[str, str]:
    name = student.replace("_", " ")
    facts = {"student": student, "name": name, "assignment": assignment, "points": points, "of": "10.0"}
    return facts | {"to mark": to_mark if points else "", "handed in as": entry}


ROWS = [row("Dörte_Groß", "6.5"), row("Anna_Bo_4713", "3.0", "4.0"), row("Cleo", "9.0"), row("Anna_Bo_4712", "")]


def imported(tmp_path, roster: str, rows=ROWS, graded=(tiny.NAME,)) -> tuple[str, list[list[str]], list[list[str]]]:
    """-> what the command says, the roster's lines, the lines of the file for the import."""
    (tmp_path / "class.csv").write_text(roster)
    said = write_marks(rows, Roster(tmp_path / "class.csv"), list(graded), tmp_path / "reports")
    (path,) = (tmp_path / "reports").glob("marks_for_*.csv")
    assert str(path) in said
    separator = ";" if ";" in roster else ","
    return said, list(csv.reader(roster.splitlines(), delimiter=separator)), list(
        csv.reader(path.read_text().splitlines(), delimiter=separator)
    )  # fmt: skip


def changes(before: list[list[str]], after: list[list[str]]) -> dict[tuple[int, str], str]:
    """(row, column) -> new cell; all others are as they were."""
    header = after[0]
    assert header[: len(before[0])] == before[0] and len(before) == len(after)
    old = [line + [""] * (len(header) - len(line)) for line in before]
    places = [(k, j) for k in range(1, len(after)) for j in range(len(header)) if old[k][j] != after[k][j]]
    return {(k, header[j]): after[k][j] for k, j in places}


@pytest.mark.parametrize(
    ("roster", "column", "extra"),
    [
        (MOODLE, "Assignment: Numbers (Real)", {}),
        (WORKSHEET, "Grade", {}),
        (CANVAS, "Numbers (991)", {}),
        (OWN, tiny.NAME, {}),
        (CANVAS.replace("Numbers (991)", "Other (991)"), tiny.NAME, {(2, tiny.NAME): "10.0"}),
    ],
    ids=["Moodle", "worksheet", "Canvas", "own", "new in Canvas"],
)
def test_marks_stand_in_the_column_of_the_assignment_and_all_else_stays(tmp_path, roster, column, extra):
    said, before, after = imported(tmp_path, roster)
    first = next(k for k, line in enumerate(before) if any("Dörte" in cell for cell in line))
    assert changes(before, after) == {(first, column): "6.5"} | extra  # Anna's is not marked by hand yet
    assert said.endswith("left out, because written parts are not marked yet: 1") == (roster != OWN)
    assert ("canvas" in said) == (roster.startswith("Student"))


def test_when_all_is_marked_all_marks_are_there(tmp_path):
    rows = [row("Dörte_Groß", "6.5"), row("Anna_Bo_4712", "0.0"), row("Anna_Bo_4713", "3.0")]
    said, before, after = imported(tmp_path, CANVAS, rows)
    assert changes(before, after) == {(k, "Numbers (991)"): p for k, p in [(3, "6.5"), (4, "0.0"), (5, "3.0")]}
    assert said.endswith("marks to import: 3") and "left out" not in said
    # Canvas's importer: these columns, in this order, and the row of points before the students
    assert after[0][:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert "Points Possible" in after[2][0] and after[6][0] == "Student, Test"


def test_a_grading_worksheet_is_of_one_assignment(tmp_path):
    rows = [row("Dörte_Groß", "6.5"), row("Dörte_Groß", "2.0", assignment="other")]
    assert imported(tmp_path, WORKSHEET, rows, ["other"])[2][1][5] == "2.0"
    said = write_marks(rows, Roster(tmp_path / "class.csv"), [tiny.NAME, "other"], tmp_path / "none")
    assert "a grading worksheet is of one assignment" in said and not (tmp_path / "none").exists()


def moodle_finds(name: str) -> tuple[int, str] | None:
    """As Moodle's import reads a path: NAME_number_assignsubmission_file, whatever stands behind."""
    for part in name.split("/"):
        info = part.split("_", 4)
        if len(info) >= 4 and info[1].isdigit():
            return int(info[1]), "_".join(info[2:4])
    return None


def test_feedback_is_in_folders_from_which_moodle_finds_the_student(tmp_path):
    rows = [
        row("Dörte_Groß", "6.5", entry="Dörte M.Groß_12345_assignsubmission_file_"),
        row("Anna_Bo_4712", "1.0") | {"name": "Anna_Bo / x"},
        row("Cleo", "9.0"),
        row("Nobody", ""),
    ]
    for each in rows[:3]:
        page = tmp_path / "feedback" / each["student"] / tiny.NAME / f"{tiny.NAME}.html"
        page.parent.mkdir(parents=True)
        page.write_text(each["student"])
    (tmp_path / "class.csv").write_text(WORKSHEET)
    (path,) = write_feedback(rows, Roster(tmp_path / "class.csv"), tmp_path, tmp_path / "reports")
    assert path.name == "numbers_feedback.zip"
    with zipfile.ZipFile(path) as archive:
        pages = {name: archive.read(name).decode() for name in archive.namelist()}
    assert {moodle_finds(name): student for name, student in pages.items()} == {
        (12345, "assignsubmission_file"): "Dörte_Groß",
        (12346, "assignsubmission_file"): "Anna_Bo_4712",
        None: "Cleo",
    }
    assert "Dörte Groß_12345_assignsubmission_file_/numbers.html" in pages and "Cleo/numbers.html" in pages
    assert not any(re.search(r"[\\]|\.\.", name) for name in pages)
