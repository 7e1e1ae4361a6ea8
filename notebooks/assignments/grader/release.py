"""python -m cam_helpers.grading.release: what students get, as one archive, without solutions and hidden tests."""

from __future__ import annotations

import argparse
import io
import tempfile
import zipfile
from pathlib import Path

from .course import PACKAGE, assignments, prepare
from .files import write

ROOT = PACKAGE.parent
FILES = ("LICENSE", "LICENSE-lessons", "environment.yml", "pyproject.toml")
FOLDERS = ("cam_helpers", "data/checkpoints", "data/sprites", "data/world")
LEFT_OUT = {"__pycache__", "grading", "cache"}


def release(course: Path, out: Path) -> list[str]:
    """Write the archive -> the names in it. The same sources and seeds give the same bytes."""
    found = {"README.md": course / "for_students.md"} | {name: ROOT / name for name in FILES}
    for path in [path for folder in FOLDERS for path in (ROOT / folder).rglob("*")]:
        name = path.relative_to(ROOT)
        if path.is_file() and not LEFT_OUT & set(name.parts) and path.suffix != ".pyc":
            found[name.as_posix()] = path
    whole = io.BytesIO()
    with tempfile.TemporaryDirectory() as room, zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in assignments(course):
            made = prepare(course, name, Path(room, name), gradebook=False) / "release" / name / f"{name}.ipynb"
            found[f"assignments/{name}/{name}.ipynb"] = made
        for name, path in sorted(found.items()):
            archive.writestr(zipfile.ZipInfo(f"{out.stem}/{name}"), path.read_bytes(), zipfile.ZIP_DEFLATED)
    write(out, whole.getvalue())
    return sorted(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m cam_helpers.grading.release", description=__doc__)
    parser.add_argument("--course", type=Path, default=Path("notebooks/assignments"))
    parser.add_argument("--out", type=Path, default=Path("dist/assignments.zip"))
    given = parser.parse_args()
    names = release(given.course.resolve(), given.out)
    print(f"{given.out}: {len(names)} files, {given.out.stat().st_size / 1e6:.1f} MB")
