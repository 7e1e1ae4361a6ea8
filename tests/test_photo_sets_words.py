"""Words of captions as classes: what says a word, which photographs are learnt from, and stored classifiers' maps."""

import pytest
import skimage.data
import torch
from torchvision.transforms.v2.functional import resize

from cam_helpers import CamModel, networks
from photo_sets import measured, words


@pytest.mark.parametrize(
    ("word", "captions", "said"),
    [
        ("horse", ["Two HORSES run.", "A horse."], 1),
        ("horse", ["A horsefly.", "A seahorse."], 0),
        ("horse", ["A horse.", "A man."], 0),  # one of several captions is not enough
        ("brushing teeth", ["A girl brushing her teeth", "A child with a toothbrush"], 1),
        ("brushing teeth", ["A man brushing a horse", "His teeth"], 0),
        ("plane", ["An airplane", "jets in the sky"], 1),
        ("wine", ["wineglass", "a glass of wine"], 1),
    ],
)
def test_what_says_a_word(word, captions, said):
    assert words.labels([captions], [word]).tolist() == [[said]]


def test_halves_depend_on_the_file_name_only():
    names = [f"{i:012d}.jpg" for i in range(1000)]
    learn = words.halves([f"/some/where/{name}" for name in names])
    assert 450 < learn.sum() < 550
    assert words.halves([f"elsewhere/{name}" for name in names[::-1]]).tolist() == learn.tolist()[::-1]


@pytest.fixture(scope="module")
def seen():
    """The stored classifiers, and their maps of a motorcycle and of a cat."""
    photos = [
        torch.from_numpy(p.copy()).permute(2, 0, 1)
        for p in (skimage.data.stereo_motorcycle()[0], skimage.data.chelsea())
    ]
    cams = CamModel(networks.pretrained()[0])
    probe = words.probe()
    return photos, cams, probe, words.maps(probe, cams, photos, batch=1)


def test_stored_classifiers_know_a_motorcycle_and_a_cat_of_other_sources(seen):
    _, _, probe, maps = seen
    first = (maps.mean((2, 3)) + probe.bias).argmax(1)
    assert [probe.words[c] for c in first] == ["motorcycle", "cat"]
    assert len(probe.words) == len(probe.bias) == len(measured("words")["words"])


def test_maps_are_those_of_the_probe_on_the_stretched_photograph(seen):
    photos, cams, probe, maps = seen
    features = cams(resize(photos[1], [words.SIDE, words.SIDE])[None]).features
    assert torch.allclose(probe.maps(features, [4, 0])[0], words.maps(probe, cams, photos, [1], [4, 0])[0])
    assert maps.shape == (2, len(words.WORDS), 10, 10)
    assert torch.allclose(probe.maps(features), maps[1:], atol=1e-5)
