"""python -m cam_helpers.training --preset quick --out DIR: train on the drawn world; one JSON line is printed last."""

from __future__ import annotations

import argparse
import json
from dataclasses import MISSING, fields
from importlib.metadata import version
from pathlib import Path

import yaml

from ..files import drawn_world
from ..networks import gap_network, save_checkpoint
from .loop import evaluate, fit, processes
from .recipe import PRESETS, Recipe
from .state import StateFiles


def main(arguments: list[str] | None = None) -> dict:
    """Train, evaluate, write the checkpoint; the same command goes on where it was broken off."""
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.list:
        print("\n".join(_shipped()))
        return {}
    try:
        recipe = (PRESETS | _shipped())[given.preset].but(
            **{k: v for k, v in vars(given).items() if k in _kinds() and v is not None}
        )
        StateFiles(given.out, {})
    except ValueError as error:
        parser.error(str(error))
    except OSError as error:
        parser.error(f"nothing can be written to {given.out}: {error.strerror}")
    every = processes()
    with every.main_process_first():  # the first draws, the others find the pictures in the cache
        train, val = (
            drawn_world().load(recipe.task, split, n=recipe.n, size=recipe.size, seed=recipe.data_seed)
            for split in ("train", "val")
        )
    built = {
        "name": recipe.network, "num_classes": len(train.classes), "pool": recipe.pool,
        "resolution": recipe.resolution, "norm": recipe.norm,
    }  # fmt: skip
    network = seeded(built, recipe.seed)
    run = fit(network, train, recipe, val, given.out)
    run.network.half().float()  # checkpoints are stored in half precision: the scores are those of what is stored
    scores = evaluate(run.network, val)
    path = given.checkpoint or given.out / "checkpoint.safetensors"
    result = {
        **{k: round(v, 4) for k, v in scores.items()}, "epochs": recipe.epochs,
        "pictures_per_second": round(run.pictures_per_second, 1), "seconds": round(run.seconds, 1),
        "device": run.device, "precision": run.precision, "processes": every.num_processes, "checkpoint": str(path),
    }  # fmt: skip
    if every.is_main_process:
        libraries = {name: version(name) for name in ("torch", "torchvision", "accelerate", "cam_helpers")}
        card = {
            "task": recipe.task, "data_version": train.version, "data_seed": recipe.data_seed, "size": recipe.size,
            "pictures": len(train), "network": built, "classes": train.classes, "seed": recipe.seed,
            "recipe": recipe.same_weights(),
            "metrics": {f"val_{k}": v for k, v in scores.items()} | _tested(run, recipe),
            "trained_on": f"{run.device}, {run.precision}, {run.seconds:.0f} s", "versions": libraries,
        }  # fmt: skip
        save_checkpoint(run.network, card, path)
        print(json.dumps(result), flush=True)
    every.wait_for_everyone()
    every.destroy_process_group()
    return result


def seeded(built: dict, seed: int):
    """The network with the first weights of this seed."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return gap_network(**built)


def _tested(run, recipe: Recipe) -> dict:
    """The test split is looked at once, for the card."""
    test = drawn_world().load(recipe.task, "test", n=recipe.n, size=recipe.size, seed=recipe.data_seed)
    return {f"test_{k}": v for k, v in evaluate(run.network, test).items()}


def _shipped() -> dict[str, Recipe]:
    """The recipes of the checkpoints that come with the course."""
    path = drawn_world().checkpoint_folder() / "recipes.yaml"
    listed = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {name: PRESETS["course"].but(**values) for name, values in (listed or {}).items()}


def _kinds() -> dict:
    return {f.name: type(f.default) for f in fields(Recipe) if f.default is not MISSING}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cam_helpers.training", description=__doc__)
    names = [*PRESETS, *_shipped()]
    parser.add_argument("--list", action="store_true", help="only name the checkpoints that come with the course")
    parser.add_argument("--preset", choices=names, default="quick", metavar="NAME", help=", ".join(names))
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder for state, log and checkpoint")
    parser.add_argument("--checkpoint", type=Path, help="where to write the checkpoint, if not in --out")
    kinds = _kinds() | {"n": int, "resolution": int}
    for name, kind in kinds.items():
        how = {"type": kind}
        if kind is bool:
            how = {"action": argparse.BooleanOptionalAction}
        elif kind is tuple:
            how = {"type": float, "nargs": 2}
        names = [f"--{name.replace('_', '-')}", *(["--pictures"] if name == "n" else [])]  # torchrun cannot pass --n on
        parser.add_argument(*names, default=None, **how)
    return parser


if __name__ == "__main__":
    main()
