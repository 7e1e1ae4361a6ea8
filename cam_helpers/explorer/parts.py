"""Parts of the widgets: a picture with a name, a line that is read out, clickable bars, a box that knows the classes,
and one update for many events. Core ipywidgets only."""

from __future__ import annotations

import asyncio
import base64
import difflib
import html
import io
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress

import ipywidgets as widgets
from PIL import Image
from traitlets import Unicode

from .scene import Source, unique

__all__ = ["Bars", "ClassBox", "Gallery", "Latest", "Line", "Picture", "Rows"]


class Picture(widgets.Image):
    """An image that screen readers can name. The front end writes `tooltip` onto a widget only where there is an empty
    `description`; Image has none, and fails."""

    description = Unicode("").tag(sync=True)

    def show(self, data: bytes, text: str) -> None:
        with self.hold_sync():
            self.value, self.tooltip = data, text


class Line(widgets.HTML):
    """A line of text that is read out when it changes."""

    def say(self, text: str, error: bool = False) -> None:
        look = "color:#b2182b;font-weight:bold" if error else ""
        role = "alert" if error else "status"
        look = "margin:0;line-height:1.4;white-space:pre-line;" + look  # a line of text is a line on the screen
        self.value = f'<p role="{role}" style="{look}">{html.escape(text)}</p>' if text else ""


class Latest:
    """Calls `work` soon, and once for all events that arrive meanwhile; at once where no event loop runs."""

    def __init__(self, work: Callable[[], None], wait: float = 0.005):
        self.work, self.wait, self._due = work, wait, None

    def __call__(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.work()
            return
        if self._due is None:
            self._due = loop.call_later(self.wait, self.now)

    def now(self) -> None:
        if self._due is not None:
            self._due.cancel()
        self._due = None
        self.work()


class Rows(widgets.Box):
    """Buttons drawn by a style sheet of their own, the only way to a bar or a thumbnail among core widgets."""

    def __init__(self, click: Callable[[int], None], **layout):
        super().__init__(layout=layout)
        self._click, self._style, self._class = click, widgets.HTML(), f"cam-{uuid.uuid4().hex[:8]}"
        self._style.layout.display = "none"  # style sheets work unseen
        self.buttons: list[widgets.Button] = []

    def _fill(self, texts: Sequence[str], rules: Sequence[str], **layout) -> None:
        while len(self.buttons) < len(texts):
            i, button = len(self.buttons), widgets.Button(layout=layout)
            button.add_class(f"{self._class}-{i}")
            button.on_click(lambda _, i=i: self._click(i))
            self.buttons.append(button)
        for button, text in zip(self.buttons, texts, strict=False):
            button.description = button.tooltip = text
        sheet = "".join(f".{self._class}-{i}{{{rule}}}\n" for i, rule in enumerate(rules))
        self._style.value = f"<style>{sheet}</style>"
        self.children = (self._style, *self.buttons[: len(texts)])


class Bars(Rows):
    """Clickable rows, each a text on a bar from 0 to its part of the whole; signed bars start in the middle."""

    def __init__(self, click: Callable[[int], None], signed: bool = False):
        super().__init__(click, display="flex", flex_flow="column")
        self.signed = signed

    def show(self, texts: Sequence[str], parts: Sequence[float]) -> None:
        rules = []
        for part in parts:
            ends = sorted((50, 50 + 50 * part)) if self.signed else (0, 100 * part)
            colour = "#f4a582" if part > 0 else "#92c5de"
            stops = f"#eee {ends[0]:.1f}%,{colour} {ends[0]:.1f}%,{colour} {ends[1]:.1f}%,#eee {ends[1]:.1f}%"
            rules.append(f"background:linear-gradient(90deg,{stops})!important;color:#111!important;text-align:left")
        self._fill(texts, rules, width="97%")


class Gallery(Rows):
    """Clickable thumbnails with their names."""

    def __init__(self, source: Source, click: Callable[[str], None]):
        look = {"display": "flex", "flex_flow": "row wrap", "max_height": "220px", "overflow": "auto"}
        super().__init__(lambda i: click(list(source.pictures)[i]), **look)
        self.source, self._made, self._shown = source, {}, None

    def show(self, chosen: str) -> None:
        names = list(self.source.pictures)
        if self._shown == (chosen, names):
            return
        self._shown = chosen, names
        for name in names:
            if self._made.setdefault(name, "") == "":
                with suppress(ValueError, OSError):  # said in words when it is clicked
                    self._made[name] = _data_url(self.source.thumbnail(name))
        look = "background:#eee url({}) center 4px/auto 72px no-repeat!important;color:#111!important;"
        look += "padding:74px 0 0;line-height:20px"
        rules = [look.format(self._made[n]) + ";outline:3px solid #0b6fa4" * (n == chosen) for n in names]
        texts = [("▸ " if name == chosen else "") + name for name in names]
        self._fill(texts, rules, width="97px", height="98px", margin="4px")


class ClassBox(widgets.Combobox):
    """A class by typing: any part of its name that no other name has, or its index."""

    def __init__(self, classes: Sequence[str], description: str = "class"):
        super().__init__(description=description, continuous_update=False, placeholder="type a name")
        self._known: Sequence[str] | None = None
        self.know(classes)

    def know(self, classes: Sequence[str]) -> None:
        if classes is not self._known:
            self._known, self.names = classes, unique(classes)
            self.options = self.names

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
        hint = f": did you mean {', '.join(near)}?" if near else ", choose one from the list"
        what = f"{len(found)} classes have" if found else "no class has"
        raise ValueError(f"{what} {text.strip()!r} in the name{hint}")


def _data_url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
