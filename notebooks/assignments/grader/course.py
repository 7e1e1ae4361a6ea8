"""The course as nbgrader needs it: this year's seeds, the released notebooks, and a gradebook that knows the cells."""

import contextlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nbformat

ASSIGNMENTS = Path(__file__).resolve().parents[1]
SEED = re.compile(r"""int\(\s*os\.(?:environ\.get|getenv)\(\s*["'](CAM_\w+_SEED)["']\s*,\s*["']?(\d+)["']?\s*\)\s*\)""")


def assignments(course: Path) -> list[str]:
    """Names of all assignments: the folders in source/ that hold a notebook of the same name."""
    return sorted(p.stem for p in course.glob("source/*/*.ipynb") if p.stem == p.parent.name)


def source(course: Path, name: str) -> nbformat.NotebookNode:
    """The instructor's notebook with this year's seeds: `int(os.environ.get("CAM_…_SEED", "46"))` becomes a number.

    Answer and test cells get Jupyter's tag `raises-exception`: Run All goes on where an exercise has no answer yet.
    """
    notebook = nbformat.read(course / "source" / name / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        cell.source = SEED.sub(lambda found: str(int(os.environ.get(found[1], found[2]))), cell.source)
        facts = cell.metadata.get("nbgrader", {})
        if cell.cell_type == "code" and (facts.get("grade") or facts.get("solution")):
            cell.metadata["tags"] = [*cell.metadata.get("tags", []), "raises-exception"]
        if cell.cell_type == "code" and re.search(r"CAM_\w+_SEED", cell.source):
            raise ValueError(f'{name}: write a seed as int(os.environ.get("CAM_HIDDEN_SEED", "1046")), on one line')
    return notebook


def configuration(course: Path, root: Path):
    """The settings of the course's nbgrader_config.py, for working in the folder `root`."""
    from traitlets.config import PyFileConfigLoader

    config = PyFileConfigLoader("nbgrader_config.py", str(course)).load_config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"
    return config


def convert(converter, config, assignment: str, student: str = "*") -> None:
    """Run one of nbgrader's converters. Raises NbGraderException.

    Args:
        converter: the class
        config: see `configuration`
        assignment: its name
        student: whose submission; "*": everybody's
    """
    from nbgrader.coursedir import CourseDirectory

    logging.getLogger("traitlets").setLevel(logging.ERROR)
    folder = CourseDirectory(config=config)
    folder.assignment_id, folder.student_id = assignment, student
    converter(coursedir=folder, config=config, force=True).start()


def prepare(course: Path, name: str, folder: Path) -> Path:
    """Build `folder` unless it exists: in its release/, the notebook for students."""
    if not folder.is_dir():
        from nbgrader.converters import GenerateAssignment

        with replacing_folder(folder) as new:
            notebook = new / "source" / name / f"{name}.ipynb"
            notebook.parent.mkdir(parents=True)
            nbformat.write(source(course, name), notebook)
            config = configuration(course, new.resolve())
            config.GenerateAssignment.no_database, config.SaveCells.enabled = True, False
            convert(GenerateAssignment, config, name)
    return folder


def register(course: Path, name: str, book: Path) -> None:
    """Make a gradebook know the cells of an assignment; marks that it holds stay. `book`: a file, made if need be.

    Raises RuntimeError if there are submissions of this assignment with other cells.
    """
    from alembic.script import ScriptDirectory  # comes with nbgrader
    from nbgrader import api
    from nbgrader.dbutil import ALEMBIC_DIR
    from nbgrader.preprocessors import ClearSolutions, ComputeChecksums, SaveCells

    # a new gradebook would start the command `alembic` to ask for this, which imports nbgrader again
    api.get_alembic_version = ScriptDirectory(ALEMBIC_DIR).get_current_head
    config = configuration(course, book.parent)
    with api.Gradebook(f"sqlite:///{book}", config.CourseDirectory.course_id) as gradebook:
        gradebook.update_or_create_assignment(name)
    cells = source(course, name)
    resources = {"nbgrader": {"assignment": name, "notebook": name, "db_url": f"sqlite:///{book}"}}
    try:
        for step in (ClearSolutions, ComputeChecksums, SaveCells):
            step(config=config).preprocess(cells, resources)
    except RuntimeError as error:
        problem = f"{name} has other cells than when it was graded before"
        raise RuntimeError(f"{problem}: move {book} away (marks given by hand are in it), and grade again") from error


@contextlib.contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Yield a new folder that takes the name `folder`, and replaces an older one, when the block has ended well."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder.parent) as temporary:
        new = Path(temporary, folder.name)
        new.mkdir()
        yield new
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
