"""Train a network on labels only, on whatever the machine has (lesson 03).

>>> import drawn_world
>>> from cam_helpers import gap_network, training
>>> run = training.fit(gap_network("course", 20), drawn_world.load("objects", "train"), training.PRESETS["quick"])

From the command line: python -m cam_helpers.training --preset quick --out runs/first
"""

from .batches import Batches
from .loop import Run, evaluate, fit
from .recipe import PRESETS, Recipe

__all__ = ["PRESETS", "Batches", "Recipe", "Run", "evaluate", "fit"]
