"""Checks of the set-up: Python, packages, device, folders; and what to do about what is wrong (lesson 00)."""

from __future__ import annotations

import html
import platform
import sys
from dataclasses import dataclass
from importlib import metadata

import torch
from packaging.requirements import Requirement
from packaging.version import Version

from . import devices
from .files import picture_package

__all__ = ["Finding", "Report", "report"]

_MARK = {True: ("ok", "#1b7837"), False: ("to do", "#b2182b")}


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
    return Report((_python(), _packages(), _device(), _data(), *_results()))


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
    found = devices.pick()
    if found.type == "cpu":
        return Finding("device", f"CPU, {torch.get_num_threads()} threads ({platform.machine()}); enough", True)
    name = torch.cuda.get_device_name() if found.type == "cuda" else str(found)
    return Finding("device", name, True)


def _data() -> Finding:
    """Are the drawn pictures' recipes there?"""
    try:
        world = picture_package("drawn_world")
        return Finding("drawn world", f"{len(world.TASKS)} tasks", True)
    except ModuleNotFoundError as error:
        return Finding("drawn world", "not installed", False, str(error))
    except FileNotFoundError as error:
        return Finding("drawn world", "its recipes are missing", False, str(error))


def _results() -> tuple[Finding, ...]:
    """Try to write: permissions, full disks and read-only mounts all show here."""
    try:
        world = picture_package("drawn_world")
    except ModuleNotFoundError:
        return ()
    folder = world.cache_folder()
    shown = "/".join(folder.parts[-2:])  # a saved notebook names nobody's home
    if problem := world.folders.problem(folder):
        to_do = "set the environment variable CAM_CACHE to a folder you may write to, and start again"
        return (Finding("folder for results", f"{shown}: {problem}", False, to_do),)
    return (Finding("folder for results", f"{shown}, writable", True),)
