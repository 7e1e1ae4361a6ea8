"""The archive for students: no line of a solution or hidden test is in it, and what is in it installs."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import zipfile

import nbformat
import pytest
import tiny_course as tiny
from conftest import ROOT

from cam_helpers.grading import course as courses
from cam_helpers.grading.release import release

COURSE = ROOT / "notebooks" / "assignments"
SECRET = re.compile(r"BEGIN (?:SOLUTION|HIDDEN TESTS)[^\n]*\n(.*?)\n[^\n]*END (?:SOLUTION|HIDDEN TESTS)", flags=re.S)
LEAST = 12  # characters: `return x` and `else:` are nobody's secret


def secrets(course) -> dict[str, set[str]]:
    """The lines of solutions and hidden tests of each assignment."""
    found = {}
    for name in courses.assignments(course):
        notebook = nbformat.read(course / "source" / name / f"{name}.ipynb", 4)
        parts = [part for cell in notebook.cells for part in SECRET.findall(cell.source)]
        found[name] = {line.strip() for part in parts for line in part.splitlines() if len(line.strip()) >= LEAST}
    return found


def everything(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name).decode("utf-8", errors="replace") for name in archive.namelist()}


def leaks(content: bytes, hidden: dict[str, set[str]]) -> dict[str, list[str]]:
    """File -> secret lines in it that the released cells do not show themselves. JSON's quotes are undone."""
    files = everything(content)
    shown = set()
    for name, text in files.items():
        if name.endswith(".ipynb"):
            cells = nbformat.reads(text, 4).cells
            shown |= {line.strip() for cell in cells for line in cell.source.splitlines()}
    wanted = set().union(*hidden.values()) - shown
    found = {}
    for name, text in files.items():
        plain = text.replace('\\"', '"').replace("\\\\", "\\")
        hits = [line for line in wanted if line in plain]
        if hits:
            found[name] = hits
    return found


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> bytes:
    out = tmp_path_factory.mktemp("release") / "assignments.zip"
    release(COURSE, out)
    return out.read_bytes()


def test_the_archive_holds_no_line_of_a_solution_or_hidden_test(archive):
    hidden = secrets(COURSE)
    assert all(len(lines) >= 5 for lines in hidden.values()), "markers were not found"
    assert leaks(archive, hidden) == {}


def test_the_search_finds_what_is_there(tmp_path):
    course = tiny.make(tmp_path / "course")
    (course / "for_students.md").write_text("Answer the questions.\n")
    release(course, tmp_path / "numbers.zip")
    content = (tmp_path / "numbers.zip").read_bytes()
    assert leaks(content, secrets(course)) == {}
    assert secrets(course)[tiny.NAME] >= {"return sorted(values)[-1]"}
    added = io.BytesIO(content)
    with zipfile.ZipFile(added, "a") as whole:
        whole.writestr("numbers/notes.txt", "perhaps:     return sorted(values)[-1]")
    assert list(leaks(added.getvalue(), secrets(course))) == ["numbers/notes.txt"]


def test_what_is_released(archive):
    files = everything(archive)
    names = {name.partition("/")[2] for name in files}
    assert {"README.md", "LICENSE", "pyproject.toml", "environment.yml", "cam_helpers/maps.py"} <= names
    assert {f"assignments/{n}/{n}.ipynb" for n in courses.assignments(COURSE)} == {
        n for n in names if n.endswith(".ipynb")
    }
    assert not [
        name for name in names if re.search(r"source|gradebook|grading|tests|\.git|\.pyc|__pycache__|/cache/", name)
    ]
    for name, text in files.items():
        if name.endswith((".py", ".toml")):
            assert text == (ROOT / name.partition("/")[2]).read_text()
        assert not re.search("index" + "-url|find" + "-links", text)
        if not name.endswith(".ipynb"):
            continue
        for cell in nbformat.reads(text, 4).cells:
            assert not re.search(r"(BEGIN|END) (SOLUTION|HIDDEN)|CAM_\w+_SEED", cell.source)
            assert not cell.get("outputs") and not cell.get("execution_count") and not cell.get("attachments")


def test_a_seed_of_this_year_is_a_number_in_the_archive(tmp_path, monkeypatch):
    course = tiny.make(tmp_path / "course")
    (course / "for_students.md").write_text("")
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


def test_the_readme_names_no_command_that_is_not_there(archive):
    text = everything(archive)["assignments/README.md"]
    assert "pip install -e ." in text and "conda env create -f environment.yml" in text


@pytest.mark.slow
def test_what_is_released_installs_and_finds_its_data(archive, tmp_path):
    """Built as `pip install` builds it, without its dependencies, which are here already."""
    with zipfile.ZipFile(io.BytesIO(archive)) as whole:
        whole.extractall(tmp_path)
    folder = tmp_path / "assignments"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--no-deps",
        "--no-build-isolation",
        "--target",
        str(tmp_path / "to"),
    ]
    built = subprocess.run([*pip, "--disable-pip-version-check", "-q", str(folder)], capture_output=True, text=True)
    if "setuptools" in built.stderr and built.returncode:
        pytest.skip("setuptools is not installed: nothing to build with")
    assert built.returncode == 0, built.stderr
    shutil.rmtree(folder / "build", ignore_errors=True)
    code = "from cam_helpers import world; print(len(world.TASKS), len(world.load('objects', 'val', n=2)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, env=clean())
    assert done.returncode == 0 and done.stdout.split()[1] == "2", done.stderr


def clean() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "CAM_DATA", "CAM_CACHE")}
