"""Composing a picture: sprites are placed, lit, shadowed and covered; every pixel keeps its object and its part.

Everything that touches pixels is integer arithmetic (16.16 fixed point for coordinates), so the same calls give the
same pixels on every machine.
"""

import math

import numpy as np
from PIL import Image, ImageFilter

from .sprites import MARGIN, Sprite


class Layer:
    """A sprite warped to its place.

    Args:
        rgba: premultiplied, int32 (h,w,4)
        parts: uint8 (h,w), the number of the part that a pixel belongs to; 0: none
        names: of the parts, from number 1 on
        x, y: its upper left corner in the picture
    """

    def __init__(self, rgba, parts, names, x, y):
        self.rgba, self.parts, self.names, self.x, self.y = rgba, parts, names, x, y
        alpha = rgba[..., 3]
        self.solid = alpha >= min(128, max(1, int(alpha.max()) // 2))  # a thin glass is faint all over
        self.area = int(self.solid.sum())


class Canvas:
    """A picture in the making: `rgb` int32 (size,size,3), `instances` and `parts` uint8 (size,size), 0 = ground."""

    def __init__(self, rgb: np.ndarray, part_names=()):
        self.rgb = np.asarray(rgb, np.int32)
        self.size = self.rgb.shape[0]
        self.instances, self.parts = np.zeros((2, self.size, self.size), np.uint8)
        self._part_index = {name: i for i, name in enumerate(part_names)}

    def paste(self, layer: Layer, instance: int) -> None:
        """Paint the layer over what is there; its pixels now belong to object `instance` (0: to none)."""
        canvas, own = self._clip(layer)
        rgba = layer.rgba[own]
        alpha = rgba[..., 3:]
        self.rgb[canvas] = rgba[..., :3] + (self.rgb[canvas] * (255 - alpha) + 127) // 255
        solid = layer.solid[own]
        self.instances[canvas][solid] = instance
        table = np.array([0, *(self._part_index.get(n, 0) for n in layer.names)], np.uint8)
        self.parts[canvas][solid] = table[layer.parts[own]][solid] if instance else 0

    def visible(self, layer: Layer) -> int:
        """Pixels of the layer that lie inside the picture."""
        return int(layer.solid[self._clip(layer)[1]].sum())

    def cover(self, layer: Layer) -> np.ndarray:
        """How many pixels of each object the layer would hide, indexed by object number."""
        canvas, own = self._clip(layer)
        return np.bincount(self.instances[canvas][layer.solid[own]], minlength=256)

    def keep_visible(self, least) -> list[int]:
        """Make objects ground of which too little is seen, and number the others 1, 2, … in the same order.

        least: for each object, how many pixels must be seen. Returns the objects kept, counted from 0.
        """
        seen = np.bincount(self.instances.ravel(), minlength=len(least) + 1)[1:]
        kept = [k for k, pixels in enumerate(least) if seen[k] >= pixels]
        table = np.zeros(256, np.uint8)
        table[[k + 1 for k in kept]] = np.arange(1, len(kept) + 1)
        self.instances = table[self.instances]
        self.parts[self.instances == 0] = 0
        return kept

    def darken(self, alpha: np.ndarray, x: int, y: int, strength: float) -> None:
        """Darken what is painted.

        Args:
            alpha: uint8 (h,w), where it gets darker
            x, y: upper left corner of alpha
            strength: 0 none to 1 black where alpha is 255
        """
        canvas, own = _overlap(x, y, alpha.shape, self.rgb.shape)
        gain = 65280 - alpha[own].astype(np.int32)[..., None] * round(strength * 256)
        self.rgb[canvas] = self.rgb[canvas] * (gain >> 4) // 4080

    def _clip(self, layer):
        return _overlap(layer.x, layer.y, layer.parts.shape, self.rgb.shape)


def place_sprite(
    sprite: Sprite, palette, x, y, length, tilt=0.0, stretch=1.0, shear=0.0, flip=False, base=False
) -> Layer:
    """Warp a sprite to its place in a picture.

    Args:
        sprite: the drawing
        palette: number of one of its palettes
        x, y: centre in pixels (with `base`: middle of the lower edge)
        length: of the longest side, in pixels
        tilt: in degrees
        stretch: width over height relative to the drawing
        shear: sideways shift per unit of height
        flip: mirrored
        base: it stands at x, y
    """
    rgba, parts = sprite.raster(palette, length)
    h, w = parts.shape
    scale = length / (max(h, w) - 2 * MARGIN)
    sx, sy = scale * (-1 if flip else 1) * stretch, scale
    if base:
        y -= (h / 2 - MARGIN) * sy
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    # forward: picture = centre + R · [[sx, shear·sy], [0, sy]] · (source − its centre)
    a, b, c, d = cos * sx, cos * shear * sy - sin * sy, sin * sx, sin * shear * sy + cos * sy
    hw, hh = (abs(a) * w + abs(b) * h) / 2, (abs(c) * w + abs(d) * h) / 2
    x0, y0 = math.floor(x - hw), math.floor(y - hh)
    x1, y1 = math.ceil(x + hw), math.ceil(y + hh)
    det = a * d - b * c
    ia, ib, ic, id_ = (round(v / det * 65536) for v in (d, -b, -c, a))
    px = np.arange(x0, x1, dtype=np.int64) * 256 + round((0.5 - x) * 256)
    py = np.arange(y0, y1, dtype=np.int64)[:, None] * 256 + round((0.5 - y) * 256)
    u = ((ia * px + ib * py) >> 8) + (w << 15) - 32768
    v = ((ic * px + id_ * py) >> 8) + (h << 15) - 32768
    return Layer(*_sample(rgba, parts, u, v), sprite.parts, x0, y0)


def relief(layer: Layer, grain: np.ndarray, depth: float, roughness: float) -> None:
    """Make a flat drawing look solid and made of stuff: rims lit from the upper left, and a grain over it.

    Args:
        layer: changed in place
        grain: uint8 (H,W), repeated where the layer is larger, 128 = neutral
        depth: how much the rims differ
        roughness: how much the grain shows
    """
    alpha = layer.rgba[..., 3]
    h, w = alpha.shape
    reach = max(1, max(h, w) // 12)
    swell = _blur(_padded(alpha, reach), reach, 1).astype(np.int32)
    slope = swell[2 * reach :, 2 * reach :] - swell[: -2 * reach, : -2 * reach]
    gain = 256 + (slope * round(depth * 256) >> 8)
    grain = grain[(np.arange(h) % grain.shape[0])[:, None], np.arange(w) % grain.shape[1]].astype(np.int32)
    gain += (grain - 128) * round(roughness * 512) >> 8
    np.clip(layer.rgba[..., :3] * gain[..., None] >> 8, 0, alpha[..., None], out=layer.rgba[..., :3])


def tint(layer: Layer, order=(0, 1, 2), gains=(1.0, 1.0, 1.0)) -> None:
    """Exchange and scale the colour channels of a layer, so that no kind owns a colour."""
    rgb = layer.rgba[..., order] * np.array([round(g * 256) for g in gains], np.int32) >> 8
    layer.rgba[..., :3] = np.minimum(rgb, layer.rgba[..., 3:])


def shade_of(canvas: Canvas, layer: Layer, size: int, strength: float) -> None:
    """A soft shadow on whatever lies just behind an object, to its lower right.

    Args:
        canvas: what it falls on
        layer: the object, which is not painted yet
        size: side of the picture in pixels
        strength: 0 none to 1 black
    """
    soft = max(1.0, size / 40)
    pad = int(soft * 3) + 1
    alpha = _padded(layer.rgba[..., 3], pad)
    shift = round(size / 45)
    canvas.darken(_blur(alpha, soft), layer.x - pad + shift, layer.y - pad + shift, strength)


def stamp(instances: np.ndarray, layer: Layer, number: int) -> int:
    """Give the layer's pixels to object `number`, without painting; returns how many lie inside the picture."""
    canvas, own = _overlap(layer.x, layer.y, layer.solid.shape, instances.shape)
    instances[canvas][layer.solid[own]] = number
    return int(layer.solid[own].sum())


def ground_shadow(canvas: Canvas, layer: Layer, base: float, strength: float) -> None:
    """The shadow of a standing object: its silhouette laid on the ground behind it, and a dark line of contact.

    Args:
        canvas: what it falls on
        layer: the object, which is not painted yet
        base: the row on which it stands
        strength: 0 none to 1 black
    """
    alpha = layer.rgba[..., 3].astype(np.uint8)
    h, w = alpha.shape
    flat = max(2, h // 5)
    laid = np.asarray(Image.fromarray(alpha).resize((w, flat), Image.BILINEAR))
    out = np.zeros((flat + 4, w + flat * 2 + 4), np.uint8)
    for row in range(flat):
        left = 2 + (flat - row)
        out[2 + row, left : left + w] = laid[row]
    out = _blur(out, max(1.0, h / 40))
    canvas.darken(out, layer.x - 2, round(base) - flat - 1, strength)


def _padded(alpha: np.ndarray, margin: int) -> np.ndarray:
    """uint8 copy with zeros around (`np.pad` is slow for small arrays)."""
    out = np.zeros((alpha.shape[0] + 2 * margin, alpha.shape[1] + 2 * margin), np.uint8)
    out[margin:-margin, margin:-margin] = alpha
    return out


def _blur(array: np.ndarray, radius: float, passes: int = 2) -> np.ndarray:
    image = Image.fromarray(array)
    for k in range(passes):
        image = image.filter(ImageFilter.BoxBlur(radius / (k + 1)))
    return np.asarray(image)


def _overlap(x, y, shape, room):
    """Slices of the canvas and of a patch with its corner at x, y; empty where they do not meet."""
    x0, y0 = max(x, 0), max(y, 0)
    x1, y1 = max(x0, min(x + shape[1], room[1])), max(y0, min(y + shape[0], room[0]))
    return np.s_[y0:y1, x0:x1], np.s_[y0 - y : y1 - y, x0 - x : x1 - x]


def _sample(rgba, parts, u, v):
    """Bilinear colours and nearest parts at 16.16 coordinates u (x) and v (y), measured at pixel centres."""
    h, w = parts.shape
    u = np.clip(u, 0, ((w - 1) << 16) - 1)
    v = np.clip(v, 0, ((h - 1) << 16) - 1)
    start = (v >> 16) * w + (u >> 16)
    fx = ((u >> 8) & 255)[..., None].astype(np.int32)
    fy = ((v >> 8) & 255)[..., None].astype(np.int32)
    flat = rgba.reshape(-1, 4)
    top = flat[start] * (256 - fx) + flat[start + 1] * fx
    low = flat[start + w] * (256 - fx) + flat[start + w + 1] * fx
    near = ((v + 32768) >> 16) * w + ((u + 32768) >> 16)
    return (top * (256 - fy) + low * fy + 32768) >> 16, parts.reshape(-1)[near]
