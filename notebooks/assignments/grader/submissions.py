"""What students handed in: whose it is, which assignment it answers, and the notebook that is run in its place."""

from __future__ import annotations

import re
import shutil
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

LARGEST = 100e6  # bytes of a notebook; a hundredfold of what an answer needs
ARCHIVE = 2 * 2**30  # bytes of what an archive holds
ENDING = re.compile(r"(\.ipynb|\.zip|\.tgz|\.tar(\.\w+)?)$", flags=re.I)
SKIP = re.compile(r"(^|/)(\.|__MACOSX/)")  # copies that Jupyter and macOS make


@dataclass
class Submission:
    """One notebook of one student; where there is none that can be run, the reason."""

    student: str
    assignment: str = "?"
    notebook: nbformat.NotebookNode | None = None
    reason: str = ""
    notes: list[str] = field(default_factory=list)


def collect(folder: Path, sources: dict[str, nbformat.NotebookNode], room: Path) -> list[Submission]:
    """Read a folder of archives, folders and notebooks, each named for its student. Nothing raises: see `reason`.

    sources: the instructor's notebook of each assignment. room: a folder for what is unpacked.
    """
    entries = defaultdict(list)
    for path in sorted(p for p in folder.iterdir() if not p.name.startswith(".")):
        stem = ENDING.sub("", path.name) if path.is_file() else path.name
        student = re.sub(r"[^\w.-]+", "_", stem).strip("._") or "nameless"
        entries[student.casefold()].append((student, path))
    found = []
    for same in entries.values():
        if len(same) > 1:
            names = ", ".join(plain(path.name) for _, path in same)
            reason = f"{len(same)} submissions carry this name ({names}); none was graded: keep one of them"
            found.append(Submission(same[0][0], reason=reason))
            continue
        try:
            found += _entry(*same[0], sources, room)
        except Exception as error:
            found.append(Submission(same[0][0], reason=f"cannot be read: {plain(error)}"))
    return found


def plain(words: object, most: int = 200) -> str:
    """A student's words (a file's name, an error) as one short printable line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(words)).split())
    return line if len(line) <= most else line[:most] + "…"


def _entry(student: str, path: Path, sources: dict, room: Path) -> list[Submission]:
    notes = []
    if path.is_symlink():
        return [Submission(student, reason="a link, not a file")]
    if path.is_file() and path.suffix.lower() != ".ipynb":
        if not ENDING.search(path.name):
            return [Submission(student, reason=f"{plain(path.name)} is neither an archive nor a notebook")]
        from ..datasets.archives import unpack  # brings torch

        target = room / student
        shutil.rmtree(target, ignore_errors=True)
        try:
            problems = unpack(path, target, max_bytes=ARCHIVE)
        except ValueError as error:
            words = str(error).replace(str(path), path.name).partition(": ")[0]
            return [Submission(student, reason=plain(words))]
        notes, path = [plain(f"left out of the archive: {problem.reason}") for problem in problems], target
    files = [path] if path.is_file() else sorted(path.rglob("*.ipynb"))
    inside = path.parent if path.is_file() else path
    files = [f for f in files if not SKIP.search(f.relative_to(inside).as_posix()) and not f.is_symlink()]
    if not files:
        return [Submission(student, reason="no notebook (.ipynb) was handed in", notes=notes)]
    read = defaultdict(list)
    for file in files[:50]:
        submission = _read(student, file, sources)
        read[submission.assignment].append((file.stem != submission.assignment, file.name, submission))
    chosen = []
    for assignment, several in read.items():
        several.sort(key=lambda item: (bool(item[2].reason), item[0], item[1]))
        first = several[0][2]
        first.notes += notes
        if len(several) > 1 and assignment != "?":
            first.notes.append(
                f"taken: {plain(several[0][1])}; left out: {plain(', '.join(n for _, n, _ in several[1:]))}"
            )
        if assignment != "?" or len(read) == 1:
            chosen.append(first)
    return chosen


def _read(student: str, file: Path, sources: dict) -> Submission:
    stem = file.stem if file.stem in sources else "?"
    if file.stat().st_size > LARGEST:
        return Submission(student, stem, reason=f"{plain(file.name)} is larger than {LARGEST / 1e6:.0f} MB")
    try:
        notebook = nbformat.reads(file.read_text(encoding="utf-8"), as_version=4)
        ids = {grade_id(cell) for cell in notebook.cells} - {None}
        known = {name: len(ids & {grade_id(cell) for cell in source.cells}) for name, source in sources.items()}
        best = max(known, key=lambda name: (known[name], name == stem), default="?")
        if not any(str(cell.source).strip() for cell in notebook.cells):
            return Submission(student, stem, reason=f"{plain(file.name)} is empty")
        if not known.get(best):
            words = "has no cell of the assignment" if stem != "?" else "is not a notebook of this course"
            return Submission(student, stem, reason=f"{plain(file.name)} {words}")
        made, notes = assemble(notebook, sources[best])
        nbformat.writes(made).encode()  # half a character cannot be written
    except Exception as error:  # whatever a damaged file makes the readers say
        return Submission(student, stem, reason=f"{plain(file.name)} is not a whole notebook: {plain(error)}")
    if file.stem not in (best, student):
        notes.insert(0, f"the file was called {plain(file.name)}")
    return Submission(student, best, made, notes=notes)


def assemble(handed_in, source) -> tuple[nbformat.NotebookNode, list[str]]:
    """The student's answers and own cells among the instructor's set-up, tests and points -> (notebook, notes).

    Cells are matched by their grade_id. The first of several counts as the cell; the others, and ids that the
    assignment does not have, run as plain cells. Locked cells that were deleted are put back in their place.
    """
    ours = {grade_id(cell): cell for cell in source.cells if grade_id(cell)}
    order, cells, notes, seen = list(ours), [], [], set()
    for theirs in handed_in.cells:
        name = grade_id(theirs)
        if name in ours and name not in seen:
            seen.add(name)
            new = nbformat.from_dict(ours[name])
            if new.metadata.nbgrader.solution:
                new.source = str(theirs.source)
                if new.cell_type == "markdown" and theirs.get("attachments"):
                    new.attachments = theirs.attachments
        else:
            if name:
                what = "is there more than once; the first counts" if name in ours else "is not of this assignment"
                notes.append(f"cell id {plain(name, 40)} {what}")
            make = nbformat.v4.new_code_cell if theirs.cell_type == "code" else nbformat.v4.new_markdown_cell
            new = make(str(theirs.source))
        if new.cell_type == "code":
            new.outputs, new.execution_count = [], None
        cells.append(new)
    for name in [name for name in order if name not in seen]:
        meta = ours[name].metadata.nbgrader
        if meta.grade or not meta.solution:
            before = order[: order.index(name)]
            index = max((k + 1 for k, cell in enumerate(cells) if grade_id(cell) in before), default=0)
            cells.insert(index, nbformat.from_dict(ours[name]))
        if meta.grade or meta.solution:
            notes.append(f"cell {name} was missing" + (" and was put back" if meta.grade else ""))
    made = nbformat.v4.new_notebook(metadata={"kernelspec": source.metadata.get("kernelspec", {})})
    made.cells = [nbformat.from_dict(cell | {"id": f"cell-{k}"}) for k, cell in enumerate(cells)]
    return made, notes


def grade_id(cell) -> str | None:
    name = (cell.metadata.get("nbgrader") or {}).get("grade_id")
    return name if isinstance(name, str) and name else None
