"""Answers to assignment 3 as students write them: test_answers.py says how they are used."""

GAP = """
def gap_from_dense(network, units, classes):
    new = nn.Sequential()
    new.add_module("trunk", copy.deepcopy(network.trunk))
    new.add_module("pool", nn.AdaptiveAvgPool2d(1))
    new.add_module("flatten", nn.Flatten())
    new.add_module("head", nn.Linear(units, classes))
    return new.eval()
"""
HEAD = """
def fit_head(network, images, labels, steps=200):
    network.eval()
    optimizer = torch.optim.SGD(network[-1].parameters(), 1.0, momentum=0.9)
    for _ in range(steps):
        with torch.no_grad():
            pooled = network[:-1](images)
        loss = F.cross_entropy(network[-1](pooled), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network
"""
TWINS = """
def twins(make, train, seed):
    torch.manual_seed(seed)
    average = train(make("avg"))
    torch.manual_seed(seed)
    maximum = train(make("max"))
    return {"avg": average, "max": maximum}
"""
EXTENT = """
def extent(maps, masks, threshold=0.2):
    covered, area = [], []
    for heat, mask in zip(maps, masks):
        hot = heat > threshold * heat.max()
        if heat.max() <= 0:
            hot = torch.zeros_like(mask)
        covered.append((hot & mask).sum() / mask.sum())
        area.append(hot.double().mean())
    return torch.stack(covered), torch.stack(area)
"""
GEOMETRY = """
def geometry(layers, size):
    step = field = 1
    for k, s, p, d in layers:
        size = (size + 2 * p - d * (k - 1) - 1) // s + 1
        field = field + d * (k - 1) * step
        step = step * s
    return size, step, field
"""
FINER = """
def finer(trunk):
    new, far = [], 1
    for layer in trunk:
        layer = copy.deepcopy(layer)
        if isinstance(layer, nn.Conv2d):
            far_now = far
            far *= layer.stride[0]
            layer.stride = (1, 1)
            layer.dilation = tuple(far_now * d for d in layer.dilation)
            layer.padding = tuple(far_now * p for p in layer.padding)
        new.append(layer)
    return nn.Sequential(*new).eval()
"""


def but(source, *changes):
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


WRONG = {
    "gap_from_dense": {
        "max_pooling": (but(GAP, ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d")), "That is max pooling"),
        "old_pooling_kept": (
            but(GAP, ("nn.AdaptiveAvgPool2d(1)", "nn.Sequential(network.pool, nn.AdaptiveAvgPool2d(1))")),
            "still there",
        ),
        "hidden_layer_kept": (
            but(
                GAP,
                ("nn.Linear(units, classes)", "nn.Sequential(nn.Linear(units, 10), nn.ReLU(), nn.Linear(10, classes))"),
            ),
            "more than one linear layer",
        ),
        "trunk_not_copied": (but(GAP, ("copy.deepcopy(network.trunk)", "network.trunk")), "shares its trunk"),
        "trunk_untrained": (
            but(GAP, ("copy.deepcopy(network.trunk)", "copy.deepcopy(small_dense().trunk)")),
            "all that it had learnt is lost",
        ),
        "only_flattened": (
            but(GAP, ("nn.AdaptiveAvgPool2d(1)", "nn.Identity()"), ("nn.Linear(units,", "nn.Linear(units * 64,")),
            "one size of picture",
        ),
        "average_of_four_by_four_flattened": (
            but(GAP, ("AdaptiveAvgPool2d(1)", "AdaptiveAvgPool2d(4)"), ("nn.Linear(units,", "nn.Linear(units * 16,")),
            "one number for each unit",
        ),
        "training_mode": (but(GAP, ("new.eval()", "new.train()")), "in training mode"),
        "softmax_added": (
            but(GAP, ("nn.Linear(units, classes)", "nn.Sequential(nn.Linear(units, classes), nn.Softmax(1))")),
            "something stand in between",
        ),
    },
    "fit_head": {
        "everything_trained": (
            but(
                HEAD,
                ("network[-1].parameters()", "network.parameters()"),
                ("with torch.no_grad():", "if True:"),
                ("1.0, momentum=0.9", "0.1"),
            ),
            "weights have changed too",
        ),
        "norms_in_training_mode": (
            but(HEAD, ("network.eval()\n", "network.train()\n"), ("return network", "return network.eval()")),
            "running statistics",
        ),
        "left_in_training_mode": (but(HEAD, ("return network", "return network.train()")), "not in eval mode"),
        "no_step": (but(HEAD, ("        optimizer.step()\n", "")), "that it had before"),
        "gradients_add_up": (but(HEAD, ("        optimizer.zero_grad()\n", "")), "often wrong"),
        "uphill": (but(HEAD, ("loss.backward()", "(-loss).backward()")), "often wrong"),
        "a_copy_trained": (
            but(HEAD, ("    network.eval()\n", "    network = copy.deepcopy(network).eval()\n")),
            "trained in place",
        ),
        "labels_ignored": (
            but(HEAD, ("labels)\n        opt", "labels[torch.randperm(len(labels))])\n        opt")),
            "often wrong",
        ),
    },
    "twins": {
        "never_seeded": (but(TWINS, ("    torch.manual_seed(seed)\n", "")), "different weights"),
        "seeded_once": (TWINS.replace("    torch.manual_seed(seed)\n    maximum", "    maximum"), "different weights"),
        "seeded_before_making_only": (
            "def twins(make, train, seed):\n    nets = {}\n    for pool in ('avg', 'max'):\n"
            "        torch.manual_seed(seed)\n        nets[pool] = make(pool)\n"
            "    return {pool: train(net) for pool, net in nets.items()}",
            "different dice",
        ),
        "same_pooling_twice": (but(TWINS, ('make("max")', 'make("avg")')), "other one's pooling"),
        "exchanged": (
            but(TWINS, ('"avg": average, "max": maximum', '"avg": maximum, "max": average')),
            "other one's pooling",
        ),
        "untrained_returned": (
            "def twins(make, train, seed):\n    nets = {}\n    for pool in ('avg', 'max'):\n"
            "        torch.manual_seed(seed)\n        nets[pool] = make(pool)\n"
            "        train(nets[pool])\n    return nets",
            "not what it returned",
        ),
        "seed_of_my_own": (but(TWINS, ("manual_seed(seed)", "manual_seed(0)")), "`seed` is not used"),
        "trained_twice": (
            but(TWINS, ('train(make("avg"))', 'train(train(make("avg")))')),
            "trained once",
        ),
    },
    "extent": {
        "part_of_the_region_on_the_object": (
            but(EXTENT, ("(hot & mask).sum() / mask.sum()", "(hot & mask).sum() / hot.sum().clamp_min(1)")),
            "part of the region that lies",
        ),
        "iou": (
            but(EXTENT, ("(hot & mask).sum() / mask.sum()", "(hot & mask).sum() / (hot | mask).sum()")),
            "two of them are hot",
        ),
        "absolute_threshold": (but(EXTENT, ("threshold * heat.max()", "threshold")), "not a number on its scale"),
        "one_maximum_for_all": (but(EXTENT, ("threshold * heat.max()", "threshold * maps.max()")), "its own maximum"),
        "minmax": (
            but(EXTENT, ("heat > threshold * heat.max()", "heat - heat.min() > threshold * (heat.max() - heat.min())")),
            "from its minimum",
        ),
        "absolute_values": (
            but(
                EXTENT,
                ("heat > threshold * heat.max()", "heat.abs() > threshold * heat.abs().max()"),
                ("heat.max() <= 0", "False"),
            ),
            "Negative values are no heat",
        ),
        "threshold_of_the_paper_always": (but(EXTENT, ("threshold * heat.max()", "0.2 * heat.max()")), "You use 0.2"),
        "means_over_pictures": (
            but(
                EXTENT,
                ("torch.stack(covered), torch.stack(area)", "torch.stack(covered).mean(), torch.stack(area).mean()"),
            ),
            "One number for each picture",
        ),
        "evidence_of_a_negative_map": (
            "def extent(maps, masks, threshold=0.2):\n"
            "    region = maps >= maps.flatten(1).max(1).values[:, None, None].clamp_max(1e9) * threshold\n"
            "    region |= (maps.amax((1, 2), keepdim=True) <= 0)\n"
            "    return (region & masks).sum((1, 2)) / masks.sum((1, 2)), region.double().mean((1, 2))",
            "no hot region",
        ),
    },
    "geometry": {
        "field_without_steps": (but(GEOMETRY, ("d * (k - 1) * step", "d * (k - 1)")), "count in steps"),
        "field_without_dilation": (but(GEOMETRY, ("field + d * (k", "field + (k")), "count in steps"),
        "places_without_dilation": (but(GEOMETRY, ("p - d * (k - 1)", "p - (k - 1)")), "all of a window must fit"),
        "size_divided_by_strides": (
            but(GEOMETRY, ("(size + 2 * p - d * (k - 1) - 1) // s + 1", "size // s")),
            "all of a window must fit",
        ),
        "rounded_up": (
            but(
                GEOMETRY, ("(size + 2 * p - d * (k - 1) - 1) // s + 1", "-((size + 2 * p - d * (k - 1) - 1) // -s) + 1")
            ),
            "all of a window must fit",
        ),
        "first_place_forgotten": (but(GEOMETRY, ("// s + 1", "// s")), "keeps 32 places"),
        "strides_added": (but(GEOMETRY, ("step = step * s", "step = step + s - 1")), "strides multiply"),
        "kernels_added": (but(GEOMETRY, ("field + d * (k - 1) * step", "field + k")), "sees 3 pixels"),
        "step_before_field": (
            but(
                GEOMETRY,
                (
                    "        field = field + d * (k - 1) * step\n        step = step * s\n",
                    "        step = step * s\n        field = field + d * (k - 1) * step\n",
                ),
            ),
            "count in steps",
        ),
    },
    "finer": {
        "strides_taken_away_only": (
            but(FINER, ("far_now * d for", "d for"), ("far_now * p for", "p for")),
            "which neighbours",
        ),
        "padding_forgotten": (but(FINER, ("far_now * p for", "p for")), "place for every pixel"),
        "dilated_itself_too": (
            but(
                FINER,
                (
                    "far_now = far\n            far *= layer.stride[0]",
                    "far *= layer.stride[0]\n            far_now = far",
                ),
            ),
            "which neighbours",
        ),
        "two_for_ever": (
            but(FINER, ("far *= layer.stride[0]", "far = max(far, layer.stride[0])")),
            "the steps multiply",
        ),
        "only_the_next_layer": (but(FINER, ("far *= layer.stride[0]", "far = layer.stride[0]")), "multiply"),
        "weights_made_anew": (
            but(
                FINER,
                (
                    "        new.append(layer)",
                    "        if hasattr(layer, 'reset_parameters'):\n            layer.reset_parameters()\n"
                    "        new.append(layer)",
                ),
            ),
            "stays as it is",
        ),
        "the_given_one_changed": (but(FINER, ("        layer = copy.deepcopy(layer)\n", "")), "Work on a copy"),
        "the_courses_function": ("def finer(trunk):\n    return networks.dilate(trunk, 1)", "write it yourself"),
        "upsampled": (
            "def finer(trunk):\n    s = 1\n    for m in trunk:\n"
            "        s *= m.stride[0] if isinstance(m, nn.Conv2d) else 1\n"
            "    return nn.Sequential(*copy.deepcopy(trunk), nn.Upsample(scale_factor=s, mode='bilinear')).eval()",
            "which neighbours",
        ),
    },
}

RIGHT = {
    "gap_from_dense": {
        "named": GAP,
        "whole_copy_cut": """
def gap_from_dense(network, units, classes):
    network = copy.deepcopy(network)
    head = nn.Linear(units, classes)
    return nn.Sequential(network.trunk, nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(1), head).train(False)
""",
    },
    "fit_head": {
        "momentum": HEAD,
        "logistic_regression": """
def fit_head(network, images, labels, steps=200):
    from sklearn.linear_model import LogisticRegression

    with torch.no_grad():
        pooled = network.eval()[:-1](images)
        found = LogisticRegression(C=1000, max_iter=2000).fit(pooled.numpy(), labels.numpy())
        network[-1].weight.copy_(torch.from_numpy(found.coef_))
        network[-1].bias.copy_(torch.from_numpy(found.intercept_))
    return network
""",
        "gradients_switched_off": """
def fit_head(network, images, labels, steps=200):
    network.eval().requires_grad_(False)
    network[-1].requires_grad_(True)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], 0.1)
    for _ in range(steps):
        loss = -network(images).log_softmax(1)[torch.arange(len(labels)), labels].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network
""",
    },
    "twins": {
        "one_after_the_other": TWINS,
        "state_of_the_dice_kept": """
def twins(make, train, seed):
    def one(pool):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return train(make(pool))

    return {pool: one(pool) for pool in ("max", "avg")}
""",
        "weights_copied": """
def twins(make, train, seed):
    torch.manual_seed(seed)
    first, second = make("avg"), make("max")
    second.load_state_dict(first.state_dict())
    torch.manual_seed(seed)
    first = train(first)
    torch.manual_seed(seed)
    return dict(avg=first, max=train(second))
""",
    },
    "extent": {
        "loops": EXTENT,
        "numpy": """
def extent(maps, masks, threshold=0.2):
    maps, masks = np.asarray(maps), np.asarray(masks)
    peak = maps.max((1, 2), keepdims=True)
    hot = (maps > threshold * peak) * (peak > 0)
    return (hot * masks).sum((1, 2)) / masks.sum((1, 2)), hot.mean((1, 2))
""",
        "normalised_first": """
def extent(maps, masks, threshold=0.2):
    heat = maps.clamp_min(0)
    heat = heat / heat.flatten(1).max(1).values.clamp_min(1e-12)[:, None, None]
    hot = (heat > threshold).double()
    return torch.einsum("nhw,nhw->n", hot, masks.double()) / masks.flatten(1).double().sum(1), hot.mean((1, 2))
""",
    },
    "geometry": {
        "loop": GEOMETRY,
        "measured": """
def geometry(layers, size):
    step, field = 1, 1
    for k, s, _, d in layers:
        field, step = field + d * (k - 1) * step, step * s
    with torch.device("meta"):
        net = nn.Sequential(*[nn.Conv2d(1, 1, k, s, p, d) for k, s, p, d in layers])
        return net(torch.empty(1, 1, size, size)).shape[-1], step, field
""",
        "backwards": """
def geometry(layers, size):
    field = 1
    for k, s, p, d in reversed(layers):
        field = (field - 1) * s + d * (k - 1) + 1
    step = 1
    for k, s, p, d in layers:
        size = int((size + 2 * p - d * (k - 1) - 1) / s) + 1
        step *= s
    return np.array([size, step, field])
""",
    },
    "finer": {
        "layer_by_layer": FINER,
        "new_convolutions": """
def finer(trunk):
    far, layers = 1, []
    for old in trunk:
        if isinstance(old, nn.Conv2d):
            k, d = old.kernel_size[0], old.dilation[0] * far
            new = nn.Conv2d(old.in_channels, old.out_channels, k, 1, d * (k - 1) // 2, d, bias=old.bias is not None)
            new.load_state_dict(old.state_dict())
            far *= old.stride[0]
            layers.append(new)
        else:
            layers.append(copy.deepcopy(old))
    return nn.Sequential(*layers).eval()
""",
        "recursion": """
def finer(trunk, far=1):
    if len(trunk) == 0:
        return nn.Sequential()
    first = copy.deepcopy(trunk[0])
    then = far
    if isinstance(first, nn.Conv2d):
        then = far * first.stride[0]
        first.stride, first.dilation = (1, 1), (first.dilation[0] * far,) * 2
        first.padding = (first.padding[0] * far,) * 2
    return nn.Sequential(first, *finer(trunk[1:], then)).eval()
""",
    },
}
