"""The watch on a kernel's limits, with files and processes of our own instead of a kernel's."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from grader import isolation


class Watch(isolation.Watch):
    """Says what it would end, and leaves the processes of these tests alone."""

    def kill(self, reason: str) -> None:
        self.reason = self.reason or reason


def watched(folder, memory: int = 1 << 40, seconds: float = 60) -> str:
    """The reason for which a watch would end a kernel within a few seconds; "" if it has none."""
    watch = Watch(folder, seconds, memory)
    end = time.monotonic() + 10
    while not watch.reason and time.monotonic() < end:
        time.sleep(0.05)
    found, watch.reason = watch.reason, watch.reason or "the test has ended"
    return found


def deep_folders(folder):
    here = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(1100):  # the whole path would be too long for one call
            os.mkdir("x" * 9)
            os.chdir("x" * 9)
    finally:
        os.chdir(here)


def many_files(folder):
    for k in range(60):
        (folder / f"{k}").touch()


def large_file(folder):
    with open(folder / "large", "wb") as file:
        file.truncate(isolation.SOCKET_BYTES + 1)


@pytest.mark.parametrize("fill", [deep_folders, many_files, large_file])
def test_only_sockets_belong_into_the_folder_of_the_sockets(tmp_path, fill):
    folder = tmp_path / "sockets"
    folder.mkdir()
    fill(folder)
    try:
        assert "sockets belong" in watched(folder)
    finally:
        isolation.remove(folder)
    assert not folder.exists()


def test_a_kernel_whose_limits_cannot_be_watched_is_ended(tmp_path):
    assert "cannot be watched (FileNotFoundError)" in watched(tmp_path / "removed")


def test_a_kernel_within_its_limits_goes_on(tmp_path):
    (tmp_path / "kernel.json").write_text("{}")
    assert watched(tmp_path, seconds=2) == "more than 2 s in all"


HIDDEN = {
    "memfd": "fd = os.memfd_create('x')",
    "deleted": "fd = os.open('deleted', os.O_RDWR | os.O_CREAT); os.unlink('deleted')",
}


@pytest.mark.skipif(sys.platform != "linux", reason="files of a process are listed in /proc")
@pytest.mark.parametrize("kind", HIDDEN)
def test_files_without_a_name_count_as_memory(tmp_path, kind):
    code = f"import os, time; {HIDDEN[kind]}; [os.write(fd, bytes(1 << 20)) for _ in range(300)]; time.sleep(60)"
    (tmp_path / "sockets").mkdir()
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as process:
        try:
            assert "of memory" in watched(tmp_path / "sockets", memory=250 << 20)
        finally:
            process.kill()
