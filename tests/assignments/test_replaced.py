"""Answers that replace what tests compare with: torch, NumPy's and Python's assertions, the course's own checks."""

from __future__ import annotations

import shutil

import nbformat
import pytest
import tiny_course as tiny
from conftest import ROOT
from nbformat.v4 import new_notebook

from class_list.table import read_table
from grader import course as courses
from grader import runner
from sandbox import isolation

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(isolation.missing()), reason="bubblewrap does not work here"),
]
NAME = "tensors"
SET_UP = """import unittest

import numpy as np
import numpy.testing
import torch

from cam_helpers import checks, class_activation_maps

ONES = torch.ones(2, 3)"""
HIDDEN = "### BEGIN HIDDEN TESTS\n{}\n### END HIDDEN TESTS"
TESTS = {  # a point each
    "test-twice": "checks.require(twice, [(ONES,)], lambda x: [[2.0, 2, 2]] * 2)",
    "test-twice-2": HIDDEN.format(
        "checks.require(twice, [(3 * ONES,)], lambda x: x + x, helpers=[torch.nn.functional.relu])"
    ),
    "test-twice-3": HIDDEN.format("assert torch.allclose(checks.numbers(twice(ONES)), 2 * ONES.double())"),
    "test-twice-4": HIDDEN.format(
        "numpy.testing.assert_allclose(checks.numbers(twice(ONES)).numpy(), 2 * np.ones((2, 3)))"
    ),
    "test-twice-5": HIDDEN.format(
        "unittest.TestCase().assertEqual(checks.numbers(twice(ONES)).tolist(), [[2.0] * 3] * 2)"
    ),
    "test-maps": HIDDEN.format(
        "checks.require(maps, [(torch.ones(1, 2, 1, 1), ONES[:, :2])], lambda f, w: [[[[2.0]], [[2.0]]]],"
        " helpers=[class_activation_maps])"
    ),
}
RIGHT = {
    "twice": "def twice(x):\n    return x + x",
    "maps": "def maps(features, weight):\n    return torch.einsum('nkyx,ck->ncyx', features, weight)",
}
ZERO = "def twice(x):\n    return torch.zeros_like(x)"
ANSWERS = {
    "right": RIGHT,
    "libraries": RIGHT
    | {
        "twice": "torch.allclose = torch.equal = lambda *a, **k: True\n"
        "torch.Tensor.tolist = lambda self: [[2.0] * 3] * 2\ntorch.Tensor.double = torch.relu\n"
        "np.testing.assert_allclose = lambda *a, **k: None\n"
        f"unittest.TestCase.assertEqual = lambda *a, **k: None\n{ZERO}"
    },
    "course": RIGHT | {"twice": f"checks.require = checks.numbers = lambda *a, **k: 2 * ONES.double()\n{ZERO}"},
    "code": RIGHT | {"twice": f"checks.require.__code__ = (lambda *a, **k: None).__code__\n{ZERO}"},
    "added": RIGHT | {"twice": f"torch.Tensor.added = lambda self: True\n{RIGHT['twice']}"},
    "name_and_subclass": RIGHT
    | {
        "twice": "class checks:\n    require = numbers = lambda *a, **k: 2 * ONES.double()\n"
        "class Liar(torch.Tensor):\n    @classmethod\n"
        "    def __torch_function__(cls, function, types, args=(), kwargs=None):\n"
        "        return True if function in (torch.allclose, torch.equal) else torch.full((2, 3), 2.0)\n"
        "def twice(x):\n    return torch.zeros_like(x).as_subclass(Liar)"
    },
    "helper": RIGHT | {"maps": "maps = class_activation_maps"},
}
POINTS = dict.fromkeys(ANSWERS, 1) | {"right": 6, "added": 6, "helper": 5}
NOTES = {  # words of each one's note
    "libraries": ("torch.allclose", "torch.Tensor.tolist", "numpy.testing.assert_allclose", "TestCase.assertEqual"),
    "course": ("cam_helpers.checks.numbers",),
    "code": ("replaced cam_helpers.checks.require",),
    "added": ("replaced torch.Tensor.added",),
    "name_and_subclass": ("worth a look: __torch_function__",),
}


def make(course) -> nbformat.NotebookNode:
    cells = [tiny.cell("code", "set-up", SET_UP, locked=True)]
    for exercise, answer in RIGHT.items():
        cells.append(tiny.cell("code", exercise, tiny.marked(answer), solution=True))
        tests = {name: code for name, code in TESTS.items() if name.startswith(f"test-{exercise}")}
        cells += [tiny.cell("code", n, code, grade=True, locked=True, points=1) for n, code in tests.items()]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (course / "source" / NAME).mkdir(parents=True)
    nbformat.write(
        new_notebook(cells=cells, metadata={"kernelspec": kernel}), course / "source" / NAME / f"{NAME}.ipynb"
    )
    shutil.copy(ROOT / "notebooks" / "assignments" / "nbgrader_config.py", course)
    made = courses.prepare(course, NAME, course / "made")
    return nbformat.read(made / "release" / NAME / f"{NAME}.ipynb", 4)


def test_what_is_replaced_is_put_back_before_each_test_and_named(tmp_path):
    course, folder = tmp_path / "course", tmp_path / "submissions"
    released = make(course)
    folder.mkdir()
    for name, answers in ANSWERS.items():
        nbformat.write(tiny.handed_in(released, **answers), folder / f"{name}.ipynb")
    rows = {row["student"]: row for row in read_table(runner.grade(folder, course, workers=2))}
    assert {name: float(row["points"] or -1) for name, row in rows.items()} == POINTS
    missing = {(name, word) for name, words in NOTES.items() for word in words if word not in rows[name]["notes"]}
    assert not missing, [rows[name]["notes"] for name, _ in missing]
    assert rows["right"]["notes"] == rows["helper"]["notes"] == ""
