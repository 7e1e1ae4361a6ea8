"""The archive for students: no line of a solution, hidden test or answer is in it, and what is in it installs."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
import zipfile
from datetime import datetime

import nbformat
import pytest
import tiny_course as tiny
from conftest import ROOT
from leaks import everything, leaks, secrets
from nbformat.v4 import new_notebook

from grader import course as courses
from grader.release import date, pack, release

pytestmark = pytest.mark.slow
COURSE = ROOT / "notebooks" / "assignments"


@pytest.fixture(scope="module")
def archive(given_out, tmp_path_factory) -> bytes:
    out = tmp_path_factory.mktemp("release") / "assignments.zip"
    pack(given_out, out)
    return out.read_bytes()


def test_the_archive_holds_no_line_of_a_solution_hidden_test_or_answer(archive):
    assert leaks(everything(archive), *secrets(COURSE)) == {}


def test_the_search_finds_what_is_there(tmp_path):
    course = tiny.make(tmp_path / "course")
    release(course, tmp_path / "numbers.zip")
    content = (tmp_path / "numbers.zip").read_bytes()
    assert leaks(everything(content), *secrets(course)) == {}
    assert ["return sorted(values)[-1]"] in secrets(course)[0]
    notebook = new_notebook(metadata={"old": [{"outputs": "1\n    return sorted(values)[-1]\n"}]})
    secret = next(line for part in secrets(course)[0] for line in part if line.startswith("secret ="))
    added = io.BytesIO(content)
    with zipfile.ZipFile(added, "a") as whole:
        whole.writestr("numbers/other.ipynb", nbformat.writes(notebook))
        whole.writestr("numbers/notes.pyc", b"\x00\x01" + secret.encode() + b"\x00")
        whole.write(course / "source" / tiny.NAME / "answers.yaml", "numbers/answers.yaml")
    found = leaks(everything(added.getvalue()), *secrets(course))
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
    files = {name: content.decode(errors="replace") for name, content in everything(archive).items()}
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
        shown += re.findall(r"SEED = (\d+)", text.decode())
    assert shown == ["46", "2027"]
    first = (tmp_path / "numbers.zip").read_bytes()
    release(course, tmp_path / "numbers.zip")
    assert (tmp_path / "numbers.zip").read_bytes() == first


def test_entries_have_the_date_of_the_last_commit_and_can_be_read(tmp_path, monkeypatch):
    """JupyterLab showed "46y ago": a zip that is told no date says 1980."""
    for name, made in (("a", "2026-12-01T10:20:30"), ("b", "2027-01-02T03:04:06"), ("c", "2027-01-02T03:04:06")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(int(datetime.fromisoformat(f"{made}+00:00").timestamp())))
        pack({"x/notes.txt": b"text"}, tmp_path / name / "x.zip")
        with zipfile.ZipFile(tmp_path / name / "x.zip") as archive:
            (entry,) = archive.infolist()
        assert datetime(*entry.date_time).isoformat() == made
        assert entry.external_attr >> 16 & 0o777 == 0o644 and entry.filename == "x/x/notes.txt"
    assert (tmp_path / "b" / "x.zip").read_bytes() == (tmp_path / "c" / "x.zip").read_bytes()
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert abs(date(tmp_path) - time.time()) < 60  # no repository there
    if (ROOT / ".git").exists():
        last = subprocess.run(
            ["git", "log", "-1", "--format=%cI"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert date() == datetime.fromisoformat(last.stdout.strip()).timestamp()
