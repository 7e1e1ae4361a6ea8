"""Imports inside the package go down only; every module fits on a few screens (CONTRIBUTING, "The house")."""

import ast

import pytest
from conftest import ROOT

FLOORS = [
    {"tracing", "pooling", "maps", "boxes", "images", "files", "devices"},
    {"networks", "world", "datasets", "digits"},
    {"training", "scores", "saliency", "probes", "statistics", "units"},
    {"explorer", "pictures", "checks", "controls", "machine", "grading"},
]
MODULES = sorted((ROOT / "cam_helpers").rglob("*.py"))


def floor(module: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if module in rooms)


def imported_rooms(path) -> set[str]:
    inside = path.relative_to(ROOT / "cam_helpers").parts
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            package = ["cam_helpers", *inside[:-1]]
            base = package[: len(package) - node.level + 1] if node.level else []
            full = [*base, *(node.module or "").split(".")] if node.module else base
            names = [".".join(full)] + [".".join([*full, alias.name]) for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("cam_helpers.")}
    known = set().union(*FLOORS)
    return rooms & known


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT / "cam_helpers").as_posix())
def test_imports_go_down_only(path):
    room = path.relative_to(ROOT / "cam_helpers").parts[0].removesuffix(".py")
    if room == "__init__":
        return
    higher = {other for other in imported_rooms(path) - {room} if floor(other) > floor(room)}
    assert not higher, f"{room} is below {higher}"


def test_every_room_has_a_floor():
    rooms = {p.relative_to(ROOT / "cam_helpers").parts[0].removesuffix(".py") for p in MODULES} - {"__init__"}
    assert rooms <= set().union(*FLOORS)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.relative_to(ROOT / "cam_helpers").as_posix())
def test_modules_are_short(path):
    assert len(path.read_text().splitlines()) <= 300
