"""python -m cam_helpers.training --preset quick --out DIR: train on the drawn world; one JSON line is printed last."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from importlib.metadata import distributions
from pathlib import Path

import torch

from ..devices import processes
from ..files import picture_package
from ..networks import NAMES, gap_network, save_checkpoint, stored_weights
from .loop import evaluate, fit
from .recipe import PRESETS, Recipe
from .state import StateFiles

_NOTED = ("torch", "torchvision", "accelerate", "cam_helpers")  # the last one only where it is installed


def main(arguments: list[str] | None = None) -> dict:
    """Train, evaluate, write the checkpoint; the same command resumes where it was interrupted."""
    given = parser().parse_args(arguments)
    try:
        recipe = recipe_of(given)
        StateFiles(given.out, {})
    except ValueError as error:
        parser().error(str(error))
    except OSError as error:
        parser().error(f"nothing can be written to {given.out}: {error.strerror}")

    every = processes()
    with every.main_process_first():  # the first draws, the others find the pictures in the cache
        train, val = _split(recipe, "train"), _split(recipe, "val")
    design = {
        "name": recipe.network, "num_classes": len(train.classes), "pool": recipe.pool, "resolution": recipe.resolution,
    }  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        network = gap_network(**design)
    run = fit(network, train, recipe, val, given.out)

    run.network.load_state_dict(stored_weights(run.network))  # the scores are those of what is stored
    scores = evaluate(run.network, val)
    path = given.checkpoint or given.out / "checkpoint.safetensors"
    result = {
        **{k: round(v, 4) for k, v in scores.items()}, "epochs": recipe.epochs,
        "pictures_per_second": round(run.pictures_per_second, 1), "seconds": round(run.seconds, 1),
        "device": run.device, "precision": run.precision, "processes": every.num_processes, "checkpoint": str(path),
    }  # fmt: skip
    if every.is_main_process:
        tested = evaluate(run.network, _split(recipe, "test"))  # the test split is looked at once, for the card
        card = {
            "task": recipe.task, "data_version": train.version, "data_seed": recipe.data_seed, "size": recipe.size,
            "pictures": len(train), "network": design, "classes": train.classes, "seed": recipe.seed,
            "recipe": recipe.same_weights(),
            "metrics": {f"val_{k}": v for k, v in scores.items()} | {f"test_{k}": v for k, v in tested.items()},
            "trained_on": f"{run.device}, {run.precision}, {run.seconds:.0f} s",
            "versions": {d.name: d.version for d in distributions() if d.name in _NOTED},
        }  # fmt: skip
        save_checkpoint(run.network, card, path)
        print(json.dumps(result), flush=True)
    every.wait_for_everyone()
    every.destroy_process_group()
    return result


def _split(recipe: Recipe, split: str):
    return picture_package("drawn_world").load(recipe.task, split, n=recipe.n, size=recipe.size, seed=recipe.data_seed)


def recipe_of(given: argparse.Namespace) -> Recipe:
    return PRESETS[given.preset].but(**{f.name: getattr(given, f.name) for f in fields(Recipe) if f.name in given})


def parser() -> argparse.ArgumentParser:
    """One option for each field of a recipe; what is not given does not appear in the result."""
    parser = argparse.ArgumentParser(prog="python -m cam_helpers.training", description=__doc__)
    parser.add_argument("--preset", choices=list(PRESETS), default="quick")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for state, log and checkpoint")
    choices = {"preset": PRESETS, "task": picture_package("drawn_world").TASKS, "network": NAMES}
    listed = "; ".join(f"--{name}: {', '.join(group)}" for name, group in choices.items())
    parser.add_argument("--list", action="version", version=listed, help="show what there is to choose from")
    parser.add_argument("--checkpoint", type=Path, help="where to write the checkpoint, if not in --out")
    for field in fields(Recipe):
        how = {"type": int if field.default is None else type(field.default)}
        if field.name == "growing":
            how = {"type": float, "nargs": 2}
        elif how["type"] is bool:
            how = {"action": argparse.BooleanOptionalAction}
        flags = [f"--{field.name.replace('_', '-')}"]
        if field.name == "n":
            flags.append("--pictures")  # torchrun cannot pass --n on
        parser.add_argument(*flags, dest=field.name, default=argparse.SUPPRESS, **how)
    return parser


if __name__ == "__main__":
    main()
