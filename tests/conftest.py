"""What the tests share: no windows, no surprise threads, and real data only where there is some."""

import os
import socket
from pathlib import Path

import matplotlib
import pytest
import torch

matplotlib.use("Agg")
torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_modifyitems(items):
    """The longest first, so that no worker is left alone with it at the end."""
    items.sort(key=lambda item: "takes_what_readers_take" not in item.nodeid)


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real pictures and weights, or a skip that says why."""
    folder = os.environ.get("CAM_TEST_DATA")
    if not folder:
        pytest.skip("CAM_TEST_DATA is not set: no real pictures to test with")
    if not Path(folder).is_dir():
        pytest.skip(f"CAM_TEST_DATA={folder} is not a folder")
    return Path(folder)


@pytest.fixture
def empty_home(monkeypatch, tmp_path):
    """A folder for weights with nothing in it, and none of the machine's own settings."""
    for variable in ("CAM_OFFLINE", "no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
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
