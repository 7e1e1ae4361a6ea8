"""What all widgets of this room are: one view, controls that change it, its picture and its text, and errors that are
read instead of lost."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import ipywidgets as widgets
from traitlets import TraitError

from ..controls import sliders
from .parts import ClassBox, Latest, Line, Picture
from .scene import Scene, Source
from .state import CHOICES, View

__all__ = ["App", "write"]

log = logging.getLogger("cam_helpers.explorer")
WIDE = widgets.Layout(width="100%")


class App(widgets.VBox):
    """One view of one source, the controls that change it, the picture, its text, and a line for what went wrong."""

    def __init__(self, source: Source, view: View | None = None, folder: str | Path = "explored"):
        super().__init__()
        self.source, view = source, view or View()
        self.view = self._good = view.but(picture=view.picture or next(iter(source.pictures), ""))
        self.folder = Path(folder)
        self.image, self.text, self.message = Picture(), Line(), Line()
        self.image.layout.max_width, self.image.layout.align_self = "100%", "flex-start"  # never larger than it is
        self.text.layout, self.message.layout = WIDE, WIDE
        self.update = Latest(self._update)
        self._bound: list[tuple[widgets.Widget, Callable]] = []
        self._syncing = False

    def __repr__(self) -> str:
        """What a reader without widgets sees in its place."""
        return f"{type(self).__name__}: run the lesson to use this widget; the figure below shows one view of it"

    def draw(self) -> tuple[bytes, str]:
        """The picture of `self.view` and its text."""
        raise NotImplementedError

    def scene(self) -> Scene:
        return self.source.scene(self.view.picture)

    def set(self, **changes) -> None:
        """Change the view; picture and controls follow, or stay both where the picture cannot be drawn."""
        self.view = self.view.but(**changes)
        self.update()

    def sync(self) -> None:
        self._syncing = True
        try:
            for widget, get in self._bound:
                widget.value = get(self.view)
                if widget.description == "colours":  # these styles have colours of their own
                    widget.disabled = self.view.style in ("signed", "contour", "dim")
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

    # -- controls -------------------------------------------------------------------------------------------------

    def lay(self, *controls: widgets.Widget, under: Sequence[widgets.Widget] = ()) -> None:
        """Controls on the left; on the right the picture and what stands `under` it; one above the other where there
        is no room. Then draw."""
        left = widgets.VBox(controls, layout={"width": "440px"})
        seen = [self.message, self.image, *under, self.text, self.saver()]
        right = widgets.VBox(seen, layout={"flex": "1 1 340px", "min_width": "300px"})
        self.children = [widgets.Box([left, right], layout={"flex_flow": "row wrap"})]
        self.update.now()

    def button(self, text: str, do: Callable[[], None]) -> widgets.Button:
        button = widgets.Button(description=text, layout={"width": "auto", "align_self": "flex-start"})
        button.on_click(lambda _: self.act(do))
        return button

    def choice(self, name: str, options: Sequence | None = None) -> widgets.Dropdown:
        box = widgets.Dropdown(options=options or CHOICES[name], description=name, layout={"width": "210px"})
        box.style.description_width = "60px"
        return self.bind(box, lambda view: getattr(view, name), lambda value: self.set(**{name: value}))

    def choices(self, *names: str) -> widgets.Box:
        return widgets.Box([self.choice(name) for name in names], layout={"flex_flow": "row wrap"})

    def numbers(self, *names: str) -> widgets.VBox:
        """A number box and a slider for each, 0 to 1."""
        panel, tracks = sliders({name: getattr(self.view, name) for name in names}, 0, 1, 0.01)
        for name, track in zip(names, tracks, strict=True):
            self.bind(track, lambda view, n=name: getattr(view, n), lambda value, n=name: self.set(**{n: value}))
        return panel

    def class_box(self) -> ClassBox:
        box = ClassBox(self.source.classes)
        return self.bind(
            box,
            lambda view: box.names[self.scene().label(view)],
            lambda text: self.set(label=box.find(text) if text.strip() else None, unit=None),
        )

    def follower(self) -> widgets.Checkbox:
        return self.bind(
            widgets.Checkbox(description="follow the prediction", indent=False),
            lambda view: view.label is None,
            lambda on: self.set(label=None if on else self.scene().label(self.view)),
        )

    def saver(self) -> widgets.HBox:
        name = widgets.Text("picture", description="save as", layout={"width": "240px"})
        name.style.description_width = "60px"
        button = self.button("save", lambda: (self.update.now(), self.save(name.value)))
        button.tooltip = "save the picture and its settings"
        return widgets.HBox([name, button])

    def save(self, name: str = "picture") -> None:
        """The picture and its settings as `folder/name.png` and `.json`; each is there whole or not at all."""
        name = "".join(c if c.isalnum() or c in "-_. " else "_" for c in name).strip(" .") or "picture"
        path = self.folder / name
        for end, data in ((".png", self.image.value), (".json", self.view.to_json().encode())):
            write(path.with_name(name + end), data)
        self.message.say(f"saved as {path}.png, with its settings in {path}.json")

    # -- what went wrong ------------------------------------------------------------------------------------------

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
