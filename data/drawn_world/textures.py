"""Grounds that look photographed: wood, brick, grass, cloth … built from octaves of noise, seen flat or in perspective.

A texture is a function (dice, size) -> uint8 (size,size) relief, 0 dark – 255 light. `surface` colours one with a ramp
and `lean` lays it on the floor. Integer arithmetic only; the same stream gives the same pattern at every size.
"""

import numpy as np
from PIL import Image

# Dark – middle – light. Several for each stuff, over many hues, so that the ground tells nothing about the object.
RAMPS = {
    "plaster": ["6f6a61 b9b1a3 e9e3d6", "4d5a63 8fa1aa d5dfe3", "7a5f4c c59f82 f0d9c3", "56604a 9dab86 dce4cb",
        "6a5563 ab92a6 e2d3df"],
    "wood": ["3d2515 8a5a33 c99a66", "54402d a58460 e0c79f", "2e1d18 6b4332 a87a58", "5c5349 988c7d cfc6b8",
        "4a2a1c a2623a dca271"],
    "brick": ["5b2f25 a25a45 cf9a82", "4e4440 8b7d74 c4b9ae", "6b4a2e b08055 dcb98d", "3c4048 737b86 b3bbc4"],
    "tiles": ["5d7078 b5c6cb f2f7f7", "7b6a58 d3c3ab f6efe2", "3f5a57 82a8a2 d7e8e3", "54506b 9d99b8 e4e2f0",
        "3a3a3d 8d8d90 dededf"],
    "grass": ["16280f 4c7a2c 9cbf5e", "2a2f12 7b8238 c8c574", "12301f 3d7a4c 86b884", "33270f 8a7434 cbb56c"],
    "cloth": ["4a2026 a14c50 dba39c", "1e2f47 4b6f99 a9c2d8", "2d3b28 6f8a5c b9cba2", "4d3a1d b08a45 e3cc92",
        "3c2a45 82639a c4b0d3", "55514a a39d91 dedad0"],
    "sand": ["8a6c44 cdae7e f1ddb4", "7b6a58 bca98f e6d9c4", "6c7a7a a9b7b2 dde5df"],
    "cobble": ["2f3033 76777a b9b9b8", "3d3226 857359 c0b193", "2c3a3f 6d8188 b3c2c5"],
    "leaves": ["14220e 41692a 8fb055", "3a1d0d 96572a d69f59", "2a2810 7a7a30 c0bc62", "0f2426 38666a 86b0a9"],
    "water": ["0d3550 2f7ba0 b9e0ea", "123f45 3b8d8c c3e8dd", "26344f 5f7ba3 cfdbea"],
    "sky": ["3f73b5 86b3df eef4f8", "6f86a6 a9bbd0 f0f1f0", "7a6a8a d3a58f f8e0c0", "47627f 7f9cb5 dfe7ea"],
    "asphalt": ["2a2b2e 55575a 8b8c8d", "393633 6c6863 a29d96", "30353c 5f6771 9aa3ab"],
    "marble": ["6b6f75 c9ccd0 f6f7f8", "4f5d52 aab8aa eaf0e8", "73605a d0bdb3 f7eee8", "26282c 5b5f66 c5c8cc"],
    "wallpaper": ["7c6f80 bcaebf eee6ee", "5f7a72 a3c0b6 e6f1ec", "8a6f55 d0b494 f6e7d0", "56688a 9fb2d1 e2eaf6",
        "8a5552 cf9a92 f5dcd6"],
}  # fmt: skip


def surface(dice, kind: str, size: int, contrast: float = 1.0, ramp: str | None = None) -> np.ndarray:
    """A coloured texture, int32 (size,size,3). Raises KeyError for an unknown kind.

    Args:
        dice: random numbers
        kind: one of PATTERNS
        size: side in pixels
        contrast: 0 gives the plain middle colour
        ramp: colours, dark, middle and light; None: some of this kind's RAMPS
    """
    pattern = PATTERNS[kind](dice, size).astype(np.int32)
    stops = ramp or dice.pick(RAMPS[kind])
    drift = [dice.between(-14, 14) for _ in range(3)]
    pattern = 128 + ((pattern - 128) * round(contrast * 256) >> 8)
    return _ramp(stops, drift)[np.clip(pattern, 0, 255)]


def lean(texture: np.ndarray, rows: int, near: float = 2.2) -> np.ndarray:
    """Lay a texture on the floor: (rows,W,3), far edge on top; the lower edge is `near` times closer than the upper."""
    size = texture.shape[0]
    t = (np.arange(rows, dtype=np.int64) * 2 + 1) * 32768 // max(rows, 1)  # 0 far – 65536 near
    zoom = 65536 + (t * round((near - 1) * 256) >> 8)  # how much larger things look in this row, 16.16
    across = (np.arange(size) * 2 + 1 - size) * 32768
    u = (across[None, :] * 65536 // zoom[:, None] * round(near * 256) >> 8) // 65536 + size // 2
    v = (t * round(near * 65536) // zoom * size * 2) >> 16
    return texture[_mirror(v, size)[:, None], _mirror(u, size)]


def noise(dice, size: int, across: int, down: int, octaves: int = 4) -> np.ndarray:
    """Cloudy noise, uint8 (size,size): grids of random values, each finer and fainter than the one before.

    Args:
        dice: random numbers
        size: side in pixels
        across, down: cells of the first grid
        octaves: how many grids
    """
    total = np.zeros((size, size), np.int32)
    for k in range(octaves):
        cells = dice.bytes((down << k) + 1, (across << k) + 1)
        layer = Image.fromarray(cells)
        if layer.height > size > layer.width:  # rows first, as Pillow 13 does by itself and older ones do not
            layer = layer.resize((layer.width, size), Image.BICUBIC)
        layer = layer.resize((size, size), Image.BICUBIC)
        total += np.asarray(layer).astype(np.int32) << (octaves - k)
    weights = (2 << octaves) - 2  # 2 + 4 + … + 2^octaves
    # octaves average towards grey: stretch back to the full range
    return np.clip((total // weights - 128) * (4 + octaves) // 4 + 128, 0, 255).astype(np.uint8)


def _mirror(at: np.ndarray, size: int) -> np.ndarray:
    """Whole numbers that run forth and back between 0 and size - 1: as indices, they give a texture no seams."""
    at = at % (2 * size)
    return np.where(at < size, at, 2 * size - 1 - at)


def _ramp(stops: str, drift) -> np.ndarray:
    """256 colours through dark, middle and light."""
    dark, mid, light = (np.array([int(s[i : i + 2], 16) for i in (0, 2, 4)]) for s in stops.split())
    t = np.arange(256)[:, None]
    ramp = np.where(t < 128, dark + (mid - dark) * t // 128, mid + (light - mid) * (t - 128) // 127)
    return np.clip(ramp + np.array([round(d) for d in drift]), 0, 255).astype(np.int32)


def _triangle(phase: np.ndarray) -> np.ndarray:
    """A wave 0–255–0 with period 512."""
    return _mirror(phase, 256)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """x (1,size) and y (size,1) from 0 to 4095."""
    ramp = np.arange(size, dtype=np.int64) * 4096 // size
    return ramp[None, :], ramp[:, None]


def _mix(*pairs) -> np.ndarray:
    """Weighted sum of reliefs around 128: pairs of (pattern, share of 16)."""
    return np.clip(sum((p.astype(np.int32) - 128) * w for p, w in pairs) // 16 + 128, 0, 255)


def _clouds(dice, size, *layers) -> np.ndarray:
    """Weighted sum of noises, each (across, down, octaves, share of 16)."""
    return _mix(*((noise(dice, size, *grid), share) for *grid, share in layers))


def wood(dice, size):
    x, y = _grid(size)
    planks = dice.integer(2, 6)
    row = y * planks // 4096
    tone = dice.bytes(8).astype(np.int64)[row]
    wander = noise(dice, size, 2, 10, 3).astype(np.int64)
    rings = _triangle(y * dice.integer(3, 6) + wander * 6 + tone * 13)
    gap = (y * planks % 4096 < 4096 * planks // 70) * 120
    return np.clip(_mix((rings, 5), (noise(dice, size, 3, 40, 2), 8), (tone + 0 * x, 6)) - gap, 0, 255)


def _courses(dice, size, rows, ratio, shift, gap, hollow):
    x, y = _grid(size)
    row = y * rows // 4096
    columns = max(1, rows // ratio)
    shifted = x * columns + (row % 2) * shift
    tones = dice.bytes(rows + 1, columns + 2).astype(np.int64)
    tone = tones[row, shifted // 4096]
    inx, iny = shifted % 4096 // ratio if ratio > 1 else shifted % 4096, y * rows % 4096
    edge = 4096 // gap
    joint = (inx < edge) | (iny < edge)
    lit = ((iny < 2 * edge) | (inx < 2 * edge)) * 26 - (iny > 4096 - edge) * 40
    face = _mix((tone, 6), (noise(dice, size, 16, 16, 3), 6)) + lit
    return np.clip(np.where(joint, hollow, face), 0, 255)


def cloth(dice, size):
    x, y = _grid(size)
    count = dice.integer(4, 9)
    folds = noise(dice, size, 2, 3, 3)
    stripes = _triangle((x if dice.chance(0.5) else x + y) * count // 8)
    checks = _triangle(y * count // 8) if dice.chance(0.5) else stripes
    bands = (((stripes > 150) * 80) + ((checks > 150) * 80) + 48) if dice.chance(0.6) else 128 + 0 * stripes
    return _mix((folds, 9), (bands + 0 * folds, 6), (noise(dice, size, 48, 48, 1), 5))


def sand(dice, size):
    _, y = _grid(size)
    ripples = _triangle(y * dice.integer(1, 2) + noise(dice, size, 2, 3, 2).astype(np.int64) * 5)
    return _mix((ripples, 4), (noise(dice, size, 3, 3, 2), 4), (noise(dice, size, 40, 40, 1), 7))


def _cells(dice, size, count):
    """Distance to the nearest and to the second of count² scattered points (sizes in 0–255), and the owner's tone."""
    x, y = _grid(size)
    cx, cy = x * count // 4096, y * count // 4096
    px, py, tone = (dice.bytes(count + 2, count + 2).astype(np.int64) for _ in range(3))
    first = np.full((size, size), 1 << 30)
    second, owner = first.copy(), np.zeros((size, size), np.int64)
    for j in (-1, 0, 1):
        for i in (-1, 0, 1):
            dx = (cx + i) * 256 + px[cy + j + 1, cx + i + 1] - x * count // 16
            dy = (cy + j) * 256 + py[cy + j + 1, cx + i + 1] - y * count // 16
            d = abs(dx) + abs(dy) + np.maximum(abs(dx), abs(dy))
            closer = d < first
            second = np.where(closer, first, np.minimum(second, d))
            owner = np.where(closer, tone[cy + j + 1, cx + i + 1], owner)
            first = np.where(closer, d, first)
    return first, second, owner


def cobble(dice, size):
    first, second, owner = _cells(dice, size, dice.integer(6, 10))
    dome = np.minimum((second - first) * 2, 200)
    return np.clip(_mix((owner, 6), (noise(dice, size, 24, 24, 2), 5)) + dome // 2 - 70, 0, 255)


def leaves(dice, size):
    first, _, owner = _cells(dice, size, dice.integer(9, 14))
    return np.clip(_mix((owner, 9), (noise(dice, size, 4, 4, 3), 8)) + 40 - first // 4, 0, 255)


def water(dice, size):
    waves = noise(dice, size, 4, 22, 2).astype(np.int32)
    return np.clip(_mix((noise(dice, size, 2, 3, 2), 5), (waves, 9)) + np.maximum(waves - 200, 0) * 2, 0, 255)


def sky(dice, size):
    _, y = _grid(size)
    clouds = np.maximum(noise(dice, size, 3, 5, 4).astype(np.int32) - dice.integer(120, 190), 0) * 2
    return np.clip(40 + y * 90 // 4096 + clouds, 0, 255)


def marble(dice, size):
    veins = abs(noise(dice, size, 3, 3, 4).astype(np.int32) - 128)
    return np.clip(190 - np.maximum(40 - veins * 2, 0) * 3, 0, 255) + noise(dice, size, 2, 2, 2) // 5


def wallpaper(dice, size):
    x, y = _grid(size)
    count = dice.integer(4, 8)
    a, b = _triangle(x * count // 8), _triangle(y * count // 8)
    motif = dice.pick([(a > 128) * 50 + 0 * b, ((a + b) > 330) * 60, (a * b > 26000) * 70, 0 * (a + b)])
    return _mix((motif + 100, 16), (noise(dice, size, 2, 2, 2), 3), (noise(dice, size, 40, 40, 1), 2))


PATTERNS = {
    "plaster": lambda dice, size: _clouds(dice, size, (2, 2, 3, 8), (20, 20, 2, 8)),
    "wood": wood,
    "brick": lambda dice, size: _courses(dice, size, dice.integer(6, 11), 2, 2048, 8, dice.pick([60, 200, 225])),
    "tiles": lambda dice, size: _courses(dice, size, dice.integer(4, 8), 1, 0, 14, dice.pick([70, 235])) // 2 + 76,
    "grass": lambda dice, size: _clouds(dice, size, (3, 3, 2, 7), (48, 12, 2, 11), (32, 32, 1, 6)),
    **{f.__name__: f for f in (cloth, sand, cobble, leaves, water, sky)},
    "asphalt": lambda dice, size: _clouds(dice, size, (3, 3, 3, 5), (56, 56, 1, 9)),
    "marble": marble,
    "wallpaper": wallpaper,
}
