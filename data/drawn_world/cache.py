"""The cache of drawn pictures: one `.npz` file per key, written completely or not at all, and checked when read.

Several processes may write the same key: each writes a file of its own and moves it into place, and all of them hold
the same bytes. The zip format's check sums tell a damaged file.
"""

import contextlib
import os
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

from .folders import cache_folder, problem


def writable_folder() -> Path | None:
    """The cache folder, or else a temporary one; None (and pictures are drawn each time) where neither can be written.

    Warns in one line when it is not the cache folder.
    """
    first = cache_folder()
    user = os.getuid() if hasattr(os, "getuid") else "user"
    second = Path(tempfile.gettempdir()) / f"cam_cache_{user}"
    if not problem(first):
        return first
    if not problem(second):
        warnings.warn(f"{first} cannot be written; drawn pictures are kept in {second}", stacklevel=3)
        return second
    warnings.warn(f"{first} and {second} cannot be written; pictures are drawn anew each time", stacklevel=3)
    return None


def read(path: Path) -> dict[str, np.ndarray] | None:
    """The arrays of a cache file; None if there is none, or if it is damaged (said in one line, and it is removed)."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        return None
    except Exception:  # whatever a damaged file makes zipfile or NumPy say
        warnings.warn(f"the cache file {path.name} is damaged and is drawn again", stacklevel=3)
        with contextlib.suppress(OSError):
            path.unlink()
        return None


def nearest(folder: Path, head: str, tail: str, n: int) -> tuple[int, dict[str, np.ndarray] | None]:
    """Of the files `{head}{count}{tail}`: the one with n pictures or the fewest above, else the most below.

    Args:
        folder: of the cache
        head: what their names begin with: the task and the split
        tail: what they end with: size and key
        n: how many pictures are wanted

    Returns:
        how many, and the arrays; (0, None) without any that can be read
    """
    counts = [path.name.removeprefix(head).removesuffix(tail) for path in folder.glob(f"{head}*{tail}")]
    counts = sorted(int(count) for count in counts if count.isdigit())
    for count in [c for c in counts if c >= n] + [c for c in counts[::-1] if c < n]:
        if (arrays := read(folder / f"{head}{count}{tail}")) is not None:
            return count, arrays
    return 0, None


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Store arrays under a path, atomically. A full disk or a lost folder is a warning, not an error."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".writing-", delete=False) as file:
            temporary = file.name
            np.savez(file, **arrays)
        os.chmod(temporary, 0o644)  # a class may share one folder
        os.replace(temporary, path)
    except OSError as error:
        warnings.warn(f"the pictures could not be kept in {path.parent} ({error})", stacklevel=3)
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def sweep(folder: Path, older_than: float = 86_400) -> None:
    """Remove what killed processes left unfinished, once it is `older_than` seconds old."""
    for path in folder.glob(".writing-*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - older_than:
                path.unlink()
