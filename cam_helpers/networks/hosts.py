"""Weights from other hosts, without waiting for one that is not there."""

from __future__ import annotations

import http.client
import pickle
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

import torch
from safetensors import SafetensorError
from torch import nn

from ..files import offline

__all__ = ["DAMAGE", "WeightsUnavailable", "answers", "hub_file", "load"]

# What is raised for a file that is no file of weights, or has those of another network
DAMAGE = (
    OSError, RuntimeError, EOFError, KeyError, TypeError, AttributeError, ValueError, pickle.UnpicklingError,
    SafetensorError,
)  # fmt: skip


class WeightsUnavailable(OSError):
    """Pretrained weights are not on this machine and cannot be had now. The text is one line for the reader."""


def hub_file(url: str) -> Path:
    """Where torch.hub keeps the file of this address."""
    return Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(url).path).name)


def load(
    name: str, file: Path | None, url: str, patience: float, make: Callable[[], nn.Module], hint: str = ""
) -> nn.Module:
    """make(), in eval mode, if its weights are on this machine, or their host answers.

    Args:
        name: of the network
        file: the weights, where they are or would be on this machine; None: they are not
        url: where they come from
        patience: seconds in which the host must answer
        make: builds the network with its weights, downloading them if necessary
        hint: what the reader can do, a sentence

    Raises:
        WeightsUnavailable: they are not there and cannot be had, or are damaged
    """
    here = file is not None and file.exists()
    cause = None
    if not here and offline():
        reason = "they are not on this machine, and CAM_OFFLINE is set"
    elif not here and not answers(url, patience):
        reason = "they are not on this machine, and their host does not answer"
    else:
        try:
            return make().eval()
        except DAMAGE as error:
            reason, cause = f"the download failed, {error}", error
            if here:
                reason, hint = f"the file {file.name} is damaged: delete it, in {file.parent}", ""
    raise WeightsUnavailable(f"No pretrained weights for {name}: {reason}.{hint}") from cause


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
