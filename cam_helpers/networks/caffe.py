"""Caffe's networks, which the paper and the slides start from. (torchvision's AlexNet has another layout.)"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from .resolution import run_in_eval

__all__ = ["blobs", "caffe_alexnet", "caffe_trunk", "nin_trunk"]

_RELEASED = {"pool": "pool8_global", "head": "fc9"}  # what the paper's released networks call them


def caffe_trunk(conv5: int = 256, stride5: int = 2) -> nn.Sequential:
    """conv1 to pool5 of Caffe's AlexNet: (N,3,227,227) -> (N,256,6,6).

    Local response norm after the pooling, convolutions in two groups. The paper's networks for Places205 have 384 units
    in conv5 and stride 1 in pool5: 11×11 places.
    """
    return nn.Sequential(
        OrderedDict(
            conv1=_conv(3, 96, 11, stride=4), pool1=_pool(), norm1=_norm(),
            conv2=_conv(96, 256, 5, padding=2, groups=2), pool2=_pool(), norm2=_norm(),
            conv3=_conv(256, 384, 3, padding=1),
            conv4=_conv(384, 384, 3, padding=1, groups=2),
            conv5=_conv(384, conv5, 3, padding=1, groups=2), pool5=_pool(stride5),
        )
    )  # fmt: skip


def caffe_alexnet(num_classes: int = 1000) -> nn.Sequential:
    """Caffe's AlexNet with its dense layers, the slides' first list: (N,3,227,227) -> logits (N,num_classes)."""
    stages = OrderedDict(caffe_trunk().named_children())
    stages["flatten"] = nn.Flatten()
    stages["fc6"] = nn.Sequential(nn.Linear(256 * 6 * 6, 4096), nn.ReLU(inplace=True), nn.Dropout())
    stages["fc7"] = nn.Sequential(nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout())
    stages["fc8"] = nn.Linear(4096, num_classes)
    return nn.Sequential(stages)


def nin_trunk() -> nn.Sequential:
    """Caffe's Network in Network for ImageNet without its last 1×1 convolution: (N,3,224,224) -> (N,1024,6,6)."""
    return nn.Sequential(
        OrderedDict(
            conv1=_conv(3, 96, 11, stride=4), cccp1=_conv(96, 96, 1), cccp2=_conv(96, 96, 1), pool1=_pool(),
            conv2=_conv(96, 256, 5, padding=2), cccp3=_conv(256, 256, 1), cccp4=_conv(256, 256, 1), pool2=_pool(),
            conv3=_conv(256, 384, 3, padding=1), cccp5=_conv(384, 384, 1), cccp6=_conv(384, 384, 1), pool3=_pool(),
            drop=nn.Dropout(), conv4=_conv(384, 1024, 3, padding=1), cccp7=_conv(1024, 1024, 1),
        )
    )  # fmt: skip


def blobs(network: nn.Sequential, images: Tensor) -> dict[str, tuple[int, ...]]:
    """The list of Caffe's `net.blobs`, as the slides print it: name -> shape, from "data" to "prob".

    images (N,3,H,W): only their shape is read, and nothing is computed.
    """
    shapes = {"data": tuple(images.shape)}
    x = FakeTensorMode(allow_non_fake_inputs=True).from_tensor(images)  # a shape without numbers
    for name, stage in network.named_children():
        layers = stage.named_children() if name in ("trunk", "extra") else [(name, stage)]
        for layer_name, layer in layers:
            x = run_in_eval(layer, x)
            shapes[_RELEASED.get(layer_name, layer_name)] = tuple(x.shape)
    shapes.pop("flatten", None)
    return shapes | {"prob": tuple(x.shape)}


def _conv(*sizes: int, **options) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(*sizes, **options), nn.ReLU(inplace=True))


def _pool(stride: int = 2) -> nn.MaxPool2d:
    return nn.MaxPool2d(3, stride, ceil_mode=True)


def _norm() -> nn.LocalResponseNorm:
    return nn.LocalResponseNorm(5)  # α 1e-4, β 0.75, as in Caffe
