"""What the runner says of submissions, without running any: the table, and the reason where a worker failed."""

from __future__ import annotations

import csv
import queue
import subprocess
import sys

import nbgrader.api
import psutil
import pytest
import tiny_course as tiny

from class_list.table import LONGEST_CELL, read_table, write_table
from collector import Submission
from grader import course as courses
from grader import runner

NAMES = ["Jörg", "राम", "李", "Łukasz"]


def row(student: str, **cells: str) -> dict[str, str]:
    return {"student": student, "assignment": tiny.NAME, "reason": "größer als erlaubt"} | cells


def test_the_table_is_utf_8_with_a_mark_and_read_with_or_without_it(tmp_path):
    table = write_table(tmp_path, [row(name) for name in NAMES])
    content = table.read_bytes()
    assert content.startswith(b"\xef\xbb\xbfstudent,")  # by these three bytes Excel knows UTF-8
    assert [line.partition(",")[0] for line in content.decode("utf-8-sig").splitlines()[1:]] == sorted(NAMES)

    table.write_bytes(content.decode("utf-8-sig").encode())  # as it was written before, or by an editor
    write_table(tmp_path, [row("Jörg", points="3")])
    rows = {each["student"]: each for each in read_table(table)}
    assert sorted(rows) == sorted(NAMES) and rows["Jörg"]["points"] == "3"
    assert {each["reason"] for each in rows.values()} == {"größer als erlaubt"}


def test_cells_of_any_length_can_be_read_again(tmp_path):
    table = write_table(tmp_path, [row("n" * 200, notes="x" * LONGEST_CELL)])
    with open(table, newline="", encoding="utf-8-sig") as file:
        assert len(list(csv.DictReader(file))) == 1


def team(place) -> runner.Team:
    """What a Team needs to start a worker."""
    made = runner.Team.__new__(runner.Team)
    made.course, made.state, made.limits, made.isolated = place, place, runner.Limits(), True
    made.prepared, made.workers, made.idle, made.closed = {tiny.NAME: place}, [], queue.SimpleQueue(), False
    (place / "gradebook.db").touch()
    return made


def failed(place, monkeypatch, **files: str) -> str:
    """The reason in the table when a worker leaves these files and no result."""

    def in_worker(team, work, seconds):
        for name, content in files.items():
            (work / f"{name}.txt").write_text(content)
        return True

    monkeypatch.setattr(runner.Team, "_in_worker", in_worker)
    submission = Submission("anna", tiny.NAME, tiny.source())
    team(place).grade(submission, "key")
    return runner._result(place, submission)["failed"]


TRACEBACK = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
    raise error
    ^^^^^^^^^^^
"""


@pytest.mark.parametrize(
    "line",
    [
        'zmq.error.ZMQError: ipc path "/tmp/a" is longer than 107 characters',
        "nbgrader.converters.base.NbGraderException: no notebooks found",
        "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) disk I/O error",
        "ValueError: two lines",
        "zmq.error.Again",
        "KeyboardInterrupt",
    ],
)
@pytest.mark.parametrize("log", ["log", "output"])
def test_the_reason_is_the_line_that_names_the_error(tmp_path, monkeypatch, line, log):
    first = f"Starting\n{TRACEBACK}OSError: the first one\n\nDuring handling of it another exception occurred:\n\n"
    said = {log: f"{first}{TRACEBACK}{line}\nand its second line\nRemoving failed assignment: /tmp/x\n"}
    assert failed(tmp_path, monkeypatch, **said) == line


def test_the_reason_without_an_error_is_the_last_line(tmp_path, monkeypatch):
    assert failed(tmp_path, monkeypatch, output="Started\nKilled\n") == "Killed"
    assert failed(tmp_path, monkeypatch) == "the worker ended without a message"


# -- workers ----------------------------------------------------------------------------------------------------------

ANSWERS = "import sys\nfor line in sys.stdin: print(flush=True)"
HANGS = "import subprocess, sys\nsys.stdin.readline()\nsubprocess.run(['sleep', '60'])"
ENDS = "import sys\nsys.stdin.readline()"


def working(place, monkeypatch, code: str) -> runner.Team:
    """A team whose workers run `code`, with the runner's own pipes."""
    popen = subprocess.Popen
    monkeypatch.setattr(
        runner.subprocess, "Popen", lambda command, **options: popen([sys.executable, "-S", "-c", code], **options)
    )
    return team(place)


def test_a_worker_takes_one_submission_after_the_other_and_ends_with_the_team(tmp_path, monkeypatch):
    made = working(tmp_path, monkeypatch, ANSWERS)
    assert [made._in_worker(tmp_path, 60) for _ in range(3)] == [True] * 3 and len(made.workers) == 1
    assert made.workers[0].poll() is None
    made.close()
    assert made.workers[0].poll() == 0


def test_a_worker_that_ended_is_replaced(tmp_path, monkeypatch):
    made = working(tmp_path, monkeypatch, ENDS)
    assert [made._in_worker(tmp_path, 60) for _ in range(2)] == [True] * 2 and len(made.workers) == 2
    made.close()


def test_what_takes_too_long_is_ended_with_all_it_started(tmp_path, monkeypatch):
    made = working(tmp_path, monkeypatch, HANGS)
    before = set(psutil.Process().children(recursive=True))
    assert not made._in_worker(tmp_path, 2) and made.idle.empty()
    made.close()
    left = set(psutil.Process().children(recursive=True)) - before
    assert [process for process in left if process.status() != psutil.STATUS_ZOMBIE] == []


def test_a_team_that_is_closed_grades_nothing_more(tmp_path, monkeypatch):
    made = working(tmp_path, monkeypatch, ANSWERS)
    made.close()
    made._in_worker(tmp_path, 60)
    assert made.idle.empty() and made.workers[0].wait(60) == 0


def test_a_new_gradebook_starts_no_process(tmp_path, monkeypatch):
    def refuse(*command, **_):
        raise AssertionError(f"started: {command}")

    course = tiny.make(tmp_path / "course")
    monkeypatch.setattr(nbgrader.api, "get_alembic_version", refuse)  # nbgrader still has what is replaced
    monkeypatch.setattr(subprocess, "Popen", refuse)
    courses.register(course, tiny.NAME, tmp_path / "gradebook.db")
    with nbgrader.api.Gradebook(f"sqlite:///{tmp_path / 'gradebook.db'}") as book:
        assert book.find_assignment(tiny.NAME).max_score == 10
