"""A course of one assignment with two exercises and a written part, small enough to be graded in two seconds."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import nbformat
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NAME = "numbers"
DOUBLE = "def double(x):\n    return x + x"
LARGEST = "def largest(values):\n    return sorted(values)[-1]"
ANSWERS = """
wrong:
  double:
    squared:
      says: you squared or added two
      code: |
        def double(x):
            return x ** len([x, x])
right:
  double:
    in_a_loop: |
      def double(x):
          return sum(x for _ in range(2))
"""


def cell(kind: str, grade_id: str, source: str, **nbgrader):
    make = new_code_cell if kind == "code" else new_markdown_cell
    facts = {"grade": False, "solution": False, "locked": False, "task": False, "schema_version": 3} | nbgrader
    return make(source, metadata={"nbgrader": {"grade_id": grade_id, "cell_type": kind, **facts}})


def marked(answer: str) -> str:
    head, body = answer.split("\n", 1)
    return f"{head}\n    ### BEGIN SOLUTION\n{body}\n    ### END SOLUTION"


def source() -> nbformat.NotebookNode:
    seed = 'int(os.environ.get("CAM_ASSIGNMENT_SEED", "46"))'
    cells = [
        cell("markdown", "title", "# Numbers", locked=True),
        cell("code", "set-up", f"import os\nimport random\n\nSEED = {seed}", locked=True),
        cell("markdown", "task-double", "Double a number.", locked=True),
        cell("code", "double", marked(DOUBLE), solution=True),
        cell(
            "code", "test-double",
            'assert float(double(3)) == 6, "twice three"\n'
            "### BEGIN HIDDEN TESTS\n"
            'secret = random.Random(int(os.environ.get("CAM_HIDDEN_SEED", "1046"))).randrange(100, 999)\n'
            'assert float(double(secret)) == 2 * secret, "you squared or added two: double adds the number to itself"\n'
            "### END HIDDEN TESTS",
            grade=True, locked=True, points=2,
        ),
        cell("markdown", "task-largest", "Find the largest.", locked=True),
        cell("code", "largest", marked(LARGEST), solution=True),
        cell(
            "code", "test-largest",
            'assert float(largest([1, 2])) == 2, "two is larger than one"', grade=True, locked=True, points=1,
        ),
        cell(
            "code", "test-largest-2",
            "### BEGIN HIDDEN TESTS\n"
            'assert float(largest([-3, -7])) == -3, "you began at zero: all values may be negative"\n'
            "### END HIDDEN TESTS",
            grade=True, locked=True, points=3,
        ),
        cell("markdown", "written-why", "YOUR ANSWER HERE", grade=True, solution=True, points=4),
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    for entry in notebook.cells:
        entry.metadata.nbgrader.setdefault("points", None)
        if entry.metadata.nbgrader.points is None:
            del entry.metadata.nbgrader["points"]
    return notebook


def make(course: Path, name: str = NAME) -> Path:
    folder = course / "source" / name
    folder.mkdir(parents=True)
    nbformat.write(source(), folder / f"{name}.ipynb")
    (folder / "answers.yaml").write_text(ANSWERS)
    (course / "for_students.md").write_text("Answer the questions.\n")
    shutil.copy(ROOT / "notebooks" / "assignments" / "nbgrader_config.py", course)
    return course


def handed_in(released, **answers: str) -> nbformat.NotebookNode:
    """The released notebook with answers by grade_id, dashes written as underscores."""
    notebook = copy.deepcopy(released)
    for entry in notebook.cells:
        key = entry.metadata.nbgrader.grade_id.replace("-", "_")
        entry.source = answers.pop(key, entry.source)
    assert not answers, answers
    return notebook
