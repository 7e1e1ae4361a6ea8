"""Whether this installation draws the pixels that the course's checkpoints were trained on: one small picture tells.

The truth (boxes, masks, labels) is drawn with the pictures and stays right. Numbers that a lesson states, and networks
that were trained on other pixels, no longer fit exactly; so a difference is said, once a process, and never silent.
"""

import hashlib
import warnings
from functools import cache
from importlib.metadata import version
from pathlib import Path

from PIL import Image, ImageFilter

from .dice import Dice
from .radiograph import Chest
from .sprites import parse
from .textures import noise

TRAINED_ON = "f380891c78e2c29a"  # the fingerprint of what DREW_IT draw
DREW_IT = {"pillow": "13.0.0", "resvg_py": "0.5.0"}
SPRITE = Path(__file__).parent / "sprites" / "airplane-1.svg"  # lines, shapes, a gradient


class OtherPixels(UserWarning):
    """This installation draws other pixels than those the checkpoints were trained on."""


@cache
def other() -> str:
    """Return "" where the pixels are those of the checkpoints' training; elsewhere their fingerprint, with a warning.

    The fingerprint is a check sum of small pictures, drawn by every operation of Pillow and resvg that the world uses.
    """
    sprite = Image.fromarray(parse(SPRITE.read_bytes(), SPRITE.name).raster(0, 48)[0])
    drawn = [
        sprite,
        sprite.getchannel("A").resize((sprite.width, 6), Image.BILINEAR),
        sprite.convert("RGB").resize((17, 23), Image.BOX).filter(ImageFilter.BoxBlur(0.7)),
        noise(Dice(46), 64, 3, 40, 2),  # from 4×41 and 7×81 cells
        Chest(Dice(46), 64).density(1.0).astype("uint8"),  # lines and outlines, made smaller and blurred
    ]
    fingerprint = hashlib.sha256(b"".join(picture.tobytes() for picture in drawn)).hexdigest()[:16]
    if fingerprint == TRAINED_ON:
        return ""
    here = " and ".join(f"{name} {version(name)}" for name in DREW_IT)
    wanted = " ".join(f'"{name}=={number}"' for name, number in DREW_IT.items())
    warnings.warn(
        f"{here} draw other pixels than those the checkpoints were trained on, so numbers can differ from the stored "
        f"lessons': do  python -m pip install {wanted}  and restart the kernel",
        OtherPixels,
        stacklevel=4,
    )
    return fingerprint
