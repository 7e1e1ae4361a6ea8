"""The students' archive: notebooks without solutions and hidden tests, and the packages that they import."""

import tempfile
import zipfile
from pathlib import Path

from cam_helpers.files import replacing

from .course import ASSIGNMENTS, PACKAGES, ROOT, assignments, package_files, prepare

FILES = ("LICENSE", "LICENSE-lessons", "environment.yml", "pyproject.toml")


def release(course: Path, out: Path) -> list[str]:
    """Write the archive; return the names in it. The same sources and seeds give the same bytes."""
    found = {"README.md": course / "for_students.md"} | {name: ROOT / name for name in FILES}
    for package in PACKAGES:
        found |= {path.relative_to(ROOT).as_posix(): path for path in package_files(package)}
    check = [ASSIGNMENTS / "check.py", *(ASSIGNMENTS / "collector").glob("*.py")]  # students' own check
    found |= {path.relative_to(ASSIGNMENTS).as_posix(): path for path in check}
    with tempfile.TemporaryDirectory() as scratch:
        for name in assignments(course):
            prepared = prepare(course, name, Path(scratch, name))
            released = prepared / "release" / name / f"{name}.ipynb"
            found |= {f"assignments/{name}/{name}.ipynb": released, f"as_given_out/{name}.ipynb": released}
        with replacing(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in sorted(found.items()):
                archive.writestr(zipfile.ZipInfo(f"{out.stem}/{name}"), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return sorted(found)
