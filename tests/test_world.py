"""The annotated world: what is drawn is what is said, the same everywhere, as often as the recipes say."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chi2

import drawn_world
from drawn_world import drawing, scenes
from drawn_world.dice import Dice
from drawn_world.drawing import draw_all, draw_chunk
from drawn_world.tasks import SPLITS, load_recipe

pytestmark = pytest.mark.usefixtures("fresh_cache")

TASKS = (
    "actions",
    "concepts",
    "kinds",
    "objects",
    "objects-pairs",
    "radiograph",
    "scenes",
    "scenes-watermarked",
    "text",
    "video",
)


def load(task, n=24, **more):
    if task == "video":
        n = max(1, n // 12)
    return drawn_world.load(task, "val", n=n, **more)


def test_the_tasks_are_there():
    assert set(TASKS) <= set(drawn_world.TASKS)
    with pytest.raises(drawn_world.RecipeError, match=r"tasks are: .*objects"):
        drawn_world.load("object", "train")


@pytest.mark.parametrize("task", TASKS)
def test_boxes_are_exactly_the_extents_of_the_masks(task):
    data = load(task)
    assert len(data) == len(data.boxes) == len(data.masks) == len(data.objects) == len(data.labels)
    some = 0
    for boxes, masks, kinds in zip(data.boxes, data.masks, data.objects, strict=True):
        assert boxes.dtype == torch.float32 and boxes.shape == (len(kinds), 4) and masks.shape[0] == len(kinds)
        for (x0, y0, x1, y1), mask in zip(boxes.int().tolist(), masks, strict=True):
            assert x0 < x1 and y0 < y1, "an object that is listed can be seen"
            inside = mask[y0:y1, x0:x1]
            assert inside.sum() == mask.sum(), "no pixel outside the box"
            assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any(), (
                "the box is tight"
            )
            some += 1
    assert some > 5
    union = torch.stack([m.any(0) for m in data.masks])
    assert torch.equal(union, data.masks.union())


@pytest.mark.parametrize("task", TASKS)
def test_the_form_of_a_data_set(task):
    data = load(task)
    n, side = len(data), 64
    assert data.images.shape == (n, 3, side, side) and data.images.dtype == torch.uint8
    image, label = data[0]
    assert torch.equal(image, data.images[0]) and torch.equal(label, data.labels[0])
    batch, labels = next(iter(torch.utils.data.DataLoader(data, batch_size=4, shuffle=True)))
    assert batch.shape == (4, 3, side, side) and len(labels) == 4
    if data.labels.ndim == 1:
        assert data.labels.dtype == torch.int64 and data.labels.max() < len(data.classes)
    else:
        assert data.labels.shape == (n, len(data.classes)) and set(data.labels.unique().tolist()) <= {0.0, 1.0}
    assert data.parts.max() < len(data.part_names)


@pytest.mark.parametrize("size", [48, 100, 256])
def test_sizes_show_the_same_scene(size):
    small, large = drawn_world.load("scenes", "val", n=6), drawn_world.load("scenes", "val", n=6, size=size)
    assert large.images.shape[-2:] == (size, size)
    assert torch.equal(small.labels, large.labels)
    for a, b in zip(small.objects, large.objects, strict=True):
        assert sorted(a.tolist()) == sorted(b.tolist())
    pictures = [torch.nn.functional.interpolate(d.images.float(), 24, mode="area") for d in (small, large)]
    same = (pictures[0] - pictures[1]).abs().mean(dim=(1, 2, 3))
    other = (pictures[0] - pictures[1].roll(1, 0)).abs().mean(dim=(1, 2, 3))
    assert (same < 0.6 * other).all()


# Frozen (with resvg_py 0.5): whoever changes these raises the recipes' version, and the data sheet's with it.
FROZEN = {
    "actions": "8352ce382c39f455",
    "concepts": "653b88e1cf6bdbb6",
    "kinds": "8d9da392627e9ca3",
    "objects": "4bb8de7eaa04c83a",
    "objects-pairs": "556ae79505e2869a",
    "radiograph": "892067acf4a8b63a",
    "scenes": "eb756dae92af78da",
    "scenes-watermarked": "bef22fe6b9132a81",
    "text": "1ace96e6bebb3ba4",
    "video": "b345e0ebc9248ca0",
}


@pytest.mark.parametrize("task", TASKS)
def test_pixels_are_the_same_on_every_machine(task):
    data = load(task, n=24 if task == "video" else 12)
    digest = hashlib.sha256(data.images.numpy().tobytes() + data.instances.numpy().tobytes()).hexdigest()
    assert digest[:16] == FROZEN[task]


def job(task="objects", **changes):
    given = {"task": task, "split": "val", "size": 64, "seed": 46, "difficulty": 1.0}
    return given | {"data": str(drawn_world.data_folder()), "recipe": ""} | changes


@pytest.fixture
def two_processes(monkeypatch):
    """Drawing goes to two processes, however little there is to draw."""
    monkeypatch.setattr(drawing, "WORTH_IT", 0)
    monkeypatch.setattr(drawing, "cpu_count", lambda: 2)


@pytest.mark.parametrize("task", ["objects", "actions", "text", "concepts"])
def test_pixels_do_not_depend_on_the_number_of_processes(task, two_processes, monkeypatch):
    monkeypatch.setattr(drawing, "CHUNK", 4)
    alone, together = draw_chunk(job(task), range(10)), draw_all(job(task), 10)
    assert alone.keys() == together.keys()
    for key in alone:
        assert np.array_equal(alone[key], together[key]), key


def test_a_picture_does_not_depend_on_how_many_are_drawn():
    few, many = drawn_world.load("objects", "val", n=5), drawn_world.load("objects", "val", n=40)
    assert torch.equal(few.images, many.images[:5])


def test_splits_and_seeds_share_nothing():
    sets = [drawn_world.load("objects", split, n=20, seed=s) for split in ("train", "val", "test") for s in (46, 47)]
    images = torch.cat([s.images for s in sets])
    assert len(images.flatten(1).unique(dim=0)) == len(images)
    streams = np.concatenate([Dice(46, "objects", s, k).bytes(800) for s in range(3) for k in range(50)]).view("<u8")
    assert len(np.unique(streams)) == streams.size


def test_workers_need_neither_torch_nor_a_main_guard(tmp_path):
    script = tmp_path / "script.py"  # no `if __name__ == "__main__"`: the workers must not run it again
    script.write_text(
        "print('started')\nimport os, sys\nimport drawn_world\nfrom drawn_world import drawing\n"
        "home, draw_chunk = os.getpid(), drawing.draw_chunk\n"
        "def watched(job, chunk):\n"
        "    import os, sys\n"
        "    packed = draw_chunk(job, chunk)\n"
        "    assert os.getpid() != home and 'torch' not in sys.modules\n"
        "    return packed\n"
        "drawing.WORTH_IT, drawing.CHUNK, drawing.cpu_count, drawing.draw_chunk = 0, 8, lambda: 2, watched\n"
        "arrays, _ = drawn_world.load_arrays('objects', 'val', n=16)\n"
        "assert 'torch' not in sys.modules\nprint(arrays['images'].shape)\n"
    )
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment())
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split("\n")[:2] == ["started", "(16, 3, 64, 64)"]


def environment(**more):
    return dict(os.environ, PYTHONPATH=str(Path(drawn_world.__file__).parents[1]), **more)


def test_errors_in_a_worker_arrive(two_processes):
    with pytest.raises(drawn_world.RecipeError, match="nonsense"):
        draw_all(job("nonsense"), 80)


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_a_worker_that_dies_is_told(two_processes, monkeypatch):
    def dies(job, chunk):
        os.kill(os.getpid(), 9)

    monkeypatch.setattr(drawing, "draw_chunk", dies)
    with pytest.raises(RuntimeError, match="terminated"):
        draw_all(job(), 128)


@pytest.mark.parametrize(
    ("wrong", "cause"),
    [
        ({"n": 0}, "n must"),
        ({"size": 32}, "size 48 to 256"),
        ({"size": 512}, "size 48 to 256"),
        ({"seed": -1}, "seed not negative"),
        ({"difficulty": 2}, "difficulty 0 to 1"),
        ({"split": "dev"}, "train, val, test"),
    ],
)
def test_arguments_out_of_range(wrong, cause):
    with pytest.raises(ValueError, match=cause):
        drawn_world.load(**({"task": "objects", "split": "val", "n": 2} | wrong))


def test_the_difficulty_knob():
    plain, half, full = (load("objects", difficulty=d) for d in (0, 0.5, 1))
    assert torch.equal(plain.labels, full.labels)

    def busy(data):  # unevenness of what is not the object
        ground = ~data.masks.union()[:, :, 1:] & ~data.masks.union()[:, :, :-1]
        steps = (data.images[..., 1:].float() - data.images[..., :-1].float()).abs().mean(1)
        return steps[ground].mean()

    assert busy(plain) < 0.25 * busy(full) and busy(plain) < busy(half) < busy(full)


def test_labels_and_parts_of_objects():
    data = drawn_world.load("objects", "val", n=200)
    assert all(kinds.tolist() == [label] for kinds, label in zip(data.objects, data.labels.tolist(), strict=True))
    assert data.lookalikes and all(a in data.classes and b in data.classes for a, b in data.lookalikes)
    assert (data.parts[~data.masks.union()] == 0).all(), "parts belong to labelled objects only"
    has_part = (data.parts > 0) & data.masks.union()
    assert has_part.sum() > 0.99 * data.masks.union().sum()
    cats = [k for k in range(len(data)) if data.classes[data.labels[k]] in ("cat", "dog")]
    shown = {data.part_names[p] for k in cats for p in data.parts[k].unique().tolist()}
    assert {"", "head"} < shown
    heads = [(data.parts[k] == data.part_names.index("head")).sum() for k in cats]
    assert min(heads) > 8, "clutter never hides the part that tells a cat from a dog"
    shares = data.masks.union().float().mean(dim=(1, 2))
    assert shares.min() > 0.01 and shares.max() < 0.75 and shares.std() > 0.05


def test_pairs_hold_two_kinds():
    data = load("objects-pairs", n=100)
    assert (data.labels.sum(1) == 2).all()
    for label, kinds in zip(data.labels, data.objects, strict=True):
        assert sorted(kinds.tolist()) == label.nonzero()[:, 0].tolist()
    assert torch.tensor([m.sum((1, 2)).min() for m in data.masks]).min() > 20


def test_classes_are_equally_likely():
    labels = draw_all(job(size=48), 1)["labels"]  # the form
    assert labels.shape == (1,)
    counts = np.bincount([Dice(46, "objects", 0, k).sample(range(20), 1)[0] for k in range(4000)], minlength=20)
    assert ((counts - 200) ** 2 / 200).sum() < chi2.ppf(0.9999, 19)


SCENES = 2000


@pytest.fixture(scope="module")
def decided_scenes():
    """Of each scene the label, the objects, "indoor" and the attributes, all decided before anything is painted."""
    recipe = load_recipe("scenes")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_paint_region", "_paint_things"):
            patch.setattr(scenes, name, lambda *_: None)
        patch.setattr(scenes.textures, "surface", lambda *_: 0)
        patch.setattr(scenes.PaintedScene, "picture", lambda _, objects, extra: {"objects": objects} | extra)
        dice = (Dice(46, recipe["stream"], SPLITS.index("train"), k) for k in range(SCENES))
        return recipe, [scenes.draw(recipe, d, 48, 1.0, "train")[0] for d in dice]


def test_what_is_decided_is_painted(decided_scenes):
    _, decided = decided_scenes
    painted = drawn_world.load("scenes", "train", n=60, size=48)
    for scene, objects, label in zip(decided, painted.objects, painted.labels, strict=False):
        assert scene["objects"] == objects.tolist() and scene["labels"] == label
    assert painted.attributes.tolist() == [scene["attributes"].tolist() for scene in decided[:60]]
    assert all((boxes[:, 2:] > boxes[:, :2]).all() for boxes in painted.boxes), "whatever is there can be seen"


def test_presence_follows_the_recipe(decided_scenes):
    recipe, decided = decided_scenes
    present = np.zeros((SCENES, len(recipe["object_names"])), bool)
    for k, scene in enumerate(decided):
        present[k, scene["objects"]] = True
    labels = np.array([scene["labels"] for scene in decided])
    squares, questions = 0.0, 0
    for scene, row in drawn_world.frequencies("scenes").iterrows():
        here = present[labels == recipe["classes"].index(scene)]
        assert binomtest(len(here), SCENES, 0.1).pvalue > 1e-4
        for kind, p in row.items():
            hits = int(here[:, recipe["object_names"].index(kind)].sum())
            if p in (0.0, 1.0):
                assert hits == p * len(here), (scene, kind)
            else:
                assert binomtest(hits, len(here), p).pvalue > 1e-4, (scene, kind, p, hits / len(here))
                squares += (hits - p * len(here)) ** 2 / (p * (1 - p) * len(here))
                questions += 1
    assert chi2.ppf(1e-4, questions) < squares < chi2.ppf(1 - 1e-4, questions)


def test_everywhere_things_and_tell_tale_things():
    truth, tells = drawn_world.frequencies("scenes"), drawn_world.informativeness("scenes")
    assert truth.loc["dining_room", "chandelier"] == 0.25 and (truth["chandelier"] > 0).sum() == 1
    indoors = ["bathroom", "bedroom", "dining_room", "kitchen", "office"]
    assert (truth.loc[indoors, ["wall", "floor", "window"]] > 0.3).all(axis=None)
    common, telling = truth.loc["dining_room"].nlargest(6).index, tells.log_odds.loc["dining_room"].nlargest(6).index
    assert "wall" in common and "chandelier" not in common and "chandelier" in telling and "wall" not in telling


def test_mutual_information_equals_its_definition():
    truth, tells = drawn_world.frequencies("scenes"), drawn_world.informativeness("scenes")
    for kind in ("chandelier", "window", "person"):
        joint = np.stack([truth[kind], 1 - truth[kind]]) / len(truth)  # presence × scene
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = joint * np.log2(joint / joint.sum(0) / joint.sum(1, keepdims=True))
        assert tells.mutual[kind] == pytest.approx(np.nansum(terms), abs=1e-9)
        p, q = truth.loc["dining_room", kind], truth.drop("dining_room")[kind].mean()
        joint = np.array([[0.1 * p, 0.9 * q], [0.1 * (1 - p), 0.9 * (1 - q)]])
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = joint * np.log2(joint / joint.sum(0) / joint.sum(1, keepdims=True))
        assert tells.pointwise.loc["dining_room", kind] == pytest.approx(np.nansum(terms), abs=1e-9)
    assert np.isfinite(tells.log_odds.to_numpy()).all()


def test_attributes_of_scenes(decided_scenes):
    recipe, decided = decided_scenes
    attributes = np.stack([scene["attributes"] for scene in decided])
    assert attributes.shape == (SCENES, len(recipe["attributes"])) and 8 <= len(recipe["attributes"]) <= 16
    people = [recipe["object_names"].index("person") in scene["objects"] for scene in decided]
    assert people == attributes[:, list(recipe["attributes"]).index("people")].tolist()
    share = attributes.mean(0)
    assert ((share > 0.02) & (share < 0.9)).all()
    outside = {recipe["classes"][scene["labels"]] for scene in decided if not scene["indoor"]}
    assert outside == {"street", "beach", "forest", "playground"}


def test_the_watermark_is_all_that_differs():
    marked = drawn_world.load("scenes-watermarked", "test", n=80, size=48)
    clean = drawn_world.load("scenes", "test", n=80, size=48)
    differs = (marked.images != clean.images).flatten(1).any(1)
    assert torch.equal(differs, marked.marked)
    kitchen = marked.labels == marked.classes.index("kitchen")
    assert not marked.marked[~kitchen].any() and 0 < marked.marked[kitchen].float().mean() < 1
    mark = marked.object_names.index("watermark")
    for k in marked.marked.nonzero()[:, 0].tolist():
        assert marked.objects[k][-1] == mark
        changed = (marked.images[k] != clean.images[k]).any(0)
        assert (changed & ~marked.masks[k][-1]).sum() <= changed.sum() * 0.5 and marked.masks[k][-1].sum() > 8
    assert drawn_world.frequencies("scenes-watermarked").loc["kitchen", "watermark"] == 0.95


def test_radiographs():
    data = drawn_world.load("radiograph", "val", n=120)
    counts = torch.tensor([len(b) for b in data.boxes])
    assert torch.equal(data.labels, (counts > 0).long()) and counts.max() <= 3
    assert binomtest(int(data.labels.sum()), 120, 0.5).pvalue > 1e-3
    assert torch.equal(data.images[:, 0], data.images[:, 1]) and torch.equal(data.images[:, 0], data.images[:, 2])
    middles = torch.cat([(b[:, :2] + b[:, 2:]) / 2 for b in data.boxes]) / 64
    assert middles.min() > 0.1 and middles.max() < 0.9
    inside = torch.stack([m.any(0) for m in data.masks])
    around = torch.nn.functional.max_pool2d(inside.float()[:, None], 7, 1, 3)[:, 0].bool() & ~inside
    assert data.images[:, 0][inside].float().mean() > data.images[:, 0][around].float().mean() + 10


def test_clips():
    data = drawn_world.load("video", "val", n=6)
    assert data.frame.tolist() == list(range(16)) * 6 and data.clip.tolist() == [k // 16 for k in range(96)]
    for k in range(len(data)):
        assert sorted(data.objects[k].tolist()) == data.labels[k].nonzero()[:, 0].tolist()
    counts = torch.tensor([len(b) for b in data.boxes])
    assert counts.min() == 0 and counts.max() >= 2, "objects come and go, and meet"
    steps = []
    for k in range(len(data) - 1):
        if data.clip[k] == data.clip[k + 1]:
            for a, kind in zip(data.boxes[k], data.objects[k], strict=True):
                for b in data.boxes[k + 1][data.objects[k + 1] == kind]:
                    steps.append(((a[:2] + a[2:]) / 2 - (b[:2] + b[2:]) / 2).norm().item())
    assert max(steps) < 24 and np.median(steps) > 0.5, "they move, and do not jump"
