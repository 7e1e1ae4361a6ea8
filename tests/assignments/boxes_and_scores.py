"""Answers to assignment 2 as students write them: test_answers.py says how they are used."""

WRONG = {
    "hot": {
        "threshold_on_the_mean": (
            "def hot(heat, threshold):\n    return heat > threshold * heat.mean()",
            "part of the mean",
        ),
        "fixed_threshold": (
            "def hot(heat, threshold):\n    return heat > threshold",
            "a fixed value",
            ["test-hot", "test-hot-2"],
        ),
        "minmax": (
            """
def hot(heat, threshold):
    scaled = (heat - heat.min()) / (heat.max() - heat.min())
    return scaled > threshold
""",
            "Count from zero",
        ),
        "not_strict": (
            "def hot(heat, threshold):\n    return (heat >= threshold * heat.max()) & (heat.max() > 0)",
            "Above means >",
            ["test-hot", "test-hot-2"],
        ),
        "part_of_the_pixels": (
            "def hot(heat, threshold):\n    return heat > torch.quantile(heat, 1 - threshold)",
            "part of the pixels",
            ["test-hot-2", "test-hot-3"],
        ),
        "absolute_values": (
            "def hot(heat, threshold):\n    return heat.abs() > threshold * heat.abs().max()",
            "absolute values",
        ),
        "divided_by_a_negative_maximum": (
            "def hot(heat, threshold):\n    return heat / heat.max() > threshold",
            "nothing speaks for the class",
            ["test-hot-3"],
        ),
    },
    "largest": {
        "corners_do_not_touch": (
            """
def largest(mask):
    labels, count = ndimage.label(mask)
    if not count:
        return labels > 0
    return labels == 1 + np.bincount(labels.ravel())[1:].argmax()
""",
            "touch at a corner",
            ["test-largest", "test-largest-2"],
        ),
        "first_piece": (
            """
def largest(mask):
    return ndimage.label(mask, np.ones((3, 3)))[0] == 1
""",
            "the first piece",
            ["test-largest", "test-largest-2"],
        ),
        "all_pieces": (
            "def largest(mask):\n    return mask",
            "all pieces",
            ["test-largest", "test-largest-2"],
        ),
        "background_counted": (
            """
def largest(mask):
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    return labels == np.bincount(labels.ravel()).argmax()
""",
            "background",
        ),
        "largest_box": (
            """
def largest(mask):
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return labels > 0
    return labels == 1 + np.argmax([labels[box].size for box in ndimage.find_objects(labels)])
""",
            "Count pixels",
            ["test-largest-2"],
        ),
        "no_piece_forgotten": (
            """
def largest(mask):
    labels, _ = ndimage.label(mask, np.ones((3, 3)))
    return labels == 1 + np.bincount(labels.ravel())[1:].argmax()
""",
            "stopped with ValueError",
            ["test-largest-3"],
        ),
        "numbered": (
            "def largest(mask):\n    return ndimage.label(mask, np.ones((3, 3)))[0]",
            "values are not",
            ["test-largest", "test-largest-2"],
        ),
    },
    "box_around": {
        "x_y_swapped": (
            """
def box_around(mask):
    x, y = np.nonzero(mask)
    return x.min(), y.min(), x.max() + 1, y.max() + 1
""",
            "x and y are swapped",
        ),
        "last_pixel": (
            """
def box_around(mask):
    y, x = np.nonzero(mask)
    return x.min(), y.min(), x.max(), y.max()
""",
            "lie just outside",
        ),
        "width_and_height": (
            """
def box_around(mask):
    y, x = np.nonzero(mask)
    return x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1
""",
            "(x, y, width, height)",
        ),
        "rows_from_below": (
            """
def box_around(mask):
    y, x = np.nonzero(mask[::-1])
    return x.min(), y.min(), x.max() + 1, y.max() + 1
""",
            "Row 0 is at the top",
        ),
        "other_order": (
            """
def box_around(mask):
    y, x = np.nonzero(mask)
    return x.min(), x.max() + 1, y.min(), y.max() + 1
""",
            "The order is",
        ),
        "one_too_wide": (
            """
def box_around(mask):
    y, x = np.nonzero(mask)
    return x.min() - 1, y.min() - 1, x.max() + 1, y.max() + 1
""",
            "x1 and y1 belong to the box",
        ),
        "swapped_and_last_pixel": (
            """
def box_around(mask):
    where = np.argwhere(mask)
    return *where.min(0), *where.max(0)
""",
            "x and y are swapped",
        ),
    },
    "to_xyxy": {
        "x_y_swapped": (
            """
def to_xyxy(boxes):
    r, c, h, w = boxes.T
    return torch.stack([r, c, r + h, c + w], 1)
""",
            "x and y are swapped",
        ),
        "height_width_swapped": (
            """
def to_xyxy(boxes):
    r, c, h, w = boxes.T
    return torch.stack([c, r, c + h, r + w], 1)
""",
            "Height and width are swapped",
        ),
        "width_is_no_corner": (
            "def to_xyxy(boxes):\n    return boxes[:, [1, 0, 3, 2]]",
            "no corner",
        ),
        "last_pixel": (
            """
def to_xyxy(boxes):
    r, c, h, w = boxes.T
    return torch.stack([c, r, c + w - 1, r + h - 1], 1)
""",
            "no −1",
        ),
        "plus_one": (
            """
def to_xyxy(boxes):
    r, c, h, w = boxes.T
    return torch.stack([c, r, c + w + 1, r + h + 1], 1)
""",
            "no +1",
        ),
        "centre": (
            """
def to_xyxy(boxes):
    r, c, h, w = boxes.T
    return torch.stack([c - w / 2, r - h / 2, c + w / 2, r + h / 2], 1)
""",
            "not the centre",
        ),
        "changed_in_place": (
            """
def to_xyxy(boxes):
    boxes[:, 2:] += boxes[:, :2]
    return boxes[:, [1, 0, 3, 2]]
""",
            "You changed the table",
            ["test-to_xyxy-2"],
        ),
    },
    "to_rchw": {
        "x_y_swapped": (
            """
def to_rchw(boxes):
    x1, y1, x2, y2 = boxes.T
    return torch.stack([x1, y1, x2 - x1, y2 - y1], 1)
""",
            "x and y are swapped",
        ),
        "height_width_swapped": (
            """
def to_rchw(boxes):
    x1, y1, x2, y2 = boxes.T
    return torch.stack([y1, x1, x2 - x1, y2 - y1], 1)
""",
            "Height and width are swapped",
        ),
        "not_subtracted": ("def to_rchw(boxes):\n    return boxes[:, [1, 0, 3, 2]]", "Subtract where the box begins"),
        "plus_one": (
            """
def to_rchw(boxes):
    x1, y1, x2, y2 = boxes.T
    return torch.stack([y1, x1, y2 - y1 + 1, x2 - x1 + 1], 1)
""",
            "without + 1",
        ),
        "centre": (
            """
def to_rchw(boxes):
    x1, y1, x2, y2 = boxes.T
    return torch.stack([(y1 + y2) / 2, (x1 + x2) / 2, y2 - y1, x2 - x1], 1)
""",
            "not the centre",
        ),
        "negative_sides": (
            """
def to_rchw(boxes):
    x1, y1, x2, y2 = boxes.T
    return torch.stack([y1, x1, y1 - y2, x1 - x2], 1)
""",
            "Subtract the first corner",
        ),
        "changed_in_place": (
            """
def to_rchw(boxes):
    boxes[:, 2:] -= boxes[:, :2]
    return boxes[:, [1, 0, 3, 2]]
""",
            "You changed the table",
            ["test-to_rchw-2"],
        ),
    },
    "iou_matrix": {
        "plus_one": (
            """
def iou_matrix(a, b):
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    shared = (high - low + 1).clamp(min=0).prod(-1)
    one, two = ((boxes[:, 2:] - boxes[:, :2] + 1).prod(1) for boxes in (a, b))
    return shared / (one[:, None] + two - shared)
""",
            "without + 1",
        ),
        "not_cut_off": (
            """
def iou_matrix(a, b):
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    shared = (high - low).prod(-1)
    one, two = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b))
    return (shared / (one[:, None] + two - shared)).nan_to_num()
""",
            "share nothing",
        ),
        "shared_counted_twice": (
            """
def iou_matrix(a, b):
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    one, two = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b))
    return shared / (one[:, None] + two).clamp(min=1e-9)
""",
            "counted the shared area twice",
        ),
        "dice": (
            """
def iou_matrix(a, b):
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    one, two = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b))
    return 2 * shared / (one[:, None] + two).clamp(min=1e-9)
""",
            "Dice",
            ["test-iou_matrix", "test-iou_matrix-2"],
        ),
        "over_the_smaller": (
            """
def iou_matrix(a, b):
    low, high = torch.maximum(a[:, None, :2], b[:, :2]), torch.minimum(a[:, None, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    one, two = ((boxes[:, 2:] - boxes[:, :2]).prod(1) for boxes in (a, b))
    return shared / torch.minimum(one[:, None], two).clamp(min=1e-9)
""",
            "smaller box",
            ["test-iou_matrix", "test-iou_matrix-2"],
        ),
        "other_way_round": (
            """
def iou_matrix(a, b):
    return box_iou(b, a)
""",
            "shape",
        ),
        "pairs_only": (
            """
def iou_matrix(a, b):
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(1)
    return shared / ((a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared)
""",
            "stopped with RuntimeError",
        ),
        "empty_by_empty": (
            "def iou_matrix(a, b):\n    return box_iou(a, b)",
            "NaN",
            ["test-iou_matrix-3"],
        ),
    },
    "topk_error": {
        "accuracy": (
            """
def topk_error(boxes, classes, true_boxes, labels, k):
    right = 0
    for box, name, true, label in zip(boxes, classes, true_boxes, labels):
        right += any(name[j] == label and box_iou(box[j:j + 1], true).max() >= 0.5 for j in range(k))
    return right / len(labels)
""",
            "That is the accuracy",
        ),
        "classification_error": (
            """
def topk_error(boxes, classes, true_boxes, labels, k):
    return sum(int(label) not in name[:k].tolist() for name, label in zip(classes, labels)) / len(labels)
""",
            "The box counts too",
            ["test-topk_error-2"],
        ),
        "box_alone": (
            """
def topk_error(boxes, classes, true_boxes, labels, k):
    wrong = [not (box_iou(box[:k], true) >= 0.5).any() for box, true in zip(boxes, true_boxes)]
    return sum(wrong) / len(wrong)
""",
            "The class must be right too",
            ["test-topk_error-2"],
        ),
        "different_guesses": (
            """
def topk_error(boxes, classes, true_boxes, labels, k):
    wrong = 0
    for box, name, true, label in zip(boxes, classes, true_boxes, labels):
        wrong += not (label in name[:k] and (box_iou(box[:k], true) >= 0.5).any())
    return wrong / len(labels)
""",
            "the same guess",
            ["test-topk_error-2"],
        ),
        "first_true_box": (
            """
def topk_error(boxes, classes, true_boxes, labels, k):
    wrong = 0
    for box, name, true, label in zip(boxes, classes, true_boxes, labels):
        wrong += not any(name[j] == label and box_iou(box, true)[j, 0] >= 0.5 for j in range(k))
    return wrong / len(labels)
""",
            "not only the first",
            ["test-topk_error-2"],
        ),
        "more_than_half": (
            """
def topk_error(boxes, classes, true_boxes, labels, k):
    wrong = 0
    for box, name, true, label in zip(boxes, classes, true_boxes, labels):
        wrong += not any(name[j] == label and box_iou(box, true)[j].max() > 0.5 for j in range(k))
    return wrong / len(labels)
""",
            "exactly one half",
            ["test-topk_error-2"],
        ),
        "all_guesses": (
            """
def topk_error(boxes, classes, true_boxes, labels, k):
    wrong = 0
    for box, name, true, label in zip(boxes, classes, true_boxes, labels):
        wrong += not any(c == label and box_iou(b[None], true).max() >= 0.5 for b, c in zip(box, name))
    return wrong / len(labels)
""",
            "first k guesses",
        ),
        "one_guess_too_few": (
            """
def topk_error(boxes, classes, true_boxes, labels, k):
    wrong = 0
    for box, name, true, label in zip(boxes, classes, true_boxes, labels):
        wrong += not any(name[j] == label and box_iou(box, true)[j].max() >= 0.5 for j in range(k - 1))
    return wrong / len(labels)
""",
            "too few",
        ),
        "per_cent": (
            """
def topk_error(boxes, classes, true_boxes, labels, k):
    wrong = 0
    for box, name, true, label in zip(boxes, classes, true_boxes, labels):
        wrong += not any(name[j] == label and box_iou(box, true)[j].max() >= 0.5 for j in range(k))
    return 100 * wrong / len(labels)
""",
            "per cent",
        ),
    },
    "sweep": {
        "error": (
            """
def sweep(maps, true_boxes, thresholds):
    rows = []
    for t in thresholds:
        found = boxes_from_maps(maps, t)
        rows.append(np.mean([not (box_iou(f, b) >= 0.5).any() for f, b in zip(found, true_boxes)]))
    return rows
""",
            "That is the error",
        ),
        "best_for_each_picture": (
            """
def sweep(maps, true_boxes, thresholds):
    right = np.array([[bool((box_iou(f, b) >= 0.5).any()) for f, b in zip(boxes_from_maps(maps, t), true_boxes)]
                      for t in thresholds])
    return [right.any(0).mean()] * len(thresholds)
""",
            "looks at the answer first",
        ),
        "averaged_over_thresholds": (
            """
def sweep(maps, true_boxes, thresholds):
    right = np.array([[bool((box_iou(f, b) >= 0.5).any()) for f, b in zip(boxes_from_maps(maps, t), true_boxes)]
                      for t in thresholds])
    return right.mean(0)
""",
            "shape",
        ),
        "threshold_not_used": (
            """
def sweep(maps, true_boxes, thresholds):
    found = boxes_from_maps(maps)
    return [np.mean([bool((box_iou(f, b) >= 0.5).any()) for f, b in zip(found, true_boxes)]) for t in thresholds]
""",
            "never used the threshold",
        ),
        "without_a_box_left_out": (
            """
def sweep(maps, true_boxes, thresholds):
    rows = []
    for t in thresholds:
        found = boxes_from_maps(maps, t)
        rows.append(np.mean([bool(box_iou(f, b).max() >= 0.5) for f, b in zip(found, true_boxes) if len(f)]))
    return rows
""",
            "left out pictures without a box",
            ["test-sweep-2"],
        ),
        "first_true_box": (
            """
def sweep(maps, true_boxes, thresholds):
    rows = []
    for t in thresholds:
        found = boxes_from_maps(maps, t)
        rows.append(np.mean([bool((box_iou(f, b[:1]) >= 0.5).any()) for f, b in zip(found, true_boxes)]))
    return rows
""",
            "not only the first",
            ["test-sweep-2"],
        ),
        "any_piece": (
            """
def sweep(maps, true_boxes, thresholds):
    rows = []
    for t in thresholds:
        found = boxes_from_maps(maps, t, rule="all")
        rows.append(np.mean([bool((box_iou(f, b) >= 0.5).any()) for f, b in zip(found, true_boxes)]))
    return rows
""",
            "Take the largest",
            ["test-sweep-2"],
        ),
        "minmax": (
            """
def sweep(maps, true_boxes, thresholds):
    rows = []
    for t in thresholds:
        found = boxes_from_maps(maps, t, normalize="minmax")
        rows.append(np.mean([bool((box_iou(f, b) >= 0.5).any()) for f, b in zip(found, true_boxes)]))
    return rows
""",
            "Count from zero",
            ["test-sweep-2"],
        ),
        "counts": (
            """
def sweep(maps, true_boxes, thresholds):
    return [sum(int((box_iou(f, b) >= 0.5).any()) for f, b in zip(boxes_from_maps(maps, t), true_boxes))
            for t in thresholds]
""",
            "Those are counts",
        ),
    },
    "fair_choice": {
        "chosen_on_the_test_set": (
            """
def fair_choice(held_right, test_right):
    rates = test_right.float().mean(1)
    return int(rates.argmax()), float(rates.max())
""",
            "chose the threshold on the test set",
        ),
        "chosen_on_both": (
            """
def fair_choice(held_right, test_right):
    row = int(torch.cat([held_right, test_right], 1).float().mean(1).argmax())
    return row, float(test_right[row].float().mean())
""",
            "on both sets together",
            ["test-fair_choice-2"],
        ),
        "measured_on_held_out": (
            """
def fair_choice(held_right, test_right):
    rates = held_right.float().mean(1)
    return int(rates.argmax()), float(rates.max())
""",
            "measured on the pictures that chose",
        ),
        "best_for_each_picture": (
            """
def fair_choice(held_right, test_right):
    return int(held_right.float().mean(1).argmax()), float(test_right.any(0).float().mean())
""",
            "a threshold for each picture",
        ),
        "last_of_equals": (
            """
def fair_choice(held_right, test_right):
    rates = held_right.float().mean(1).tolist()
    row = max(range(len(rates)), key=lambda i: (rates[i], i))
    return row, float(test_right[row].float().mean())
""",
            "take the first",
            ["test-fair_choice-2"],
        ),
        "best_test_row_reported": (
            """
def fair_choice(held_right, test_right):
    return int(held_right.float().mean(1).argmax()), float(test_right.float().mean(1).max())
""",
            "best test row",
        ),
        "averaged_over_thresholds": (
            """
def fair_choice(held_right, test_right):
    return int(held_right.float().mean(1).argmax()), float(test_right.float().mean())
""",
            "averaged over the thresholds",
        ),
        "accuracy_alone": (
            """
def fair_choice(held_right, test_right):
    return float(test_right[held_right.float().mean(1).argmax()].float().mean())
""",
            "shape",
        ),
    },
}

RIGHT = {
    "hot": {
        "peak_first": """
def hot(heat, threshold):
    peak = heat.max()
    return (heat > threshold * peak) & (peak > 0)
""",
        "loops": """
def hot(heat, threshold):
    top = max(float(value) for row in heat for value in row)
    return [[top > 0 and float(value) > threshold * top for value in row] for row in heat]
""",
        "relu_then_scaled": """
def hot(heat, threshold):
    positive = torch.relu(heat)
    if positive.max() == 0:
        return torch.zeros_like(heat, dtype=torch.bool)
    return positive / positive.max() > threshold
""",
        "numpy": """
def hot(heat, threshold):
    heat = np.asarray(heat, dtype=np.float64)
    return np.where(heat.max() > 0, heat > heat.max() * threshold, False)
""",
    },
    "largest": {
        "flood_fill": """
def largest(mask):
    mask = np.array(mask, bool)
    left, best = mask.copy(), np.zeros_like(mask)
    for start in np.argwhere(mask):
        if not left[tuple(start)]:
            continue
        piece, stack = np.zeros_like(mask), [tuple(start)]
        left[tuple(start)] = False
        while stack:
            y, x = stack.pop()
            piece[y, x] = True
            for i in range(max(y - 1, 0), min(y + 2, len(mask))):
                for j in range(max(x - 1, 0), min(x + 2, mask.shape[1])):
                    if left[i, j]:
                        left[i, j] = False
                        stack.append((i, j))
        if piece.sum() > best.sum():
            best = piece
    return best
""",
        "skimage": """
from skimage.measure import label, regionprops

def largest(mask):
    labels = label(np.asarray(mask), connectivity=2)
    regions = regionprops(labels)
    if not regions:
        return torch.zeros(labels.shape, dtype=torch.bool)
    return torch.from_numpy(labels == max(regions, key=lambda region: region.area).label)
""",
        "ndimage_sum": """
def largest(mask):
    labels, count = ndimage.label(mask, structure=ndimage.generate_binary_structure(2, 2))
    sizes = ndimage.sum_labels(np.ones(labels.shape), labels, range(1, count + 1))
    return labels == 1 + np.argmax(sizes) if count else labels > 0
""",
    },
    "box_around": {
        "loops": """
def box_around(mask):
    places = [(y, x) for y, row in enumerate(mask) for x, value in enumerate(row) if value]
    rows, columns = zip(*places)
    return [min(columns), min(rows), max(columns) + 1, max(rows) + 1]
""",
        "find_objects": """
def box_around(mask):
    y, x = ndimage.find_objects(np.asarray(mask).astype(int))[0]
    return torch.tensor([x.start, y.start, x.stop, y.stop])
""",
        "torchvision": """
from torchvision.ops import masks_to_boxes

def box_around(mask):
    return masks_to_boxes(torch.as_tensor(np.array(mask))[None])[0] + torch.tensor([0, 0, 1, 1])
""",
    },
    "to_xyxy": {
        "loops": """
def to_xyxy(boxes):
    result = torch.zeros(len(boxes), 4)
    for i, (r, c, h, w) in enumerate(boxes):
        result[i] = torch.tensor([c, r, c + w, r + h])
    return result
""",
        "columns_and_numpy": """
def to_xyxy(boxes):
    boxes = np.array(boxes)
    corner, sides = boxes[:, 1::-1], boxes[:, :1:-1]
    return np.concatenate([corner, corner + sides], axis=1)
""",
        "torchvision": """
from torchvision.ops import box_convert

def to_xyxy(boxes):
    return box_convert(boxes[:, [1, 0, 3, 2]], "xywh", "xyxy")
""",
    },
    "to_rchw": {
        "matrix": """
def to_rchw(boxes):
    change = torch.tensor([[0.0, 1, 0, -1], [1, 0, -1, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
    return boxes @ change
""",
        "copy_then_subtract": """
def to_rchw(boxes):
    result = boxes.clone()
    result[:, 2:] -= result[:, :2]
    return result[:, [1, 0, 3, 2]]
""",
        "numpy": """
def to_rchw(boxes):
    boxes = np.asarray(boxes)
    return np.column_stack([boxes[:, 1], boxes[:, 0], boxes[:, 3] - boxes[:, 1], boxes[:, 2] - boxes[:, 0]])
""",
    },
    "iou_matrix": {
        "loops": """
def iou_matrix(a, b):
    result = torch.zeros(len(a), len(b))
    for i, (x1, y1, x2, y2) in enumerate(a.tolist()):
        for j, (u1, v1, u2, v2) in enumerate(b.tolist()):
            shared = max(0, min(x2, u2) - max(x1, u1)) * max(0, min(y2, v2) - max(y1, v1))
            if shared:
                result[i, j] = shared / ((x2 - x1) * (y2 - y1) + (u2 - u1) * (v2 - v1) - shared)
    return result
""",
        "numpy": """
def iou_matrix(a, b):
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    width = np.minimum(a[:, None, 2], b[:, 2]) - np.maximum(a[:, None, 0], b[:, 0])
    height = np.minimum(a[:, None, 3], b[:, 3]) - np.maximum(a[:, None, 1], b[:, 1])
    shared = np.clip(width, 0, None) * np.clip(height, 0, None)
    area = lambda c: (c[:, 2] - c[:, 0]) * (c[:, 3] - c[:, 1])
    union = area(a)[:, None] + area(b)[None] - shared
    return np.nan_to_num(shared / union)
""",
        "nan_to_num": """
def iou_matrix(a, b):
    shared = (torch.minimum(a[:, None, 2:], b[:, 2:]) - torch.maximum(a[:, None, :2], b[:, :2])).relu().prod(-1)
    area_a, area_b = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (a, b)]
    return torch.nan_to_num(shared / (area_a.unsqueeze(1) + area_b.unsqueeze(0) - shared))
""",
    },
    "topk_error": {
        "helper": """
from cam_helpers import scores

def topk_error(boxes, classes, true_boxes, labels, k):
    return float(scores.localization_error([b[:k] for b in boxes], [c[:k] for c in classes], true_boxes, labels))
""",
        "loops": """
def topk_error(boxes, classes, true_boxes, labels, k):
    wrong = 0
    for i in range(len(labels)):
        right = False
        for j in range(k):
            for true in true_boxes[i]:
                iou = box_iou(boxes[i][j][None], true[None]).item()
                if int(classes[i][j]) == int(labels[i]) and iou >= 0.5:
                    right = True
        if not right:
            wrong += 1
    return wrong / len(labels)
""",
        "chosen_rows": """
def topk_error(boxes, classes, true_boxes, labels, k):
    hits = []
    for box, name, true, label in zip(boxes, classes, true_boxes, labels):
        box = box[:k][name[:k] == label]
        hits.append(len(box) > 0 and box_iou(box, true).max().item() >= 0.5)
    return 1 - np.mean(hits)
""",
    },
    "sweep": {
        "helper": """
from cam_helpers import scores

def sweep(maps, true_boxes, thresholds):
    return [float(scores.gt_known_accuracy(maps, true_boxes, t)) for t in thresholds]
""",
        "picture_by_picture": """
def sweep(maps, true_boxes, thresholds):
    right = torch.zeros(len(thresholds), len(maps))
    for i, (one, true) in enumerate(zip(maps, true_boxes)):
        for j, t in enumerate(thresholds):
            found = boxes_from_maps(one[None], t)[0]
            if len(found):
                right[j, i] = float(box_iou(found, true).max() >= 0.5)
    return right.mean(1)
""",
        "numpy": """
def sweep(maps, true_boxes, thresholds):
    def good(found, true):
        return len(found) == 1 and box_iou(found, true).numpy().max() >= 0.5
    return np.array([np.mean([good(f, b) for f, b in zip(boxes_from_maps(maps, t), true_boxes)]) for t in thresholds])
""",
    },
    "fair_choice": {
        "loops": """
def fair_choice(held_right, test_right):
    best, row = -1, 0
    for i, line in enumerate(held_right):
        if line.sum() > best:
            best, row = line.sum(), i
    return row, sum(bool(hit) for hit in test_right[row]) / len(test_right[row])
""",
        "numpy": """
def fair_choice(held_right, test_right):
    held_right, test_right = np.asarray(held_right), np.asarray(test_right)
    row = np.argmax(held_right.sum(1))
    return [row, np.mean(test_right[row])]
""",
    },
}
