"""What has submissions graded again: whatever can change a mark, and nothing else."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_course as tiny
from nbformat.v4 import new_code_cell, new_notebook

from collector import Submission
from grader import course as courses
from grader import fingerprint
from sandbox.packages import PACKAGES

NAMES = set(courses.assignments(courses.ASSIGNMENTS))


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """Copies of the course's packages, to be edited."""
    folder = tmp_path_factory.mktemp("packages")
    with pytest.MonkeyPatch.context() as patch:
        for name, path in PACKAGES.items():
            shutil.copytree(path, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            patch.setitem(PACKAGES, name, folder / name)
        yield folder
    fingerprint.of_imports.cache_clear()


def marks(*cells: str) -> dict[str, str]:
    """Assignment -> fingerprint of a submission with these cells, as a new call of the grader finds it."""
    fingerprint.of_imports.cache_clear()
    notebook = new_notebook(cells=[new_code_cell(cell, id=f"cell-{k}") for k, cell in enumerate(cells)])
    submissions = [Submission("anna", name, notebook) for name in NAMES]
    return {s.assignment: fingerprint.of_mark(courses.ASSIGNMENTS, s) for s in submissions}


unedited = functools.cache(marks)  # each test leaves the copies as they were


def regraded(path, *cells: str) -> set[str]:
    """The assignments whose fingerprint changes when a line is added to the file."""
    before = unedited(*cells)
    old = path.read_bytes()
    path.write_bytes(old + b"\n# edited\n")
    try:
        after = marks(*cells)
    finally:
        path.write_bytes(old)
    return {name for name in NAMES if before[name] != after[name]}


@pytest.mark.parametrize("path", ["cam_explorer/__init__.py", "cam_helpers/units/__init__.py"])
def test_what_no_cell_imports_has_nothing_graded_again(packages, path):
    assert regraded(packages / path) == set()


@pytest.mark.parametrize(
    "path, expected",
    [
        ("cam_helpers/boxes.py", {"boxes_and_scores"}),
        ("cam_helpers/devices.py", {"pooling_matters"}),  # cells import training, and training imports it
        ("cam_helpers/training/__init__.py", {"pooling_matters"}),
        ("drawn_world/radiograph.py", NAMES),
        ("drawn_world/recipes/objects.yaml", NAMES),
    ],
)
def test_what_cells_import_directly_or_through_others_has_them_graded_again(packages, path, expected):
    assert regraded(packages / path) >= expected


def test_training_is_not_part_of_an_assignment_that_never_trains(packages):
    assert "pooling_and_maps" not in regraded(packages / "cam_helpers/training/__init__.py")


@pytest.mark.parametrize(
    "cell",
    [
        "from cam_explorer import Settings",
        "%matplotlib inline\nimport cam_explorer as e",
        "def f():\n    from cam_explorer import (  # later\n        Explorer,\n    )",
    ],
)
def test_what_a_student_imports_counts_for_that_student(packages, cell):
    assert regraded(packages / "cam_explorer/__init__.py", "x = (", cell) == NAMES


def test_an_added_import_is_followed(packages):
    boxes = packages / "cam_helpers" / "boxes.py"
    units = packages / "cam_helpers" / "units" / "__init__.py"
    old = boxes.read_bytes()
    assert units not in fingerprint.imported_files("import cam_helpers.boxes")
    boxes.write_bytes(old + b"\nfrom . import units\n")
    assert units in fingerprint.imported_files("import cam_helpers.boxes")
    boxes.write_bytes(old)


def test_a_seed_the_source_the_settings_and_the_answer_count(tmp_path, monkeypatch):
    course = tiny.make(tmp_path / "course")
    monkeypatch.delenv("CAM_HIDDEN_SEED", raising=False)

    def now(answer: str = tiny.DOUBLE, *settings) -> str:
        notebook = new_notebook(cells=[new_code_cell(answer, id="cell-1")])
        return fingerprint.of_mark(course, Submission("anna", tiny.NAME, notebook), *settings)

    seen = [now()]
    assert now() == seen[0]
    seen += [now("def double(x):\n    return 2 * x"), now(tiny.DOUBLE, "other limits")]
    monkeypatch.setenv("CAM_HIDDEN_SEED", "2027")
    seen.append(now())
    for path in (course / "nbgrader_config.py", course / "source" / tiny.NAME / f"{tiny.NAME}.ipynb"):
        path.write_text(path.read_text().replace("YOUR", "NO") + " " * 3)
        seen.append(now())
    assert len(set(seen)) == len(seen)


def test_the_answers_beside_the_source_change_nothing(tmp_path):
    course = tiny.make(tmp_path / "course")
    submission = Submission("a", tiny.NAME, new_notebook())
    before = fingerprint.of_mark(course, submission)
    (course / "source" / tiny.NAME / "answers.yaml").write_text("wrong: {}")
    assert fingerprint.of_mark(course, submission) == before


def test_every_module_that_runs_a_notebook_counts():
    code = "import sys, grader.worker, grader.feedback\nfor name, module in [*sys.modules.items()]:\n"
    code += "    if name.partition('.')[0] in ('grader', 'sandbox'): print(module.__file__)"
    run = {"cwd": courses.ASSIGNMENTS, "capture_output": True, "text": True, "check": True}
    said = subprocess.run([sys.executable, "-c", code], **run)
    loaded = {Path(line).relative_to(courses.ASSIGNMENTS).as_posix() for line in said.stdout.splitlines()}
    counted = {path for files in fingerprint.RUNNING for path in courses.ASSIGNMENTS.glob(files)}
    counted = {path.relative_to(courses.ASSIGNMENTS).as_posix() for path in counted}
    assert loaded - counted == {"grader/__init__.py"}  # it decides nothing
    assert counted - loaded == {"grader/feedback.html.j2", "sandbox/kernel.py"}  # read as text
