"""What the runner says of submissions, without running any: the table, and the reason where a worker failed."""

from __future__ import annotations

import csv

import pytest
import tiny_course as tiny

from class_list.table import LONGEST_CELL, read_table, write_table
from collector import Submission
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
    made.prepared = {tiny.NAME: place}
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
