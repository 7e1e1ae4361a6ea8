"""Checkpoints: weights as safetensors, and in the same file the card that says what they are (lesson 03)."""

from __future__ import annotations

import json
import os
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import nn

from ..files import drawn_world
from .gap import gap_network

__all__ = ["CheckpointError", "card_text", "load_checkpoint", "save_checkpoint"]

_BUILT_BY = {"name", "num_classes", "pool", "resolution", "by", "bias", "norm"}  # weights= would fetch a file
_NEEDED = {"network": dict, "classes": list, "task": str, "size": int, "metrics": dict}


class CheckpointError(ValueError):
    """A checkpoint that is missing, damaged or not one of this course's; the text says what to do."""


def load_checkpoint(name_or_path: str | os.PathLike) -> tuple[nn.Module, dict]:
    """-> (network in eval mode on the CPU, card). The network normalises inside: uint8 or float 0–1 in.

    name_or_path: a checkpoint of the course ("objects-gap"), or the path of a .safetensors file. The file holds
    numbers and text only; nothing in it is run. Raises CheckpointError when it is missing, damaged or foreign.
    """
    path = _find(name_or_path)
    try:
        with safe_open(path, framework="pt") as file:
            card = json.loads((file.metadata() or {}).get("card", "null"))
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path.name} is damaged, or not a safetensors file ({error}): make it again") from error
    if not isinstance(card, dict) or not all(isinstance(card.get(k), kind) for k, kind in _NEEDED.items()):
        raise CheckpointError(f"{path.name} has no card of this course: load it with the program that wrote it")
    if not 0 < len(card["classes"]) <= 100_000 or len(card["classes"]) != card["network"].get("num_classes"):
        raise CheckpointError(
            f"{path.name}: its card names {len(card['classes'])} classes, its network has another number"
        )
    if other := set(card["network"]) - _BUILT_BY:
        raise CheckpointError(f"{path.name}: its card asks for {', '.join(sorted(other))}, which no network here has")
    try:
        network = gap_network(**card["network"])
        network.load_state_dict(tensors)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path.name}: its weights are not those of the network on its card ({error})") from error
    return network.eval(), card


def save_checkpoint(network: nn.Module, card: dict, path: str | os.PathLike) -> Path:
    """Write weights and card to `path`, whole or not at all, and the card for people beside it as Markdown.

    Weights are stored in half precision: half the size, and the maps differ by a thousandth.

    card["network"]: the arguments of `gap_network` that build it again; card["classes"], ["task"], ["size"],
    ["metrics"] and whatever else is known. Raises CheckpointError when the card lacks one of these.
    """
    if missing := [k for k, kind in _NEEDED.items() if not isinstance(card.get(k), kind)]:
        raise CheckpointError(f"the card lacks {', '.join(missing)}")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.detach().cpu().contiguous() for k, v in network.state_dict().items()}
    tensors = {k: v.half() if v.is_floating_point() else v for k, v in tensors.items()}
    for target, data in (
        (path, safetensors.torch.save(tensors, {"card": json.dumps(card)})),
        (path.with_suffix(".md"), card_text(path.stem, card).encode()),
    ):
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        temporary.write_bytes(data)
        os.replace(temporary, target)
    return path


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


def _find(name_or_path: str | os.PathLike) -> Path:
    path = Path(name_or_path)
    if path.suffix == ".safetensors" or path.is_file():
        if not path.is_file():
            raise CheckpointError(f"there is no file {path}")
        return path
    folder = drawn_world().checkpoint_folder()
    found = folder / f"{path.name}.safetensors"
    if not found.is_file() or path.name != str(name_or_path):
        names = ", ".join(sorted(p.stem for p in folder.glob("*.safetensors"))) or "none yet: run `make checkpoints`"
        raise CheckpointError(f"there is no checkpoint {str(name_or_path)!r}; there are: {names}")
    return found
