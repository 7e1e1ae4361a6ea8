"""What the widgets of this room share: a picture with a name, clickable bars, a box that knows the classes, one update
for many events, and errors that are read instead of lost. Core ipywidgets only."""

from __future__ import annotations

import asyncio
import base64
import difflib
import html
import io
import logging
import os
import tempfile
import uuid
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import ipywidgets as widgets
from PIL import Image
from traitlets import TraitError, Unicode

from ..controls import sliders
from .scene import Source, unique
from .state import CHOICES, View

__all__ = ["App", "Bars", "ClassBox", "Gallery", "Latest", "Line", "Picture", "write"]

log = logging.getLogger("cam_helpers.explorer")
WIDE = widgets.Layout(width="100%")


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
        self.value = f'<p role="{role}" style="margin:0;line-height:1.4;{look}">{html.escape(text)}</p>' if text else ""


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
        self._style.layout.display = "contents"
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
        super().__init__(lambda i: click(list(source.pictures)[i]), display="flex", flex_flow="row wrap")
        self.layout.max_height, self.layout.overflow = "280px", "auto"
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
        look = "background:#eee url({}) center 4px/auto 72px no-repeat!important;color:#111!important;padding-top:74px"
        rules = [look.format(self._made[name]) + ";line-height:20px" for name in names]
        rules = [
            rule + (";outline:3px solid #0b6fa4" if n == chosen else "") for rule, n in zip(rules, names, strict=True)
        ]
        texts = [("▸ " if name == chosen else "") + name for name in names]
        self._fill(texts, rules, width="92px", height="98px", margin="4px")


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
        raise ValueError(
            (f"{len(found)} classes are called" if found else "no class is called") + f" {text.strip()!r}{hint}"
        )


class App(widgets.VBox):
    """One view, the controls that change it, the picture, its text, and a line for what went wrong."""

    def __init__(self, view: View, folder: str | Path = "explored"):
        super().__init__()
        self.view = self._good = view
        self.folder = Path(folder)
        self.image, self.text, self.message = Picture(), Line(), Line()
        self.image.layout.max_width, self.image.layout.object_fit = "100%", "contain"
        self.update = Latest(self._update)
        self._bound: list[tuple[widgets.Widget, Callable]] = []
        self._syncing = False

    def __repr__(self) -> str:
        """What a reader without widgets sees in its place."""
        return f"{type(self).__name__}: run the lesson to use this widget; the figure below shows one view of it"

    def draw(self) -> tuple[bytes, str]:
        """The picture of `self.view` and its text."""
        raise NotImplementedError

    def set(self, **changes) -> None:
        """Change the view; picture and controls follow, or stay both where the picture cannot be drawn."""
        self.view = self.view.but(**changes)
        self.update()

    def sync(self) -> None:
        self._syncing = True
        try:
            for widget, get in self._bound:
                widget.value = get(self.view)
        finally:
            self._syncing = False

    def bind(self, widget, get: Callable, put: Callable):
        """The widget shows `get(view)`; when the reader changes it, `put(value)` is called."""
        self._bound.append((widget, get))
        widget.observe(lambda change: None if self._syncing else self.act(put, change["new"]), "value")
        return widget

    def act(self, do: Callable, *values) -> None:
        """Do what an event asks for: whatever goes wrong is read in the widget, and the picture stays."""
        self.message.say("")
        with self.reported():
            do(*values)

    def choice(self, name: str, options: Sequence | None = None) -> widgets.Dropdown:
        box = widgets.Dropdown(options=options or CHOICES[name], description=name)
        return self.bind(box, lambda view: getattr(view, name), lambda value: self.set(**{name: value}))

    def numbers(self, *names: str) -> widgets.VBox:
        """A number box and a slider for each, 0 to 1."""
        panel, tracks = sliders({name: getattr(self.view, name) for name in names}, 0, 1, 0.01)
        for name, track in zip(names, tracks, strict=True):
            self.bind(track, lambda view, n=name: getattr(view, n), lambda value, n=name: self.set(**{n: value}))
        return panel

    def class_box(self, source: Callable[[], Source]) -> ClassBox:
        box = ClassBox(source().classes)
        return self.bind(
            box,
            lambda view: box.names[source().scene(view.picture).label(view)],
            lambda text: self.set(label=box.find(text) if text.strip() else None, unit=None),
        )

    def save(self, name: str = "picture") -> None:
        """The picture and its settings as `folder/name.png` and `.json`; each is there whole or not at all."""
        name = "".join(c if c.isalnum() or c in "-_. " else "_" for c in name).strip(" .") or "picture"
        path = self.folder / name
        for end, data in ((".png", self.image.value), (".json", self.view.to_json().encode())):
            write(path.with_name(name + end), data)
        self.message.say(f"saved as {path}.png, with its settings in {path}.json")

    def saver(self) -> widgets.HBox:
        name = widgets.Text("picture", description="save as")
        button = widgets.Button(description="save", tooltip="save the picture and its settings")
        button.on_click(lambda _: self.act(lambda: (self.update.now(), self.save(name.value))))
        return widgets.HBox([name, button])

    @contextmanager
    def reported(self):
        try:
            yield
        except (ValueError, OSError, TraitError) as error:  # the reader's: a bad file, a name that is not there
            if isinstance(error, OSError) and error.filename is not None:
                error = f"{error.filename}: {error.strerror}"
            log.info("%s", error)
            self.message.say(str(error), error=True)
        except Exception as error:
            log.exception("the explorer stumbled")
            self.message.say(f"{type(error).__name__}: {error}", error=True)

    def _update(self) -> None:
        drawn = None
        with self.reported():
            drawn = self.draw()
        if drawn is None:  # back to what is still to be seen
            self.view = self._good
            with suppress(Exception):
                self.sync()
            return
        self._good = self.view
        self.image.show(*drawn)
        self.text.say(drawn[1])
        with self.reported():
            self.sync()


def write(path: Path, data: bytes) -> None:
    """Under another name first, then renamed: a reader never finds half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _data_url(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
