"""The cache: packed arrays in one file per key, written whole or not at all, and checked when read.

A file is a row of ordinary `.npy` arrays: the names, the check sums, then the arrays themselves. Several processes may
write the same key: each writes a file of its own and moves it into place, and all of them hold the same bytes.
"""

import contextlib
import os
import tempfile
import time
import warnings
import zlib
from pathlib import Path

import numpy as np

_BLOCK = 1 << 19  # bytes


def folder(data: Path) -> Path | None:
    """Where the cache lives: $CAM_CACHE, `cache` in the data folder, or else a temporary folder."""
    given = os.environ.get("CAM_CACHE")
    places = [Path(given)] if given else [data / "cache"]
    places.append(Path(tempfile.gettempdir()) / f"cam_cache_{os.getuid() if hasattr(os, 'getuid') else 'user'}")
    for place in places:
        try:
            place.mkdir(parents=True, exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=place):
                pass
        except OSError:
            continue
        if place != places[0]:
            warnings.warn(f"{places[0]} cannot be written; drawn pictures are kept in {place}", stacklevel=3)
        return place
    warnings.warn(f"{places[0]} and {places[-1]} cannot be written; pictures are drawn anew each time", stacklevel=3)
    return None


def read(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a cache file; None if there is none, or if it is damaged (said in one line, and it is removed)."""
    try:
        with open(path, "rb") as file:
            names = np.load(file, allow_pickle=False)
            sums = np.load(file, allow_pickle=False)
            arrays = {str(name): np.load(file, allow_pickle=False) for name in names}
            whole = not file.read(1) and sums.tolist() == [_sum(name, array) for name, array in arrays.items()]
    except FileNotFoundError:
        return None
    except Exception:  # whatever a damaged header makes NumPy say
        whole = False
    if whole:
        return arrays
    warnings.warn(f"the cache file {path.name} is damaged and is drawn again", stacklevel=3)
    with contextlib.suppress(OSError):
        path.unlink()
    return None


def nearest(place: Path, head: str, tail: str, n: int) -> tuple[int, dict[str, np.ndarray] | None]:
    """Of the files `{head}{count}{tail}`: the one with n pictures or the fewest above, else the most below.

    -> how many, and the arrays; (0, None) without any that can be read.
    """
    counts = [path.name.removeprefix(head).removesuffix(tail) for path in place.glob(f"{head}*{tail}")]
    counts = sorted(int(count) for count in counts if count.isdigit())
    for count in [c for c in counts if c >= n] + [c for c in counts[::-1] if c < n]:
        if (arrays := read(place / f"{head}{count}{tail}")) is not None:
            return count, arrays
    return 0, None


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Store arrays under a path, atomically. A full disk or a lost folder is a warning, not an error."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as file:
            temporary = file.name
            np.save(file, np.array(list(arrays)))
            np.save(file, np.array([_sum(name, array) for name, array in arrays.items()], np.uint64))
            for array in arrays.values():
                np.save(file, np.ascontiguousarray(array), allow_pickle=False)
        os.replace(temporary, path)
    except OSError as error:
        warnings.warn(f"the pictures could not be kept in {path.parent} ({error})", stacklevel=3)
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def sweep(place: Path, older_than: float = 86_400) -> None:
    """Remove what killed processes left half-written, once it is a day old."""
    for path in place.glob(".writing-*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - older_than:
                path.unlink()


def _sum(name: str, array: np.ndarray) -> int:
    """A check sum at memory speed: 64-bit sums of blocks, each weighted by its place, and a CRC of all the rest."""
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    cut = data.size // _BLOCK * _BLOCK
    rest = zlib.crc32(data[cut:], zlib.crc32(f"{name}{array.dtype}{array.shape}".encode()))
    blocks = data[:cut].view(np.uint64).reshape(-1, _BLOCK // 8).sum(1, dtype=np.uint64)
    weights = np.arange(1, 2 * blocks.size, 2, dtype=np.uint64)
    return (rest + int((blocks * weights).sum(dtype=np.uint64))) % 2**64
