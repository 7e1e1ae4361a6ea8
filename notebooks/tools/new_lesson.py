"""Start a lesson from the template: every part in its place, every check green, the notes for authors left out.

python notebooks/tools/new_lesson.py 14_my_topic        (make lesson NAME=14_my_topic)
"""

import re
import sys
from pathlib import Path

import nbformat

FOLDER = Path(__file__).resolve().parent.parent
TEMPLATE = FOLDER / "template" / "NN_your_topic.ipynb"


class NameRefused(ValueError):
    """Says what is wrong with a name."""


def start(name: str, folder: Path = FOLDER) -> Path:
    """Write `folder`/name.ipynb -> its path. Raises NameRefused for a name out of form or a number already taken."""
    name = name.removesuffix(".ipynb")
    if not re.fullmatch(r"\d\d_[a-z0-9_]+", name):
        raise NameRefused(f"{name!r}: a name is two digits and small words, for example 14_my_topic")
    if taken := sorted([*folder.glob(f"{name[:2]}_*.ipynb"), *folder.glob(f"drafts/{name[:2]}_*.ipynb")]):
        raise NameRefused(f"number {name[:2]} is taken: {taken[0].relative_to(folder)}")
    notebook = nbformat.read(TEMPLATE, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "note" not in cell.metadata.get("tags", [])]
    for cell in notebook.cells:
        cell.id = cell.id.replace("nn-", f"{name[:2]}-")
    title = notebook.cells[0]
    title.source = title.source.replace("# NN · ", f"# {name[:2]} · ", 1)
    path = folder / f"{name}.ipynb"
    from cam_helpers.files import replacing  # it loads PyTorch: not before the name is right

    with replacing(path) as file:
        file.write(f"{nbformat.writes(notebook)}\n".encode())
    return path


if __name__ == "__main__":
    try:
        written = start(sys.argv[1] if len(sys.argv) > 1 else "")
    except NameRefused as reason:
        sys.exit(f"No lesson written. {reason}")
    name = written.relative_to(FOLDER.parent)
    print(f"{name} is written: the template, for you to change cell by cell.")
    print(
        "Its notes for authors are in notebooks/template/NN_your_topic.ipynb. What it is held to, and what is to write:"
    )
    print(f"  make check-lesson NAME={written.stem}      (or  {sys.executable} notebooks/tools/validate.py {name})")
