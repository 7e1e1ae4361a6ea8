"""Pictures with the objects at their pixels, drawn or real, and the one pass over them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate.utils import gather_object
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm.auto import tqdm

from ..devices import processes
from ..maps import CamModel
from ..networks import fast_cams
from .counts import SceneStatistics


class Annotated(Dataset):
    """Pictures and the object at each of their pixels, of any data set with masks: drawn scenes, ADE20K, pets …

    An item is (picture uint8 (3,H,W), int64 (L,H,W) indices into .names or -1, scene, index into the data). L is 1, the
    objects; with parts=True there is a second layer, the parts, whose names begin with "part: ".

    Args:
        data: `drawn_world.load(…)`, or `photo_sets.open("ade20k_scenes", …, size=…)`; one label a picture
        scenes: the classes wanted, in the order of their numbers (None: the data's); other pictures are left out
        parts: add the layer of the parts, which drawn pictures have

    Raises:
        TypeError: data without masks of objects, or without parts
        ValueError: pictures of several sizes
    """

    def __init__(self, data, scenes: Sequence[str] | None = None, parts: bool = False):
        for name in ("masks", "parts") if parts else ("masks",):
            if getattr(data, name, None) is None:
                raise TypeError(f"expected data with {name}, as drawn scenes have, got {type(data).__name__} without")
        if len(set(getattr(data, "sizes", ()))) > 1:
            raise ValueError("expected pictures of one size. Open the set with size=224.")
        self.data, self.parts = data, parts
        self.scenes = list(data.classes if scenes is None else scenes)
        self.names = list(data.object_names)
        self.first_part = len(self.names)
        if parts:
            self.names += [f"part: {name}" for name in data.part_names[1:]]
        number = {name: k for k, name in enumerate(self.scenes)}
        wanted = [number.get(data.classes[label], -1) for label in data.labels.tolist()]
        self.items = [(i, label) for i, label in enumerate(wanted) if label >= 0]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor, int, int]:
        index, label = self.items[item]
        masks, objects = self.data.masks[index], self.data.objects[index]
        layers = [(masks * (objects + 1)[:, None, None]).sum(0) - 1]  # no pixel belongs to two objects
        if self.parts:
            parts = self.data.parts[index].long()
            layers.append(torch.where(parts > 0, parts - 1 + self.first_part, -1))
        return self.data.images[index], torch.stack(layers), label, index


def scene_statistics(model, data, scenes: Sequence[str] | None = None, batch: int = 64, **settings) -> SceneStatistics:
    """One pass over annotated pictures; under `accelerate launch` every process takes its share, and all get the whole.

    Args:
        model: a network, a CamModel, or any function of pictures that gives `Cams` (a `LinearProbe` on a trunk: lambda
            x: probe.cams(wrapped(x).features)); class k of the model is scene k
        data, scenes: see `Annotated`
        batch: pictures in one forward pass
        settings: of `SceneStatistics`

    Raises ValueError when the model has another number of classes than there are scenes.
    """
    state, pictures = processes(), Annotated(data, scenes)
    found = SceneStatistics(pictures.scenes, pictures.names, **settings)
    if isinstance(model, nn.Module):
        model = fast_cams(model)
    like = next(model.model.parameters(), torch.empty(0)) if isinstance(model, CamModel) else torch.empty(0)
    with state.split_between_processes(list(range(len(pictures)))) as mine:
        loader = DataLoader(Subset(pictures, mine), batch)
        for images, kinds, labels, keys in tqdm(loader, leave=False, disable=not state.is_main_process):
            cams = model(images.to(like.device))
            if cams.logits.shape[1] != len(pictures.scenes):
                classes = f"{cams.logits.shape[1]} classes and there are {len(pictures.scenes)} scenes"
                raise ValueError(f"the model has {classes}. Say with scenes=[…] which scene each class is.")
            found.update(cams.maps(labels)[:, 0], kinds[:, 0], labels, keys)
    if state.num_processes > 1:
        found, *others = gather_object([found])
        for other in others:
            found.merge(other)
    return found
