"""Where student code runs: a kernel that sees the course and nothing else, and a watch that ends it.

bubblewrap gives it no network, read-only course files, and temporary folders and a process tree of its own, which
dies with whoever started it. The notebook, its hidden tests and the gradebook stay outside: cells go in one by one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil  # comes with ipykernel

from .course import PACKAGE

ETC = (
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "alternatives",
    "fonts",
    "localtime",
    "passwd",
    "group",
    "mime.types",
)
MOST = {"processes": 64, "temporary": 1 << 29, "sockets": 1 << 20}  # processes; bytes in /tmp; bytes beside the sockets
START = """
import os, resource as r, sys
memory, processes, user, connection, *argv = sys.argv[1:]
for name, most in (r.RLIMIT_DATA, int(memory)), (r.RLIMIT_NPROC, int(processes)), (r.RLIMIT_CORE, 0):
    hard = r.getrlimit(name)[1]
    most = most if hard < 0 else min(most, hard)
    r.setrlimit(name, (most, most))
if user := int(user):
    os.chown(connection, user, user)
    for top in os.path.dirname(connection), "/tmp", "/dev/shm":  # deepest first
        inside = []
        for folder, names, _ in os.walk(top):
            names[:] = [name for name in names if not os.path.ismount(os.path.join(folder, name))]
            inside.append(folder)
        for folder in reversed(inside):
            os.chown(folder, user, user)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
os.execv(argv[0], argv)
"""


def missing() -> str:
    """Why code cannot be isolated here; "" when it can."""
    if not shutil.which("bwrap"):
        return "bubblewrap (bwrap) is not installed"
    done = subprocess.run([*_bubblewrap(Path("/usr")), "true"], capture_output=True, text=True)
    return f"bwrap does not work here: {done.stderr.strip()}" if done.returncode else ""


def _bubblewrap(runtime: Path) -> list[str]:
    size = ["--size", str(MOST["temporary"])] if "--size" in subprocess.getoutput("bwrap --help") else []
    made = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    made += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if _user():
        made += [part for name in ("CHOWN", "SETUID", "SETGID") for part in ("--cap-add", f"CAP_{name}")]
    else:
        made += ["--unshare-user"]
    made += ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
    for folder in ("/tmp", "/dev/shm"):
        made += [*size, "--tmpfs", folder]
    for name in ("bin", "sbin", "lib", "lib64", "lib32"):
        top = Path("/", name)
        if top.is_symlink():
            made += ["--symlink", os.readlink(top), str(top)]
        elif top.is_dir():
            made += ["--ro-bind", str(top), str(top)]
    for path in [Path("/etc", name) for name in ETC] + [Path(p) for p in _course()]:
        for above in reversed(path.parents[:-1]):  # bubblewrap would close those that are closed outside
            made += ["--perms", "0755", "--dir", str(above)]
        made += ["--ro-bind-try", str(path), str(path)]
    home = {"HOME": "/tmp/home", "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    for path in Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").glob("matplotlib/fontlist-*.json"):
        made += ["--ro-bind", str(path), f"/tmp/home/.cache/matplotlib/{path.name}"]  # seconds, each time anew
    made += ["--dir", "/tmp/home", "--bind", str(runtime), str(runtime), "--chdir", "/tmp", "--clearenv"]
    made += ["--remount-ro", "/dev", "--remount-ro", "/"]
    for name, value in (home | environment()).items():
        made += ["--setenv", name, value]
    return made


def _user() -> int:
    """Linux lets root have any number of processes: whoever grades as root runs each kernel as a user of its own."""
    return 200_000 + os.getpid() % 100_000 if os.geteuid() == 0 else 0


def _course() -> list[str]:
    """Python, the package and its data: all of the course that a submission may read."""
    python = [os.path.dirname(os.path.dirname(os.path.realpath(sys.executable))), sys.base_prefix, sys.prefix]
    packages = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
    data = Path(os.environ.get("CAM_DATA") or PACKAGE.parent / "data")
    shown = [data / name for name in ("world", "sprites", "checkpoints")]  # not the cache: hidden tests draw there
    inside = [os.path.abspath(p) for p in (*python, *packages, PACKAGE, *shown)]
    return [p for p in dict.fromkeys(inside) if p not in ("/", "/usr") and not p.startswith("/usr/")]


def environment() -> dict[str, str]:
    data = os.environ.get("CAM_DATA")
    return {
        "PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "CAM_OFFLINE": "1",
        "CUDA_VISIBLE_DEVICES": "", "CAM_CACHE": "/tmp/cam_cache", **({"CAM_DATA": data} if data else {}),
    }  # fmt: skip


def kernelspec(folder: Path, runtime: Path, memory: int, isolated: bool) -> None:
    """Write a kernel `python3` under `folder`; JUPYTER_PATH leads to it."""
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    if isolated:
        limits = [str(memory), str(2 * MOST["processes"]), str(_user()), argv[-1]]
        argv = [*_bubblewrap(runtime), sys.executable, "-S", "-c", START, *limits, *argv]
    spec = {"argv": argv, "display_name": "Python", "language": "python", "interrupt_mode": "message"}
    spec["env"] = {k: v for k, v in environment().items() if k != "CAM_CACHE" and not isolated}
    (folder / "kernels" / "python3").mkdir(parents=True)
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))


class Watch(threading.Thread):
    """Ends the kernel, and all that it started, when it takes too long or too much. `reason` then says why."""

    def __init__(self, runtime: Path, seconds: float, memory: int):
        super().__init__(daemon=True)
        self.runtime, self.seconds, self.memory = runtime, seconds, memory
        self.reason = self.died = ""
        self.start()

    def run(self) -> None:
        end = time.monotonic() + self.seconds
        while not self.reason:
            time.sleep(0.2)
            with contextlib.suppress(OSError, psutil.Error):  # of processes and files that have gone meanwhile
                self.look(end)

    def look(self, end: float) -> None:
        sizes = []
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                sizes.append((process.memory_info().rss, process))
        written = sum(p.stat().st_size for p in self.runtime.rglob("*") if p.is_file() and not p.is_symlink())
        if time.monotonic() > end:
            self.kill(f"more than {self.seconds:.0f} s in all")
        elif len(sizes) > MOST["processes"]:
            self.kill(f"more than {MOST['processes']} processes")
        elif sum(rss for rss, _ in sizes) > self.memory and sum(map(_share, sizes)) > self.memory:
            self.kill(f"more than {self.memory / 2**30:.1f} GiB of memory")
        elif written > MOST["sockets"]:
            self.kill("files where only the kernel's sockets belong")

    def kill(self, reason: str) -> None:
        self.reason = self.reason or reason
        for deep in (False, True):  # first bubblewrap, with which all of its processes end at once
            with contextlib.suppress(psutil.Error):
                for process in psutil.Process().children(recursive=deep):
                    process.kill()


def _share(sized: tuple) -> int:
    """Memory that several processes hold together counts once."""
    rss, process = sized
    with contextlib.suppress(psutil.Error):
        return getattr(process.memory_full_info(), "pss", rss)
    return rss
