"""What this machine has: device, folders, versions; and what to do about what is wrong (lesson 00)."""

from __future__ import annotations

import html
import os
import platform
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from packaging.requirements import Requirement
from packaging.version import Version

from .world.recipes import RecipeError, data_folder, tasks

__all__ = ["Finding", "Report", "cache_folder", "data_folder", "device", "report"]

_MARK = {True: ("ok", "#1b7837"), False: ("to do", "#b2182b")}


def device() -> torch.device:
    """The accelerator if there is one (CUDA, MPS …), else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def cache_folder() -> Path:
    """Where drawn and computed things are kept: $CAM_CACHE, or data/cache."""
    return Path(os.environ.get("CAM_CACHE") or data_folder() / "cache")


@dataclass(frozen=True)
class Finding:
    what: str
    found: str
    fine: bool
    to_do: str = ""


@dataclass(frozen=True)
class Report:
    """A list of findings; a table in a notebook, lines elsewhere. `.problems` holds those that are not fine."""

    findings: tuple[Finding, ...]

    @property
    def problems(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.fine]

    def __repr__(self) -> str:
        lines = [f"{_MARK[f.fine][0]:>5}  {f.what}: {f.found}" + f"  → {f.to_do}" * (not f.fine) for f in self.findings]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f'<tr><td style="color:{_MARK[f.fine][1]};font-weight:bold">{_MARK[f.fine][0]}</td>'
            f'<th scope="row" style="text-align:left">{html.escape(f.what)}</th>'
            f'<td style="text-align:left">{html.escape(f.found)}</td>'
            f'<td style="text-align:left">{html.escape("" if f.fine else f.to_do)}</td></tr>'
            for f in self.findings
        )
        head = "".join(f'<th scope="col" style="text-align:left">{h}</th>' for h in ("", "what", "found", "what to do"))
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def report() -> Report:
    """Check Python, the packages the course needs, the device, the widgets and the folder it writes to."""
    data = _data()
    folder = (_folder(cache_folder()),) if data.fine or os.environ.get("CAM_CACHE") else ()
    return Report((_python(), _packages(), _device(), data, *folder))


def _python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> Finding:
    found = ".".join(map(str, version))
    return Finding("Python", found, version >= (3, 11), "install Python 3.11 or newer, then `make lab`")


def _packages(requirements: list[str] | None = None) -> Finding:
    """Compare what is installed with what the package asks for."""
    try:
        requirements = metadata.requires("cam_helpers") if requirements is None else requirements
    except metadata.PackageNotFoundError:
        to_do = "run `make lab` in the course's folder, or `pip install -e .`"
        return Finding("packages", "cam_helpers is not installed here", False, to_do)
    wanted = [r for r in map(Requirement, requirements or ()) if not r.marker or r.marker.evaluate({"extra": ""})]
    missing = []
    for requirement in wanted:
        try:
            found = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(Version(found).public, prereleases=True):
            missing.append(f"{requirement.name} {found} is older than {requirement.specifier}")
    if missing:
        names = " ".join(f"'{r}'" for r in wanted if any(m.startswith(r.name + " ") for m in missing))
        return Finding("packages", "; ".join(missing), False, f"run `make lab`, or `pip install {names}`")
    return Finding("packages", f"{len(wanted)} of {len(wanted)}, torch {torch.__version__}", True)


def _device() -> Finding:
    found = device()
    if found.type == "cpu":
        return Finding("device", f"CPU, {torch.get_num_threads()} threads ({platform.machine()}); enough", True)
    name = torch.cuda.get_device_name() if found.type == "cuda" else str(found)
    return Finding("device", name, True)


def _data() -> Finding:
    try:
        return Finding("data folder", f"{_short(data_folder())}, {len(tasks())} tasks", True)
    except RecipeError as error:
        to_do = "open the lessons from the course's folder, or set the environment variable CAM_DATA to its data folder"
        return Finding("data folder", str(error), False, to_do)


def _folder(folder: Path) -> Finding:
    """Try to write: permissions, full disks and read-only mounts all show here."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        to_do = "set the environment variable CAM_CACHE to a folder you may write to, and start again"
        return Finding("folder for results", f"{_short(folder)}: {error.strerror or error}", False, to_do)
    return Finding("folder for results", f"{_short(folder)}, writable", True)


def _short(folder: Path) -> str:
    """Relative to the course's folder where it lies in it, so that a saved notebook names nobody's home."""
    try:
        root = data_folder().parent
    except RecipeError:
        return folder.name
    return folder.relative_to(root).as_posix() if folder.is_relative_to(root) else folder.name
