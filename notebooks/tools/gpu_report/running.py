"""One part of the report in a process of its own, and what it says.

A process each, because an error on a GPU leaves the whole process without one, a kill for want of memory would take the
report along, and peak memory and compiled programs are then those of this part. On an accelerator the processes start
afresh, because a process that was forked from one with CUDA has none; on a CPU they fork from one that has the imports
done, which saves some seconds a part.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

from .rows import Place, Row, Skipped

__all__ = ["last_line", "run_part"]

IMPORTS = ["torch", "torchvision", "cam_helpers.training", "cam_helpers.statistics", "cam_helpers.units"]


def run_part(part: Callable, place: Place, log: Path, say: Callable[[Row], None] = print, limit: float = 300.0) -> dict:
    """Run a part in a new process; what it measured before an error is kept.

    Args:
        part: place -> its rows, a generator
        place: where it runs
        log: file for what it prints, and for the whole text of an error
        say: called with each row as it comes
        limit: seconds after which the part is stopped

    Returns:
        its entry of the report: status "ok", "skipped" or "failed", and why; seconds; peak memory; rows
    """
    method = "forkserver" if place.device == "cpu" and sys.platform == "linux" else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(IMPORTS)
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_in_child, args=(part, place, sender, log))
    began, rows = time.monotonic(), []
    process.start()
    sender.close()
    end, patience = None, 0.0
    try:
        while end is None and (left := limit - (time.monotonic() - began)) > 0:
            ready = multiprocessing.connection.wait([receiver, process.sentinel], left)
            if receiver in ready or (ready and receiver.poll()):
                said = _received(receiver)
                if isinstance(said, Row):
                    rows.append(said)
                    say(said)
                else:
                    end = said
            elif ready:
                end = {}
        if end is None:
            end = {"error": f"stopped after {limit:.0f} s"}
        else:
            patience = 5.0
    finally:
        _stop(process, patience)
    if not end:
        end = {"error": f"its process ended with {_exit_word(process.exitcode)}"}
    if not end.get("error") and (missed := [row.what for row in rows if row.required and not row.met]):
        end["error"] = f"not as it must be: {', '.join(missed)}"
    status = "failed" if end.get("error") else "skipped" if end.get("reason") else "ok"
    seconds = round(time.monotonic() - began, 2)
    return {"status": status, **end, "seconds": seconds, "rows": [vars(row) | {"shown": row.shown} for row in rows]}


def last_line(error: BaseException) -> str:
    """What an error says, in one line."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"it needs the package {error.name}, which is not installed here"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return ": ".join([type(error).__name__, *lines[-1:]])[:300]


def _received(receiver) -> Row | dict:
    """What the child sent, or nothing where it died in the middle."""
    try:
        return receiver.recv()
    except (EOFError, OSError):
        return {}


def _in_child(part: Callable, place: Place, sender, log: Path) -> None:
    if hasattr(os, "setsid"):
        os.setsid()  # so that what the part starts is stopped with it
    with open(log, "w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.update(place.environment)
    multiprocessing.set_start_method(None, force=True)  # the system's own for what the part starts, not this one's
    end = {"reason": None}  # never empty, as the word of a process that died is
    try:
        for row in part(place):
            sender.send(row)
    except Skipped as reason:
        end = {"reason": str(reason)}
    except BaseException as error:
        traceback.print_exc()
        end = {"error": last_line(error)}
    with contextlib.suppress(Exception):  # after an error on the device it may not know any more
        end["peak_memory_gib"] = round(_peak_memory(place.device) / 2**30, 3)
    sender.send(end)
    sys.stdout.flush(), sys.stderr.flush()


def _peak_memory(device: str) -> float:
    """Bytes: of tensors on a GPU; elsewhere of the whole process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    if device == "mps":
        return torch.mps.driver_allocated_memory()
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _stop(process, patience: float) -> None:
    """End the process and what it started, if it still runs after so many seconds."""
    process.join(patience)
    if process.is_alive():
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        process.kill()
    process.join()


def _exit_word(code: int | None) -> str:
    if code is not None and code < 0:
        name = signal.Signals(-code).name
        return f"signal {name}" + (" (was there enough memory?)" if name == "SIGKILL" else "")
    return f"exit code {code}"
