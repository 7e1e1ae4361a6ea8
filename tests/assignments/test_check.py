"""Students' own check, with only what the students' archive holds: what it says, and that it says no hidden test."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile

import nbformat
import pytest
import tiny_course as tiny
from nbformat.v4 import new_code_cell, new_notebook

from grader.release import release

pytestmark = pytest.mark.slow
RIGHT = {"double": tiny.DOUBLE, "largest": tiny.LARGEST, "written_why": "because"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The unpacked archive of the tiny course."""
    place = tmp_path_factory.mktemp("students")
    release(tiny.make(place / "course"), place / "numbers.zip")
    with zipfile.ZipFile(place / "numbers.zip") as whole:
        whole.extractall(place)
    return place / "numbers"


def check(archive, notebook, name: str = "numbers.ipynb", entry: str | None = None) -> tuple[int, str]:
    """-> exit code and what it prints. `notebook`: one, or the text of a file."""
    path = archive / name
    text = notebook if isinstance(notebook, str) else nbformat.writes(notebook)
    path.write_text(text)
    if entry:
        with zipfile.ZipFile(archive / entry, "w") as whole:
            whole.write(path, f"course/{name}")
    ours = ("PYTHONPATH", "CAM_DATA", "CAM_CACHE", "CAM_HIDDEN_SEED", "CAM_ASSIGNMENT_SEED")
    env = {key: value for key, value in os.environ.items() if key not in ours}
    done = subprocess.run(
        [sys.executable, "check.py", entry or name], cwd=archive, capture_output=True, text=True, env=env
    )
    assert done.stderr == "" and path.read_text() == text
    assert "secret" not in done.stdout and "randrange" not in done.stdout
    path.unlink()
    return done.returncode, done.stdout


def given_out(archive):
    return nbformat.read(archive / "as_given_out" / "numbers.ipynb", 4)


@pytest.mark.parametrize("entry", [None, "anna.zip"])
def test_a_whole_notebook_has_nothing_missing(archive, entry):
    code, said = check(archive, tiny.handed_in(given_out(archive), **RIGHT), entry=entry)
    assert code == 0 and said.splitlines() == [
        "numbers: running it from top to bottom in a fresh kernel …",
        "3 of 3 tests that you see pass.",
        "3 of 3 answers are there. Nothing is missing.",
    ]


def test_what_is_missing_and_what_fails_is_a_sentence_each(archive):
    notebook = tiny.handed_in(
        given_out(archive), largest="def biggest(values):\n    return max(values)", written_why="x"
    )
    notebook.cells = [c for c in notebook.cells if c.metadata.nbgrader.grade_id != "test-largest"]
    notebook.cells.append(new_code_cell("later + 1"))
    code, said = check(archive, notebook)
    assert code == 1
    assert said.splitlines()[1:] == [
        "1 of 3 tests that you see pass.",
        "- The grader will note: cell test-largest was missing and was put back.",
        "- double has no answer yet.",
        "- largest: the tests use the name `largest`: define it.",
        "- test-largest fails: NameError: name 'largest' is not defined",
        "- code cell 7 fails: NameError: name 'later' is not defined",
        "2 of 3 answers are there. Look at these points before you hand it in.",
    ]


def test_a_name_that_only_an_old_kernel_knew_is_found(archive):
    """Cells that were run in another order: it works on the screen, and not from top to bottom."""
    notebook = tiny.handed_in(given_out(archive), **RIGHT | {"double": "def double(x):\n    return factor * x"})
    notebook.cells.append(new_code_cell("factor = 2"))
    code, said = check(archive, notebook)
    assert code == 1 and "- test-double fails: NameError: name 'factor' is not defined" in said


def test_a_wrong_answer_that_the_visible_test_finds_is_told(archive):
    code, said = check(
        archive, tiny.handed_in(given_out(archive), **RIGHT | {"double": "def double(x):\n    return 7"})
    )
    assert code == 1 and "- test-double fails: twice three" in said and "2 of 3 tests that you see pass." in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"cells": [', "This cannot be graded: numbers.ipynb is damaged"),
        (nbformat.writes(new_notebook(cells=[new_code_cell("1")])), "has no cell of the assignment"),
    ],
)
def test_what_cannot_be_graded_is_said(archive, text, words):
    code, said = check(archive, text)
    assert code == 1 and words in said


def test_a_file_that_is_not_there_and_the_notebook_in_its_place(archive):
    run = {"cwd": archive, "capture_output": True, "text": True}
    done = subprocess.run([sys.executable, "check.py", "nothing.ipynb"], **run)
    assert done.returncode == 1 and "There is no file nothing.ipynb" in done.stdout
    done = subprocess.run([sys.executable, "check.py", "numbers.ipynb"], **run)  # found in assignments/numbers/
    assert done.returncode == 1 and "0 of 3 answers are there" in done.stdout
    done = subprocess.run([sys.executable, "check.py"], **run)
    assert done.returncode == 1 and "python check.py" in done.stderr
