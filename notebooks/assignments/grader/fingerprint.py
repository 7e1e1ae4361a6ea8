"""What a mark depends on. A submission is graded again when its fingerprint changes, and only then.

A fingerprint covers the submission, the instructor's notebook with this year's seeds, nbgrader's version and settings,
the modules that run a notebook, and what its cells import of the course's packages, directly or through others.
"""

import ast
import contextlib
import functools
import hashlib
from importlib.metadata import version
from modulefinder import ModuleFinder
from pathlib import Path

import nbformat

from sandbox.packages import PACKAGES, package_files

from .course import ASSIGNMENTS, source

HERE = ("course.py", "feedback.*", "fingerprint.py", "notes.py", "safe.py", "worker.py")
RUNNING = ["sandbox/*.py", *(f"grader/{file}" for file in HERE)]  # what runs a notebook and gives the mark


def of_release(course: Path, name: str) -> str:
    """Changes with the instructor's notebook, the seeds, and nbgrader's version and settings. Needs nbgrader."""
    settings = (course / "nbgrader_config.py").read_text(encoding="utf-8")
    return _digest(nbformat.writes(source(course, name)), version("nbgrader"), settings)


def of_mark(course: Path, submission, *settings) -> str:
    """Changes with all that a submission's mark depends on; `settings`: what else it depends on (limits)."""
    running = [file.read_text(encoding="utf-8") for files in RUNNING for file in sorted(ASSIGNMENTS.glob(files))]
    cells = [*submission.notebook.cells, *source(course, submission.assignment).cells]
    imported = of_imports(imports([cell.source for cell in cells if cell.cell_type == "code"]))
    release = of_release(course, submission.assignment)
    return _digest(release, nbformat.writes(submission.notebook), *running, imported, *map(str, settings))


def imported_files(statements: str) -> set[Path]:
    """Files of the course's packages that import statements load, directly or through other modules.

    The drawn world counts as one: it finds its drawings and data by name, as `cam_helpers.files` finds it. Other
    modules whose name is computed while a cell runs are not seen.
    """
    finder = ModuleFinder([str(package.parent) for package in PACKAGES.values()])  # it parses, and runs nothing
    finder.scan_code(compile(statements, "<cells>", "exec"), finder.add_module("__main__"))
    files = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    if {"drawn_world", "cam_helpers.files"} & set(finder.modules):
        files |= set(package_files("drawn_world"))
    return files


@functools.cache  # for all submissions of a call: they import the same
def of_imports(statements: str) -> str:
    """Changes with the files that `imported_files` finds."""
    files = sorted(imported_files(statements))
    return _digest(*(f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files))


def imports(cells: list[str]) -> str:
    """The import statements of code cells, each once. A cell that is no Python cannot run, and imports nothing."""
    found = set()
    for cell in cells:
        lines = ["pass" if line.lstrip().startswith(("%", "!")) else line for line in cell.splitlines()]  # IPython's
        with contextlib.suppress(SyntaxError, ValueError):
            for node in ast.walk(ast.parse("\n".join(lines))):
                relative = isinstance(node, ast.ImportFrom) and (node.level or node.module == "__future__")
                if isinstance(node, (ast.Import, ast.ImportFrom)) and not relative:
                    found.add(ast.unparse(node))
    return "\n".join(sorted(found))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
