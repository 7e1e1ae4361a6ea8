"""Unpacking an archive from an unknown source: nothing leaves the folder, and what was refused is listed."""

import hashlib
import json
import os
import stat
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path

from cam_helpers.files import replacing

from .checking import Problem, Problems

SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def unpack(archive: str | os.PathLike, folder: str | os.PathLike, max_bytes: int = 50 * 2**30) -> Problems:
    """Unpack a zip or tar archive into a folder that does not exist yet (it appears only when everything is there).

    Members with a path outside the folder, links and devices are left out and listed in the returned Problems.
    Raises ValueError when the file is no complete archive or holds more than `max_bytes`, FileExistsError.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise FileExistsError(f"{folder} is there already: move it away to unpack {archive.name} again")
    problems = Problems(archive.parent)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
        unpacked = Path(temporary, "unpacked")
        unpacked.mkdir()
        try:
            with zipfile.ZipFile(archive) if zipfile.is_zipfile(archive) else tarfile.open(archive) as opened:
                members, total = _safe_members(opened, problems, archive)
                if total > max_bytes:
                    limit = f"{max_bytes / 2**30:g} GiB"
                    raise ValueError(f"{archive} would unpack to more than {limit}: pass a larger max_bytes")
                opened.extractall(unpacked, members)
        except FileNotFoundError:
            raise
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, OSError, RuntimeError) as error:
            raise ValueError(f"{archive} cannot be unpacked ({error}): fetch it again") from error
        inside = list(unpacked.iterdir())
        doubled = len(inside) == 1 and inside[0].is_dir() and inside[0].name == folder.name
        (inside[0] if doubled else unpacked).rename(folder)
    return problems


def unpack_once(archive: Path, folder: Path) -> list[Problem]:
    """Unpack an archive unless that was done before, and list what was left out.

    Raises FileExistsError when the folder comes from another archive than the one that is there now.
    """
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    memory = folder / ".unpacked.json"
    if not folder.exists():
        problems = unpack(archive, folder)
        with replacing(memory) as file:
            file.write(json.dumps([digest, problems]).encode())
    if not memory.exists():  # somebody unpacked it by hand
        return []
    earlier, problems = json.loads(memory.read_text())
    if earlier != digest:
        raise FileExistsError(f"{archive} has changed since it was unpacked: move {folder} away to read it again")
    return [Problem(*problem) for problem in problems]


def _safe_members(opened: zipfile.ZipFile | tarfile.TarFile, problems: Problems, archive: Path) -> tuple[list, int]:
    """The files and folders that stay inside the folder, and the bytes of all members; the others are listed."""
    if isinstance(opened, zipfile.ZipFile):
        kinds = (0, stat.S_IFREG, stat.S_IFDIR)
        found = [(m, m.filename, m.file_size, stat.S_IFMT(m.external_attr >> 16) in kinds) for m in opened.infolist()]
        for member in opened.infolist():
            member.filename = member.filename.replace("\\", "/")  # some zips divide folders so
    else:
        opened.extraction_filter = getattr(tarfile, "data_filter", None)  # a second guard; Python 3.11.4 and later
        found = [(m, m.name, m.size, m.isfile() or m.isdir()) for m in opened]
    members = []
    for member, name, _, plain in found:
        parts = name.replace("\\", "/").split("/")
        if not parts[0] or ".." in parts or ":" in parts[0]:
            problems.add(archive, f"member {name} has a path outside its folder", "member left out")
        elif not plain:
            problems.add(archive, f"member {name} is a link or a device", "member left out")
        else:
            members.append(member)
    return members, sum(size for _, _, size, _ in found)
