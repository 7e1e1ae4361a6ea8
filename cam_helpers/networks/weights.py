"""Pretrained weights, without waiting for a host that is not there."""

from __future__ import annotations

import http.client
import os
import pickle
import ssl
import threading
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

import torch
from torch import nn
from torchvision import models

__all__ = ["WeightsUnavailable", "pretrained"]


class WeightsUnavailable(OSError):
    """Pretrained weights are not on this machine and cannot be had now. The text is one line for the reader."""


def pretrained(
    name: str, patience: float = 1.5, *, weights: models.WeightsEnum | None = None
) -> tuple[nn.Module, models.WeightsEnum]:
    """A torchvision classifier with pretrained weights, in eval mode -> (network, weights).

    `weights.transforms()` prepares a picture, `weights.meta["categories"]` names the classes. Weights that lie in
    `torch.hub.get_dir()` ($TORCH_HOME/hub) are taken first, the default ones before older ones; otherwise torchvision
    downloads the default ones, shows a bar and checks the sum. `weights`: these and no others.

    Raises WeightsUnavailable where their host does not answer within `patience` seconds, CAM_OFFLINE is set or a file
    is damaged; ValueError for a name unknown to torchvision, or weights of another network.
    """
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
