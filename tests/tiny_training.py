"""What the tests of training train: a network and pictures so small that a run takes a tenth of a second."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import Dataset

from cam_helpers.networks.small import Pixels
from cam_helpers.training import Recipe

# three epochs of five steps, with everything that is random switched on
RECIPE = Recipe(size=16, epochs=3, batch=8, growing=(0.5, 0.5), precision="no", seed=7)
STEPS = 15
PLAIN = RECIPE.but(flips=False, growing=(1, 0))


@dataclass
class Pictures:
    images: torch.Tensor
    labels: torch.Tensor

    def __len__(self):
        return len(self.images)


class Items(Dataset):
    """The same, item by item. noise: dice of its own."""

    def __init__(self, data, noise=False):
        self.data, self.noise = data, noise

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        assert isinstance(index, int)
        image = self.data.images[index]
        return image ^ torch.randint_like(image, 8) if self.noise else image, self.data.labels[index]


def pictures(n=40, size=16, classes=3, seed=0):
    """Noise, the brighter the higher the label."""
    dice = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=dice)
    images = torch.randint(80, (n, 3, size, size), generator=dice) + labels[:, None, None, None] * 60
    return Pictures(images.to(torch.uint8), labels)


def network(norm="batch", dropout=0.3, classes=3):
    """Its norm has running numbers, its dropout falls with the dice of the step."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        norms = {"batch": nn.BatchNorm2d(8), "group": nn.GroupNorm(2, 8)}
        return nn.Sequential(
            Pixels(),
            nn.Conv2d(3, 8, 3, 2),
            norms[norm],
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, classes),
        )


def same(one, other):
    """Bit for bit."""
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def furthest(one, other):
    """The largest difference between two networks' weights."""
    return max((p - q).abs().max().item() for p, q in zip(one.parameters(), other.parameters(), strict=True))


def timeless(rows):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
