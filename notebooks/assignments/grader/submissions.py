"""What students handed in: who it is from, which assignment it answers, and the notebook that is run in its place."""

import re
import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

LARGEST_NOTEBOOK = 100e6  # bytes; a hundred times what an answer needs
LARGEST_ARCHIVE = 2 * 2**30  # bytes of its content
LONGEST_NAME = 60  # letters of a student's name
MOST_FILES = 50  # notebooks read for one student
ENDING = re.compile(r"(\.ipynb|\.zip|\.tgz|\.tar(\.\w+)?)$", flags=re.I)
ATTACHMENT = re.compile(r"attachment:([^)\s]*)")
COPY = re.compile(r"(^|/)(\.[^/]|__MACOSX/)")  # made by Jupyter and macOS


@dataclass
class Submission:
    """One notebook of one student, or the reason why there is none that can be run."""

    student: str
    assignment: str = "?"
    notebook: nbformat.NotebookNode | None = None
    reason: str = ""
    notes: list[str] = field(default_factory=list)


def collect(folder: Path, sources: dict[str, nbformat.NotebookNode], scratch: Path) -> list[Submission]:
    """Read a folder of archives, folders and notebooks, each named for its student.

    Args:
        folder: what students handed in
        sources: the instructor's notebook of each assignment
        scratch: a folder for what is unpacked

    Returns:
        list: one or more for each student; whatever is wrong with a submission is its `reason`
    """
    entries = defaultdict(list)
    for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
        stem = ENDING.sub("", path.name) if path.is_file() else path.name
        student = re.sub(r"[^\w.-]+", "_", stem).strip("._")[:LONGEST_NAME] or "nameless"
        entries[student.casefold()].append((student, path))
    found = []
    for same in entries.values():
        student, path = same[0]
        if len(same) > 1:
            names = ", ".join(plain(path.name) for _, path in same)
            reason = f"{len(same)} submissions carry this name ({names}); none was graded: keep one of them"
            found.append(Submission(student, reason=reason))
            continue
        try:
            found += _of_student(student, path, sources, scratch)
        except Exception as error:  # one student's files never stop the others' marks
            found.append(Submission(student, reason=f"cannot be read: {plain(error)}"))
    return found


def plain(text: object, most: int = 200) -> str:
    """A student's words (a file's name, an error) as one short printable line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= most else line[:most] + "…"


def _of_student(student: str, path: Path, sources: dict, scratch: Path) -> list[Submission]:
    if path.is_symlink():
        return [Submission(student, reason="a link, not a file")]
    notes = []
    if path.is_file() and path.suffix.lower() != ".ipynb":
        if not ENDING.search(path.name):
            return [Submission(student, reason=f"{plain(path.name)} is neither an archive nor a notebook")]
        from photo_sets.archives import unpack  # imports torch

        unpacked = scratch / student
        shutil.rmtree(unpacked, ignore_errors=True)
        try:
            problems = unpack(path, unpacked, max_bytes=LARGEST_ARCHIVE)
        except ValueError as error:
            reason = str(error).replace(str(path), path.name).partition(": ")[0]
            return [Submission(student, reason=plain(reason))]
        notes, path = [plain(f"left out of the archive: {problem.reason}") for problem in problems], unpacked
    files = (
        [path] if path.is_file() else [f for f in sorted(path.rglob("*.ipynb")) if f.is_file() and not f.is_symlink()]
    )
    files = [f for f in files if not COPY.search(f.relative_to(path).as_posix())]
    if not files:
        return [Submission(student, reason="no notebook (.ipynb) was handed in", notes=notes)]

    # of several notebooks for one assignment, take one that can be run, then one with the assignment's name
    found = defaultdict(list)
    for file in files[:MOST_FILES]:
        submission = _read(student, file, sources)
        rank = (bool(submission.reason), file.stem != submission.assignment, file.name)
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


def _read(student: str, file: Path, sources: dict) -> Submission:
    name = file.stem if file.stem in sources else "?"
    if file.stat().st_size > LARGEST_NOTEBOOK:
        return Submission(student, name, reason=f"{plain(file.name)} is larger than {LARGEST_NOTEBOOK / 1e6:.0f} MB")
    try:
        notebook = nbformat.reads(file.read_text(encoding="utf-8"), as_version=4)
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
    if file.stem not in (best, student):
        notes.insert(0, f"the file was called {plain(file.name)}")
    return Submission(student, best, assembled, notes=notes)


def assemble(handed_in, source) -> tuple[nbformat.NotebookNode, list[str]]:
    """Put the student's answers and own cells among the instructor's set-up, tests and points -> (notebook, notes).

    Cells are matched by their grade_id. The first of several counts; the others, and ids that the assignment does not
    have, run as plain cells. Locked cells that were deleted are put back in their place.
    """
    ours = {grade_id(cell): cell for cell in source.cells if grade_id(cell)}
    cells, notes, seen = [], [], set()
    for theirs in handed_in.cells:
        name = grade_id(theirs)
        if name in ours and name not in seen:
            seen.add(name)
            new = nbformat.from_dict(ours[name])
            if new.metadata.nbgrader.solution:
                new.source = str(theirs.source)
                _attach(new, theirs)
        else:
            if name:
                problem = "is there more than once; the first counts" if name in ours else "is not of this assignment"
                notes.append(f"cell id {plain(name, 40)} {problem}")
            make = nbformat.v4.new_code_cell if theirs.cell_type == "code" else nbformat.v4.new_markdown_cell
            new = make(str(theirs.source))
            _attach(new, theirs)
        if new.cell_type == "code":
            new.outputs, new.execution_count = [], None
        cells.append(new)

    # put back what was deleted, behind the last cell that comes before it in the assignment
    order = list(ours)
    for name in (name for name in order if name not in seen):
        meta = ours[name].metadata.nbgrader
        if meta.grade or not meta.solution:
            before = order[: order.index(name)]
            index = max((k + 1 for k, cell in enumerate(cells) if grade_id(cell) in before), default=0)
            back = nbformat.from_dict(ours[name])
            if meta.solution:  # a changed text, so that a person looks at it
                back.source += "\n\n(This cell was missing. The answer may stand in a cell beside it.)"
            cells.insert(index, back)
        if meta.grade or meta.solution:
            notes.append(f"cell {name} was missing" + (" and was put back" if meta.grade else ""))
    notebook = nbformat.v4.new_notebook(metadata={"kernelspec": source.metadata.get("kernelspec", {})})
    notebook.cells = [nbformat.from_dict(cell | {"id": f"cell-{k}"}) for k, cell in enumerate(cells)]
    return notebook, notes


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
