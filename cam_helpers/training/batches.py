"""Batches on the device; what step s of epoch e sees depends on the seed, e and s only, so a run can go on anywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from .recipe import Recipe

__all__ = ["Batches", "augment", "in_memory"]


class Batches:
    """The pictures of a data set, batch after batch, this process's share of each.

    Args:
        data: has `.images` uint8 (N,3,H,W) and `.labels`, as the drawn world has; or is a Dataset of
            (uint8 (3,H,W), label), read by worker processes, whose random numbers, if any, are PyTorch's
        recipe: seed, batch size and what is done to the pictures
        device: where the batches go. Pictures in memory move there once, if they fill at most a quarter of what is
            free; else batch by batch
        rank, world: number of this process, and of all
        workers: processes that read a Dataset
    """

    def __init__(self, data, recipe: Recipe, device: torch.device, rank: int = 0, world: int = 1, workers: int = 0):
        self.data, self.recipe, self.device, self.rank, self.world = data, recipe, device, rank, world
        self.workers, parts = workers, world * recipe.accumulate
        self.count = len(data.images) if in_memory(data) else len(data)
        self.batch = min(recipe.batch, self.count // parts * parts)
        if recipe.batch % parts or not self.batch:
            raise ValueError(
                f"{self.count} pictures in batches of {recipe.batch} cannot be shared by {world} processes "
                f"in {recipe.accumulate} equal parts each"
            )
        if in_memory(data):
            self.images, self.labels = data.images, torch.as_tensor(data.labels)
            # the CPU and Apple's shared memory hold them already
            if device.type != "cuda" or self.images.nbytes <= torch.cuda.mem_get_info(device)[0] // 4:
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
            yield augment(images, self.recipe, self.recipe.side(epoch)), labels

    def fingerprint(self) -> str:
        """A short text that differs for other pictures or labels. Of a Dataset it reads 100 items only."""
        if in_memory(self.data):
            parts = [self.images, self.labels]
        else:
            with torch.random.fork_rng(devices=[]):
                some = range(0, self.count, -(-self.count // 100))
                parts = [part for index in some for part in _Seeded(self.data)[self._seed(0) + index, index]]
        digest = hashlib.blake2b(digest_size=8)
        for part in parts:
            digest.update(torch.as_tensor(part).detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()

    def _seed(self, epoch: int) -> int:
        """What the seeds of this epoch's pictures start from."""
        return (self.recipe.seed * 4099 + epoch) << 24

    def _read(self, chosen: Tensor, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        if in_memory(self.data):
            for index in chosen.to(self.images.device):
                yield tuple(t[index].to(self.device, non_blocking=True) for t in (self.images, self.labels))
            return
        loader = DataLoader(
            _Seeded(self.data),
            batch_sampler=[[(self._seed(epoch) + index, index) for index in step] for step in chosen.tolist()],
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
        )
        for images, labels in loader:
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


class _Seeded(Dataset):
    """(seed, index) -> the item, seeded identically in every worker process, and when a run goes on."""

    def __init__(self, data):
        self.data = data

    def __getitem__(self, key: tuple[int, int]):
        torch.manual_seed(key[0])
        return self.data[key[1]]


def in_memory(data) -> bool:
    """Whether the set has all its pictures in one tensor."""
    return isinstance(getattr(data, "images", None), Tensor)


def augment(images: Tensor, recipe: Recipe, side: int) -> Tensor:
    """Mirror and shrink pictures: (N,3,H,W) uint8 -> the same, or float 0–1 of the side wanted."""
    if recipe.flips:
        mirrored = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
        images = torch.where(mirrored, images.flip(-1), images)
    if images.shape[-2:] != (side, side):
        images = images.float() / 255 if images.dtype == torch.uint8 else images
        images = F.interpolate(images, size=(side, side), mode="bilinear", antialias=side < images.shape[-1])
    return images
