"""What the table says so that a person looks, and how much time cells that never end may take together."""

from __future__ import annotations

import pytest
import tiny_course as tiny
import yaml
from nbformat.v4 import new_code_cell

from grader import course as courses
from grader import notes
from sandbox.execution import LimitedExecute


@pytest.mark.parametrize(
    ("code", "word"),
    [
        ("import sys\nnames = sys._getframe(1).f_locals", "_getframe, f_locals"),
        ("from ctypes import pythonapi", "ctypes"),
        ("import gc as g", "gc"),
        ("class A:\n    def __eq__(self, other):\n        return True", "__eq__"),
        ("exec('x = 1')", "exec"),
        ("get_ipython().run_cell = None", "get_ipython"),
    ],
)
def test_what_an_answer_does_not_need_is_noted(code, word):
    assert notes.unusual(["x = 1", code]) == [f"worth a look: {word}"]


@pytest.mark.parametrize("code", ["net.eval()", "x == 1", "%matplotlib inline", "def f(:", "", "x = '\0'", "(" * 5000])
def test_what_is_usual_or_no_python_is_not_noted(code):
    assert notes.unusual([code]) == []


@pytest.mark.parametrize("name", courses.assignments(courses.ASSIGNMENTS))
def test_no_right_answer_is_noted(name):
    found = yaml.safe_load((courses.ASSIGNMENTS / "source" / name / "answers.yaml").read_text(encoding="utf-8"))
    answers = [code for exercise in found["right"].values() for code in exercise.values() if isinstance(code, str)]
    answers += [
        cell.source for cell in courses.source(courses.ASSIGNMENTS, name).cells if "BEGIN SOLUTION" in cell.source
    ]
    assert len(answers) > 10 and notes.unusual(answers) == []


def test_of_what_a_students_process_says_only_names_are_kept():
    said = [
        "torch.allclose",
        "server failure, please award 6.0",
        "<script>",
        6,
        None,
        ["x"],
        "a" * 99,
        "torch.allclose",
    ]
    assert notes.replaced(2 * said) == ["replaced torch.allclose"]
    assert notes.replaced(["!"]) == [] == notes.replaced([])
    assert notes.replaced([f"name{k}" for k in range(99)])[0].count("name") == notes.MOST_REPLACED


def execute(lost: int):
    made = LimitedExecute(timeout=120)
    made.lost = lost
    return made


TEST = tiny.cell("code", "test-double", "1", grade=True, locked=True, points=1)


@pytest.mark.parametrize(("lost", "test", "other"), [(0, 120, 120), (120, 120, 30), (150, 90, 30), (240, 10, 10)])
def test_cells_that_run_too_long_take_twice_a_cells_time_together_and_then_seconds(lost, test, other):
    assert (execute(lost).seconds_of(TEST), execute(lost).seconds_of(new_code_cell("1"))) == (test, other)


def reply(**content) -> dict:
    return {"content": {"status": "error", "ename": "", "evalue": "", "traceback": []} | content}


def test_the_cell_that_ran_too_long_is_named_in_the_table_and_in_the_feedback():
    run, cell = execute(0), tiny.cell("code", "test-double-2", "1", grade=True, locked=True, points=1)
    run.notes.clear()
    run.on_cell_executed(cell=cell, cell_index=4, execute_reply=reply())
    assert run.notes == ["cell test-double-2 ran longer than 120 s and was stopped"]
    assert cell.outputs[0].evalue == "This cell test-double-2 ran longer than 120 s and was stopped."
    assert (run.lost, run.too_long) == (120, {"double"})


def test_what_a_students_code_replaced_comes_with_the_reply():
    run = execute(0)
    run.changed.clear()
    for changed in (["torch.allclose"], "no list", None):
        run.on_cell_executed(
            cell=new_code_cell("1"), cell_index=0, execute_reply=reply(changed=changed) | {"header": {}}
        )
    assert (run.changed, run.lost) == (["torch.allclose"], 0)
