"""What the tests share: no windows, no surprise threads, and real data only where there is some.

PyTorch is imported by the tests that need it: those of a lesson's form take seconds less without.
"""

import functools
import os
import shutil
import socket
import sys
from pathlib import Path

import matplotlib
import pytest

import drawn_world

matplotlib.use("Agg")
os.environ.setdefault("OMP_NUM_THREADS", str(os.cpu_count() or 1))  # before PyTorch looks
sys.modules.setdefault("rfc3987_syntax", None)  # nbformat's optional parser of web addresses takes 1.3 s to load

ROOT = Path(__file__).resolve().parent.parent
LONGEST = (
    "test_every_submission_ends", "test_solutions_are_right", "[nodules]", "test_a_class_is_graded", "photographs_give",
    "whole_report", "validate_passes",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """The longest first, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: not any(name in item.nodeid for name in LONGEST))


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real pictures and weights, or a skip that says why."""
    folder = os.environ.get("CAM_TEST_DATA")
    if not folder:
        pytest.skip("CAM_TEST_DATA is not set: no real pictures to test with")
    if not Path(folder).is_dir():
        pytest.skip(f"CAM_TEST_DATA={folder} is not a folder")
    return Path(folder)


@pytest.fixture(scope="session")
def lite0():
    """The network that the installation carries -> (network, weights); not to be changed."""
    from cam_helpers.networks import pretrained

    return pretrained()


@pytest.fixture
def empty_home(monkeypatch, tmp_path):
    """A folder for weights with nothing in it, and none of the machine's own settings."""
    for variable in ("CAM_OFFLINE", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    import torch

    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("no network is needed")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.fixture(scope="module")
def fresh_cache(tmp_path_factory):
    """A folder for drawn pictures with nothing in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CAM_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def own_data(tmp_path, monkeypatch):
    """A copy of the drawn world's data that a test may change, and a cache of its own."""
    copy = tmp_path / "data"
    shutil.copytree(drawn_world.data_folder(), copy, ignore=shutil.ignore_patterns("cache"))
    monkeypatch.setenv("CAM_DATA", str(copy))
    monkeypatch.setenv("CAM_CACHE", str(tmp_path / "cache"))
    return copy


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A function: "site", "slides" or "figures" -> the folder that `pages.py` made of it, once for all workers."""
    from built import build_once

    folder = tmp_path_factory.getbasetemp()
    shared = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder  # it holds the workers' own
    return functools.cache(lambda what: build_once(what, shared / "dist"))


@pytest.fixture(scope="session")
def given_out() -> dict[str, bytes]:
    """Name -> content of the students' archive."""
    from grader.course import ASSIGNMENTS
    from grader.release import for_students

    return for_students(ASSIGNMENTS)


@pytest.fixture(scope="session")
def course(given_out) -> dict[str, bytes]:
    """Name -> content of what `make course` gives out, with the solutions of lesson 01."""
    from handout.contents import contents

    return contents(given_out, {"01"}, "students")


@pytest.fixture(scope="module")  # Playwright's event loop would be in the way of tests that run notebooks
def browser():
    from browsing import CHROMIUM
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the lessons -> (address, folder)."""
    from browsing import jupyterlab
    from lessons import LESSONS

    folder = tmp_path_factory.mktemp("lab")
    for path in LESSONS:
        shutil.copy(path, folder)
    with jupyterlab(folder) as address:
        yield address, folder
