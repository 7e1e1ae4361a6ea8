"""The marks of the right and wrong answers in each assignment's answers.yaml, without kernels, in this process."""

import ast
import copy
import functools
import re
import warnings

import answers
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
import torch
from nbgrader.preprocessors import CheckCellMetadata, ClearHiddenTests, ClearSolutions

from grader import course as courses
from sandbox import isolation

SOURCE = courses.ASSIGNMENTS / "source"
NAMES = courses.assignments(courses.ASSIGNMENTS)
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
HIDDEN, END_HIDDEN = "### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS"
# exercises whose reference trains for half a minute: where bubblewrap works, test_grade_assignments.py marks it
TRAINED = {} if isolation.missing() else {"nodules": "detector"}


class Assignment:
    """The cells of one assignment by their grade_id, as the lecturer and as the students see them."""

    def __init__(self, name: str):
        self.name = name
        self.notebook = nbformat.read(SOURCE / name / f"{name}.ipynb", as_version=4)
        CheckCellMetadata().preprocess(self.notebook, {})
        released = copy.deepcopy(self.notebook)
        for preprocessor in (ClearSolutions(), ClearHiddenTests()):
            released, _ = preprocessor.preprocess(released, {})
        self.released = released
        self.code = {meta(c)["grade_id"]: c.source for c in self.notebook.cells if is_code(c) and meta(c)}
        self.stubs = {meta(c)["grade_id"]: c.source for c in released.cells if is_code(c) and meta(c)}
        self.tests = {meta(c)["grade_id"]: meta(c)["points"] for c in self.notebook.cells if is_code(c) and marked(c)}
        self.exercises = [meta(c)["grade_id"] for c in self.notebook.cells if is_code(c) and meta(c).get("solution")]
        self.written = [c for c in self.notebook.cells if not is_code(c) and marked(c)]
        self.wrong, self.right = answers.read(SOURCE / name / "answers.yaml")
        self.left = {exercise: {} for exercise in self.exercises}  # what its tests leave for the ones after them

    def tests_of(self, exercise: str) -> list[str]:
        return [test for test in self.tests if re.fullmatch(rf"test-{re.escape(exercise)}(-\d+)?", test)]

    @functools.cached_property
    def base(self) -> dict:
        """What the released notebook's own cells leave behind: everything but the tests."""
        space = {"__name__": "__main__", "display": lambda *_: None}
        for cell in self.released.cells:
            if is_code(cell) and not marked(cell):
                run(cell.source, space)
        return space

    def marks(self, solved: dict[str, str], tests=None, change=None) -> dict[str, tuple[float, str, str]]:
        """Answer cells by exercise (the others stay stubs) -> for every test cell its points, error and message."""
        space = dict(self.base)
        for source in solved.values():
            run(source, space)
            if change:
                for name in functions_of(source):
                    space[name] = change(space[name])
        result = {}
        for test in self.tests if tests is None else tests:
            left = self.left[re.sub(r"^test-(.+?)(-\d+)?$", r"\1", test)]
            error, message = run_test(self.code[test], space, left)
            result[test] = (0 if error else self.tests[test], error, message)
        return result


@functools.cache
def load(name: str) -> Assignment:
    return Assignment(name)


def meta(cell) -> dict:
    return cell.metadata.get("nbgrader", {})


def marked(cell) -> bool:
    return bool(meta(cell).get("grade"))


def is_code(cell) -> bool:
    return cell.cell_type == "code"


def functions_of(source: str) -> list[str]:
    return [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]


def run(source: str, space: dict) -> None:
    exec(compile(source, "<cell>", "exec"), space)
    plt.close("all")


def run_test(source: str, space: dict, left: dict) -> tuple[str, str]:
    """-> (name of the error, message), both empty for full marks. As when `make grade` marks, warnings cost nothing.

    left: names that the tests of this exercise have defined so far, added to; no answer sees them
    """
    names = space | left
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(source, names)
    except Exception as error:
        return type(error).__name__, str(error)
    finally:
        left |= {name: value for name, value in names.items() if space.get(name) is not value}
    return "", ""


def solution_lines(source: str) -> list[str]:
    """The lines of the reference solution that would help somebody who sees them."""
    inside = source.split(BEGIN, 1)[1].split(END, 1)[0]
    lines = [line.split("  #")[0].strip() for line in inside.splitlines()]
    lines += [line.removeprefix("return ") for line in lines]
    return [line for line in lines if len(line) > 8 and not line.startswith("#") and line != "return result"]


def texts(source: str) -> list[str]:
    return [n.value for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


def noise(factor: float):
    """A decorator: every float that the function returns is multiplied by the factor."""

    def disturb(value):
        if isinstance(value, (tuple, list)):
            return type(value)(map(disturb, value))
        if isinstance(value, dict):
            return {key: disturb(v) for key, v in value.items()}
        if isinstance(value, torch.Tensor):
            return value * factor if value.is_floating_point() else value
        if isinstance(value, (float, np.floating)) or (isinstance(value, np.ndarray) and value.dtype.kind == "f"):
            return value * factor
        return value

    return lambda function: functools.wraps(function)(lambda *args, **kw: disturb(function(*args, **kw)))


def test_every_assignment_has_its_answers():
    assert NAMES, f"no assignments in {SOURCE}"
    assert [name for name in NAMES if not (SOURCE / name / "answers.yaml").is_file()] == []


@pytest.mark.parametrize("name", NAMES)
def test_form(name):
    """nbgrader's metadata, the parts in their order, the points of the title."""
    a = load(name)
    cells = a.notebook.cells
    kinds = {meta(c)["grade_id"]: c for c in cells if meta(c)}
    title = cells[0].source
    points = sum(a.tests.values()) + sum(meta(c)["points"] for c in a.written)
    stated = re.search(r"\*\*Points\*\*\D*(\d+)", title)
    assert stated, "the title says **Points** N"
    assert int(stated[1]) == points
    for part in ("You will be able to", "**Time**", "**Prepared by**"):
        assert part in title, f"the title lacks {part}"
    assert 1 <= len(a.written) <= 2
    assert all(meta(c)["grade_id"].startswith("written-") for c in a.written)
    assert set(a.tests) == {test for exercise in a.exercises for test in a.tests_of(exercise)}
    order = [meta(c).get("grade_id") for c in cells]
    for exercise in a.exercises:
        tests = a.tests_of(exercise)
        assert tests, f"{exercise} has no test"
        assert order.index(f"task-{exercise}") < order.index(exercise) < min(map(order.index, tests))
        assert a.code[exercise].count(BEGIN) == a.code[exercise].count(END) == 1
        assert "raise NotImplementedError()" in a.stubs[exercise]
        assert functions_of(a.stubs[exercise]), f"the released {exercise} defines its function"
        assert any(HIDDEN in a.code[test] for test in tests), f"{exercise} has no hidden test"
        assert len(a.wrong[exercise]) >= 5 and len(a.right[exercise]) >= 2, exercise
        for test in tests:
            assert meta(kinds[test])["locked"] and meta(kinds[test])["points"] > 0
            lines = [line for line in solution_lines(a.code[exercise]) if any(line in t for t in texts(a.code[test]))]
            assert not lines, f"a message of {test} holds the solution: {lines}"
    assert set(a.wrong) == set(a.right) == set(a.exercises)
    for cell in cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None, "sources are kept without outputs"
        if meta(cell):
            assert meta(cell)["schema_version"] == 3
        if not is_code(cell) or not meta(cell).get("solution"):
            assert meta(cell).get("locked") or (is_code(cell) and not meta(cell)) or marked(cell), cell.source[:80]
    for cell in a.released.cells:
        assert not any(mark in cell.source for mark in (BEGIN, END, HIDDEN, END_HIDDEN))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_marks(name):
    """Each wrong answer loses its own points and is told why; each right one, and the reference, gets them all."""
    a, wrongly = load(name), []
    solved = {exercise: a.code[exercise] for exercise in a.exercises}
    everything = dict(a.tests)
    here = [test for test in everything if test not in a.tests_of(TRAINED.get(name, "none"))]

    def points(marks):
        return {test: mark[0] for test, mark in marks.items()}

    for label, change in {"reference": None, "+ noise": noise(1 + 1e-6), "- noise": noise(1 - 1e-6)}.items():
        marks = a.marks(solved, here, change)
        if points(marks) != {test: everything[test] for test in here}:
            wrongly.append((label, {test: mark for test, mark in marks.items() if mark[1]}))

    marks = a.marks({})
    if {mark[:2] for mark in marks.values()} != {(0, "NotImplementedError")}:
        wrongly.append(("released", marks))

    for exercise in a.exercises:  # no test needs another exercise's answer
        own = a.tests_of(exercise)
        marks = a.marks({exercise: a.code[exercise]}, here)
        if points(marks) != {test: everything[test] if test in own else 0 for test in here}:
            wrongly.append((f"only {exercise}", marks))

        for label, source in a.right[exercise].items():
            marks = a.marks({exercise: source}, own)
            if any(error for _, error, _ in marks.values()):
                wrongly.append((f"{exercise}: right, {label}", marks))

        for label, wrong in a.wrong[exercise].items():
            marks = a.marks({exercise: wrong.code}, own)
            lost = [test for test in own if not marks[test][0]]
            said = [marks[test][2] for test in lost]
            told = any(wrong.says in message for message in said)
            leaked = [line for line in solution_lines(a.code[exercise]) if any(line in message for message in said)]
            if lost != (wrong.loses or own) or not told or leaked or not wrong.says:
                wrongly.append((f"{exercise}: wrong, {label}", wrong.says, leaked, marks))
    report = "\n".join(map(str, wrongly))
    assert not wrongly, f"{len(wrongly)} answers of {name} are not marked as they should be:\n{report}"


@pytest.mark.slow
@pytest.mark.skipif(not isolation.missing(), reason="the runner's own test runs it, see test_grade_assignments.py")
@pytest.mark.parametrize("name", NAMES)
def test_solved_notebook_runs(name):
    """With every answer in place the cells that show them run too."""
    space = {"__name__": "__main__", "display": lambda *_: None}
    for cell in load(name).notebook.cells:
        if is_code(cell) and not marked(cell):
            run(cell.source, space)
