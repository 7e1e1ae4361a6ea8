"""The state of a run on disk: written whole or not at all, the one before it kept, read without running anything."""

from __future__ import annotations

import json
import os
import pickle
import warnings
import zipfile
from pathlib import Path

import pandas as pd
import torch

from .recipe import Recipe

__all__ = ["StateFiles"]

_PARTS = {"recipe", "model", "optimizer", "schedule", "step", "rows", "seconds", "meter"}


class StateFiles:
    """`state.pt` and `state.before.pt` in a folder, and the log as CSV. folder None: nothing is kept."""

    def __init__(self, folder: str | os.PathLike | None, recipe: Recipe):
        self.folder = None if folder is None else Path(folder)
        self.recipe = json.dumps(recipe.same_weights(), sort_keys=True)

    def save(self, state: dict) -> None:
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        last, before = (self.folder / name for name in ("state.pt", "state.before.pt"))
        temporary = self.folder / f".state.{os.getpid()}"
        with open(temporary, "wb") as file:
            torch.save({"recipe": self.recipe, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        if last.exists():
            os.replace(last, before)  # killed here, the next start takes the one before
        os.replace(temporary, last)

    def load(self) -> dict | None:
        """The newest state that can be read, or None. Raises ValueError when it belongs to another recipe."""
        if self.folder is None:
            return None
        for path in (self.folder / "state.pt", self.folder / "state.before.pt"):
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
            except FileNotFoundError:
                continue
            except (
                OSError,
                RuntimeError,
                EOFError,
                ValueError,
                KeyError,
                pickle.UnpicklingError,
                zipfile.BadZipFile,
            ) as error:
                reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
                warnings.warn(f"{path.name} is damaged or not ours, the one before it is used: {reason}", stacklevel=2)
                continue
            if not isinstance(state, dict) or set(state) != _PARTS:
                warnings.warn(f"{path.name} is not the state of a run, the one before it is used", stacklevel=2)
                continue
            if state["recipe"] != self.recipe:
                raise ValueError(
                    f"{self.folder} holds a run with other settings ({_differences(state['recipe'], self.recipe)}): "
                    "give another folder, or delete it"
                )
            return state
        return None

    def log(self, rows: list[dict]) -> None:
        """The whole log again, so that a run that was broken off and went on has each epoch once."""
        if self.folder is None or not rows:
            return
        temporary = self.folder / f".log.{os.getpid()}"
        pd.DataFrame(rows).to_csv(temporary, index=False)
        os.replace(temporary, self.folder / "log.csv")


def _differences(old: str, new: str) -> str:
    try:
        old, new = json.loads(old), json.loads(new)
        return ", ".join(f"{k} {old.get(k)} instead of {new[k]}" for k in new if old.get(k) != new[k])
    except (ValueError, AttributeError, TypeError):
        return "its settings cannot be read"
