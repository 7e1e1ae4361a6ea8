"""Figures of the lessons: maps over pictures, boxes, signed maps, and a text for readers who cannot see them.

Pictures come as uint8 or float 0–1 tensors (3,H,W), arrays (H,W,3) or PIL images; maps as tensors or arrays (h,w) of
any size, which are laid over the picture bilinearly. Maps stay signed until here; every function says how it scales.
"""

from __future__ import annotations

import base64
import html
import io

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import CenteredNorm, Normalize
from matplotlib.patches import Rectangle
from PIL import Image
from torchvision.transforms import v2

from . import drawing
from .boxes import region_above, value_range
from .drawing import BOX_COLOURS, HEAT, SIGNED
from .images import read_picture
from .maps import resize
from .scores import interval

__all__ = [
    "boxes", "classes", "dim", "fit", "heat", "intervals", "overlay", "panels", "picture", "read_picture", "show",
    "signed",
]  # fmt: skip

FOUND, TRUE = BOX_COLOURS[:2]  # in every figure and widget: a found box blue, the true one yellow

_FOR_SCREEN_READERS = "position:absolute;width:1px;height:1px;margin:0;overflow:hidden;clip-path:inset(50%)"


def show(fig, alt: str, photos: bool = False) -> None:
    """Show a figure and store its alternative text with the output, then close it.

    The text goes into the output's metadata, where some exports look for it (nbconvert's classic template), and
    invisibly behind the picture, where screen readers find it in JupyterLab and in every HTML export. photos=True
    stores a JPEG: a figure full of pictures takes a fifth of the space. Raises ValueError when alt has fewer than three
    words.
    """
    if len(alt.split()) < 3:
        raise ValueError(f"expected alt to describe the figure in a sentence, got {alt!r}")
    kind = "image/jpeg" if photos else "image/png"
    data = _encode(fig, photos)
    plt.close(fig)
    from IPython.display import HTML, display  # here: the package also works without a notebook

    encoded = base64.b64encode(data).decode()
    display({kind: encoded, "text/plain": alt}, metadata={kind: {"alt": alt}}, raw=True)
    display(HTML(f'<p style="{_FOR_SCREEN_READERS}">{html.escape(alt)}</p>'))


def fit(photo: torch.Tensor, side: int = 224, cell: int = 32) -> torch.Tensor:
    """Make the shorter side `side` pixels long and crop the rest to whole cells, around the middle.

    photo uint8 (3,H,W) -> uint8 (3,H',W'). A network whose strides multiply to `cell` then sees whole cells only, and
    its map lies exactly over the picture.
    """
    photo = v2.functional.resize(photo, side)
    return v2.functional.center_crop(photo, [size // cell * cell for size in photo.shape[1:]])


def overlay(image, heatmap, strength: float = 0.75, normalize: str = "max", limit=None) -> np.ndarray:
    """The map as colour over the picture in grey, clearer where the map is higher -> uint8 (H,W,3).

    Args:
        image: one picture
        heatmap: one map (h,w)
        strength: how much the colours cover the picture, 0 to 1
        normalize: "max" clips negative evidence to zero and divides the map by its maximum; "minmax" goes from its
            lowest to its highest value
        limit: the value of the brightest colour instead of the maximum, to compare several maps on one scale
    """
    photo = Image.fromarray(_rgb(image))
    opacity = _fraction("strength", strength) * drawing.RISING
    levels = drawing.to_levels(*_scaled(heatmap, photo, normalize, limit))
    return np.array(drawing.tint(levels, drawing.grey(photo), HEAT, opacity))


def dim(image, where, threshold: float = 0.2, darkness: float = 0.8) -> np.ndarray:
    """The lecture's mask (19:43): everything but the object darkened -> uint8 (H,W,3).

    Args:
        image: one picture
        where: a boolean mask (H,W), or a map (h,w), of which the pixels above the threshold stay as they are
        threshold: a fraction of the map's maximum
        darkness: the fraction of the light taken from the rest
    """
    photo = Image.fromarray(_rgb(image))
    mask = _array(where)
    if mask.dtype != bool:
        heat, _, _ = _scaled(mask, photo, "max", None)
        mask = region_above(torch.from_numpy(heat), threshold).numpy()
    if mask.shape != photo.size[::-1]:
        raise ValueError(f"expected a mask of the picture's size {photo.size[::-1]}, got {mask.shape}")
    return np.array(drawing.darken(photo, mask, _fraction("darkness", darkness)))


def picture(image, ax=None, title: str | None = None):
    """A picture without ticks and frame -> its matplotlib Axes; ax=None makes a new figure, here and below."""
    ax = _axes(ax)
    ax.imshow(_rgb(image))
    ax.set_title(title or "")
    ax.set_axis_off()
    return ax


def heat(image, heatmap, ax=None, title: str | None = None, bar: bool = True, normalize: str = "max", limit=None):
    """`overlay` in axes -> the Axes.

    Args:
        image, heatmap, normalize, limit: as in `overlay`
        ax: where to draw
        title: above the picture
        bar: with a colour bar in the map's own units
    """
    ax = picture(overlay(image, heatmap, normalize=normalize, limit=limit), ax, title)
    if bar:
        low, high = _range(_map(heatmap), normalize, limit)
        _bar(ax, Normalize(low, high), HEAT, "evidence for" if low == 0 else "evidence")
    return ax


def signed(
    heatmap, ax=None, title: str | None = None, limit: float | None = None, values: bool = False, bar: bool = True
):
    """A signed map on a scale centred on zero: red is evidence for the class, blue against it -> the Axes.

    Args:
        heatmap: one map (h,w), drawn cell by cell
        ax: where to draw
        title: above the map
        limit: the value of the full colours; None takes the map's largest absolute value
        values: write each number into its cell, for small maps
        bar: with a colour bar
    """
    ax, array = _axes(ax), _map(heatmap)
    limit = limit or float(np.abs(array[np.isfinite(array)]).max(initial=0)) or 1.0
    norm = CenteredNorm(0, limit)
    ax.imshow(array, cmap=SIGNED, norm=norm)
    ax.set_title(title or "")
    ax.set_xticks([])
    ax.set_yticks([])
    if values:
        for (y, x), value in np.ndenumerate(array):
            ink = "white" if abs(value) > 0.6 * limit else "black"
            ax.text(x, y, f"{value + 0.0:.3g}", ha="center", va="center", color=ink, fontsize=11)
    if bar:
        _bar(ax, norm, SIGNED, "against  ·  for")
    return ax


def boxes(ax, xyxy, labels=None, colour: str | None = None):
    """Draw boxes on a picture.

    Args:
        ax: Axes that hold the picture
        xyxy: (M,4), pixels, x2/y2 exclusive
        labels: one text per box; None: without
        colour: any that matplotlib knows; None: one after another of the course's
    """
    for i, (x1, y1, x2, y2) in enumerate(_array(xyxy).reshape(-1, 4).tolist()):
        edge = colour or BOX_COLOURS[i % len(BOX_COLOURS)]
        # pixel i covers i - 0.5 to i + 0.5 in matplotlib's coordinates
        frame = {"xy": (x1 - 0.5, y1 - 0.5), "width": x2 - x1, "height": y2 - y1, "fill": False, "clip_on": False}
        ax.add_patch(Rectangle(**frame, edgecolor="black", linewidth=4))
        ax.add_patch(Rectangle(**frame, edgecolor=edge, linewidth=2))
        if labels is not None:
            paper = {"facecolor": edge, "edgecolor": "none", "pad": 1.5}
            ax.text(x1 + 1, y1 + 1, labels[i], va="top", fontsize=9, color="black", bbox=paper)
    return ax


def classes(image, maps, names, scores=None, shared: bool = False, columns: int = 4, width: float = 2.6):
    """One picture, several classes (lecture 14:20, Figure 4): the picture, then one overlay per class -> the figure.

    Args:
        image: one picture
        maps: (C,h,w)
        names: C texts
        scores: C numbers to print beside the names, or None
        shared: one colour scale for all classes instead of one each
        columns: panels in a row
        width: of a panel, in inches
    """
    maps = _array(maps)
    if maps.ndim != 3 or len(names) != len(maps) or (scores is not None and len(scores) != len(maps)):
        raise ValueError(f"expected maps (C,h,w) and C names (and scores), got {maps.shape} and {len(names)} names")
    limit = max(float(np.nanmax(maps, initial=0)), 1e-12) if shared else None
    rows = -(-(len(maps) + 1) // columns)
    columns = min(columns, len(maps) + 1)
    height = width * _rgb(image).shape[0] / _rgb(image).shape[1] + 0.35
    fig, axes = plt.subplots(
        rows, columns, figsize=(columns * width, rows * height), layout="constrained", squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    picture(image, axes.flat[0], "the picture")
    for i, ax in enumerate(axes.flat[1 : len(maps) + 1]):
        score = "" if scores is None else f"  {scores[i]:.3g}"
        heat(image, maps[i], ax, f"{names[i]}{score}", limit=limit)
    fig.supxlabel(
        "one colour scale for all classes" if shared else "each class on a colour scale of its own", fontsize=9
    )
    return fig


def intervals(rows, title: str = "", ax=None):
    """Numbers with their intervals as points on lines, the first on top -> the Axes.

    rows: name -> (value, low, high), as `photo_sets.measured` stores them; or one number a picture, a tensor (N,)
    """
    ax = plt.subplots(figsize=(8, 0.6 + 0.3 * len(rows)), layout="constrained")[1] if ax is None else ax
    for place, row in enumerate(reversed(rows.values())):
        value, low, high = (row.mean().item(), *interval(row)) if isinstance(row, torch.Tensor) else row
        ax.plot([low, high], [place, place], color=FOUND, linewidth=2)
        ax.plot(value, place, "o", color=FOUND)
    ax.axvline(0, color="0.5", linewidth=0.8)
    ax.set(title=title, yticks=range(len(rows)), yticklabels=list(rows)[::-1])
    return ax


def panels(shown, columns: int = 4, width: float = 2.6):
    """Pictures with maps and boxes, in rows -> the figure: found boxes blue, true ones yellow.

    Args:
        shown: for each panel the picture, its map (h,w) or None, a title, the found boxes (M,4) or None, the true ones
        columns: panels in a row
        width: of a panel, in inches
    """
    tall = max(_rgb(image).shape[0] / _rgb(image).shape[1] for image, *_ in shown)
    rows, columns = -(-len(shown) // columns), min(columns, len(shown))
    size = columns * width, rows * (width * tall + 0.35)
    fig, axes = plt.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (image, heatmap, title, found, true) in zip(axes.flat, shown, strict=False):
        picture(image, ax, title) if heatmap is None else heat(image, heatmap, ax, title, bar=False)
        for xyxy, colour in ((true, TRUE), (found, FOUND)):
            if xyxy is not None:
                boxes(ax, xyxy, colour=colour)
        ax.title.set_fontsize(10)
    if any(true is not None for *_, true in shown):
        blue = " · blue: the found box" * any(found is not None for *_, found, _ in shown)
        fig.supxlabel(f"yellow: the true box{blue}", fontsize=9)
    return fig


# -- below: helpers ---------------------------------------------------------------------------------------------


def _axes(ax):
    return plt.subplots(figsize=(4, 4), layout="constrained")[1] if ax is None else ax


def _array(value) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu()
        return (value.float() if value.dtype == torch.bfloat16 else value).numpy()
    return np.asarray(value)


def _map(value) -> np.ndarray:
    array = _array(value).astype(np.float32)
    if array.ndim != 2:
        raise ValueError(f"expected one map (h,w), got {array.shape}. Select it: maps[picture, class]")
    return array


def _fraction(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"expected {name} from 0 to 1, got {value}")
    return value


def _rgb(image) -> np.ndarray:
    """-> uint8 (H,W,3)."""
    if isinstance(image, Image.Image):
        image = read_picture(image)
    array = _array(image)
    if isinstance(image, torch.Tensor) and array.ndim == 3 and array.shape[0] in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise ValueError(f"expected one RGB picture, (3,H,W) or (H,W,3), got {array.shape}")
    if array.dtype != np.uint8:
        low, high = array.min(initial=0), array.max(initial=0)
        if array.dtype.kind != "f" or not (low >= 0 and high <= 1):
            raise ValueError(
                f"expected uint8, or float from 0 to 1, got {array.dtype} from {low:.3g} to {high:.3g}. "
                "Show the picture as it was before the network's normalisation"
            )
        array = (array * 255).round().astype(np.uint8)
    return np.broadcast_to(array, (*array.shape[:2], 3))


def _range(array: np.ndarray, normalize: str, limit: float | None) -> tuple[float, float]:
    low, high = (end.item() for end in value_range(torch.from_numpy(array), normalize))
    high = high if limit is None else limit
    return low, high if high > low else low + 1.0


def _scaled(heatmap, photo: Image.Image, normalize: str, limit: float | None) -> tuple[np.ndarray, float, float]:
    """-> the map at the picture's size, and the ends of its scale; what is not a finite number counts as the lower."""
    array = _map(heatmap)
    low, high = _range(array, normalize, limit)
    array = np.where(np.isfinite(array), array, np.float32(low))
    return resize(torch.from_numpy(array)[None, None], photo.size[::-1])[0, 0].numpy(), low, high


def _bar(ax, norm, cmap: str, label: str) -> None:
    beside = ax.inset_axes([1.03, 0, 0.04, 1])  # as tall as the picture
    bar = ax.figure.colorbar(plt.cm.ScalarMappable(norm, cmap), cax=beside)
    bar.ax.tick_params(labelsize=8)
    bar.ax.locator_params(nbins=5)
    bar.set_label(label, fontsize=8)


def _encode(fig, photos: bool) -> bytes:
    raw, small = io.BytesIO(), io.BytesIO()
    fig.savefig(raw, format="png", dpi=100, bbox_inches="tight", facecolor="white")
    image = Image.open(raw).convert("RGB")
    if photos:
        image.save(small, "JPEG", quality=85, optimize=True)
    else:  # six bits a channel halve the file, and nobody sees it
        image.point(lambda level: min((level + 2) // 4 * 4, 255)).save(small, "PNG", optimize=True)
    return small.getvalue()
