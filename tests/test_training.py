"""The training loop on the CPU: its numbers, against PyTorch's own and hand-worked ones, and what it refuses."""

import copy
import random
import re
import threading
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import top_k_accuracy_score
from tiny_training import PLAIN, RECIPE, STEPS, Items, Pictures, furthest, network, pictures, same, timeless
from torch import nn
from torch.nn import functional as F
from torch.optim.optimizer import register_optimizer_step_post_hook

from cam_helpers.devices import fast_precision, half_precision
from cam_helpers.training import PRESETS, Batches, Recipe, evaluate, fit
from cam_helpers.training.batches import augment

CPU = torch.device("cpu")


@contextmanager
def counted_steps():
    """A list that grows with every step of any optimizer."""
    steps = []
    handle = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    yield steps
    handle.remove()


def indices(n=40, size=16):
    """Picture i has the value i everywhere, and the label i."""
    return Pictures(torch.arange(n, dtype=torch.uint8)[:, None, None, None].repeat(1, 3, size, size), torch.arange(n))


# -- the loop ---------------------------------------------------------------------------------------------------------


def by_hand(net, data, recipe):
    """The same training in bare PyTorch: no accumulation, no augmentation, no devices. -> losses, rates"""
    decayed = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim == 1]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others}],
        recipe.learning_rate, momentum=0.9, nesterov=True,
    )  # fmt: skip
    per_epoch = len(data) // recipe.batch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=recipe.epochs * per_epoch, pct_start=0.15
    )
    losses, rates = [], []
    for epoch in range(recipe.epochs):
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(recipe.seed * 100_003 + epoch))
        for index in order[: per_epoch * recipe.batch].split(recipe.batch):
            loss = F.cross_entropy(net(data.images[index]), data.labels[index], label_smoothing=recipe.smoothing)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        rates.append(schedule.get_last_lr()[0])
    return np.reshape(losses, (recipe.epochs, per_epoch)).mean(1), rates


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loop_is_sgd_with_a_one_cycle_schedule(smoothing):
    recipe, data = PLAIN.but(smoothing=smoothing), pictures(43)  # three pictures wait for another epoch
    ours, theirs = network(dropout=0), network(dropout=0)
    run = fit(ours, data, recipe)
    losses, rates = by_hand(theirs, data, recipe)
    assert run.network is ours and furthest(ours, theirs) < 1e-5
    assert np.allclose([row["loss"] for row in run.rows], losses, atol=1e-5)
    assert np.allclose([row["learning_rate"] for row in run.rows], rates)


def test_it_learns_and_says_how_well():
    train, val = pictures(120), pictures(60, seed=1)
    net = network(dropout=0)
    run = fit(net, train, PLAIN.but(epochs=6), val)
    assert run.rows[-1]["loss"] < 0.7 * run.rows[0]["loss"] and run.rows[-1]["val_top1"] > 0.9
    assert evaluate(net, val) == {k[4:]: v for k, v in run.rows[-1].items() if k.startswith("val_")}
    assert (run.device, run.precision, [row["epoch"] for row in run.rows]) == ("cpu", "no", [1, 2, 3, 4, 5, 6])
    assert not net.training and run.pictures_per_second == pytest.approx(120 * 6 / run.seconds)


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_accumulating_over_parts_of_a_batch_changes_nothing(parts):
    data, whole, cut = pictures(), network("group", 0), network("group", 0)
    with counted_steps() as steps:
        one = fit(whole, data, PLAIN)
        assert len(steps) == STEPS
        other = fit(cut, data, PLAIN.but(accumulate=parts))
    assert len(steps) == 2 * STEPS
    assert furthest(whole, cut) < 1e-5 < furthest(whole, network("group", 0))
    assert [row["learning_rate"] for row in one.rows] == [row["learning_rate"] for row in other.rows]
    assert np.allclose([row["loss"] for row in one.rows], [row["loss"] for row in other.rows], atol=1e-5)


@pytest.mark.parametrize(("n", "steps"), [(1, 3), (5, 3), (7, 3), (8, 3), (9, 3), (21, 6)])
def test_sets_that_do_not_fill_their_batches(n, steps):
    with counted_steps() as counted:
        run = fit(network("group"), pictures(n), RECIPE)
    assert len(counted) == steps and len(run.rows) == 3
    assert [row["accuracy"] * min(n, n // 8 * 8 or n) % 1 for row in run.rows] == pytest.approx([0, 0, 0], abs=1e-4)


@pytest.mark.parametrize(
    ("n", "accumulate", "world", "words"),
    [
        (0, 1, 1, "0 pictures in batches of 8 cannot be shared by 1 processes in 1 equal parts each"),
        (40, 1, 3, "40 pictures in batches of 8 cannot be shared by 3 processes in 1 equal parts each"),
        (40, 4, 4, "40 pictures in batches of 8 cannot be shared by 4 processes in 4 equal parts each"),
        (1, 2, 1, "1 pictures in batches of 8 cannot be shared by 1 processes in 2 equal parts each"),
    ],
)
def test_batches_that_cannot_be_shared_out_are_refused(n, accumulate, world, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        Batches(pictures(n), RECIPE.but(accumulate=accumulate), CPU, 0, world)


def test_few_pictures_are_rounded_down_to_equal_parts():
    ((images, _),) = Batches(pictures(7), RECIPE.but(accumulate=2), CPU).epoch(0)
    assert len(images) == 6


def test_a_loss_that_is_no_number_ends_the_run():
    words = "^the loss is no longer a number: try a smaller learning_rate, or precision='no'$"
    with pytest.raises(ValueError, match=words):
        fit(network(), pictures(), PLAIN.but(learning_rate=1e30))


def test_pictures_may_hold_several_classes():
    labels = torch.tensor([[0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]])[torch.arange(40) % 4]
    data = Pictures((torch.arange(40) % 4 * 60).to(torch.uint8)[:, None, None, None].repeat(1, 3, 16, 16), labels)
    first = network(dropout=0)
    expected = F.binary_cross_entropy_with_logits(first(data.images), labels.float()).item()
    run = fit(network(dropout=0), data, PLAIN.but(batch=40, epochs=1), data)
    assert run.rows[0]["loss"] == pytest.approx(expected, rel=1e-5)
    assert set(evaluate(run.network, data)) == {"top1", "top5", "mAP"}
    run = fit(network(dropout=0), data, PLAIN.but(epochs=12, smoothing=0.1), data)
    assert run.rows[-1]["val_mAP"] > 0.95 and run.rows[-1]["loss"] < run.rows[0]["loss"]


def test_smoothed_labels_of_several_classes_are_nearer_to_the_middle():
    data = Pictures(pictures(8).images, torch.tensor([[1.0, 0.0, 1.0]] * 8))
    net = network(dropout=0)
    expected = F.binary_cross_entropy_with_logits(net(data.images), torch.tensor([[0.9, 0.1, 0.9]] * 8)).item()
    assert fit(net, data, PLAIN.but(epochs=1, smoothing=0.2)).rows[0]["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("precision", ["auto", "bf16", "no"])
def test_the_network_comes_back_as_it_was_built(precision):
    net = network()
    run = fit(net, pictures(), RECIPE.but(precision=precision, epochs=1))
    images = pictures(2).images
    before, twin = net(images), copy.deepcopy(net)
    nn.init.zeros_(twin[7].weight)
    assert before.dtype == torch.float32 and all(p.dtype == torch.float32 for p in net.parameters())
    assert torch.equal(twin(images), twin[7].bias.expand(2, 3)) and torch.equal(net(images), before)
    assert run.precision in ({"no", "bf16"} if precision == "auto" else {precision})


def test_frozen_weights_stay():
    net, before = network(), network()
    net[1].requires_grad_(False)
    fit(net, pictures(), RECIPE)
    assert torch.equal(net[1].weight, before[1].weight) and not torch.equal(net[7].weight, before[7].weight)


def test_the_dice_of_others_are_left_alone():
    def now():
        return torch.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()

    before = now()
    fit(network(), pictures(), RECIPE, pictures())
    fit(network(), Items(pictures(), noise=True), RECIPE.but(epochs=1), Items(pictures()))
    assert now() == before


def test_an_early_look_comes_once_an_epoch_with_a_network_that_is_not_training():
    seen = []
    run = fit(network(), pictures(), RECIPE, after_epoch=lambda row, net: seen.append((row, net.training)))
    assert seen == [(row, False) for row in run.rows]
    assert [row["side"] for row in run.rows] == [8, 8, 16]


def test_another_thread_may_train():
    runs = []
    thread = threading.Thread(target=lambda: runs.append(fit(network(), pictures(), RECIPE)))
    thread.start(), thread.join(60)
    here = fit(network(), pictures(), RECIPE)
    assert same(runs[0].network, here.network)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_dataset_is_read_item_by_item_to_the_same_end(workers):
    recipe, data = RECIPE, pictures()
    kept, read = fit(network(), data, recipe, data), fit(network(), Items(data), recipe, Items(data), workers=workers)
    assert same(kept.network, read.network) and timeless(kept.rows) == timeless(read.rows)


def test_the_dice_of_a_dataset_fall_alike_in_every_worker():
    data = Items(pictures(), noise=True)
    runs = [fit(network(), data, RECIPE.but(epochs=1), workers=workers) for workers in (0, 2)]
    assert same(runs[0].network, runs[1].network)
    (a, _), (b, _) = (next(Batches(data, PLAIN, CPU).epoch(e)) for e in (0, 1))
    assert not torch.equal(a % 8, b % 8)


def test_a_set_whose_images_are_file_names_is_read_as_a_dataset():
    data = Items(pictures())
    data.images = ["a.jpg"] * 40  # as torchvision's VOC has them
    run = fit(network(), data, RECIPE.but(epochs=1), data)
    assert run.rows[0]["val_top1"] == evaluate(run.network, pictures())["top1"]


# -- what a step sees -------------------------------------------------------------------------------------------------


def steps_of(data=None, recipe=RECIPE, epoch=0, first=0, rank=0, world=1):
    return [(x.clone(), y.clone()) for x, y in Batches(data or indices(), recipe, CPU, rank, world).epoch(epoch, first)]


def test_an_epoch_sees_every_picture_at_most_once_and_another_order_each_time():
    orders = [torch.cat([y for _, y in steps_of(indices(43), epoch=e)]).tolist() for e in range(3)]
    assert [len(set(order)) for order in orders] == [40, 40, 40]
    assert len(set(map(tuple, orders))) == 3 and len(set.union(*map(set, orders))) == 43


def test_processes_share_each_batch():
    alone = steps_of(recipe=PLAIN)
    shares = [steps_of(recipe=PLAIN, rank=r, world=4) for r in range(4)]
    for (x, y), *parts in zip(alone, *shares, strict=True):
        assert [len(labels) for _, labels in parts] == [2] * 4
        assert torch.equal(torch.stack([labels for _, labels in parts], 1).flatten(), y)
        assert torch.equal(torch.stack([images for images, _ in parts], 1).flatten(0, 1), x)


def equal_steps(one, other):
    return len(one) == len(other) and all(
        torch.equal(a, b) for s, t in zip(one, other, strict=True) for a, b in zip(s, t, strict=True)
    )


def test_a_step_depends_on_seed_epoch_step_and_rank_only():
    data, recipe = pictures(), RECIPE
    torch.manual_seed(5)
    whole = steps_of(data, recipe, epoch=2)
    for first in range(5):
        torch.manual_seed(first)
        assert equal_steps(steps_of(data, recipe, 2, first), whole[first:])
    assert not equal_steps(steps_of(data, recipe, 1), whole)
    assert not equal_steps(steps_of(data, recipe.but(seed=8), 2), whole)
    arrow = Pictures(torch.arange(16, dtype=torch.uint8).expand(40, 3, 16, 16), torch.zeros(40, dtype=torch.long))
    shares = [steps_of(arrow, recipe, 2, rank=r, world=2) for r in (0, 1)]  # only the mirrored ones differ
    assert not equal_steps(*shares)


def test_augmenting_leaves_every_picture_with_its_label():
    for images, labels in steps_of():
        assert images.shape[-1] == 8 and torch.equal((images[:, 0, 4, 4] * 255).round(), labels.float())
    for images, labels in steps_of(epoch=2):
        assert (images == labels[:, None, None, None]).all()


uint8 = arrays(np.uint8, st.tuples(st.integers(1, 6), st.just(3), st.integers(1, 20), st.integers(1, 20)))


@settings(deadline=None, max_examples=60)
@given(uint8, st.integers(0, 99))
def test_a_flip_is_the_picture_or_its_mirror_image(values, seed):
    images = torch.from_numpy(values)
    torch.manual_seed(seed)
    with torch.random.fork_rng():
        out = augment(images, PLAIN.but(flips=True), images.shape[-1])
    if images.shape[-2] == images.shape[-1]:
        assert out.dtype == torch.uint8
        for before, after in zip(images, out, strict=True):
            assert torch.equal(after, before) or torch.equal(after, before.flip(-1))


def test_half_of_the_pictures_are_flipped():
    images = torch.tensor([[0, 1], [2, 3]], dtype=torch.uint8).repeat(2000, 3, 1, 1)
    torch.manual_seed(0)
    flipped = (augment(images, PLAIN.but(flips=True), 2)[:, 0, 0, 0] == 1).float().mean()
    assert abs(flipped - 0.5) < 4 * (0.25 / 2000) ** 0.5


@settings(deadline=None, max_examples=60)
@given(uint8, st.integers(1, 40))
def test_pictures_become_squares_of_the_side_wanted(values, side):
    images = torch.from_numpy(values)
    out = augment(images, PLAIN, side)
    assert out.shape == (len(images), 3, side, side)
    if images.shape[-2:] == (side, side):
        assert torch.equal(out, images)
    else:
        assert out.dtype == torch.float32 and out.min() >= 0 and out.max() <= 1 + 1e-6
        assert images.min() / 255 - 1e-5 <= out.min() and out.max() <= images.max() / 255 + 1e-5


# -- evaluating -------------------------------------------------------------------------------------------------------


class Table(nn.Module):
    """Picture i has the value i and gets row i of the scores."""

    def __init__(self, scores):
        super().__init__()
        self.scores = nn.Parameter(torch.tensor(scores))

    def forward(self, images):
        assert not self.training
        return self.scores[images[:, 0, 0, 0].long()]


def test_top_1_and_top_5_are_scikit_learns():
    scores, labels = np.random.default_rng(0).normal(size=(90, 12)), np.arange(90) % 12
    found = evaluate(Table(scores), Pictures(indices(90).images, torch.tensor(labels)), batch=7)
    expected = {f"top{k}": top_k_accuracy_score(labels, scores, k=k) for k in (1, 5)}
    assert found == pytest.approx(expected, abs=1e-6) and 0.02 < found["top1"] < found["top5"] < 0.7


def test_several_classes_by_hand():
    # class 0: right at ranks 1 and 3, precision 1 and 2/3; class 1: at rank 2, precision 1/2; class 2: never there
    scores = [[0.9, 0.1, 0.0], [0.8, 0.7, 0.0], [0.2, 0.5, 0.0]]
    labels = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 0]])
    found = evaluate(Table(scores), Pictures(indices(3).images, labels))
    assert found == pytest.approx({"top1": 2 / 3, "top5": 2 / 3, "mAP": (5 / 6 + 1 / 2) / 2})


def test_labels_may_be_a_list_and_one_class_may_be_all_there_is():
    found = evaluate(Table([[1.0, 0.0], [1.0, 0.0]]), SimpleNamespace(images=indices(2).images, labels=[0, 1]))
    assert found == {"top1": 0.5, "top5": 1.0}
    found = evaluate(Table([[1.0], [2.0]]), Pictures(indices(2).images, torch.tensor([[1], [0]])))
    assert found == {"top1": 0.5, "top5": 0.5, "mAP": 0.5}


def frozen_norm():
    """In train mode but for its norm, whose statistics stay."""
    net = network().train()
    net[2].eval()
    return net


def test_a_frozen_norm_keeps_its_mode_and_its_statistics():
    net = frozen_norm()
    evaluate(net, pictures())
    assert [m.training for m in net] == [m.training for m in frozen_norm()]
    modes, before = [], copy.deepcopy(net[2])
    net.register_forward_pre_hook(lambda *_: modes.append((net.training, net[2].training)))
    run = fit(net, pictures(), RECIPE, after_epoch=lambda row, net: net(pictures(2).images))
    assert modes == ([(True, False)] * 5 + [(False, False)]) * 3
    assert torch.equal(net[2].running_mean, before.running_mean) and torch.equal(net[2].running_var, before.running_var)
    assert not torch.equal(net[2].weight, before.weight) and not any(m.training for m in run.network.modules())


def test_a_network_in_eval_mode_is_trained_whole():
    one, other = network().eval(), network().train()
    fit(one, pictures(), RECIPE), fit(other, pictures(), RECIPE)
    assert same(one, other) and not torch.equal(one[2].running_mean, network()[2].running_mean)


@pytest.mark.parametrize("training", [True, False])
def test_evaluating_leaves_the_network_as_it_was(training):
    net = network().train(training)
    before = copy.deepcopy(net)
    assert evaluate(net, pictures()) == evaluate(net, Items(pictures()), batch=7)
    assert net.training == net[2].training == training and same(net, before)
    assert all(p.grad is None for p in net.parameters())


# -- recipes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size": 0}, "size must be a number greater than 0, got 0"),
        ({"epochs": -1}, "epochs must be a number greater than 0, got -1"),
        ({"batch": 0}, "batch must be a number greater than 0, got 0"),
        ({"accumulate": 0}, "accumulate must be a number greater than 0, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a number greater than 0, got 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number greater than 0, got nan"),
        ({"learning_rate": float("inf")}, "learning_rate must be a number greater than 0, got inf"),
        ({"smoothing": 1.0}, "smoothing is a share from 0 to 1, got 1.0"),
        ({"accumulate": 5}, "a batch of 32 cannot be cut into 5 equal parts"),
        ({"precision": "fp8"}, "precision is auto, no, bf16 or fp16, got 'fp8'"),
        ({"growing": (1.5, 0.5)}, "growing is two shares from 0 to 1, got (1.5, 0.5)"),
        ({"growing": [0.5]}, "growing is two shares from 0 to 1, got (0.5,)"),
        ({"seed": -1}, "seed is a whole number from 0 to 134217727, got -1"),
        ({"seed": 2**27}, "seed is a whole number from 0 to 134217727, got 134217728"),
    ],
)  # fmt: skip
def test_recipes_that_cannot_be_meant_are_refused(changes, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        Recipe().but(**changes)


def test_the_highest_seed_still_gives_steps():
    recipe = RECIPE.but(seed=2**27 - 1, epochs=1)
    assert len(fit(network(), Items(pictures()), recipe).rows) == len(fit(network(), pictures(), recipe).rows) == 1


def test_a_recipe_does_not_change():
    changed = Recipe().but(growing=[1, 0])
    assert changed != Recipe() and changed.growing == (1, 0) and Recipe().growing == (0.75, 0.65)
    with pytest.raises(TypeError, match="hue"):
        Recipe().but(hue=2)
    with pytest.raises(AttributeError):
        changed.size = 3
    assert Recipe().same_weights() == Recipe(compile=True).same_weights() != Recipe(precision="no").same_weights()


def test_pictures_grow_in_the_epochs_asked_for():
    assert [Recipe(size=64, epochs=13).side(e) for e in range(13)] == [48] * 8 + [64] * 5
    assert [PRESETS["course"].side(e) for e in range(14)] == [64] * 8 + [128] * 6
    assert {Recipe(growing=(1, 0)).side(e) for e in range(13)} == {64}


@given(st.integers(1, 300), st.integers(1, 40), st.floats(0, 1), st.floats(0, 1))
def test_growing_pictures_never_shrink_and_end_at_their_size(size, epochs, share, until):
    sides = [Recipe(size=size, epochs=epochs, growing=(share, until)).side(e) for e in range(epochs + 1)]
    assert sides == sorted(sides) and sides[-1] == size and sides[0] >= min(8, size)


def test_half_precision_is_a_context_that_gives_what_fit_computes_in():
    """On a machine that is no faster so, nothing changes."""
    x = torch.randn(4, 3)
    with half_precision("cpu"):
        y = torch.nn.functional.linear(x, torch.eye(3))
    assert y.dtype == (torch.bfloat16 if fast_precision(torch.device("cpu")) == "bf16" else torch.float32)
    assert torch.allclose(y.float(), x, rtol=0.01, atol=0.01)
