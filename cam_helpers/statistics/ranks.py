"""Measured informativeness beside the recipe's truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from .counts import SceneStatistics, percentiles


def rank_correlation(
    statistics: SceneStatistics, truth: pd.DataFrame, by: str = "lift", against: str | None = None
) -> pd.DataFrame:
    """How well a measure ranks a scene's objects as the truth does: a row per scene, and "mean" over the scenes.

    Args:
        statistics: counts of pictures; objects in fewer than five pictures of a scene are left out
        truth: scenes × objects, as `drawn_world.informativeness("scenes").log_odds`
        by: the measure
        against: another measure, whose correlation is taken away, the same pictures in both

    Columns: objects (how many), value (Spearman's), low, high (95 % bootstrap interval: other pictures, the same scenes
    and objects; drawing again adds noise of its own, so it lies somewhat low). NaN where all are alike.
    """
    truth = truth.reindex(statistics.scene_names, columns=statistics.object_names).to_numpy()
    use = (statistics.sums[0, ..., 0].numpy() >= 5) & np.isfinite(truth)
    known = np.where(use, truth, np.nan)
    drawn = spearman(statistics.values(by), known)  # (1+R, scenes)
    if against:
        drawn = drawn - spearman(statistics.values(against), known)
    drawn = np.column_stack((drawn, pd.DataFrame(drawn).mean(axis=1)))
    low, high = percentiles(drawn[1:])
    columns = {"objects": [*use.sum(1), use.sum()], "value": drawn[0], "low": low, "high": high}
    return pd.DataFrame(columns, [*statistics.scene_names, "mean"])


def spearman(measured: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation along the last axis; what is NaN in one of both is left out. (…,O), (…,O) -> (…).

    All rows at once, for bootstraps; scipy's goes row by row. NaN for fewer than three, and where all are alike.
    """
    missing = np.isnan(measured) | np.isnan(known)
    count = (~missing).sum(-1, keepdims=True)

    def centred_ranks(values: np.ndarray) -> np.ndarray:
        ranks = stats.rankdata(np.where(missing, np.nan, values), axis=-1, nan_policy="omit")
        return np.where(missing, 0, ranks - (count + 1) / 2)

    a, b = centred_ranks(measured), centred_ranks(known)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.where(count[..., 0] > 2, value, np.nan)
