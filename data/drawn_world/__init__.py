"""The drawn world: drawn pictures whose every pixel is known, described by the recipes in `recipes/`.

data = drawn_world.load("objects", "train")      # a torch Dataset: .images .labels .classes .boxes .masks …
drawn_world.frequencies("scenes")                # the recipe's true presence probability per scene and kind of object
"""

import hashlib
import json
from importlib import import_module
from operator import index

from . import cache, pixels
from .arrays import first, join
from .drawing import draw_all
from .folders import cache_folder, checkpoint_folder, data_folder
from .recipe_reader import SPLITS, RecipeError
from .sprites import SpriteError
from .tasks import code_digest, load_recipe, task_names

__all__ = [
    "TASKS",
    "RecipeError",
    "SpriteError",
    "cache_folder",
    "checkpoint_folder",
    "data_folder",
    "frequencies",
    "informativeness",
    "load",
    "load_arrays",
]


def load(task, split, n=None, size=64, seed=46, difficulty=1.0):
    """The pictures of a task, drawn on the first call and read from the cache afterwards.

    The same arguments give the same pixels on every machine. Where a version of Pillow or resvg draws others, a warning
    says so once a process (`pixels.OtherPixels`).

    Args:
        task: one of TASKS
        split: "train", "val" or "test"
        n: number of pictures (of clips for `video`); None: as many as the recipe says
        size: side in pixels, 48 to 256
        seed: another seed draws other pictures of the same task
        difficulty: from 0 (plain ground, no clutter) to 1 (the course's)

    Returns:
        WorldDataset: a torch Dataset, images uint8 (n,3,size,size)

    Raises:
        ValueError: an argument is out of range
        RecipeError: there is no such task, or its recipe is faulty
    """
    from .dataset import WorldDataset  # here: the processes that draw need no torch

    return WorldDataset(*load_arrays(task, split, n, size, seed, difficulty))


def load_arrays(task, split, n=None, size=64, seed=46, difficulty=1.0):
    """What `load` wraps, without torch: a dict of packed NumPy arrays (`arrays.py` says which) and the recipe.

    Arguments and errors as `load`.
    """
    data = data_folder()
    recipe = load_recipe(task, data)
    if split not in SPLITS:
        raise ValueError(f"split {split!r}: choose one of {', '.join(SPLITS)}")
    n, size, seed = (index(v) for v in (recipe["splits"][split] if n is None else n, size, seed))
    if n < 1 or not 48 <= size <= 256 or seed < 0 or not 0 <= difficulty <= 1:
        raise ValueError("n must be at least 1, size 48 to 256, seed not negative and difficulty 0 to 1")
    job = {"task": task, "split": split, "size": size, "seed": seed, "difficulty": float(difficulty)}
    job["recipe"] = recipe.digest
    if other := pixels.other():
        job["pixels"] = other  # kept apart from those that other versions drew
    key = json.dumps([code_digest(recipe["draw"]), *job.values()])
    key = hashlib.sha256(key.encode()).hexdigest()[:24]
    head, tail = f"{task}-{split}-", f"x{size}-{key}.npz"

    folder = cache.writable_folder()
    there, arrays = cache.nearest(folder, head, tail, n) if folder else (0, None)
    if there > n:
        arrays = first(arrays, n)  # a picture does not depend on how many there are
    elif there < n:
        drawn = draw_all(job | {"data": str(data)}, n, start=there)
        arrays = join([arrays, drawn]) if there else drawn
        if folder:
            cache.sweep(folder)
            cache.write(folder / f"{head}{n}{tail}", arrays)
    return arrays, recipe


def __getattr__(name):
    """TASKS, and what would make this import slow, when it is asked for."""
    if name == "TASKS":
        return task_names()
    if name in ("frequencies", "informativeness"):
        return getattr(import_module(f"{__name__}.truth"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
