"""Measured informativeness beside the recipe's truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from .counts import SceneStatistics, ends


def rank_correlation(
    statistics: SceneStatistics, truth: pd.DataFrame, by="lift", against=None, least=5, level=0.95
) -> pd.DataFrame:
    """How well a measure ranks a scene's objects as the truth does: a row per scene, and "mean" over the scenes.

    truth: scenes × objects, as `drawn_world.informativeness("scenes").log_odds`. Objects: those in at least `least`
    pictures of the scene. against: another measure, whose correlation is taken away, the same pictures in both.
    Columns: objects (how many), value (Spearman's), low, high (bootstrap interval: other pictures, the same scenes and
    objects; drawing again adds noise of its own, so it lies somewhat low). NaN where all are alike.
    """
    truth = truth.reindex(statistics.scene_names, columns=statistics.object_names).to_numpy()
    signs = [(1, statistics.values(by))] + ([(-1, statistics.values(against))] if against else [])
    use = (statistics.sums[0, ..., 0].numpy() >= least) & np.isfinite(truth)
    drawn = np.zeros((1 + statistics.replicates, len(truth)))
    for sign, values in signs:
        drawn += sign * spearman(values, np.where(use, truth, np.nan))
    drawn = np.column_stack((drawn, pd.DataFrame(drawn).mean(axis=1)))
    rows = dict(zip(("low", "high"), ends(drawn[1:], level), strict=True))
    counts = [*use.sum(1), use.sum()]
    return pd.DataFrame({"objects": counts, "value": drawn[0], **rows}, [*statistics.scene_names, "mean"])


def spearman(measured: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation along the last axis; what is NaN in one of both is left out. (…,O), (…,O) -> (…).

    All rows at once, for bootstraps; scipy's goes row by row. NaN for fewer than three, and where all are alike.
    """
    gone = np.isnan(measured) | np.isnan(known)
    both = (np.where(gone, np.nan, np.broadcast_to(values, gone.shape)) for values in (measured, known))
    count = (~gone).sum(-1, keepdims=True)
    ranks = [stats.rankdata(v, axis=-1, nan_policy="omit") - (count + 1) / 2 for v in both]
    a, b = (np.where(gone, 0, r) for r in ranks)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return np.where(count[..., 0] > 2, value, np.nan)
