"""Networks that can localize (lesson 02): heads replaced by global average pooling, and finer maps."""

from .checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from .gap import NAMES, gap_network
from .resolution import dilate
from .weights import WeightsUnavailable, pretrained

__all__ = [
    "NAMES",
    "CheckpointError",
    "WeightsUnavailable",
    "dilate",
    "gap_network",
    "load_checkpoint",
    "pretrained",
    "save_checkpoint",
]
