"""Training that is killed for good, and training by two processes: in processes of their own, some minutes in all."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pandas as pd
import pytest
import safetensors.torch
import torch
from conftest import ROOT

pytestmark = pytest.mark.slow
SMOKE = ["--preset", "smoke", "--pictures", "64", "--precision", "no"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run Python in the folder of the course; -> the finished process."""
    env = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "OMP_NUM_THREADS": "1",
        **({"ACCELERATE_USE_CPU": "true"} if torch.backends.mps.is_available() else {}),
        "CUDA_VISIBLE_DEVICES": "", "CAM_CACHE": str(tmp_path_factory.mktemp("cache")),
    }  # fmt: skip

    def started(*arguments, wait=True):
        command = [sys.executable, *map(str, arguments)]
        if not wait:
            return subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done

    return started


# Children of one process that has loaded everything and computed nothing: a death costs a second, not twenty.
KILLED = """
import os, random, signal, sys, time
import torch
from tiny_training import RECIPE, network, pictures
from cam_helpers.training import fit
from cam_helpers.training.state import StateFiles

recipe, out = RECIPE.but(epochs=4, seed=int(sys.argv[2])), sys.argv[1]
dice = random.Random(recipe.seed)

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def train(folder, before=lambda: None):
    torch.set_num_threads(1)
    before()
    fit(network(), pictures(), recipe, pictures(20, seed=1), folder, save_every=0.0)

def in_half_a_state(count):
    fsync, calls = os.fsync, []
    def half(descriptor):
        calls.append(1)
        if len(calls) < count:
            return fsync(descriptor)
        os.ftruncate(descriptor, dice.randrange(os.fstat(descriptor).st_size))
        die()
    os.fsync = half

def around_a_rename(count, after):
    replace, calls = os.replace, []
    def rename(*paths):
        calls.append(1)
        if len(calls) == count and not after:
            die()
        replace(*paths)
        if len(calls) == count:
            die()
    os.replace = rename

deaths = [lambda n=n: in_half_a_state(n) for n in (1, 2, 4)]
deaths += [lambda n=n, after=after: around_a_rename(n, after) for n in (1, 2, 3, 4, 5) for after in (False, True)]
dice.shuffle(deaths)
moments = [None] * 6  # and at random moments, from outside
killed = 0
for death in [*deaths, *moments]:
    child = os.fork()
    if not child:
        train(out, death or (lambda: None))
        os._exit(0)
    if death is None:
        time.sleep(dice.random() * 0.6)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
train(out)
last = fit(final := network(), pictures(), recipe, pictures(20, seed=1), out)
fit(whole := network(), pictures(), recipe, pictures(20, seed=1))
same = all(torch.equal(a, b) for a, b in zip(final.state_dict().values(), whole.state_dict().values()))
print("killed", killed, "same", same)
print(*sorted(os.listdir(out)))
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_in_the_middle_of_everything_it_ends_like_a_run_that_was_not(run, tmp_path, seed):
    (script := tmp_path / "killed.py").write_text(KILLED)
    done = run("-W", "ignore", script, tmp_path / "out", seed)
    _, killed, _, same, *files = done.stdout.split()
    assert int(killed) >= 6 and same == "True", done.stdout
    assert files == ["log.csv", "state.before.pt", "state.pt"]
    assert pd.read_csv(tmp_path / "out" / "log.csv")["epoch"].tolist() == [1, 2, 3, 4]


def test_the_command_survives_kill_minus_nine(run, tmp_path):
    """Killed after a state, twice; the same command ends as the unbroken one does."""
    command = ["-m", "cam_helpers.training", *SMOKE, "--epochs", "6", "--out"]
    whole = json.loads(run(*command, tmp_path / "whole").stdout.splitlines()[-1])
    for _ in range(2):
        process, began = run(*command, tmp_path / "killed", wait=False), time.monotonic()
        state = tmp_path / "killed" / "state.pt"
        at = state.stat().st_mtime_ns if state.exists() else 0
        while process.poll() is None and time.monotonic() - began < 300:
            if state.exists() and state.stat().st_mtime_ns > at:
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "killed" / "checkpoint.safetensors").exists()
    ended = json.loads(run(*command, tmp_path / "killed").stdout.splitlines()[-1])
    assert ended["top1"] == whole["top1"] and ended["epochs"] == 6
    assert pd.read_csv(tmp_path / "killed" / "log.csv")["epoch"].tolist() == list(range(1, 7))
    one, other = (safetensors.torch.load_file(r["checkpoint"]) for r in (whole, ended))
    assert all(torch.equal(one[k], other[k]) for k in one)


# -- two processes ----------------------------------------------------------------------------------------------------

LOSSES = """
import json, os, sys
import torch
from accelerate import PartialState
from tiny_networks import with_group_norms
from tiny_training import PLAIN, network, pictures
from cam_helpers import gap_network
from cam_helpers.training import fit, loop

losses, loss_of = [], loop.loss_of
def noted(*arguments):
    losses.append(loss := loss_of(*arguments))
    return loss
loop.loss_of = noted

for accumulate in (1, 2):
    losses.clear()
    torch.manual_seed(0)
    recipe = PLAIN.but(epochs=5, learning_rate=0.1, accumulate=accumulate, size=48)
    net = with_group_norms(gap_network("course", 3))
    run = fit(net, pictures(40, 48), recipe, pictures(20, 48, seed=1))
    rank, name = PartialState().process_index, f"{sys.argv[1]}/{accumulate}-{PartialState().num_processes}"
    with open(f"{name}-{rank}.json", "w") as file:
        json.dump({"losses": [l.item() for l in losses], "rows": run.rows}, file)
    if rank == 0:
        torch.save(run.network.state_dict(), f"{name}.pt")
if PartialState().num_processes == 2:
    try:
        fit(net, pictures(40, 48), recipe.but(batch=7, accumulate=1))
    except ValueError as error:
        with open(f"{sys.argv[1]}/refused-{rank}.txt", "w") as file:
            file.write(str(error))
PartialState().destroy_process_group()
"""
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def trained(run, tmp_path_factory):
    """A folder with losses and weights: accumulate-processes-rank.json, accumulate-processes.pt; refused-rank.txt"""
    folder = tmp_path_factory.mktemp("trained")
    (script := folder / "losses.py").write_text(textwrap.dedent(LOSSES))
    run(script, folder)
    run(*TORCHRUN, script, folder)
    return folder


@pytest.mark.parametrize("accumulate", [1, 2])
def test_two_processes_equal_one_on_the_same_batches(trained, accumulate):
    names = (f"{accumulate}-{n}.json" for n in ("1-0", "2-0", "2-1"))
    alone, first, second = (json.loads((trained / name).read_text()) for name in names)
    one, two = torch.tensor(alone["losses"]), torch.tensor([first["losses"], second["losses"]])
    steps = 25
    one, two = one.view(steps, accumulate).mean(1), two.view(2, steps, accumulate).mean((0, 2))
    assert (one - two)[:20].abs().max() < 1e-4
    assert one[:20].max() - one[:20].min() > 0.05  # something is learned in these steps
    before, after = (torch.load(trained / f"{accumulate}-{n}.pt", weights_only=True) for n in (1, 2))
    assert max((before[k].float() - after[k].float()).abs().max().item() for k in before) < 1e-3
    for row, other in zip(alone["rows"], first["rows"], strict=True):
        assert row["loss"] == pytest.approx(other["loss"], abs=1e-4) and row["accuracy"] == pytest.approx(
            other["accuracy"]
        )


def test_the_command_runs_on_two_processes(run, tmp_path):
    done = run(*TORCHRUN, "-m", "cam_helpers.training", *SMOKE, "--out", tmp_path)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == 1 and json.loads(lines[0])["processes"] == 2
    assert pd.read_csv(tmp_path / "log.csv")["epoch"].tolist() == [1, 2]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_batch_that_two_processes_cannot_share_is_refused_by_both(trained, rank):
    words = "40 pictures in batches of 7 cannot be shared by 2 processes in 1 equal parts each"
    assert words in (trained / f"refused-{rank}.txt").read_text()
