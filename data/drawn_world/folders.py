"""Where the recipes lie, and where drawn pictures are kept: the one place that decides about folders."""

import os
import tempfile
from pathlib import Path

from platformdirs import user_cache_path

_PACKAGE = Path(__file__).resolve().parent


def data_folder() -> Path:
    """The folder with `recipes/` and `sprites/`: $CAM_DATA, or this package. Raises FileNotFoundError."""
    folder = Path(os.environ.get("CAM_DATA") or _PACKAGE)
    if not (folder / "recipes").is_dir():
        raise FileNotFoundError(f"no recipes in {folder}: unset CAM_DATA, or set it to a copy of data/drawn_world")
    return folder


def checkpoint_folder() -> Path:
    """The folder of the networks that come with the course, each with its card."""
    return data_folder() / "checkpoints"


def cache_folder() -> Path:
    """Where drawn and computed things are kept: $CAM_CACHE, `data/cache` in a clone, else the user's cache folder.

    The folder may not exist yet, and may not be writable: see `problem`.
    """
    if given := os.environ.get("CAM_CACHE"):
        return Path(given)
    in_a_clone = (_PACKAGE.parents[1] / "pyproject.toml").is_file()
    return _PACKAGE.parent / "cache" if in_a_clone else user_cache_path("cam_course", appauthor=False)


def problem(folder: Path) -> str:
    """Why nothing can be written there, or "" when something can; makes the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return error.strerror or str(error)
    return ""
