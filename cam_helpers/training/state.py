"""The state of a run on disk: written whole or not at all, the one before it kept, read without running anything."""

from __future__ import annotations

import json
import os
import tempfile
import warnings
import zipfile
from pathlib import Path

import pandas as pd
import torch

__all__ = ["StateFiles"]

_PARTS = {"recipe", "model", "optimizer", "schedule", "step", "rows", "seconds", "meter"}


class StateFiles:
    """`state.pt` and `state.before.pt` in a folder, and the log as CSV. folder None: nothing is kept.

    settings: what decides the weights; a state with others is refused. Raises OSError where nothing can be written:
    better now than after the first epoch.
    """

    def __init__(self, folder: str | os.PathLike | None, settings: dict):
        self.folder, self.damaged = None if folder is None else Path(folder), set()
        self.recipe = json.dumps(settings, sort_keys=True)
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=self.folder).close()

    def save(self, state: dict) -> None:
        if self.folder is None:
            return
        last, before = (self.folder / name for name in ("state.pt", "state.before.pt"))
        temporary = self.folder / ".state"
        with open(temporary, "wb") as file:
            torch.save({"recipe": self.recipe, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        if last.exists() and last not in self.damaged:
            os.replace(last, before)  # killed here, the next start takes the one before
        os.replace(temporary, last)
        self.damaged.clear()

    def load(self) -> dict | None:
        """The newest state that can be read, or None. Raises ValueError when it belongs to another recipe."""
        if self.folder is None:
            return None
        state, reasons = None, []
        for path in (self.folder / "state.pt", self.folder / "state.before.pt"):
            try:
                state = _read(path)
                break
            except FileNotFoundError:
                continue
            except Exception as error:  # a damaged pickle raises whatever its bytes happen to spell
                self.damaged.add(path)
                reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
                reasons.append(f"{path.name} is damaged, or not the state of a run ({reason})")
        for reason in reasons:
            warnings.warn(f"{reason}: {'the one before is used' if state else 'the run starts over'}", stacklevel=2)
        if state and state["recipe"] != self.recipe:
            raise ValueError(
                f"{self.folder} holds a run with other settings ({_differences(state['recipe'], self.recipe)}): "
                "give another folder, or delete it"
            )
        return state

    def log(self, rows: list[dict]) -> None:
        """The whole log again, so that a run that was broken off and went on has each epoch once."""
        if self.folder is None or not rows:
            return
        temporary = self.folder / ".log"
        pd.DataFrame(rows).to_csv(temporary, index=False)
        os.replace(temporary, self.folder / "log.csv")


def _read(path: Path) -> dict:
    """The reader of PyTorch builds nothing but tensors and plain values, but does not look at the checksums."""
    with zipfile.ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > path.stat().st_size:
            raise ValueError("it would unpack to more than its size")
        if parts.testzip() or any(part.external_attr for part in parts.infolist()):  # marked as folder: not filled
            raise ValueError("its checksums are wrong")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or set(state) != _PARTS:
        raise ValueError("its parts are others")
    return state


def _differences(old: str, new: str) -> str:
    try:
        old, new = json.loads(old), json.loads(new)
        return ", ".join(f"{k} {old.get(k)} instead of {new[k]}" for k in new if old.get(k) != new[k])
    except (ValueError, AttributeError, TypeError):
        return "its settings cannot be read"
