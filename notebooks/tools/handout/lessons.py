"""Lessons as students get them: without their folded solutions, and as copies for Colab."""

import json
import re

import nbformat
from nbformat.v4 import new_code_cell
from packaging.requirements import Requirement

DESK = {"jupyterlab", "ipykernel"}  # Colab has its own, which others must not replace
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")
FIRST = """\
# @title Run this cell first: it installs the course, on Colab only
try:
    import google.colab
except ImportError:
    pass  # not on Colab: the course is installed already
else:
    %pip install -q --no-deps "{package}"
    %pip install -q {others}
    import cam_helpers  # stops here where that failed

    print("Installed. Lesson 00 may list jupyterlab and ipykernel as missing or old: leave them, Colab has its own.")"""


def without_solutions(content: bytes) -> bytes:
    """A lesson without the cells tagged `solution`. Checks stay, and with them the values they compare with."""
    notebook = json.loads(content)
    notebook["cells"] = [cell for cell in notebook["cells"] if "solution" not in cell["metadata"].get("tags", [])]
    return written(notebook)


def for_colab(content: bytes, repository: str, branch: str, name: str, needs: list[str]) -> bytes:
    """A copy of a lesson that installs the course when Colab opens it; no outputs, links as addresses.

    Args:
        content: the lesson, as students get it
        repository: owner/name on GitHub
        branch: the branch that holds what students get
        name: where the lesson is in it, notebooks/NN_….ipynb
        needs: what the course's package needs, as pyproject.toml lists it
    """
    web = f"https://github.com/{repository}"
    package = f"cam_helpers @ {web}/archive/refs/heads/{branch}.zip"
    others = " ".join(f'"{need}"' for need in needs if Requirement(need).name not in DESK)

    def address(link) -> str:
        folder = name.rpartition("/")[0]
        if re.fullmatch(r"\d\d_\w+\.ipynb", link[1]):
            return f"](https://colab.research.google.com/github/{repository}/blob/{branch}/colab/{link[1]})"
        return f"]({web}/blob/{branch}/{folder}/{link[1]}{link[2] or ''})"

    notebook = json.loads(content)
    notebook["metadata"].pop("widgets", None)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = LINK.sub(address, "".join(cell["source"])).splitlines(keepends=True)
        else:
            cell |= {"outputs": [], "execution_count": None}
    first = new_code_cell(FIRST.format(package=package, others=others), id="colab-00")
    return written({**notebook, "cells": [first, *notebook["cells"]]})


def written(notebook: dict) -> bytes:
    return f"{nbformat.writes(nbformat.from_dict(notebook))}\n".encode()
