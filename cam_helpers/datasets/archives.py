"""Unpacking an archive that a stranger made: nothing leaves the folder, and what was refused is listed."""

from __future__ import annotations

import os
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
            with zipfile.ZipFile(archive) if zipfile.is_zipfile(archive) else tarfile.open(archive) as whole:
                members = _members(whole)
                if sum(size for _, _, size, _ in members) > max_bytes:
                    limit = f"{max_bytes / 2**30:g} GiB"
                    raise ValueError(f"{archive} would unpack to more than {limit}: pass a larger max_bytes")
                for member, name, _, plain in members:
                    parts = name.replace("\\", "/").split("/")
                    if not parts[0] or ".." in parts or ":" in parts[0]:
                        problems.add(archive, f"member {name} has a path outside its folder", "member left out")
                    elif not plain:
                        problems.add(archive, f"member {name} is a link or a device", "member left out")
                    else:
                        whole.extract(member, room)
        except FileNotFoundError:
            raise
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise ValueError(f"{archive} cannot be unpacked ({error}): fetch it again") from error
        inside = list(room.iterdir())
        doubled = len(inside) == 1 and inside[0].is_dir() and inside[0].name == folder.name
        (inside[0] if doubled else room).rename(folder)
    return problems


def _members(whole: zipfile.ZipFile | tarfile.TarFile) -> list[tuple]:
    """(member, its name, its size, whether it is a file or a folder) of all. A backslash, as in some zips, divides."""
    if isinstance(whole, zipfile.ZipFile):
        kinds = (0, stat.S_IFREG, stat.S_IFDIR)
        found = [(m, m.filename, m.file_size, stat.S_IFMT(m.external_attr >> 16) in kinds) for m in whole.infolist()]
    else:
        whole.extraction_filter = getattr(tarfile, "data_filter", None)  # 3.11.4 and later
        found = [(m, m.name, m.size, m.isfile() or m.isdir()) for m in whole]
    for member, name, _, _ in found:
        setattr(member, "filename" if hasattr(member, "filename") else "name", name.replace("\\", "/"))
    return found
