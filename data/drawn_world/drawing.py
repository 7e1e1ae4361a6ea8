"""Drawing many pictures at once, in this process or in several. None of them needs torch."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from joblib import Parallel, cpu_count, delayed
from tqdm.auto import tqdm

from .arrays import join, pack
from .dice import Dice
from .tasks import DRAWINGS, SPLITS, load_recipe

CHUNK = 32  # pictures that a process draws between two answers
WORTH_IT = 1.5  # megapixels below which starting processes costs more than it saves


def draw_all(job: dict, stop: int, start: int = 0) -> dict[str, np.ndarray]:
    """Draw pictures start…stop-1 of a job and pack them.

    job: task, split, size, seed, difficulty; `data`, the data folder; `recipe`, the digest of the task's recipe.


    Little work is done in this process, more in one process per core; the pixels are the same. Raises joblib's
    TerminatedWorkerError when a process dies.
    """
    count = stop - start
    chunks = [range(k, min(k + CHUNK, stop)) for k in range(start, stop, CHUNK)]
    processes = min(cpu_count(), len(chunks)) if count * job["size"] ** 2 > WORTH_IT * 1e6 else 1
    drawn = Parallel(processes, return_as="generator")(delayed(draw_chunk)(job, chunk) for chunk in chunks)
    packs = []
    with tqdm(total=count, desc=f"drawing {job['task']} {job['split']}", unit="picture", disable=count < 300) as bar:
        for chunk, packed in zip(chunks, drawn, strict=True):
            packs.append(packed)
            bar.update(len(chunk))
    return join(packs)


def draw_chunk(job: dict, indices) -> dict[str, np.ndarray]:
    """Draw some pictures of a job in this process; each has a random stream of its own."""
    recipe = _recipe(job["task"], job["data"], job["recipe"])
    draw = DRAWINGS[recipe["draw"]].draw
    pictures = []
    for index in indices:
        dice = Dice(job["seed"], recipe["stream"], SPLITS.index(job["split"]), index)
        drawn = draw(recipe, dice, job["size"], job["difficulty"], job["split"])
        for frame in drawn if "frame" in drawn[0].extra else ():
            frame.extra["clip"] = np.int64(index)
        pictures += drawn
    return pack(pictures)


@lru_cache(maxsize=2)
def _recipe(task: str, folder: str, digest: str):
    """Read once per process and recipe (`digest` tells a changed one)."""
    return load_recipe(task, Path(folder))
