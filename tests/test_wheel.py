"""The wheel carries the course's packages with their data: lessons run from it in an empty folder, without a clone."""

import os
import shutil
import subprocess
import sys
import sysconfig

import pytest
from conftest import ROOT

PARTS = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "cam_helpers",
    "data/drawn_world",
    "data/photo_sets",
    "notebooks/cam_explorer",
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A new environment with the wheel and, of this one, only the packages it depends on -> (python, empty folder)."""
    folder = tmp_path_factory.mktemp("wheel")
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        (folder / "clone" / part).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / part, folder / "clone" / part)
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
        "print(drawn_world.__file__, cam_helpers.__file__, photo_sets.__file__, cam_explorer.__file__)\n"
        "print(len(drawn_world.TASKS), len(networks.load_checkpoint('objects-gap')[1]['classes']), "
        "photo_sets.measured()['about']['photos'])\n"
        "print(drawn_world.cache_folder())"
    )
    done = subprocess.run([python, "-c", code], cwd=folder, env=environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    files, numbers, cache = done.stdout.strip().split("\n")
    assert all(name.startswith(str(folder.parent / "venv")) for name in files.split())
    assert numbers == "10 20 260"
    assert cache.startswith(str(folder.parent / "home"))


@pytest.mark.slow
@pytest.mark.parametrize("lesson", ["01_gap_derivation", "05_localize_objects"])
def test_a_lesson_runs_from_the_wheel_in_an_empty_folder(installed, lesson):
    python, folder = installed
    shutil.copy(ROOT / "notebooks" / f"{lesson}.ipynb", folder)
    nbval = ["--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "600", "-p", "no:cacheprovider", "-q"]
    command = [python, "-m", "pytest", *nbval, f"{lesson}.ipynb"]
    done = subprocess.run(command, cwd=folder, env=environment(folder), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
