"""The archive for students: no line of a solution, hidden test or answer is in it, and what is in it installs."""

from __future__ import annotations

import io
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

import answers
import nbformat
import pytest
import tiny_course as tiny
from conftest import ROOT
from nbformat.v4 import new_notebook

from grader import course as courses
from grader.release import release

pytestmark = pytest.mark.slow
COURSE = ROOT / "notebooks" / "assignments"
SECRET = re.compile(r"BEGIN (?:SOLUTION|HIDDEN TESTS)[^\n]*\n(.*?)\n[^\n]*END (?:SOLUTION|HIDDEN TESTS)", flags=re.S)
LEAST, LONG = 12, 30  # characters: `return x` is nobody's secret; a long line is found inside others too


def secrets(course) -> tuple[list[list[str]], str]:
    """The lines of each solution, block of hidden tests and answer; and the text of all that students may see."""
    found, seen = [], []
    for name in courses.assignments(course):
        cells = courses.source(course, name).cells
        parts = [part for cell in cells for part in SECRET.findall(cell.source)]
        assert parts, f"{name}: no markers were found"
        wrong, right = answers.read(course / "source" / name / "answers.yaml")
        parts += [answer.code for exercise in wrong.values() for answer in exercise.values()]
        parts += [code for exercise in right.values() for code in exercise.values()]
        found += [[line.strip() for line in part.splitlines()] for part in parts]
        seen += [SECRET.sub("", cell.source) for cell in cells]
    return found, "\n".join(seen)


def everything(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode("utf-8", errors="replace") for name in archive.namelist()}


def strings(value) -> list[str]:
    """Every string in a notebook's JSON, wherever it stands."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ["".join(value)]
    inside = value if isinstance(value, list) else [*value, *value.values()] if isinstance(value, dict) else []
    return [text for part in inside for text in strings(part)]


def leaks(content: bytes, hidden: list[list[str]], seen: str) -> dict[str, list[str]]:
    """File -> lines of `hidden` in it that students do not see anyway.

    In the public code of the packages single lines like `optimizer.step()` coincide; two in a row do not.
    """
    files, found = everything(content), {}
    shown = {line.strip() for line in seen.splitlines()}
    alone = {line for part in hidden for line in part if len(line) >= LEAST} - shown
    alone -= {line for line in alone if len(line) >= LONG and line in seen}
    pairs = {pair for part in hidden for pair in itertools.pairwise(part) if set(pair) <= alone}
    for name, text in files.items():
        plain = "\n".join(strings(json.loads(text))) if name.endswith(".ipynb") else text
        lines = [line.strip() for line in plain.splitlines()]
        if name.endswith(".py"):
            hits = [" / ".join(pair) for pair in itertools.pairwise(lines) if pair in pairs]
        else:
            hits = [line for line in alone if line in lines or (len(line) >= LONG and line in plain)]
        if hits:
            found[name] = hits
    return found


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> bytes:
    out = tmp_path_factory.mktemp("release") / "assignments.zip"
    release(COURSE, out)
    return out.read_bytes()


def test_the_archive_holds_no_line_of_a_solution_hidden_test_or_answer(archive):
    assert leaks(archive, *secrets(COURSE)) == {}


def test_the_search_finds_what_is_there(tmp_path):
    course = tiny.make(tmp_path / "course")
    release(course, tmp_path / "numbers.zip")
    content = (tmp_path / "numbers.zip").read_bytes()
    assert leaks(content, *secrets(course)) == {}
    assert ["return sorted(values)[-1]"] in secrets(course)[0]
    notebook = new_notebook(metadata={"old": [{"outputs": "1\n    return sorted(values)[-1]\n"}]})
    secret = next(line for part in secrets(course)[0] for line in part if line.startswith("secret ="))
    added = io.BytesIO(content)
    with zipfile.ZipFile(added, "a") as whole:
        whole.writestr("numbers/other.ipynb", nbformat.writes(notebook))
        whole.writestr("numbers/notes.pyc", b"\x00\x01" + secret.encode() + b"\x00")
        whole.write(course / "source" / tiny.NAME / "answers.yaml", "numbers/answers.yaml")
    found = leaks(added.getvalue(), *secrets(course))
    assert sorted(found.pop("numbers/answers.yaml")) == ["return sum(x for _ in range(2))", "return x ** len([x, x])"]
    assert found == {"numbers/other.ipynb": ["return sorted(values)[-1]"], "numbers/notes.pyc": [secret]}


def test_nbgrader_itself_gives_out_no_answers(tmp_path):
    """A lecturer may release an assignment without our command."""
    course = tiny.make(tmp_path / "course")
    (course / "source" / tiny.NAME / "picture.png").write_bytes(b"")
    command = [sys.executable, "-m", "nbgrader", "generate_assignment", tiny.NAME, "--no-db"]
    command += [f"--CourseDirectory.root={course}"]
    done = subprocess.run(command, cwd=COURSE, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (course / "release" / tiny.NAME).iterdir()}
    assert names == {f"{tiny.NAME}.ipynb", "picture.png"}


def test_what_is_released(archive):
    files = everything(archive)
    names = {name.partition("/")[2] for name in files}
    assert {"README.md", "LICENSE", "pyproject.toml", "environment.yml", "cam_helpers/maps.py"} <= names
    assert {f"data/drawn_world/{name}" for name in ("tasks.py", "recipes/objects.yaml", "sprites/apple-1.svg")} <= names
    notebooks = {name for name in names if name.endswith(".ipynb")}
    released = {f"assignments/{name}/{name}.ipynb" for name in courses.assignments(COURSE)}
    assert notebooks == released | {f"as_given_out/{name}.ipynb" for name in courses.assignments(COURSE)}
    assert {"check.py", "collector/__init__.py", "collector/submissions.py"} <= names
    private = re.compile(r"source/|gradebook|grader|answers|tests|\.git|\.pyc|__pycache__|/cache/")
    assert [name for name in names if private.search(name)] == []
    for name, text in files.items():
        if name.endswith((".py", ".toml")):
            path = name.partition("/")[2]
            place = COURSE if path.startswith(("check.py", "collector/")) else ROOT
            assert text == (place / path).read_text()
        assert not re.search("index" + "-url|find" + "-links", text)
        if not name.endswith(".ipynb"):
            continue
        for cell in nbformat.reads(text, 4).cells:
            assert not re.search(r"(BEGIN|END) (SOLUTION|HIDDEN)|CAM_\w+_SEED", cell.source)
            assert not cell.get("outputs") and not cell.get("execution_count") and not cell.get("attachments")
            # Run All goes on where an exercise has no answer yet, and stops where the set-up fails
            facts = cell.metadata.get("nbgrader", {})
            exercise = cell.cell_type == "code" and bool(facts.get("grade") or facts.get("solution"))
            assert ("raises-exception" in cell.metadata.get("tags", [])) == exercise


def test_a_seed_of_this_year_is_a_number_in_the_archive(tmp_path, monkeypatch):
    course = tiny.make(tmp_path / "course")
    shown = []
    for seed in ("46", "2027"):
        monkeypatch.setenv("CAM_ASSIGNMENT_SEED", seed)
        release(course, tmp_path / "numbers.zip")
        text = everything((tmp_path / "numbers.zip").read_bytes())["numbers/assignments/numbers/numbers.ipynb"]
        shown += re.findall(r"SEED = (\d+)", text)
    assert shown == ["46", "2027"]
    first = (tmp_path / "numbers.zip").read_bytes()
    release(course, tmp_path / "numbers.zip")
    assert (tmp_path / "numbers.zip").read_bytes() == first


def test_what_is_released_installs_and_finds_its_data(archive, tmp_path):
    """Built as `pip install` builds it, without its dependencies, which are here already."""
    with zipfile.ZipFile(io.BytesIO(archive)) as whole:
        whole.extractall(tmp_path)
    folder = tmp_path / "assignments"
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "-q", str(folder)]
    pip += ["--no-deps", "--no-build-isolation", "--target", str(tmp_path / "to")]
    built = subprocess.run(pip, capture_output=True, text=True)
    if "setuptools" in built.stderr and built.returncode:
        pytest.skip("setuptools is not installed: nothing to build with")
    assert built.returncode == 0, built.stderr
    shutil.rmtree(folder / "build", ignore_errors=True)
    code = "import drawn_world; print(len(drawn_world.TASKS), len(drawn_world.load('objects', 'val', n=2)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=clean())
    assert done.returncode == 0 and done.stdout.split()[1] == "2", done.stderr


def clean() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "CAM_DATA", "CAM_CACHE")}
