"""What students handed in: who it is from, which assignment it answers, and the notebook that is run in its place."""

import contextlib
import json
import os
import re
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import nbformat

from .cells import answers, assemble, grade_id, plain
from .names import Person, by_name, stem

LARGEST_NOTEBOOK = 100e6  # bytes; a hundred times what an answer needs
LARGEST_ARCHIVE = 2 * 2**30  # bytes of its content
NOTEBOOK = re.compile(r"(\.ipynb(\.txt)?|\.json)$", flags=re.I)  # browsers and mail programs change the ending
ARCHIVE = re.compile(r"\.(zip|tgz|tar(\.\w+)?)$", flags=re.I)


@dataclass
class Submission:
    """One notebook of one student, or the reason why there is none that can be run."""

    student: str
    assignment: str = "?"
    notebook: nbformat.NotebookNode | None = None
    reason: str = ""
    notes: list[str] = field(default_factory=list)
    answered: int = 0  # answers that differ from the released cells
    saved: datetime | None = None  # date of the file, local time
    person: Person | None = None
    entry: str = ""  # name of the file or folder


def collect(
    folder: Path, sources: dict, scratch: Path, identify: Callable[[Path], list[Person]] = by_name
) -> list[Submission]:
    """Read a folder of archives, folders and notebooks, each named for its student.

    Args:
        folder: what students handed in
        sources: the released notebook of each assignment
        scratch: a folder for what is unpacked
        identify: who an entry is from; from nobody: it is left out

    Returns:
        list: one for each entry, student and assignment; whatever is wrong with a submission is its `reason`
    """
    found = []
    names = {}  # as they are first written: Anna and anna are one student
    for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
        for person in identify(path):
            student = names.setdefault(person.student.lower(), person.student)
            try:
                submissions = of_entry(student, path, sources, scratch)
            except Exception as error:  # one student's files never stop the others' marks
                submissions = [Submission(student, reason=f"cannot be read: {plain(error)}")]
            for submission in submissions:
                submission.person, submission.entry = person, path.name
                submission.notes += [person.note] if person.note else []
            found += submissions
    return found


def of_entry(student: str, path: Path, sources: dict, scratch: Path) -> list[Submission]:
    """What is in a file or folder: one submission for each assignment.

    Args:
        student: whom it is from
        path: a notebook, an archive or a folder
        sources: name of an assignment -> the released notebook
        scratch: folder for what is unpacked
    """
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
        expected = submission.assignment in (stem(file), "?") or by_name(file)[0].student == student
        if file != path and not expected:
            submission.notes.insert(0, f"the file was called {plain(file.name)}")
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
            _keep_dates(path, unpacked)
            notes += [plain(f"left out of the archive: {problem.reason}") for problem in problems]
            space -= 2**20 + sum(p.stat().st_size for p in unpacked.rglob("*"))  # some archives hold themselves
            todo.append(unpacked)
    return sorted(files), notes


def _keep_dates(archive: Path, folder: Path) -> None:
    """Give the files of an unpacked zip the dates that it holds (a tar's have them)."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            dates = {member.filename.replace("\\", "/"): member.date_time for member in opened.infolist()}
        for file in folder.rglob("*"):
            with contextlib.suppress(KeyError, ValueError):  # a zip may hold the month 0
                seconds = datetime(*dates[file.relative_to(folder).as_posix()]).timestamp()
                os.utime(file, (seconds, seconds))


def _read(student: str, file: Path, sources: dict) -> Submission:
    name = stem(file) if stem(file) in sources else "?"
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
    released = {name: cell for cell in sources[best].cells if (name := grade_id(cell))}
    answered = {n for cell in notebook.cells if (n := grade_id(cell)) in released and answers(cell, released[n])}
    saved = datetime.fromtimestamp(file.stat().st_mtime)
    return Submission(student, best, assembled, notes=notes, answered=len(answered), saved=saved)
