"""What `make course` gives out, opened like a student who looks for answers: files, notebooks, git's objects."""

from __future__ import annotations

import itertools
import re
import subprocess
import zipfile

import nbformat
import pytest
import tiny_course as tiny
import yaml
from conftest import ROOT
from handout import branch, contents, lessons
from handout.command import write
from leaks import leaks, secrets
from lessons import LESSONS, solution, tagged
from nbformat.v4 import new_notebook

from grader.course import ASSIGNMENTS
from grader.release import for_students, pack

WORDS = re.compile(r"BEGIN (SOLUTION|HIDDEN)|CAM_\w+_SEED")
PRIVATE = re.compile(
    r"source/|rubrics|grader|gradebook|class_list|answers|(^|/)tests|\.git/|\.pyc$|__pycache__|/cache/"
)
PACKED = re.compile(r"\.(zip|whl|gz|tar|7z|pyc|db|bundle)$")


def lesson(files, number, folder="notebooks"):
    name = next(name for name in files if name.startswith(f"{folder}/{number}_"))
    return nbformat.reads(files[name].decode(), 4)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> dict[str, bytes]:
    """The course with one small assignment in place of the others."""
    return contents.contents(for_students(tiny.make(tmp_path_factory.mktemp("tiny") / "course")), set(), "students")


# -- answers -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_no_line_of_a_solution_hidden_test_or_answer_is_given_out(course):
    assert leaks(course, *secrets(ASSIGNMENTS)) == {}
    notebooks = [name for name in course if name.endswith(".ipynb")]
    assert len(notebooks) == 2 * len(LESSONS) + 2 * 5 + 1
    assert [name for name in notebooks if WORDS.search(course[name].decode())] == []


def test_what_is_private_and_what_cannot_be_looked_into_is_not_given_out(small):
    assert [name for name in small if PRIVATE.search(name) or PACKED.search(name)] == []
    known = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("tests/exercises/*.yaml")}
    assert known and not known & set(small)
    held = {b"PK\x03\x04", b"\x1f\x8b", b"SQLi"}  # archives and databases by their first bytes, whatever their names
    assert [name for name, content in small.items() if content[:4] in held or content[:2] in held] == []


def test_the_search_finds_a_secret_wherever_it_is_put(small, tmp_path):
    """In metadata, in an output, beside a lesson, in a compiled file; two lines in a row in a lesson."""
    hidden, seen = secrets(tiny.make(tmp_path / "course"))
    assert leaks(small, hidden, seen) == {}
    secret = next(line for part in hidden for line in part if line.startswith("secret ="))
    first = next(pair for part in hidden for pair in itertools.pairwise(part) if min(map(len, pair)) > 20)
    in_lesson = lesson(small, "00")
    in_lesson.metadata["old"] = [{"text": "1\n    " + "\n    ".join(first)}]
    added = {
        "notebooks/00_start_here.ipynb": nbformat.writes(in_lesson).encode(),
        "notebooks/my.ipynb": nbformat.writes(new_notebook(metadata={"x": secret})).encode(),
        "data/notes.pyc": b"\x00\x01" + secret.encode() + b"\x00",
    }
    assert set(leaks(small | added, hidden, seen)) == set(added)


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:2])
def test_a_lesson_without_solutions_tells_none_and_is_whole_otherwise(path):
    before, after = (nbformat.reads(text.decode(), 4) for text in (path.read_bytes(), without(path)))
    hidden = [solution(cell).strip() for cell in tagged(before, "solution")]
    assert len(hidden) >= 4 and not tagged(after, "solution")
    outside = "\n".join(cell.source for cell in after.cells if "check" not in cell.metadata.get("tags", []))
    assert "<summary>Solution" not in outside
    assert [code for code in hidden if code in outside] == []
    assert after.cells == [cell for cell in before.cells if "solution" not in cell.metadata.get("tags", [])]
    assert len(tagged(after, "exercise")) == len(tagged(after, "check")) == len(hidden)
    assert {**before, "cells": []} == {**after, "cells": []}


def without(path) -> bytes:
    return lessons.without_solutions(path.read_bytes())


def test_solutions_come_with_the_lessons_that_are_named(small):
    kept = contents.contents(small, {"00", "02"}, "students")  # texts of `small` are replaced
    counts = {path.stem[:2]: len(tagged(lesson(kept, path.stem[:2]), "solution")) for path in LESSONS}
    assert {number for number, count in counts.items() if count} == {"00", "02"}
    assert kept["notebooks/00_start_here.ipynb"] == (ROOT / "notebooks" / "00_start_here.ipynb").read_bytes()
    assert "In lesson 00, 02, the solution is folded" in kept["README.md"].decode()
    assert "Your lecturer has the solutions" in small["README.md"].decode()
    with pytest.raises(ValueError, match="expected numbers of lessons, 00 to 13, got 77"):
        contents.contents(small, {"77"}, "students")


# -- what is there -----------------------------------------------------------------------------------------------


def test_what_students_read_leads_to_what_they_have(small, tmp_path):
    from test_adoption import broken_links

    write(small, tmp_path / "course")
    texts = ["README.md", "notebooks/RUNNING.md", "data/README.md"]
    assert [link for name in texts for link in broken_links(tmp_path / "course" / name)] == []
    for path in sorted((tmp_path / "course" / "notebooks").glob("*.ipynb")):
        cells = nbformat.read(path, 4).cells
        words = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
        page = path.with_suffix(".links.md")
        page.write_text("\n".join(f"[x]({link})" for link in re.findall(r"\]\((?!http|#)([^)\s#]+)", words)))
        assert broken_links(page) == [], path.name
    assert "nbgitpuller" not in small["notebooks/RUNNING.md"].decode()


def test_make_lab_sets_up_as_the_course_does_and_opens_the_first_lesson(small, tmp_path):
    write(small, tmp_path / "course")

    def make(*words) -> str:
        return subprocess.run(["make", *words], cwd=tmp_path / "course", capture_output=True, text=True).stdout

    plan = make("-n", "lab", "ARGS=--no-browser --port 8899")
    assert "pip install --disable-pip-version-check -e ." in plan
    assert "/lab/tree/notebooks/00_start_here.ipynb --no-browser --port 8899" in plan
    assert set(re.findall(r"^  make (\S+)", make("help"), flags=re.M)) == {"help", "lab", "check"}
    assert "say which" in make("check") and not (tmp_path / "course" / ".venv").exists()
    whole = (ROOT / "Makefile").read_text().splitlines()
    check = ("check:", '@test -n "$(NOTEBOOK)"', "$(BIN)/python check.py", ".PHONY", "#")
    for line in small["Makefile"].decode().splitlines():
        assert line in whole or line.strip().startswith(check), f"not as in the course's own Makefile: {line}"


def test_hub_binder_and_conda_find_one_environment_with_what_lessons_need(small):
    """repo2docker looks in binder/ and .binder/ first, and takes a Dockerfile before environment.yml."""
    read_first = re.compile(
        r"^(\.?binder/|(Dockerfile|requirements\.txt|setup\.py|Pipfile|runtime\.txt|Project\.toml)$)"
    )
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    assert [name for name in [*listed, *small] if read_first.search(name)] == []
    whole = yaml.safe_load((ROOT / "environment.yml").read_text())
    given = yaml.safe_load(small["environment.yml"].decode())

    def flat(environment) -> list[str]:
        return [
            e for entry in environment["dependencies"] for e in (entry["pip"] if isinstance(entry, dict) else [entry])
        ]

    names = [re.split(r"[=<>]", entry)[0] for entry in flat(given)]
    needs = re.findall(
        r'^    "([\w.-]+)>=', small["pyproject.toml"].decode().split("optional-dependencies")[0], flags=re.M
    )
    assert set(flat(given)) <= set(flat(whole)) and given["channels"] == whole["channels"]
    named = {"pytorch" if name == "torch" else name for name in needs}
    assert set(names) == named | {"python", "pip", "-e .", "nbgitpuller"}


# -- Colab -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:2])
def test_a_copy_for_colab_installs_first_and_is_the_lesson_otherwise(path, capsys):
    needs = ["torch>=2.6", "jupyterlab>=4.2", "ipykernel>=6.29", "captum>=0.8"]
    made = lessons.for_colab(path.read_bytes(), "some-one/course", "students", f"notebooks/{path.name}", needs)
    first, *cells = nbformat.reads(made.decode(), 4).cells
    ours = nbformat.read(path, 4).cells
    assert [cell.source for cell in cells if cell.cell_type == "code"] == [
        c.source for c in ours if c.cell_type == "code"
    ]
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in cells)
    words = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert re.findall(r"\]\((?!http|#)[^)]+\)", words) == [] and "](https://colab.research" in words
    nbformat.validate(nbformat.reads(made.decode(), 4))
    ran = []
    code = re.sub(r"%pip (.*)", lambda line: f"pip({line[1]!r})", first.source)
    exec(code, {"pip": ran.append})  # not on Colab
    assert ran == [] and capsys.readouterr().out == ""
    exec(code.replace("import google.colab", "pass"), {"pip": ran.append})
    assert ran == [
        'install -q --no-deps "cam_helpers @ https://github.com/some-one/course/archive/refs/heads/students.zip"',
        'install -q "torch>=2.6" "captum>=0.8"',
    ]


def test_the_address_is_what_make_badges_wrote(tmp_path):
    citation = tmp_path / "CITATION.cff"
    citation.write_text(
        (ROOT / "CITATION.cff").read_text() + '\nrepository-code: "https://github.com/some-one/cam.course"\n'
    )
    assert contents.repository(citation) == "some-one/cam.course"
    citation.write_text("title: x\n")
    assert contents.repository(citation) == contents.PLACEHOLDER


# -- git ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository whose main branch holds a secret -> a function that calls git in it."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A Lecturer")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "lecturer@example.org")
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    root = tmp_path / "repository"
    tiny.make(root)

    def git(*words, cwd=root) -> str:
        return subprocess.run(["git", *words], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("commit", "-q", "-m", "the course with its answers")
    git.root = root
    return git


def objects(git, name: str, cwd) -> dict[str, bytes]:
    """Every object that whoever fetches a branch gets -> its content; files by their names, with that of the object."""
    found = {}
    for line in git("rev-list", "--objects", name, cwd=cwd).splitlines():
        made, _, path = line.partition(" ")
        command = ["git", "cat-file", git("cat-file", "-t", made, cwd=cwd), made]
        found[f"{made}/{path}"] = subprocess.run(command, cwd=cwd, check=True, capture_output=True).stdout
    return found


def test_no_object_of_the_branch_holds_a_secret(small, repository, tmp_path):
    kinds = (
        "README",
        "assignments/",
        "as_given_out/",
        "collector/",
        "notebooks/00",
        "notebooks/cam_explorer/",
        "colab/00",
    )
    few = {name: content for name, content in small.items() if name.startswith(kinds)}
    root = repository.root
    assert branch.commit(few, "students", root)
    assert branch.commit(few | {"news.txt": b"tomorrow"}, "students", root)
    repository("clone", "-q", "--single-branch", "--branch", "students", f"file://{root}", str(tmp_path / "student"))
    got = objects(repository, "HEAD", tmp_path / "student")
    assert len(got) > len(few) and leaks(got, *secrets(root)) == {}
    refs = repository("for-each-ref", "--format=%(refname)", cwd=tmp_path / "student").splitlines()
    assert not any("main" in ref for ref in refs)
    stored = repository("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", cwd=tmp_path / "student")
    assert {name.partition("/")[0] for name in got} == set(stored.split())
    # and the search sees what is in the branch with the answers
    assert leaks(objects(repository, "main", root), *secrets(root)) != {}


def test_a_branch_grows_only_where_something_is_new_and_nothing_else_moves(repository):
    git, root = repository, repository.root
    (root / "half_done.txt").write_text("not committed")
    git("add", "half_done.txt")
    (root / "nbgrader_config.py").write_text("# changed\n")
    before = (git("status", "--porcelain"), git("rev-parse", "HEAD"), (root / ".git" / "index").read_bytes())
    one, two = {"a/b.txt": b"1\r\n", "c.txt": b"2"}, {"a/b.txt": b"1\r\n", "d.txt": b"3"}
    assert branch.commit(one, "students", root) and not branch.commit(one, "students", root)
    first = git("rev-parse", "students")
    assert branch.commit(two, "students", root)
    assert git("rev-list", "students").split()[1:] == [first] and git("rev-list", "--count", "students") == "2"
    assert git("ls-tree", "-r", "--name-only", "students").split() == ["a/b.txt", "d.txt"]
    assert subprocess.run(["git", "show", "students:a/b.txt"], cwd=root, capture_output=True).stdout == b"1\r\n"
    assert (git("status", "--porcelain"), git("rev-parse", "HEAD"), (root / ".git" / "index").read_bytes()) == before


def test_a_student_who_wrote_something_gets_what_is_new(repository, tmp_path):
    """The link of a hub calls nbgitpuller, which commits and merges: what the student changed stays."""
    from nbgitpuller import GitPuller

    student, root = tmp_path / "student", repository.root
    branch.commit({"lesson.txt": b"1\n2\n3\n4\n5\n"}, "students", root)
    pull = GitPuller(f"file://{root}", str(student), branch="students").pull
    list(pull())
    (student / "lesson.txt").write_text("mine\n2\n3\n4\n5\n")
    branch.commit({"lesson.txt": b"1\n2\n3\n4\nfive\n", "new.txt": b""}, "students", root)
    list(pull())
    assert (student / "lesson.txt").read_text() == "mine\n2\n3\n4\nfive\n"
    assert (student / "new.txt").exists()


def test_a_branch_that_would_carry_the_answers_along_is_refused(repository, tmp_path):
    git, root = repository, repository.root
    files = {"a.txt": b"1"}
    git("branch", "old")
    for name, complaint in (("main", "another origin"), ("old", "another origin"), ("a b", "not a name")):
        with pytest.raises(ValueError, match=complaint):
            branch.commit(files, name, root)
    branch.commit(files, "students", root)
    git("worktree", "add", "-q", str(tmp_path / "other"), "students")
    with pytest.raises(ValueError, match="is checked out"):
        branch.commit({"a.txt": b"2"}, "students", root)
    git("-c", "merge.ff=false", "merge", "-q", "--allow-unrelated-histories", "-m", "x", "main", cwd=tmp_path / "other")
    git("worktree", "remove", "--force", str(tmp_path / "other"))
    with pytest.raises(ValueError, match="another origin"):
        branch.commit({"a.txt": b"2"}, "students", root)
    with pytest.raises(RuntimeError, match="not a git repository"):
        branch.commit(files, "students", tmp_path)


# -- the folder and the zip --------------------------------------------------------------------------------------


def test_folder_and_zip_hold_the_same(tmp_path):
    files = {"assignments/x.txt": b"1", "README.md": b"2"}
    for _ in range(2):
        write(files, tmp_path / "course")
        pack(files, tmp_path / "course.zip")
        assert {
            p.relative_to(tmp_path / "course").as_posix(): p.read_bytes()
            for p in (tmp_path / "course").rglob("*")
            if p.is_file()
        } == files
    with zipfile.ZipFile(tmp_path / "course.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {f"course/{n}": c for n, c in files.items()}
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="expected a folder that this command wrote"):
        write(files, tmp_path / "mine")
