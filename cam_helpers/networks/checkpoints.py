"""Checkpoints: weights as safetensors, and in the same file the card that says what they are (lesson 03)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from ..files import picture_package, replacing
from .gap import gap_network

__all__ = ["CheckpointError", "card_text", "load_checkpoint", "save_checkpoint", "stored_weights"]

_CARD = {"network": dict, "classes": list, "task": str, "size": int, "metrics": dict}  # what every card has


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or not one of this course's; the text says what to do."""


def load_checkpoint(name_or_path: str | os.PathLike) -> tuple[nn.Module, dict]:
    """-> (network in eval mode on the CPU, card). The network normalises inside: it takes uint8, or float from 0 to 1.

    name_or_path: a checkpoint that comes with the course ("objects-gap"), or the path of a .safetensors file. The file
    holds numbers and text only; nothing in it is run. Raises CheckpointError when it is missing, damaged or foreign.
    """
    path = _find(name_or_path)
    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {}).get("card", "null"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} is damaged, or not a safetensors file ({error}): make it again") from error
    if not isinstance(card, dict) or _missing(card) or len(card["classes"]) > 100_000:
        raise CheckpointError(f"{path.name} has no card of this course: load it with the program that wrote it")
    built = card["network"]
    try:
        network = gap_network(built["name"], len(card["classes"]), built.get("pool", "avg"), built.get("resolution"))
        network.load_state_dict(tensors)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path.name}: its weights are not those of the network on its card ({error})") from error
    return network.eval(), card


def save_checkpoint(network: nn.Module, card: dict, path: str | os.PathLike) -> Path:
    """Write weights and card to `path`, complete or not at all, and the card as Markdown beside it.

    Weights are stored in half precision: half the size, and the maps differ by a thousandth. card["network"]: the
    arguments of `gap_network` that build it again; card["classes"], ["task"], ["size"], ["metrics"] and whatever else
    is known. Raises CheckpointError when the card lacks one of these, OSError where nothing can be written.
    """
    if missing := _missing(card):
        raise CheckpointError(f"the card lacks {', '.join(missing)}")
    path = Path(path)
    with replacing(path) as file:
        file.write(safetensors.torch.save(stored_weights(network), {"card": json.dumps(card)}))
    with replacing(path.with_suffix(".md")) as file:
        file.write(card_text(path.stem, card).encode())
    return path


def stored_weights(network: nn.Module) -> dict[str, Tensor]:
    """The tensors of a checkpoint: in half precision, but for those with numbers above 65504, its largest one."""
    tensors = {}
    for name, tensor in network.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        half = tensor.half() if tensor.is_floating_point() else tensor
        tensors[name] = half if half.isfinite().equal(tensor.isfinite()) else tensor
    return tensors


def card_text(name: str, card: dict) -> str:
    """The card as Markdown."""
    rows = [f"| {k.replace('_', ' ')} | {_words(v)} |" for k, v in card.items() if k not in ("metrics", "classes")]
    scores = [f"| {k} | {_words(v)} |" for k, v in card["metrics"].items()]
    classes = f"Classes: {', '.join(card['classes'])}."
    return "\n".join(
        [f"# {name}", "", "| | |", "|---|---|", *rows, "", "| metric | value |", "|---|---|", *scores, "", classes, ""]
    )


def _words(value) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{k} {_words(v)}" for k, v in value.items() if v is not None)
    if isinstance(value, list | tuple):  # JSON knows lists only
        return f"({', '.join(map(_words, value))})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _missing(card: dict) -> list[str]:
    return [key for key, kind in _CARD.items() if not isinstance(card.get(key), kind)]


def _find(name_or_path: str | os.PathLike) -> Path:
    if Path(name_or_path).is_file():
        return Path(name_or_path)
    shipped = {path.stem: path for path in picture_package("drawn_world").checkpoint_folder().glob("*.safetensors")}
    if str(name_or_path) not in shipped:
        names = ", ".join(sorted(shipped)) or "none yet: run `make checkpoints`"
        raise CheckpointError(f"there is no file or checkpoint {str(name_or_path)!r}; there are: {names}")
    return shipped[str(name_or_path)]
