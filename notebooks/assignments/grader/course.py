"""An nbgrader course with this year's seeds in it: what students get, and a gradebook that knows the cells."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import sys
from importlib.metadata import version
from pathlib import Path

import nbformat

from .files import place, write

PACKAGE = Path(__file__).resolve().parents[1]
HIDDEN = re.compile(r"^[^\n]*BEGIN HIDDEN TESTS.*?END HIDDEN TESTS[^\n]*\n?", flags=re.S | re.M)
SEED = re.compile(r"""int\(\s*os\.(?:environ\.get|getenv)\(\s*["'](CAM_\w+_SEED)["']\s*,\s*["']?(\d+)["']?\s*\)\s*\)""")


def assignments(course: Path) -> list[str]:
    return sorted(p.stem for p in course.glob("source/*/*.ipynb") if p.stem == p.parent.name)


def source(course: Path, name: str) -> nbformat.NotebookNode:
    """The instructor's notebook; `int(os.environ.get("CAM_…_SEED", "46"))` has become the number of this year."""
    notebook = nbformat.read(course / "source" / name / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = SEED.sub(lambda found: str(int(os.environ.get(found[1], found[2]))), cell.source)
        if cell.cell_type == "code" and re.search(r"CAM_\w+_SEED", cell.source):
            raise ValueError(f'{name}: write a seed as int(os.environ.get("CAM_HIDDEN_SEED", "1046")), on one line')
    return notebook


def configuration(course: Path, root: Path):
    """The course's nbgrader_config.py, for the folder `root`."""
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", str(course)).load_config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"
    return config


def convert(converter, config, assignment: str, student: str = "*") -> None:
    """Run one of nbgrader's converters on one assignment. Raises NbGraderException."""
    from nbgrader.coursedir import CourseDirectory

    beside = os.path.dirname(sys.executable)  # nbgrader starts `alembic` by its name
    if beside not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
    logging.getLogger("traitlets").setLevel(logging.ERROR)
    folder = CourseDirectory(config=config)
    folder.assignment_id, folder.student_id = assignment, student
    converter(coursedir=folder, config=config, force=True).start()


def fingerprint(course: Path, name: str) -> str:
    """Changes when a mark could: with the source notebook, the seeds, the course's code and data, or nbgrader."""
    data = Path(os.environ.get("CAM_DATA") or PACKAGE.parent / "data")
    whole = hashlib.sha256(f"{nbformat.writes(source(course, name))} {version('nbgrader')}".encode())
    files = [course / "nbgrader_config.py", *PACKAGE.rglob("*.py"), *data.glob("world/**/*")]
    files += data.glob("checkpoints/*")
    for path in sorted(p for p in files if p.is_file()):
        whole.update(path.name.encode() + path.read_bytes())
    return whole.hexdigest()


def prepare(course: Path, name: str, folder: Path, gradebook: bool = True) -> Path:
    """Build `folder`: source/, release/ without solutions and hidden tests, gradebook.db. Kept when it is there."""
    if not folder.is_dir():
        from nbgrader.converters import GenerateAssignment

        with place(folder) as new:
            new = new.resolve()
            write(new / "source" / name / f"{name}.ipynb", nbformat.writes(source(course, name)))
            config = configuration(course, new)
            if not gradebook:
                config.GenerateAssignment.no_database, config.SaveCells.enabled = True, False
            convert(GenerateAssignment, config, name)
    return folder


def register(course: Path, name: str, folder: Path) -> None:
    """Make the course's own gradebook know the cells of an assignment; marks that are there stay."""
    from nbgrader.converters import GenerateAssignment
    from nbgrader.converters.base import NbGraderException

    config = configuration(course, folder)
    config.CourseDirectory.db_url = f"sqlite:///{course / 'gradebook.db'}"
    try:
        convert(GenerateAssignment, config, name)
    except NbGraderException as error:
        words = f"{name} has other cells than when it was graded before: move {course / 'gradebook.db'} away, and grade"
        raise RuntimeError(f"{words} again. Marks given by hand are in it.") from error
