"""Words of captions as classes: what says a word, which photographs are learnt from, and stored classifiers' maps."""

import os
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace

import pytest
import skimage.data
import torch
from conftest import ROOT
from torchvision.io import write_jpeg
from torchvision.transforms.v2.functional import resize

import photo_sets
from cam_helpers import CamModel, networks
from cam_helpers.probes import LinearProbe
from drawn_world.folders import cache_folder
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


def test_every_photograph_is_measured_by_the_half_that_it_is_not_in():
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (80, 3), generator=draw)
    features = labels + 0.1 * torch.randn(80, 3, generator=draw)
    learn = torch.arange(80) % 2 == 0
    probe = words.crossed(features, labels, learn)
    one, other = (LinearProbe(costs=[0.001]).fit(features[half], labels[half]) for half in (learn, ~learn))
    assert torch.allclose(probe.weight, torch.cat([one.weight, other.weight]))
    unseen = torch.arange(3) + 3 * learn[:, None]
    answers = probe.decision(features).gather(1, unseen)
    assert answers[labels == 1].min() > answers[labels == 0].max()


def test_regions_are_the_boxes_of_one_kind_on_the_stretched_photograph():
    photos = SimpleNamespace(
        sizes=[(160, 640)],
        object_names=["kite", "person"],
        boxes=[torch.tensor([[0.0, 0, 64, 16], [320, 80, 640, 160]])],
        objects=[torch.tensor([0, 1])],
    )
    kite, person = (words.regions(photos, [0], kind)[0] for kind in ("kite", "person"))
    assert kite.shape == (words.SIDE, words.SIDE) and kite[:32, :32].all() and kite.sum() == 32 * 32
    assert person[160:, 160:].all() and person.sum() == 160 * 160


def test_boxes_of_some_kinds_are_stretched():
    boxes, names = [torch.tensor([[0.0, 0, 20, 10], [10, 0, 40, 30], [1, 1, 2, 2]])], ["kite", "cat", "person", "tie"]
    photos = SimpleNamespace(sizes=[(30, 40)], objects=[torch.tensor([0, 1, 2])], boxes=boxes, object_names=names)
    assert words.boxes_of(photos, 0, ["kite", "person"], 120).tolist() == [[0, 0, 60, 40], [3, 4, 6, 8]]
    assert words.boxes_of(photos, 0, "cat", 40).tolist() == [[10, 0, 40, 40]]
    assert words.boxes_of(photos, 0, "tie").shape == (0, 4)


def test_the_surest_photograph_says_the_word_and_was_not_learnt_from():
    captions = [["A cat.", "Two cats."], ["A dog.", "A dog."]] * 20
    photos = SimpleNamespace(captions=captions, paths=[f"{i}.jpg" for i in range(40)])
    probe = LinearProbe()
    probe.words, probe.weight, probe.bias = ["dog", "cat"], torch.tensor([[0.0], [1]]), torch.zeros(2)
    answers = torch.randperm(40, generator=torch.Generator().manual_seed(0)).float()[:, None]
    free = [i for i in range(0, 40, 2) if not words.halves(photos.paths)[i]]
    best = sorted(free, key=lambda i: -answers[i])
    assert (
        words.surest(probe, answers, photos, "cat", 3) == best[:3] != sorted(range(40), key=lambda i: -answers[i])[:3]
    )


def test_a_set_is_opened_where_its_folder_is_at_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("CAM_TEST_DATA", str(tmp_path))
    assert photo_sets.at_hand("coco") is None
    for name in ("cat", "dog"):
        (tmp_path / "mine" / name).mkdir(parents=True)
        write_jpeg(torch.zeros(3, 8, 9, dtype=torch.uint8), str(tmp_path / "mine" / name / "0.jpg"))
    found = photo_sets.at_hand("imagefolder", "mine", size=4)
    assert found.classes == ["cat", "dog"] and found.images[0].shape == (3, 4, 4)


def test_rates_are_means_with_intervals_and_counts():
    numbers = {"peak": torch.tensor([1.0, 0, 1, 1]), "none": torch.empty(0)}
    (name, (value, low, high, n)), *rest = words.rates(numbers).items()
    assert (name, value, n, rest) == ("peak", 0.75, 4, []) and 0 <= low < value < high <= 1


def test_what_is_stored_of_both_halves_lies_in_its_interval():
    found = measured("words")
    held = {word: row["both_halves"] for word, row in found["words"].items() if "both_halves" in row}
    assert len(held) == 16 and {"features", "raccoons"} <= set(found)
    rows = [row for part in (found["features"], found["raccoons"], *held.values()) for row in part.values()]
    for value, low, high, *n in (row for row in rows if isinstance(row, list)):
        assert -1 <= low <= value + 1e-4 and value - 1e-4 <= high <= 1 and all(count == int(count) > 0 for count in n)
    for row in held.values():
        assert row["512 px, gain"][0] == pytest.approx(row["512 px"][0] - row["peak"][0], abs=2e-4)
        assert row["peak"][0] <= row["within_16"][0] and row["area"][0] <= row["area_within_16"][0]


def test_what_is_stored_of_drawings_lies_in_its_interval():
    found = measured("drawn")
    for value, low, high, n in (row for tasks in found["features"].values() for row in tasks.values()):
        assert 0 <= low <= value <= high <= 1 and 0 < n <= found["about"]["look"]
    for row in (row for row in found["zoom"].values() if "true box" in row):
        for way in ("map's box", "true box"):
            gain, low, high = row[f"{way}, gain"]
            assert low <= gain <= high and gain == pytest.approx(row[way][0] - row["whole picture"][0], abs=2e-4)


def test_a_crop_is_a_square_around_its_box_a_tenth_wider():
    crop = run_path(str(ROOT / "tests" / "benchmarks" / "table_drawn.py"))["crop"]
    image = torch.arange(128, dtype=torch.uint8).expand(1, 3, 128, 128)  # each pixel says how far right it is
    inside, corner, nothing = (
        crop(image, [torch.tensor(box).reshape(-1, 4)])[0, 0] for box in ([[50.0, 60, 70, 100]], [[0.0, 0, 20, 10]], [])
    )
    assert inside.min() == 38 and inside.max() == 81  # 44 pixels around 60
    assert corner.min() == 0 and corner.max() == 21  # it stays in the picture
    assert (nothing == image[0, 0]).all()


@pytest.mark.slow
def test_the_photographs_give_what_is_stored():
    data = Path(os.environ.get("CAM_TEST_DATA") or "nowhere") / "coco"
    if not data.is_dir():
        pytest.skip("CAM_TEST_DATA names no folder that holds coco")
    photos = photo_sets.open("coco", data, "val", check=False)
    asked = ["horse", "bat"]
    again = words.both_halves(networks.pretrained()[0], photos, asked, cache_folder())
    for word in asked:
        stored = measured("words")["words"][word]["both_halves"]
        for name, (value, *_, n) in words.rates(again[word]).items():
            if name != "shuffled":  # the labels of two words are shuffled otherwise than those of sixteen
                assert n == stored[name][3] and value == pytest.approx(stored[name][0], abs=0.03), (word, name)
