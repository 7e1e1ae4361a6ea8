"""Getting only what is asked for from a server: members of a large archive, and single photographs."""

import shutil
import time
from collections.abc import Callable, Sequence
from http.client import IncompleteRead
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import urlopen

from remotezip import RemoteZip
from tqdm.auto import tqdm
from tqdm.contrib.concurrent import thread_map

from cam_helpers.files import offline, replacing
from cam_helpers.images import read_picture

from .base import Record

TIMEOUT = 20  # seconds without a byte
PAUSE = 1.0  # seconds until what failed is tried again
LARGEST = 50 * 2**20  # bytes of a photograph


def fetch_members(url: str, files: Sequence[Path]) -> None:
    """Get the files that are not there yet out of a zip archive on a server: folder/name is the member's name.

    Only the archive's list and these members are transferred (HTTP ranges). Raises what goes wrong three times.
    """
    for path in files:
        if not path.exists():
            _patiently(lambda path=path: _fetch_member(url, path))


def _fetch_member(url: str, path: Path) -> None:
    with RemoteZip(url, timeout=TIMEOUT) as archive:
        member = archive.getinfo(f"{path.parent.name}/{path.name}")
        bar = {"total": member.file_size, "desc": path.name, "leave": False}
        with archive.open(member) as packed, replacing(path) as file, tqdm.wrapattr(packed, "read", **bar) as part:
            shutil.copyfileobj(part, file)


def fetch_photos(folder_url: str, records: Sequence[Record]) -> None:
    """Get the photographs of the records that are not there yet, four at a time; each is decoded before it is kept.

    What does not come is listed in its record's problems: because the server does not give it, or it is damaged three
    times; or because the server cannot be reached any more, and the next call goes on.
    """
    stopped = [OSError("CAM_OFFLINE is set")] if offline() else []

    def fetch(record: Record) -> None:
        path = Path(record.path)
        try:
            if stopped:
                raise stopped[0]
            data = _patiently(lambda: _photo(f"{folder_url}/{quote(path.name)}"))
            with replacing(path) as file:
                file.write(data)
        except Exception as error:
            if isinstance(error, OSError) and not _is_refusal(error):  # the others would not come, either
                stopped.append(error)
            record.problems.append((path, f"cannot be downloaded ({error})", "picture left out"))
            record.label = None

    missing = [record for record in records if not Path(record.path).exists()]
    bar = {"desc": "downloading photos", "unit": "photo", "leave": False, "disable": not missing}
    thread_map(fetch, missing, max_workers=4, **bar)


def _photo(url: str) -> bytes:
    with urlopen(url, timeout=TIMEOUT) as answer:
        data = answer.read(LARGEST)
        if answer.length:  # bytes that were announced and did not come
            raise IncompleteRead(data, answer.length)
    read_picture(data)
    return data


def _patiently(fetch: Callable[[], object]):
    """What `fetch` returns; it gets two more chances, but where the server refuses."""
    for chances in (2, 1, 0):
        try:
            return fetch()
        except Exception as error:
            if not chances or _is_refusal(error):
                raise
            time.sleep(PAUSE)


def _is_refusal(error: Exception) -> bool:
    """The server will not give this file, now or later; it may well give others."""
    return isinstance(error, HTTPError) and error.code < 500
