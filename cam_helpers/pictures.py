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

from .images import PictureError, read_picture
from .maps import resize

__all__ = [
    "PictureError",
    "boxes",
    "classes",
    "dim",
    "fit",
    "heat",
    "overlay",
    "picture",
    "read_picture",
    "show",
    "signed",
]

HEAT, SIGNED = "inferno", "RdBu_r"
_MISLEADING = {
    "jet",
    "rainbow",
    "gist_rainbow",
    "hsv",
    "nipy_spectral",
    "gist_ncar",
    "turbo",
    "spectral",
    "prism",
    "flag",
}
_FOR_SCREEN_READERS = "position:absolute;width:1px;height:1px;margin:0;overflow:hidden;clip-path:inset(50%)"
_BOX_COLOURS = ("#00e0ff", "#ffd400", "#ff5ec4", "#7dff6a", "#ffffff")


def show(fig, alt: str, dpi: int = 100, photos: bool = False) -> None:
    """Show a figure and store its alternative text with the output, then close it.

    The text goes into the output's metadata, where some exports look for it (nbconvert's classic template), and
    invisibly behind the picture, where screen readers find it in JupyterLab and in every HTML export. Raises ValueError
    when alt does not describe anything (fewer than three words). photos=True stores a JPEG: a sheet full of pictures
    takes a fifth of the room.
    """
    if len(alt.split()) < 3:
        raise ValueError(f"alt describes the figure to a reader who cannot see it, in a sentence; got {alt!r}")
    kind = "image/jpeg" if photos else "image/png"
    data = _encode(fig, dpi, photos)
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


def overlay(image, heatmap, strength: float = 0.75, normalize: str = "max", limit=None, cmap: str = HEAT) -> np.ndarray:
    """The map as colour over the picture in grey, clearer where the map is higher -> uint8 (H,W,3).

    normalize="max": negative evidence is clipped to zero and the map divided by its maximum (or by `limit`, to
    compare several maps on one scale); "minmax": from its lowest to its highest value.
    """
    rgb = _rgb(image)
    level = _level(heatmap, rgb.shape[:2], normalize, limit)
    colour = _colour_map(cmap)(level)[..., :3] * 255
    alpha = _part("strength", strength) * (0.25 + 0.75 * level[..., None])
    grey = rgb.mean(2, keepdims=True)  # so that every hue on the picture is one of the colour bar's
    return ((1 - alpha) * grey + alpha * colour).round().astype(np.uint8)


def dim(image, where, threshold: float = 0.2, darkness: float = 0.8) -> np.ndarray:
    """The lecture's mask (19:43): everything but the object darkened by alpha blending -> uint8 (H,W,3).

    where: a boolean mask (H,W), which keeps its pixels as they are, or a map, which keeps the pixels above
    `threshold` times its maximum. darkness: the part of the light taken from the rest, 0 to 1.
    """
    rgb = _rgb(image)
    array = _array(where)
    if array.dtype != bool:
        array = _level(array, rgb.shape[:2], "max", None) > threshold
    if array.shape != rgb.shape[:2]:
        raise ValueError(f"the mask is {array.shape} and the picture {rgb.shape[:2]}: a mask has the picture's size")
    return (rgb * np.where(array, 1.0, 1.0 - _part("darkness", darkness))[..., None]).round().astype(np.uint8)


def picture(image, ax=None, title: str | None = None):
    """A picture without axes -> the matplotlib Axes. A new figure when ax is None; so for all that follow."""
    ax = _axes(ax)
    ax.imshow(_rgb(image))
    ax.set_title(title or "")
    ax.set_axis_off()
    return ax


def heat(image, heatmap, ax=None, title: str | None = None, bar: bool = True, **how):
    """`overlay` in axes, with a colour bar in the map's own units. how: as in `overlay`."""
    ax = picture(overlay(image, heatmap, **how), ax, title)
    if bar:
        low, high = _range(_array(heatmap), how.get("normalize", "max"), how.get("limit"))
        how_much = "evidence for" if low == 0 else "evidence"
        _bar(ax, Normalize(low, high), how.get("cmap", HEAT), how_much)
    return ax


def signed(
    heatmap, ax=None, title: str | None = None, limit: float | None = None, values: bool = False, bar: bool = True
):
    """A signed map on a scale centred on zero: red speaks for the class, blue against it, white is silent.

    limit: the value of the full colours (the map's largest absolute value when None). values=True writes each number
    into its cell, for small maps.
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
    """Draw boxes (M,4), xyxy in pixels with x2/y2 exclusive, on axes that hold a picture; labels: one text per box."""
    for i, (x1, y1, x2, y2) in enumerate(_array(xyxy).reshape(-1, 4).tolist()):
        edge = colour or _BOX_COLOURS[i % len(_BOX_COLOURS)]
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

    maps (C,h,w); names C texts; scores: C numbers to print as they are, or None. shared=True: one scale for all
    classes, so that colours can be compared; otherwise each class has its own, and its bar says so.
    """
    maps = _array(maps)
    if maps.ndim != 3 or len(names) != len(maps) or (scores is not None and len(scores) != len(maps)):
        raise ValueError(f"maps are (C,h,w) with a name (and a score) each, got {maps.shape} and {len(names)} names")
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
        raise ValueError(f"one map at a time, (h,w), got {array.shape}: maps[picture, class]")
    return array


def _part(name: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is a part of the whole, from 0 to 1, got {value}")
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
        raise ValueError(f"a picture is (3,H,W) or (H,W,3), got {array.shape}: one picture at a time, and RGB")
    if array.dtype != np.uint8:
        low, high = array.min(initial=0), array.max(initial=0)
        if array.dtype.kind != "f" or not (low >= 0 and high <= 1):
            raise ValueError(
                f"a picture is uint8, or float from 0 to 1; got {array.dtype} from {low:.3g} to {high:.3g}: "
                "show the picture as it was before the network's normalisation"
            )
        array = (array * 255).round().astype(np.uint8)
    return np.broadcast_to(array, (*array.shape[:2], 3))


def _range(array: np.ndarray, normalize: str, limit: float | None) -> tuple[float, float]:
    if normalize not in ("max", "minmax"):
        raise ValueError(f"normalize must be 'max' or 'minmax', got {normalize!r}")
    finite = array[np.isfinite(array)]
    low = float(finite.min(initial=np.inf)) if normalize == "minmax" and finite.size else 0.0
    high = limit if limit is not None else float(finite.max(initial=-np.inf)) if finite.size else 0.0
    return low, high if high > low else low + 1.0


def _level(heatmap, size: tuple[int, int], normalize: str, limit: float | None) -> np.ndarray:
    """The map at the picture's size, from 0 to 1; what is not a number counts as 0."""
    array = _map(heatmap)
    low, high = _range(array, normalize, limit)
    level = np.nan_to_num((array - low) / (high - low), nan=0.0, posinf=0.0, neginf=0.0)
    if array.shape != tuple(size):
        level = resize(torch.from_numpy(level)[None, None], size)[0, 0].numpy()
    return level.clip(0, 1)


def _colour_map(name: str):
    if name.removesuffix("_r").lower() in _MISLEADING:
        raise ValueError(f"'{name}' shows edges that are not in the data: take a perceptually uniform one, '{HEAT}'")
    return plt.get_cmap(name)


def _bar(ax, norm, cmap: str, label: str) -> None:
    beside = ax.inset_axes([1.03, 0, 0.04, 1])  # as tall as the picture
    bar = ax.figure.colorbar(plt.cm.ScalarMappable(norm, _colour_map(cmap)), cax=beside)
    bar.ax.tick_params(labelsize=8)
    bar.ax.locator_params(nbins=5)
    bar.set_label(label, fontsize=8)


def _encode(fig, dpi: int, photos: bool) -> bytes:
    raw, small = io.BytesIO(), io.BytesIO()
    fig.savefig(raw, format="png", dpi=dpi, bbox_inches="tight", facecolor="white")
    image = Image.open(raw).convert("RGB")
    if photos:
        image.save(small, "JPEG", quality=85, optimize=True)
    else:  # six bits a channel: nobody sees it, half the size
        levels = ((np.asarray(image).astype(np.uint16) + 2) // 4 * 4).clip(0, 255).astype(np.uint8)
        Image.fromarray(levels).save(small, "PNG", optimize=True)
    return small.getvalue()
