"""Networks and pictures for the tests: small, seeded, and different enough for a wrong map to show."""

from pathlib import Path
from urllib.parse import urlsplit

import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

from cam_helpers import CamModel


def pictures(n=2, size=64, seed=0):
    """Coarse blobs under fine noise, so that places and pictures differ: float (n,3,size,size)."""
    random = torch.Generator().manual_seed(seed)
    blobs = F.interpolate(torch.randn(n, 3, 4, 4, generator=random), size=(size, size), mode="bicubic")
    return blobs + 0.3 * torch.randn(n, 3, size, size, generator=random)


def random_network(name, size=64, seed=1):
    """A torchvision classifier with random weights, in eval mode, see `lively`."""
    torch.manual_seed(seed)
    model = models.get_model(name, **({"init_weights": False} if name in ("googlenet", "inception_v3") else {}))
    return lively(model, pictures(2, size))


def lively(model, images):
    """The network as if it had been trained, in eval mode, changed in place.

    Its BatchNorm statistics fit the pictures up to a random factor, and scales and biases are random too: with the
    statistics of a new network the signal dies on the way, and every picture would get the same scores.
    """
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.train()
        norm.momentum, norm.usual_momentum = 1.0, norm.momentum
    with torch.no_grad():
        model(images)
        for norm in norms:
            norm.eval()
            norm.momentum = norm.usual_momentum
            norm.running_mean += 0.2 * torch.randn_like(norm.running_mean) * norm.running_var.sqrt()
            norm.running_var *= 0.75 + 0.5 * torch.rand_like(norm.running_var)
            norm.weight *= 0.75 + 0.5 * torch.rand_like(norm.weight)
            norm.bias += 0.2 * torch.randn_like(norm.bias)
    return model


def with_group_norms(network):
    """The network, changed in place, with a GroupNorm for every BatchNorm2d."""
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.BatchNorm2d):
            network.set_submodule(name, nn.GroupNorm(8, layer.num_features))
    return network


def weights_file(folder, weights):
    return folder / Path(urlsplit(weights.url).path).name


class Tiny(nn.Module):
    """Three random layers, then `tail(self, features)`: the part in which the networks of the tests differ."""

    def __init__(self, tail, head=None, classes=5, units=8, seed=2, **layers):
        super().__init__()
        torch.manual_seed(seed)
        self.body = nn.Sequential(nn.Conv2d(3, units, 3, padding=1), nn.BatchNorm2d(units), nn.ReLU())
        self.head = nn.Linear(units, classes) if head is None else head
        self.tail = tail
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, images):
        return self.tail(self, self.body(images))


def tiny_network(classes=5, seed=2):
    """The plainest network with an exact map: convolution, average pooling, linear head; in eval mode."""
    return Tiny(lambda net, f: net.head(f.mean((2, 3))), classes=classes, seed=seed).eval()


def blobs(n=3, size=(64, 96)):
    """Noise pictures: a list of uint8 (3,H,W)."""
    random = torch.Generator().manual_seed(3)
    return [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=random) for _ in range(n)]


class Counted(CamModel):
    """Notes how many pictures each forward pass takes, in `calls`."""

    def __call__(self, images):
        self.__dict__.setdefault("calls", []).append(len(images))
        return super().__call__(images)
