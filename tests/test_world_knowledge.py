"""What the lessons on generic features stand on: `actions`, `text` and `concepts` are as their annotations say."""

import numpy as np
import pytest
import torch
from scipy.stats import binomtest, chisquare

import drawn_world
from drawn_world.tasks import load_recipe

pytestmark = pytest.mark.usefixtures("fresh_cache")


@pytest.fixture(scope="module")
def people():
    return drawn_world.load("actions", "val", n=160)


@pytest.fixture(scope="module")
def signs():
    return drawn_world.load("text", "val", n=150)


def near(mask, radius):
    """The mask, grown by `radius` pixels."""
    return torch.nn.functional.max_pool2d(mask[None, None].float(), 2 * radius + 1, 1, radius)[0, 0].bool()


def test_every_picture_of_actions_has_one_person(people):
    names = people.object_names
    assert all(names[kinds[0]] == "person" and (kinds[1:] != kinds[0]).all() for kinds in people.objects)
    assert chisquare(people.labels.bincount(minlength=8)).pvalue > 1e-4
    assert people.masks.union().float().mean() < 0.6


def test_joints_are_where_the_person_is(people):
    joints, names = people.joints, people.joint_names
    assert joints.shape == (160, 14, 2) and joints.dtype == torch.float32 and len(set(names)) == 14
    assert {"head", "neck", "left_wrist", "right_ankle"} <= set(names)
    for k in range(len(people)):
        x0, y0, x1, y1 = people.boxes[k][0].tolist()
        x, y = joints[k].T
        assert (x > x0 - 1).all() and (x < x1 + 1).all() and (y > y0 - 1).all() and (y < y1 + 1).all(), k
        body = near(people.masks[k][: 2 if people.tool[k] == 1 else 1].any(0), 2)  # a tool may lie over a joint
        assert body[y.long().clip(0, 63), x.long().clip(0, 63)].all(), k
        seen = people.parts[k][near_square(*joints[k, names.index("head")].tolist())]
        assert people.part_names.index("head") in seen or people.part_names.index("hair") in seen


def near_square(x, y, radius=3):
    return np.s_[max(0, int(y) - radius) : int(y) + radius + 1, max(0, int(x) - radius) : int(x) + radius + 1]


def test_left_is_the_persons_own_left(people):
    at = {name: people.joints[:, j, 0] for j, name in enumerate(people.joint_names)}
    for joint in ("shoulder", "hip", "ankle"):
        assert (at[f"left_{joint}"] > at[f"right_{joint}"]).all(), "the person faces us, mirrored or not"
    busy = torch.stack([at[f"{side}_wrist"] - at["neck"] for side in ("left", "right")])
    fishing = people.labels == people.classes.index("fishing")
    assert (busy[:, fishing].mean(0) > 0).any() and (busy[:, fishing].mean(0) < 0).any(), "to either side"


def test_bones_keep_their_lengths(people):
    at = {name: people.joints[:, j] for j, name in enumerate(people.joint_names)}
    height = (at["left_ankle"] - at["left_knee"]).norm(dim=1) + (at["left_knee"] - at["left_hip"]).norm(dim=1)
    for side in ("left", "right"):
        for a, b in (("shoulder", "elbow"), ("elbow", "wrist")):
            share = (at[f"{side}_{a}"] - at[f"{side}_{b}"]).norm(dim=1) / height
            assert share.std() / share.mean() < 0.08, (side, a, b)


def test_the_tool_is_in_hand(people):
    recipe = load_recipe("actions")
    wrists = [people.joint_names.index(f"{side}_wrist") for side in ("left", "right")]
    for k in range(len(people)):
        action = recipe["actions"][people.classes[people.labels[k]]]
        if people.tool[k] < 0:
            assert people.classes[people.labels[k]] == "applauding"
            hands = people.joints[k][wrists]
            assert (hands[0] - hands[1]).norm() < 64 * 0.12, "the hands meet"
            continue
        assert people.tool[k] == 1 and people.object_names[people.objects[k][1]] == action["tool"]["kind"]
        x, y = people.joints[k][wrists].long().clip(0, 63).T
        gripped = [action[hand][0] is not None for hand in ("main", "other")]
        for radius, hands in ((4, 1), (9, sum(gripped))):  # a hand and its forearm hide what it holds
            assert near(people.masks[k][1], radius)[y, x].sum() >= hands, (k, action["tool"]["kind"])


def test_tools_lie_around_in_the_pictures_of_other_actions(people):
    recipe = load_recipe("actions")
    for name, action in recipe["actions"].items():
        if not action["tool"] or action["tool"]["kind"] not in people.object_names:
            continue
        kind = people.object_names.index(action["tool"]["kind"])
        others = people.labels != people.classes.index(name)
        there = torch.tensor([kind in kinds for kinds in people.objects])
        share = there[others].float().mean()
        assert there[~others].all() and 0.1 < share < 0.6, (name, share)


def test_a_picture_with_a_word_has_its_region_and_its_ink(signs):
    counts = torch.tensor([len(boxes) for boxes in signs.boxes])
    assert torch.equal(signs.labels, (counts > 0).long()) and counts.max() <= 3
    assert binomtest(int(signs.labels.sum()), len(signs), 0.5).pvalue > 1e-3
    ink = signs.parts == signs.part_names.index("letters")
    assert torch.equal(ink.flatten(1).any(1), signs.labels == 1)
    assert not (ink & ~signs.masks.union()).any(), "letters lie in their regions"
    share = [(ink[k] & mask).sum() / mask.sum() for k in range(len(signs)) for mask in signs.masks[k]]
    assert 0.1 < np.mean(share) < 0.5, "a region holds the gaps between the letters too"
    longer = [(box[2] - box[0]) / (box[3] - box[1]) for boxes in signs.boxes for box in boxes]
    assert np.median(longer) > 1.3, "words run from left to right"


def test_words_of_the_test_set_are_held_out():
    words = load_recipe("text")["words"]
    every = [w for split in words.values() for w in split]
    assert len(set(every)) == len(every) and min(map(len, words.values())) >= 12
    assert set("".join(words["test"])) <= set("".join(words["train"])), "but every letter of them was seen"


def test_the_kinds_of_sprite_for_actions_and_text_are_in_no_older_task():
    new = {"figure", "tool", "writing"}
    for task in ("kinds", "objects", "scenes"):
        recipe = load_recipe(task)
        assert not any(recipe.library.kinds[kind][0].groups & new for kind in recipe["kinds"])


@pytest.fixture(scope="module")
def phrases():
    return drawn_world.load("concepts", "val", n=150)


def test_the_caption_says_the_phrase_if_and_only_if_it_is_true(phrases):
    none = phrases.classes.index("none")
    assert 4 <= none <= 8 and len(phrases.captions) == len(phrases) and min(map(len, phrases.captions)) > 4
    for label, caption in zip(phrases.labels.tolist(), phrases.captions, strict=True):
        assert [p for p in phrases.classes[:none] if p in caption] == ([phrases.classes[label]] if label < none else [])
    assert binomtest(int((phrases.labels < none).sum()), len(phrases), 0.5).pvalue > 1e-3
    assert chisquare(phrases.labels[phrases.labels < none].bincount(minlength=none)).pvalue > 1e-4


def test_the_region_of_a_phrase_is_there_if_and_only_if_it_is_true(phrases):
    share = phrases.masks.union().float().mean(dim=(1, 2))
    none = phrases.labels == phrases.classes.index("none")
    assert (share[none] == 0).all() and (share[~none] > 0.01).all() and share[~none].mean() < 0.5
    assert all(
        kinds.tolist() == [label] for kinds, label in zip(phrases.objects, phrases.labels, strict=True) if len(kinds)
    )
    assert (phrases.parts[~phrases.masks.union()] == 0).all()
    assert {
        phrases.part_names[p] for p in phrases.parts[phrases.labels == phrases.classes.index("cat on chair")].unique()
    } > {"seat", "head"}


def test_a_lake_mirrors_what_is_above_it():
    data = drawn_world.load("concepts", "val", n=120, difficulty=0)
    images = data.images.float()
    for k in (data.labels == data.classes.index("mirror in lake")).nonzero()[:, 0].tolist():
        edge = int(data.boxes[k][0][1])
        rows = min(edge, 64 - edge, 20)
        above, below = images[k][:, edge - rows : edge].flip(1), images[k][:, edge : edge + rows]
        pair = torch.stack([above.flatten(), below.flatten()])
        assert torch.corrcoef(pair)[0, 1] > 0.5, k
        assert data.masks[k][0][edge + 1 :].float().mean() > 0.95


def test_twins_show_almost_the_same():
    recipe = load_recipe("concepts")
    for phrase in recipe["phrases"].values():
        assert len(phrase["true"]) == len(phrase["twin"]) == len(phrase["places"])
        for true, twin in zip(phrase["true"], phrase["twin"], strict=True):
            assert set(true["things"]) == set(twin["things"])
            changed = [k for k in true["things"] if true["things"][k] != twin["things"][k]]
            assert len(changed) == (0 if phrase["mirror"] or phrase["view"] else 1), "one thing is elsewhere"


def test_no_other_picture_shows_a_phrase_by_chance():
    recipe = load_recipe("concepts")
    for phrase in recipe["phrases"].values():
        upon = {(kind, spec["upon"]) for kind, spec in phrase["true"][0]["things"].items() if kind in phrase["region"]}
        others = [*recipe["scenes"].values(), *(s for p in recipe["phrases"].values() for s in p["twin"])]
        there = {(kind, spec["upon"]) for scene in others for kind, spec in scene["things"].items() if spec["p"]}
        assert not phrase["region"] or "sun" in phrase["region"] or not {u for u in upon if u[1]} & there
