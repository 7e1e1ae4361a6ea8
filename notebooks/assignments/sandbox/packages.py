"""The course's own packages: what a submission may import besides what is installed."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = {
    "cam_helpers": ROOT / "cam_helpers",
    "drawn_world": ROOT / "data" / "drawn_world",
    "photo_sets": ROOT / "data" / "photo_sets",
    "cam_explorer": ROOT / "notebooks" / "cam_explorer",
}  # students' code sees them all
PYTHONPATH = os.pathsep.join(dict.fromkeys(str(package.parent) for package in PACKAGES.values()))
COMPUTED = {"__pycache__", "cache"}  # folders


def package_files(package: str) -> list[Path]:
    """Code and data of one of the packages, without what was computed from them."""
    folder = PACKAGES[package]
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".pyc"]
    return [path for path in files if not COMPUTED & set(path.relative_to(folder).parts)]
