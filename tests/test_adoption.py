"""What those who teach, host and contribute rely on: the lecture companion, the template, workflows, releases."""

import functools
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from itertools import pairwise

import badges
import nbformat
import pytest
import release
import validate
import yaml
from conftest import ROOT
from lessons import LESSONS, TEMPLATE, code_cells, read, tagged
from new_lesson import NameRefused, start

NOTEBOOKS = ROOT / "notebooks"
COMPANION = (NOTEBOOKS / "README.md").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def yaml_of(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@functools.cache
def anchors(path) -> set[str]:
    """What a link to a heading of a notebook or of a page has after its #."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# -- the lecture companion ---------------------------------------------------------------------------------------


def cells_to_show() -> list[tuple[str, str, str]]:
    """(number of the lesson, cell, the companion's row), of every cell that the companion names."""
    found = []
    for row in [row for row in COMPANION.splitlines() if row.startswith("| ") and ": cell " in row]:
        lesson = None
        for number, count in re.findall(r"(?:(\d\d): )?cell (\d+)", row):
            lesson = number or lesson
            found.append((lesson, count, row))
    return found


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_the_companion_shows_pictures_of_the_sections_it_names(path):
    """A row that says `04: cell 31` beside [04 §7]: that cell has a picture, and lies in section 7."""
    if path.parent != NOTEBOOKS:
        pytest.skip("the companion is about the course's own lessons")
    shown = pictured(path)
    for number, count, row in cells_to_show():
        if number == path.stem[:2]:
            assert int(count) in shown, f"lesson {number} has no picture at cell {count}: {row}"
            assert f"[{number} §{shown[int(count)]}]" in row, f"cell {count} is in section {shown[int(count)]}: {row}"


def test_the_companion_names_cells_of_every_lesson():
    """A new lesson has none yet: `make check-lesson` says so."""
    named = [number for number, _, _ in cells_to_show()]
    assert len(named) >= 25 and {path.stem[:2] for path in NOTEBOOKS.glob("[0-9]*.ipynb")} <= set(named)


def test_the_paper_map_names_sections_that_there_are():
    """`05, sections 2–3; 02, section 6` in the README: lesson 05 has sections 2 and 3, lesson 02 has a section 6."""
    named = re.findall(r"(\d\d), sections? ([^|;]*)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    for number, listed in named:
        (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
        there = set(re.findall(r"^## (\d+) ·", "\n".join(cell.source for cell in read(path).cells), flags=re.M))
        assert set(re.findall(r"\d+", listed)) <= there, f"lesson {number} has no section {listed}"


def pictured(path) -> dict[int, str]:
    """Execution count of each cell with a picture -> the number of its section."""
    found, section = {}, "0"
    for cell in read(path).cells:
        if cell.cell_type == "markdown":
            section = [section, *re.findall(r"^## (\d+) ·", cell.source, flags=re.M)][-1]
        elif any(kind.startswith("image/") for output in cell.outputs for kind in output.get("data", {})):
            found[cell.execution_count] = section
    return found


def test_the_companion_leaves_out_no_slide_of_the_lecture_and_no_lesson():
    for minute in ("00:22", "02:35", "04:37", "12:10", "14:20", "16:07", "17:17", "19:43"):
        assert f"| {minute} " in COMPANION
    defined = set(re.findall(r"^\[(\d\d[^\]]*)\]:", COMPANION, flags=re.M))
    used = set(re.findall(r"\[(\d\d[^\]]*)\](?![:(])", COMPANION))
    assert used == defined
    assert not {path.stem[:2] for path in NOTEBOOKS.glob("[0-9]*.ipynb")} - {name[:2] for name in used}


def test_the_45_minutes_are_45():
    spans = [tuple(map(int, span)) for span in re.findall(r"^\| (\d+)–(\d+) \|", COMPANION, flags=re.M)]
    assert spans[0][0] == 0 and spans[-1][1] == 45
    assert all(a[1] == b[0] for a, b in pairwise(spans))


# -- links -------------------------------------------------------------------------------------------------------


def broken_links(page) -> list[str]:
    """Links of a Markdown page, inline or listed at its end, that lead to no file or to no heading of it."""
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!http)([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]: (?!http)(\S+)$", text, flags=re.M)
    broken = []
    for link in sorted(set(links)):
        name, _, section = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (section and section not in anchors(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "notebooks/README.md", "notebooks/RUNNING.md"])
def test_links_lead_to_files_and_headings_that_are_there(page):
    assert broken_links(ROOT / page) == []


def test_a_broken_link_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Two parts\n[here](#two-parts) [there](page.md#two-parts) [web](https://a.org/b) [a][gone]\n")
    assert broken_links(page) == []
    page.write_text(f"{page.read_text()}[b](#one-part) [c](lost.md)\n\n[gone]: lost.ipynb#2\n")
    assert broken_links(page) == ["#one-part", "lost.ipynb#2", "lost.md"]


# -- a lesson of one's own ---------------------------------------------------------------------------------------


def test_a_lesson_starts_from_the_template_without_its_notes(tmp_path):
    path = start("12_my_topic", tmp_path)
    notebook = read(path)
    assert notebook.cells[0].source.startswith("# 12 · ") and not tagged(notebook, "note")
    assert [c.source for c in code_cells(notebook)] == [c.source for c in code_cells(read(TEMPLATE))]
    nbformat.validate(notebook)
    assert len(tagged(read(TEMPLATE), "note")) >= 6
    before = path.read_bytes()
    for name in ("12_my_topic", "12_other", "12_my_topic.ipynb"):
        with pytest.raises(NameRefused, match="12 is taken"):
            start(name, tmp_path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("name", ["", "my_topic", "1_topic", "12-topic", "12_Topic", "../12_topic", "12_", "12_a b"])
def test_a_name_out_of_form_is_refused_with_an_example(tmp_path, name):
    with pytest.raises(NameRefused, match="two digits"):
        start(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_command_says_what_is_wrong_in_one_line(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["new_lesson.py", "00_again"])
    with pytest.raises(SystemExit, match=r"^No lesson written\. number 00 is taken: 00_start_here\.ipynb$"):
        runpy.run_path(str(NOTEBOOKS / "tools" / "new_lesson.py"), run_name="__main__")


# -- checking other people's lessons -----------------------------------------------------------------------------


def test_validate_says_where_there_is_nothing_to_check(tmp_path):
    for places, words in [([str(tmp_path)], "no notebooks in"), ([str(tmp_path / "a.ipynb")], "no such notebook")]:
        with pytest.raises(SystemExit, match=words):
            validate.main(places)


def test_a_lesson_that_is_named_is_checked_alone(monkeypatch, tmp_path, capsys):
    asked = []

    def run(command, env, **_):
        asked.append((command, env.get("CAM_LESSONS")))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    path = start("12_my_topic", tmp_path)
    assert validate.main([str(path)]) == 0
    assert [names for _, names in asked] == [str(path)] * 3
    assert all("12_my_topic" in " ".join(command) for command, _ in asked), "nothing else is collected"
    assert re.findall(r"^-- (\w+): passed", capsys.readouterr().out, flags=re.M) == ["anatomy", "exercises", "cells"]
    asked.clear()
    assert validate.main([]) == 0 and "still to write" not in capsys.readouterr().out
    assert [names for _, names in asked] == [None] * 3 and asked[0][0][-1] == str(ROOT / "tests")


def test_what_is_still_to_write_is_listed_until_it_is_written(monkeypatch, tmp_path):
    """A lesson beside the course's own is told of every page that `make test` looks at."""
    monkeypatch.setattr(validate, "ROOT", tmp_path)
    for name in ("README.md", "notebooks/README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("", encoding="utf-8")
    path = start("77_my_topic", tmp_path / "notebooks")
    told = validate.still_to_write(path)
    for words in (
        "cells are the template's",
        "title and facts",
        "README.md: a row",
        "notebooks/README.md: a line",
        "plan.yaml",
    ):
        assert any(words in one for one in told), words
    assert any("tests/exercises/77.yaml" in one for one in told)
    notebook = read(path)
    for cell in notebook.cells:
        cell.source = cell.source.replace("Mirrored and moved", "Another topic") + "\n"
    nbformat.write(notebook, path)
    (tmp_path / "README.md").write_text("| [mine](notebooks/77_my_topic.ipynb)", encoding="utf-8")
    fewer = validate.still_to_write(path)
    assert not [one for one in fewer if "README.md: a row" in one or "title and facts" in one]
    assert len(fewer) < len(told) and any("notebooks/README.md: a line" in one for one in fewer)


@pytest.mark.slow
def test_validate_passes_a_lesson_that_was_just_started_and_fails_a_broken_one(tmp_path):
    """The steps of .github/workflows/validate.yml, as they are run there."""
    good = start("12_my_topic", tmp_path)
    command = [sys.executable, ROOT / "notebooks/tools/validate.py", "--workers", "0"]
    done = subprocess.run([*command, good, "--only", "anatomy", "exercises"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert re.findall(r"^-- (\w+): passed", done.stdout, flags=re.M) == ["anatomy", "exercises"]
    _, todo = done.stdout.split("-- 12_my_topic, still to write:")
    assert "cells are the template's: 1 · The same picture, mirrored; " in todo
    assert "README" not in todo, "the course's own pages do not concern a lesson in a folder of its own"
    broken = tmp_path / "13_broken.ipynb"
    notebook = read(good)
    notebook.cells = notebook.cells[:2]
    notebook.cells[1].source += "\n1 / 0"
    nbformat.write(notebook, broken)
    done = subprocess.run([*command, tmp_path, "--only", "anatomy"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "-- anatomy: FAILED" in done.stdout
    assert "13_broken" in done.stdout and "[12_my_topic] -" not in done.stdout
    done = subprocess.run([*command, broken, "--only", "cells"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "ZeroDivisionError" in done.stdout


# -- workflows, forms, releases ----------------------------------------------------------------------------------


def test_workflows_name_files_and_options_that_are_there():
    assert {path.stem for path in WORKFLOWS} == {"test", "validate", "weekly", "release"}
    for path in WORKFLOWS:
        workflow = yaml_of(path)
        assert {"name", "jobs", "permissions"} <= set(workflow) and True in workflow, "`on` reads as true in YAML 1.1"
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"(?<![\w/])((?:tests|notebooks|\.github|\.ci)/[\w./]+\w)", text):
            assert (ROOT / name).is_file(), f"{path.name}: {name}"
        for option in re.findall(r"notebooks/tools/validate\.py (.*)$", text, flags=re.M):
            assert set(re.findall(r"--(\w+)", option)) <= {"only", "package", "workers"}
    matrix = yaml_of(ROOT / ".github/workflows/test.yml")["jobs"]["everywhere"]["strategy"]["matrix"]
    assert matrix["python"] == ["3.11", "3.12", "3.13"] and len(matrix["os"]) == 3
    called = yaml_of(ROOT / ".github/workflows/validate.yml")[True]
    inputs = called["workflow_call"]["inputs"]
    assert inputs == called["workflow_dispatch"]["inputs"]
    assert inputs["only"]["default"] == "", "validate.py knows which parts concern what"
    callers = [job for path in WORKFLOWS for job in yaml_of(path)["jobs"].values() if "uses" in job]
    assert len(callers) == 2 and all(set(job.get("with", {})) <= set(inputs) for job in callers)


def test_only_what_publishes_may_write():
    for path in WORKFLOWS:
        workflow = yaml_of(path)
        rights = [workflow["permissions"], *(job.get("permissions", {}) for job in workflow["jobs"].values())]
        writes = {key for right in rights for key, value in right.items() if value == "write"}
        assert writes == {"weekly": {"issues"}, "release": {"contents"}}.get(path.stem, set()), path.name


def test_the_issue_form_asks_for_notebook_cell_and_environment():
    form = yaml_of(ROOT / ".github/ISSUE_TEMPLATE/lesson.yml")
    fields = {item["id"]: item for item in form["body"]}
    assert {"notebook", "cell", "what", "environment"} <= set(fields)
    assert all(item["attributes"]["label"] for item in form["body"])
    assert "setup_check.report()" in fields["environment"]["attributes"]["description"]


def test_one_version_everywhere():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert release.versions() == dict.fromkeys(("pyproject.toml", "CITATION.cff", "CHANGELOG.md"), version)
    assert "the versions disagree: the tag 99.0.0" in release.problem("v99.0.0")
    assert len(release.notes()) > 200 and "## [" not in release.notes()


def test_a_release_needs_a_date(monkeypatch):
    version = release.versions()["pyproject.toml"]
    given = release.text
    monkeypatch.setattr(release, "text", lambda name: re.sub(r"\] - \S+", "] - 2027-01-31", given(name)))
    assert release.problem(f"v{version}") is None
    monkeypatch.setattr(release, "text", lambda name: re.sub(r"\] - \S+", "] - Unreleased", given(name)))
    assert "where the date" in release.problem(f"v{version}")


@pytest.mark.slow
def test_the_zip_of_a_release_holds_what_a_reader_needs_and_no_answer_to_an_assignment(tmp_path):
    with zipfile.ZipFile(release.lessons("1.2.3", tmp_path)) as archive:
        names = {name.removeprefix("cam-course-1.2.3/") for name in archive.namelist()}
        start = archive.read("cam-course-1.2.3/notebooks/00_start_here.ipynb")
    assert start == (ROOT / "notebooks" / "00_start_here.ipynb").read_bytes()  # with its solutions
    assert {"Makefile", "cam_helpers/maps.py", "assignments/nodules/nodules.ipynb"} <= names
    assert "data/drawn_world/checkpoints/objects-gap.safetensors" in names
    assert not any(name.startswith(("tests/", "notebooks/assignments/")) for name in names)
    assert [path.name for path in tmp_path.iterdir()] == ["cam-course-1.2.3.zip"]


def test_the_citation_names_the_paper():
    citation = yaml_of(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation)
    assert citation["references"][0]["title"] == "Learning Deep Features for Discriminative Localization"


def test_badges_lead_to_the_repository_once_it_is_named(tmp_path):
    (tmp_path / "notebooks").mkdir()
    for name in ("README.md", "notebooks/RUNNING.md", "CITATION.cff"):
        shutil.copy(ROOT / name, tmp_path / name)
    for repo in ("someone/first", "some-one/cam.course", "some-one/cam.course"):
        badges.write(repo, root=tmp_path)
        readme = (tmp_path / "README.md").read_text(encoding="utf-8")
        assert f"](https://mybinder.org/v2/gh/{repo}/students?urlpath=lab/tree/notebooks/00_start_here.ipynb)" in readme
        assert f"](https://colab.research.google.com/github/{repo}/blob/students/colab/00_start_here.ipynb)" in readme
        running = (tmp_path / "notebooks" / "RUNNING.md").read_text(encoding="utf-8")
        assert "OWNER" not in running and running.count(f"https://github.com/{repo}") == 3
        assert f"github/{repo}/blob/students/colab/00_start_here.ipynb" in running
        assert f"lab/tree/{repo.split('/')[1]}/notebooks" in running
        assert yaml_of(tmp_path / "CITATION.cff")["repository-code"] == f"https://github.com/{repo}"
        assert [line.partition(": ")[2] for line in badges.still_open(tmp_path)] == [
            "HUB, the address of your JupyterHub"
        ]
    with pytest.raises(ValueError, match="owner/name"):
        badges.write("nobody", root=tmp_path)


def test_what_no_address_was_given_for_is_named(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "README.md").write_text("[![Open in Colab](a.svg)](b.md)\n[![Open in Binder](a.svg)](https://x.org)\n")
    (tmp_path / "notebooks" / "a.md").write_text("GITHUB/REPO\nhttps://HUB/hub?repo=https://github.com/OWNER/REPO\n")
    assert badges.still_open(tmp_path) == [
        "notebooks/a.md, line 2: OWNER, the repository's public address",
        "notebooks/a.md, line 2: HUB, the address of your JupyterHub",
        "README.md: the badge 'Open in Colab' leads to no address yet",
    ]
