"""Answers to assignment 4 as students write them: test_answers.py says how they are used."""

PROBE = "def probe_maps(features, v, a, mean, deviation):\n"
CONTROL = "def shuffled_control(fit, train_x, train_y, test_x, test_y, seed):\n    torch.manual_seed(seed)\n"
LIFT = """
def lift(maps, kinds, objects, threshold=0.2):
    above, below = [], []
    for heat, kind in zip(maps, kinds):
        if heat.max() <= 0:
            continue
        region = heat > threshold * heat.max()
        above.append([(region & (kind == k)).sum() / region.sum() for k in range(objects)])
        below.append([(kind == k).double().mean() for k in range(objects)])
    above, below = torch.tensor(above).double(), torch.tensor(below).double()
    return above.mean(0) / below.mean(0)
"""
SUSPECT = """
def suspect(maps, labels):
    best = None
    for c in labels.unique().tolist():
        heat = maps[labels == c].clamp_min(0)
        heat = heat / heat.amax((1, 2), keepdim=True).clamp_min(1e-9)
        mean = heat.mean(0)
        if best is None or mean.max() > best[0]:
            best = mean.max(), c, divmod(int(mean.argmax()), mean.shape[1])
    return best[1], best[2]
"""
PASTE = """
def paste_effect(predict, images, labels, patch, row, column, suspected):
    before = predict(images)
    changed = images.clone()
    changed[:, :, row : row + patch.shape[1], column : column + patch.shape[2]] = patch
    after = predict(changed)
    count = (labels != suspected) & (before != suspected)
    return ((after == suspected) & count).sum().item() / count.sum().item()
"""
REPAIR = "def repair(images, labels, row, column, height, width, suspected):\n    new = images.clone()\n"


def but(source, old, new):
    assert old in source, old
    return source.replace(old, new)


WRONG = {
    "probe_maps": {
        "scaled_weights_on_raw_features": (
            PROBE + "    return torch.einsum('nkhw,ck->nchw', features, v), a - v @ mean",
            "learnt on scaled features",
        ),
        "multiplied_by_the_deviation": (
            PROBE + "    return torch.einsum('nkhw,ck->nchw', features, v * deviation), a - (v / deviation) @ mean",
            "scaled the wrong way",
        ),
        "forgotten_shift_of_the_bias": (
            PROBE + "    return torch.einsum('nkhw,ck->nchw', features, v / deviation), a",
            "moved the zero point",
        ),
        "mean_subtracted_at_every_place": (
            PROBE + "    scaled = (features - mean[:, None, None]) / deviation[:, None, None]\n"
            "    return torch.einsum('nkhw,ck->nchw', scaled, v), a",
            "a constant has got into the places",
        ),
        "bias_at_every_place": (
            PROBE + "    w = v / deviation\n    b = a - w @ mean\n"
            "    return torch.einsum('nkhw,ck->nchw', features, w) + b[:, None, None], 0 * b",
            "a constant has got into the places",
        ),
        "pooled": (
            PROBE + "    w = v / deviation\n    return features.mean((2, 3)) @ w.T, a - w @ mean",
            "Maps keep their places",
        ),
        "relu": (
            PROBE + "    w = v / deviation\n"
            "    return torch.einsum('nkhw,ck->nchw', features, w).clamp_min(0), a - w @ mean",
            "Maps are signed",
        ),
        "shift_not_scaled": (
            PROBE + "    return torch.einsum('nkhw,ck->nchw', features, v / deviation), a - v @ mean",
            "is not the decision",
        ),
    },
    "shuffled_control": {
        "nothing_shuffled": (
            CONTROL + "    return float((fit(train_x, train_y)(test_x) == test_y).double().mean())",
            "nothing was broken",
        ),
        "pictures_and_labels_together": (
            CONTROL + "    p = torch.randperm(len(train_y))\n"
            "    return float((fit(train_x[p], train_y[p])(test_x) == test_y).double().mean())",
            "nothing was broken",
        ),
        "test_labels_shuffled_too": (
            CONTROL + "    p, q = torch.randperm(len(train_y)), torch.roll(torch.arange(len(test_y)), 1)\n"
            "    return float((fit(train_x, train_y[p])(test_x) == test_y[q]).double().mean())",
            "The test labels stay",
        ),
        "measured_on_the_training_pictures": (
            CONTROL + "    p = torch.randperm(len(train_y))\n"
            "    return float((fit(train_x, train_y[p])(train_x) == train_y).double().mean())",
            "measured on the test pictures",
        ),
        "drawn_with_replacement": (
            CONTROL + "    p = torch.randint(len(train_y), (len(train_y),))\n"
            "    return float((fit(train_x, train_y[p])(test_x) == test_y).double().mean())",
            "keeps how often each label occurs",
        ),
        "random_labels": (
            CONTROL + "    y = torch.randint(int(train_y.max()) + 1, train_y.shape)\n"
            "    return float((fit(train_x, y)(test_x) == test_y).double().mean())",
            "keeps how often each label occurs",
        ),
        "forgotten_seed": (
            "def shuffled_control(fit, train_x, train_y, test_x, test_y, seed):\n"
            "    p = torch.randperm(len(train_y))\n"
            "    return float((fit(train_x, train_y[p])(test_x) == test_y).double().mean())",
            "cannot be repeated",
        ),
        "seed_of_my_own": (
            CONTROL + "    torch.manual_seed(0)\n    p = torch.randperm(len(train_y))\n"
            "    return float((fit(train_x, train_y[p])(test_x) == test_y).double().mean())",
            "do not use the seed",
        ),
    },
    "frequency": {
        "share_of_pixels": (
            "def frequency(kinds, labels, scenes, objects):\n"
            "    return torch.stack([torch.stack([(kinds[labels == s] == k).double().mean() for k in range(objects)])"
            " for s in range(scenes)])",
            "share of pixels",
        ),
        "counts": (
            "def frequency(kinds, labels, scenes, objects):\n"
            "    there = torch.stack([(kinds == k).flatten(1).any(1) for k in range(objects)], 1)\n"
            "    return torch.stack([there[labels == s].sum(0) for s in range(scenes)])",
            "Did you count",
        ),
        "divided_by_all_pictures": (
            "def frequency(kinds, labels, scenes, objects):\n"
            "    there = torch.stack([(kinds == k).flatten(1).any(1) for k in range(objects)], 1).double()\n"
            "    return torch.stack([there[labels == s].sum(0) / len(labels) for s in range(scenes)])",
            "divided by all pictures",
        ),
        "nothing_counts_as_the_last_kind": (
            "def frequency(kinds, labels, scenes, objects):\n"
            "    there = torch.zeros(len(kinds), objects)\n"
            "    for i, kind in enumerate(kinds):\n        there[i, kind.flatten()] = 1\n"
            "    return torch.stack([there[labels == s].mean(0) for s in range(scenes)])",
            "-1 means that nothing",
        ),
        "transposed": (
            "def frequency(kinds, labels, scenes, objects):\n"
            "    there = torch.stack([(kinds == k).flatten(1).any(1) for k in range(objects)], 1).double()\n"
            "    return torch.stack([there[labels == s].mean(0) for s in range(scenes)], 1)",
            "A row for each scene",
        ),
        "only_the_first_pixel": (
            "def frequency(kinds, labels, scenes, objects):\n"
            "    there = torch.stack([kinds[:, 0, 0] == k for k in range(objects)], 1).double()\n"
            "    return torch.stack([there[labels == s].mean(0) for s in range(scenes)])",
            "The shares are wrong",
        ),
        "share_of_the_kinds_pictures": (
            "def frequency(kinds, labels, scenes, objects):\n"
            "    there = torch.stack([(kinds == k).flatten(1).any(1) for k in range(objects)], 1).double()\n"
            "    return torch.stack([there[labels == s].sum(0) for s in range(scenes)]) / there.sum(0).clamp_min(1)",
            "The shares are wrong",
        ),
    },
    "lift": {
        "overlap": (but(LIFT, "above.mean(0) / below.mean(0)", "above.mean(0)"), "its lift is 2"),
        "mean_of_ratios": (
            but(LIFT, "above.mean(0) / below.mean(0)", "(above / below).nanmean(0)"),
            "in every picture",
        ),
        "absolute_threshold": (but(LIFT, "threshold * heat.max()", "threshold"), "each map's own maximum"),
        "one_maximum_for_all": (but(LIFT, "threshold * heat.max()", "threshold * maps.max()"), "Some lifts are NaN"),
        "maps_without_evidence_count": (but(LIFT, "if heat.max() <= 0:", "if False:"), "Some lifts are NaN"),
        "only_pictures_that_hold_the_kind": (
            but(LIFT, "above.mean(0) / below.mean(0)", "above.sum(0) / (below > 0).sum(0) / below.mean(0)"),
            "without the kind count too",
        ),
        "part_of_the_kind_that_is_hot": (
            but(LIFT, ".sum() / region.sum() for", ".sum() / (kind == k).sum().clamp_min(1) for"),
            "its lift is 2",
        ),
        "pixels_pooled": (
            "def lift(maps, kinds, objects, threshold=0.2):\n"
            "    keep = maps.amax((1, 2)) > 0\n"
            "    region = maps[keep] > threshold * maps[keep].amax((1, 2), keepdim=True)\n"
            "    on = [kinds[keep] == k for k in range(objects)]\n"
            "    return torch.stack([(o & region).sum() / region.sum() / o.double().mean() for o in on])",
            "pooled pixels",
        ),
        "nan_replaced": (
            but(LIFT, "above.mean(0) / below.mean(0)", "(above.mean(0) / below.mean(0)).nan_to_num()"),
            "NaN",
        ),
    },
    "suspect": {
        "not_normalised": (
            but(SUSPECT, "heat = heat / heat.amax((1, 2), keepdim=True).clamp_min(1e-9)", "pass"),
            "very large numbers",
        ),
        "sum_over_pictures": (
            but(SUSPECT, "mean = heat.mean(0)", "mean = heat.sum(0)"),
            "most pictures",
        ),
        "cold_counts_as_hot": (but(SUSPECT, ".clamp_min(0)\n", ".abs()\n"), "cold", ["test-suspect"]),
        "most_heat_in_all": (
            but(
                SUSPECT,
                "mean.max() > best[0]:\n            best = mean.max()",
                "mean.mean() > best[0]:\n            best = mean.mean()",
            ),
            "hot at one place",
        ),
        "column_before_row": (
            but(SUSPECT, "mean.argmax()), mean.shape[1]", "mean.T.argmax()), mean.shape[0]"),
            "Row first",
            ["test-suspect"],
        ),
        "hottest_single_map": (
            "def suspect(maps, labels):\n    at = int(maps.argmax())\n    i, place = divmod(at, maps[0].numel())\n"
            "    return int(labels[i]), divmod(place, maps.shape[2])",
            "hot at one place",
        ),
        "position_not_label": (
            but(SUSPECT, "return best[1], best[2]", "return labels.unique().tolist().index(best[1]), best[2]"),
            "the label itself",
            ["test-suspect"],
        ),
        "hottest_pixel_of_all_maps_together": (
            "def suspect(maps, labels):\n    mean = maps.mean(0)\n"
            "    r, c = divmod(int(mean.argmax()), maps.shape[2])\n"
            "    return int(labels[maps[:, r, c].argmax()]), (r, c)",
            "very large numbers",
        ),
    },
    "paste_effect": {
        "already_called_so": (
            but(PASTE, "count = (labels != suspected) & (before != suspected)", "count = labels != suspected"),
            "neither hits nor pictures",
        ),
        "divided_by_all_others": (but(PASTE, "count.sum().item()", "(labels != suspected).sum().item()"), "divide by"),
        "own_class_counts": (
            but(PASTE, "count = (labels != suspected) & (before != suspected)", "count = before != suspected"),
            "suspected class itself",
        ),
        "any_change": (but(PASTE, "(after == suspected) & count", "(after != before) & count"), "every change"),
        "row_and_column_swapped": (
            but(
                PASTE,
                "row : row + patch.shape[1], column : column + patch.shape[2]",
                "column : column + patch.shape[1], row : row + patch.shape[2]",
            ),
            "not the other way round",
        ),
        "painted_on_the_originals": (but(PASTE, "images.clone()", "images"), "Work on a copy"),
        "accuracy_lost": (
            but(PASTE, "return ((after == suspected) & count)", "return ((after != labels) & (before == labels))"),
            "share is wrong",
        ),
    },
    "repair": {
        "suspected_class_only": (
            REPAIR
            + "    new[labels == suspected, :, row : row + height, column : column + width] = 128\n    return new",
            "*repair* tells",
        ),
        "all_but_the_suspected_class": (
            REPAIR
            + "    new[labels != suspected, :, row : row + height, column : column + width] = 128\n    return new",
            "still has its mark",
        ),
        "each_picture_its_own_mean": (
            REPAIR + "    fill = images.double().mean((1, 2, 3)).to(torch.uint8)[:, None, None, None]\n"
            "    new[:, :, row : row + height, column : column + width] = fill\n    return new",
            "differs from picture to picture",
        ),
        "row_and_column_swapped": (
            REPAIR + "    new[:, :, column : column + height, row : row + width] = 128\n    return new",
            "was changed",
        ),
        "height_and_width_swapped": (
            REPAIR + "    new[:, :, row : row + width, column : column + height] = 128\n    return new",
            "outside the box",
        ),
        "painted_on_the_originals": (
            REPAIR + "    images[:, :, row : row + height, column : column + width] = 128\n    return images",
            "Work on a copy",
        ),
        "suspected_pictures_left_out": (REPAIR + "    return new[labels != suspected]", "same kind come out"),
    },
}

RIGHT = {
    "probe_maps": {
        "loops": PROBE + "    maps = torch.zeros(len(features), len(v), *features.shape[2:])\n    bias = a.clone()\n"
        "    for c in range(len(v)):\n        for k in range(len(mean)):\n"
        "            maps[:, c] += v[c, k] / deviation[k] * features[:, k]\n"
        "            bias[c] -= v[c, k] * mean[k] / deviation[k]\n    return maps, bias",
        "convolution": PROBE + "    w = v / deviation\n"
        "    return torch.nn.functional.conv2d(features, w[:, :, None, None]), a - (w * mean).sum(1)",
        "numpy": PROBE + "    f, v, a, m, s = (np.asarray(x) for x in (features, v, a, mean, deviation))\n"
        "    return np.tensordot(f, v / s, (1, 1)).transpose(0, 3, 1, 2), a - (v / s).dot(m)",
    },
    "shuffled_control": {
        "global_seed": CONTROL + "    y = train_y[torch.randperm(len(train_y))]\n"
        "    return (fit(train_x, y)(test_x) == test_y).double().mean().item()",
        "numpy": "def shuffled_control(fit, train_x, train_y, test_x, test_y, seed):\n"
        "    y = torch.from_numpy(np.random.default_rng(seed).permutation(train_y.numpy()))\n"
        "    return np.mean(fit(train_x, y)(test_x).numpy() == test_y.numpy())",
        "pictures_shuffled_instead": CONTROL + "    x = train_x[torch.randperm(len(train_x))]\n"
        "    return float((fit(x, train_y)(test_x) == test_y).double().mean())",
    },
    "frequency": {
        "loops": "def frequency(kinds, labels, scenes, objects):\n    table = np.zeros((scenes, objects))\n"
        "    for kind, label in zip(kinds, labels):\n        for k in set(kind.flatten().tolist()) - {-1}:\n"
        "            table[int(label), k] += 1\n    return table / np.bincount(labels, minlength=scenes)[:, None]",
        "one_product": "def frequency(kinds, labels, scenes, objects):\n"
        "    there = torch.nn.functional.one_hot(kinds.flatten(1) + 1, objects + 1).amax(1)[:, 1:].double()\n"
        "    scene = torch.nn.functional.one_hot(labels, scenes).double()\n"
        "    return scene.T @ there / scene.sum(0)[:, None]",
    },
    "lift": {
        "loops": LIFT,
        "one_hot": "def lift(maps, kinds, objects, threshold=0.2):\n"
        "    on = torch.nn.functional.one_hot(kinds.flatten(1) + 1, objects + 1)[..., 1:].double()\n"
        "    flat = maps.flatten(1)\n"
        "    peak = flat.max(1, keepdim=True).values\n    hot = ((flat > threshold * peak) & (peak > 0)).double()\n"
        "    yes = hot.sum(1) > 0\n    share = torch.einsum('np,npk->nk', hot, on)[yes] / hot.sum(1)[yes, None]\n"
        "    return share.mean(0) / on[yes].mean((0, 1))",
    },
    "suspect": {
        "loops": SUSPECT,
        "votes": """
def suspect(maps, labels):
    best = (0, None, None)
    for c in np.unique(labels):
        own = maps[labels == int(c)]
        peaks = own.flatten(1).argmax(1)[own.amax((1, 2)) > 0]
        votes = torch.bincount(peaks, minlength=own[0].numel()).reshape(own.shape[1:]).double()
        votes = votes / len(own)
        if votes.max() > best[0]:
            top = int(votes.argmax())
            best = (float(votes.max()), int(c), (top // maps.shape[2], top % maps.shape[2]))
    return best[1], best[2]
""",
        "numpy": """
def suspect(maps, labels):
    maps, labels = np.maximum(np.asarray(maps), 0), np.asarray(labels)
    maps = maps / np.maximum(maps.max((1, 2), keepdims=True), 1e-9)
    means = np.stack([maps[labels == c].mean(0) for c in np.unique(labels)])
    c, r, k = np.unravel_index(means.argmax(), means.shape)
    return np.unique(labels)[c], (r, k)
""",
    },
    "paste_effect": {
        "both_predicted": PASTE,
        "one_by_one": """
def paste_effect(predict, images, labels, patch, row, column, suspected):
    hits = total = 0
    for image, label in zip(images, labels):
        if label == suspected or int(predict(image[None])) == suspected:
            continue
        image = image.clone()
        for y in range(patch.shape[1]):
            for x in range(patch.shape[2]):
                image[:, row + y, column + x] = patch[:, y, x]
        hits, total = hits + (int(predict(image[None])) == suspected), total + 1
    return hits / total
""",
        "numpy": """
def paste_effect(predict, images, labels, patch, row, column, suspected):
    new = np.asarray(images).copy()
    new[:, :, row : row + patch.shape[1], column : column + patch.shape[2]] = np.asarray(patch)
    old, said = np.asarray(predict(images)), np.asarray(predict(torch.from_numpy(new)))
    keep = (np.asarray(labels) != suspected) & (old != suspected)
    return np.mean(said[keep] == suspected)
""",
    },
    "repair": {
        "black": REPAIR + "    new[..., row : row + height, column : column + width] = 0\n    return new",
        "mean_patch_of_all": REPAIR + "    part = new[..., row : row + height, column : column + width]\n"
        "    part[:] = part.double().mean(0).to(torch.uint8)\n    return new",
        "mask": "def repair(images, labels, row, column, height, width, suspected):\n"
        "    keep = torch.ones(images.shape[2:], dtype=torch.uint8)\n"
        "    keep[row : row + height, column : column + width] = 0\n    return images * keep",
    },
}
