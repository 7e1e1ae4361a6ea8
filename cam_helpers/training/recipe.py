"""What a training run is made of: one small immutable object, and three named ones to start from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

__all__ = ["PRESETS", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """One run, completely: the same recipe on the same CPU gives the same weights.

    What to train: `network`, `pool` and `resolution` go to `networks.gap_network`; `task`, `n`, `size` and `data_seed`
    to `drawn_world.load`. How: SGD with momentum under a one-cycle schedule with `learning_rate` at its top and
    `weight_decay` on weights, not on biases and norms; `batch` pictures a step over all processes, in `accumulate`
    parts; `smoothing` of the labels. `growing`: the side at which training starts, as a share of `size`, and the share
    of the epochs that it lasts; small pictures first are cheaper, and show the network two scales. `flips`: half of
    the pictures mirrored.

    What changes the speed only: `precision` "auto" (bf16 where the device computes it fast), "no", "bf16" or "fp16";
    `channels_last`; `compile`, which costs a minute before the first step.
    """

    task: str = "objects"
    network: str = "course"
    pool: str = "avg"
    resolution: int | None = None
    n: int | None = None
    size: int = 64
    data_seed: int = 46
    seed: int = 0
    epochs: int = 13
    batch: int = 32
    accumulate: int = 1
    learning_rate: float = 0.05
    weight_decay: float = 5e-4
    smoothing: float = 0.0
    growing: tuple[float, float] = (0.75, 0.65)
    flips: bool = True
    precision: str = "auto"
    channels_last: bool = True
    compile: bool = False

    def __post_init__(self):
        object.__setattr__(self, "growing", tuple(self.growing))
        for name in ("size", "epochs", "batch", "accumulate", "learning_rate"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} must be a number greater than 0, got {getattr(self, name)}")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing is a share from 0 to 1, got {self.smoothing}")
        if len(self.growing) != 2 or not all(0 <= share <= 1 for share in self.growing):
            raise ValueError(f"growing is two shares from 0 to 1, got {self.growing}")
        if not 0 <= self.seed < 2**27:
            raise ValueError(f"seed is a whole number from 0 to {2**27 - 1}, got {self.seed}")
        if self.batch % self.accumulate:
            raise ValueError(f"a batch of {self.batch} cannot be cut into {self.accumulate} equal parts")
        if self.precision not in ("auto", "no", "bf16", "fp16"):
            raise ValueError(f"precision is auto, no, bf16 or fp16, got {self.precision!r}")

    def but(self, **changes) -> Recipe:
        """The same with some changes. Raises TypeError for a name that no recipe has."""
        return replace(self, **changes)

    def same_weights(self) -> dict:
        """What decides the weights; the rest changes speed only."""
        return {k: v for k, v in asdict(self).items() if k != "compile"}

    def side(self, epoch: int) -> int:
        """The side of the pictures in this epoch, in pixels."""
        share, until = self.growing
        small = min(max(8, round(share * self.size / 8) * 8), self.size)
        return self.size if epoch >= round(until * self.epochs) else small


PRESETS = {
    "smoke": Recipe(n=256, size=48, epochs=2, batch=32),
    "quick": Recipe(),
    "course": Recipe(size=128, epochs=14, smoothing=0.1, growing=(0.5, 0.6)),
}
