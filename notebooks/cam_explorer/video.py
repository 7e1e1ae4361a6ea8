"""A clip, frame by frame: computed once, then instant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from pathlib import Path

import imageio.v3 as imageio  # comes with scikit-image
import ipywidgets
import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from tqdm.auto import tqdm

from cam_helpers.files import replacing
from cam_helpers.images import PictureError, read_picture

from .base import ExplorerWidget
from .render import describe, draw, percent, shared_limit
from .settings import Settings
from .source import ForwardedPicture, Source

__all__ = ["Film", "read_frames"]

CURVE_HEIGHT = 90  # pixels: the score over time
RATE = 8  # frames a second


def read_frames(clip: str | Path | Sequence | Tensor, every: int = 1, most: int = 120) -> list[Tensor]:
    """The frames of a clip: list of uint8 (3,H,W).

    Args:
        clip: a GIF, a film file, a folder of pictures (in the order of their names), or the frames: a tensor
            (T,3,H,W), or a sequence of what `read_picture` reads
        every: take every so many-th frame
        most: take so many frames at most

    Raises:
        PictureError: there are no frames, or no installed library reads this film
        OSError: there is no such file
    """
    if not isinstance(clip, (str, Path)):
        frames = (frame if isinstance(frame, Tensor) else read_picture(frame) for frame in clip)
    elif (path := Path(clip).expanduser()).is_dir():
        extensions = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
        frames = map(read_picture, sorted(p for p in path.iterdir() if p.suffix.lower() in extensions))
    else:
        frames = (torch.from_numpy(np.ascontiguousarray(frame)).permute(2, 0, 1) for frame in _file_frames(path))
    kept = list(islice(frames, 0, every * most, every))
    if not kept:
        raise PictureError(f"{clip if isinstance(clip, (str, Path)) else 'this clip'} has no frames")
    return kept


def _file_frames(path: Path) -> Iterator[np.ndarray]:
    """RGB frames (H,W,3)."""
    if path.suffix.lower() in {".gif", ".webp", ".png", ".apng"}:
        read_picture(path)  # refuses a damaged or huge file
        yield from imageio.imiter(path, plugin="pillow", mode="RGB")
        return
    path.open("rb").close()  # a missing file is an OSError
    film = None
    with suppress(ImportError, OSError, ValueError):  # PyAV is not installed, or does not know this file
        film = imageio.imopen(path, "r", plugin="pyav")
    if film is not None:
        with film:
            yield from film.iter()
        return
    with suppress(ImportError):
        import cv2

        film = cv2.VideoCapture(str(path))
    if film is not None and film.isOpened():
        while (read := film.read())[0]:
            yield read[1][..., ::-1]
        return
    remedy = "Install PyAV (pip install av), or save it as a GIF or as a folder of frames"
    raise PictureError(f"{path} cannot be read as a film. {remedy}")


class Film(ExplorerWidget):
    """A clip with its map, its prediction and the class's score over time; all frames share one colour scale.

    Args:
        source: the network (its own pictures are not used)
        frames: as in `read_frames`
        settings: what to show first
        folder: where "save" and "export GIF" write
    """

    def __init__(self, source: Source, frames, settings: Settings | None = None, folder: str | Path = "explored"):
        named = {f"frame {i}": frame for i, frame in enumerate(read_frames(frames), 1)}
        source = source.with_pictures(named)
        super().__init__(source, replace(settings or Settings(), picture="frame 1"), folder)
        self.frames = [source.forward(name) for name in tqdm(named, desc="frames", leave=False, delay=1)]
        export = self.button("export GIF", self.export)
        look = self.controls("label", "follow", "style", "colours", "rule", "threshold", "opacity")
        self.arrange(self._player(), look, export)

    def _player(self) -> ipywidgets.HBox:
        """The frame's number, a slider and "play", linked in the browser: it goes on while the kernel draws."""
        ends = {"min": 1, "max": len(self.frames)}
        number = ipywidgets.BoundedIntText(**ends, description="frame", layout={"width": "140px"})
        number.style.description_width = "60px"
        self.bind(
            "frame", number, lambda _: self.frames.index(self.current()) + 1, lambda n: self.set(picture=f"frame {n}")
        )
        track = ipywidgets.IntSlider(**ends, readout=False, layout={"flex": "1 1 80px"})
        hidden = {"display": "none"}  # the buttons of Play have no names that a screen reader could say
        clock = ipywidgets.Play(**ends, interval=round(1000 / RATE), repeat=True, layout=hidden)
        play = ipywidgets.ToggleButton(description="play", icon="play", layout={"width": "90px"})
        ipywidgets.jslink((clock, "value"), (number, "value"))
        ipywidgets.jslink((number, "value"), (track, "value"))
        ipywidgets.jslink((play, "value"), (clock, "playing"))
        return ipywidgets.HBox([number, track, play, clock])

    def image_of(self, frame: ForwardedPicture) -> Image.Image:
        """The frame with its map, and the score's curve below it."""
        c = frame.class_index(self.settings)
        image = draw(self.settings, frame, self._limit(c, self.settings.style))
        curve = self._curve(c, image.width).copy()
        x = self._across(self.frames.index(frame), image.width)
        ImageDraw.Draw(curve).line((x, 18, x, CURVE_HEIGHT - 4), "black", 2)
        return Image.fromarray(np.vstack([image, curve]))

    def draw(self) -> tuple[Image.Image, str]:
        frame = self.current()
        best, probability = frame.top(1)[0]
        c = frame.class_index(self.settings)
        prediction = f"predicted {frame.classes[best]}, {percent(probability)}"
        score = f"score of {frame.classes[c]} {frame.cams.logits[0, c]:.2f}"
        place = f"{frame.name.capitalize()} of {len(self.frames)}"
        return self.image_of(frame), f"{place}: {prediction}; {score}.\n{describe(self.settings, frame)}"

    def export(self, name: str = "clip.gif") -> Path:
        """All frames as they are shown, as an animated GIF in the folder -> its path."""
        path = self.folder / name
        first, *others = map(self.image_of, self.frames)
        with replacing(path) as file:
            first.save(file, "GIF", save_all=True, append_images=others, duration=round(1000 / RATE), loop=0)
        self.message.say(f"saved as {path}, {len(self.frames)} frames")
        return path

    @lru_cache(maxsize=8)  # noqa: B019 - as long as the widget lives
    def _limit(self, c: int, style: str) -> float:
        return shared_limit((Settings(label=c, style=style), frame) for frame in self.frames)

    @lru_cache(maxsize=8)  # noqa: B019
    def _curve(self, c: int, width: int) -> Image.Image:
        scores = [frame.cams.logits[0, c].item() for frame in self.frames]
        low, high = min(scores), max(scores)
        span = (high - low) or 1.0
        strip = Image.new("RGB", (width, CURVE_HEIGHT), "white")
        pen = ImageDraw.Draw(strip)
        points = [(self._across(i, width), 82 - 58 * (score - low) / span) for i, score in enumerate(scores)]
        pen.line(points, fill="#0b6fa4", width=2)
        pen.text((4, 1), f"score of {self.source.classes[c]} over time, {low:.2f} to {high:.2f}", "black")
        return strip

    def _across(self, i: int, width: int) -> int:
        return round(8 + (width - 16) * i / max(len(self.frames) - 1, 1))
