"""Measured informativeness beside the recipe's truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from .counts import SceneStatistics, ends

_RANKS = {"spearman": stats.spearmanr, "kendall": stats.kendalltau}


def rank_correlation(
    statistics: SceneStatistics, truth: pd.DataFrame, by="lift", against=None, method="spearman", least=5, level=0.95
) -> pd.DataFrame:
    """How well a measure ranks a scene's objects as the truth does: a row per scene, and "mean" over the scenes.

    truth: scenes × objects, as `world.informativeness("scenes").log_odds`. Objects: those in at least `least` pictures
    of the scene. method: "spearman" or "kendall". against: another measure, whose correlation is taken away, the same
    pictures in both. Columns: objects (how many), value, low, high (bootstrap interval: other pictures, the same
    scenes and objects; drawing again adds noise of its own, so it lies somewhat low). NaN where all are alike.
    """
    if method not in _RANKS:
        raise ValueError(f"method is 'spearman' or 'kendall', got {method!r}")
    truth = truth.reindex(statistics.scene_names, columns=statistics.object_names).to_numpy()
    signs = [(1, statistics.values(by))] + ([(-1, statistics.values(against))] if against else [])
    use = (statistics.sums[0, ..., 0].numpy() >= least) & np.isfinite(truth)
    drawn = np.zeros((1 + statistics.replicates, len(truth)))
    for sign, values in signs:
        for s, known in enumerate(truth):
            drawn[:, s] += [sign * _correlation(_RANKS[method], v[use[s]], known[use[s]]) for v in values[:, s]]
    drawn = np.column_stack((drawn, pd.DataFrame(drawn).mean(axis=1)))
    rows = dict(zip(("low", "high"), ends(drawn[1:], level), strict=True))
    counts = [*use.sum(1), use.sum()]
    return pd.DataFrame({"objects": counts, "value": drawn[0], **rows}, [*statistics.scene_names, "mean"])


def _correlation(rank: Callable, measured: np.ndarray, known: np.ndarray) -> float:
    there = np.isfinite(measured)
    measured, known = measured[there], known[there]
    unlike = len(known) > 2 and np.ptp(measured) > 0 and np.ptp(known) > 0
    return rank(measured, known).statistic if unlike else np.nan
