"""Where student code runs: a kernel that sees the course's packages and nothing else.

bubblewrap gives the kernel no network, read-only files, and temporary folders and a process tree of its own, which
ends with whoever started it. The notebook, its hidden tests and the gradebook stay outside: cells go in one by one.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil  # installed with ipykernel

from .packages import PACKAGES, PYTHONPATH

SYSTEM_FILES = ["alternatives", "fonts", "group", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime"]
SYSTEM_FILES += ["mime.types", "passwd"]  # in /etc
MOST_PROCESSES = 64
WRITABLE = ("/tmp", "/dev/shm")  # in memory; there is nothing of this machine's disk that a kernel can write to
MOST_BYTES, MOST_FILES = 1 << 29, 20_000  # in each of them
SOCKETS = "/tmp/sockets"  # the kernel's, reached from outside through /proc
# Runs inside bubblewrap before the kernel: sets its limits and, started by root, gives it a user of its own.
START = """
import os, resource as r, shutil, sys
memory, processes, user, sockets, connection, *argv = sys.argv[1:]
for name, most in (r.RLIMIT_DATA, int(memory)), (r.RLIMIT_NPROC, int(processes)), (r.RLIMIT_CORE, 0):
    hard = r.getrlimit(name)[1]
    most = most if hard < 0 else min(most, hard)
    r.setrlimit(name, (most, most))
inside = shutil.copy(connection, sockets)
argv = [inside if word == connection else word for word in argv]
if user := int(user):
    os.chown(inside, user, user)
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
os.execv(argv[0], argv)
"""


def missing() -> str:
    """Why code cannot be isolated here; "" if it can."""
    if not shutil.which("bwrap"):
        return "bubblewrap (bwrap) is not installed"
    done = subprocess.run([*_bubblewrap(Path("/usr")), "true"], capture_output=True, text=True)
    return f"bwrap does not work here: {done.stderr.strip()}" if done.returncode else ""


def write_kernelspec(folder: Path, runtime: Path, memory: int, isolated: bool, imports: str) -> None:
    """Describe a kernel `python3` under `folder`, where JUPYTER_PATH leads.

    Args:
        folder: kernels/python3/kernel.json is written there
        runtime: the folder of the connection file, which the kernel reads
        memory: bytes, for each process
        isolated: whether it runs inside bubblewrap
        imports: import statements of the instructor's cells
    """
    kernel = Path(__file__).with_name("kernel.py").read_text(encoding="utf-8")
    argv = [sys.executable, "-c", kernel, imports, "-f", "{connection_file}"]
    env = {name: value for name, value in environment().items() if name != "CAM_CACHE"}
    if isolated:
        limits = [str(memory), str(2 * MOST_PROCESSES), str(_user()), SOCKETS, argv[-1]]
        argv = [*_bubblewrap(runtime), sys.executable, "-S", "-c", START, *limits, *argv]
        env = {}  # bubblewrap sets it
    spec = {"argv": argv, "display_name": "Python", "language": "python", "interrupt_mode": "message", "env": env}
    (folder / "kernels" / "python3").mkdir(parents=True)
    (folder / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))


def root_of(kernel: int) -> str:
    """The path by which this machine sees the files of a kernel; `kernel`: the process that bubblewrap started as.

    Raises RuntimeError when bubblewrap has ended.
    """
    while psutil.pid_exists(kernel):
        with contextlib.suppress(psutil.Error, OSError):
            for process in psutil.Process(kernel).children():
                if os.path.isdir(f"/proc/{process.pid}/root{SOCKETS}"):
                    return f"/proc/{process.pid}/root"
        time.sleep(0.02)
    raise RuntimeError("bubblewrap ended at its start")


def environment() -> dict[str, str]:
    """Variables of the kernel: the course's packages and their own data, one thread, no GPU, no network."""
    return {
        "PYTHONPATH": PYTHONPATH,
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "CAM_OFFLINE": "1",
        "CAM_CACHE": "/tmp/cam_cache",
        "CAM_DATA": "",
    }


def _bubblewrap(runtime: Path) -> list[str]:
    """The command that a kernel's own command follows. `runtime`: the folder of its connection file."""
    size = ["--size", str(MOST_BYTES)] if "--size" in subprocess.getoutput("bwrap --help") else []
    command = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    command += ["--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    if _user():
        command += ["--cap-add", "CAP_CHOWN", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
    else:
        command += ["--unshare-user"]

    # the system and the course's packages, read-only
    command += ["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev"]
    for folder in WRITABLE:
        command += [*size, "--perms", "1777", "--tmpfs", folder]
    for path in map(Path, ("/bin", "/sbin", "/lib", "/lib64", "/lib32")):
        if path.is_symlink():
            command += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            command += ["--ro-bind", str(path), str(path)]
    binds = [("--ro-bind-try", path) for path in [Path("/etc", name) for name in SYSTEM_FILES] + _python_and_packages()]
    for option, path in [*binds, ("--ro-bind", runtime)]:
        for above in reversed(path.parents[:-1]):  # bubblewrap would make them unreadable for other users
            command += ["--perms", "0755", "--dir", str(above)]
        command += [option, str(path), str(path)]

    # a home of its own
    for folder in (SOCKETS, "/tmp/home", "/tmp/home/.cache", "/tmp/home/.cache/matplotlib"):
        command += ["--perms", "0777", "--dir", folder]
    caches = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    for path in caches.glob("matplotlib/fontlist-*.json"):  # without it matplotlib searches for fonts, for seconds
        command += ["--ro-bind", str(path), f"/tmp/home/.cache/matplotlib/{path.name}"]
    command += ["--chdir", "/tmp", "--clearenv", "--remount-ro", "/dev", "--remount-ro", "/"]
    home = {"HOME": "/tmp/home", "PATH": f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}
    for name, value in (home | environment()).items():
        command += ["--setenv", name, value]
    return command


def _user() -> int:
    """For root, who has no limit on processes, each kernel runs as a user of its own; 0 otherwise."""
    return 200_000 + os.getpid() % 100_000 if os.geteuid() == 0 else 0


def _python_and_packages() -> list[Path]:
    """Python and the course's packages: all that a submission may read outside the system's folders."""
    python = [os.path.dirname(os.path.dirname(os.path.realpath(sys.executable))), sys.base_prefix, sys.prefix]
    installed = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    paths = [Path(os.path.abspath(path)) for path in (*python, *installed, *PACKAGES.values())]
    return [p for p in dict.fromkeys(paths) if p != Path("/") and not p.is_relative_to("/usr")]
