"""Training on the device: the loop, its state on disk, its data, several processes."""

from __future__ import annotations

import contextlib
import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from .correctness import difference, tensor_cores
from .rows import Place, Row, Skipped, must, refused_by_mps, skipped

SMOKE = ["--preset", "smoke", "--pictures", "64", "--precision", "no"]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
PATIENCE = 240  # seconds that a command may take


def fit(place: Place) -> Iterator[Row]:
    """The careful loop beside five lines on the CPU, and every precision."""
    from tiny_training import PLAIN, network, pictures

    from cam_helpers.training import Batches, fit
    from cam_helpers.training.loop import loss_of, sgd_one_cycle

    recipe, data, start = PLAIN.but(epochs=4), pictures(), network(dropout=0.0)
    by_hand, batches = copy.deepcopy(start), Batches(data, recipe, torch.device("cpu"))
    optimizer, schedule = sgd_one_cycle(by_hand, recipe, len(batches) * recipe.epochs)
    losses = []
    for epoch in range(recipe.epochs):
        for images, labels in batches.epoch(epoch):
            optimizer.zero_grad()
            loss = loss_of(by_hand(images), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
    expected = torch.tensor(losses).view(recipe.epochs, -1).mean(1)
    with tensor_cores(False):
        run = fit(copy.deepcopy(start), data, recipe)
    found = torch.tensor([row["loss"] for row in run.rows])
    yield must("it trained on the device asked for", run.device.startswith(place.device))
    yield must("loss of each epoch beside the CPU's", difference(found, expected), 1e-3)
    for precision in ("auto", "bf16", "fp16"):
        if precision == "fp16" and place.device == "cpu":
            yield skipped("fp16", "for GPUs only")
            continue
        try:
            run = fit(copy.deepcopy(start), data, recipe.but(precision=precision, epochs=8))
        except (RuntimeError, TypeError, ValueError, ImportError) as error:
            yield refused_by_mps(f"precision {precision}", error, place)
            continue
        least = run.rows[-1]["loss"] / run.rows[0]["loss"]
        yield must(f"precision {precision} ({run.precision}): last loss / first", least, 0.95)


def checkpoints(place: Place) -> Iterator[Row]:
    """Written on the device, read on the CPU, and back."""
    from cam_helpers.networks import gap_network, load_checkpoint, save_checkpoint

    torch.manual_seed(0)
    network = gap_network("course", 5).eval().to(place.device)
    images = torch.randint(256, (8, 3, 64, 64), dtype=torch.uint8)
    card = {
        "task": "none", "size": 64, "classes": list("abcde"), "metrics": {},
        "network": {"name": "course", "num_classes": 5},
    }  # fmt: skip
    path = save_checkpoint(network, card, place.folder / "written.safetensors")
    with torch.no_grad(), tensor_cores(False):
        before = network(images.to(place.device))
        here, _ = load_checkpoint(path)
        yield must("read on the CPU: difference of the scores", difference(here(images), before), 5e-3)
        on_device = load_checkpoint(path)[0].to(place.device)(images.to(place.device))
        yield must("on the device again: difference to the CPU", difference(on_device, here(images)), 1e-4)
        other = save_checkpoint(here, card, place.folder / "again.safetensors")
        yield must("written again on the CPU: the same bytes", path.read_bytes() == other.read_bytes())


def resume(place: Place) -> Iterator[Row]:
    """The training command, killed with SIGKILL and started again: on the device, and on the CPU."""
    command = ["-m", "cam_helpers.training", *SMOKE, "--epochs", "6", "--out"]
    whole = _in_this_process(*command[2:], place.folder / "whole")
    yield Row("never stopped: last loss", _losses(place.folder / "whole")[-1])
    for name, environment in (("the device", {}), ("the CPU", Place("cpu", True, place.folder).environment)):
        if environment and place.device == "cpu":
            yield skipped("resumed on the CPU", "the device is the CPU")
            continue
        out = place.folder / name.replace(" ", "_")
        epochs = _killed(place, [*command, str(out)], out)
        yield Row(f"to be resumed on {name}: epochs before the kill", float(epochs))
        yield must("its state is there, its checkpoint is not", not (out / "checkpoint.safetensors").exists())
        ended = json_line(_python(place, *command, out, **environment))
        yield must(f"resumed on {name}: every epoch once", len(_losses(out)) == 6 and ended["epochs"] == 6)
        apart = difference(torch.tensor(_losses(out)), torch.tensor(_losses(place.folder / "whole")))
        # sums run in another order on a GPU: what it computed before the kill is equal, the rest nearly
        yield must(f"resumed on {name}: losses, difference", apart, 0.0 if place.device == "cpu" else 0.05)
        yield Row("top-5 on val, never stopped and resumed", f"{whole['top5']:.3f} and {ended['top5']:.3f}")


def pin_memory(place: Place) -> Iterator[Row]:
    """Pictures that a DataLoader's processes read and pin, beside those that were in memory."""
    from tiny_training import PLAIN, Items, pictures

    from cam_helpers.training import Batches

    data, device = pictures(), torch.device(place.device)
    read = list(Batches(Items(data), PLAIN, device, workers=0 if sys.platform == "win32" else 1).epoch(0))
    kept = list(Batches(data, PLAIN, device).epoch(0))
    equal = all(torch.equal(a, b) for pair in zip(read, kept, strict=True) for a, b in zip(*pair, strict=True))
    yield must(f"{len(read)} batches, equal", equal)
    yield must("on the device", all(images.device.type == place.device for images, _ in read))
    if place.device != "cuda":
        yield skipped("copies of pinned memory", "only a CUDA device has a memory of its own")
        return
    plain = torch.randint(256, (256, 3, 224, 224), dtype=torch.uint8)
    for what, images in (("pageable", plain), ("pinned", plain.pin_memory())):
        yield must(f"{what} memory arrives whole", torch.equal(images.to(device, non_blocking=True).cpu(), plain))
        took = min(place.seconds(lambda x=images: x.to(device, non_blocking=True)) for _ in range(10))
        yield Row(f"{what} memory to the device", plain.nbytes / took / 1e9, "GB/s")


def two_processes(place: Place) -> Iterator[Row]:
    """torchrun with two processes on one card, or on the CPU."""
    if place.device == "mps":
        raise Skipped("PyTorch has no processes that share an Apple GPU")
    script = Path(__file__).with_name("two_on_one.py")
    found = json_line(_python(place, *TORCHRUN, "2", script, *SMOKE, "--out", place.folder / "two"))
    alone = _in_this_process(*SMOKE, "--out", place.folder / "one")
    yield must("processes", found["processes"] == 2)
    yield must("device", found["device"].startswith(place.device))
    # batch norm sees each half apart, so the losses are near and not equal
    apart = difference(torch.tensor(_losses(place.folder / "two")), torch.tensor(_losses(place.folder / "one")))
    yield must("losses beside those of one process", apart, 0.1)
    yield Row("two processes", found["pictures_per_second"], "pictures/s")
    yield Row("one process", alone["pictures_per_second"], "pictures/s")


def several_cards(place: Place) -> Iterator[Row]:
    """The preset on one card and on all, one process each."""
    cards = torch.cuda.device_count() if place.device == "cuda" else 0
    if cards < 2:
        raise Skipped(f"there {'is one card' if cards else 'are no cards'}, two or more are needed")
    count = 1 << cards.bit_length() - 1  # a power of two: it divides the batch
    command = ["-m", "cam_helpers.training", "--preset", "smoke" if place.quick else "quick", "--out"]
    all_cards = json_line(_python(place, *TORCHRUN, str(count), *command, place.folder / "all"))
    alone = json_line(_python(place, *command, place.folder / "alone", CUDA_VISIBLE_DEVICES="0"))
    yield must(f"{count} processes", all_cards["processes"] == count)
    for name, run in ((f"{count} cards", all_cards), ("one card", alone)):
        yield Row(name, run["pictures_per_second"], "pictures/s")
        yield Row(f"{name}, top-1 on val", run["top1"])


def _in_this_process(*arguments) -> dict:
    """The training command without a process of its own -> what it says in its line of JSON."""
    from cam_helpers.training.__main__ import main

    return main(list(map(str, arguments)))


def json_line(printed: str) -> dict:
    """The one line of JSON that the training command prints last."""
    return json.loads([line for line in printed.splitlines() if line.startswith("{")][-1])


def _python(place: Place, *arguments, **environment: str) -> str:
    """Run Python -> what it printed. Raises RuntimeError with its last line where it failed."""
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(
        command, env=_environment(place) | environment, capture_output=True, text=True, timeout=PATIENCE
    )
    if done.returncode:
        print(done.stderr, file=sys.stderr)  # into the part's log
        raise RuntimeError((done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1])
    return done.stdout


def _environment(place: Place) -> dict[str, str]:
    return os.environ | place.environment | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _killed(place: Place, command: list[str], out: Path) -> int:
    """Start the command and kill it once it has kept a state -> how many epochs were over."""
    process = subprocess.Popen(
        [sys.executable, *command], env=_environment(place), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    began = time.monotonic()
    while process.poll() is None and time.monotonic() - began < PATIENCE and not (out / "state.pt").exists():
        time.sleep(0.005)
    process.kill()
    if process.wait() == 0:
        raise RuntimeError("it ended before it could be killed")
    return len(_losses(out))


def _losses(out: Path) -> list[float]:
    import pandas as pd

    with contextlib.suppress(FileNotFoundError):
        return pd.read_csv(out / "log.csv")["loss"].tolist()
    return []
