"""A clip, frame by frame: computed once in batches, then instant."""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import ipywidgets as widgets
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageSequence
from torch import Tensor
from tqdm.auto import tqdm

from ..images import PictureError, read_picture
from .desk import App, write
from .render import describe, draw, percent, png
from .scene import Scene, Source
from .state import View

__all__ = ["Film", "read_frames"]

CURVE = 90  # pixels: the height of the score's curve


def read_frames(source: str | Path | Sequence | Tensor, every: int = 1, most: int = 120) -> list[Tensor]:
    """Every `every`-th frame, at most `most`: list of uint8 (3,H,W).

    source: a GIF, a folder of pictures (in the order of their names), a film file, or the frames themselves: a tensor
    (T,3,H,W) or a sequence of what `read_picture` reads. Raises PictureError when there are no frames, or when a film
    needs a reader that is not installed; OSError when there is no such file.
    """
    if not isinstance(source, (str, Path)):
        frames = (f if isinstance(f, Tensor) else read_picture(f) for f in source)
    elif (path := Path(source).expanduser()).is_dir():
        kinds = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
        frames = map(read_picture, sorted(p for p in path.iterdir() if p.suffix.lower() in kinds))
    elif path.suffix.lower() in {".gif", ".webp", ".png", ".apng"}:
        read_picture(path)  # a damaged or huge file is refused here, in words
        frames = (read_picture(frame.convert("RGB")) for frame in ImageSequence.Iterator(Image.open(path)))
    else:
        path.open("rb").close()
        frames = _film(path)
    kept = list(itertools.islice(frames, 0, every * most, every))
    if not kept:
        raise PictureError(f"{source if isinstance(source, (str, Path)) else 'this clip'} has no frames")
    return kept


def _film(path: Path):
    for reader in (_pyav, _opencv):
        try:
            frames = reader(path)
            first = next(frames, None)
        except (ImportError, OSError, ValueError):  # not installed, or it does not know this kind
            continue
        for frame in [] if first is None else itertools.chain([first], frames):
            yield torch.from_numpy(np.ascontiguousarray(frame[..., :3])).permute(2, 0, 1)
        if first is not None:
            return
    remedy = "install PyAV (pip install av), or save it as a GIF or as a folder of frames"
    raise PictureError(f"{path} cannot be read as a film: {remedy}")


def _pyav(path: Path):
    import imageio.v3 as imageio  # comes with scikit-image; PyAV does not

    return imageio.imiter(path, plugin="pyav")


def _opencv(path: Path):
    import cv2

    film = cv2.VideoCapture(str(path))
    while (read := film.read())[0]:
        yield read[1][..., ::-1]


class Film(App):
    """A clip with its map, its prediction and the class's score over time.

    source: the network (its own pictures are not used). frames: as in `read_frames`, every `every`-th. rate: frames a
    second when played and in the exported GIF. All frames share one colour scale, so that the map does not flicker.
    """

    def __init__(self, source: Source, frames, view: View | None = None, folder: str | Path = "explored",
                 rate: float = 8, every: int = 1):  # fmt: skip
        super().__init__(source, (view or View()).but(picture="frame 1"), folder)
        named = {f"frame {i + 1}": frame for i, frame in enumerate(read_frames(frames, every))}
        count = len(named)
        self.scenes = list(tqdm(source.look(named), total=count, desc="frames", leave=False, delay=1))
        self.logits = torch.cat([scene.cams.logits for scene in self.scenes])
        self.rate = rate
        self.number = self.bind(
            widgets.BoundedIntText(min=1, max=count, description="frame", layout={"width": "140px"}),
            lambda view: self.at(view) + 1,
            lambda value: self.set(picture=f"frame {value}"),
        )
        self.number.style.description_width = "60px"
        track = widgets.IntSlider(min=1, max=count, readout=False, layout={"flex": "1 1 80px"})
        clock = widgets.Play(min=1, max=count, interval=round(1000 / rate), repeat=True, layout={"display": "none"})
        self.play = widgets.ToggleButton(description="play", icon="play", layout={"width": "90px"})
        widgets.jslink((clock, "value"), (self.number, "value"))  # in the browser: it goes on while the kernel draws
        widgets.jslink((self.number, "value"), (track, "value"))
        widgets.jslink((self.play, "value"), (clock, "playing"))  # Play's own buttons have no names
        self.search = self.class_box()
        moves = widgets.HBox([self.number, track, self.play, clock])
        look = [self.choices("style", "colours", "rule"), self.numbers("threshold", "opacity")]
        self.lay(moves, self.search, self.follower(), *look, self.button("export GIF", self.export))

    def scene(self) -> Scene:
        return self.scenes[self.at(self.view)]

    def at(self, view: View) -> int:
        number = view.picture.removeprefix("frame ")
        if not number.isdecimal() or not 1 <= int(number) <= len(self.scenes):
            raise ValueError(f"there is no {view.picture}: the clip has {len(self.scenes)} frames")
        return int(number) - 1

    def frame(self, i: int) -> Image.Image:
        """Frame i with its map, and the curve below it."""
        scene = self.scenes[i]
        c = scene.label(self.view)
        image = draw(self.view, scene, self._limit(c, self.view.style, self.view.weights))
        sheet = Image.new("RGB", (image.width, image.height + CURVE), "white")
        sheet.paste(image)
        sheet.paste(self._curve(c, image.width), (0, image.height))
        x = _across(i, len(self.scenes), image.width)
        ImageDraw.Draw(sheet).line((x, image.height + 18, x, sheet.height - 4), "black", 2)
        return sheet

    def draw(self) -> tuple[bytes, str]:
        i = self.at(self.view)
        scene = self.scenes[i]
        (best, part), c = scene.top(1)[0], scene.label(self.view)
        said = f"predicted {scene.classes[best]}, {percent(part)}; score of {scene.classes[c]} {self.logits[i, c]:.2f}."
        return png(self.frame(i)), f"Frame {i + 1} of {len(self.scenes)}: {said}\n{describe(self.view, scene)}"

    def export(self, name: str = "clip.gif") -> Path:
        """All frames as they are shown, as an animated GIF in the folder -> its path."""
        buffer, path = io.BytesIO(), self.folder / name
        first, *rest = [self.frame(i) for i in range(len(self.scenes))]
        first.save(buffer, "GIF", save_all=True, append_images=rest, duration=round(1000 / self.rate), loop=0)
        write(path, buffer.getvalue())
        self.message.say(f"saved as {path}, {len(self.scenes)} frames")
        return path

    @lru_cache(maxsize=8)  # noqa: B019 - as long as the widget lives
    def _limit(self, c: int, style: str, weights: str) -> float:
        maps = [scene.map(View(label=c, weights=weights)) for scene in self.scenes]
        return max((m.abs() if style == "signed" else m).max().item() for m in maps)

    @lru_cache(maxsize=8)  # noqa: B019
    def _curve(self, c: int, width: int) -> Image.Image:
        scores = self.logits[:, c].tolist()
        low, high = min(scores), max(scores)
        strip = Image.new("RGB", (width, CURVE), "white")
        pen = ImageDraw.Draw(strip)
        span = (high - low) or 1.0
        points = [(_across(i, len(scores), width), CURVE - 8 - 58 * (s - low) / span) for i, s in enumerate(scores)]
        pen.line(points, fill="#0b6fa4", width=2)
        pen.text((4, 1), f"score of {self.scenes[0].classes[c]} over time, {low:.2f} to {high:.2f}", "black")
        return strip


def _across(i: int, count: int, width: int) -> int:
    return round(8 + (width - 16) * i / max(count - 1, 1))
