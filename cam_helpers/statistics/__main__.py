"""python -m cam_helpers.statistics CHECKPOINT DATA --csv FILE: what scenes hold, and what of it informs."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..devices import processes
from ..files import picture_package
from ..networks import load_checkpoint
from . import SceneStatistics, scene_statistics


def main(arguments: list[str] | None = None) -> SceneStatistics:
    parser = argparse.ArgumentParser(prog="python -m cam_helpers.statistics", description=__doc__)
    parser.add_argument("checkpoint", help="the name of a network that comes with the course, or a file")
    parser.add_argument("data", help="a task of the drawn world, or a folder with ADE20K (ADEChallengeData2016)")
    parser.add_argument("--split", help="test; ADE20K: training")
    parser.add_argument("--n", "--pictures", type=int, help="that many pictures (torchrun cannot pass --n on)")
    parser.add_argument("--csv", type=Path, help="write the table here")
    given = parser.parse_args(arguments)
    network, card = load_checkpoint(given.checkpoint)
    world = picture_package("drawn_world")
    state, side = processes(), card["size"]
    with state.main_process_first():  # the first draws, the others find the pictures in the cache
        if given.data in world.TASKS:
            data = world.load(given.data, given.split or "test", n=given.n, size=side)
        else:
            photo_sets = picture_package("photo_sets")
            data = photo_sets.open("ade20k_scenes", given.data, given.split, n=given.n, size=side)
    found = scene_statistics(network.to(state.device), data, card["classes"])
    if state.is_main_process:
        print(f"{found.count} pictures, processes: {state.num_processes}")
        for scene in found.scene_names:
            print(f"{scene}: frequent {', '.join(found.top(scene, by='frequency').index)}")
            print(f"{' ' * len(scene)}  informative {', '.join(found.top(scene, by='lift').index)}")
        if given.csv:
            found.to_csv(given.csv)
    return found


if __name__ == "__main__":
    main()
