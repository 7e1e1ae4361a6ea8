"""Networks that can localize (lesson 02): heads replaced by global average pooling, and finer maps."""

from .gap import NAMES, gap_network
from .resolution import dilate
from .weights import WeightsUnavailable, pretrained

__all__ = ["NAMES", "WeightsUnavailable", "dilate", "gap_network", "pretrained"]
