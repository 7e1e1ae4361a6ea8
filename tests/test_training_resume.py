"""Broken off anywhere, going on, ending alike: Ctrl-C, crashes, damaged and hostile states, on the CPU bit for bit."""

import errno
import os
import pickle
import re
import signal
import time
import warnings
import zipfile

import pandas as pd
import pytest
import torch
from tiny_training import RECIPE, Items, network, pictures, same, timeless

from cam_helpers.training import fit
from cam_helpers.training.state import StateFiles


@pytest.fixture(autouse=True)
def listening():
    """Ctrl-C raises KeyboardInterrupt, also where the tests are a job in a shell's background."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


class Broken(Exception):
    """What breaks a run off here."""


def in_step(net, step, what):
    """Something happens in the middle of the given step, counted from 1 in this call."""
    count = []

    def hook(*_):
        if net.training:
            count.append(1)
            if len(count) == step:
                what()

    return net.register_forward_pre_hook(hook)


def crash():
    raise Broken


def ctrl_c():
    before = signal.getsignal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    for _ in range(10_000):  # until Python has heard of it: two signals at once count as one
        if signal.getsignal(signal.SIGINT) is not before:
            return
        time.sleep(0.001)


def train(out=None, net=None, save_every=0.0, noise=None, workers=0, **changes):
    data = pictures() if noise is None else Items(pictures(), noise)
    return fit(net or network(), data, RECIPE.but(**changes), pictures(20, seed=1), out, None, save_every, workers)


def broken_off(out, step, what=crash, error=Broken, **how):
    net = network()
    in_step(net, step, what)
    with pytest.raises(error):
        train(out, net, **how)


def state(out, name="state.pt"):
    return torch.load(out / name, weights_only=True)


@pytest.fixture(scope="module")
def unbroken():
    return train()


def ends_like(unbroken, out, **how):
    run = train(out, **how)
    log = pd.read_csv(out / "log.csv")
    assert log["epoch"].tolist() == [1, 2, 3]
    assert log["loss"].tolist() == pytest.approx([row["loss"] for row in run.rows])
    return same(run.network, unbroken.network) and timeless(run.rows) == timeless(unbroken.rows)


@pytest.mark.parametrize(
    ("breaks", "save_every"),
    [([1], 0), ([2, 1, 1, 1], 0), ([4, 2, 5], 0), ([5], 0), ([6], 0), ([15], 0), ([7], 999), ([3, 9], 999)],
    ids=str,
)
def test_a_run_that_was_broken_off_ends_like_one_that_was_not(tmp_path, unbroken, breaks, save_every):
    for step in breaks:
        broken_off(tmp_path, step, save_every=save_every)
    assert ends_like(unbroken, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log.csv", "state.before.pt", "state.pt"]


def test_a_state_is_not_the_run_from_the_start(tmp_path, unbroken):
    """The comparison above sees a difference where there is one."""
    broken_off(tmp_path, 9)
    torch.save(state(tmp_path) | {"step": 9}, tmp_path / "state.pt")
    assert not ends_like(unbroken, tmp_path)


@pytest.mark.parametrize(("noise", "workers"), [(False, 0), (True, 2)])
def test_a_dataset_goes_on_where_it_was_broken_off(tmp_path, noise, workers):
    broken_off(tmp_path, 8, noise=noise, workers=workers)
    assert ends_like(train(noise=noise), tmp_path, noise=noise, workers=workers)


@pytest.mark.parametrize("step", [1, 4, 5, 11, 15])
def test_ctrl_c_ends_the_step_and_keeps_its_state(tmp_path, unbroken, step):
    usual = signal.getsignal(signal.SIGINT)
    broken_off(tmp_path, step, ctrl_c, KeyboardInterrupt, save_every=999)
    assert state(tmp_path)["step"] == step and signal.getsignal(signal.SIGINT) is usual
    assert len(state(tmp_path)["rows"]) == step // 5
    assert ends_like(unbroken, tmp_path)


def test_ctrl_c_twice_stops_at_once(tmp_path, unbroken):
    broken_off(tmp_path, 8, lambda: (ctrl_c(), ctrl_c()), KeyboardInterrupt, save_every=999)
    assert state(tmp_path)["step"] == 5
    assert ends_like(unbroken, tmp_path)


def test_a_job_in_the_background_does_not_hear_ctrl_c(tmp_path, unbroken):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    net = network()
    in_step(net, 8, lambda: signal.raise_signal(signal.SIGINT))
    assert same(train(tmp_path, net).network, unbroken.network)


def test_an_interrupted_early_look_loses_nothing(tmp_path, unbroken):
    def look(row, net):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(network(), pictures(), RECIPE, pictures(20, seed=1), tmp_path, look)
    assert state(tmp_path)["step"] == 5 and ends_like(unbroken, tmp_path)


def test_a_finished_run_is_not_trained_again(tmp_path, unbroken):
    first = train(tmp_path)
    net = network()
    in_step(net, 1, crash)
    again = train(tmp_path, net)
    assert same(again.network, unbroken.network) and again.rows == first.rows and not net.training
    assert (again.seconds, again.pictures_per_second) == (first.seconds, first.pictures_per_second)


# -- states that are not whole ----------------------------------------------------------------------------------------


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def cut(path, tmp_path):
    path.write_bytes(path.read_bytes()[:-3000])


def empty(path, tmp_path):
    path.write_bytes(b"")


def random_bytes(path, tmp_path):
    path.write_bytes(torch.randint(256, (5000,), dtype=torch.uint8).numpy().tobytes())


def flip_a_bit_of_a_weight(path, tmp_path):
    values = state(path.parent, path.name)["model"]["7.weight"].numpy().tobytes()
    data = bytearray(path.read_bytes())
    data[data.index(values) + 5] ^= 1
    path.write_bytes(data)
    state(path.parent, path.name)  # PyTorch sees nothing


def bomb(path, tmp_path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("state/data.pkl", bytes(50_000_000))


def evil_pickle(path, tmp_path):
    path.write_bytes(pickle.dumps(Evil(tmp_path / "owned")))


def evil_state(path, tmp_path):
    torch.save({"settings": {}, "model": Evil(tmp_path / "owned")}, path)


def other_parts(path, tmp_path):
    torch.save({"weights": torch.ones(3)}, path)


def a_tensor(path, tmp_path):
    torch.save(torch.ones(3), path)


DAMAGES = {
    cut: "File is not a zip file",
    empty: "File is not a zip file",
    random_bytes: "File is not a zip file",
    flip_a_bit_of_a_weight: "its checksums are wrong",
    bomb: "it would unpack to more than its size",
    evil_pickle: "File is not a zip file",
    evil_state: "Weights only load failed",
    other_parts: "its parts are others",
    a_tensor: "its parts are others",
}


@pytest.fixture
def two_states(tmp_path):
    """A run broken off in its third epoch: states of steps 10 and 5."""
    out = tmp_path / "out"
    broken_off(out, 12, save_every=999)
    return out


def settings_of(folder):
    return state(folder)["settings"]


def said(caught):
    return [str(w.message) for w in caught if w.category is UserWarning]


@pytest.mark.parametrize(("damage", "reason"), DAMAGES.items(), ids=lambda d: getattr(d, "__name__", ""))
def test_a_damaged_state_is_named_and_the_one_before_is_used(two_states, tmp_path, unbroken, damage, reason):
    files = StateFiles(two_states, settings_of(two_states))
    damage(two_states / "state.pt", tmp_path)
    with pytest.warns(UserWarning) as caught:
        assert files.load()["step"] == 5
    (text,) = said(caught)
    assert text.startswith(f"state.pt is damaged, or not the state of a run ({reason}")
    assert text.endswith("): the previous state is used, or the run starts over")
    with pytest.warns(UserWarning, match="state.pt is damaged"):
        assert ends_like(unbroken, two_states)
    assert not (tmp_path / "owned").exists()


def test_the_hostile_states_are_hostile(tmp_path):
    for number, hostile in enumerate((evil_pickle, evil_state)):
        (folder := tmp_path / str(number)).mkdir()
        hostile(folder / "state.pt", folder)
        (pickle.loads if number == 0 else lambda _: torch.load(folder / "state.pt", weights_only=False))(
            (folder / "state.pt").read_bytes()
        )
        assert (folder / "owned").is_dir()


def test_with_both_states_damaged_the_run_starts_over(two_states, tmp_path, unbroken):
    cut(two_states / "state.pt", tmp_path), evil_state(two_states / "state.before.pt", tmp_path)
    with pytest.warns(UserWarning) as caught:
        assert ends_like(unbroken, two_states)
    first, second = said(caught)
    assert first.startswith("state.pt is damaged, or not the state of a run (File is not a zip file)")
    assert second.startswith("state.before.pt is damaged") and second.endswith("or the run starts over")
    assert not (tmp_path / "owned").exists()


def test_a_damaged_state_does_not_take_the_place_of_the_good_one(two_states, tmp_path, unbroken):
    for _ in range(2):
        cut(two_states / "state.pt", tmp_path)
        with pytest.warns(UserWarning, match="state.pt is damaged"):
            broken_off(two_states, 2)
        assert state(two_states)["step"] == 6 and state(two_states, "state.before.pt")["step"] == 5
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert ends_like(unbroken, two_states)


def test_killed_between_two_renames_the_one_before_is_there(two_states, unbroken):
    (two_states / "state.pt").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        assert ends_like(unbroken, two_states)


def test_any_damage_is_either_harmless_or_named(two_states):
    """Random bytes anywhere in the file: never another state, never another error."""
    files = StateFiles(two_states, settings_of(two_states))
    whole, good = (two_states / "state.pt").read_bytes(), files.load()
    dice, named = torch.Generator().manual_seed(0), 0
    for _ in range(150):
        data = bytearray(whole)
        at, value = (int(torch.randint(n, (1,), generator=dice)) for n in (len(data), 256))
        data[at : at + 3] = bytes([value]) * len(data[at : at + 3])
        (two_states / "state.pt").write_bytes(data)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = files.load()
        named += bool(caught)
        expected = 5 if caught else 10
        assert found["step"] == expected
        if not caught:
            assert all(torch.equal(found["model"][k], good["model"][k]) for k in good["model"])
    assert named > 75


@pytest.mark.parametrize("first", [False, True])
def test_a_full_disk_leaves_the_states_as_they_were(two_states, monkeypatch, first):
    for path in two_states.iterdir() if first else ():
        path.unlink()
    kept = {p.name: p.read_bytes() for p in two_states.iterdir()}

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(os, "fsync", full)
        train(two_states)
    assert {p.name: p.read_bytes() for p in two_states.iterdir()} == kept


def test_a_disk_that_is_really_full(tmp_path):
    """A limit on the size of files does what a full disk does: the write fails in the middle."""
    resource = pytest.importorskip("resource")  # not on Windows; Python itself ignores the signal
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, usual[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            fit(network(), pictures(), RECIPE, out=tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["log.csv"]


def test_what_a_killed_run_left_is_cleared_away(two_states, unbroken):
    for name in (".state.new.pt-x1y2", ".log.csv-x3"):
        (two_states / name).write_bytes(b"half")
    assert ends_like(unbroken, two_states)
    assert sorted(p.name for p in two_states.iterdir()) == ["log.csv", "state.before.pt", "state.pt"]


# -- states of other runs ---------------------------------------------------------------------------------------------


def refuses(out, words, **how):
    kept = (out / "state.pt").read_bytes()
    with pytest.raises(
        ValueError, match=f"^{re.escape(f'{out} holds a run with {words}')}: give another folder, or delete it$"
    ):
        train(out, **how)
    assert (out / "state.pt").read_bytes() == kept


def test_the_state_of_another_run_is_refused_and_kept(two_states):
    refuses(two_states, "other settings (learning_rate 0.05 instead of 0.1)", learning_rate=0.1)
    refuses(two_states, "other settings (epochs 3 instead of 4, flips True instead of False)", epochs=4, flips=False)
    refuses(two_states, "another network", net=network(classes=5))
    with pytest.raises(ValueError, match="pictures 40 instead of 39"):
        fit(network(), pictures(39), RECIPE, out=two_states)


def one_other_picture(data):
    data.images[17, 0, 3, 5] += 1


def one_other_label(data):
    data.labels[39] = (data.labels[39] + 1) % 3


def another_order(data):
    data.labels = data.labels.flip(0)


@pytest.mark.parametrize("as_items", [False, True])
@pytest.mark.parametrize("change", [one_other_picture, one_other_label, another_order])
def test_other_pictures_or_labels_of_the_same_number_are_refused(tmp_path, change, as_items):
    recipe, wrap = RECIPE.but(epochs=1), Items if as_items else lambda data: data
    first = fit(network(), wrap(pictures()), recipe, out=tmp_path)
    again = fit(network(), wrap(pictures()), recipe, out=tmp_path)
    assert same(first.network, again.network)
    change(other := pictures())
    with pytest.raises(ValueError, match=r"fingerprint of pictures and labels .* give another folder, or delete it"):
        fit(network(), wrap(other), recipe, out=tmp_path)


def test_a_state_without_settings_is_not_the_state_of_a_run(two_states, unbroken):
    torch.save(state(two_states) | {"settings": "nonsense"}, two_states / "state.pt")
    with pytest.warns(UserWarning, match="its parts are others"):
        assert ends_like(unbroken, two_states)


def test_a_folder_that_cannot_be_is_named_before_anything_is_trained(tmp_path):
    (tmp_path / "file").write_text("")
    net = network()
    in_step(net, 1, crash)
    with pytest.raises(NotADirectoryError, match="file"):
        train(tmp_path / "file" / "out", net)
