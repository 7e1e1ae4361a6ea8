"""Batches on the device; what step s of epoch e sees depends on the seed, e and s only, so a run can go on anywhere."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from .recipe import Recipe

__all__ = ["Batches", "augment"]


class Batches:
    """The pictures of a set, batch after batch, this process's share of each.

    data: has `.images` uint8 (N,3,H,W) and `.labels` (the world, or any such object); or is a Dataset of
    (uint8 (3,H,W), label), read by worker processes, whose own dice, if any, are PyTorch's. Pictures in memory move to
    the device once, if they fill at most a quarter of what is free there; else batch by batch.
    """

    def __init__(self, data, recipe: Recipe, device: torch.device, rank: int = 0, world: int = 1, workers: int = 0):
        self.data, self.recipe, self.device, self.rank, self.world = data, recipe, device, rank, world
        self.images, self.labels, self.mean = getattr(data, "images", None), None, None
        inside = isinstance(self.images, Tensor)
        self.count, self.workers, parts = len(self.images if inside else data), workers, world * recipe.accumulate
        self.batch = min(recipe.batch, self.count // parts * parts)
        if recipe.batch % parts or not self.batch:
            raise ValueError(
                f"{self.count} pictures in batches of {recipe.batch} cannot be shared by {world} processes "
                f"in {recipe.accumulate} equal parts each"
            )
        if inside:
            self.labels = torch.as_tensor(data.labels)
            self.mean = self.images[:1000].float().mean((0, 2, 3)).round().to(self.images.dtype).to(device)
            if fits(self.images, device):
                self.images, self.labels = self.images.to(device), self.labels.to(device)

    def __len__(self) -> int:
        """Steps in an epoch; what does not fill a batch waits for another epoch's order."""
        return self.count // self.batch

    def epoch(self, epoch: int, first: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """From step `first` on: images, uint8 or float 0–1, (batch/world,3,h,w), and labels, on the device."""
        order = torch.randperm(self.count, generator=torch.Generator().manual_seed(self.recipe.seed * 100_003 + epoch))
        chosen = order[: len(self) * self.batch].view(len(self), self.batch)[first:, self.rank :: self.world]
        for step, (images, labels) in enumerate(self._read(chosen, epoch), first):
            torch.manual_seed((((self.recipe.seed * 4099 + epoch) * 65537 + step) << 8) + self.rank)
            yield augment(images, self.recipe, self.recipe.side(epoch), self.mean), labels

    def _read(self, chosen: Tensor, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        if isinstance(self.images, Tensor):
            chosen = chosen.to(self.images.device)
            for index in chosen:
                yield tuple(t[index].to(self.device, non_blocking=True) for t in (self.images, self.labels))
            return
        dice = (self.recipe.seed * 4099 + epoch) << 24
        loader = DataLoader(
            _Diced(self.data),
            batch_sampler=[[(dice + index, index) for index in step] for step in chosen.tolist()],
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
        )
        for images, labels in loader:
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


class _Diced(Dataset):
    """(dice, index) -> the item, whose own dice fall alike in every worker process, and when a run goes on."""

    def __init__(self, data):
        self.data = data

    def __getitem__(self, key: tuple[int, int]):
        torch.manual_seed(key[0])
        return self.data[key[1]]


def fits(images: Tensor, device: torch.device) -> bool:
    """At most a quarter of the free memory; the CPU and Apple's shared memory hold the pictures already."""
    if device.type != "cuda":
        return True
    return images.nbytes <= torch.cuda.mem_get_info(device)[0] // 4


def augment(images: Tensor, recipe: Recipe, side: int, mean: Tensor | None = None) -> Tensor:
    """Mirror, hide patches, shrink: (N,3,H,W) uint8 -> the same, or float 0–1 of the side wanted."""
    n = len(images)
    if recipe.flips:
        mirrored = torch.rand(n, 1, 1, 1, device=images.device) < 0.5
        images = torch.where(mirrored, images.flip(-1), images)
    if recipe.hidden:
        seen = (torch.rand(n, 1, 4, 4, device=images.device) >= recipe.hidden).float()
        seen = F.interpolate(seen, size=images.shape[-2:]) > 0
        grey = images.new_full((3,), 128 if images.dtype == torch.uint8 else 0.5) if mean is None else mean
        images = torch.where(seen, images, grey[:, None, None])
    if images.shape[-2:] != (side, side):
        small = images.float() / 255 if images.dtype == torch.uint8 else images
        images = F.interpolate(small, size=(side, side), mode="bilinear", antialias=side < images.shape[-1])
    return images
