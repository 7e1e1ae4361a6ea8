"""Who is in the class, which of several submissions counts, and what is said of those who handed in nothing."""

from __future__ import annotations

import csv
import os
import zipfile
from datetime import UTC, datetime, timedelta

import nbformat
import pytest
import tiny_course as tiny

from class_list import dates
from class_list.people import NOTHING, People, Roster, fold
from class_list.table import read_table, write_table

MOODLE = """First name,Last name,ID number,Email address,Assignment: Numbers (Real),Course total (Real)
Dörte,Groß,4711,doerte@example.org,-,-
Anna,Bo,4712,anna.bo@example.org,3.00,3.00
Anna,Bo,4713,bo@example.org,-,-
"""
WORKSHEET = """Identifier,Full name,ID number,Email address,Status,Grade,Maximum Grade,Last modified (submission),Last modified (grade)
Participant 12345,Dörte Groß,4711,doerte@example.org,Submitted,,10.00,"Wednesday, 2 December 2026, 2:09 AM",-
Participant 12346,Anna Bo,4712,anna.bo@example.org,No submission,,10.00,-,-
Participant 12347,Anna Bo,4713,bo@example.org,Submitted,,10.00,"Sunday, 29 November 2026, 1:25 PM",-
"""  # noqa: E501
CANVAS = """Student,ID,SIS User ID,SIS Login ID,Section,Numbers (991),Current Score
,,,,,Manual Posting,(read only)
    Points Possible,,,,,10,(read only)
"Groß, Dörte",5001,4711,dgross,A,,
"Bo, Anna",5002,4712,abo,A,7,
"Bo, Anna",5003,4713,abo2,A,,
"Student, Test",5009,,x,A,,
"""
OWN = "name;matriculation number;handed in\nDörte Groß;4711;2026-12-02 02:09\nAnna Bo;4712;\nJörg Weiß;4713;\n"
DUE = datetime(2026, 12, 1, 23, 59)


def answered(text: str = "because") -> nbformat.NotebookNode:
    return tiny.handed_in(SOURCE, double=tiny.DOUBLE, written_why=text)


SOURCE = tiny.source()
for _cell in SOURCE.cells:
    if "BEGIN SOLUTION" in _cell.source:
        _cell.source = "raise NotImplementedError()"
SOURCES = {tiny.NAME: SOURCE}


def put(folder, entry: str, when: datetime | None = None, text: str = "because") -> None:
    """One entry: a folder, a zip or a notebook; `when`: date of the notebook in it."""
    folder.mkdir(exist_ok=True)
    content, path = nbformat.writes(answered(text)), folder / entry
    if entry.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo("numbers.ipynb", (when or datetime.now()).timetuple()[:6]), content)
        return
    if not entry.endswith(".ipynb"):
        path.mkdir()
        path /= "numbers.ipynb"
    path.write_text(content)
    if when:
        os.utime(path, (when.timestamp(), when.timestamp()))


def read(folder, roster: str | bytes | None = None, due: datetime | None = None, last: bool = False) -> dict:
    """student -> submission"""
    if roster:
        path = folder.parent / "class.csv"
        path.write_bytes(roster if isinstance(roster, bytes) else roster.encode())
        roster = Roster(path)
    scratch = folder.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return {s.student: s for s in People(folder, roster, due, last).read(folder, SOURCES, scratch)}


def text_of(submission) -> str:
    return submission.notebook.cells[-1].source


# names


@pytest.mark.parametrize("roster", [MOODLE, WORKSHEET, CANVAS, OWN], ids=["Moodle", "worksheet", "Canvas", "own"])
@pytest.mark.parametrize(
    "entry",
    ["Dörte Groß", "dörte_groß.ipynb", "Groß Dörte.zip", "DORTE GROSS.ipynb", "4711.ipynb", "Dörte Groß (1).zip"],
)
def test_a_name_is_as_the_roster_writes_it_however_the_entry_is_called(tmp_path, roster, entry):
    put(tmp_path / "in", entry)
    found = read(tmp_path / "in", roster.replace("matriculation number", "ID number"))
    person = found["Dörte_Groß"].person
    assert (person.name, person.identifier) == ("Dörte Groß", "4711")
    assert {name for name, s in found.items() if s.reason == NOTHING} == set(found) - {"Dörte_Groß"}
    assert len(found) == 3


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_a_roster_is_read_as_excel_and_the_platforms_save_it(tmp_path, encoding):
    put(tmp_path / "in", "Dörte Groß")
    assert read(tmp_path / "in", MOODLE.encode(encoding))["Dörte_Groß"].person.name == "Dörte Groß"


def test_two_people_of_one_name_are_told_apart_by_the_numbers_of_the_platform(tmp_path):
    put(tmp_path / "moodle", "Anna Bo_12346_assignsubmission_file_", text="first")
    put(tmp_path / "moodle", "Anna Bo_12347_assignsubmission_file", text="second")
    found = read(tmp_path / "moodle", WORKSHEET)
    assert [text_of(found[name]) for name in ("Anna_Bo_4712", "Anna_Bo_4713")] == ["first", "second"]
    put(tmp_path / "canvas", "boanna_5002_880001_numbers.ipynb", text="first")
    put(tmp_path / "canvas", "boanna_LATE_5003_880002_numbers.ipynb", text="second")
    found = read(tmp_path / "canvas", CANVAS)
    assert [text_of(found[name]) for name in ("Anna_Bo_4712", "Anna_Bo_4713")] == ["first", "second"]
    assert [found[name].notes for name in ("Anna_Bo_4712", "Anna_Bo_4713")] == [[], ["late, as its name says"]]


@pytest.mark.parametrize(
    "entries",
    [
        ("boanna_5002_1001_a.ipynb", "boanna_5003_1002_a.ipynb"),
        ("Anna Bo_11_assignsubmission_file_", "Anna Bo_12_assignsubmission_file_"),
    ],
)
def test_without_a_roster_two_numbers_of_one_name_are_never_one_student(tmp_path, entries):
    for k, entry in enumerate(entries):
        put(tmp_path / "in", entry, datetime(2026, 11, 1 + k), text=entry)
    (found,) = read(tmp_path / "in").values()
    assert not found.notebook and "2 submissions carry this name" in found.reason
    assert all(entry in found.reason for entry in entries)


def test_a_name_that_two_people_have_and_a_name_that_nobody_has_are_said(tmp_path):
    put(tmp_path / "in", "Anna Bo.ipynb")
    put(tmp_path / "in", "Cleo.ipynb")
    found = read(tmp_path / "in", MOODLE)
    assert found["Anna_Bo"].notes == ["2 people in the roster are called Anna Bo"]
    assert found["Cleo"].notes == ["not in the roster"]
    assert found["Anna_Bo_4712"].reason == found["Anna_Bo_4713"].reason == NOTHING


def test_two_files_of_one_canvas_student_are_one_student(tmp_path):
    put(tmp_path / "in", "großdörte_5001_880001_numbers.ipynb")
    (tmp_path / "in" / "großdörte_5001_880002_drawing.pdf").write_bytes(b"%PDF")
    found = read(tmp_path / "in", CANVAS)
    assert found["Dörte_Groß"].notebook and found["Dörte_Groß"].person.name == "Dörte Groß"
    assert sum(name.startswith(("groß", "Dörte")) for name in found) == 1


GRADESCOPE = """submission_77:
  :submitters:
  - :name: Dörte Groß
    :sid: '4711'
    :email: doerte@example.org
  - :name: Anna Bo
    :sid: 4712
    :email: anna.bo@example.org
  :created_at: 2026-12-02 01:09:00.123456789 Z
  :score: 0.0
submission_78:
  :submitters:
  - :name: 'No Roster'
    :sid:
    :email: nr@example.org
  :created_at: 2026-11-02 01:09:00.000000000 Z
"""


@pytest.mark.parametrize("roster", [None, MOODLE], ids=["alone", "with a roster"])
def test_gradescope_names_everybody_who_handed_in_together(tmp_path, roster):
    put(tmp_path / "in", "submission_77")
    put(tmp_path / "in", "submission_78")
    (tmp_path / "in" / "submission_metadata.yml").write_text(GRADESCOPE)
    found = read(tmp_path / "in", roster, due=datetime(2026, 11, 15))
    assert {"Dörte_Groß", "No_Roster"} < set(found) and "submission_metadata" not in found
    anna = found["Anna_Bo_4712" if roster else "Anna_Bo"]
    assert anna.notebook == found["Dörte_Groß"].notebook and anna.notes[0].startswith("late by 17 d")
    assert found["No_Roster"].notes == (["not in the roster"] if roster else [])


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "name\n", "Student,ID,Section\n    Points Possible,,\n"])
def test_a_roster_without_names_says_what_it_needs(tmp_path, text):
    (tmp_path / "class.csv").write_text(text)
    with pytest.raises(ValueError, match=r"class\.csv: expected a column full name.*, got .*: rename one"):
        Roster(tmp_path / "class.csv")


@pytest.mark.parametrize(("one", "other"), [("राम", "रिमा"), ("Ayşe", "Aysel"), ("กำ", "กา"), ("李", "王")])
def test_names_that_differ_in_more_than_accents_stay_apart(one, other):
    assert fold(one) and fold(one) != fold(other)


# dates


@pytest.mark.parametrize(
    "entries", [("anna.ipynb", "anna (1).ipynb"), ("anna", "anna.zip"), ("anna.zip", "Anna (1).zip")]
)
def test_the_last_before_the_deadline_counts_and_the_others_are_named(tmp_path, entries):
    early, late = entries
    put(tmp_path / "in", early, datetime(2026, 11, 30, 8), text="early")
    put(tmp_path / "in", late, datetime(2026, 12, 2, 2, 9), text="late")
    (found,) = read(tmp_path / "in", due=DUE).values()
    assert text_of(found) == "early"
    assert found.notes == [f"counts: {early} of 2026-11-30 08:00; does not count: {late} of 2026-12-02 02:09"]
    for options in ({"due": DUE, "last": True}, {}):
        (found,) = read(tmp_path / "in", **options).values()
        assert text_of(found) == "late"
    assert read(tmp_path / "in", due=DUE, last=True)[found.student].notes[0] == "late by 2 h 10 min"


def test_when_all_are_late_the_first_counts(tmp_path):
    put(tmp_path / "in", "anna.ipynb", datetime(2026, 12, 3), text="first")
    put(tmp_path / "in", "anna (1).ipynb", datetime(2026, 12, 9), text="second")
    (found,) = read(tmp_path / "in", due=DUE).values()
    assert text_of(found) == "first" and found.notes[0] == "late by 1 d 1 min"


def test_a_date_in_the_name_counts_more_than_that_of_the_file_and_a_list_more_than_both(tmp_path):
    put(tmp_path / "in", "Dörte Groß 2026-12-02T00-09.ipynb", datetime(2026, 11, 1))
    (found,) = read(tmp_path / "in", due=DUE).values()
    assert found.notes == ["late by 10 min"]
    put(tmp_path / "own", "Dörte Groß.ipynb", datetime(2026, 11, 1))
    assert read(tmp_path / "own", OWN, DUE)["Dörte_Groß"].notes == ["late by 2 h 10 min"]
    put(tmp_path / "moodle", "Dörte Groß_12345_assignsubmission_file_", datetime(2026, 11, 1))
    put(tmp_path / "moodle", "Anna Bo_12347_assignsubmission_file_", datetime(2026, 12, 24))
    found = read(tmp_path / "moodle", WORKSHEET, DUE)
    assert (found["Dörte_Groß"].notes, found["Anna_Bo_4713"].notes) == (["late by 2 h 10 min"], [])


def test_what_can_be_read_counts_and_what_cannot_is_named(tmp_path):
    put(tmp_path / "in", "anna.ipynb", datetime(2026, 11, 1))
    (tmp_path / "in" / "anna").mkdir()
    (tmp_path / "in" / "anna" / "numbers.ipynb").write_text("{")
    (found,) = read(tmp_path / "in", due=DUE).values()
    assert found.notebook and "does not count: numbers.ipynb is damaged" in found.notes[-1]


def test_copies_of_one_moment_are_nobodys_choice(tmp_path):
    for k, entry in enumerate(("anna.ipynb", "Anna.zip")):
        put(tmp_path / "in", entry, datetime(2026, 11, 1, 8, 0, 20 * k), text=entry)
    (found,) = read(tmp_path / "in", due=DUE).values()
    assert not found.notebook and "keep one of them" in found.reason


@pytest.mark.parametrize(
    ("minutes", "words"), [(0.2, "1 min"), (130, "2 h 10 min"), (1500, "1 d 1 h"), (59, "59 min"), (2880, "2 d")]
)
def test_a_span_of_time_in_words(minutes, words):
    assert dates.span(timedelta(minutes=minutes)) == words


@pytest.mark.parametrize(
    ("text", "expected"),
    [("2026-12-01T23:59", DUE), ("2026-12-01", datetime(2026, 12, 1, 23, 59, 59)), ("2026-12-01 08:00", None)],
)
def test_a_deadline_is_local_time_and_a_day_lasts_until_its_end(text, expected):
    assert dates.deadline(text) == (expected or datetime(2026, 12, 1, 8))
    here = datetime(2026, 12, 1, 8).astimezone()
    assert (
        dates.deadline(here.isoformat()) == dates.deadline(here.astimezone(UTC).isoformat()) == datetime(2026, 12, 1, 8)
    )


def test_the_month_0_of_a_zip_is_no_date(tmp_path):
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in" / "anna.zip", "w") as archive:
        member = zipfile.ZipInfo("numbers.ipynb")
        member.date_time = (1980, 0, 0, 0, 0, 0)
        archive.writestr(member, nbformat.writes(answered()))
    (found,) = read(tmp_path / "in").values()
    assert found.notebook and found.saved.year >= 2024


# the table


def test_long_fields_are_cut_and_formulas_are_text(tmp_path):
    row = {"student": "n" * 200, "name": "=HYPERLINK(1)", "assignment": tiny.NAME, "points": -1.0}
    path = write_table(tmp_path, [row | {"reason": "r" * 300_000, "notes": "x\ny" * 90_000, "handed in as": "n" * 250}])
    write_table(tmp_path, [row | {"student": "other", "reason": "", "notes": "-2"}])  # a second run reads it again
    with open(path, newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [r["name"] for r in rows] == ["'=HYPERLINK(1)"] * 2 and [r["points"] for r in rows] == ["-1.0"] * 2
    assert max(len(value) for r in rows for value in r.values()) <= 2001


def test_a_table_of_an_older_version_is_read(tmp_path):
    (tmp_path / "grades.csv").write_text("student,assignment,points\nanna,numbers,3.0\n")
    (row,) = read_table(tmp_path / "grades.csv")
    assert (row["name"], row["points"], row["handed in as"]) == ("anna", "3.0", "")


def test_nothing_handed_in_takes_no_mark_away(tmp_path):
    row = {"student": "anna", "name": "Anna", "assignment": tiny.NAME, "notes": ""}
    write_table(tmp_path, [row | {"points": 6.0, "reason": ""}])
    path = write_table(tmp_path, [row | {"reason": NOTHING}, row | {"student": "bo", "reason": NOTHING}])
    assert [(r["student"], r["points"], r["reason"]) for r in read_table(path)] == [
        ("anna", "6.0", ""),
        ("bo", "", NOTHING),
    ]
    path = write_table(tmp_path, [row | {"student": "bo", "points": 1.0, "reason": ""}])
    assert [(r["student"], r["points"], r["reason"]) for r in read_table(path)] == [
        ("anna", "6.0", ""),
        ("bo", "1.0", ""),
    ]
