"""What students handed in: who it is from, which assignment it answers, and the notebook that is run in its place."""

import json
import re
import tempfile
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

from .cells import answers, assemble, grade_id, plain

LARGEST_NOTEBOOK = 100e6  # bytes; a hundred times what an answer needs
LARGEST_ARCHIVE = 2 * 2**30  # bytes of its content
LONGEST_NAME = 200  # bytes of a student's name
NOTEBOOK = re.compile(r"(\.ipynb(\.txt)?|\.json)$", flags=re.I)  # browsers and mail programs change the ending
ARCHIVE = re.compile(r"\.(zip|tgz|tar(\.\w+)?)$", flags=re.I)
ENDING = re.compile(r"(\.ipynb|\.tar)?\.\w+$", flags=re.I)  # of any file
DOWNLOADED_AGAIN = re.compile(r"\s*\(\d+\)$")  # browsers call a second download `NAME (1)`
# Moodle's NAME_123_assignsubmission_file_…, Canvas's NAME_LATE_12345_67890_…
EXPORTED = re.compile(r"^(.+?)(_LATE)?_(\d+_assignsubmission_[a-z]+(_.*)?|\d{4,}_\d{4,}_.*)$")


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
    released = {name: cell for cell in sources[best].cells if (name := grade_id(cell))}
    answered = {n for cell in notebook.cells if (n := grade_id(cell)) in released and answers(cell, released[n])}
    return Submission(student, best, assembled, notes=notes, answered=len(answered))
