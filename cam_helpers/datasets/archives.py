"""Unpacking an archive that a stranger made: nothing leaves the folder, and what was refused is listed."""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

from .problems import Problems

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def unpack(archive: str | os.PathLike, folder: str | os.PathLike, max_bytes: int = 50 * 2**30) -> Problems:
    """Unpack a zip or tar archive into a folder that does not exist yet (it appears only when all is there).

    Members with a path outside the folder, links and devices are left out and listed in the returned Problems.
    Raises ValueError when the file is no whole archive or holds more than `max_bytes`, FileExistsError.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} is there already: move it away to unpack {archive.name} again")
    problems = Problems(archive.parent)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        room = Path(temporary, "room")
        room.mkdir()
        try:
            if zipfile.is_zipfile(archive):
                with zipfile.ZipFile(archive) as whole:
                    members = [(m, m.filename, m.file_size, _kind_in_zip(m)) for m in whole.infolist()]
                    _write(members, whole.open, room, max_bytes, archive, problems)
            else:
                with tarfile.open(archive) as whole:
                    members = [(m, m.name, m.size, _kind_in_tar(m)) for m in whole]
                    _write(members, whole.extractfile, room, max_bytes, archive, problems)
        except FileNotFoundError:
            raise
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise ValueError(f"{archive} cannot be unpacked ({error}): fetch it again") from error
        inside = list(room.iterdir())
        doubled = len(inside) == 1 and inside[0].is_dir() and inside[0].name == folder.name
        (inside[0] if doubled else room).rename(folder)
    return problems


def _write(members, reader, room: Path, max_bytes: int, archive: Path, problems: Problems) -> None:
    if sum(size for _, _, size, _ in members) > max_bytes:
        raise ValueError(f"{archive} would unpack to more than {max_bytes / 2**30:g} GiB: pass a larger max_bytes")
    for member, name, size, kind in members:
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0]:
            problems.add(archive, f"member {name} has a path outside its folder", "member left out")
        elif kind == "other":
            problems.add(archive, f"member {name} is a link or a device", "member left out")
        else:
            target = room.joinpath(*parts)
            (target if kind == "folder" else target.parent).mkdir(parents=True, exist_ok=True)
            if kind == "file":
                with reader(member) as source, target.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
                if target.stat().st_size != size:
                    raise ValueError(f"{archive} is damaged at {name}: fetch it again")


def _kind_in_zip(member: zipfile.ZipInfo) -> str:
    if member.is_dir():
        return "folder"
    mode = stat.S_IFMT(member.external_attr >> 16)
    return "file" if mode in (0, stat.S_IFREG) else "other"


def _kind_in_tar(member: tarfile.TarInfo) -> str:
    return "folder" if member.isdir() else "file" if member.isfile() else "other"
