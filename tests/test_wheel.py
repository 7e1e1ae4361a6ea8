"""What students get, alone: its wheel carries the packages with their data, its lessons and assignments run."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from importlib import metadata

import pytest
from conftest import ROOT
from handout.command import write
from lessons import LESSONS, code_cells, read
from packaging.requirements import Requirement


@pytest.fixture(scope="module")
def installed(course, tmp_path_factory):
    """A new environment with the wheel and, of this one, only the packages it depends on -> (python, empty folder).

    What students get, as `make course` writes it, lies beside the empty folder.
    """
    folder = tmp_path_factory.mktemp("wheel")
    write(course, folder / "course")
    shutil.copytree(folder / "course", folder / "clone", ignore=shutil.ignore_patterns("*.ipynb"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder / "dist", folder / "clone"], check=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    (site,) = (folder / "venv" / "lib").glob("*/site-packages")
    # a path in a .pth file adds the dependencies, but not the link to the clone that `pip install -e` left there
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--target", site, wheel], check=True)
    shutil.rmtree(folder / "clone")
    (folder / "empty").mkdir()
    return python, folder / "empty"


def environment(folder, **more) -> dict:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "CAM_CACHE", "CAM_DATA")}
    return kept | {"XDG_CACHE_HOME": str(folder.parent / "home"), "CAM_PRESET": "smoke"} | more


@pytest.mark.slow
def test_the_packages_come_from_the_wheel_with_their_data(installed):
    python, folder = installed
    code = (
        "import cam_explorer, cam_helpers, drawn_world, photo_sets\nfrom cam_helpers import networks\n"
        "from drawn_world import digits\nassert len(digits.load('test', 2)) == 2\n"
        "print(drawn_world.__file__, cam_helpers.__file__, photo_sets.__file__, cam_explorer.__file__)\n"
        "print(len(drawn_world.TASKS), len(networks.load_checkpoint('objects-gap')[1]['classes']), "
        "photo_sets.measured()['about']['photos'])\n"
        "print(drawn_world.cache_folder())\nfrom cam_helpers.training.__main__ import main\nmain(['--list'])"
    )
    done = subprocess.run([python, "-c", code], cwd=folder, env=environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files, numbers, cache, *listed = done.stdout.strip().split("\n")
    assert "scenes-watermarked" in " ".join(listed) and "course_nin" in " ".join(listed)
    assert all(name.startswith(str(folder.parent / "venv")) for name in files.split())
    assert numbers == "10 20 260"
    assert cache.startswith(str(folder.parent / "home"))


def test_lessons_import_only_what_the_wheel_brings():
    """Its own packages, and those that pyproject.toml lists; not what these need in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    needs = {Requirement(line).name.lower().replace("_", "-") for line in project["project"]["dependencies"]}
    brought = {"cam_helpers", "drawn_world", "photo_sets", "cam_explorer"} & set(
        project["tool"]["setuptools"]["packages"]
    )
    homes = metadata.packages_distributions()
    for path in LESSONS:
        code = "\n".join(re.sub(r"^[%!].*", "", cell.source, flags=re.M) for cell in code_cells(read(path)))
        names = {name.split(".")[0] for name in imported(ast.parse(code))} - brought - set(sys.stdlib_module_names)
        missing = {
            name for name in names if not needs & {home.lower().replace("_", "-") for home in homes.get(name, ())}
        }
        assert missing <= {"IPython"}, f"{path.name}: {missing}"  # ipykernel cannot be without it


def imported(tree) -> set[str]:
    names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return names | {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}


@pytest.mark.slow
@pytest.mark.parametrize("lesson", ["01_gap_derivation", "05_localize_objects"])
def test_a_lesson_runs_from_the_wheel_in_an_empty_folder(installed, lesson):
    python, folder = installed
    shutil.copy(ROOT / "notebooks" / f"{lesson}.ipynb", folder)
    run(python, folder, lesson)


def run(python, folder, lesson):
    nbval = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "600", "-p", "no:cacheprovider", "-q"]
    command = [python, "-m", "pytest", *nbval, f"{lesson}.ipynb"]
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


@pytest.mark.slow
def test_what_students_get_runs_alone(installed):
    """A lesson, and an assignment as their own check runs it: all that is missing are the answers."""
    python, folder = installed
    students = folder.parent / "course"
    run(python, students / "notebooks", "00_start_here")
    command = [python, "check.py", "pooling_and_maps.ipynb"]
    done = subprocess.run(command, cwd=students, env=environment(folder), capture_output=True, text=True)
    said = re.findall(r"^- (.*)", done.stdout, flags=re.M)
    assert len(said) >= 5 and all(line.endswith("has no answer yet.") for line in said), done.stdout + done.stderr
    assert f"0 of {len(said)} answers are there." in done.stdout
