"""What the training loop costs beside a bare forward pass, backward pass and step on the same tensors.

    python tests/benchmarks/bench_training.py [repeats]

The course network, 64 pixels, batches of 32, float32, no augmentation, everything in memory. Every repeat trains both
for STEPS steps, directly after one another and in turn; the table shows the median of the ratios inside the repeats.
Exit code 1 when the loop costs more than LIMIT.
"""

import sys
from functools import partial

import torch
from bench_maps import paired
from torch.nn import functional as F

from cam_helpers import gap_network
from cam_helpers.training import Recipe, fit
from cam_helpers.training.loop import sgd_one_cycle

LIMIT = 1.10  # the loop, as a multiple of the bare steps
STEPS, BATCH = 30, 32
RECIPE = Recipe(epochs=1, batch=BATCH, precision="no", flips=False, growing=(1, 0))


class Pictures:
    images = torch.randint(
        256, (STEPS * BATCH, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    labels = torch.arange(STEPS * BATCH) % 20

    def __len__(self):
        return len(self.images)


def bare(data) -> None:
    """The same network, optimizer and memory format; batches are slices."""
    network = gap_network("course", 20).to(memory_format=torch.channels_last).train()
    optimizer, schedule = sgd_one_cycle(network, RECIPE, STEPS)
    for images, labels in zip(data.images.split(BATCH), data.labels.split(BATCH), strict=True):
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()


def loop(data) -> None:
    fit(gap_network("course", 20), data, RECIPE)


def ratio(repeats: int) -> tuple[float, float, float]:
    """-> median and quartiles of the loop's time / that of the bare steps."""
    data = Pictures()
    return paired(partial(bare, data), partial(loop, data), repeats)


def main(repeats: int = 7) -> int:
    middle, low, high = ratio(repeats)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {STEPS} steps of {BATCH}×3×64×64")
    print(f"the loop costs {middle:.3f} ({low:.3f} to {high:.3f}) of the bare steps, the limit is {LIMIT}")
    return int(middle > LIMIT)


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
