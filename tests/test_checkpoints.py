"""Checkpoints: what comes back is what was stored, and nothing in a file is believed or run.

The checkpoints that come with the course are measured again, on part of the test split; `make checkpoints` takes all.
"""

import json
import os
import pickle
import re

import pytest
import safetensors.torch
import torch
import yaml
from conftest import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom

import drawn_world
from cam_helpers import CamModel, gap_network
from cam_helpers.networks import CheckpointError, checkpoints, load_checkpoint, save_checkpoint
from cam_helpers.training import evaluate
from drawn_world.tasks import load_recipe

BUILT = {"name": "course", "num_classes": 3, "pool": "avg", "resolution": None}
CARD = {
    "task": "objects", "size": 64, "network": BUILT, "classes": ["cat", "dog", "fish"],
    "metrics": {"test_top1": 0.9375}, "versions": {"torch": "2"}, "recipe": {"growing": [0.5, 0.6]},
}  # fmt: skip


def some_network(**changes):
    torch.manual_seed(3)
    network = gap_network(**BUILT | changes)
    network(torch.rand(8, 3, 64, 64))  # so that the running numbers are not the first ones
    return network.eval()


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    network = some_network()
    return network, save_checkpoint(network, CARD, tmp_path_factory.mktemp("stored") / "mine.safetensors")


@pytest.fixture
def write(tmp_path, stored):
    """Write a file like a checkpoint, but for the changes. -> its path"""

    def written(card=CARD, tensors=None, **metadata):
        tensors = safetensors.torch.load_file(stored[1]) if tensors is None else tensors
        metadata = {"card": card if isinstance(card, str) else json.dumps(card)} | metadata
        safetensors.torch.save_file(tensors, path := tmp_path / "odd.safetensors", metadata)
        return path

    return written


def refuses(path, words):
    with pytest.raises(CheckpointError, match=f"^{words}$"):
        load_checkpoint(path)


# -- a round trip -----------------------------------------------------------------------------------------------------


def test_what_comes_back_is_what_was_stored(stored):
    network, path = stored
    again, card = load_checkpoint(path)
    assert card == CARD and not again.training
    theirs = again.state_dict()
    for name, value in network.state_dict().items():
        assert theirs[name].dtype == value.dtype
        assert torch.equal(theirs[name], value.half().to(value.dtype)), name
    images = torch.rand(4, 3, 64, 64)
    with torch.no_grad():
        one, other = CamModel(network)(images), CamModel(again)(images)
    assert (one.maps() - other.maps()).abs().max() < 0.005 * one.maps().abs().max()
    assert torch.allclose(again((images * 255).byte()), again((images * 255).byte() / 255), atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{"pool": "max"}, {"name": "course_dense"}, {"name": "course_nin"}, {"resolution": 32}],
    ids=str,
)
def test_every_design_comes_back(tmp_path, changes):
    network = some_network(**changes).half().float()
    again, _ = load_checkpoint(
        save_checkpoint(network, CARD | {"network": BUILT | changes}, tmp_path / "a.safetensors")
    )
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(again(images), network(images))


def test_the_file_holds_half_precision_and_a_card_for_people_lies_beside_it(stored):
    path = stored[1]
    assert {t.dtype for t in safetensors.torch.load_file(path).values()} == {torch.float16, torch.int64}
    text = path.with_suffix(".md").read_text()
    assert text == checkpoints.card_text("mine", CARD) and text.startswith("# mine\n")
    assert text == checkpoints.card_text("mine", CARD | {"recipe": {"growing": (0.5, 0.6)}})
    assert "| test_top1 | 0.9375 |" in text and "Classes: cat, dog, fish." in text and "pool avg" in text
    assert sorted(p.name for p in path.parent.iterdir()) == ["mine.md", "mine.safetensors"]


def test_storing_leaves_the_network_alone(stored, tmp_path):
    network = some_network().train()
    save_checkpoint(network, CARD, tmp_path / "deep" / "er" / "a.safetensors")
    assert network.training and all(p.dtype == torch.float32 for p in network.parameters())


@pytest.mark.parametrize("missing", ["network", "classes", "task", "size", "metrics"])
def test_a_card_that_lacks_something_is_not_stored(tmp_path, missing):
    with pytest.raises(CheckpointError, match=f"^the card lacks {missing}$"):
        save_checkpoint(some_network(), {k: v for k, v in CARD.items() if k != missing}, tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_number_too_large_for_half_precision_keeps_its_tensor_in_single_precision(tmp_path):
    network = some_network()
    norm = network.trunk.conv1.norm
    norm.running_var[3] = 1e6  # such as that of pictures from 0 to 255
    path = save_checkpoint(network, CARD, tmp_path / "a.safetensors")
    kinds = {name: tensor.dtype for name, tensor in safetensors.torch.load_file(path).items()}
    assert [name for name, kind in kinds.items() if kind == torch.float32] == ["trunk.conv1.norm.running_var"]
    again, _ = load_checkpoint(path)
    assert torch.equal(again.trunk.conv1.norm.running_var, norm.running_var)


def test_numbers_that_are_not_finite_come_back_as_they_were(tmp_path):
    network = some_network()
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([torch.nan, torch.inf, 1.0]))
    again, _ = load_checkpoint(save_checkpoint(network, CARD, tmp_path / "a.safetensors"))
    assert torch.equal(again.head.bias[1:], network.head.bias[1:]) and again.head.bias[0].isnan()


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_file_is_written_whole_or_not_at_all(stored, tmp_path, monkeypatch, failing):
    path = save_checkpoint(some_network(), CARD, tmp_path / "a.safetensors")
    before = path.read_bytes()

    def fail(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(os, failing, fail)
        save_checkpoint(some_network(pool="max"), CARD, path)
    assert path.read_bytes() == before and load_checkpoint(path)[1] == CARD
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.md", "a.safetensors"]


# -- files that are not what they seem --------------------------------------------------------------------------------


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_pickle_is_not_run(tmp_path, suffix):
    for name, write in (("a", lambda p, e: p.write_bytes(pickle.dumps(e))), ("b", lambda p, e: torch.save(e, p))):
        path = tmp_path / f"{name}{suffix}"
        write(path, Evil(tmp_path / "owned"))
        refuses(path, rf"{path.name} is damaged, or not a safetensors file \(.*\): make it again")
    assert not (tmp_path / "owned").exists()
    pickle.loads(pickle.dumps(Evil(tmp_path / "owned")))
    assert (tmp_path / "owned").exists()


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 200, 5000, -1])
def test_a_file_that_was_cut_off_is_damaged(stored, tmp_path, size):
    (path := tmp_path / "cut.safetensors").write_bytes(stored[1].read_bytes()[:size])
    refuses(path, r"cut.safetensors is damaged, or not a safetensors file \(.*\): make it again")


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=300))
def test_random_bytes_are_damaged(tmp_path_factory, data):
    (path := tmp_path_factory.getbasetemp() / "random.safetensors").write_bytes(data)
    refuses(path, r"random.safetensors is damaged, or not a safetensors file \((.|\n)*\): make it again")


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 6000), st.binary(min_size=1, max_size=4))
def test_random_bytes_in_the_head_of_a_file_give_no_other_error(stored, tmp_path_factory, at, data):
    whole = bytearray(stored[1].read_bytes())
    whole[at : at + len(data)] = data
    (path := tmp_path_factory.getbasetemp() / "hit.safetensors").write_bytes(whole)
    try:
        network, card = load_checkpoint(path)
    except CheckpointError as error:
        assert str(error).startswith("hit.safetensors")
    else:
        assert len(card["classes"]) == 3 and network(torch.rand(1, 3, 64, 64)).shape == (1, 3)


NO_CARD = "odd.safetensors has no card of this course: load it with the program that wrote it"
NOT_JSON = r"odd.safetensors is damaged, or not a safetensors file \(.*\): make it again"
NOT_THOSE = r"odd.safetensors: its weights are not those of the network on its card \((.|\n)*{}(.|\n)*\)"


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("null", NO_CARD),
        ("[1, 2]", NO_CARD),
        ('"objects"', NO_CARD),
        ("{", NOT_JSON),
        ("[" * 100_000, NOT_JSON),
        (CARD | {"classes": "cat"}, NO_CARD),
        (CARD | {"network": "course"}, NO_CARD),
        (CARD | {"size": "64"}, NO_CARD),
        (CARD | {"classes": ["a"] * 100_001}, NO_CARD),
        (CARD | {"classes": []}, NOT_THOSE.format("num_classes must be 1 or more")),
        (CARD | {"classes": ["cat", "dog"]}, NOT_THOSE.format("size mismatch")),
        (CARD | {"network": {"num_classes": 3}}, NOT_THOSE.format("'name'")),
        (CARD | {"network": BUILT | {"name": "cours"}}, NOT_THOSE.format("no network 'cours', did you mean 'course'")),
        (CARD | {"network": BUILT | {"name": ["course"]}}, NOT_THOSE.format("unhashable")),
        (CARD | {"network": BUILT | {"name": "course_star"}}, NOT_THOSE.format("extra.conv6.conv.weight")),
        (CARD | {"network": BUILT | {"resolution": 10**9}}, NOT_THOSE.format("got 1000000000")),
        (CARD | {"network": BUILT | {"num_classes": 4}, "classes": list("abcd")}, NOT_THOSE.format("size mismatch")),
    ],
    ids=lambda value: None if not isinstance(value, dict) else str(value["network"])[:60],
)
def test_a_card_is_not_believed(write, card, words):
    refuses(write(card), words)


@pytest.mark.parametrize("more", [{"norm": "batch"}, {"weights": "DEFAULT"}, {"num_classes": 10**12}], ids=str)
def test_what_no_network_needs_is_not_looked_at(write, more, no_network):
    """The cards that come with the course name the norm, which there was a choice of."""
    network, card = load_checkpoint(write(CARD | {"network": BUILT | more}))
    assert card["network"] == BUILT | more and network.head.out_features == 3


def test_other_peoples_files_have_no_card(tmp_path):
    safetensors.torch.save_file({"a": torch.ones(3)}, path := tmp_path / "theirs.safetensors")
    refuses(path, "theirs.safetensors has no card of this course: load it with the program that wrote it")


def test_weights_have_to_be_those_of_the_network(write, stored):
    whole = safetensors.torch.load_file(stored[1])
    refuses(write(tensors={k: v for k, v in whole.items() if k != "head.bias"}), NOT_THOSE.format("head.bias"))
    refuses(write(tensors=whole | {"more": torch.ones(2)}), NOT_THOSE.format("more"))


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(tmp_path, monkeypatch, stored):
    """A data folder with the checkpoints `one` and `two`, and a file `x` outside of it."""
    (tmp_path / "data" / "recipes").mkdir(parents=True)
    monkeypatch.setenv("CAM_DATA", str(tmp_path / "data"))
    for name in ("two", "one"):
        save_checkpoint(stored[0], CARD, tmp_path / "data" / "checkpoints" / f"{name}.safetensors")
    save_checkpoint(stored[0], CARD, tmp_path / "data" / "x.safetensors")
    return tmp_path / "data"


def test_a_name_is_looked_up_in_the_data_folder(shelf):
    assert load_checkpoint("one")[1] == CARD
    assert load_checkpoint(str(shelf / "x.safetensors"))[1] == CARD


@pytest.mark.parametrize(
    "name", ["three", "../x", "a/one", "./one", "", ".", "..", "one.md", "../checkpoints/one", "o\0e"]
)
def test_a_name_that_is_not_there_lists_those_that_are(shelf, name):
    refuses(name, re.escape(f"there is no file or checkpoint {name!r}; there are: one, two"))


def test_without_checkpoints_the_way_to_make_them_is_named(shelf):
    for path in (shelf / "checkpoints").iterdir():
        path.unlink()
    refuses("one", "there is no file or checkpoint 'one'; there are: none yet: run `make checkpoints`")


def test_a_path_that_is_not_there_is_named(tmp_path):
    (tmp_path / "folder.safetensors").mkdir()
    for path in (tmp_path / "no.safetensors", tmp_path / "folder.safetensors"):
        refuses(path, re.escape(f"there is no file or checkpoint '{path}'") + ".*")


# -- those that come with the course ----------------------------------------------------------------------------------

SHIPPED = sorted((ROOT / "data" / "drawn_world" / "checkpoints").glob("*.safetensors"))
by_name = pytest.mark.parametrize("path", SHIPPED, ids=lambda p: p.stem)


def test_the_checkpoints_are_those_of_the_recipes_and_small():
    if not SHIPPED:
        pytest.skip("no checkpoints yet: run `make checkpoints`")
    recipes = yaml.safe_load((ROOT / "data" / "drawn_world" / "checkpoints" / "recipes.yaml").read_text())
    assert [p.stem for p in SHIPPED] == sorted(recipes)
    assert sum(p.stat().st_size for p in SHIPPED) < 15e6


@by_name
def test_the_card_for_people_is_in_step(path):
    assert path.with_suffix(".md").read_text() == checkpoints.card_text(path.stem, load_checkpoint(path)[1])


def measured(path, n):
    """-> (card, top-1 on the first n pictures of the test split, their number)"""
    network, card = load_checkpoint(path)
    network = network.to(memory_format=torch.channels_last)  # the same scores to rounding, a fifth sooner
    data = drawn_world.load(card["task"], "test", n=n, size=card["size"], seed=card["data_seed"])
    assert (data.version, data.classes) == (card["data_version"], card["classes"])
    return card, evaluate(network, data)["top1"], len(data)


def agrees_with_the_card(path, n):
    """-> whether the first n pictures of the test split, drawn from it at random, can have as many right answers

    They would miss the interval once in ten thousand times.
    """
    card, top1, n = measured(path, n)
    whole = load_recipe(card["task"], drawn_world.data_folder())["splits"]["test"]
    low, high = hypergeom.interval(0.9999, whole, round(card["metrics"]["test_top1"] * whole), n)
    return low <= round(top1 * n) <= high


@pytest.mark.parametrize("path", [p for p in SHIPPED if p.stem in ("objects-gap", "scenes-gap")], ids=lambda p: p.stem)
def test_part_of_the_test_split_agrees_with_the_card(path):
    assert agrees_with_the_card(path, 150)


@pytest.mark.slow
@by_name
def test_a_larger_part_agrees_with_the_card(path):
    assert agrees_with_the_card(path, 300)
