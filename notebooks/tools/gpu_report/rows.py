"""What a part says: rows, each a value with what was asked of it; and where a part runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

__all__ = ["Place", "Row", "Skipped", "goal", "must", "refused_by_mps", "skipped", "table_line"]


@dataclass(frozen=True)
class Place:
    """Where a part runs: device "cuda", "mps" or "cpu"; quick: as small as possible; folder: for what it writes."""

    device: str
    quick: bool
    folder: Path

    @property
    def judged(self) -> bool:
        """Goals of speed are those of a whole report on a GPU."""
        return self.device == "cuda" and not self.quick

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs so that the course's own choice of device is this one."""
        return {"CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true"} if self.device == "cpu" else {}

    def synchronize(self) -> None:
        if self.device != "cpu":
            torch.accelerator.synchronize()

    def seconds(self, run: Callable[[], object]) -> float:
        """How long `run` takes, until the device is done."""
        self.synchronize()
        start = time.perf_counter()
        run()
        self.synchronize()
        return time.perf_counter() - start


class Skipped(Exception):
    """Raised by a part that has no meaning on this device; the text says why."""


@dataclass(frozen=True)
class Row:
    """what was measured, its value and unit; asked: "≤ 0.0001", or ""; met: None where nothing was asked.

    required: the part fails where this is not met. A goal of speed is not required.
    """

    what: str
    value: float | str
    unit: str = ""
    asked: str = ""
    met: bool | None = None
    required: bool = False

    @property
    def shown(self) -> str:
        """The value as the table has it: "512.3 pictures/s"."""
        return f"{self.value if isinstance(self.value, str) else format(self.value, '.4g')} {self.unit}".rstrip()


def must(what: str, value: float | bool, most: float | None = None) -> Row:
    """A value that must not be above `most` (NaN is), or a fact that must be true."""
    if most is None:
        return Row(what, "yes" if value else "no", "", "yes", bool(value), True)
    return Row(what, float(value), "", f"≤ {most:g}", bool(value <= most), True)


def goal(what: str, value: float, least: float, unit: str, place: Place) -> Row:
    """A value that should be `least` or more on a GPU; elsewhere it is not judged."""
    return Row(what, float(value), unit, f"≥ {least:g}", bool(value >= least) if place.judged else None)


def skipped(what: str, reason: str) -> Row:
    return Row(what, f"skipped: {reason}")


def refused_by_mps(what: str, error: Exception, place: Place) -> Row:
    """A row for what PyTorch does not do on an Apple GPU. Raises the error again on other devices."""
    if place.device != "mps":
        raise error
    return skipped(what, f"refused, {(str(error).splitlines() or [''])[0][:100]}")


def table_line(part: str, row: Row) -> str:
    """One line of the printed table."""
    verdict = {None: "not judged here" if row.asked else "", True: "met", False: "NOT MET"}[row.met]
    asked = f"{row.asked}: {verdict}" if row.asked else ""
    return f"{part:<14} {row.what:<46} {row.shown:<22} {asked}".rstrip()
