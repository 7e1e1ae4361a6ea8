"""Pictures with the objects at their pixels, drawn or real, and the one pass over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm.auto import tqdm

from ..maps import CamModel
from ..training.loop import processes
from .counts import SceneStatistics


class Annotated(Dataset):
    """Pictures and what is at each of their pixels, in one form: the world's data, or `datasets.open("ade20k_scenes")`.

    Item: (picture as the network takes it, long (L,H,W) indices into .names or -1, scene, index into the data). L is 1,
    the objects; with parts=True there is a second layer, the parts, named "part: …" (the world's pictures only).
    scenes: those wanted, in the order of their numbers (None: the data's classes); others are left out. prepare: a
    picture uint8 (3,H,W) -> what the network takes, whole: stretched, not cropped. Real pictures need one.
    """

    def __init__(self, data, scenes: Sequence[str] | None = None, prepare: Callable | None = None, parts: bool = False):
        self.data, self.prepare, self.real = data, prepare, hasattr(data, "object_classes")
        if not self.real and not hasattr(data, "instances"):
            raise TypeError(f"{type(data).__name__} has no masks of objects by name: the world's and ADE20K's have")
        if self.real and (prepare is None or parts):
            raise ValueError("real pictures have no parts, and need prepare=, such as torchvision's Resize((224, 224))")
        self.scenes = list(data.classes if scenes is None else scenes)
        self.names = list(data.object_classes[1:] if self.real else data.object_names)
        self.layers, self.objects = 1 + parts, len(self.names)
        self.names += [f"part: {name}" for name in data.part_names[1:]] if parts else []
        labels = [data.classes[k] for k in data.labels.tolist()] if data.labels.ndim == 1 else [""] * len(data)
        number = {name: k for k, name in enumerate(self.scenes)} | ({"": -1} if data.labels.ndim == 2 else {})
        self.items = [(i, number[name]) for i, name in enumerate(labels) if name in number]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor, int, int]:
        index, label = self.items[item]
        image = self.data.images[index] if self.prepare is None else self.prepare(self.data.images[index])
        if self.real:
            kinds = self.data.masks[index].long()[None] - 1
        else:
            kinds = torch.tensor([-1, *self.data.objects[index]])[self.data.instances[index].long()][None]
        if self.layers == 2:
            parts = self.data.parts[index].long()[None]
            kinds = torch.cat((kinds, torch.where(parts > 0, parts - 1 + self.objects, -1)))
        if kinds.shape[1:] != image.shape[1:]:
            kinds = F.interpolate(kinds[None].double(), image.shape[1:], mode="nearest-exact")[0].long()
        return image, kinds, label, index


def scene_statistics(
    model, data, scenes: Sequence[str] | None = None, prepare=None, batch: int = 64, workers: int = 0, **settings
) -> SceneStatistics:
    """One pass over annotated pictures; under `accelerate launch` every process takes its share, and all get the whole.

    model: a network, a CamModel, or any function of pictures that gives `Cams` (a `LinearProbe` on a trunk: lambda x:
    probe.cams(wrapped(x).features)). data, scenes, prepare: see `Annotated`; class k of the model is scene k. settings:
    of `SceneStatistics`. Raises ValueError when the model has another number of classes than there are scenes.
    """
    state, pictures = processes(), Annotated(data, scenes, prepare)
    found = SceneStatistics(pictures.scenes, pictures.names, **settings)
    if isinstance(model, nn.Module):
        model = CamModel(model)
    like = next(model.model.parameters(), torch.empty(0)) if isinstance(model, CamModel) else torch.empty(0)
    with state.split_between_processes(list(range(len(pictures)))) as mine:
        loader = DataLoader(Subset(pictures, mine), batch, num_workers=workers)
        for images, kinds, labels, keys in tqdm(loader, leave=False, disable=not state.is_main_process):
            cams = model(images.to(like.device))
            if cams.logits.shape[1] != len(pictures.scenes):
                raise ValueError(
                    f"the model has {cams.logits.shape[1]} classes and there are {len(pictures.scenes)} scenes: say "
                    "with scenes=[…] which scene each class is"
                )
            found.update(cams.maps(labels)[:, 0], kinds[:, 0], labels, keys)
    if state.num_processes > 1:
        first, *others = gather_object([found])
        for other in others:
            first.merge(other)
        found = first
    return found
