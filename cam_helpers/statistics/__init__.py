"""Which objects a kind of scene often holds, and which of them its map looks at (lesson 10; paper, section 4.2).

found = scene_statistics(network, drawn_world.load("scenes", "test", size=128))
found.top("kitchen", 6, by="lift")                     # the six most informative objects, with intervals
rank_correlation(found, drawn_world.informativeness("scenes").log_odds)

One pass; memory depends on the numbers of scenes and objects, not on the number of pictures. From a terminal, on one or
several processes, by `accelerate launch` or torchrun:

torchrun --nproc-per-node 2 -m cam_helpers.statistics scenes-gap scenes --csv found.csv
"""

from .annotated import Annotated, scene_statistics
from .counts import MEASURES, SceneStatistics
from .ranks import rank_correlation, spearman

__all__ = ["MEASURES", "Annotated", "SceneStatistics", "rank_correlation", "scene_statistics", "spearman"]
