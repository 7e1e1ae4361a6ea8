"""Phrases, questions and distances of lesson 09."""

from types import SimpleNamespace

import pytest
import torch

from photo_sets import patterns


@pytest.mark.parametrize(
    ("phrase", "captions", "held", "near"),
    [
        ("dog", ["Two DOGS.", "A cat."], True, False),
        ("dog", ["A hot-dogger", "some cats"], False, True),
        ("dog", ["A man."], False, False),
        ("riding a wave", ["a man rides the big wave"], True, False),
        ("riding a wave", ["waves at the shore"], False, True),
        ("riding a wave", ["a man rides.", "Waves"], False, True),  # in two captions
        ("flying a kite", ["kites high up in the air"], True, False),
        ("using a phone", ["he looks at his cell phone"], True, False),
        ("using a phone", ["a phone lies there"], False, True),
    ],
)
def test_what_holds_a_phrase_and_what_comes_near(phrase, captions, held, near):
    assert [found.tolist() for found in patterns.phrase_labels([captions], phrase)] == [[held], [near]]


def test_a_photograph_is_asked_what_has_one_answer():
    classes = [kind for kinds in patterns.QUESTIONS.values() for kind in kinds.split(", ")] + ["person"]
    assert len(classes) == len(set(classes)) == 80  # all of COCO's
    shown = [["cat", "person"], ["cat", "dog", "pizza"], ["person"], ["zebra", "bus"]]
    labels = torch.tensor([[float(name in names) for name in classes] for names in shown])
    rows = patterns.questions(SimpleNamespace(classes=classes, labels=labels)).tolist()
    asked = {(i, list(patterns.QUESTIONS)[q], classes[a]) for i, q, a in rows}
    assert asked == {
        (0, "what animal?", "cat"),
        (1, "what food?", "pizza"),  # two animals: no one answer
        (3, "what animal?", "zebra"),
        (3, "what vehicle?", "bus"),
    }
    assert len(rows) == len(asked)


def test_boxes_of_some_kinds_are_stretched():
    boxes = [torch.tensor([[0.0, 0, 20, 10], [10, 0, 40, 30], [1, 1, 2, 2]])]
    photos = SimpleNamespace(sizes=[(30, 40)], objects=[torch.tensor([3, 5, 7])], boxes=boxes)
    assert patterns.boxes_of(photos, 0, [3, 7], 120).tolist() == [[0, 0, 60, 40], [3, 4, 6, 8]]
    assert patterns.boxes_of(photos, 0, [9], 120).shape == (0, 4)


def test_distance_from_the_peak_to_the_nearest_true_pixel():
    maps, masks = torch.zeros(3, 6, 8), torch.zeros(3, 6, 8, dtype=torch.bool)
    maps[0, 1, 1] = maps[1, 5, 0] = maps[2, 0, 7] = 1
    masks[:, 1:3, 1:4] = True
    assert patterns.peak_distance(maps, masks).tolist() == pytest.approx([0, 10**0.5, 17**0.5])
