"""python -m cam_helpers.training, called in this process: what it prints, writes and refuses."""

import json
import runpy
from importlib import metadata

import pandas as pd
import pytest
import safetensors.torch
import torch
from conftest import ROOT
from torch.optim.optimizer import register_optimizer_step_post_hook

import drawn_world
from cam_helpers import networks
from cam_helpers.networks import load_checkpoint
from cam_helpers.training import evaluate
from cam_helpers.training.__main__ import main, parser, recipe_of

pytestmark = pytest.mark.usefixtures("fresh_cache")

KEYS = {"top1", "top5", "epochs", "pictures_per_second", "seconds", "device", "precision", "processes", "checkpoint"}
SMALL = ["--preset", "smoke", "--n", "40", "--precision", "no"]


def call(capsys, *arguments):
    main(list(map(str, arguments)))
    return capsys.readouterr().out.splitlines()


def test_the_last_line_is_the_run_and_the_checkpoint_is_what_it_says(capsys, tmp_path):
    out = tmp_path / "a" / "run"
    result = json.loads(call(capsys, *SMALL, "--out", out)[-1])
    assert set(result) == KEYS
    assert (result["epochs"], result["device"], result["precision"], result["processes"]) == (2, "cpu", "no", 1)
    assert result["checkpoint"] == str(out / "checkpoint.safetensors")
    assert result["pictures_per_second"] == pytest.approx(2 * 32 / result["seconds"], rel=0.2)  # of 40, a batch of 32

    network, card = load_checkpoint(result["checkpoint"])
    val, test = (drawn_world.load("objects", split, n=40, size=48) for split in ("val", "test"))
    again = {f"val_{k}": v for k, v in evaluate(network, val).items()}
    again |= {f"test_{k}": v for k, v in evaluate(network, test).items()}
    assert card["metrics"] == again and result["top1"] == round(again["val_top1"], 4)
    assert card["classes"] == val.classes and card["data_version"] == val.version
    assert (card["task"], card["size"], card["seed"], card["pictures"]) == ("objects", 48, 0, 40)
    assert card["recipe"]["batch"] == 32 and set(card["versions"]) == {
        "torch",
        "torchvision",
        "accelerate",
        "cam_helpers",
    }
    assert pd.read_csv(out / "log.csv")["epoch"].tolist() == [1, 2]

    steps = []
    handle = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    assert json.loads(call(capsys, *SMALL, "--out", out)[-1]) == result and not steps
    call(capsys, *SMALL, "--out", tmp_path / "b", "--checkpoint", tmp_path / "named.safetensors")
    handle.remove()
    assert len(steps) == 2  # the same command elsewhere trains, to the same weights
    one, other = (
        safetensors.torch.load_file(p) for p in (out / "checkpoint.safetensors", tmp_path / "named.safetensors")
    )
    assert all(torch.equal(one[k], other[k]) for k in one) and not (tmp_path / "b" / "checkpoint.safetensors").exists()
    with pytest.raises(ValueError, match=r"holds a run with other settings \(seed 0 instead of 1\)"):
        main([*SMALL, "--seed", "1", "--out", str(out)])


def test_every_field_of_a_recipe_is_an_option(capsys, tmp_path):
    options = ["--pool", "max", "--resolution", 32, "--growing", 1, 0, "--no-flips",
               "--smoothing", 0.1, "--weight-decay", 0, "--learning-rate", 0.01, "--accumulate", 2, "--batch", 8,
               "--epochs", 1, "--seed", 3, "--no-channels-last"]  # fmt: skip
    result = json.loads(call(capsys, *SMALL, *options, "--n", 16, "--out", tmp_path)[-1])
    _, card = load_checkpoint(result["checkpoint"])
    asked = {"pool": "max", "resolution": 32, "growing": [1, 0], "flips": False,
             "smoothing": 0.1, "weight_decay": 0, "learning_rate": 0.01, "accumulate": 2, "batch": 8, "epochs": 1,
             "seed": 3, "n": 16, "channels_last": False}  # fmt: skip
    assert {k: card["recipe"][k] for k in asked} == asked
    assert card["network"] == {"name": "course", "num_classes": 20, "pool": "max", "resolution": 32}


def test_the_commands_for_the_courses_checkpoints_make_what_their_cards_say():
    """Recipes of cards that are there; some were written when a recipe had more fields."""
    commands = runpy.run_path(str(ROOT / "notebooks" / "tools" / "train_checkpoints.py"))["commands"]()
    assert "objects-gap" in commands
    for name, arguments in commands.items():
        given = parser().parse_args(arguments)
        asked, made = recipe_of(given).same_weights(), load_checkpoint(given.checkpoint)[1]["recipe"]
        assert json.loads(json.dumps(asked)) == {k: v for k, v in made.items() if k not in ("norm", "hidden")}, name


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--preset", "huge"], "argument --preset: invalid choice: 'huge'"),
        (["--epochs", "0"], "epochs must be a number greater than 0, got 0"),
        (["--batch", "ten"], "argument --batch: invalid int value: 'ten'"),
        (["--accumulate", "5"], "a batch of 32 cannot be cut into 5 equal parts"),
        (["--out", "{file}/run"], "nothing can be written to {file}/run: Not a directory"),
        (["--out", "{file}"], "nothing can be written to {file}: File exists"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_drawn(capsys, tmp_path, monkeypatch, options, words):
    (file := tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(drawn_world, "load", None)
    with pytest.raises(SystemExit) as stopped:
        main([option.format(file=file) for option in options])
    assert stopped.value.code == 2 and words.format(file=file) in capsys.readouterr().err


def test_a_clone_that_is_not_installed_trains_too(tmp_path, monkeypatch, capsys):
    """Its card names the versions of the packages that are."""
    there = [found for found in metadata.distributions() if found.name != "cam_helpers"]
    monkeypatch.setattr("cam_helpers.training.__main__.distributions", lambda: there)
    result = json.loads(call(capsys, *SMALL, "--epochs", 1, "--out", tmp_path)[-1])
    assert set(load_checkpoint(result["checkpoint"])[1]["versions"]) == {"torch", "torchvision", "accelerate"}


def test_the_list_names_what_there_is_to_choose_from(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--list"])
    words = set(capsys.readouterr().out.replace(",", " ").replace(";", " ").split())
    assert ended.value.code == 0
    assert {*drawn_world.TASKS, *networks.NAMES, "smoke", "quick", "course", "--task:", "--network:"} <= words
