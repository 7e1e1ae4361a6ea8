"""What a scene recipe says exactly: how likely each thing is in each kind of scene, and how much it tells.

Paper, section 4.2 (discovering informative objects in the scenes); lecture 46 from 17:17, common against informative.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd

from .recipe_reader import RecipeError
from .scene_recipe import MARK
from .tasks import load_recipe

FLOOR = 1e-3  # log-odds of probabilities nearer to 0 or 1 than this are taken at this distance


class Informativeness(NamedTuple):
    """Tables with a row per scene and a column per kind, and the mutual information of kind and scene, one per kind."""

    log_odds: pd.DataFrame  # natural log of the odds ratio: present given this scene, against given another scene
    pointwise: pd.DataFrame  # bits that "is it there?" tells about "is it this scene?"
    mutual: pd.Series  # bits that "is it there?" tells about which scene it is


def frequencies(task: str = "scenes", split: str = "train") -> pd.DataFrame:
    """The recipe's true presence probability: a row per scene, a column per kind of thing or region.

    A thing upon another has the product of both probabilities. Raises RecipeError for a task without scenes.
    """
    recipe = load_recipe(task)
    if recipe["draw"] != "scenes":
        raise RecipeError(f"{task} has no scenes, so no presence probabilities; ask for a task drawn by `scenes`")
    table = pd.DataFrame(0.0, index=recipe["classes"], columns=recipe["object_names"])
    for name, scene in recipe["scenes"].items():
        for kind, region in scene["regions"].items():
            table.loc[name, kind] = region["p"]
        for kind, thing in scene["things"].items():
            below = 1.0 if thing["upon"] is None else table.loc[name, thing["upon"]]
            table.loc[name, kind] = thing["p"] * below
    if recipe["mark"]:
        table.loc[recipe["mark"]["scene"], MARK] = recipe["mark"]["p"][split]
    return table


def informativeness(task: str = "scenes", split: str = "train") -> Informativeness:
    """How much the presence of each kind says about the scene, from `frequencies`, all scenes equally likely."""
    table = frequencies(task, split)
    here = table.to_numpy()
    count = len(here)
    elsewhere = (here.sum(0) - here) / (count - 1)
    p, q = (np.clip(share, FLOOR, 1 - FLOOR) for share in (here, elsewhere))
    log_odds = np.log(p / (1 - p)) - np.log(q / (1 - q))
    overall = _entropy(here.mean(0))
    pointwise = overall - (_entropy(here) + (count - 1) * _entropy(elsewhere)) / count
    mutual = overall - _entropy(here).mean(0)
    tables = (pd.DataFrame(values, table.index, table.columns) for values in (log_odds, pointwise))
    return Informativeness(*tables, pd.Series(mutual, table.columns))


def _entropy(p: np.ndarray) -> np.ndarray:
    """Bits of a yes/no question that is answered yes with probability p."""
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
