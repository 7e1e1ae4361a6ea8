"""A whole class in one call, a second look at marks after a changed test, and marks that were given by hand."""

from __future__ import annotations

import csv
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import nbformat
import psutil
import pytest
import tiny_course as tiny
from class_of_sixty import ABSENT, STRANGE, Generated, Watch, grade, unexpected
from conftest import ROOT

from class_list.people import NOTHING
from class_list.table import read_table
from grader import commands
from grader import course as courses
from sandbox import isolation

pytestmark = pytest.mark.slow
STUDENTS = 16  # each costs one to two seconds of a core; the command grades sixty


@pytest.mark.skipif(bool(isolation.missing()), reason="bubblewrap does not work here")
def test_a_class_is_graded_in_one_call_and_nothing_outlives_it(tmp_path, monkeypatch):
    short = Path(tempfile.mkdtemp(prefix="c60", dir="/tmp"))  # sockets have short names
    monkeypatch.setenv("TMPDIR", str(short))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # PyTorch's, which archives are unpacked with
    course = tiny.make(tmp_path / "course")
    before = set(psutil.Process().children(recursive=True))  # of earlier tests of this worker
    made = Generated(course, tiny.NAME, tmp_path, STUDENTS)
    said, seconds = grade(made, 2)
    print(f"\n{STUDENTS} submissions in {seconds:.0f} s: {seconds / STUDENTS:.1f} s each")

    assert unexpected(made) == {}
    rows = {row["name"]: row for row in read_table(course / "grades.csv")}
    assert set(rows) == set(made.expected) | set(ABSENT) and len(STRANGE) == 10 <= STUDENTS
    assert {rows[name]["reason"] for name in ABSENT} == {NOTHING}
    assert sum(row["notes"].startswith("late by 2 h 10 min") for row in rows.values()) == 1
    assert sum("does not count" in row["notes"] for row in rows.values()) == 1
    assert all(name in said for name in rows)

    reports = {path.name for path in (course / "reports").iterdir()}
    assert reports == {"marks_for_moodle.csv", "numbers_feedback.zip", "statistics.html"}
    graded = [row for row in rows.values() if row["points"]]
    with zipfile.ZipFile(course / "reports" / "numbers_feedback.zip") as archive:
        assert len(archive.namelist()) == len(graded)
        assert all(name.split("_")[1].isdigit() for name in archive.namelist())
    with open(course / "reports" / "marks_for_moodle.csv", encoding="utf-8", newline="") as file:
        marks = {line["Full name"]: line["Grade"] for line in csv.DictReader(file)}
    assert {name: mark for name, mark in marks.items() if mark} == {row["name"]: row["points"] for row in graded}

    assert list(short.iterdir()) == []
    assert not [path for pattern in ("work/*/*", "unpacked-*", "*/.*") for path in (course / "grading").glob(pattern)]
    assert set(psutil.Process().children(recursive=True)) <= before
    short.rmdir()


def test_marks_by_hand_reach_the_table_the_page_and_the_import_and_outlive_a_changed_test(tmp_path, capsys):
    course, folder, roster = tiny.make(tmp_path / "course"), tmp_path / "in", tmp_path / "class.csv"
    folder.mkdir()
    roster.write_text('Student,ID,Section,Numbers (7)\n    Points Possible,,,10\n"Bo, Anna",5001,A,\nBerta,5002,A,\n')
    made = courses.prepare(course, tiny.NAME, tmp_path / "made")
    released = nbformat.read(made / "release" / tiny.NAME / f"{tiny.NAME}.ipynb", 4)
    right = {"double": tiny.DOUBLE, "largest": tiny.LARGEST}
    nbformat.write(tiny.handed_in(released, **right, written_why="because"), folder / "boanna_5001_10001_x.ipynb")
    nbformat.write(tiny.handed_in(released, double=tiny.DOUBLE, written_why="no"), folder / "Berta.ipynb")

    def graded() -> tuple[str, dict[str, str], dict[str, str]]:
        """-> what the command says, points by name in the table and in the file for Canvas."""
        arguments = ["grade", str(folder), "--course", str(course), "--roster", str(roster), "--no-isolation"]
        assert commands.main(arguments) == 0
        with open(course / "reports" / "marks_for_canvas.csv", encoding="utf-8", newline="") as file:
            marks = {line["Student"]: line["Numbers (7)"] for line in csv.DictReader(file)}
        del marks["    Points Possible"]
        return capsys.readouterr().out, {row["name"]: row["points"] for row in read_table(course / "grades.csv")}, marks

    said, points, marks = graded()
    assert points == {"Anna Bo": "6.0", "Berta": "2.0"} and marks == {"Bo, Anna": "", "Berta": ""}
    assert "written parts are not marked yet: 2" in said and "given by hand" not in said

    from nbgrader.api import Gradebook

    with warnings.catch_warnings(), Gradebook(courses.configuration(course, course).CourseDirectory.db_url) as book:
        warnings.simplefilter("ignore")
        notebook = book.find_submission_notebook(tiny.NAME, tiny.NAME, "Anna_Bo")
        mark = next(entry for entry in notebook.grades if entry.name == "written-why")
        mark.manual_score, mark.needs_manual_grade = 3, False
        next(entry for entry in notebook.comments if entry.name == "written-why").manual_comment = "Say why it is so."
        book.db.commit()
    said, points, marks = graded()
    assert points == {"Anna Bo": "9.0", "Berta": "2.0"} and marks == {"Bo, Anna": "9.0", "Berta": ""}
    assert "(was 6.0)" in said and "given by hand: 1" in said
    with zipfile.ZipFile(course / "reports" / "numbers_feedback.zip") as archive:
        page = archive.read("Anna_Bo/numbers.html").decode()
    assert "Say why it is so." in page and "randrange" not in page
    said, *_ = graded()
    assert "(was" not in said and "given by hand" not in said  # nothing has changed

    # a test that was wrong: Berta's and Anna's marks change, the mark by hand stays
    path = course / "source" / tiny.NAME / f"{tiny.NAME}.ipynb"
    assert "float(double(3)) == 6" in path.read_text()
    path.write_text(path.read_text().replace("float(double(3)) == 6", "float(double(3)) == 5"))
    said, points, marks = graded()
    assert points == {"Anna Bo": "7.0", "Berta": "0.0"}
    assert said.count("(was ") == 2 and "(was 9.0)" in said
    assert [row["points"] for row in read_table(course / "grades.before.csv")] == ["9.0", "2.0"]
    with zipfile.ZipFile(course / "reports" / "numbers_feedback.zip") as archive:
        page = archive.read("Anna_Bo/numbers.html").decode()
    assert "Say why it is so." in page and "twice three" in page


def test_time_is_what_the_processes_used_of_a_core():
    watch = Watch()
    watch.start()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 1: pass"], check=True)
    watch.ended.set()
    watch.join()
    assert 0.7 < sum(watch.seconds.values()) < 1.2


def test_the_guides_command_needs_no_path(tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    command = [sys.executable, ROOT / "tests" / "assignments" / "class_of_sixty.py", "--help"]
    assert "--time" in subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout
