"""Right and wrong answers to a lesson's exercises (tests/exercises/NN.yaml), tried in the lesson's own run.

A file maps the name of each exercise, as its check says it, to `right` and `wrong` answers: code that replaces the
exercise cell. `wrong` ones are plausible, and at least four are not in the check's own list of misconceptions. An
answer is code (in quotes where it holds ": "), or `answer: code` with `says:`, words that the feedback must hold.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import nbformat
import yaml
from conftest import ROOT
from lessons import solution, tagged

FOLDER = Path(__file__).parent / "exercises"
TAG = "tried"
BARE = r"\S+ is (not it|too (large|small))\.|The shape is right, the values are not\."  # with no hint behind it

# Runs in the lesson's kernel. It leaves the solution in place, and the random numbers as they were.
TRY = """
import ast, json
import numpy, torch

def _try(exercise, answers, check, solution):
    *setup, last = ast.parse(check).body
    before = torch.get_rng_state(), numpy.random.get_state()
    for kind, answer in answers:
        try:
            exec(answer, globals())
            exec(compile(ast.Module(setup, []), "check", "exec"), globals())
            found = eval(compile(ast.Expression(last.value), "check", "eval"), globals())
            found = {"status": found.status, "text": found.text}
        except Exception as error:
            found = {"status": "error", "text": repr(error)}
        print(json.dumps({"exercise": exercise, "kind": kind, "answer": answer, **found}))
    exec(solution, globals())
    exec(check, globals())
    torch.set_rng_state(before[0])
    numpy.random.set_state(before[1])
"""


def exercises(notebook) -> dict[str, tuple]:
    """The name of each exercise -> its cells (exercise, check, solution); the quiz has none."""
    cells = zip(*(tagged(notebook, tag) for tag in ("exercise", "check", "solution")), strict=True)
    named = [
        (re.search(r"checks\.(?:equal|function)\(\s*\"([^\"]+)\"", check.source), (task, check, text))
        for task, check, text in cells
    ]
    return {found[1]: parts for found, parts in named if found}


def answers(path: Path) -> dict[str, dict[str, list[dict]]]:
    """What tests/exercises holds for this lesson: name of the exercise -> right, wrong -> [{answer, says}]."""
    file = FOLDER / f"{path.stem[:2]}.yaml"
    ours = path.parent == ROOT / "notebooks"  # a number elsewhere means another lesson
    held = yaml.safe_load(file.read_text(encoding="utf-8")) if ours and file.is_file() else {}
    return {
        name: {
            kind: [{"says": ""} | (one if isinstance(one, dict) else {"answer": one}) for one in kinds[kind]]
            for kind in ("right", "wrong")
        }
        for name, kinds in held.items()
    }


def add_to(notebook, path: Path) -> None:
    """Behind each check, a cell that tries this lesson's answers."""
    held = answers(path)
    for name, (_, check, text) in exercises(notebook).items():
        tries = [(kind, one["answer"]) for kind, some in held.get(name, {}).items() for one in some]
        cell = nbformat.v4.new_code_cell(f"{TRY}\n_try({name!r}, {tries!r}, {check.source!r}, {solution(text)!r})")
        cell.metadata["tags"] = [TAG]
        notebook.cells.insert(notebook.cells.index(check) + 1, cell)


def take_from(notebook) -> list[dict]:
    """Take these cells out again -> what was said to each answer."""
    cells = tagged(notebook, TAG)
    notebook.cells = [cell for cell in notebook.cells if cell not in cells]
    said = "\n".join("".join(o.text for o in cell.outputs if o.get("name") == "stdout") for cell in cells)
    return [json.loads(line) for line in said.splitlines() if line.startswith('{"exercise"')]


def complaints(path: Path, notebook, tried: list[dict]) -> list[str]:
    """What is wrong with the feedback to a lesson's answers."""
    found, cells = [], exercises(notebook)
    says = {(name, one["answer"]): one["says"] for name, kinds in answers(path).items() for one in kinds["wrong"]}
    for one in tried:
        about = f"{one['exercise']}, {one['kind']}: {one['answer']!r} -> {one['status']}, {one['text']!r}"
        if one["status"] != one["kind"] or re.fullmatch(BARE, one["text"]):
            found.append(about)
        elif one["kind"] == "wrong" and says[one["exercise"], one["answer"]] not in one["text"]:
            found.append(f"{about}, without {says[one['exercise'], one['answer']]!r}")
    for name in answers(path):
        listed = {n.value for n in ast.walk(ast.parse(cells[name][1].source)) if isinstance(n, ast.Constant)}
        wrong = [one for one in tried if one["exercise"] == name and one["kind"] == "wrong"]
        if sum(one["text"] not in listed for one in wrong) < 4:
            found.append(f"{name}: fewer than four wrong answers are outside the check's own list")
    return found


def names_assigned(code: str) -> set[str]:
    """The variables and functions that a cell makes."""
    found = set()
    for node in ast.parse(code).body:
        targets = getattr(node, "targets", [])
        found |= {part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)}
        found |= {node.name} if isinstance(node, ast.FunctionDef) else set()
    return found
