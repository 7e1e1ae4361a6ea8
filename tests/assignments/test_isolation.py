"""The watch on a kernel's limits, with files and processes of our own instead of a kernel's."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from sandbox import isolation, watch


class Watch(watch.Watch):
    """Says what it would end, and leaves the processes of these tests alone."""

    def kill(self, reason: str) -> None:
        self.reason = self.reason or reason


def watched(root="", memory: int = 1 << 40, seconds: float = 60) -> str:
    """The reason for which a watch would end a kernel within a few seconds; "" if it has none."""
    made = Watch(seconds, memory)
    made.root = str(root)
    end = time.monotonic() + 10
    while not made.reason and time.monotonic() < end:
        time.sleep(0.05)
    found, made.reason = made.reason, made.reason or "the test has ended"
    return found


def test_a_kernel_whose_limits_cannot_be_watched_is_ended(tmp_path):
    assert "cannot be watched (FileNotFoundError)" in watched(tmp_path / "removed")


def test_a_kernel_within_its_limits_goes_on():
    assert watched(seconds=2) == "more than 2 s in all"


NO_BUBBLEWRAP = pytest.mark.skipif(bool(isolation.missing()), reason="bubblewrap does not work here")


def inside(tmp_path, code: str) -> subprocess.Popen:
    """Python in the place where kernels run."""
    return subprocess.Popen(
        [*isolation._bubblewrap(tmp_path), sys.executable, "-S", "-c", code], stdout=subprocess.PIPE
    )


@NO_BUBBLEWRAP
def test_all_that_can_be_written_to_is_in_memory_and_of_limited_size(tmp_path):
    code = """
import os
mounts = {line.split()[1]: line.split()[2] for line in open("/proc/mounts")}
for folder, folders, _ in os.walk("/"):
    folders[:] = [name for name in folders if os.path.join(folder, name) not in ("/proc", "/sys", "/usr")]
    try:
        open(os.path.join(folder, "harm"), "w").close()
    except OSError:
        continue
    place = folder
    while place not in mounts:
        place = os.path.dirname(place)
    size = os.statvfs(folder)
    print(mounts[place], size.f_blocks * size.f_frsize, place)
"""
    with inside(tmp_path, code) as process:
        places = {tuple(line.split()) for line in process.stdout.read().decode().splitlines()}
    assert places == {("tmpfs", str(isolation.MOST_BYTES), place) for place in isolation.WRITABLE}
    assert not list(tmp_path.iterdir())


@NO_BUBBLEWRAP
def test_many_files_are_seen_from_outside(tmp_path):
    code = (
        f"import time\nfor k in range({isolation.MOST_FILES} + 100): open(f'/tmp/{{k}}', 'w').close()\ntime.sleep(60)"
    )
    with inside(tmp_path, code) as process:
        try:
            assert "files" in watched(isolation.root_of(process.pid))
        finally:
            process.kill()


@NO_BUBBLEWRAP
def test_a_sandbox_that_ends_at_once_is_noticed(tmp_path):
    with inside(tmp_path, "") as process:
        process.wait()
        with pytest.raises(RuntimeError, match="ended at its start"):
            isolation.root_of(process.pid)


HIDDEN = {
    "memfd": "fd = os.memfd_create('x')",
    "deleted": "fd = os.open('deleted', os.O_RDWR | os.O_CREAT); os.unlink('deleted')",
}


@pytest.mark.skipif(sys.platform != "linux", reason="files of a process are listed in /proc")
@pytest.mark.parametrize("kind", HIDDEN)
def test_files_without_a_name_count_as_memory(tmp_path, kind):
    code = f"import os, time; {HIDDEN[kind]}; [os.write(fd, bytes(1 << 20)) for _ in range(300)]; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path) as process:
        try:
            assert "of memory" in watched(memory=250 << 20)
        finally:
            process.kill()
