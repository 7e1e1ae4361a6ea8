"""The students' archive: notebooks without solutions and hidden tests, and the packages that they import."""

import os
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

from class_list.files import replacing
from sandbox.packages import PACKAGES, ROOT, package_files

from .course import ASSIGNMENTS, assignments, prepare

FILES = ("LICENSE", "LICENSE-lessons", "environment.yml", "pyproject.toml")


def release(course: Path, out: Path) -> list[str]:
    """Write the archive; return the names in it. The same sources and seeds give the same bytes."""
    found = for_students(course)
    pack(found, out)
    return sorted(found)


def for_students(course: Path) -> dict[str, bytes]:
    """Name -> content: notebooks as they are given out, students' own check, the packages, and how to install them."""
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
        return {name: path.read_bytes() for name, path in found.items()}


def pack(files: dict[str, bytes], out: Path) -> None:
    """Write a zip of one folder, which is called like it. The same content of the same commit gives the same bytes."""
    moment = time.gmtime(date())[:6]
    with replacing(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(files.items()):
            entry = zipfile.ZipInfo(f"{out.stem}/{name}", moment)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)


def date(root: Path = ROOT) -> float:
    """The date of what is in an archive, in seconds: SOURCE_DATE_EPOCH, or the last commit's, or now without git."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return float(given)
    try:
        command = ["git", "log", "-1", "--format=%ct"]
        return float(subprocess.run(command, cwd=root, capture_output=True, check=True).stdout)
    except (OSError, subprocess.CalledProcessError):
        return time.time()
