"""The assignments themselves through the runner: the reference solutions get all points, unanswered notebooks none."""

from __future__ import annotations

import csv
import os

import nbformat
import pytest
from conftest import ROOT

from cam_helpers.grading import course as courses
from cam_helpers.grading import isolation, runner

COURSE = ROOT / "notebooks" / "assignments"
NAMES = courses.assignments(COURSE)
SECONDS = dict.fromkeys(("pooling_and_maps", "boxes_and_scores", "discover_a_pattern"), 30)  # the others: 180
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not NAMES, reason="there are no assignments")]


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """Two students, one who answers all and one who answers nothing, in one call on as many cores as there are."""
    if isolation.missing():
        pytest.skip(isolation.missing())
    place = tmp_path_factory.mktemp("assignments")
    course, folder = place / "course", place / "submissions"
    course.mkdir()
    (course / "source").symlink_to(COURSE / "source")
    (course / "nbgrader_config.py").write_bytes((COURSE / "nbgrader_config.py").read_bytes())
    for name in NAMES:
        made = courses.prepare(course, name, place / "made" / name)
        for student in ("reference", "released"):
            notebook = nbformat.read(made / "release" / name / f"{name}.ipynb", 4)
            if student == "reference":
                answers = {
                    c.metadata.nbgrader.grade_id: c
                    for c in courses.source(course, name).cells
                    if "nbgrader" in c.metadata
                }
                for cell in notebook.cells:
                    facts = cell.metadata.get("nbgrader", {})
                    if facts.get("solution") and not facts.get("grade"):
                        cell.source = answers[facts.grade_id].source
            (folder / student).mkdir(parents=True, exist_ok=True)
            nbformat.write(notebook, folder / student / f"{name}.ipynb")
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT") or 0)
    table = runner.grade(folder, course, workers=1 if workers > 1 else None)
    with open(table, newline="") as file:
        rows = {(row["student"], row["assignment"]): row for row in csv.DictReader(file)}
    for key, row in rows.items():
        print(*key, row["seconds"], "s")
    return course, rows


def cells(course, student: str, name: str) -> list:
    return nbformat.read(course / "autograded" / student / name / f"{name}.ipynb", 4).cells


def errors(cell) -> list[str]:
    return [f"{o.ename}: {o.evalue}" for o in cell.get("outputs", []) if o.output_type == "error"]


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_solution_gets_all_points(graded, name):
    course, rows = graded
    row = rows["reference", name]
    failed = {c.metadata.nbgrader.grade_id: errors(c) for c in cells(course, "reference", name) if errors(c)}
    assert failed == {} and row["reason"] == row["notes"] == ""
    written = sum(
        c.metadata.nbgrader.points
        for c in courses.source(course, name).cells
        if c.metadata.get("nbgrader", {}).get("grade") and c.metadata.nbgrader.solution
    )
    assert float(row["points"]) == float(row["of"]) - written > 0


@pytest.mark.parametrize("name", NAMES)
def test_the_released_notebook_gets_none_and_fails_for_that_reason_only(graded, name):
    course, rows = graded
    assert float(rows["released", name]["points"]) == 0 and rows["released", name]["reason"] == ""
    said = {error.partition(":")[0] for cell in cells(course, "released", name) for error in errors(cell)}
    assert said == {"NotImplementedError"}
    tests = [c for c in cells(course, "released", name) if c.metadata.get("nbgrader", {}).get("grade")]
    assert all(errors(cell) for cell in tests if cell.cell_type == "code")


@pytest.mark.parametrize("name", NAMES)
def test_grading_takes_little_time(graded, name):
    assert float(graded[1]["reference", name]["seconds"]) <= SECONDS.get(name, 180)


@pytest.mark.parametrize("name", NAMES)
def test_the_guide_knows_the_assignment_and_has_a_rubric_for_it(name):
    guide = (COURSE / "README.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in guide and f"(rubrics/{name}.md)" in guide
    assert (COURSE / "rubrics" / f"{name}.md").is_file()
