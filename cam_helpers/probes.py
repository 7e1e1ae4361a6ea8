"""What frozen features know: linear classifiers on them, whose weights are class activation maps (lessons 08 and 09).

features = gap_features(network, train.images)            # (N,K): one number per unit and picture
probe = LinearProbe().fit(features, train.labels)         # classes that the network was never trained on
probe.maps(CamModel(network)(images).features)            # ... and where they are
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import joblib
import numpy as np
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision.transforms.v2.functional import resize
from tqdm.auto import tqdm

from .files import replacing
from .maps import CamModel, Cams
from .networks import fast, fast_cams

__all__ = ["LinearProbe", "cached_features", "caption_labels", "gap_features", "ridge"]


def caption_labels(captions, words, least: int = 2) -> Tensor:
    """What pictures show, by what people wrote about them -> int64 (N,), 1 where the captions say so.

    Args:
        captions: for each picture one sentence, or a list of them
        words: a phrase, singular or plural, in whole words, upper and lower case alike ("laptop"); or a function from
            the list of a picture's captions to yes or no
        least: how many of a picture's captions must have the phrase; all, where it has fewer

    Zhou et al., section 4.2.
    """
    lists = [[own] if isinstance(own, str) else own for own in captions]
    if callable(words):
        return torch.tensor([bool(words(own)) for own in lists], dtype=torch.long)
    phrase = re.compile(rf"\b{re.escape(words)}(s|es)?\b", re.IGNORECASE)
    counts = [(sum(phrase.search(caption) is not None for caption in own), len(own)) for own in lists]
    return torch.tensor([count >= max(1, min(least, written)) for count, written in counts], dtype=torch.long)


def gap_features(model: CamModel | nn.Module, images, batch: int = 64) -> Tensor:
    """Each unit's mean over the picture, as the last linear layer gets it -> (N,K) float32, on the CPU.

    model: a CamModel, or a network, which then runs in float32 as `networks.fast` makes it; for many photos give
    CamModel(networks.fast(network)), in half precision where the machine is faster so. images: a tensor (N,3,H,W), or
    a Dataset whose items begin with a picture (3,H,W), all of one size. They move to the network's device, `batch` at a
    time. (With sum or max pooling it is the mean too: the identity score = mean of the map + bias asks for it.) Raises
    ValueError without pictures.
    Zhou et al., section 4.
    """
    cams = fast_cams(model)
    device = next(cams.model.parameters(), torch.empty(0)).device
    if not len(images):
        raise ValueError("there are no pictures")
    parts = images.split(batch) if isinstance(images, Tensor) else DataLoader(images, batch, collate_fn=_pictures)
    return torch.cat([_means(cams(part.to(device)).features).cpu() for part in parts])


def cached_features(
    model: CamModel | nn.Module, data, size: int | tuple[int, int], folder: str | os.PathLike, batch: int = 4
) -> Tensor:
    """`gap_features`, computed once for each picture and network -> (N,K) float32, kept as float16.

    They lie in `folder`, a file for each network and size, under the contents of the pictures: with more pictures only
    the new ones pass through the network, and a pass that was stopped goes on.

    Args:
        model: a CamModel, or a network, which then runs as `networks.fast` makes it; it takes uint8
        data: a data set of pictures, drawn or real; for a quick look, one opened with `n=`
        size: side in pixels, or (H, W), to which the pictures are stretched
        folder: where the features are kept; it can be deleted at any time
        batch: pictures a pass; more at once take much more memory and, on a CPU, no less time

    Raises:
        OSError: nothing can be written to `folder`
    """
    cams = model if isinstance(model, CamModel) else CamModel(fast(model))
    size = [size, size] if isinstance(size, int) else list(size)
    weights = [values.cpu().float().numpy() for values in cams.model.state_dict().values()]
    key = joblib.hash((repr(cams.model), getattr(cams.model, "low", None), weights))
    file = Path(folder, f"{key}-{size[0]}x{size[1]}.npz")
    if hasattr(data, "paths"):  # a file's bytes are read much faster than its pixels
        files = zip(data.paths, data.sizes, strict=True)
        keys = [joblib.hash((Path(path).read_bytes(), shown)) for path, shown in files]
    else:
        keys = [joblib.hash(image.numpy()) for image in data.images]
    kept = {}
    with suppress(Exception), np.load(file) as stored:  # there is none yet, or it is damaged
        kept = dict(zip(stored["keys"].tolist(), stored["features"], strict=True))
    new = [i for i, key in enumerate(keys) if key not in kept]
    try:
        for start in tqdm(range(0, len(new), batch), "features", unit="batch", leave=False, disable=not new):
            part = new[start : start + batch]
            images = torch.stack([resize(data.images[i], size) for i in part])
            kept.update(zip([keys[i] for i in part], gap_features(cams, images, batch).half().numpy(), strict=True))
    finally:
        if new and kept:
            with replacing(file) as output:
                np.savez(output, keys=np.array(list(kept)), features=np.stack(list(kept.values())))
    return torch.from_numpy(np.stack([kept[key] for key in keys])).float()


def _pictures(items: list) -> Tensor:
    """What the items of a Dataset begin with -> (n,3,H,W)."""
    sizes = {tuple(item[0].shape) for item in items}
    if len(sizes) > 1:
        raise ValueError(f"expected pictures of one size, got {sorted(sizes)[:2]}. Resize them first.")
    return torch.stack([item[0] for item in items])


def _means(features: Tensor) -> Tensor:
    """(N,K,h,w), or (N,K) already -> (N,K)."""
    return features.float().mean((2, 3)) if features.ndim == 4 else features.float()


class LinearProbe:
    """A linear SVM on standardised features, one class against all others; its cost C is chosen by cross-validation.

    Args:
        estimator: another linear classifier of scikit-learn with `C`, `coef_`, `intercept_`; None is LinearSVC. With
            `LogisticRegression(max_iter=1000)`, torch.sigmoid(probe.decision(features)) are probabilities of
            yes-or-no labels
        costs: the values of C to choose from, the first of equally good ones; with one there is nothing to choose
        folds: parts of the data in the cross-validation

    After `fit`: .classes int64 (C,), what each row of the weights stands for; .weight (C,K) float32 and .bias (C,), for
    features that are not standardised; .costs, the cost (or one for each column of labels) chosen.
    Zhou et al., section 4.
    """

    def __init__(self, estimator=None, costs: Sequence[float] = (0.001, 0.01, 0.1, 1.0), folds: int = 5):
        self.estimator = LinearSVC(dual=False, random_state=0) if estimator is None else estimator
        self.grid, self.folds = list(costs), folds

    def fit(self, features: Tensor, labels: Tensor) -> LinearProbe:
        """features (N,K), or (N,K,h,w), whose means are taken.

        labels (N,) whole numbers: one class a picture, and `.predict` gives the class with the highest decision value;
        `.classes` are the sorted labels. labels (N,C) of 0 and 1: several a picture; each column is a yes-or-no
        question with a cost of its own. Raises ValueError for what cannot be learnt from.
        """
        x, y = _means(features).cpu().double().numpy(), torch.as_tensor(labels).cpu().numpy()
        _check(x, y)
        y, self.several = y.astype(int), y.ndim == 2
        if self.several:
            models = [self._fit(x, column, f"column {c} of the labels") for c, column in enumerate(y.T)]
        else:
            models = [self._fit(x, y, "labels")]
        # The scaling goes into the weights: w·(x − mean)/scale + b = (w/scale)·x + (b − (w/scale)·mean)
        rows = [model["svm"].coef_ / model["scale"].scale_ for model in models]
        offsets = [model["svm"].intercept_ - w @ model["scale"].mean_ for model, w in zip(models, rows, strict=True)]
        weight, bias = np.concatenate(rows), np.concatenate(offsets)
        if not self.several and len(weight) == 1:  # two classes: the row of the second, and against it the first
            weight, bias = np.concatenate((-weight, weight)), np.concatenate((-bias, bias))
        self.classes = torch.arange(len(weight)) if self.several else torch.from_numpy(np.unique(y))
        self.weight, self.bias = torch.from_numpy(weight).float(), torch.from_numpy(bias).float()
        self.costs = np.array([model["svm"].C for model in models])
        return self

    def _fit(self, x: np.ndarray, y: np.ndarray, name: str) -> Pipeline:
        """One choice of the cost: y (N,) whole numbers -> the fitted pipeline, "scale" and "svm"."""
        classes, counts = np.unique(y, return_counts=True)
        if len(classes) < 2:
            have = f"only class {classes[0]}" if len(classes) else "nothing"
            raise ValueError(f"{name}: expected two classes or more, got {have}. Add pictures of another class.")
        model = Pipeline([("scale", StandardScaler()), ("svm", clone(self.estimator))])
        if len(self.grid) == 1:
            return model.set_params(svm__C=self.grid[0]).fit(x, y)
        if counts.min() < self.folds:
            raise ValueError(
                f"{name}: {counts.min()} of class {classes[counts.argmin()]}, too few for {self.folds} folds. Add "
                "pictures, ask for fewer folds (folds=2) or give one cost (costs=[0.01])."
            )
        folds = StratifiedKFold(self.folds, shuffle=True, random_state=0)
        balanced = "balanced_accuracy"  # most yes-or-no labels are mostly no
        return GridSearchCV(model, {"svm__C": self.grid}, scoring=balanced, cv=folds).fit(x, y).best_estimator_

    def decision(self, features: Tensor) -> Tensor:
        """features (N,K) or (N,K,h,w) -> decision values (N,C), above 0 for yes: mean of the map + bias."""
        if not hasattr(self, "weight"):
            raise NotFittedError("this probe has not been fitted. Call probe.fit(features, labels) first.")
        return F.linear(_means(features), self.weight.to(features.device), self.bias.to(features.device))

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


def ridge(means: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """A linear regression on pooled units, its penalty chosen by leaving one out -> weight (C,K), bias (C,).

    means (N,K), as `gap_features` gives them; numbers (N,) or (N,C), one number or several a picture. The units are
    standardised, and the scaling is folded into the weight, so that `class_activation_maps(features, weight)` are the
    maps of the answers means @ weight.T + bias (lesson 12).
    """
    scale = StandardScaler().fit(means.double())
    fit = RidgeCV(np.logspace(-1, 5, 13)).fit(scale.transform(means.double()), numbers.double().numpy())
    weight = fit.coef_.reshape(-1, means.shape[1]) / scale.scale_
    return torch.from_numpy(weight).float(), torch.from_numpy(fit.intercept_ - weight @ scale.mean_).float()


def _check(x: np.ndarray, y: np.ndarray) -> None:
    """Raises ValueError for features and labels that nothing can be learnt from."""
    if x.ndim != 2 or len(y) != len(x) or y.ndim not in (1, 2):
        raise ValueError(f"expected features (N,K) and labels (N,) or (N,C), got {x.shape} and {y.shape}")
    if not np.isfinite(x).all():
        raise ValueError("features hold NaN or infinite numbers. Look at the pictures and the network's scaling.")
    if len(x) and (np.ptp(x, axis=0) == 0).all():
        raise ValueError("all pictures have the same features, so nothing tells them apart. Look at the network.")
    if y.ndim == 2 and not np.isin(y, (0, 1)).all():
        raise ValueError("labels (N,C) must be 0 or 1 for every picture and class; for one class a picture give (N,)")
    if y.ndim == 1 and y.dtype.kind not in "biu":
        raise ValueError(f"labels (N,) must be whole numbers, got {y.dtype}")
