"""Pretrained networks, by name."""

from __future__ import annotations

from functools import partial

from torch import nn
from torchvision import models

from .hosts import WeightsUnavailable, hub_file, load
from .published import LITE0, PretrainedWeights, lite0_pretrained, places365, timm_network

__all__ = ["pretrained"]


def pretrained(
    name: str | None = None, patience: float = 1.5, *, weights: models.WeightsEnum | None = None
) -> tuple[nn.Module, models.WeightsEnum | PretrainedWeights]:
    """A classifier with pretrained weights, in eval mode -> (network, weights).

    `weights.transforms()` prepares a picture, `weights.meta["categories"]` names the classes. Weights that lie in
    `torch.hub.get_dir()` ($TORCH_HOME/hub; timm's in Hugging Face's cache) are taken first, torchvision's default ones
    before older ones; otherwise the default ones are downloaded.

    Args:
        name: one of
            None: EfficientNet-Lite0 with ImageNet weights (Tan and Le 2019), which the installation carries. A chain
            trunk → pool → flatten → head, as `gap_network` makes them, that normalises inside: it takes uint8, or
            float from 0 to 1, best at 224 pixels
            "resnet50" …: torchvision's
            "timm/resnet50" …: timm's
            "places365": the ResNet-18 of Places365's authors, for scenes; weights.meta["indoor"] has a bool per class
        patience: seconds in which the host of the weights must answer
        weights: these of torchvision and no others

    Raises:
        WeightsUnavailable: the host does not answer, CAM_OFFLINE is set, or a file is damaged
        ValueError: an unknown name, or weights of another network
    """
    name = name or LITE0
    if weights is None and name == LITE0:
        return lite0_pretrained()
    if weights is None and name == "places365":
        return places365(patience)
    if weights is None and name.startswith("timm/"):
        return timm_network(name.removeprefix("timm/"), patience)
    every = models.get_model_weights(name)
    if weights is not None and not isinstance(weights, every):
        raise ValueError(f"weights for {name} are one of {', '.join(map(str, every))}, got {weights!r}")
    default = weights or every.DEFAULT
    wanted = [default] if weights else [default, *(w for w in every if w is not default)]
    on_disk = [found for found in wanted if hub_file(found.url).exists()]
    reasons = []
    for found in on_disk or [default]:
        make = partial(models.get_model, name, weights=found)
        try:
            return load(name, hub_file(found.url), found.url, patience, make), found
        except WeightsUnavailable as reason:
            reasons.append(reason)
    raise reasons[0]
