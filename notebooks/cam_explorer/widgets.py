"""Building blocks of the explorer, from core ipywidgets only: an image with a name, a message that is read out, number
sliders, clickable bars and thumbnails, a box that knows the classes, and one update for many events."""

from __future__ import annotations

import asyncio
import base64
import difflib
import html
import io
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import ipywidgets
from traitlets import Unicode

from .source import Source, unique

__all__ = ["Bars", "Buttons", "ClassBox", "Debounced", "Gallery", "Message", "NamedImage", "sliders"]


def sliders(
    start: Mapping[str, float], low: float, high: float, step: float
) -> tuple[ipywidgets.VBox, list[ipywidgets.FloatSlider]]:
    """A number box and a slider for each label, which move together; for mouse, keyboard and screen reader.

    ipywidgets' slider has no name that a screen reader could say; a number box has. So the label belongs to the box,
    which takes digits and the arrow keys. Values arrive when a movement ends.

    Args:
        start: {label: first value}
        low, high: the ends of every slider
        step: between two values

    Returns:
        what to display, and the sliders to observe
    """
    rows, tracks = [], []
    for label, value in start.items():
        number = ipywidgets.BoundedFloatText(value, min=low, max=high, step=step, description=label)
        number.style.description_width, number.layout.width = "9em", "16em"
        track = ipywidgets.FloatSlider(value, min=low, max=high, step=step, readout=False, continuous_update=False)
        ipywidgets.link((number, "value"), (track, "value"))
        rows.append(ipywidgets.HBox([number, track]))
        tracks.append(track)
    return ipywidgets.VBox(rows), tracks


class NamedImage(ipywidgets.Image):
    """An image that screen readers can name. The front end writes `tooltip` onto a widget only where there is an empty
    `description`, which ipywidgets' Image lacks."""

    description = Unicode("").tag(sync=True)

    def show(self, data: bytes, text: str) -> None:
        with self.hold_sync():
            self.value, self.tooltip = data, text


class Message(ipywidgets.HTML):
    """Text that is read out when it changes."""

    def say(self, text: str, error: bool = False) -> None:
        style = "margin:0;line-height:1.4;white-space:pre-line;" + error * "color:#b2182b;font-weight:bold"
        role = "alert" if error else "status"
        self.value = f'<p role="{role}" style="{style}">{html.escape(text)}</p>' if text else ""


class Debounced:
    """Calls `work` soon, and once for all calls that arrive meanwhile; at once where no event loop runs."""

    def __init__(self, work: Callable[[], None]):
        self.work, self._due = work, None

    def __call__(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.work()
            return
        if self._due is None:
            self._due = loop.call_later(0.005, self.now)

    def now(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = None
        self.work()


class Buttons(ipywidgets.Box):
    """Buttons with a style sheet of their own: how core widgets become bars and thumbnails."""

    def __init__(self, click: Callable[[int], None], layout: Mapping[str, str], button_layout: Mapping[str, str]):
        super().__init__(layout=layout)
        self._click, self._button_layout = click, button_layout
        self._sheet, self._class = ipywidgets.HTML(layout={"display": "none"}), f"cam-{uuid.uuid4().hex[:8]}"
        self.buttons: list[ipywidgets.Button] = []

    def fill(self, texts: Sequence[str], styles: Sequence[str]) -> None:
        """One button per text, each with its CSS."""
        for i in range(len(self.buttons), len(texts)):
            button = ipywidgets.Button(layout=self._button_layout)
            button.add_class(f"{self._class}-{i}")
            button.on_click(lambda _, i=i: self._click(i))
            self.buttons.append(button)
        for button, text in zip(self.buttons, texts, strict=False):
            button.description = button.tooltip = text
        rules = "".join(f".{self._class}-{i}{{color:#111!important;{style}}}\n" for i, style in enumerate(styles))
        self._sheet.value = f"<style>{rules}</style>"
        self.children = (self._sheet, *self.buttons[: len(texts)])


class Bars(Buttons):
    """Clickable rows, each a text on a bar from 0 to its fraction of 1; signed bars start in the middle."""

    def __init__(self, click: Callable[[int], None], signed: bool = False):
        super().__init__(click, {"display": "flex", "flex_flow": "column"}, {"width": "97%"})
        self.signed = signed

    def show(self, texts: Sequence[str], fractions: Sequence[float]) -> None:
        styles = []
        for fraction in fractions:
            start, end = sorted((50, 50 + 50 * fraction)) if self.signed else (0, 100 * fraction)
            colour = "#f4a582" if fraction > 0 else "#92c5de"
            stops = f"#eee {start:.1f}%,{colour} {start:.1f}%,{colour} {end:.1f}%,#eee {end:.1f}%"
            styles.append(f"background:linear-gradient(90deg,{stops})!important;text-align:left")
        self.fill(texts, styles)


class Gallery(Buttons):
    """Clickable thumbnails with their names."""

    def __init__(self, source: Source, click: Callable[[str], None]):
        layout = {"display": "flex", "flex_flow": "row wrap", "max_height": "220px", "overflow": "auto"}
        button_layout = {"width": "97px", "height": "98px", "margin": "4px"}
        super().__init__(lambda i: click(list(source.pictures)[i]), layout, button_layout)
        self.source, self._urls = source, {}

    def show(self, chosen: str) -> None:
        texts, styles = [], []
        for name in self.source.pictures:
            url = ""
            with suppress(ValueError, OSError):  # a click on a picture that cannot be read says why
                key = (name, *self.source.content(name))
                self._urls[key] = url = self._urls.get(key) or self._data_url(name)
            background = f"background:#eee url({url}) center 4px/auto 72px no-repeat!important"
            outline = "outline:3px solid #0b6fa4" if name == chosen else ""
            styles.append(f"{background};padding:74px 0 0;line-height:20px;{outline}")
            texts.append(f"▸ {name}" if name == chosen else name)
        self.fill(texts, styles)

    def _data_url(self, name: str) -> str:
        buffer = io.BytesIO()
        self.source.thumbnail(name).save(buffer, "JPEG", quality=80)
        return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


class ClassBox(ipywidgets.Combobox):
    """A class by typing: any part of its name that no other name has, or its index."""

    def __init__(self, classes: Sequence[str], description: str = "class"):
        self.names = unique(classes)
        super().__init__(
            description=description, continuous_update=False, placeholder="type a name", options=self.names
        )

    def find(self, text: str) -> int:
        """Raises ValueError, with the nearest names, when the text does not stand for one class."""
        wanted = text.strip().casefold()
        names = [name.casefold() for name in self.names]
        if wanted in names:
            return names.index(wanted)
        if wanted.isdecimal() and int(wanted) < len(names):
            return int(wanted)
        found = [i for i, name in enumerate(names) if wanted in name] if wanted else []
        if len(found) == 1:
            return found[0]
        near = [self.names[i] for i in found[:4]] or difflib.get_close_matches(text, self.names, 3)
        hint = f"did you mean {', '.join(near)}?" if near else "choose one from the list"
        problem = f"{len(found)} classes have" if found else "no class has"
        raise ValueError(f"{problem} {text.strip()!r} in the name: {hint}")
