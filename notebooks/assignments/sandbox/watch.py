"""A watch over the processes of a kernel: what takes too long or too much is ended."""

import contextlib
import os
import threading
import time

import psutil

from .isolation import MOST_FILES, MOST_PROCESSES, WRITABLE

MOST_FAILURES = 10  # one after the other


class Watch(threading.Thread):
    """Ends the kernel and all that it started when it takes too long or too much; `reason` then says why."""

    def __init__(self, seconds: float, memory: int):
        super().__init__(daemon=True)
        self.seconds, self.memory = seconds, memory
        self.root = ""  # where the kernel's files are seen, once it runs isolated
        self.reason = ""
        self.died = ""  # the reason and the cell, once the execution has noticed
        self.start()

    def run(self) -> None:
        end, failures = time.monotonic() + self.seconds, 0
        while not self.reason:
            time.sleep(0.2)
            try:
                self.check(end)
                failures = 0
            except Exception as error:  # processes and files disappear meanwhile; but nothing may run unwatched
                failures += 1
                if failures > MOST_FAILURES:
                    self.kill(f"its limits cannot be watched ({type(error).__name__})")

    def check(self, end: float) -> None:
        processes = psutil.Process().children(recursive=True)
        places = [os.statvfs(self.root + place) for place in WRITABLE] if self.root else []
        if time.monotonic() > end:
            self.kill(f"more than {self.seconds:.0f} s in all")
        elif len(processes) > MOST_PROCESSES:
            self.kill(f"more than {MOST_PROCESSES} processes")
        elif _memory(processes, "rss") > self.memory and _memory(processes, "pss") > self.memory:
            self.kill(f"more than {self.memory / 2**30:.1f} GiB of memory")
        elif any(place.f_files - place.f_ffree > MOST_FILES for place in places):
            self.kill(f"more than {MOST_FILES} files")

    def kill(self, reason: str) -> None:
        self.reason = self.reason or reason
        for recursive in (False, True):  # first bubblewrap, with which all of its processes end at once
            with contextlib.suppress(psutil.Error):
                for process in psutil.Process().children(recursive=recursive):
                    process.kill()


def _memory(processes: list[psutil.Process], kind: str) -> int:
    """Bytes of all processes and of the files without a name that they hold open.

    kind: "rss", where memory that several share counts for each of them, or "pss", where it is divided (slow).
    """
    total, unnamed = 0, {}
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):  # it has ended
            used = process.memory_full_info() if kind == "pss" else process.memory_info()
            total += getattr(used, kind, used.rss)
            for file in os.scandir(f"/proc/{process.pid}/fd"):
                target = os.readlink(file.path)
                if target.startswith("/memfd:") or target.endswith(" (deleted)"):
                    status = os.stat(file.path)
                    unnamed[status.st_dev, status.st_ino] = 512 * status.st_blocks
    return total + sum(unnamed.values())
