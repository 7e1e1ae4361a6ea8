"""Before you hand in: read your notebook as the grader does, and run it from top to bottom in a fresh kernel.

    python check.py boxes_and_scores.ipynb

Instead of a notebook it takes the .zip that you want to hand in. It runs the tests that you see; the grader has more.
Your file stays as it is.
"""

import ast
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CELL_SECONDS = 120  # as in grading, unless your lecturer says otherwise


def main(path: Path) -> int:
    """Print what is missing or fails -> 0 if nothing is."""
    sys.modules["rfc3987_syntax"] = None  # nbformat's optional parser of web addresses takes 1.3 s to load
    try:
        import nbformat

        from collector import by_name, of_entry
    except ImportError as error:
        return _say(f"{error.name} is not installed: take the Python of the course, .venv/bin/python check.py …")
    released = {file.stem: nbformat.read(file, 4) for file in sorted((HERE / "as_given_out").glob("*.ipynb"))}
    if not path.exists():
        path = HERE / "assignments" / path.stem / path.name
    if not path.exists():
        return _say(f"There is no file {path.name}. Say where it is: python check.py folder/{path.name}")
    with tempfile.TemporaryDirectory() as scratch:
        found = of_entry(by_name(path)[0].student, path, released, Path(scratch))
    return max(_check(submission, released.get(submission.assignment), path) for submission in found)


def _check(submission, released, path: Path) -> int:
    from collector.cells import answers, grade_id

    if not submission.notebook:
        return _say(f"This cannot be graded: {submission.reason}.")
    print(f"{submission.assignment}: running it from top to bottom in a fresh kernel …", flush=True)
    ours = {grade_id(cell): cell for cell in released.cells if grade_id(cell)}
    theirs = {grade_id(cell): cell for cell in submission.notebook.cells if grade_id(cell)}
    asked = [name for name, cell in ours.items() if cell.metadata.nbgrader.solution]
    empty = [name for name in asked if name not in theirs or not answers(theirs[name], ours[name])]
    problems = [f"The grader will note: {note}." for note in submission.notes]
    problems += [f"{name} has no answer yet." for name in empty]
    defined = set().union(*(_names(cell) for cell in submission.notebook.cells))
    for name in set(asked) - set(empty):
        problems += [f"{name}: the tests use the name `{n}`: define it." for n in _names(ours[name]) - defined]
    problems += _run(submission.notebook, path, empty)
    for problem in problems:
        print(f"- {problem}")
    print(f"{len(asked) - len(empty)} of {len(asked)} answers are there.", end=" ")
    return _say("Look at these points before you hand it in." if problems else "Nothing is missing.", problems)


def _run(notebook, path: Path, empty: list[str]) -> list[str]:
    """Run all cells -> what fails, a sentence each; not the tests of answers that are not there."""
    from nbclient import NotebookClient

    where = {"metadata": {"path": str(path.parent)}}
    options = {"timeout": CELL_SECONDS, "interrupt_on_timeout": True, "allow_errors": True, "kernel_name": "python3"}
    NotebookClient(notebook, resources=where, **options).execute(stderr=subprocess.DEVNULL)
    problems, tests, passed, skip = [], 0, 0, False
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        facts = cell.metadata.get("nbgrader", {})
        if facts.get("solution"):
            skip = facts.grade_id in empty
        is_test = bool(facts.get("grade")) and not facts.get("solution")
        error = next((output for output in cell.outputs if output.output_type == "error"), None)
        tests, passed = tests + is_test, passed + (is_test and not error)
        if error and not (skip and (is_test or facts.get("solution"))):
            name = facts.get("grade_id") or f"code cell {number}"
            said = error.evalue if error.ename == "AssertionError" else f"{error.ename}: {error.evalue}"
            late = f" It took more than {CELL_SECONDS} s." if error.ename == "KeyboardInterrupt" else ""
            problems.append(f"{name} fails: {' '.join(said.split())[:300] or 'the assertion is false'}{late}")
    print(f"{passed} of {tests} tests that you see pass.")
    return problems


def _names(cell) -> set[str]:
    """Functions, classes and variables that a code cell defines."""
    if cell.cell_type != "code":
        return set()
    try:
        body = ast.parse(cell.source).body
    except SyntaxError:
        return set()
    found = {node.name for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    assigned = (target for node in body if isinstance(node, ast.Assign) for target in node.targets)
    return found | {name.id for target in assigned for name in ast.walk(target) if isinstance(name, ast.Name)}


def _say(sentence: str, problem: object = True) -> int:
    print(sentence)
    return int(bool(problem))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
