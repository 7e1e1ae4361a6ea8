"""Probes: the decision value is the mean of the map plus the bias, and what cannot be learnt is said."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from tiny_networks import Counted, pictures, tiny_network
from torch.utils.data import TensorDataset
from torchvision import models

import drawn_world
from cam_helpers import CamModel, gap_network
from cam_helpers.probes import LinearProbe, cached_features, caption_labels, gap_features


def planted(n=60, units=6, classes=3, seed=0, several=False):
    """Features (n,units,3,4) in which unit c tells class c, with an offset, at unlike scales."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % classes
    told = torch.nn.functional.one_hot(labels, units).float()
    if several:
        told[:, :classes] = torch.rand(n, classes, generator=random).round()
        labels = told[:, :classes].long()
    maps = 2 * told[:, :, None, None] + torch.randn(n, units, 3, 4, generator=random)
    return (7 + maps) * torch.logspace(-2, 1, units)[:, None, None], labels


# -- features ---------------------------------------------------------------------------------------------------------


def test_features_are_the_means_of_the_maps_whatever_gives_the_pictures():
    network, images = tiny_network(), pictures(7, 16)
    expected = CamModel(network)(images).features.mean((2, 3))
    for given_as in (images, TensorDataset(images, torch.arange(7)), TensorDataset(images)):
        found = gap_features(network, given_as, batch=2)
        assert found.dtype == torch.float32 and found.device.type == "cpu"
        torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gap_features(CamModel(network), images), expected)
    with torch.no_grad():
        torch.testing.assert_close(network.head(gap_features(network, images)), network(images))


def test_pictures_that_cannot_be_a_batch():
    class Unlike(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, index):
            return torch.zeros(3, 8, 8 + index), 0

    for wrong, text in ((Unlike(), "one size.* Resize"), (pictures(1, 8)[:0], "no pictures")):
        with pytest.raises(ValueError, match=text):
            gap_features(tiny_network(), wrong)


# -- the probe --------------------------------------------------------------------------------------------------------


CAPTIONS = [
    ["A cat on a Laptop.", "laptops and a cat", "a cat"],
    ["a laptop", "a bench", "a laptopper"],
    ["two laptops"],
    [],
    "the laptop computer",
]


@pytest.mark.parametrize(
    ("words", "least", "expected"),
    [
        ("laptop", 2, [1, 0, 1, 0, 1]),
        ("laptop", 1, [1, 1, 1, 0, 1]),
        ("CAT", 3, [1, 0, 0, 0, 0]),
        ("a cat", 2, [1, 0, 0, 0, 0]),
        ("bench", 1, [0, 1, 0, 0, 0]),
        ("l.ptop", 1, [0, 0, 0, 0, 0]),
        ("laptop computer", 2, [0, 0, 0, 0, 1]),
        (lambda captions: len(captions) == 1, 2, [0, 0, 1, 0, 1]),
    ],
)
def test_captions_become_labels(words, least, expected):
    labels = caption_labels(CAPTIONS, words, least)
    assert labels.dtype == torch.int64 and labels.tolist() == expected
    assert caption_labels([], words, least).tolist() == []


class Photos(SimpleNamespace):
    """Files, and the pictures in them, as a data set of photographs has them."""

    def __len__(self):
        return len(self.images)


def photos(folder, images):
    folder.mkdir()
    paths = [folder / f"{i}.jpg" for i in range(len(images))]
    for path, image in zip(paths, images, strict=True):
        path.write_bytes(image.numpy().tobytes())
    return Photos(images=images, paths=[str(path) for path in paths], sizes=[tuple(images.shape[2:])] * len(images))


@pytest.fixture
def images():
    return (pictures(5, 48) * 40 + 128).clamp(0, 255).to(torch.uint8)


def course(seed=0):
    """A network that takes uint8, and counts its passes."""
    torch.manual_seed(seed)
    return Counted(gap_network("course", 5).eval())


def test_features_are_computed_once_for_each_picture_network_and_size(images, tmp_path):
    model, data = course(), photos(tmp_path / "photos", images)
    features = cached_features(model, data, 48, tmp_path / "kept", batch=2)
    expected = gap_features(model.model, images)
    torch.testing.assert_close(features, expected, rtol=1e-3, atol=1e-4)  # float16 has 11 bits
    assert features.dtype == torch.float32 and model.calls == [2, 2, 1]

    def passes(network=model, pictures=data, size=48):
        before = len(getattr(network, "calls", []))
        again = cached_features(network, pictures, size, tmp_path / "kept", batch=8)
        return again, getattr(network, "calls", [])[before:]

    again, calls = passes()
    assert torch.equal(again, features) and calls == []
    again, calls = passes(network=course())  # the same weights, built again
    assert torch.equal(again, features) and calls == []
    order = photos(tmp_path / "other", images[[3, 1, 3]])  # the same pictures under other names
    again, calls = passes(pictures=order)
    assert torch.equal(again, features[[3, 1, 3]]) and calls == []
    assert passes(network=course(seed=1))[1] == [5]
    assert passes(size=(48, 32))[1] == [5]
    Path(data.paths[2]).write_bytes(b"another picture")
    assert passes()[1] == [1]
    data.sizes = [(24, 24)] * 5  # the data set gives the same files in another size
    assert passes()[1] == [5]
    for file in (tmp_path / "kept").iterdir():
        file.write_bytes(file.read_bytes()[:-40])
    assert passes()[1] == [5]  # damaged


def test_another_dilation_with_the_same_weights_has_its_own_features(images, tmp_path):
    data, plain, dilated = photos(tmp_path / "photos", images), course(), course()
    layer = next(m for m in dilated.model.modules() if isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3))
    layer.dilation, layer.padding = (2, 2), (2, 2)
    first, second = (cached_features(model, data, 48, tmp_path / "kept") for model in (plain, dilated))
    assert (first - second).abs().max() > 1e-3 and len(list((tmp_path / "kept").iterdir())) == 2


def test_features_of_a_drawn_set_are_kept_too(tmp_path):
    data, model = drawn_world.load("objects", "val", n=6, size=48), course()
    first = cached_features(model, data, 48, tmp_path)
    assert torch.equal(cached_features(model, data, 48, tmp_path), first) and sum(model.calls) == 6


def test_a_pass_that_was_stopped_goes_on(images, tmp_path):
    model, data = course(), photos(tmp_path / "photos", images)
    data.images = [*images[:4], None]
    with pytest.raises(TypeError):
        cached_features(model, data, 48, tmp_path / "kept", batch=2)
    data.images = images
    features = cached_features(model, data, 48, tmp_path / "kept", batch=2)
    assert model.calls == [2, 2, 1] and features.shape == (5, gap_features(model.model, images).shape[1])


def test_features_on_a_full_disk(images, tmp_path, monkeypatch):
    model, data = course(), photos(tmp_path / "photos", images)
    cached_features(model, Photos(images=images[:2], paths=data.paths[:2], sizes=data.sizes[:2]), 48, tmp_path / "kept")
    (before,) = (path.read_bytes() for path in (tmp_path / "kept").iterdir())

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        cached_features(model, data, 48, tmp_path / "kept")
    assert [path.read_bytes() for path in (tmp_path / "kept").iterdir()] == [before]


@pytest.mark.parametrize(("classes", "several"), [(2, False), (3, False), (3, True)])
def test_the_decision_value_is_the_mean_of_the_map_plus_the_bias(classes, several):
    features, labels = planted(classes=classes, several=several)
    probe = LinearProbe().fit(features.mean((2, 3)), labels)
    decision = probe.decision(features)
    assert decision.shape == (60, classes) and probe.weight.shape == (classes, 6) and probe.bias.shape == (classes,)
    rebuilt = probe.maps(features).mean((2, 3)) + probe.bias
    assert (rebuilt - decision).abs().max() <= 1e-4 * decision.abs().max()
    assert probe.cams(features).identity_error() < 1e-4
    torch.testing.assert_close(decision, probe.decision(features.mean((2, 3))))
    assert (probe.predict(features) == labels).float().mean() > 0.9
    assert probe.maps(features, [1], (6, 8)).shape == (60, 1, 6, 8)
    if not several:  # one class a picture, as everywhere else
        torch.testing.assert_close(probe.maps(features, labels)[3, 0], probe.maps(features)[3, labels[3]])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), offset=st.floats(-20, 20), scale=st.floats(0.01, 100))
def test_the_weights_are_scikit_learns_with_the_scaling_folded_in(seed, offset, scale):
    features, labels = planted(40, 5, 3, seed)
    x = offset + scale * features.mean((2, 3))
    theirs = make_pipeline(StandardScaler(), LinearSVC(C=0.1, dual=False, random_state=0)).fit(x.double(), labels)
    ours = LinearProbe(costs=[0.1]).fit(x, labels).decision(x)
    expected = theirs.decision_function(x.double())
    assert np.abs(ours.numpy() - expected).max() < 1e-4 * np.abs(expected).max() + 1e-3 * abs(offset) / scale


def test_two_classes_have_a_row_each_and_labels_need_not_begin_at_zero():
    features, labels = planted(classes=2)
    probe = LinearProbe().fit(features, 3 + 4 * labels)
    assert probe.classes.tolist() == [3, 7] and set(probe.predict(features).tolist()) == {3, 7}
    torch.testing.assert_close(probe.weight[0], -probe.weight[1])
    yes = LinearProbe().fit(features, labels.bool())
    torch.testing.assert_close(yes.weight, probe.weight)
    assert yes.classes.tolist() == [0, 1]


def test_the_cost_is_chosen_where_it_predicts_best_and_always_the_same():
    """Thirty units, of which one tells a little. Shuffled labels do not teach anything."""
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(80) % 2
    x = torch.randn(80, 30, generator=random)
    x[:, 0] += 1.5 * labels
    probes = [LinearProbe().fit(x, labels) for _ in range(2)]
    assert torch.equal(probes[0].weight, probes[1].weight)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = {
        c: cross_val_score(make_pipeline(StandardScaler(), LinearSVC(C=c, dual=False)), x, labels, cv=folds).mean()
        for c in (0.001, 0.01, 0.1, 1.0)
    }
    assert scores[probes[0].costs.item()] == max(scores.values()) > min(scores.values())
    held = torch.randn(400, 30, generator=random)
    truth = torch.arange(400) % 2
    held[:, 0] += 1.5 * truth
    shuffled = LinearProbe().fit(x, labels[torch.randperm(80, generator=random)])
    assert (probes[0].predict(held) == truth).float().mean() > 0.65
    assert abs((shuffled.predict(held) == truth).float().mean() - 0.5) < 0.1


def test_a_dead_unit_has_no_weight():
    features, labels = planted()
    features[:, 5] = 0
    assert LinearProbe().fit(features, labels).weight[:, 5].abs().max() == 0


def test_with_logistic_regression_decisions_become_probabilities():
    features, labels = planted(several=True)
    x = features.mean((2, 3))
    probe = LinearProbe(LogisticRegression(max_iter=1000), costs=[1.0]).fit(x, labels)
    scaled = StandardScaler().fit_transform(x.double())
    expected = LogisticRegression(max_iter=1000).fit(scaled, labels[:, 1]).predict_proba(scaled)[:, 1]
    np.testing.assert_allclose(torch.sigmoid(probe.decision(x))[:, 1], expected, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda x, y: (x, y * 0), "labels: expected two classes.*only class 0"),
        (
            lambda x, y: (x, y.clone().index_fill_(0, torch.arange(58), 0)),
            r"labels: 1 of class 1, too few for 5 folds",
        ),
        (lambda x, y: (x[:, :, 0, 0] * 0 + 3, y), "all pictures have the same features"),
        (lambda x, y: (x / 0, y), "NaN or infinite"),
        (lambda x, y: (x, y[:5]), r"got \(60, 6\) and \(5,\)"),
        (lambda x, y: (x, y.float()), "whole numbers, got float32"),
        (lambda x, y: (x, torch.stack((y, 2 * y), 1)), "must be 0 or 1"),
        (lambda x, y: (x, torch.stack((y > 0, y > 5), 1)), "column 1 of the labels.*only class 0"),
        (lambda x, y: (x[:0], y[:0]), "nothing"),
    ],
)
def test_what_cannot_be_learnt_is_said(change, text):
    with pytest.raises(ValueError, match=text):
        LinearProbe().fit(*change(*planted(classes=2)))


def test_before_fit_there_is_nothing_to_ask():
    with pytest.raises(NotFittedError, match="fit"):
        LinearProbe().decision(torch.zeros(1, 2))


@pytest.mark.parametrize("name", ["objects-gap", "objects-nin"])
def test_a_probe_on_a_shipped_trunk_has_exact_maps(name):
    from cam_helpers.networks import load_checkpoint

    network, _ = load_checkpoint(name)
    images = torch.randint(0, 256, (24, 3, 64, 64), dtype=torch.uint8)
    images[::2] //= 3
    probe = LinearProbe().fit(gap_features(network, images), torch.arange(24) % 2)
    assert probe.cams(CamModel(network)(images).features).identity_error() < 1e-4


def test_a_probe_on_a_network_of_torchvision():
    torch.manual_seed(0)
    network, images = models.resnet18().eval(), pictures(12, 64)
    images[::2] *= 0.2
    features = CamModel(network)(images).features
    probe = LinearProbe(folds=3).fit(gap_features(network, images, 5), torch.arange(12) % 2)
    rebuilt = probe.maps(features).mean((2, 3)) + probe.bias
    assert (rebuilt - probe.decision(features)).abs().max() <= 1e-4 * probe.decision(features).abs().max()
