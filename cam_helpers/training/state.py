"""The state of a run on disk: complete or not there, the previous one kept, loaded without executing code."""

from __future__ import annotations

import io
import os
import tempfile
import warnings
import zipfile
from pathlib import Path

import pandas as pd
import torch

from ..files import replacing

__all__ = ["StateFiles"]

_PARTS = {"settings", "model", "optimizer", "schedule", "step", "rows", "seconds", "meter"}


class StateFiles:
    """`state.pt`, the previous `state.before.pt` and `log.csv` in a folder.

    settings: what decides the weights; a state with others is refused. Raises OSError where nothing can be written:
    better now than after the first epoch.
    """

    def __init__(self, folder: str | os.PathLike, settings: dict):
        self.folder, self.settings, self.damaged = Path(folder), settings, False
        self.last, self.before = self.folder / "state.pt", self.folder / "state.before.pt"
        self.folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=self.folder).close()

    def save(self, state: dict) -> None:
        """Raises OSError where the disk is full; the states are then as they were."""
        data = io.BytesIO()  # when it writes to the disk itself, PyTorch hides a full one behind another error
        torch.save({"settings": self.settings, **state}, data)
        new = self.folder / "state.new.pt"
        with replacing(new) as file:
            file.write(data.getbuffer())
        if self.last.exists() and not self.damaged:
            os.replace(self.last, self.before)  # killed here, the next start takes the previous one
        os.replace(new, self.last)
        self.damaged = False

    def load(self) -> dict | None:
        """The newest state that can be read, or None. Raises ValueError when it belongs to another run."""
        for left in (*self.folder.glob(".state.new.pt-*"), *self.folder.glob(".log.csv-*")):
            left.unlink(missing_ok=True)  # of a run that was killed while it wrote
        for path in (self.last, self.before):
            try:
                state = _read(path)
            except FileNotFoundError:
                continue
            except Exception as error:  # a damaged pickle raises whatever its bytes happen to spell
                self.damaged = self.damaged or path == self.last
                reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
                warnings.warn(
                    f"{path.name} is damaged, or not the state of a run ({reason}): "
                    "the previous state is used, or the run starts over",
                    stacklevel=2,
                )
                continue
            found = state["settings"]
            if different := [name for name, value in self.settings.items() if found.get(name) != value]:
                words = ", ".join(f"{name} {found.get(name)} instead of {self.settings[name]}" for name in different)
                raise ValueError(
                    f"{self.folder} holds a run with other settings ({words}): give another folder, or delete it"
                )
            return state
        return None

    def log(self, rows: list[dict]) -> None:
        """The whole log again, so that a run that was interrupted and resumed has each epoch once."""
        with replacing(self.folder / "log.csv") as file:
            pd.DataFrame(rows).to_csv(file, index=False)


def _read(path: Path) -> dict:
    """PyTorch's reader builds nothing but tensors and plain values, but does not check the checksums."""
    with zipfile.ZipFile(path) as parts:
        if sum(part.file_size for part in parts.infolist()) > path.stat().st_size:
            raise ValueError("it would unpack to more than its size")
        if parts.testzip() or any(part.external_attr for part in parts.infolist()):  # marked as folder: not filled
            raise ValueError("its checksums are wrong")
    state = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(state, dict) or set(state) != _PARTS or not isinstance(state["settings"], dict):
        raise ValueError("its parts are others")
    return state
