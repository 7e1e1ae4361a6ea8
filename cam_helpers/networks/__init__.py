"""Networks that can localize (lesson 02): heads replaced by global average pooling, and finer maps."""

from .caffe import blobs, caffe_alexnet
from .checkpoints import CheckpointError, load_checkpoint, save_checkpoint, stored_weights
from .convolutional import fully_convolutional
from .gap import NAMES, gap_network
from .hosts import WeightsUnavailable
from .published import PretrainedWeights
from .resolution import dilate
from .speed import fast, fast_cams
from .weights import pretrained

__all__ = [
    "NAMES",
    "CheckpointError",
    "PretrainedWeights",
    "WeightsUnavailable",
    "blobs",
    "caffe_alexnet",
    "dilate",
    "fast",
    "fast_cams",
    "fully_convolutional",
    "gap_network",
    "load_checkpoint",
    "pretrained",
    "save_checkpoint",
    "stored_weights",
]
