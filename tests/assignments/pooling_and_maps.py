"""Answers to assignment 1 as students write them: test_answers.py says how they are used."""

WRONG = {
    "average_pool": {
        "sum_of_places": ("def average_pool(features):\n    return features.sum(dim=(-2, -1))", "A mean divides"),
        "max_pooling": ("def average_pool(features):\n    return features.flatten(2).max(2).values", "max pooling"),
        "mean_over_channels": ("def average_pool(features):\n    return features.mean(1)", "averaged the channels"),
        "mean_over_pictures_too": ("def average_pool(features):\n    return features.mean((0, 2, 3))", "pictures too"),
        "divided_by_a_square": (
            "def average_pool(features):\n    return features.sum((2, 3)) / features.shape[-2] ** 2",
            "need not be square",
        ),
        "divided_by_channels_too": (
            "def average_pool(features):\n    return features.sum((2, 3)) / features[0].numel()",
            "divided by the channels too",
        ),
        "kept_two_empty_axes": (
            "def average_pool(features):\n    return torch.nn.functional.adaptive_avg_pool2d(features, 1)",
            "shape",
        ),
        "relu_after_pooling": (
            "def average_pool(features):\n    return features.mean((2, 3)).clamp(min=0)",
            "cut off negative means",
            ["test-average_pool-2"],
        ),
    },
    "class_scores": {
        "forgotten_bias": ("def class_scores(pooled, weight, bias):\n    return pooled @ weight.T", "forgot the bias"),
        "transposed_weights": (
            "def class_scores(pooled, weight, bias):\n    return pooled @ weight + bias",
            "transposed",
        ),
        "softmax": (
            "def class_scores(pooled, weight, bias):\n    return (pooled @ weight.T + bias).softmax(-1)",
            "before the softmax",
        ),
        "relu": (
            "def class_scores(pooled, weight, bias):\n    return torch.relu(pooled @ weight.T + bias)",
            "no ReLU here",
            ["test-class_scores-2"],
        ),
        "bias_per_channel": (
            "def class_scores(pooled, weight, bias):\n    return (pooled[:, None] * weight + bias[:, None]).sum(-1)",
            "once per channel",
        ),
        "mean_over_channels": (
            "def class_scores(pooled, weight, bias):\n    return (pooled[:, None] * weight).mean(-1) + bias",
            "averaged over the channels",
        ),
        "absolute_weights": (
            "def class_scores(pooled, weight, bias):\n    return pooled @ weight.abs().T + bias",
            "A weight may be negative",
        ),
        "one_bias_for_all": (
            "def class_scores(pooled, weight, bias):\n    return pooled @ weight.T + bias[0]",
            "its own bias",
        ),
    },
    "map_by_loops": {
        "sum_before_weighting": (
            "def map_by_loops(features, weight, c):\n    return features.sum(0) * weight[c].sum()",
            "summed the channels before weighting",
        ),
        "transposed_weights": (
            """
def map_by_loops(features, weight, c):
    total = torch.zeros(features.shape[1:])
    for k in range(len(features)):
        total += weight[k, c] * features[k]
    return total
""",
            "transposed",
        ),
        "relu_on_each_product": (
            """
def map_by_loops(features, weight, c):
    total = torch.zeros(features.shape[1:])
    for k in range(len(features)):
        total += torch.relu(weight[c, k] * features[k])
    return total
""",
            "ReLU too early",
        ),
        "relu_on_features": (
            "def map_by_loops(features, weight, c):\n    return (weight[c][:, None, None] * features.relu()).sum(0)",
            "ReLU too early",
            ["test-map_by_loops-2"],
        ),
        "relu_at_the_end": (
            "def map_by_loops(features, weight, c):\n    return (weight[c][:, None, None] * features).sum(0).relu()",
            "The map is signed",
        ),
        "negative_weights_dropped": (
            "def map_by_loops(features, weight, c):\n    return (weight[c].relu()[:, None, None] * features).sum(0)",
            "dropped negative weights",
        ),
        "mean_over_channels": (
            "def map_by_loops(features, weight, c):\n    return (weight[c][:, None, None] * features).mean(0)",
            "averaged over the channels",
        ),
        "share_of_the_score": (
            "def map_by_loops(features, weight, c):\n"
            "    return (weight[c][:, None, None] * features).sum(0) / features[0].numel()",
            "share of the score",
        ),
        "normalised": (
            """
def map_by_loops(features, weight, c):
    total = (weight[c][:, None, None] * features).sum(0)
    return total / total.max()
""",
            "normalised the map",
        ),
        "columns_first": (
            "def map_by_loops(features, weight, c):\n    return (weight[c][:, None, None] * features).sum(0).T",
            "shape",
        ),
    },
    "all_maps": {
        "transposed_weights": (
            'def all_maps(features, weight):\n    return torch.einsum("nkhw,kc->nchw", features, weight)',
            "transposed",
        ),
        "classes_first": (
            'def all_maps(features, weight):\n    return torch.einsum("nkhw,ck->cnhw", features, weight)',
            "shape",
        ),
        "rows_and_columns_swapped": (
            'def all_maps(features, weight):\n    return torch.einsum("nkhw,ck->ncwh", features, weight)',
            "shape",
        ),
        "places_summed": (
            'def all_maps(features, weight):\n    return torch.einsum("nkhw,ck->nc", features, weight)',
            "summed over the places",
        ),
        "sum_before_weighting": (
            'def all_maps(features, weight):\n    return torch.einsum("nkhw,cj->nchw", features, weight)',
            "summed the channels before weighting",
        ),
        "relu_at_the_end": (
            'def all_maps(features, weight):\n    return torch.einsum("nkhw,ck->nchw", features, weight).relu()',
            "The maps are signed",
        ),
        "relu_on_features": (
            'def all_maps(features, weight):\n    return torch.einsum("nkhw,ck->nchw", features.relu(), weight)',
            "ReLU too early",
            ["test-all_maps-2"],
        ),
        "mean_over_channels": (
            "def all_maps(features, weight):\n    return (features[:, None] * weight[:, :, None, None]).mean(2)",
            "averaged over the channels",
        ),
    },
    "identity_error": {
        "forgotten_bias": (
            """
def identity_error(features, weight, bias, logits):
    return (torch.einsum("nkhw,ck->nchw", features, weight).mean((2, 3)) - logits).abs().max()
""",
            "forgot the bias",
        ),
        "sum_for_mean": (
            """
def identity_error(features, weight, bias, logits):
    return (torch.einsum("nkhw,ck->nc", features, weight) + bias - logits).abs().max()
""",
            "You summed the map",
        ),
        "maximum_of_the_map": (
            """
def identity_error(features, weight, bias, logits):
    return (torch.einsum("nkhw,ck->nchw", features, weight).amax((2, 3)) + bias - logits).abs().max()
""",
            "Take its mean",
        ),
        "no_absolute_value": (
            """
def identity_error(features, weight, bias, logits):
    return (features.mean((2, 3)) @ weight.T + bias - logits).max()
""",
            "absolute value",
            ["test-identity_error-2"],
        ),
        "mean_difference": (
            """
def identity_error(features, weight, bias, logits):
    return (features.mean((2, 3)) @ weight.T + bias - logits).abs().mean()
""",
            "averaged the differences",
        ),
        "first_picture_only": (
            """
def identity_error(features, weight, bias, logits):
    return (features.mean((2, 3)) @ weight.T + bias - logits)[0].abs().max()
""",
            "all pictures",
            ["test-identity_error-2"],
        ),
        "bias_shared_out": (
            """
def identity_error(features, weight, bias, logits):
    share = bias / features[0, 0].numel()
    return (features.mean((2, 3)) @ weight.T + share - logits).abs().max()
""",
            "The whole bias",
        ),
        "true_or_false": (
            """
def identity_error(features, weight, bias, logits):
    return torch.allclose(features.mean((2, 3)) @ weight.T + bias, logits)
""",
            "is not it",
        ),
    },
    "sum_twin": {
        "unchanged": ("def sum_twin(weight, bias, h, w):\n    return weight, bias", "Nothing was divided"),
        "multiplied": ("def sum_twin(weight, bias, h, w):\n    return weight * h * w, bias", "You multiplied"),
        "bias_divided_too": (
            "def sum_twin(weight, bias, h, w):\n    return weight / (h * w), bias / (h * w)",
            "Pooling does not change it",
        ),
        "bias_multiplied": (
            "def sum_twin(weight, bias, h, w):\n    return weight / (h * w), bias * (h * w)",
            "Pooling does not change it",
        ),
        "forgotten_bias": ("def sum_twin(weight, bias, h, w):\n    return weight / (h * w), 0 * bias", "lost the bias"),
        "divided_by_a_square": ("def sum_twin(weight, bias, h, w):\n    return weight / h**2, bias", "by a square"),
        "order_of_operations": ("def sum_twin(weight, bias, h, w):\n    return weight / h * w, bias", "brackets"),
    },
    "contrast_map": {
        "forgotten_bias": (
            """
def contrast_map(features, weight, bias, c, d):
    return ((weight[c] - weight[d])[:, None, None] * features).sum(0)
""",
            "forgot the biases",
        ),
        "bias_shared_out": (
            """
def contrast_map(features, weight, bias, c, d):
    total = ((weight[c] - weight[d])[:, None, None] * features).sum(0)
    return total + (bias[c] - bias[d]) / total.numel()
""",
            "shared the bias out",
        ),
        "classes_swapped": (
            """
def contrast_map(features, weight, bias, c, d):
    return ((weight[d] - weight[c])[:, None, None] * features).sum(0) + bias[d] - bias[c]
""",
            "swapped the classes",
        ),
        "relu_at_the_end": (
            """
def contrast_map(features, weight, bias, c, d):
    return torch.relu(((weight[c] - weight[d])[:, None, None] * features).sum(0) + bias[c] - bias[d])
""",
            "Keep the sign",
        ),
        "relu_too_early": (
            """
def contrast_map(features, weight, bias, c, d):
    maps = torch.einsum("khw,ck->chw", features, weight) + bias[:, None, None]
    return maps[c].relu() - maps[d].relu()
""",
            "ReLU too early",
        ),
        "normalised_before_comparing": (
            """
def contrast_map(features, weight, bias, c, d):
    maps = torch.einsum("khw,ck->chw", features, weight)
    maps = maps / maps.amax((1, 2), keepdim=True)
    return maps[c] - maps[d]
""",
            "normalised the maps",
        ),
        "one_class_only": (
            """
def contrast_map(features, weight, bias, c, d):
    return (weight[c][:, None, None] * features).sum(0) + bias[c]
""",
            "class c alone",
        ),
        "transposed_weights": (
            """
def contrast_map(features, weight, bias, c, d):
    return ((weight[:, c] - weight[:, d])[:, None, None] * features).sum(0) + bias[c] - bias[d]
""",
            "transposed",
        ),
    },
    "which_pooling": {
        "maximum_of_the_map": (
            """
def which_pooling(features, weight, bias, logits):
    maps = torch.einsum("nkhw,ck->nchw", features, weight).flatten(2)
    for name, score in {"average": maps.mean(2), "sum": maps.sum(2), "max": maps.max(2).values}.items():
        if (score + bias - logits).abs().max() < 1e-3 * logits.abs().max():
            return name
    return "none"
""",
            "The maximum of the map is another number",
        ),
        "forgotten_bias": (
            """
def which_pooling(features, weight, bias, logits):
    pools = {"average": features.mean((2, 3)), "sum": features.sum((2, 3)), "max": features.amax((2, 3))}
    for name, pooled in pools.items():
        if (pooled @ weight.T - logits).abs().max() < 1e-3 * logits.abs().max():
            return name
    return "none"
""",
            "The bias is added once",
        ),
        "exactly_equal": (
            """
def which_pooling(features, weight, bias, logits):
    pools = {"average": features.mean((2, 3)), "sum": features.sum((2, 3)), "max": features.amax((2, 3))}
    for name, pooled in pools.items():
        if torch.equal(pooled @ weight.T + bias, logits):
            return name
    return "none"
""",
            "rounding errors",
            ["test-which_pooling-2"],
        ),
        "absolute_tolerance": (
            """
def which_pooling(features, weight, bias, logits):
    pools = {"average": features.mean((2, 3)), "sum": features.sum((2, 3)), "max": features.amax((2, 3))}
    for name, pooled in pools.items():
        if (pooled @ weight.T + bias - logits).abs().max() < 1e-4:
            return name
    return "none"
""",
            "rounding errors",
            ["test-which_pooling-2"],
        ),
        "same_first_guess": (
            """
def which_pooling(features, weight, bias, logits):
    pools = {"average": features.mean((2, 3)), "sum": features.sum((2, 3)), "max": features.amax((2, 3))}
    for name, pooled in pools.items():
        if torch.equal((pooled @ weight.T + bias).argmax(1), logits.argmax(1)):
            return name
    return "none"
""",
            "come from: sum",
        ),
        "never_none": (
            """
def which_pooling(features, weight, bias, logits):
    pools = {"average": features.mean((2, 3)), "sum": features.sum((2, 3)), "max": features.amax((2, 3))}
    return min(pools, key=lambda name: (pools[name] @ weight.T + bias - logits).abs().max())
""",
            "none of the three",
        ),
        "first_picture_only": (
            """
def which_pooling(features, weight, bias, logits):
    pools = {"average": features.mean((2, 3)), "sum": features.sum((2, 3)), "max": features.amax((2, 3))}
    for name, pooled in pools.items():
        if (pooled @ weight.T + bias - logits)[0].abs().max() < 1e-3 * logits.abs().max():
            return name
    return "none"
""",
            "All classes of all pictures",
            ["test-which_pooling-2"],
        ),
    },
    "max_credit": {
        "ties_counted_twice": (
            """
def max_credit(features, weight, c):
    top = features.amax((1, 2), keepdim=True)
    return (weight[c][:, None, None] * top * (features == top)).sum(0)
""",
            "a channel counts once",
        ),
        "last_of_equal_maxima": (
            """
def max_credit(features, weight, c):
    grid = torch.zeros(features.shape[1:])
    for k in range(len(features)):
        y, x = (features[k] == features[k].max()).nonzero()[-1]
        grid[y, x] += weight[c, k] * features[k].max()
    return grid
""",
            "values are not",
        ),
        "overwritten": (
            """
def max_credit(features, weight, c):
    grid = torch.zeros(features.shape[1:])
    for k in range(len(features)):
        y, x = divmod(int(features[k].argmax()), features.shape[2])
        grid[y, x] = weight[c, k] * features[k].max()
    return grid
""",
            "add, do not overwrite",
            ["test-max_credit-2"],
        ),
        "hottest_place_of_the_map": (
            """
def max_credit(features, weight, c):
    total = (weight[c][:, None, None] * features).sum(0)
    grid = torch.zeros_like(total)
    grid.view(-1)[total.argmax()] = weight[c] @ features.amax((1, 2))
    return grid
""",
            "a place of its own",
        ),
        "weights_before_maximum": (
            """
def max_credit(features, weight, c):
    weighed = weight[c][:, None, None] * features
    grid = torch.zeros(features.shape[1:])
    for k in range(len(features)):
        grid.view(-1)[weighed[k].argmax()] += weighed[k].max()
    return grid
""",
            "before the weights",
        ),
        "x_and_y_swapped": (
            """
def max_credit(features, weight, c):
    grid = torch.zeros(features.shape[1], features.shape[2])
    for k in range(len(features)):
        y, x = divmod(int(features[k].T.argmax()), features.shape[2])
        grid[y % features.shape[1], x] += weight[c, k] * features[k].max()
    return grid
""",
            "values are not",
        ),
        "divided_by_places": (
            """
def max_credit(features, weight, c):
    grid = torch.zeros(features.shape[1:])
    for k in range(len(features)):
        grid.view(-1)[features[k].argmax()] += weight[c, k] * features[k].max()
    return grid / grid.numel()
""",
            "takes no mean",
        ),
        "activation_map": (
            "def max_credit(features, weight, c):\n    return (weight[c][:, None, None] * features).sum(0)",
            "credits every place",
        ),
        "whole_map_at_those_places": (
            """
def max_credit(features, weight, c):
    total = (weight[c][:, None, None] * features).sum(0)
    grid = torch.zeros_like(total)
    for k in range(len(features)):
        place = features[k].argmax()
        grid.view(-1)[place] = total.view(-1)[place]
    return grid
""",
            "only that channel counts",
            ["test-max_credit-2"],
        ),
    },
}

RIGHT = {
    "average_pool": {
        "pooling_layer": (
            "def average_pool(features):\n    return torch.nn.functional.adaptive_avg_pool2d(features, 1).flatten(1)"
        ),
        "loops_of_numpy": """
import numpy as np

def average_pool(features):
    features = np.asarray(features)
    pooled = np.zeros(features.shape[:2])
    for n in range(features.shape[0]):
        for k in range(features.shape[1]):
            pooled[n, k] = np.mean(features[n, k])
    return pooled
""",
        "lists": "def average_pool(features):\n    return [[float(k.sum() / k.numel()) for k in n] for n in features]",
    },
    "class_scores": {
        "linear": (
            "def class_scores(pooled, weight, bias):\n    return torch.nn.functional.linear(pooled, weight, bias)"
        ),
        "broadcasting": (
            "def class_scores(pooled, weight, bias):\n    return (pooled[:, None, :] * weight[None]).sum(2) + bias"
        ),
        "loops": """
def class_scores(pooled, weight, bias):
    scores = torch.zeros(len(pooled), len(weight))
    for n in range(len(pooled)):
        for c in range(len(weight)):
            scores[n, c] = bias[c]
            for k in range(weight.shape[1]):
                scores[n, c] += pooled[n, k] * weight[c, k]
    return scores
""",
    },
    "map_by_loops": {
        "over_channels_only": """
def map_by_loops(features, weight, c):
    total = 0
    for f, w in zip(features, weight[c]):
        total = total + w * f
    return total
""",
        "lists": """
def map_by_loops(features, weight, c):
    K, h, w = features.shape
    return [[sum(float(weight[c, k] * features[k, y, x]) for k in range(K)) for x in range(w)] for y in range(h)]
""",
        "numpy": """
import numpy as np

def map_by_loops(features, weight, c):
    return np.tensordot(np.asarray(weight)[c], np.asarray(features), axes=1)
""",
    },
    "all_maps": {
        "other_letters": (
            'def all_maps(features, weight):\n    return torch.einsum("ck,nkij->ncij", weight, features).contiguous()'
        ),
        "convolution": (
            "def all_maps(features, weight):\n    return torch.nn.functional.conv2d(features, weight[:, :, None, None])"
        ),
        "numpy": """
import numpy as np

def all_maps(features, weight):
    return np.einsum("nkhw,ck->nchw", features.numpy(), weight.numpy())
""",
        "broadcasting": (
            "def all_maps(features, weight):\n    return (features[:, None] * weight[None, :, :, None, None]).sum(2)"
        ),
    },
    "identity_error": {
        "pool_first": (
            "def identity_error(features, weight, bias, logits):\n"
            "    return float((features.mean((2, 3)) @ weight.T + bias - logits).abs().max())"
        ),
        "loops": """
def identity_error(features, weight, bias, logits):
    worst = 0.0
    for n in range(len(features)):
        for c in range(len(weight)):
            grid = sum(weight[c, k] * features[n, k] for k in range(features.shape[1]))
            worst = max(worst, abs(float(grid.mean() + bias[c] - logits[n, c])))
    return worst
""",
        "double_precision": """
import numpy as np

def identity_error(features, weight, bias, logits):
    f, w, b, s = (np.asarray(part, dtype=np.float64) for part in (features, weight, bias, logits))
    return np.abs(np.einsum("nkhw,ck->nc", f, w) / f[0, 0].size + b - s).max()
""",
    },
    "sum_twin": {
        "list_and_factor": ("def sum_twin(weight, bias, h, w):\n    return [weight * (1 / h / w), bias.clone()]"),
        "numpy": """
import numpy as np

def sum_twin(weight, bias, h, w):
    return np.asarray(weight) / np.prod([h, w]), np.asarray(bias)
""",
    },
    "contrast_map": {
        "two_maps": """
def contrast_map(features, weight, bias, c, d):
    both = torch.einsum("khw,ck->chw", features, weight) + bias[:, None, None]
    return both[c] - both[d]
""",
        "loops": """
def contrast_map(features, weight, bias, c, d):
    grid = torch.full(features.shape[1:], float(bias[c] - bias[d]))
    for k in range(len(features)):
        grid += (weight[c, k] - weight[d, k]) * features[k]
    return grid
""",
        "convolution": """
def contrast_map(features, weight, bias, c, d):
    grids = torch.nn.functional.conv2d(features[None], weight[:, :, None, None], bias)[0]
    return (grids[c] - grids[d]).numpy()
""",
    },
    "which_pooling": {
        "maps_and_numpy": """
import numpy as np

def which_pooling(features, weight, bias, logits):
    f, w, b, s = (np.asarray(part, dtype=np.float64) for part in (features, weight, bias, logits))
    maps = np.einsum("nkhw,ck->nchw", f, w)
    close = lambda score: np.abs(score + b - s).max() < 1e-3 * np.abs(s).max()
    if close(maps.mean((2, 3))):
        return "average"
    if close(maps.sum((2, 3))):
        return "sum"
    return "max" if close(f.max((2, 3)) @ w.T) else "none"
""",
        "layers": """
from torch.nn import functional as F

def which_pooling(features, weight, bias, logits):
    average = F.adaptive_avg_pool2d(features, 1).flatten(1)
    largest = F.adaptive_max_pool2d(features, 1).flatten(1)
    count = features.shape[2] * features.shape[3]
    for name, pooled in zip(("max", "sum", "average"), (largest, average * count, average)):
        difference = F.linear(pooled, weight, bias) - logits
        if bool((difference.abs() < 1e-3 * logits.abs().max()).all()):
            return name
    return "none"
""",
    },
    "max_credit": {
        "pooling_layer_with_indices": """
def max_credit(features, weight, c):
    top, at = torch.nn.functional.adaptive_max_pool2d(features[None], 1, return_indices=True)
    grid = torch.zeros(features[0].numel())
    grid.index_add_(0, at.flatten(), weight[c] * top.flatten())
    return grid.view(features.shape[1:])
""",
        "loops_over_places": """
def max_credit(features, weight, c):
    K, h, w = features.shape
    grid = [[0.0] * w for _ in range(h)]
    for k in range(K):
        best = (0, 0)
        for y in range(h):
            for x in range(w):
                if features[k, y, x] > features[k][best]:
                    best = (y, x)
        grid[best[0]][best[1]] += float(weight[c, k] * features[k][best])
    return grid
""",
        "numpy": """
import numpy as np

def max_credit(features, weight, c):
    f, w = np.asarray(features), np.asarray(weight)
    grid = np.zeros(f.shape[1:])
    rows, columns = np.unravel_index(f.reshape(len(f), -1).argmax(1), f.shape[1:])
    np.add.at(grid, (rows, columns), w[c] * f.max((1, 2)))
    return grid
""",
    },
}
