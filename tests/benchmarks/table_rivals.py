"""What lessons 05 to 07 say about photographs: maps, their rivals, and heads that learnt from boxes, on 260 of ILSVRC.

    CAM_TEST_DATA=folder python tests/benchmarks/table_rivals.py data/photo_sets/measured/rivals.json [--quick]

EfficientNet-Lite0 at 224 pixels, its weights as they are; "dilated": with twice the places; and MobileNetV2. Rows of
maps: right boxes at the paper's 20 % of the maximum, and at a threshold chosen on the other half of the photos. Rows of
heads: a small head on frozen features learns from the boxes of 20, 60 or all 130 photos of one half and is judged on
the other half. Every row also holds how far it is ahead of the class activation map and of the fixed box, at both:
parts of 1, with 95 % bootstrap intervals over photos. Eight minutes on two cores; --quick leaves out occlusion, which
takes most of them, all thresholds but 20 %, and heads with more boxes.
"""

import datetime
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.ops import box_iou
from torchvision.transforms import v2

import photo_sets
from cam_helpers import CamModel, networks, saliency, scores

STEPS = [0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, *np.arange(3, 17) / 20]  # as in lessons 05 to 07
HEADS = (20, 60, 130)  # boxed photos


def halves(n):
    """-> two pairs (chosen or learnt on, judged on)."""
    even, odd = torch.arange(0, n, 2), torch.arange(1, n, 2)
    return (even, odd), (odd, even)


def at_both(outcomes, steps):
    """outcomes bool (N,T) at `steps` -> right at 20 %, right at the threshold that suits the other half: bool (N,)."""
    turned = torch.zeros(len(outcomes), dtype=torch.bool)
    for chosen_on, judged_on in halves(len(outcomes)):
        turned[judged_on] = outcomes[judged_on, outcomes[chosen_on].double().mean(0).argmax()]
    return outcomes[:, steps.index(0.2)], turned


def learn(features, boxes, steps=200):
    """A head (n,K,7,7) -> (n,4), in parts of the sides, from boxes (n,4); half of the pictures mirrored."""
    torch.manual_seed(46)
    k = features.shape[1]
    head = nn.Sequential(nn.BatchNorm2d(k), nn.Conv2d(k, 16, 1), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
    head(features[:2])
    nn.init.zeros_(head[-1].weight)
    head[-1].bias.data = torch.tensor([0.15, 0.15, 0.85, 0.85])  # starts as the fixed box
    optimizer = torch.optim.AdamW(head.parameters(), 1e-3, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    for step in range(steps):
        i = torch.randint(len(features), (32,))
        f, box = features[i], boxes[i]
        if step % 2:
            f, box = f.flip(3), torch.stack([1 - box[:, 2], box[:, 1], 1 - box[:, 0], box[:, 3]], 1)
        loss = (head(f) - box).abs().sum(1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return head.eval()


def measured(photos, quick: bool = False) -> dict:
    """-> row: score: [value, low, high], parts of 1."""
    network, weights = networks.pretrained()
    mobile, its_weights = networks.pretrained("mobilenet_v2")
    normalise = v2.Normalize(its_weights.transforms().mean, its_weights.transforms().std)
    model, finer, mobile = CamModel(network), *map(networks.fast_cams, (networks.dilate(network, 16), mobile))
    same = networks.fast(network, low_precision=False)  # but for rounding, which is much to a head that learns
    (height, width), n = photos.sizes[0], len(photos)
    maps = {  # of pictures, labels, and what the network made of them
        "class activation map": lambda x, y, cams: cams.maps(y)[:, 0],
        "dilated": lambda x, y, _: finer(x).maps(y)[:, 0],
        "mobilenet_v2": lambda x, y, _: mobile(normalise(x)).maps(y)[:, 0],
        "backprop": lambda x, y, _: saliency.input_gradient(same, x, y),
        "occlusion": lambda x, y, _: saliency.occlusion(same, x, y, window=64, stride=32),
        "Gaussian": lambda x, *_: scores.centred_gaussian(len(x), (height, width)),
        "fixed box": lambda x, *_: scores.centred_box(len(x), (height, width)),
    }
    steps = [0.2] if quick else STEPS
    if quick:
        del maps["occlusion"]
    sweeps = {name: scores.BoxSweep(steps, normalize="max", keep=True) for name in maps}
    features = []
    for start in range(0, n, 20):
        here = slice(start, start + 20)
        x, y = v2.functional.resize(photos.images[here], [224, 224]) / 255, photos.labels[here]
        cams = model(x)
        features.append(cams.features)
        for name, draw in maps.items():
            one = F.interpolate(draw(x, y, cams).detach()[:, None], (height, width), mode="bilinear")[:, 0]
            sweeps[name].update(one, photos.boxes[here])
    hits = {name: at_both(sweep.compute().outcomes[:, 0], steps) for name, sweep in sweeps.items()}

    features, size = torch.cat(features), torch.tensor([width, height] * 2)
    area = [(box[:, 2:] - box[:, :2]).prod(1) for box in photos.boxes]
    largest = torch.stack([box[a.argmax()] for box, a in zip(photos.boxes, area, strict=True)]) / size
    for boxed in HEADS[:1] if quick else HEADS:
        right = torch.zeros(n, dtype=torch.bool)
        for learnt_on, judged_on in halves(n):
            head = learn(features[learnt_on[:boxed]], largest[learnt_on[:boxed]])
            with torch.no_grad():
                found = head(features[judged_on]) * size
            pairs = zip(found, judged_on.tolist(), strict=True)
            right[judged_on] = torch.tensor([bool((box_iou(b[None], photos.boxes[i]) >= 0.5).any()) for b, i in pairs])
        hits[f"head, {boxed} boxes"] = (right, right)

    def told(part):
        return [round(float(value), 4) for value in part]

    about = {"photos": n, "weights": weights.name, "torch": torch.__version__, "date": str(datetime.date.today())}
    rows = {"about": about}
    for name, (at20, own) in hits.items():
        rows[name] = {"at_20": told((at20.double().mean(), *scores.interval(at20)))}
        if quick:
            continue
        rows[name]["own"] = told((own.double().mean(), *scores.interval(own)))
        for other in ("class activation map", "fixed box"):
            for key, mine, theirs in (("at_20", at20, hits[other][0]), ("own", own, hits[other][1])):
                rows[name][f"{key} − {other}"] = told(scores.paired_difference(mine, theirs))
    return rows


def main(*arguments: str) -> None:
    (path,) = (argument for argument in arguments if argument != "--quick")
    folder = Path(os.environ.get("CAM_TEST_DATA") or "nowhere") / "imagenet_val260"
    if not (folder / "boxes.csv").is_file():
        print("No ILSVRC pictures: CAM_TEST_DATA names no folder that holds imagenet_val260.")
        return
    rows = measured(photo_sets.open("ilsvrc_csv", folder, check=False), "--quick" in arguments)
    Path(path).write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
