"""Files that are there whole or not at all, whether others may be fetched, and the packages of pictures."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import BinaryIO

__all__ = ["offline", "picture_package", "replacing"]


def offline() -> bool:
    """Whether CAM_OFFLINE forbids to ask the network ("", "0", "false", "no" and "off" do not)."""
    return os.environ.get("CAM_OFFLINE", "").lower() not in ("", "0", "false", "no", "off")


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Open a new binary file that takes the name `path` when it is complete; the folder is made.

    The data goes to a temporary name in the same folder, to the disk, and is then renamed, so that a reader (or the
    next start after a crash) finds the old file or the new one, never half of one. After an error inside the `with`
    block, or a full disk, the old file is as it was and the temporary one is gone. Raises OSError.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def picture_package(name: str) -> ModuleType:
    """`drawn_world` or `photo_sets`, for commands that take the name of a set; nothing else here needs them.

    Raises ModuleNotFoundError, with what to do, where it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"the package {name} is not installed: run `make lab` in the course's folder, or `pip install -e .`",
            name=name,
        ) from error
