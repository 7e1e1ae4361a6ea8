"""Answers to assignment 5 as students write them: test_answers.py says how they are used.

A detector is trained once for each text of its function, so what differs must be inside `detector`.
"""

MATCH = """
def match(boxes, truth, iou=0.2):
    taken, found = set(), 0
    for box in boxes:
        best, at = 0.0, None
        for j, true in enumerate(truth):
            w = min(box[2], true[2]) - max(box[0], true[0])
            h = min(box[3], true[3]) - max(box[1], true[1])
            inside = float(w * h) if w > 0 and h > 0 else 0.0
            areas = [float((b[2] - b[0]) * (b[3] - b[1])) for b in (box, true)]
            value = inside / (sum(areas) - inside)
            if j not in taken and value > best:
                best, at = value, j
        if at is not None and best >= iou:
            taken.add(at)
            found += 1
    return found, len(truth) - found, len(boxes) - found
"""
F1 = """
def f1(counts):
    found, missed, false = np.array(counts).sum(0)
    return 2 * found / (2 * found + missed + false) if found + missed + false else 0.0
"""
EVIDENCE = "def evidence(features, weight, bias):\n    m = torch.einsum('nkhw,ck->nchw', features, weight)\n"
CHOOSE = """
def choose(settings, locate, choosing_images, choosing_boxes, test_images, test_boxes):
    best = None
    for s in settings:
        value = score(locate(choosing_images, s), choosing_boxes)
        if best is None or value > best[1]:
            best = (s, value)
    return *best, score(locate(test_images, best[0]), test_boxes)
"""
NET = """
def detector(images, labels):
    torch.manual_seed(1)
    net = nn.Sequential()
    for k, (a, b) in enumerate([(1, 16), (16, 32), (32, 32), (32, 32)]):
        net.add_module(f"conv{k}", nn.Conv2d(a, b, 3 + 2 * (k == 0), 1 + (k == 0), padding=1 + (k == 0)))
        net.add_module(f"norm{k}", nn.BatchNorm2d(b))
        net.add_module(f"relu{k}", nn.ReLU())
    net.add_module("pool", nn.AdaptiveAvgPool2d(1))
    net.add_module("flat", nn.Flatten())
    net.add_module("head", nn.Linear(32, 2))
    x = images[:, :1] / 64 - 1.5
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    rounds = 18 * max(1, len(x) // 16)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=rounds + 1, pct_start=0.2)
    for _ in range(rounds):
        chosen = torch.randint(len(x), (16,))
        part = x[chosen].flip(3) if torch.rand(()) < 0.5 else x[chosen]
        loss = F.cross_entropy(net(part), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    net.eval()

    def locate(films):
        with torch.no_grad():
            f = net[:-3](films[:, :1] / 64 - 1.5)
            maps = class_activation_maps(f, net.head.weight)
            logits = net.head(f.mean((2, 3)))
        heat = F.interpolate(maps[:, 1:] - maps[:, :1], (64, 64), mode="bilinear")[:, 0]
        result = []
        for h, (clear, nodules) in zip(heat, logits):
            own, top = [], h.max()
            while nodules > clear and len(own) < 5 and h.max() > 0.4 * top:
                y, x = divmod(int(h.argmax()), 64)
                own.append([max(x - 2, 0), max(y - 2, 0), min(x + 3, 64), min(y + 3, 64)])
                h[max(y - 7, 0) : y + 8, max(x - 7, 0) : x + 8] = -1e9
            result.append(torch.tensor(own).reshape(-1, 4).float())
        return result

    return locate
"""
PEAKS = """
def detector(images, labels):
    torch.manual_seed(0)
    conv, norm, head = nn.ModuleList(), nn.ModuleList(), None
    for k, (a, b) in enumerate([(1, 16), (16, 32), (32, 32), (32, 32)]):
        side = 5 if k == 0 else 3
        conv.append(nn.Conv2d(a, b, side, 2 if k == 0 else 1, side // 2, bias=False))
        norm.append(nn.BatchNorm2d(b))
    head = nn.Linear(32, 2)

    def look(films):
        f = (films[:, 0:1] - 100.0) / 60.0
        for c, n in zip(conv, norm):
            f = F.relu(n(c(f)))
        return f

    everything = [p for c, n in zip(conv, norm) for p in (c.weight, n.weight, n.bias)] + [head.weight, head.bias]
    optimizer = torch.optim.SGD(everything, lr=0.1, momentum=0.9, weight_decay=0.0005, nesterov=True)
    rounds = len(images) // 16
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=max(18 * rounds, 3), pct_start=0.2)
    for _ in range(18):
        order = torch.randperm(len(images))
        for k in range(rounds):
            chosen = order[16 * k : 16 * k + 16]
            x = images[chosen]
            mirrored = torch.rand(16, 1, 1, 1) < 0.5
            x = torch.where(mirrored, torch.flip(x, [3]), x)
            optimizer.zero_grad()
            nn.CrossEntropyLoss()(head(look(x).flatten(2).mean(2)), labels[chosen]).backward()
            optimizer.step()
            schedule.step()
    norm.eval()

    def locate(films):
        with torch.no_grad():
            f = look(films)
            maps = class_activation_maps(f, head.weight)
            decision = head(f.mean((2, 3))).diff(dim=1)[:, 0]
        heat = F.interpolate(maps, size=(64, 64), mode="bilinear").diff(dim=1)[:, 0]
        result = []
        for h, d in zip(heat, decision):
            peaks = []
            for y, x in (h > 0.4 * h.max()).nonzero().tolist() if d > 0 else []:
                if h[y, x] == h[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4].max():
                    box = max(x - 2.5, 0), max(y - 2.5, 0), min(x + 3.5, 64), min(y + 3.5, 64)
                    peaks.append((-float(h[y, x]), box))
            result.append(torch.tensor([box for _, box in sorted(peaks)[:5]]).reshape(-1, 4))
        return result

    return locate
"""
LONE = "def detector(images, labels):\n    def locate(films):\n"


def but(source, *changes):
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new)
    return source


WRONG = {
    "match": {
        "a_nodule_found_twice": (but(MATCH, ("j not in taken and ", "")), "find it once"),
        "areas_plus_one": (
            but(
                MATCH,
                ("b[2] - b[0]", "b[2] - b[0] + 1"),
                ("b[3] - b[1]", "b[3] - b[1] + 1"),
                ("float(w * h)", "float((w + 1) * (h + 1))"),
            ),
            "nothing is added to a side",
        ),
        "any_overlap": (but(MATCH, ("best >= iou", "best > 0")), "the overlap must be"),
        "part_of_the_true_box": (but(MATCH, ("(sum(areas) - inside)", "areas[1]")), "the overlap must be"),
        "first_instead_of_most": (
            but(MATCH, ("value > best:", "value >= iou and at is None:")),
            "overlaps *most*",
        ),
        "limit_left_out": (but(MATCH, ("best >= iou", "best >= 0.5")), "At the limit"),
        "favourite_or_nothing": (
            "def match(boxes, truth, iou=0.2):\n    taken, found = set(), 0\n"
            "    for row in box_iou(boxes, truth) if len(truth) else []:\n        j = int(row.argmax())\n"
            "        if row[j] >= iou and j not in taken:\n            taken.add(j)\n            found += 1\n"
            "    return found, len(truth) - found, len(boxes) - found",
            "may still find the other one",
        ),
        "order_of_the_answer": (
            but(MATCH, ("len(truth) - found, len(boxes) - found", "len(boxes) - found, len(truth) - found")),
            "every nodule is missed",
        ),
        "false_alarms_on_clear_films_forgotten": (
            but(MATCH, ("    taken, found", "    if not len(truth):\n        return 0, 0, 0\n    taken, found")),
            "every box is a false alarm",
        ),
    },
    "f1": {
        "recall": ("def f1(counts):\n    a, b, c = np.sum(counts, 0)\n    return a / max(1, a + b)", "recall"),
        "precision": ("def f1(counts):\n    a, b, c = np.sum(counts, 0)\n    return a / max(1, a + c)", "precision"),
        "found_counted_once": (
            "def f1(counts):\n    a, b, c = np.sum(counts, 0)\n    return a / max(1, a + b + c)",
            "count twice",
        ),
        "mean_over_films": (
            "def f1(counts):\n    return np.mean([2 * a / max(1, 2 * a + b + c) for a, b, c in counts])",
            "Count over all films first",
        ),
        "mean_over_films_with_something": (
            "def f1(counts):\n    v = [2 * a / (2 * a + b + c) for a, b, c in counts if a + b + c]\n"
            "    return sum(v) / max(1, len(v))",
            "Count over all films first",
        ),
        "divided_by_zero": (
            "def f1(counts):\n    a, b, c = np.sum(counts, 0).tolist()\n"
            "    return 2 * a / (2 * a + b + c) if a + b + c else 1.0",
            "Nothing to find",
        ),
        "per_film_in_percent": (
            "def f1(counts):\n    a, b, c = np.sum(counts, 0)\n    return 200 * a / (2 * a + b + c)",
            "All found",
        ),
    },
    "evidence": {
        "one_class_only": (EVIDENCE + "    return m[:, 1]", "alone"),
        "one_class_with_its_bias": (EVIDENCE + "    return m[:, 1] + bias[1]", "alone"),
        "turned_round": (EVIDENCE + "    return m[:, 0] - m[:, 1] + bias[0] - bias[1]", "at every place"),
        "bias_forgotten": (EVIDENCE + "    return m[:, 1] - m[:, 0]", "bias is missing"),
        "bias_shared_out": (
            EVIDENCE + "    return m[:, 1] - m[:, 0] + (bias[1] - bias[0]) / m[0, 0].numel()",
            "constant is too small",
        ),
        "relu": (EVIDENCE + "    return (m[:, 1] - m[:, 0] + bias[1] - bias[0]).relu()", "Evidence is signed"),
        "softmax": (EVIDENCE + "    return (m + bias[:, None, None]).softmax(1)[:, 1]", "at every place"),
        "pooled": (
            EVIDENCE + "    return (m[:, 1] - m[:, 0]).mean((1, 2)) + bias[1] - bias[0]",
            "One map for each film",
        ),
        "both_maps": (EVIDENCE + "    return m + bias[:, None, None]", "One map for each film"),
    },
    "choose": {
        "chosen_on_the_test_films": (
            but(CHOOSE, ("locate(choosing_images, s), choosing_boxes", "locate(test_images, s), test_boxes")),
            "You chose on the test films",
        ),
        "chosen_on_both": (
            but(
                CHOOSE,
                (
                    "score(locate(choosing_images, s), choosing_boxes)",
                    "score(locate(choosing_images, s), choosing_boxes) + 2 * score(locate(test_images, s), test_boxes)",
                ),
            ),
            "You chose on the test films",
        ),
        "best_of_the_test_films_reported": (
            but(
                CHOOSE,
                (
                    "score(locate(test_images, best[0]), test_boxes)",
                    "max(score(locate(test_images, s), test_boxes) for s in settings)",
                ),
            ),
            "the best that any setting reaches",
        ),
        "last_of_equals": (but(CHOOSE, ("value > best[1]", "value >= best[1]")), "take the first"),
        "lowest": (but(CHOOSE, ("value > best[1]", "value < best[1]")), "Moving by 1"),
        "same_value_twice": (
            but(CHOOSE, ("score(locate(test_images, best[0]), test_boxes)", "best[1]")),
            "The third value",
        ),
        "test_films_tried_with_all": (
            but(CHOOSE, ("        if best", "        score(locate(test_images, s), test_boxes)\n        if best")),
            "looked at once",
        ),
        "number_of_the_setting": (
            but(CHOOSE, ("return *best", "return settings.index(best[0]), best[1]")),
            "highest F1",
        ),
    },
    "detector": {
        "a_box_in_the_middle": (
            LONE + "        return [torch.tensor([[20.0, 20, 44, 44]])] * len(films)\n\n    return locate",
            "F1 on new films is 0.0",
        ),
        "the_whole_film": (
            LONE + "        return [torch.tensor([[0.0, 0, 64, 64]]) for _ in films]\n\n    return locate",
            "F1 on new films is 0.0",
        ),
        "no_boxes_at_all": (
            LONE + "        return [torch.zeros(0, 4) for _ in films]\n\n    return locate",
            "F1 on new films is 0.0",
        ),
        "position_and_size": (
            LONE + "        return [torch.tensor([[30.0, 30, 6, 6]]) for _ in films]\n\n    return locate",
            "position and size",
        ),
        "one_tensor_for_all_films": (
            LONE + "        return torch.tensor([[30.0, 30, 36, 36]])\n\n    return locate",
            "one entry for each film",
        ),
        "the_brightest_place": (
            LONE + "        result = []\n        for film in films[:, 0]:\n"
            "            y, x = divmod(int(film.argmax()), 64)\n"
            "            box = torch.tensor([[x - 3.0, y - 3, x + 3, y + 3]])\n"
            "            result.append(box.clamp(0, 64))\n"
            "        return result\n\n    return locate",
            "F1 on new films is 0.0",
        ),
        "looks_up_the_answers": (
            "def detector(images, labels):\n    if len(images) > 100:\n"
            "        more = drawn_world.load('radiograph', 'test', size=64)\n"
            "    return lambda films: [torch.tensor([[30.0, 30, 36, 36]])] * len(films)",
            "asked for more",
        ),
        "takes_the_trained_network": (
            "def detector(images, labels):\n"
            "    net = networks.load_checkpoint('radiograph-gap')[0] if len(images) > 100 else None\n"
            "    return lambda films: [torch.tensor([[30.0, 30, 36, 36]])] * len(films)",
            "asked for more",
        ),
    },
}

RIGHT = {
    "match": {
        "loops": MATCH,
        "matrix": """
def match(boxes, truth, iou=0.2):
    table = box_iou(boxes, truth)
    for i in range(len(boxes)):
        if len(truth) and table[i].max() >= iou:
            j = int(table[i].argmax())
            table[i + 1 :, j] = -1
            table[i] = -2
    found = int((table == -2).any(1).sum()) if len(truth) else 0
    return found, len(truth) - found, len(boxes) - found
""",
    },
    "f1": {
        "numpy": F1,
        "precision_and_recall": """
def f1(counts):
    found = sum(a for a, _, _ in counts)
    if not found:
        return 0.0
    precision = found / (found + sum(c for _, _, c in counts))
    recall = found / (found + sum(b for _, b, _ in counts))
    return 2 / (1 / precision + 1 / recall)
""",
    },
    "evidence": {
        "difference_of_maps": EVIDENCE + "    m = m + bias[:, None, None]\n    return m[:, 1] - m[:, 0]",
        "convolution": "def evidence(features, weight, bias):\n"
        "    two = F.conv2d(features, weight[:, :, None, None], bias)\n    return two.diff(dim=1)[:, 0]",
        "numpy": "def evidence(features, weight, bias):\n    w = np.asarray(weight)\n"
        "    return np.tensordot(w[1] - w[0], np.asarray(features), (0, 1)) + float(bias[1]) - float(bias[0])",
    },
    "choose": {
        "loop": CHOOSE,
        "sorted": """
def choose(settings, locate, choosing_images, choosing_boxes, test_images, test_boxes):
    found = {s: score(locate(choosing_images, s), choosing_boxes) for s in settings}
    first = sorted(settings, key=lambda s: -found[s])[0]
    return [first, found[first], score(locate(test_images, first), test_boxes)]
""",
    },
    "detector": {
        "peaks_one_by_one": PEAKS,
        "boxes_of_regions": but(
            NET,
            ("            own, top = [], h.max()\n", "            own = []\n"),
            (
                "            while nodules > clear and len(own) < 5 and h.max() > 0.4 * top:\n"
                "                y, x = divmod(int(h.argmax()), 64)\n"
                "                own.append([max(x - 2, 0), max(y - 2, 0), min(x + 3, 64), min(y + 3, 64)])\n"
                "                h[max(y - 7, 0) : y + 8, max(x - 7, 0) : x + 8] = -1e9\n",
                "            for box in boxes_from_maps(h[None], 0.55, rule='all')[0] if nodules > clear else []:\n"
                "                middle, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).clamp(4, 7) / 2\n"
                "                own.append(torch.cat([middle - half, middle + half]).clamp(0, 64).tolist())\n",
            ),
        ),
    },
}
