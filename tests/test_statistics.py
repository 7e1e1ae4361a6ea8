"""Scene-object statistics: worked by hand, one picture at a time, in parts, and against the recipe."""

import os
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from dataset_trees import ade_tree, picture_bytes, put
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr
from tiny_networks import Tiny

import drawn_world
import photo_sets
from cam_helpers import CamModel
from cam_helpers.maps import resize
from cam_helpers.probes import LinearProbe
from cam_helpers.statistics import MEASURES, Annotated, SceneStatistics, rank_correlation, scene_statistics, spearman
from cam_helpers.statistics.__main__ import main

pytestmark = pytest.mark.usefixtures("fresh_cache")

SCENES, OBJECTS = ["kitchen", "beach"], ["stove", "sea", "sky"]


def invented(n=12, seed=0, side=8):
    random = torch.Generator().manual_seed(seed)
    maps = torch.randn(n, 4, 4, generator=random)
    kinds = torch.randint(-1, 3, (n, side // 4, side // 4), generator=random)  # large areas, some kinds missing
    kinds = kinds.repeat_interleave(4, 1).repeat_interleave(4, 2)
    return maps, kinds, torch.randint(0, 2, (n,), generator=random)


def by_hand(maps, kinds, labels, scene, thing, threshold=0.2, rule="max"):
    """The five measures from their definitions, with one loop over the pictures."""
    there, most, overlap, area, weight, pictures, regions = [], [], [], [], [], 0, 0
    for heat, where in zip(maps[labels == scene], kinds[labels == scene], strict=True):
        heat, on, pictures = resize(heat[None, None], where.shape)[0, 0], where == thing, pictures + 1
        if rule == "max":
            region = heat > threshold * heat.max() if heat.max() > 0 else torch.zeros_like(on)
        else:
            region = heat >= heat.flatten().sort(descending=True).values[round(threshold * heat.numel()) - 1]
        there.append(on.any().item())
        most.append(on.any().item() and ((on & region).sum() / on.sum()).item() >= 0.5)
        if region.any():
            regions += 1
            overlap.append(((on & region).sum() / region.sum()).item())
            area.append(on.float().mean().item())
        if on.any() and not on.all():
            weight.append((heat[on].mean() - heat[~on].mean()).item())
    lift = sum(overlap) / sum(area) if sum(area) else np.nan
    rates = [sum(seen) / pictures if pictures else np.nan for seen in (there, most)]
    means = *rates, sum(overlap) / regions if regions else np.nan
    return *means, lift, np.mean(weight) if weight else np.nan


# -- one pass ---------------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16), rule=st.sampled_from(["max", "area"]), threshold=st.floats(0.05, 0.95))
def test_the_tables_are_the_definitions(seed, rule, threshold):
    maps, kinds, labels = invented(seed=seed)
    found = SceneStatistics(SCENES, OBJECTS, threshold, rule, replicates=2).update(maps, kinds, labels)
    for s, scene in enumerate(SCENES):
        for o, thing in enumerate(OBJECTS):
            ours = [getattr(found, by).loc[scene, thing] for by in MEASURES]
            np.testing.assert_allclose(ours, by_hand(maps, kinds, labels, s, o, threshold, rule), rtol=1e-4, atol=1e-5)


def test_two_pictures_worked_on_paper():
    """A stove on the left half, the map hot on the left half of one picture and nowhere in the other."""
    kinds = torch.full((2, 4, 4), -1)
    kinds[:, :, :2] = 0
    maps = torch.zeros(2, 4, 4)
    maps[0, :, :2], maps[0, :, 2:], maps[1] = 3.0, -1.0, -2.0
    found = SceneStatistics(SCENES, OBJECTS, replicates=0).update(maps, kinds, torch.tensor([0, 0]))
    values = [getattr(found, by).loc["kitchen", "stove"] for by in MEASURES]
    assert values == [
        1.0,
        0.5,
        1.0,
        2.0,
        2.0,
    ]  # the last: (4 + 0) / 2, with the picture that has no region
    assert found.frequency.loc["kitchen", "sea"] == 0 and np.isnan(found.lift.loc["kitchen", "sea"])
    assert found.frequency.loc["beach"].isna().all()


def test_objects_may_lie_over_one_another():
    """As masks, the same numbers; and an object is not touched by another one that lies over it."""
    maps, kinds, labels = invented()
    masks = torch.stack([kinds == k for k in range(3)], 1)
    plain = SceneStatistics(SCENES, OBJECTS, replicates=3).update(maps, kinds, labels)
    torch.testing.assert_close(
        SceneStatistics(SCENES, OBJECTS, replicates=3).update(maps, masks, labels).sums, plain.sums
    )
    masks[:, 1] = True
    over = SceneStatistics(SCENES, OBJECTS, replicates=3).update(maps, masks, labels)
    torch.testing.assert_close(over.sums[:, :, [0, 2]], plain.sums[:, :, [0, 2]])
    assert (over.frequency["sea"] == 1).all() and (over.lift["sea"] == 1).all()


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**16), cuts=st.lists(st.integers(0, 12), max_size=3), swap=st.booleans())
def test_parts_merged_in_any_order_are_the_whole_replicates_included(seed, cuts, swap):
    maps, kinds, labels = invented(seed=seed)
    keys = torch.arange(100, 112)
    whole = SceneStatistics(SCENES, OBJECTS, replicates=5).update(maps, kinds, labels, keys)
    edges = [0, *sorted(cuts), 12]
    parts = [
        SceneStatistics(SCENES, OBJECTS, replicates=5).update(*(x[a:b] for x in (maps, kinds, labels, keys)))
        for a, b in pairwise(edges)
    ]
    first, *others = parts[::-1] if swap else parts
    for other in others:
        first.merge(other)
    assert first.count == whole.count == 12
    assert torch.equal(first.pictures, whole.pictures)
    torch.testing.assert_close(first.sums, whole.sums, rtol=1e-9, atol=1e-9)


def test_memory_does_not_grow_and_stays_what_it_was():
    found = SceneStatistics(SCENES, OBJECTS, replicates=3)
    sizes = []
    for seed in range(4):
        found.update(*invented(40, seed))
        sizes.append(sum(x.nbytes for x in vars(found).values() if isinstance(x, torch.Tensor)))
    assert len(set(sizes)) == 1 and found.count == 160


def test_the_interval_is_that_of_an_ordinary_bootstrap():
    maps, kinds, labels = invented(300)
    found = SceneStatistics(SCENES, OBJECTS, replicates=400).update(maps, kinds, labels)
    low, high = (table.loc["kitchen", "sea"] for table in found.interval("frequency"))
    there = (kinds[labels == 0] == 1).flatten(1).any(1).double().numpy()
    draws = np.random.default_rng(0).choice(there, (2000, len(there))).mean(1)
    np.testing.assert_allclose((low, high), np.quantile(draws, (0.025, 0.975)), atol=0.02)
    assert low < found.frequency.loc["kitchen", "sea"] < high
    wide = found.interval("frequency", 0.5)
    assert wide[0].loc["kitchen", "sea"] > low and wide[1].loc["kitchen", "sea"] < high


def test_an_interval_covers_what_is_true_about_as_often_as_it_says():
    covered = []
    for seed in range(60):
        maps, kinds, labels = invented(80, seed)
        low, high = (
            SceneStatistics(SCENES, OBJECTS, replicates=100).update(maps, kinds, labels).interval("frequency", 0.8)
        )
        truth = 1 - 0.75**4  # four areas, four kinds and nothing
        covered.append((low <= truth) & (truth <= high))
    assert 0.7 < np.mean(covered) < 0.9


def test_top_and_the_table_in_a_file(tmp_path):
    found = SceneStatistics(SCENES, OBJECTS, replicates=20).update(*invented(60))
    top = found.top("beach", 2, by="overlap")
    assert len(top) == 2 and top["overlap"].is_monotonic_decreasing
    assert top["overlap"].iloc[0] == found.overlap.loc["beach"].max()
    rare = SceneStatistics(SCENES, OBJECTS, replicates=2).update(*invented(4))  # less than five pictures of each
    assert rare.top("beach").empty and len(rare.table())
    path = found.to_csv(tmp_path / "found.csv")
    pd.testing.assert_frame_equal(pd.read_csv(path), found.table(), check_dtype=False)
    assert [p.name for p in tmp_path.iterdir()] == ["found.csv"]
    assert {"scene", "object", "pictures", "lift", "lift_low", "lift_high"} <= set(found.table())
    with pytest.raises(ValueError, match="no scene 'moon'"):
        found.top("moon")
    with pytest.raises(ValueError, match=r"by is one of.*got 'size'"):
        found.top("beach", by="size")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda m, k, y: (m[0], k, y), r"maps \(N,h,w\)"),
        (lambda m, k, y: (m, k[1:], y), r"maps \(N,h,w\)"),
        (lambda m, k, y: (m, k + 1, y), "kinds from -1 to 2, got 0 to 3"),
        (lambda m, k, y: (m, k, y + 1), "labels from 0 to 1, got 1 to 2"),
        (lambda m, k, y: (m, k, y - 1), "labels from 0 to 1, got -1 to 0"),
    ],
)
def test_counts_of_another_form(change, text):
    with pytest.raises(ValueError, match=text):
        SceneStatistics(SCENES, OBJECTS).update(*change(*invented()))


def test_what_cannot_be_counted_or_merged():
    with pytest.raises(ValueError, match=r"cannot merge: threshold differs, 0\.2 and 0\.3"):
        SceneStatistics(SCENES, OBJECTS).merge(SceneStatistics(SCENES, OBJECTS, 0.3))
    for wrong in ({"threshold": 0}, {"rule": "top"}):
        with pytest.raises(ValueError, match="threshold is between 0 and 1"):
            SceneStatistics(SCENES, OBJECTS, **wrong)


# -- against the recipe ------------------------------------------------------------------------------------------------


def test_the_rank_correlation_is_scipys():
    names = [f"thing {k}" for k in range(6)]
    random = torch.Generator().manual_seed(1)
    kinds = torch.randint(-1, 6, (80, 4, 4), generator=random)
    labels = torch.arange(80) % 2
    found = SceneStatistics(SCENES, names, replicates=30)
    found.update(torch.randn(80, 4, 4, generator=random), kinds, labels)
    truth = pd.DataFrame(torch.randn(2, 6, generator=random).numpy(), SCENES, names)
    rows = rank_correlation(found, truth[names[::-1]].iloc[::-1], "lift")
    expected = spearmanr(found.lift.loc["beach"], truth.loc["beach"]).statistic
    assert rows.loc["beach", "value"] == pytest.approx(expected) and rows.loc["beach", "objects"] == 6
    assert rows.loc["mean", "value"] == pytest.approx(rows["value"].iloc[:2].mean())
    assert (rows["low"] <= rows["high"]).all()
    other = rank_correlation(found, truth, "overlap")
    difference = rank_correlation(found, truth, "lift", against="overlap")
    np.testing.assert_allclose(difference["value"], rows["value"] - other["value"])
    assert rank_correlation(found, found.lift, "lift").loc["mean", "value"] == pytest.approx(1)
    few = SceneStatistics(SCENES, names, replicates=2).update(torch.randn(8, 4, 4), kinds[:8], labels[:8])
    assert rank_correlation(few, truth)["value"].isna().all(), "less than five pictures of a scene"


def test_rank_correlation_of_many_rows_with_ties_and_gaps():
    random = np.random.default_rng(0)
    a, b = random.integers(0, 6, (2, 40, 9)).astype(float)
    a[random.random(a.shape) < 0.2] = np.nan
    rows = [spearmanr(x[np.isfinite(x)], y[np.isfinite(x)]).statistic for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(spearman(a, b), rows, atol=1e-12)
    np.testing.assert_allclose(spearman(a.T, b.T).shape, (9,))
    assert np.isnan(spearman(np.array([[1.0, 1, 1, 1], [1, 2, np.nan, np.nan]]), np.arange(4.0))).all()


def scene_network(classes):
    return Tiny(lambda net, f: net.head(f.mean((2, 3))), classes=classes).eval()


def floats(network):
    wrapped = CamModel(network)
    return lambda images: wrapped(images.float() / 255)


def test_the_world_in_one_pass_is_the_world_in_one_batch():
    data = drawn_world.load("scenes", "val", n=30, size=48)
    model = floats(scene_network(10))
    found = scene_statistics(model, data, batch=7, replicates=3)
    kinds = torch.full((30, 48, 48), -1)
    for i, (masks, objects) in enumerate(zip(data.masks, data.objects, strict=True)):
        for mask, kind in zip(masks, objects, strict=True):
            kinds[i][mask] = kind
    maps = model(data.images).maps(data.labels)[:, 0]
    whole = SceneStatistics(data.classes, data.object_names, replicates=3).update(maps, kinds, data.labels)
    torch.testing.assert_close(found.sums, whole.sums, rtol=1e-4, atol=1e-4)
    present = [[(data.objects[i] == k).any() for k in range(len(data.object_names))] for i in range(30)]
    share = pd.DataFrame(np.array(present, float)).groupby(data.labels.numpy()).mean()
    np.testing.assert_allclose(found.frequency.dropna().to_numpy(), share.to_numpy())


def test_a_probe_on_a_trunk_and_some_of_the_scenes():
    data = drawn_world.load("scenes", "val", n=40, size=48)
    model = floats(scene_network(4))
    two = [data.classes[k] for k in data.labels.bincount().topk(2).indices.tolist()]
    here = Annotated(data, two)
    assert {label for *_, label, _ in here} == {0, 1} and len(here) == data.labels.bincount().topk(2).values.sum()
    images, labels = torch.stack([x for x, *_ in here]), torch.tensor([y for *_, y, _ in here])
    probe = LinearProbe(costs=[0.1]).fit(model(images).features, labels)
    found = scene_statistics(lambda x: probe.cams(model(x).features), data, two, replicates=2)
    assert found.scene_names == two and found.count == len(here)
    with pytest.raises(ValueError, match="4 classes and there are 2 scenes"):
        scene_statistics(model, data, two, replicates=2)


def test_ade20k_in_the_same_form(tmp_path):
    data = photo_sets.open("ade20k_scenes", ade_tree(tmp_path), "training", size=(30, 40))
    found = scene_statistics(floats(scene_network(2)), data, replicates=2)
    assert found.object_names[0] == "thing 1, alias 1" and found.count == 3
    assert found.frequency.loc["dining room", "thing 1, alias 1"] == 0.5  # of pictures 1 and 3, the first
    assert found.frequency["object 0" if "object 0" in found.frequency else "thing 150, alias 150"].tolist() == [1, 1]
    with pytest.raises(TypeError, match="with parts"):
        Annotated(data, parts=True)
    with pytest.raises(TypeError, match=r"with masks.*got TensorDataset"):
        Annotated(torch.utils.data.TensorDataset(torch.zeros(2)))
    picture = next((tmp_path / "ADEChallengeData2016" / "images" / "training").iterdir())
    put(picture, picture_bytes(20, 30))
    with pytest.warns(UserWarning, match="1 problem"), pytest.raises(ValueError, match="size=224"):
        Annotated(photo_sets.open("ade20k_scenes", tmp_path, "training"))


def test_parts_are_a_second_layer():
    data = drawn_world.load("objects", "val", n=4, size=48)
    pictures = Annotated(data, parts=True)
    assert pictures.names[: len(data.object_names)] == data.object_names
    for _, kinds, _, i in pictures:
        assert torch.equal(kinds[0] >= 0, data.masks.union()[i])
        named = [pictures.names[k] for k in kinds[1].unique().tolist() if k >= 0]
        assert named == [f"part: {data.part_names[k]}" for k in data.parts[i].unique().tolist() if k]


def test_the_command_and_its_table(capsys, tmp_path):
    found = main(["scenes-gap", "scenes", "--n", "20", "--csv", str(tmp_path / "found.csv")])
    assert found.count == 20 and len(pd.read_csv(tmp_path / "found.csv")) == (found.sums[0, ..., 0] > 0).sum()
    assert "kitchen: frequent" in capsys.readouterr().out


@pytest.mark.slow
def test_two_processes_share_the_pictures(tmp_path, capsys):
    given = ["scenes-gap", "scenes", "--pictures", "25", "--csv"]
    main([*given, str(tmp_path / "1.csv")])
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*torchrun, "-m", "cam_helpers.statistics", *given, str(tmp_path / "2.csv")]
    environment = os.environ | {"ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    for number, said in enumerate((capsys.readouterr().out, done.stdout), 1):
        assert said.startswith(f"25 pictures, processes: {number}\n")
    # to rounding: each process chooses the faster layout by itself
    pd.testing.assert_frame_equal(*(pd.read_csv(tmp_path / f"{number}.csv") for number in (1, 2)), rtol=1e-4, atol=1e-5)
