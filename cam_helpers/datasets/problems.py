"""What was wrong with the data, each thing once: which file, why, and what was done about it."""

from __future__ import annotations

import os
from typing import NamedTuple


class MissingData(FileNotFoundError):
    """The data are not where they were looked for. The text says where to get them and how to ask for the download."""


class Problem(NamedTuple):
    """file: relative to the root, safe to print; reason: what is wrong with it; action: what was done about it."""

    file: str
    reason: str
    action: str


class Problems(list):
    """A list of Problem that knows its root and lists nothing twice."""

    def __init__(self, root: str | os.PathLike):
        self.root, self._listed = os.fspath(root), set()

    def add(self, file: str | os.PathLike, reason: object, action: str) -> None:
        name = os.fspath(file)
        # reasons made by a reader repeat the whole path: the file column has it already
        text = printable(str(reason)).replace(printable(name), "it")
        if os.path.isabs(name):
            name = os.path.relpath(name, self.root)
        problem = Problem(printable(name), " ".join(text.split()), action)
        if problem not in self._listed:
            self._listed.add(problem)
            self.append(problem)


def printable(name: str) -> str:
    """A file name that is not UTF-8 with its odd bytes spelled out (caf\\xe9.jpg), so that it can be shown anywhere."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
