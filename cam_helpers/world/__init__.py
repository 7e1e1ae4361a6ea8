"""The annotated world: drawn pictures whose every pixel is known, described by the recipes in `data/world`.

data = world.load("objects", "train")      # a torch Dataset: .images .labels .classes .boxes .masks …
world.frequencies("scenes")                # the recipe's true presence probability per scene and object kind
"""

import hashlib
import json
from functools import lru_cache, partial
from importlib import import_module
from operator import index as whole
from pathlib import Path

# What a recipe's `draw:` may name: a module of this package with `read(check)` and
# `draw(recipe, dice, size, difficulty, split)`. A new kind of picture is one such module and its name here.
_NAMES = ("objects", "scenes", "radiograph", "video", "text", "actions", "concepts")
DRAWINGS = {name: partial(import_module, f"{__name__}.{name}") for name in _NAMES}

_HOMES = {"WorldDataset": "dataset", "RecipeError": "recipes", "SpriteError": "sprites"}
_HOMES |= dict.fromkeys(("frequencies", "informativeness"), "truth")


def load(task, split, n=None, size=64, seed=46, difficulty=1.0, workers=None):
    """The pictures of a task: a `WorldDataset`, drawn on the first call and read from the cache afterwards.

    task: one of TASKS; split: "train", "val" or "test"; n: pictures (clips for `video`; None: as many as the recipe
    says); size: side in pixels, 48–256; difficulty: 0 (plain ground, no clutter) – 1 (the course's); workers: processes
    to draw with (None: as many as help). The same arguments give the same pixels on every machine.
    Raises ValueError for an argument out of range, RecipeError for a task that is not there or a faulty recipe.
    """
    from .dataset import WorldDataset

    return WorldDataset(*load_arrays(task, split, n, size, seed, difficulty, workers))


def load_arrays(task, split, n=None, size=64, seed=46, difficulty=1.0, workers=None):
    """What `load` wraps, without torch: a dict of packed NumPy arrays (`pack.py` says which) and the recipe."""
    from . import cache, recipes
    from .pack import first, join
    from .workers import draw_all

    data = recipes.data_folder()
    recipe = recipes.load_recipe(task, data)
    if split not in recipes.SPLITS:
        raise ValueError(f"split {split!r}: choose one of {', '.join(recipes.SPLITS)}")
    n, size, seed = (whole(v) for v in (recipe["splits"][split] if n is None else n, size, seed))
    if n < 1 or not 48 <= size <= 256 or seed < 0 or not 0 <= difficulty <= 1:
        raise ValueError("n must be at least 1, size 48 to 256, seed not negative and difficulty 0 to 1")
    job = {"task": task, "split": split, "size": size, "seed": seed, "difficulty": float(difficulty), "data": str(data)}
    key = [_engine(), recipe.digest, *(v for k, v in job.items() if k != "data")]
    key = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
    place = cache.folder(data)
    there, arrays = cache.nearest(place, f"{task}-{split}-", f"x{size}-{key}.npys", n) if place else (0, None)
    if there > n:
        arrays = first(arrays, n)  # a picture does not depend on how many there are
    elif there < n:
        drawn = draw_all(job, n, workers, start=there)
        arrays = join([arrays, drawn]) if there else drawn
        if place:
            cache.sweep(place)
            cache.write(place / f"{task}-{split}-{n}x{size}-{key}.npys", arrays)
    return arrays, recipe


@lru_cache
def _engine() -> str:
    """A check sum of this package's code: pictures drawn by other code are drawn again."""
    sha = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        sha.update(path.read_bytes())
    return sha.hexdigest()


def __getattr__(name):
    """TASKS, and what would make this import slow, when it is asked for."""
    if name == "TASKS":
        from .recipes import tasks

        return tasks()
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
