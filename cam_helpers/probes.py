"""What frozen features know: linear classifiers on them, whose weights are class activation maps (lessons 07 and 08).

features = gap_features(network, train.images)            # (N,K): one number per unit and picture
probe = LinearProbe().fit(features, train.labels)         # classes that the network was never trained on
probe.maps(CamModel(network)(images).features)            # ... and where they are
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from .maps import CamModel, Cams, eval_mode

__all__ = ["LinearProbe", "batches", "gap_features", "layer_features"]


def batches(images, batch: int = 64) -> Iterator[Tensor]:
    """Pictures, `batch` at a time, each batch (n,3,H,W) as the network takes it.

    images: a tensor (N,3,H,W); the world's data; a Dataset of pictures, or of tuples that begin with one; a DataLoader,
    or anything else that gives batches, or tuples that begin with one. Raises TypeError or ValueError for other things.
    """
    if isinstance(inside := getattr(images, "images", None), Tensor):
        images = inside
    if isinstance(images, Tensor):
        images = images.split(batch)
    elif isinstance(images, Dataset):
        images = DataLoader(images, batch, collate_fn=_stack)
    elif not hasattr(images, "__iter__"):
        raise TypeError(f"pictures are a tensor, a Dataset, or give batches one by one, got {type(images).__name__}")
    for part in images:
        part = part[0] if isinstance(part, (tuple, list)) else part
        if not isinstance(part, Tensor) or part.ndim != 4:
            got = tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
            raise ValueError(f"a batch of pictures is a tensor (n,3,H,W), got {got}")
        if len(part):
            yield part


def _stack(items: list) -> Tensor:
    pictures = [item[0] if isinstance(item, (tuple, list)) else item for item in items]
    if len(sizes := {tuple(picture.shape) for picture in pictures}) > 1:
        raise ValueError(f"pictures of different sizes, such as {sorted(sizes)[:2]}: resize them before, all alike")
    return torch.stack(pictures)


def gap_features(model: CamModel | nn.Module, images, batch: int = 64) -> Tensor:
    """Each unit's mean over the picture, as the last linear layer gets it -> (N,K) float32, on the CPU.

    model: a CamModel, or a network that it can wrap. images: see `batches`; they move to the network's device.
    (With sum or max pooling too it is the mean: the identity score = mean of the map + bias asks for it.) For a
    network without an exact map, and for layers in between, see `layer_features`. Zhou et al., section 4.
    """
    wrapped = model if isinstance(model, CamModel) else CamModel(model)
    return _over(wrapped.model, images, batch, lambda x: wrapped(x).features)


def layer_features(network: nn.Module, images, layer: str, batch: int = 64) -> Tensor:
    """What one layer gives -> (N,K) float32, on the CPU; of a layer that gives (N,K,h,w), each unit's mean.

    layer: its name in the network: "dense" in `objects-dense` is the hidden layer before the classes, as fc7 is in
    AlexNet; "trunk" in every network of the course the last convolution. Raises ValueError for a name that is not
    there (with those that are) and for a layer that gives something else.
    """
    try:
        place = network.get_submodule(layer)
    except AttributeError:
        names = ", ".join(name for name, _ in network.named_children())
        raise ValueError(f"the network has no layer {layer!r}; it has {names}, and layers inside them") from None
    found = []

    def keep(_, __, output) -> None:  # a copy: the next layer may work in place
        found.append(output.clone() if isinstance(output, Tensor) else output)

    handle = place.register_forward_hook(keep)

    def run(pictures: Tensor) -> Tensor:
        found.clear()
        network(pictures)
        if len(found) != 1 or not isinstance(found[0], Tensor) or found[0].ndim not in (2, 4):
            raise ValueError(f"layer {layer!r} does not give one tensor (N,K) or (N,K,h,w) a picture: name another")
        return found[0]

    try:
        with eval_mode(network):
            return _over(network, images, batch, run)
    finally:
        handle.remove()


def _over(network: nn.Module, images, batch: int, run) -> Tensor:
    like = next(network.parameters(), torch.empty(0))
    with torch.no_grad():
        found = [_pooled(run(part.to(like.device))).cpu() for part in batches(images, batch)]
    if not found:
        raise ValueError("there are no pictures")
    return torch.cat(found)


def _pooled(features: Tensor) -> Tensor:
    return features.float().mean((2, 3)) if features.ndim == 4 else features.float()


class LinearProbe:
    """A linear SVM on standardised features, one class against all others; its cost C is chosen by cross-validation.

    labels (N,) whole numbers: one class a picture; `.predict` gives the class with the highest decision value.
    labels (N,C) of 0 and 1: several a picture; each column is a yes-or-no of its own, with a cost of its own.

    classes     long (C,), what each row of the weights stands for: the sorted labels, or the columns 0 to C-1
    weight      (C,K) float32 and bias (C,): for features as they are, the scaling is folded in
    costs       the cost, or costs, that were chosen

    estimator: another linear classifier of scikit-learn with `C`, `coef_`, `intercept_`: with
    `LogisticRegression(max_iter=1000)`, torch.sigmoid(probe.decision(features)) are probabilities of yes-or-no labels.
    costs: what to choose from; with one there is nothing to choose. A tie goes to the first. Zhou et al., section 4.
    """

    def __init__(self, estimator=None, costs: Sequence[float] = (0.001, 0.01, 0.1, 1.0), folds: int = 5, seed: int = 0):
        self.estimator = LinearSVC(dual=False, random_state=seed) if estimator is None else estimator
        self.grid, self.folds, self.seed = list(costs), folds, seed

    def fit(self, features: Tensor, labels: Tensor) -> LinearProbe:
        """features (N,K), or (N,K,h,w), whose means are taken. Raises ValueError for what cannot be learnt from."""
        x, y = _pooled(features).cpu().double().numpy(), torch.as_tensor(labels).cpu().numpy()
        if x.ndim != 2 or len(y) != len(x) or y.ndim not in (1, 2):
            raise ValueError(f"features are (N,K), labels (N,) or (N,C), got {x.shape} and {y.shape}")
        if not np.isfinite(x).all():
            raise ValueError("features hold NaN or infinite numbers: look at the pictures and the network's scaling")
        if len(x) and (np.ptp(x, axis=0) == 0).all():
            raise ValueError("all pictures have the same features, nothing tells them apart: look at the network")
        if y.ndim == 2:
            if not np.isin(y, (0, 1)).all():
                raise ValueError("labels (N,C) are 0 or 1 for every picture and class; one class a picture is (N,)")
            columns = [self._fit(x, column.astype(int), f"column {c} of the labels") for c, column in enumerate(y.T)]
            weight, bias, self.costs = (np.concatenate(part) for part in zip(*columns, strict=True))
            classes = np.arange(y.shape[1])
        else:
            if y.dtype.kind not in "biu":
                raise ValueError(f"labels (N,) are whole numbers, got {y.dtype}")
            weight, bias, self.costs = self._fit(x, y := y.astype(int), "labels")
            if len(weight) == 1:  # two classes: the row of the second, and against it the first
                weight, bias = np.concatenate((-weight, weight)), np.concatenate((-bias, bias))
            classes = np.unique(y)
        self.several = y.ndim == 2
        self.weight, self.bias = torch.from_numpy(weight).float(), torch.from_numpy(bias).float()
        self.classes = torch.from_numpy(classes)
        return self

    def _fit(self, x: np.ndarray, y: np.ndarray, what: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found, counts = np.unique(y, return_counts=True)
        if len(found) < 2:
            have = f"only {found[0]}" if len(found) else "nothing"
            raise ValueError(f"{what}: {have}, and a probe tells two classes apart: add pictures of another class")
        model = Pipeline([("scale", StandardScaler()), ("svm", clone(self.estimator))])
        if len(self.grid) > 1:
            if counts.min() < self.folds:
                raise ValueError(
                    f"{what}: {counts.min()} of class {found[counts.argmin()]}, too few for {self.folds} folds: add "
                    "pictures, ask for fewer folds (folds=2) or give one cost (costs=[0.01])"
                )
            folds = StratifiedKFold(self.folds, shuffle=True, random_state=self.seed)
            balanced = "balanced_accuracy"  # most yes-or-no labels are mostly no
            model = GridSearchCV(model, {"svm__C": self.grid}, scoring=balanced, cv=folds).fit(x, y).best_estimator_
        else:
            model = model.set_params(svm__C=self.grid[0]).fit(x, y)
        scale, svm = model["scale"], model["svm"]
        weight = svm.coef_ / scale.scale_
        return weight, svm.intercept_ - weight @ scale.mean_, np.array([svm.C])

    def decision(self, features: Tensor) -> Tensor:
        """features (N,K) or (N,K,h,w) -> decision values (N,C), above 0 for yes: mean of the map + bias."""
        if not hasattr(self, "weight"):
            raise NotFittedError("this probe has learnt nothing yet: probe.fit(features, labels) first")
        return F.linear(_pooled(features), self.weight.to(features.device), self.bias.to(features.device))

    def predict(self, features: Tensor) -> Tensor:
        """-> the likeliest of `classes` (N,), or 0 and 1 (N,C)."""
        decision = self.decision(features)
        return (decision > 0).long() if self.several else self.classes.to(decision.device)[decision.argmax(1)]

    def cams(self, features: Tensor) -> Cams:
        """features (N,K,h,w), those of `CamModel(network)(images)` -> `Cams`, the decision values as logits."""
        place = features.device
        return Cams(self.decision(features), features, self.weight.to(place), self.bias.to(place))

    def maps(self, features: Tensor, classes=None, size: tuple[int, int] | None = None) -> Tensor:
        """Signed maps of the probe's classes -> (N,C,h,w); classes (rows of `weight`) and size as in `Cams.maps`."""
        return self.cams(features).maps(classes, size)
