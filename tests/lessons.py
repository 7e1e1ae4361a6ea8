"""What the notebook tests share: the lessons, their cells by tag, and running one in a kernel of its own."""

from __future__ import annotations

import os
import re
from pathlib import Path

import nbformat
from conftest import ROOT
from execute import Client

# notebooks/tools/validate.py names other people's lessons here
OTHERS = [Path(path) for path in os.environ.get("CAM_LESSONS", "").split(os.pathsep) if path]
LESSONS = OTHERS or sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
TEMPLATE = ROOT / "notebooks" / "template" / "NN_your_topic.ipynb"


def name(path: Path) -> str:
    return path.stem


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def tagged(notebook, tag: str) -> list:
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def solution(cell) -> str:
    """The code inside a folded solution."""
    return "\n".join(re.findall(r"```python\n(.*?)```", cell.source, flags=re.S))


def run(notebook, timeout: int = 900) -> nbformat.NotebookNode:
    """Run it, and ask for its claims; with few pictures only for those that do not depend on their number."""
    resources = {"metadata": {"path": str(ROOT / "notebooks")}}
    full = os.environ.get("CAM_PRESET") != "smoke"
    return Client(notebook, full=full, timeout=timeout, kernel_name="python3", resources=resources).execute()


def texts(cells) -> list[str]:
    """The plain text of every output."""
    found = []
    for cell in cells:
        for output in cell.get("outputs", []):
            found.append(
                output.text if output.output_type == "stream" else output.get("data", {}).get("text/plain", "")
            )
    return found
