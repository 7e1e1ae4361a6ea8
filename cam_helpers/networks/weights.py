"""Pretrained weights, without waiting for a host that is not there."""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import ssl
import threading
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import torch
from torch import nn
from torchvision import models

__all__ = ["WeightsUnavailable", "pretrained"]


class WeightsUnavailable(OSError):
    """Pretrained weights are neither on this machine nor to be had now. The text is one line for the reader."""


def pretrained(
    name: str, patience: float = 1.0, *, weights: models.WeightsEnum | None = None
) -> tuple[nn.Module, models.WeightsEnum]:
    """A torchvision classifier with pretrained weights, in eval mode -> (network, weights).

    `weights.transforms()` prepares a picture, `weights.meta["categories"]` names the classes. Weights that lie in
    `torch.hub.get_dir()` ($TORCH_HOME/hub) are taken first, the default ones before older ones; otherwise torchvision
    downloads the default ones, shows a bar and checks the sum. Where their host does not answer within `patience`
    seconds, or CAM_OFFLINE is set, it raises WeightsUnavailable at once instead of waiting for a time-out; so it does
    when a file is damaged. `weights`: these and no others. Raises ValueError for a name that torchvision has not, or
    weights of another network.
    """
    every = models.get_model_weights(name)
    if weights is not None and not isinstance(weights, every):
        raise ValueError(f"weights for {name} are one of {', '.join(map(str, every))}, got {weights!r}")
    default, reasons = weights or every.DEFAULT, []
    for found in [default] if weights else sorted(every, key=lambda w: w is not default):
        if _file(found).exists():
            try:
                return models.get_model(name, weights=found).eval(), found
            except (OSError, RuntimeError, EOFError, TypeError, AttributeError, pickle.UnpicklingError):
                reasons.append(f"the file {_file(found).name} is damaged: delete it")
    if not reasons:
        if os.environ.get("CAM_OFFLINE"):
            reasons.append("they are not on this machine, and CAM_OFFLINE is set")
        elif not _answers(default.url, patience):
            reasons.append("they are not on this machine, and their host does not answer")
        else:
            try:
                return models.get_model(name, weights=default).eval(), default
            except (OSError, RuntimeError) as error:
                reasons.append(f"the download failed, {error}")
    raise WeightsUnavailable(f"No pretrained weights for {name}: {'; '.join(reasons)}.")


def _file(weights: models.WeightsEnum) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlsplit(weights.url).path).name


def _answers(url: str, patience: float) -> bool:
    """Does the host (or the proxy in front of it) take a connection? Look-up of the name included in `patience`."""
    target = urlsplit(url)
    host = target.hostname
    proxy = None if proxy_bypass(target.hostname) else getproxies().get(target.scheme)
    if proxy:
        target = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    port = target.port or (443 if target.scheme == "https" else 80)
    answered = []

    def knock() -> None:
        # a captive portal or a dead proxy takes the connection and then says nothing: wait for a first word
        with contextlib.suppress(OSError), socket.create_connection((target.hostname, port), timeout=patience) as line:
            if proxy:
                line.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
                answered.append(bool(line.recv(1)))
            elif target.scheme == "https":
                with contextlib.suppress(ssl.SSLCertVerificationError):  # torchvision will say so
                    ssl.create_default_context().wrap_socket(line, server_hostname=host).close()
                answered.append(True)
            else:
                answered.append(True)

    thread = threading.Thread(target=knock, daemon=True)  # a name look-up knows no time-out of its own
    thread.start()
    thread.join(patience)
    return any(answered)
