"""The loop: one screen, on a CPU, a GPU or several (lesson 03)."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import parse_flag_from_env
from sklearn.metrics import average_precision_score
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from ..devices import fast_precision
from .batches import Batches
from .recipe import Recipe
from .state import StateFiles

__all__ = ["Run", "evaluate", "fit"]


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
    """Train a classifier on pictures with labels.

    network: (N,3,H,W) uint8 or float 0–1 -> logits (N,C), trained in place. train, val: see `Batches`; labels int (N,),
    or 0/1 (N,C) where a picture may hold several classes. out: folder for state and log; the same call goes on where an
    earlier one was broken off, also by kill -9, and on a CPU ends with the weights of an unbroken run.
    after_epoch(row, network): an early look. save_every: seconds between states.
    Ctrl-C, or the notebook's stop button, ends the run after the step it is at, whose state is kept; twice, at once.
    Raises ValueError when `out` holds a run with other settings or the loss is no longer a number, OSError where
    nothing can be written to it.
    """
    accelerator = _accelerator(recipe)
    device, main = accelerator.device, accelerator.is_main_process
    batches = Batches(train, recipe, device, accelerator.process_index, accelerator.num_processes, workers)
    network = network.to(device, memory_format=torch.channels_last if recipe.channels_last else torch.preserve_format)
    optimizer, schedule = _optimizer(network, recipe, steps := len(batches) * recipe.epochs)
    files = StateFiles(out, recipe.same_weights() | {"pictures": batches.count})
    state = files.load() or {"step": 0, "rows": [], "seconds": 0.0, "meter": [0.0, 0.0, 0.0]}
    if "model" in state:
        try:
            network.load_state_dict(state["model"])
        except RuntimeError as error:
            raise ValueError(f"{out} holds a run with another network: give another folder, or delete it") from error
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
    if recipe.compile:
        network.compile()
    model, fast_optimizer = accelerator.prepare(network, optimizer)

    step, rows, before = state["step"], state["rows"], state["seconds"]
    meter = torch.tensor(state["meter"], device=device)  # loss, right answers, pictures of this epoch
    began = saved = time.monotonic()
    fresh, bar = 0, tqdm(total=steps, initial=step, unit="step", desc="training", disable=not main)

    def keep() -> None:
        seconds = before + time.monotonic() - began
        parts = {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
        if main:
            files.save(parts | {"step": step, "rows": rows, "seconds": seconds, "meter": meter.tolist()})

    try:
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), interrupts() as asked:
            for epoch in range(step // len(batches), recipe.epochs):
                model.train()
                for images, labels in batches.epoch(epoch, step % len(batches)):
                    for x, y in zip(images.chunk(recipe.accumulate), labels.chunk(recipe.accumulate), strict=True):
                        with accelerator.accumulate(model):
                            logits = model(x)
                            loss = loss_of(logits, y, recipe.smoothing)
                            accelerator.backward(loss)
                            fast_optimizer.step()
                            fast_optimizer.zero_grad()
                        with torch.no_grad():
                            right = hits(logits, y).sum()
                            meter += torch.stack((loss.detach() * len(x), right, torch.ones_like(loss) * len(x)))
                    schedule.step()
                    step, fresh = step + 1, fresh + batches.batch
                    due, ends = asked or time.monotonic() - saved > save_every, step % len(batches) == 0
                    if due or ends or step % 20 == 0:
                        _show(bar, step, meter, fresh / (time.monotonic() - began))
                    if due and not ends:
                        keep()
                        saved = time.monotonic()
                    if asked and not ends:
                        raise KeyboardInterrupt
                loss, right, seen = accelerator.reduce(meter, "sum").tolist()
                row = {
                    "epoch": epoch + 1, "side": recipe.side(epoch), "loss": loss / seen, "accuracy": right / seen,
                    "learning_rate": schedule.get_last_lr()[0],
                }  # fmt: skip
                if val is not None:
                    row |= {f"val_{k}": v for k, v in evaluate(network, val, device=device).items()}
                rows.append(row | {"seconds": before + time.monotonic() - began})
                meter.zero_()
                if main:
                    files.log(rows)  # before the state: killed in between, the epoch is logged again
                keep()
                if main and after_epoch:
                    network.eval()
                    after_epoch(rows[-1], network)
                if asked:
                    raise KeyboardInterrupt
    finally:
        bar.close()
        accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    seconds = rows[-1]["seconds"]
    speed = len(batches) * batches.batch * recipe.epochs / seconds
    return Run(network.eval(), rows, seconds, speed, str(device), accelerator.mixed_precision)


@contextmanager
def interrupts() -> Iterator[list]:
    """Filled by the first Ctrl-C, which may come in the middle of a step, when no state is whole; the second stops."""
    asked, usual = [], signal.getsignal(signal.SIGINT) or signal.default_int_handler
    deaf = usual is signal.SIG_IGN  # a job in a shell's background, which Ctrl-C is not meant for
    if deaf or threading.current_thread() is not threading.main_thread():  # only the main one hears of it
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


def hits(logits: Tensor, labels: Tensor, k: int = 1) -> Tensor:
    """(N,) float: is one of the k highest scores that of a class which is there?"""
    best = logits.topk(min(k, logits.shape[1]), dim=1).indices
    right = best == labels[:, None] if labels.ndim == 1 else labels.gather(1, best) > 0
    return right.any(1).float()


@torch.no_grad()
def evaluate(network: nn.Module, data, batch: int = 250, device: torch.device | None = None) -> dict[str, float]:
    """Share of pictures whose best score, and one of whose best five, is that of a class which is there: top1, top5.

    Where a picture may hold several classes also the mean average precision, of the classes that occur. The network's
    mode is left as it was.
    """
    device = device or next(network.parameters()).device
    training = network.training
    network.eval()
    inside = isinstance(getattr(data, "images", None), Tensor)
    images = data.images.split(batch) if inside else torch.utils.data.DataLoader(data, batch)
    logits, labels = [], []
    for part in images:
        x, y = part if isinstance(part, (tuple, list)) else (part, None)
        logits.append(network(x.to(device)).float().cpu())
        labels += [] if y is None else [y]
    network.train(training)
    logits, labels = torch.cat(logits), torch.cat(labels) if labels else torch.as_tensor(data.labels)
    found = {f"top{k}": hits(logits, labels, k).mean().item() for k in (1, 5)}
    if labels.ndim == 2:
        there = labels.sum(0) > 0  # a class without a picture has no precision
        found["mAP"] = float(average_precision_score(labels[:, there].numpy(), logits[:, there].numpy()))
    return found


def processes() -> PartialState:
    """This process among those of torchrun, on a machine without a GPU too, where Accelerate has to be told."""
    return PartialState(cpu=not torch.accelerator.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU"))


def _accelerator(recipe: Recipe) -> Accelerator:
    device = processes().device
    precision = fast_precision(device) if recipe.precision == "auto" else recipe.precision
    AcceleratorState._reset_state()  # a notebook trains several times, each run with its own precision
    return Accelerator(mixed_precision=precision, gradient_accumulation_steps=recipe.accumulate)


def _optimizer(network: nn.Module, recipe: Recipe, steps: int):
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.SGD(groups, recipe.learning_rate, momentum=0.9, nesterov=True)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=max(steps, 3), pct_start=0.15
    )


def _show(bar, step: int, meter: Tensor, speed: float) -> None:
    loss, right, seen = meter.tolist()
    if not loss == loss:
        raise ValueError("the loss is no longer a number: try a smaller learning_rate, or precision='no'")
    bar.set_postfix_str(f"loss {loss / seen:.3f}, accuracy {right / seen:.3f}, {speed:.0f} pictures/s", refresh=False)
    bar.update(step - bar.n)
