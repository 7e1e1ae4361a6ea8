"""A clip, frame by frame: computed once, then instant."""

from __future__ import annotations

import asyncio
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

from cam_helpers.images import PictureError, read_picture

from .base import ROW, ExplorerWidget
from .render import FONT, describe, draw, png, shared_limit
from .settings import Settings
from .source import Source
from .widgets import NamedImage

__all__ = ["Film", "read_frames"]

CURVE_HEIGHT = 150  # pixels: the scores over time
RATE = 2  # frames a second
TRUE, WRONG = "#0b6fa4", "#b2182b"


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
    with suppress(ImportError, OSError, ValueError):  # PyAV is not installed, or does not know this file
        with imageio.imopen(path, "r", plugin="pyav") as film:
            yield from film.iter()
        return
    with suppress(ImportError):
        import cv2

        film = cv2.VideoCapture(str(path))
        if film.isOpened():
            while (read := film.read())[0]:
                yield read[1][..., ::-1]
            return
    remedy = "Install PyAV (pip install av), or save it as a GIF or as a folder of frames"
    raise PictureError(f"{path} cannot be read as a film. {remedy}")


class Film(ExplorerWidget):
    """A clip beside its map, with the network's first words, and below it the scores over time: of what is in the clip
    where that is known (blue), and of words that came first and are not in their frame (red, marked where they do).

    All frames share one colour scale.

    Args:
        source: the network (its own pictures are not used)
        frames: as in `read_frames`
        settings: what to show first
        truth: for each frame (labels (M,), boxes (M,4)), in pixels of the frame
    """

    ask = ()
    rest = ("label", "style", "rule", "threshold", "opacity")
    _soon: asyncio.TimerHandle | None = None

    def __init__(self, source: Source, frames, settings: Settings | None = None,
                 truth: Sequence[tuple] | None = None):  # fmt: skip
        named = {f"frame {i}": frame for i, frame in enumerate(read_frames(frames), 1)}
        source = source.with_pictures(named, truth and dict(zip(named, truth, strict=True)))
        super().__init__(source, replace(settings or Settings(), picture="frame 1"))
        self.frames = [source.forward(name) for name in tqdm(named, desc="frames", leave=False, delay=1)]
        self.scores = torch.cat([frame.cams.logits.float() for frame in self.frames])  # (T,C)
        there = [None if frame.truth is None else frame.truth[0].tolist() for frame in self.frames]
        firsts = self.scores.argmax(1).tolist()
        self.wrong = {t: c for t, (c, those) in enumerate(zip(firsts, there, strict=True)) if those and c not in those}
        self.true = sorted({c for those in there for c in those or ()})
        self.curves = NamedImage(layout={"width": "100%", "max_width": f"{2 * source.show}px"})
        self.arrange(self._player(), under=[self.curves])

    def _player(self) -> ipywidgets.Box:
        """The frame's number and a slider, which stop the clip, and a button that says what it would do."""
        ends, number = {"min": 1, "max": len(self.frames)}, lambda _: self.frames.index(self.current()) + 1
        # the first digit stops the clip, whose next frame would else be written over it
        box = ipywidgets.BoundedIntText(**ends, continuous_update=True, description="frame", layout={"width": "140px"})
        box.style.description_width = "60px"
        track = ipywidgets.IntSlider(**ends, readout=False, layout={"width": "260px"})
        for name, control in (("frame", box), ("track", track)):
            self.bind(name, control, number, self.go_to)
        self.play = ipywidgets.ToggleButton(description="play", icon="play", layout={"width": "100px"})
        self.play.observe(lambda change: self.handle(self._start_or_stop, change["new"]), "value")
        return ipywidgets.Box([box, track, self.play], layout=ROW)

    def go_to(self, frame: int) -> None:
        """Show this frame, from 1 on, and stay there."""
        self.play.value = False
        self.set(picture=f"frame {frame}")

    def _start_or_stop(self, playing: bool) -> None:
        self.play.description = self.play.icon = "pause" if playing else "play"
        if self._soon:  # else two would step after a quick pause and play
            self._soon.cancel()
        with suppress(RuntimeError):  # without an event loop nothing plays
            self._soon = asyncio.get_running_loop().call_later(1 / RATE, self._next) if playing else None

    def _next(self) -> None:
        frame = self.frames.index(self.current()) + 1
        self.set(picture=f"frame {frame % len(self.frames) + 1}")
        self._soon = asyncio.get_running_loop().call_later(1 / RATE, self._next)

    def draw(self) -> tuple[Image.Image, str]:
        frame = self.current()
        t = self.frames.index(frame)
        words = [f"{self.source.classes[c]} {self.scores[t, c]:.2f}" for c in self._drawn()]
        text = f"{frame.name.capitalize()} of {len(self.frames)}: first word {frame.classes[frame.top(1)[0][0]]}"
        text += ", which is not there" * (t in self.wrong) + f".\n{describe(self.settings, frame)}"
        self.curves.show(png(self._curves(t)), f"Scores over {len(self.frames)} frames; now {', '.join(words)}")
        return draw(self.settings, frame, self._limit(frame.class_index(self.settings), self.settings.style)), text

    def _drawn(self) -> list[int]:
        """What is in the clip, the wrong words, and the class that is shown."""
        return list(dict.fromkeys([*self.true, *self.wrong.values(), self.current().class_index(self.settings)]))

    @lru_cache(maxsize=8)  # noqa: B019 - as long as the widget lives
    def _limit(self, c: int, style: str) -> float:
        return shared_limit((Settings(label=c, style=style), frame) for frame in self.frames)

    def _curves(self, t: int) -> Image.Image:
        """One curve a class with its name at the right end, a cross where a wrong word comes first, a line at `t`."""
        classes, width = self._drawn(), 2 * self.source.show
        scores = self.scores[:, classes]
        low, high = scores.min().item(), scores.max().item()
        right, bottom = width - 130, CURVE_HEIGHT - 12
        xs = [8 + (right - 16) * i / max(len(self.frames) - 1, 1) for i in range(len(self.frames))]
        strip = Image.new("RGB", (width, CURVE_HEIGHT), "white")
        pen = ImageDraw.Draw(strip)
        pen.line((xs[t], 4, xs[t], bottom), "#999999", 2)
        pen.text((4, 0), f"scores, from {low:.1f} to {high:.1f}", "black", FONT)
        ends = []
        for c, values in zip(classes, scores.T.tolist(), strict=True):
            colour = TRUE if c in self.true else WRONG
            ys = [bottom - (bottom - 16) * (value - low) / ((high - low) or 1) for value in values]
            pen.line(list(zip(xs, ys, strict=True)), colour, 2)
            for i in [i for i, other in self.wrong.items() if other == c]:
                pen.text((xs[i], ys[i]), "X", WRONG, FONT, anchor="mm", stroke_width=1)
            ends.append((ys[-1], self.source.classes[c], colour))
        for i, (_, name, colour) in enumerate(sorted(ends)):  # the highest in the end first
            pen.text((right, 2 + 14 * i), name, colour, FONT)
        return strip
