"""What is made of what students hand in, before anything runs."""

from __future__ import annotations

import copy
import io
import tempfile
import unicodedata
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

import nbformat
import pytest
import tiny_course as tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_raw_cell

from class_list.people import People
from collector import names, submissions
from collector.cells import assemble, grade_id

PICTURE = {"image/png": "iVBORw0KGgo="}
RIGHT = {"double": tiny.DOUBLE, "largest": tiny.LARGEST}


def as_given_out() -> nbformat.NotebookNode:
    """The source with its hidden tests, and without its solutions."""
    notebook = tiny.source()
    for cell in notebook.cells:
        if "BEGIN SOLUTION" in cell.source:
            cell.source = "# YOUR CODE HERE\nraise NotImplementedError()"
    return notebook


SOURCES = {tiny.NAME: as_given_out()}


def collect(folder, scratch) -> dict[str, submissions.Submission]:
    return {s.student: s for s in People(folder).read(folder, SOURCES, scratch)}


def answered(**answers: str) -> nbformat.NotebookNode:
    return tiny.handed_in(SOURCES[tiny.NAME], double=tiny.DOUBLE, **answers)


def cell(notebook, name: str):
    return next(cell for cell in notebook.cells if grade_id(cell) == name)


def test_cells_of_the_course_without_a_name_are_read_over(tmp_path):
    given_out, notebook = copy.deepcopy(SOURCES[tiny.NAME]), tiny.handed_in(SOURCES[tiny.NAME], double=tiny.DOUBLE)
    for each in (given_out, notebook):
        each.cells[1:1] = [new_markdown_cell("Read this first."), new_code_cell("1 + 1")]
    (tmp_path / "in").mkdir()
    nbformat.write(notebook, tmp_path / "in" / "anna.ipynb")
    (submission,) = submissions.collect(tmp_path / "in", {tiny.NAME: given_out}, tmp_path)
    assert (submission.assignment, submission.reason, submission.answered) == (tiny.NAME, "", 1)


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
    made, notes = assemble(notebook, SOURCES[tiny.NAME])
    shown = page(made)
    assert notes == []
    assert ("data:image/png;base64,iVBORw0KGgo=" in shown) == (pasted == {"p.png": PICTURE})
    assert "missing:my%20picture.png" in shown


def test_a_written_answer_in_a_cell_of_another_kind_is_seen_by_a_person():
    notebook = answered(written_why="because")
    raw = nbformat.from_dict(notebook)
    cell(raw, "written-why").cell_type = "raw"
    made, notes = assemble(raw, SOURCES[tiny.NAME])
    assert (cell(made, "written-why").source, cell(made, "written-why").cell_type, notes) == ("because", "markdown", [])

    cell(raw, "written-why").metadata = {}  # JupyterLab's nbgrader takes the id from a raw cell
    made, notes = assemble(raw, SOURCES[tiny.NAME])
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
    assert student.student == "n" * 200 and len(student.notes) == 3600


# who it is from


def put(folder, name: str, notebook=None) -> None:
    folder.mkdir(exist_ok=True)
    nbformat.write(notebook or answered(), folder / f"{name}.ipynb")


@pytest.mark.parametrize(
    "names",
    [
        ("राम", "रिमा"),
        ("Groß", "Gross"),
        ("José", "Jose"),
        ("กำ", "กา"),
        ("רון", "רוֹן"),
        ("Ayşe", "Ayse"),
        ("a.b", "a-b"),
    ],
)
def test_different_names_are_different_students(tmp_path, names):
    for name in names:
        put(tmp_path / "handed in", name)
    found = collect(tmp_path / "handed in", tmp_path)
    assert set(found) == {unicodedata.normalize("NFC", name) for name in names}
    assert all(s.notebook and not s.reason + "".join(s.notes) for s in found.values())


@pytest.mark.parametrize("name", ["Jörg Weiß", "ÅSA", "한글", "राम"])
def test_a_name_is_the_same_however_its_letters_are_composed(tmp_path, name):
    for form in ("NFC", "NFD"):
        put(tmp_path / form, unicodedata.normalize(form, name))
    composed, decomposed = (list(collect(tmp_path / form, tmp_path)) for form in ("NFC", "NFD"))
    assert composed == decomposed == [name.replace(" ", "_")]


@pytest.mark.parametrize("name", ["=1+1 né", "-anna", "..", "a\nb", "a/b", "\u202ea", "a\0b", "_"])
def test_a_students_name_is_safe_in_a_path_a_table_and_a_command(name):
    student = names.by_name(Path("nowhere") / f"{name.replace('/', ':')}.zip")[0].student
    assert student and not student.startswith(("-", "=", ".", "+", "@")) and student.isprintable()
    assert not set(student) & set("/\\:\n\0 =+\u202e")


@pytest.mark.parametrize(
    "name",
    [
        "Anna Bo_12345_assignsubmission_file_", "Anna Bo_12345_assignsubmission_file",
        "Anna Bo_12345_assignsubmission_file_numbers.ipynb", "Anna Bo (2).ipynb", "Anna Bo.ipynb.txt",
        "Anna Bo.json", "Anna Bo.IPYNB",
        "Anna Bo_12345_67890_numbers-1.ipynb", "Anna Bo_LATE_12345_67890_numbers.ipynb",
    ],
)  # fmt: skip
def test_names_given_by_a_learning_platform_or_a_browser_lead_to_the_student(tmp_path, name):
    path = tmp_path / "handed in" / name
    path.parent.mkdir()
    if "." not in name:
        path.mkdir()
        path /= "numbers.ipynb"
    nbformat.write(answered(), path)
    (found,) = submissions.collect(tmp_path / "handed in", SOURCES, tmp_path)
    assert (found.student, found.assignment, found.reason) == ("Anna_Bo", tiny.NAME, "")


@pytest.mark.parametrize("ending", [".rar", ".7z", ".pdf", ".docx", ""])
def test_a_file_that_cannot_be_graded_is_a_line_of_its_student(tmp_path, ending):
    put(tmp_path / "handed in", "berta")
    (tmp_path / "handed in" / f"anna{ending}").write_bytes(b"?")
    found = collect(tmp_path / "handed in", tmp_path)
    assert set(found) == {"anna", "berta"}
    assert found["anna"].reason == f"anna{ending} is neither a notebook (.ipynb) nor a .zip or .tar"


def test_two_entries_of_one_student_are_graded_where_they_are_the_same_and_refused_where_not(tmp_path):
    folder = tmp_path / "handed in"
    put(folder, "anna")
    put(folder, "Anna (1)")
    (found,) = collect(folder, tmp_path).values()
    assert found.notebook and not found.reason
    put(folder, "Anna (1)", answered(largest=tiny.LARGEST))
    (found,) = collect(folder, tmp_path).values()
    assert found.notebook is None and found.assignment == tiny.NAME
    assert "2 submissions carry this name (Anna (1).ipynb, anna.ipynb)" in found.reason


SCRIPTS = {
    "Latin": "aäßéñøıq", "Greek": "αβσώ", "Cyrillic": "бёйї", "Armenian": "աբև", "Hebrew": "אבגּוֹ", "Arabic": "ابةعأَ",
    "Devanagari": "कमरिाी़", "Tamil": "கமரொி", "Thai": "กมำไ่", "Hangul": "한글가", "Han": "李王愛", "Ethiopic": "ሀለመ",
}  # fmt: skip
words = st.sampled_from(list(SCRIPTS.values())).flatmap(lambda letters: st.text(letters + "01", min_size=1, max_size=5))
people = st.lists(words, min_size=1, max_size=2).map(" ".join)
entries = st.tuples(
    people,
    st.sampled_from([str.lower, str.upper]),
    st.sampled_from(["NFC", "NFD"]),
    st.sampled_from(["", " (1)", "(2)"]),
    st.sampled_from([".ipynb", ".IPYNB", ".zip", "/"]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(entries, min_size=1, max_size=5))
def test_every_student_is_accounted_for_exactly_once(drawn):
    with tempfile.TemporaryDirectory() as scratch:
        folder, handed_in, taken = Path(scratch, "handed in"), defaultdict(dict), set()
        folder.mkdir()
        for k, (person, case, form, again, ending) in enumerate(drawn):
            name = unicodedata.normalize(form, case(person)) + again + ending
            on_any_disk = unicodedata.normalize("NFC", name).casefold()
            if on_any_disk not in taken:
                taken.add(on_any_disk)
                student = unicodedata.normalize("NFC", case(person)).lower()
                handed_in[student][name.strip("/")] = f"mine = {k}"
                write(folder, name, TEXT.replace("ANSWER", f"mine = {k}"))
        found = People(folder).read(folder, SOURCES, Path(scratch))

    for submission in found:
        answers = handed_in.pop(submission.student.lower().replace("_", " "))  # no student twice
        if len(answers) == 1:
            assert [cell(submission.notebook, "largest").source] == list(answers.values())
        else:
            assert submission.notebook is None and all(name in submission.reason for name in answers)
    assert handed_in == {}


TEXT = nbformat.writes(answered(largest="ANSWER"))


def write(folder, name: str, text: str | bytes) -> None:
    """One entry: a folder (`name/`), an archive or a notebook."""
    content = text.encode() if isinstance(text, str) else text
    if name.endswith("/"):
        (folder / name).mkdir()
        (folder / name / "numbers.ipynb").write_bytes(content)
    elif name.endswith(".zip"):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr("numbers.ipynb", content)
    else:
        (folder / name).write_bytes(content)


# which of their notebooks, and which of their cells


def zipped(**files) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content if isinstance(content, bytes) else nbformat.writes(content))
    return made.getvalue()


UNTOUCHED, RIGHT_ONE, HALF = SOURCES[tiny.NAME], tiny.handed_in(SOURCES[tiny.NAME], **RIGHT), answered()


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        ({"numbers.ipynb": UNTOUCHED, "numbers (1).ipynb": RIGHT_ONE}, "numbers (1).ipynb"),
        ({"numbers.ipynb": RIGHT_ONE, "numbers (1).ipynb": UNTOUCHED}, "numbers.ipynb"),
        ({"numbers.ipynb": HALF, "my solution.ipynb": RIGHT_ONE}, "my solution.ipynb"),
        ({"numbers.ipynb": UNTOUCHED, "a/b/numbers.ipynb": RIGHT_ONE}, "numbers.ipynb"),
        ({"numbers.ipynb": UNTOUCHED, "again.zip": zipped(**{"x.ipynb": RIGHT_ONE})}, "x.ipynb"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_of_several_notebooks_the_answered_one_is_graded(tmp_path, kind, files, taken):
    folder = tmp_path / "handed in"
    folder.mkdir()
    (folder / "anna.zip").write_bytes(zipped(**files))
    if kind == "folder":
        with zipfile.ZipFile(folder / "anna.zip") as archive:
            archive.extractall(folder / "anna")
        (folder / "anna.zip").unlink()
    (found,) = submissions.collect(folder, SOURCES, tmp_path)
    assert points(found.notebook) == 6
    assert found.notes[-1].startswith(f"taken: {taken}; left out: ")


def test_an_assignment_is_found_behind_any_number_of_other_notebooks(tmp_path):
    inside = tmp_path / "handed in" / "anna" / "course"
    inside.mkdir(parents=True)
    for k in range(120):
        nbformat.write(new_notebook(cells=[new_code_cell(f"{k}")]), inside / f"{k}.ipynb")
    put(inside / "zz", "zz", RIGHT_ONE)
    (found,) = submissions.collect(tmp_path / "handed in", SOURCES, tmp_path)
    assert points(found.notebook) == 6 and found.notes == ["the file was called zz.ipynb"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("name", ["numbers.ipynb", "P.IPYNB", "numbers.ipynb.txt", "numbers.json"])
def test_a_notebook_is_read_in_any_encoding_and_with_any_usual_ending(tmp_path, encoding, name):
    (tmp_path / "handed in" / "anna").mkdir(parents=True)
    text = nbformat.writes(answered(written_why="größer, 李"))
    (tmp_path / "handed in" / "anna" / name).write_bytes(text.encode(encoding))
    (found,) = submissions.collect(tmp_path / "handed in", SOURCES, tmp_path)
    assert cell(found.notebook, "written-why").source == "größer, 李" and not found.reason


def test_archives_in_archives_are_opened_and_hold_no_more_than_one_together(tmp_path, monkeypatch):
    large = zipped(**{"numbers.ipynb": RIGHT_ONE, "much": b" " * 6_000_000})
    monkeypatch.setattr(submissions, "LARGEST_ARCHIVE", 20_000_000)
    folder = tmp_path / "handed in"
    folder.mkdir()
    (folder / "anna.zip").write_bytes(zipped(**{f"{k}.zip": large for k in range(9)}))
    (folder / "berta.zip").write_bytes(zipped(**{"week 1/numbers.zip": zipped(**{"numbers.ipynb": RIGHT_ONE})}))
    found = collect(folder, tmp_path)
    assert points(found["anna"].notebook) == points(found["berta"].notebook) == 6
    assert sum("would unpack to more than" in note for note in found["anna"].notes) == 7
    assert sum(file.stat().st_size for file in tmp_path.rglob("much")) < 20_000_000


def points(notebook) -> float:
    """Points of the tests that pass when the cells run from top to bottom."""
    names, total = {}, 0
    for each in notebook.cells:
        facts = each.metadata.get("nbgrader", {"grade": False})
        if each.cell_type == "code":
            try:
                exec(each.source, names)
                total += facts["points"] if facts["grade"] else 0
            except Exception:
                continue
    return total


def changed(**answers: str) -> tuple[nbformat.NotebookNode, dict]:
    """A notebook with answers, and its cells by grade_id."""
    notebook = tiny.handed_in(SOURCES[tiny.NAME], **answers)
    return notebook, {each.metadata.nbgrader.grade_id: each for each in notebook.cells}


def copy_of(cell, source: str | None = None):
    new = copy.deepcopy(cell)
    new.source = cell.source if source is None else source
    return new


def copied_test_above():
    notebook, cells = changed(**RIGHT)
    for name in ("test-double", "test-largest-2", "task-largest"):
        notebook.cells.insert(2, copy_of(cells[name]))
    return notebook


def copied_test_at_the_end():
    notebook, cells = changed(**RIGHT)
    notebook.cells += [new_code_cell("del double"), copy_of(cells["test-double"]), copy_of(cells["set-up"])]
    return notebook


def answer_at_the_end():
    notebook, cells = changed(largest=tiny.LARGEST)
    notebook.cells.append(copy_of(cells["double"], tiny.DOUBLE))
    return notebook


def better_answer_below():
    notebook, cells = changed(largest=tiny.LARGEST, double="def double(x):\n    return 7")
    notebook.cells.insert(4, copy_of(cells["double"], tiny.DOUBLE))
    return notebook


def unanswered_copies():
    notebook, cells = changed(**RIGHT)
    for place in (4, 3):
        notebook.cells.insert(place, copy_of(cells["double"], UNTOUCHED.cells[3].source))
    notebook.cells.append(copy_of(cells["largest"], ""))
    return notebook


def split():
    notebook, cells = changed(largest=tiny.LARGEST, double="def twice(x):\n    return 2 * x")
    notebook.cells.insert(4, copy_of(cells["double"], "def double(x):\n    return twice(x)"))
    return notebook


def answer_and_test_at_the_end():
    notebook, cells = changed(largest=tiny.LARGEST)
    notebook.cells += [copy_of(cells["double"], tiny.DOUBLE), copy_of(cells["test-double"])]
    return notebook


def in_an_order_of_their_own():
    notebook, cells = changed(**RIGHT)
    moved = [cells[name] for name in ("largest", "test-largest")]
    notebook.cells = [each for each in notebook.cells if each not in moved]
    notebook.cells[2:2] = moved
    return notebook


COPIED = [
    copied_test_above, copied_test_at_the_end, answer_at_the_end, better_answer_below, unanswered_copies, split,
    answer_and_test_at_the_end, in_an_order_of_their_own,
]  # fmt: skip


@pytest.mark.parametrize("make", COPIED)
def test_copied_cells_cost_no_point(make):
    notebook = make()
    made, notes = assemble(notebook, SOURCES[tiny.NAME])
    assert points(made) == 6
    ids = [grade_id(each) for each in made.cells if grade_id(each)]
    assert sorted(ids) == sorted(map(grade_id, UNTOUCHED.cells))
    twice = {name for name, n in Counter(map(grade_id, notebook.cells)).items() if name and n > 1}
    assert {note.partition(" is there more than once")[0] for note in notes} == {f"cell id {name}" for name in twice}


@pytest.mark.parametrize("where", ["above", "below", "at the end", "first of two", "last of two"])
def test_a_written_answer_in_a_copied_cell_is_read(where):
    notebook, cells = changed(**RIGHT)
    written, stub = copy_of(cells["written-why"], "because"), cells["written-why"]
    others = {
        "above": [written, stub], "below": [stub, written], "at the end": [stub, new_code_cell("1"), written],
        "first of two": [written, stub, copy_of(stub)], "last of two": [copy_of(stub, "perhaps"), written],
    }  # fmt: skip
    notebook.cells[-1:] = others[where]
    made, _ = assemble(notebook, SOURCES[tiny.NAME])
    assert cell(made, "written-why").source == "because"
    assert ("perhaps" in [each.source for each in made.cells]) == (where == "last of two")


@pytest.mark.parametrize("kind", [new_markdown_cell, new_raw_cell])
@pytest.mark.parametrize("place", [-1, 99])
def test_a_person_looks_where_a_text_stands_beside_an_empty_written_part(kind, place):
    notebook, cells = changed(**RIGHT)
    notebook.cells.insert(place, kind("because"))
    made, _ = assemble(notebook, SOURCES[tiny.NAME])
    assert "The answer may stand in a cell beside it" in cell(made, "written-why").source
    far, cells = changed(**RIGHT)
    far.cells.insert(2, kind("a remark"))
    made, _ = assemble(far, SOURCES[tiny.NAME])
    assert cell(made, "written-why").source == cells["written-why"].source
