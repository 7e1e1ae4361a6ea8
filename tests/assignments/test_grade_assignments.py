"""Each assignment through the runner: the reference solution gets all points, the unanswered notebook none."""

from __future__ import annotations

import os

import nbformat
import pytest

from class_list.table import read_table
from grader import course as courses
from grader import runner
from sandbox import isolation

COURSE = courses.ASSIGNMENTS
SHORT = ("pooling_and_maps", "boxes_and_scores", "discover_a_pattern")  # 30 s a submission; those that train take 180
pytestmark = pytest.mark.slow


def cells(course, student: str, name: str) -> list:
    return nbformat.read(course / "autograded" / student / name / f"{name}.ipynb", 4).cells


def errors(cell) -> list[str]:
    return [f"{o.ename}: {o.evalue}" for o in cell.get("outputs", []) if o.output_type == "error"]


def is_test(cell) -> bool:
    facts = cell.metadata.get("nbgrader", {})
    return bool(facts.get("grade")) and not facts.solution


@pytest.mark.skipif(bool(isolation.missing()), reason="bubblewrap does not work here")
@pytest.mark.parametrize("name", courses.assignments(COURSE))
def test_the_reference_gets_all_points_and_no_answer_none(name, tmp_path):
    course, folder = tmp_path / "course", tmp_path / "submissions"
    (course / "source").mkdir(parents=True)
    (course / "source" / name).symlink_to(COURSE / "source" / name)
    (course / "nbgrader_config.py").write_bytes((COURSE / "nbgrader_config.py").read_bytes())
    made = courses.prepare(course, name, tmp_path / "made")
    source = [cell for cell in courses.source(course, name).cells if "nbgrader" in cell.metadata]
    answers = {cell.metadata.nbgrader.grade_id: cell.source for cell in source}
    for student in ("reference", "released"):
        notebook = nbformat.read(made / "release" / name / f"{name}.ipynb", 4)
        for cell in notebook.cells:
            facts = cell.metadata.get("nbgrader", {})
            if student == "reference" and facts.get("solution") and not facts.grade:
                cell.source = answers[facts.grade_id]
        (folder / student).mkdir(parents=True)
        nbformat.write(notebook, folder / student / f"{name}.ipynb")
    side_by_side = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1)) > 1
    table = runner.grade(folder, course, workers=1 if side_by_side else None)
    rows = {row["student"]: row for row in read_table(table)}
    print(f"\n{name}: {rows['reference']['seconds']} s answered, {rows['released']['seconds']} s not")

    answered, empty = cells(course, "reference", name), cells(course, "released", name)
    assert {cell.metadata.nbgrader.grade_id: errors(cell) for cell in answered if errors(cell)} == {}
    points = sum(cell.metadata.nbgrader.points for cell in source if is_test(cell))
    assert float(rows["reference"]["points"]) == points > 0
    assert {row["reason"] + row["notes"] for row in rows.values()} == {""}

    assert float(rows["released"]["points"]) == 0
    assert all(errors(cell) for cell in empty if is_test(cell))
    assert {words.partition(":")[0] for cell in empty for words in errors(cell)} == {"NotImplementedError"}

    # on a core of its own; a machine that does other things at the same time is slower
    busy = max(1.0, 2 * os.getloadavg()[0] / os.cpu_count())
    assert float(rows["reference"]["seconds"]) <= busy * (30 if name in SHORT else 180)


@pytest.mark.parametrize("name", courses.assignments(COURSE))
def test_the_guide_knows_the_assignment_and_has_a_rubric_for_it(name):
    guide = (COURSE / "README.md").read_text(encoding="utf-8")
    assert f"| `{name}` |" in guide and f"(rubrics/{name}.md)" in guide
    assert (COURSE / "rubrics" / f"{name}.md").is_file()
