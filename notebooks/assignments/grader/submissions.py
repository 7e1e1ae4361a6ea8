"""What students handed in: who it is from, which assignment it answers, and the notebook that is run in its place."""

import json
import re
import tempfile
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

LARGEST_NOTEBOOK = 100e6  # bytes; a hundred times what an answer needs
LARGEST_ARCHIVE = 2 * 2**30  # bytes of its content
LONGEST_NAME = 200  # bytes of a student's name
NOTEBOOK = re.compile(r"(\.ipynb(\.txt)?|\.json)$", flags=re.I)  # browsers and mail programs change the ending
ARCHIVE = re.compile(r"\.(zip|tgz|tar(\.\w+)?)$", flags=re.I)
ENDING = re.compile(r"(\.ipynb|\.tar)?\.\w+$", flags=re.I)  # of any file
DOWNLOADED_AGAIN = re.compile(r"\s*\(\d+\)$")  # browsers call a second download `NAME (1)`
# Moodle's NAME_123_assignsubmission_file_…, Canvas's NAME_LATE_12345_67890_…
EXPORTED = re.compile(r"^(.+?)(_LATE)?_(\d+_assignsubmission_[a-z]+(_.*)?|\d{4,}_\d{4,}_.*)$")
ATTACHMENT = re.compile(r"attachment:([^)\s]*)")
BESIDE = "\n\n(Nothing was written here. The answer may stand in a cell beside it.)"


@dataclass
class Submission:
    """One notebook of one student, or the reason why there is none that can be run."""

    student: str
    assignment: str = "?"
    notebook: nbformat.NotebookNode | None = None
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    answered: int = 0  # answers that differ from the released cells


def collect(folder: Path, sources: dict[str, nbformat.NotebookNode], scratch: Path) -> list[Submission]:
    """Read a folder of archives, folders and notebooks, each named for its student.

    Args:
        folder: what students handed in
        sources: the released notebook of each assignment
        scratch: a folder for what is unpacked

    Returns:
        list: one for each student and assignment; whatever is wrong with a submission is its `reason`
    """
    handed_in = defaultdict(list)
    names = {}  # as they are first written: Anna and anna are one student
    for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
        student = names.setdefault(_student(path).lower(), _student(path))
        try:
            submissions = _of_student(student, path, sources, scratch)
        except Exception as error:  # one student's files never stop the others' marks
            submissions = [Submission(student, reason=f"cannot be read: {plain(error)}")]
        for submission in submissions:
            handed_in[student, submission.assignment].append((plain(path.name), submission))
    found = []
    for (student, assignment), several in handed_in.items():
        submission = several[0][1]
        if any(other.notebook != submission.notebook for _, other in several):
            entries = ", ".join(entry for entry, _ in several)
            reason = f"{len(several)} submissions carry this name ({entries}); none was graded: keep one of them"
            submission = Submission(student, assignment, reason=reason)
        found.append(submission)
    return found


def plain(text: object, most: int = 200) -> str:
    """A student's words (a file's name, an error) as one short printable line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= most else line[:most] + "…"


def _stem(path: Path) -> str:
    """A name without its ending and without the number of a second download."""
    return DOWNLOADED_AGAIN.sub("", path.name if path.is_dir() else ENDING.sub("", path.name))


def _student(path: Path) -> str:
    """The student's name: letters, marks and digits of all scripts stay; what is not safe in a path becomes `_`."""
    name = unicodedata.normalize("NFC", EXPORTED.sub(r"\1", _stem(path)))
    name = "".join(c if c in ".-" or unicodedata.category(c)[0] in "LMN" else "_" for c in name)
    name = re.sub("_+", "_", name).encode()[:LONGEST_NAME].decode(errors="ignore")
    return name.strip("._-") or "nameless"


def _of_student(student: str, path: Path, sources: dict, scratch: Path) -> list[Submission]:
    if path.is_symlink():
        return [Submission(student, reason="a link, not a file")]
    if path.is_file() and not (NOTEBOOK.search(path.name) or ARCHIVE.search(path.name)):
        return [Submission(student, reason=f"{plain(path.name)} is neither a notebook (.ipynb) nor a .zip or .tar")]
    files, notes = _notebooks(path, scratch)
    if not files:
        reason, *notes = notes or ["no notebook (.ipynb) was handed in"]
        return [Submission(student, reason=reason, notes=notes)]

    # of several notebooks for one assignment: one that can be run, the most answers, the assignment's name
    found = defaultdict(list)
    for file in files:
        submission = _read(student, file, sources)
        rank = (bool(submission.reason), -submission.answered, file.stem != submission.assignment, file.name)
        found[submission.assignment].append((rank, submission))
    chosen = []
    for assignment, ranked in found.items():
        if assignment == "?" and len(found) > 1:
            continue
        (first, submission), *others = sorted(ranked, key=lambda pair: pair[0])
        submission.notes += notes
        if others and assignment != "?":
            left_out = ", ".join(name for (*_, name), _ in others)
            submission.notes.append(f"taken: {plain(first[-1])}; left out: {plain(left_out)}")
        chosen.append(submission)
    return chosen


def _notebooks(path: Path, scratch: Path) -> tuple[list[Path], list[str]]:
    """All notebooks in a folder or an archive, also in archives inside -> (files, notes on what was left out)."""
    files, notes, todo, space = [], [], [path], LARGEST_ARCHIVE
    while todo:
        path = todo.pop()
        if path.is_dir():
            hidden = (".", "__MACOSX")  # copies made by Jupyter and macOS
            inside = [p for p in path.iterdir() if not p.is_symlink() and not p.name.startswith(hidden)]
            todo += [p for p in inside if p.is_dir() or p.is_file()]
        elif NOTEBOOK.search(path.name):
            files.append(path)
        elif ARCHIVE.search(path.name):
            from photo_sets.archives import unpack  # imports torch

            unpacked = Path(tempfile.mkdtemp(dir=scratch), "unpacked")
            try:
                problems = unpack(path, unpacked, max_bytes=space)
            except ValueError as error:
                notes.append(plain(str(error).replace(str(path), path.name).partition(": ")[0]))
                continue
            notes += [plain(f"left out of the archive: {problem.reason}") for problem in problems]
            space -= 2**20 + sum(p.stat().st_size for p in unpacked.rglob("*"))  # some archives hold themselves
            todo.append(unpacked)
    return sorted(files), notes


def _read(student: str, file: Path, sources: dict) -> Submission:
    name = _stem(file) if _stem(file) in sources else "?"
    if file.stat().st_size > LARGEST_NOTEBOOK:
        return Submission(student, name, reason=f"{plain(file.name)} is larger than {LARGEST_NOTEBOOK / 1e6:.0f} MB")
    try:
        content = json.loads(file.read_bytes())  # finds the encoding: UTF-8 or UTF-16, with or without a mark
        notebook = nbformat.reads(json.dumps(content), as_version=4)
        ids = {grade_id(cell) for cell in notebook.cells} - {None}
        common = {name: len(ids & {grade_id(cell) for cell in source.cells}) for name, source in sources.items()}
        best = max(common, key=lambda each: (common[each], each == name), default="?")
        if not any(str(cell.source).strip() for cell in notebook.cells):
            return Submission(student, name, reason=f"{plain(file.name)} is empty")
        if not common.get(best):
            problem = "has no cell of the assignment" if name != "?" else "is not a notebook of this course"
            return Submission(student, name, reason=f"{plain(file.name)} {problem}")
        assembled, notes = assemble(notebook, sources[best])
        nbformat.writes(assembled).encode()  # fails for half a character, which no file can hold
    except Exception as error:  # damaged files make the readers raise all kinds of errors
        return Submission(student, name, reason=f"{plain(file.name)} is damaged: {plain(error)}")
    if _stem(file) != best and _student(file) != student:
        notes.insert(0, f"the file was called {plain(file.name)}")
    released = {grade_id(cell): cell for cell in sources[best].cells}
    answers = {n for cell in notebook.cells if (n := grade_id(cell)) in released and _answers(cell, released[n])}
    return Submission(student, best, assembled, notes=notes, answered=len(answers))


def assemble(handed_in, source) -> tuple[nbformat.NotebookNode, list[str]]:
    """Put the student's answers and own cells among the instructor's set-up, tests and points -> (notebook, notes).

    Cells are matched by their grade_id and stay in the student's order. Of several answers with one id the last
    counts; they stand together, where the first copy stood. Of other copies, the first behind the answer before it
    counts; the rest, and ids that the assignment does not have, run as plain cells. Deleted tests are put back.
    """
    ours = {grade_id(cell): cell for cell in source.cells if grade_id(cell)}
    theirs, copies = handed_in.cells, defaultdict(list)
    for place, cell in enumerate(theirs):
        copies[grade_id(cell)].append(place)
    own = [place for name, places in copies.items() if name not in ours for place in places]
    texts = {place for place in own if theirs[place].cell_type != "code" and str(theirs[place].source).strip()}
    unknown = [name for name in copies if name and name not in ours]
    notes = [f"cell id {plain(name, 40)} is not of this assignment" for name in unknown]

    placed = [(place, _plain_cell(theirs[place])) for place in own]
    behind = answer = -1  # places of the last of our cells and of the last answer so far
    for name, released in ours.items():
        new, facts, found = nbformat.from_dict(released), released.metadata.nbgrader, copies[name]
        if not found and (facts.grade or facts.solution):
            notes.append(f"cell {name} was missing" + (" and was put back" if facts.grade else ""))
            if not facts.grade:
                continue
        place, chosen, others = _choose(released, found, theirs, answer) if found else (behind, None, [])
        placed += [(where, _plain_cell(theirs[other])) for where, other in others]
        if found and facts.solution:
            answer, new.source = place, str(theirs[chosen].source)
            _attach(new, theirs[chosen])
        if len(found) > 1:
            counts = "; the last answer counts" if facts.solution else ""
            notes.append(f"cell id {name} is there more than once{counts}")
        unwritten = facts.grade and facts.solution and not _answers(new, released)
        if unwritten and (not found or texts & {place - 1, place + 1}):
            new.source += BESIDE  # a changed text, so that a person looks at it
        placed.append((place, new))
        behind = max(behind, place)
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": source.metadata.get("kernelspec", {})})
    cells = [cell for _, cell in sorted(placed, key=lambda pair: pair[0])]
    notebook.cells = [nbformat.from_dict(cell | {"id": f"cell-{k}"}) for k, cell in enumerate(cells)]
    return notebook, notes


def _choose(released, found: list[int], theirs: list, answer: int) -> tuple[int, int, list[tuple[int, int]]]:
    """Of the copies of a cell -> its place, the copy that counts, and (place, copy) of those that run as plain cells.

    found: where the copies stand among their cells; answer: where the answer before it stands
    """
    if released.metadata.nbgrader.solution:
        *earlier, last = [copy for copy in found if _answers(theirs[copy], released)] or found[:1]
        return found[0], last, [(found[0], copy) for copy in earlier]
    behind = next((copy for copy in found if copy > answer), found[0])
    return behind, behind, [(copy, copy) for copy in found if copy != behind]


def _answers(cell, released) -> bool:
    """Whether an answer cell holds something else than what was given out."""
    words = str(cell.source).split()
    return bool(released.metadata.nbgrader.solution and words and words != released.source.split())


def _plain_cell(theirs) -> nbformat.NotebookNode:
    make = nbformat.v4.new_code_cell if theirs.cell_type == "code" else nbformat.v4.new_markdown_cell
    cell = make(str(theirs.source))
    _attach(cell, theirs)
    return cell


def _attach(new, theirs) -> None:
    """Give a Markdown cell the pictures that were pasted into it; a picture that is missing is named in its place."""
    if new.cell_type == "markdown":
        pasted = theirs.get("attachments")
        pasted = pasted if isinstance(pasted, dict) else {}
        new.attachments = {name: data for name, data in pasted.items() if isinstance(data, dict) and data}
        new.source = ATTACHMENT.sub(
            lambda found: found[0] if found[1] in new.attachments else f"missing:{found[1]}", new.source
        )


def grade_id(cell) -> str | None:
    """nbgrader's name of a cell; None if it has none."""
    name = (cell.metadata.get("nbgrader") or {}).get("grade_id")
    return name if isinstance(name, str) and name else None
