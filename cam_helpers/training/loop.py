"""The training loop, on a CPU, a GPU or several (lesson 03)."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from tqdm.auto import tqdm

from ..devices import fast_precision, processes
from ..maps import eval_mode
from ..ranking import in_top_k
from .batches import Batches, in_memory
from .recipe import Recipe
from .state import StateFiles

__all__ = ["Run", "evaluate", "fit", "sgd_one_cycle"]


@dataclass
class Run:
    """A finished run: the network (in eval mode), one row per epoch, seconds of training, pictures per second."""

    network: nn.Module
    rows: list[dict] = field(repr=False)
    seconds: float
    pictures_per_second: float
    device: str
    precision: str


def fit(
    network: nn.Module,
    train,
    recipe: Recipe,
    val=None,
    out: str | os.PathLike | None = None,
    after_epoch: Callable[[dict, nn.Module], None] | None = None,
    save_every: float = 30.0,
    workers: int = 0,
) -> Run:
    """Train a classifier on labelled pictures; resume where an earlier call with the same `out` stopped.

    A resumed run, also after kill -9, ends on a CPU with the weights of an uninterrupted one. Ctrl-C, or the
    notebook's stop button, ends the run after the step it is at, whose state is kept; twice, at once.

    Args:
        network: (N,3,H,W) uint8 or float 0–1 -> logits (N,C), trained in place. In train mode, the layers that you
            put into eval mode stay there (frozen batch norm); in eval mode, as it is loaded, all of it is trained
        train, val: data sets, see `Batches`; labels int (N,), or 0/1 (N,C) where a picture may hold several classes
        recipe: epochs, batch size, learning rate, precision …
        out: folder for the state and the log; None keeps nothing
        after_epoch: called with the epoch's row and the network, which is in eval mode
        save_every: seconds between states
        workers: processes that read a Dataset

    Returns:
        Run: the trained network and one row of metrics per epoch

    Raises:
        ValueError: `out` holds a run with other data or settings, or the loss is no longer a number
        OSError: nothing can be written to `out`
    """
    training = _Training(network, train, recipe, out, workers)
    accelerator, batches = training.accelerator, training.batches
    devices = [accelerator.device] if accelerator.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices), interrupts() as asked:
            for epoch in range(training.step // len(batches), recipe.epochs):
                for images, labels in batches.epoch(epoch, first=training.step % len(batches)):
                    training.learn(images, labels)
                    if training.step % len(batches) == 0:
                        row = training.end_epoch(epoch, val)
                        if after_epoch and accelerator.is_main_process:
                            with eval_mode(network):
                                after_epoch(row, network)
                    elif asked or time.monotonic() - training.saved > save_every:
                        training.save()
                    if asked:
                        raise KeyboardInterrupt
    finally:
        training.bar.close()
        accelerator.unwrap_model(training.model, keep_fp32_wrapper=False)
    seconds = training.rows[-1]["seconds"]
    speed = len(batches) * batches.batch * recipe.epochs / seconds
    return Run(network.eval(), training.rows, seconds, speed, str(accelerator.device), accelerator.mixed_precision)


class _Training:
    """A run under way: what changes from step to step, and what is kept of it."""

    def __init__(self, network: nn.Module, train, recipe: Recipe, out: str | os.PathLike | None, workers: int):
        self.recipe, self.network, every = recipe, network, processes()
        device = every.device
        precision = fast_precision(device) if recipe.precision == "auto" else recipe.precision
        AcceleratorState._reset_state()  # a notebook trains several times, each run with its own precision
        self.accelerator = Accelerator(mixed_precision=precision, gradient_accumulation_steps=recipe.accumulate)
        self.batches = Batches(train, recipe, device, every.process_index, every.num_processes, workers)
        self.steps = len(self.batches) * recipe.epochs
        network.to(device, memory_format=torch.channels_last if recipe.channels_last else torch.preserve_format)
        if not network.training:  # as it was loaded; otherwise its frozen layers stay frozen
            network.train()
        self.optimizer, self.schedule = sgd_one_cycle(network, recipe, self.steps)

        # a new run, or where an earlier one stopped
        self.files = None
        if out is not None:
            data = {"pictures": self.batches.count, "fingerprint of pictures and labels": self.batches.fingerprint()}
            self.files = StateFiles(out, recipe.same_weights() | data)
        self.step, self.rows, self.began, self.saved = 0, [], time.monotonic(), time.monotonic()
        self.meter = torch.zeros(3, device=device)  # sums of this epoch: loss, right answers, pictures
        if self.files:
            self._resume(self.files.load())

        if recipe.compile:
            network.compile()
        self.model, self.fast_optimizer = self.accelerator.prepare(network, self.optimizer)
        hidden = not self.accelerator.is_main_process
        self.bar = tqdm(total=self.steps, initial=self.step, unit="step", desc="training", disable=hidden)

    def _resume(self, state: dict | None) -> None:
        if state is None:
            return
        try:
            self.network.load_state_dict(state["model"])
        except RuntimeError as error:
            folder = self.files.folder
            raise ValueError(f"{folder} holds a run with another network: give another folder, or delete it") from error
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.step, self.rows, self.began = state["step"], state["rows"], time.monotonic() - state["seconds"]
        self.meter += torch.tensor(state["meter"], device=self.meter.device)

    def learn(self, images: Tensor, labels: Tensor) -> None:
        """One step, in as many parts as the recipe says."""
        parts = self.recipe.accumulate
        for x, y in zip(images.chunk(parts), labels.chunk(parts), strict=True):
            with self.accelerator.accumulate(self.model):
                logits = self.model(x)
                loss = loss_of(logits, y, self.recipe.smoothing)
                self.accelerator.backward(loss)
                self.fast_optimizer.step()
                self.fast_optimizer.zero_grad()
            with torch.no_grad():
                right = in_top_k(logits, y).float().sum()
                self.meter += torch.stack((loss.detach() * len(x), right, torch.ones_like(loss) * len(x)))
        self.schedule.step()
        self.step += 1
        if self.step % 20 == 0 or self.step % len(self.batches) == 0:
            loss, right, seen = self.meter.tolist()
            if loss != loss:
                raise ValueError("the loss is no longer a number: try a smaller learning_rate, or precision='no'")
            self.bar.set_postfix_str(f"loss {loss / seen:.3f}, accuracy {right / seen:.3f}", refresh=False)
            self.bar.update(self.step - self.bar.n)

    def end_epoch(self, epoch: int, val) -> dict:
        """Measure, log and save. -> the epoch's row of metrics"""
        loss, right, seen = self.accelerator.reduce(self.meter, "sum").tolist()
        row = {
            "epoch": epoch + 1, "side": self.recipe.side(epoch), "loss": loss / seen, "accuracy": right / seen,
            "learning_rate": self.schedule.get_last_lr()[0],
        }  # fmt: skip
        if val is not None:
            row |= {f"val_{k}": v for k, v in evaluate(self.network, val).items()}
        self.rows.append(row | {"seconds": time.monotonic() - self.began})
        self.meter.zero_()
        if self.files and self.accelerator.is_main_process:
            self.files.log(self.rows)  # before the state: killed in between, the epoch is logged again
        self.save()
        return self.rows[-1]

    def save(self) -> None:
        if self.files and self.accelerator.is_main_process:
            parts = {"model": self.network, "optimizer": self.optimizer, "schedule": self.schedule}
            state = {name: part.state_dict() for name, part in parts.items()}
            numbers = {"step": self.step, "rows": self.rows, "meter": self.meter.tolist()}
            self.files.save(state | numbers | {"seconds": time.monotonic() - self.began})
        self.saved = time.monotonic()


@contextmanager
def interrupts() -> Iterator[list]:
    """A list that the first Ctrl-C fills, which may come in the middle of a step; the second one stops at once."""
    asked, usual = [], signal.getsignal(signal.SIGINT) or signal.default_int_handler
    ignored = usual is signal.SIG_IGN  # a job in a shell's background, which Ctrl-C is not meant for
    if ignored or threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield asked
        return

    def first(number: int, frame) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, usual)

    signal.signal(signal.SIGINT, first)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, usual)


def loss_of(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross entropy; where a picture may hold several classes, the mean binary one."""
    if labels.ndim == 1:
        return F.cross_entropy(logits.float(), labels, label_smoothing=smoothing)
    return F.binary_cross_entropy_with_logits(logits.float(), labels * (1 - smoothing) + smoothing / 2)


@torch.no_grad()
def evaluate(network: nn.Module, data, batch: int = 250) -> dict[str, float]:
    """Share of pictures whose best score, and one of whose best five, is that of a class which is there: top1, top5.

    Where a picture may hold several classes also the mean average precision, of the classes that occur. Every layer's
    mode is left as it was.
    """
    device = next(network.parameters()).device
    if in_memory(data):
        data = TensorDataset(data.images, torch.as_tensor(data.labels))
    logits, labels = [], []
    with eval_mode(network):
        for x, y in DataLoader(data, batch):
            logits.append(network(x.to(device)).float().cpu())
            labels.append(y)
    logits, labels = torch.cat(logits), torch.cat(labels)
    found = {f"top{k}": in_top_k(logits, labels, k).float().mean().item() for k in (1, 5)}
    if labels.ndim == 2:
        there = labels.sum(0) > 0  # a class without a picture has no precision
        from sklearn.metrics import average_precision_score  # a second at each start, for this kind of label alone

        found["mAP"] = float(average_precision_score(labels[:, there].numpy(), logits[:, there].numpy()))
    return found


def sgd_one_cycle(network: nn.Module, recipe: Recipe, steps: int):
    """-> SGD whose weight decay spares biases and norms, and its one-cycle schedule."""
    rate, parameters = recipe.learning_rate, [p for p in network.parameters() if p.requires_grad]
    weights = {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay}
    others = {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}
    optimizer = torch.optim.SGD([weights, others], rate, momentum=0.9, nesterov=True)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=max(steps, 3), pct_start=0.15)
