"""How well classes and places are found, scored the way the field scores it (lesson 05; paper, section 3).

Every score is a plain number that also knows what each picture contributed: `score.interval()` is its bootstrap
interval, `paired_difference(a, b)` compares two scores of the same pictures. Maps that do not fit into memory go batch
by batch through a `BoxSweep`: `update` with each batch, `compute` at the end.
"""

from .baselines import centred_box, centred_gaussian
from .faithful import SHARES, deletion_and_insertion, faithfulness
from .labels import classification_error, localization_error
from .outcome import Score, interval, paired_difference, proportion
from .pixels import pixel_average_precision, pointing_game
from .sweep import BoxSweep, best_threshold, gt_known_accuracy, max_box_acc, max_box_acc_v2

__all__ = [
    "SHARES", "BoxSweep", "Score", "best_threshold", "centred_box", "centred_gaussian", "classification_error",
    "deletion_and_insertion", "faithfulness", "gt_known_accuracy", "interval", "localization_error", "max_box_acc",
    "max_box_acc_v2", "paired_difference", "pixel_average_precision", "pointing_game", "proportion",
]  # fmt: skip
