"""The notebook that is run in a student's place: the instructor's, with the student's answers and own cells."""

import re
from collections import defaultdict

import nbformat

EXERCISE = re.compile(r"^test-(.+?)(-\d+)?$")  # test-iou and test-iou-2 both count for iou
ATTACHMENT = re.compile(r"attachment:([^)\s]*)")
BESIDE = "\n\n(Nothing was written here. The answer may stand in a cell beside it.)"


def plain(text: object, most: int = 200) -> str:
    """A student's words (a file's name, an error) as one short printable line."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= most else line[:most] + "…"


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
        unwritten = facts.grade and facts.solution and not answers(new, released)
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
        *earlier, last = [copy for copy in found if answers(theirs[copy], released)] or found[:1]
        return found[0], last, [(found[0], copy) for copy in earlier]
    behind = next((copy for copy in found if copy > answer), found[0])
    return behind, behind, [(copy, copy) for copy in found if copy != behind]


def answers(cell, released) -> bool:
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
