"""What is made of what students hand in, before anything runs."""

from __future__ import annotations

import nbformat
import pytest
import tiny_course as tiny
from nbconvert import HTMLExporter
from nbformat.v4 import new_markdown_cell

from grader import submissions

PICTURE = {"image/png": "iVBORw0KGgo="}
SOURCES = {tiny.NAME: tiny.source()}


def collect(folder, scratch) -> dict[str, submissions.Submission]:
    return {s.student: s for s in submissions.collect(folder, SOURCES, scratch)}


def answered(**answers: str) -> nbformat.NotebookNode:
    return tiny.handed_in(SOURCES[tiny.NAME], double=tiny.DOUBLE, **answers)


def cell(notebook, grade_id: str):
    return next(cell for cell in notebook.cells if submissions.grade_id(cell) == grade_id)


def page(notebook) -> str:
    return HTMLExporter().from_notebook_node(notebook)[0]


@pytest.mark.parametrize("pasted", [{"p.png": PICTURE}, {}, None, {"p.png": {}}, ["p.png"], {"other.png": PICTURE}])
@pytest.mark.parametrize("own", [True, False], ids=["own cell", "answer"])
def test_a_pasted_picture_is_shown_and_a_missing_one_stops_nothing(own, pasted):
    notebook = answered(written_why='![see](attachment:p.png "a title") and ![](attachment:my%20picture.png)')
    if own:
        notebook.cells.append(new_markdown_cell(cell(notebook, "written-why").source))
    theirs = notebook.cells[-1] if own else cell(notebook, "written-why")
    if pasted is not None:
        theirs["attachments"] = pasted
    made, notes = submissions.assemble(notebook, SOURCES[tiny.NAME])
    shown = page(made)
    assert notes == []
    assert ("data:image/png;base64,iVBORw0KGgo=" in shown) == (pasted == {"p.png": PICTURE})
    assert "missing:my%20picture.png" in shown


def test_a_written_answer_in_a_cell_of_another_kind_is_seen_by_a_person():
    notebook = answered(written_why="because")
    raw = nbformat.from_dict(notebook)
    cell(raw, "written-why").cell_type = "raw"
    made, notes = submissions.assemble(raw, SOURCES[tiny.NAME])
    assert (cell(made, "written-why").source, cell(made, "written-why").cell_type, notes) == ("because", "markdown", [])

    cell(raw, "written-why").metadata = {}  # JupyterLab's nbgrader takes the id from a raw cell
    made, notes = submissions.assemble(raw, SOURCES[tiny.NAME])
    assert "because" in [cell.source for cell in made.cells]
    assert cell(made, "written-why").source != cell(SOURCES[tiny.NAME], "written-why").source
    assert notes == ["cell written-why was missing and was put back"]


def test_a_folder_with_a_notebooks_name_is_a_folder(tmp_path):
    folder = tmp_path / "handed in"
    inside = folder / "anna" / "numbers.ipynb"
    inside.mkdir(parents=True)
    nbformat.write(answered(), inside / "numbers.ipynb")
    (folder / "berta" / "numbers.ipynb").mkdir(parents=True)
    found = collect(folder, tmp_path)
    assert found["anna"].notebook and not found["anna"].reason
    assert "no notebook" in found["berta"].reason


def test_a_long_name_and_many_notes_stay_readable(tmp_path):
    folder = tmp_path / "handed in"
    folder.mkdir()
    notebook = answered()
    extra = [tiny.cell("code", f"mine-{k}", "1") for k in range(3600)]
    notebook.cells += extra
    nbformat.write(notebook, folder / f"{'n' * 200}.ipynb")
    (student,) = collect(folder, tmp_path).values()
    assert student.student == "n" * 60 and len(student.notes) == 3601
