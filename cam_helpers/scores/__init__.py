"""How well classes and places are found, scored the way the field scores it (lesson 05; paper, section 3).

Every score is a plain number that also knows what each picture contributed: `score.interval()` is its bootstrap
interval, `paired_difference(a, b)` compares two scores of the same pictures. What does not fit into memory goes batch
by batch through the accumulators: `BoxSweep`, `PixelCurve`, `Tally`: `update` on each batch, `merge` across processes,
`compute` at the end.
"""

from .baselines import centred_box, centred_gaussian
from .labels import classification_error, localization_error
from .outcome import Score, Tally, interval, paired_difference
from .pixels import PixelCurve, pixel_average_precision, pointing_game
from .sweep import BoxSweep, best_threshold, gt_known_accuracy, max_box_acc, max_box_acc_v2

__all__ = [
    "BoxSweep",
    "PixelCurve",
    "Score",
    "Tally",
    "best_threshold",
    "centred_box",
    "centred_gaussian",
    "classification_error",
    "gt_known_accuracy",
    "interval",
    "localization_error",
    "max_box_acc",
    "max_box_acc_v2",
    "paired_difference",
    "pixel_average_precision",
    "pointing_game",
]
