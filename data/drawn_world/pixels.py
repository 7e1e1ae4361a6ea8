"""Whether this installation draws the pixels that the course's checkpoints were trained on: one small picture tells.

The truth (boxes, masks, labels) is drawn with the pictures and stays right. Numbers that a lesson states, and networks
that were trained on other pixels, no longer fit exactly; so a difference is said, once a process, and never silent.
"""

import hashlib
import io
import warnings
from functools import cache
from importlib.metadata import version

import resvg_py
from PIL import Image, ImageDraw, ImageFilter

from .dice import Dice
from .textures import noise

TRAINED_ON = "5b0b5082edcd106c"  # the fingerprint of what DREW_IT draw
DREW_IT = {"pillow": "13.0.0", "resvg_py": "0.5.0"}
_SPRITE = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 14" width="45" height="31">
<defs><linearGradient id="g"><stop stop-color="#b43"/><stop offset="1" stop-color="#38c8" /></linearGradient></defs>
<circle cx="7" cy="7" r="6.3" fill="url(#g)"/><path d="M3 13 Q11 -5 19 11 Z" fill="#2b7" opacity=".7"/></svg>"""


class OtherPixels(UserWarning):
    """This installation draws other pixels than those the checkpoints were trained on."""


@cache
def fingerprint() -> str:
    """A check sum of one small picture, drawn by every operation of Pillow and resvg that the drawn world uses."""
    png = bytes(resvg_py.svg_to_bytes(svg_string=_SPRITE, skip_system_fonts=True))
    sprite = Image.open(io.BytesIO(png)).convert("RGBA")
    sheet = Image.new("L", (96, 96))
    pen = ImageDraw.Draw(sheet)
    pen.line([(5.3, 80.1), (30.7, 12.4), (61.2, 55.5), (90.9, 9.8)], fill=255, width=7, joint="curve")
    pen.polygon([(10.5, 100.0), (20.2, 70.5), (48.0, 60.3), (70.1, 68.8), (88.4, 100.0)], fill=255)
    clouds = Image.fromarray(noise(Dice(46, "pixels"), 64, 2, 10, 4))  # its grids: 11×3 to 81×17 cells
    drawn = [
        sprite,
        sprite.getchannel("A").resize((45, 6), Image.BILINEAR),
        sprite.convert("RGB").resize((17, 23), Image.BOX),
        clouds,
        *(clouds.filter(ImageFilter.BoxBlur(radius)) for radius in (0.5, 0.8, 1.0, 1.4)),
        sprite.convert("RGB").filter(ImageFilter.BoxBlur(0.7)),
        sheet.reduce(3).filter(ImageFilter.BoxBlur(0.9)),
    ]
    return hashlib.sha256(b"".join(image.tobytes() for image in drawn)).hexdigest()[:16]


@cache
def check() -> bool:
    """True where the pixels are those of the checkpoints' training; elsewhere False, with a warning (OtherPixels)."""
    if fingerprint() == TRAINED_ON:
        return True
    here = " and ".join(f"{name} {version(name)}" for name in DREW_IT)
    wanted = " ".join(f'"{name}=={number}"' for name, number in DREW_IT.items())
    warnings.warn(
        f"{here} draw other pixels than those the checkpoints were trained on, so numbers can differ from the stored "
        f"lessons': do  python -m pip install {wanted}  and restart the kernel",
        OtherPixels,
        stacklevel=4,
    )
    return False
