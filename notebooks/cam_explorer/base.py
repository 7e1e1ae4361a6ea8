"""What all widgets of the explorer share: one question's controls, the photo beside its map, the network's first words,
a sentence; the other controls behind a button; and error messages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import ipywidgets
from PIL import Image
from traitlets import TraitError

from .render import LEGEND_HEIGHT, percent, photo_png, png
from .settings import CHOICES, Settings
from .source import ForwardedPicture, Source
from .widgets import Buttons, Cells, ClassBox, Debounced, Message, NamedImage, sliders

__all__ = ["ROW", "ExplorerWidget"]

log = logging.getLogger("cam_explorer")
ROW = {"display": "flex", "flex_flow": "row wrap", "width": "100%", "align_items": "center"}
SIDE_BY_SIDE = {"display": "flex", "width": "100%", "align_items": "flex-start"}
FILL = {"width": "100%", "margin": "0", "align_self": "flex-start"}


class ExplorerWidget(ipywidgets.VBox):
    """Base class: a subclass places controls with `arrange` and implements `draw`.

    Args:
        source: the network and its pictures
        settings: what to show first
        ask: the controls that the question names, which are on screen; the others are under "more"
    """

    ask = ("picture", "label")
    rest = ("style", "scale", "rule", "weights", "threshold", "opacity")
    beside = True  # the photo, and the network's first words

    def __init__(self, source: Source, settings: Settings | None = None, ask: Sequence[str] = ()):
        super().__init__()
        self.source, settings = source, settings or Settings()
        self.settings = replace(settings, picture=settings.picture or next(iter(source.pictures), ""))
        self._last_drawn = self.settings
        self.ask = tuple(ask) or self.ask
        self.photo, self.image = NamedImage(layout=FILL), NamedImage(layout=FILL)
        self.words = Buttons(lambda i: self.handle(lambda: self.set(label=self._words[i][0], unit=None)))
        self._words: list[tuple[int, float, float]] = []
        self.text, self.message = Message(layout={"width": "100%"}), Message(layout={"width": "100%"})
        self.update = Debounced(self._update)
        self.control: dict[str, ipywidgets.Widget] = {}  # each shows a part of the settings
        self._shows: dict[str, Callable] = {}  # which part
        self._cells, self._syncing = None, False

    def __repr__(self) -> str:
        """What a reader without widgets sees instead."""
        return f"{type(self).__name__}: run the lesson to use this widget; the figure below shows one view of it"

    def draw(self) -> tuple[Image.Image, str]:
        """The image that `self.settings` ask for, and its text."""
        raise NotImplementedError

    def current(self) -> ForwardedPicture:
        return self.source.forward(self.settings.picture)

    def set(self, **changes) -> None:
        """Change settings; image and controls follow, or both stay where the new settings cannot be drawn."""
        if changes.get("picture", self.settings.picture) != self.settings.picture:
            changes = {"cell": None, **changes}
        self.settings = replace(self.settings, **changes)
        self.update()

    def handle(self, event: Callable, *values) -> None:
        """Call what an event asks for; when it fails, the reason is read in the widget, and the image stays."""
        self.message.say("")
        self._try(event, *values)

    # -- controls and layout --------------------------------------------------------------------------------------

    def arrange(self, *first: ipywidgets.Widget, under: Sequence[ipywidgets.Widget] = ()) -> None:
        """Place what the question asks for, the images with what stands `under` them, and "more"; then draw."""
        asked = [self._control(name) for name in self.ask]
        more = [self._control(name) for name in self.rest if name not in self.ask]
        drawer = ipywidgets.Box(more, layout={**ROW, "display": "none"})
        opener = ipywidgets.ToggleButton(description="more", icon="sliders", layout={"width": "110px"})
        opener.observe(lambda change: setattr(drawer.layout, "display", "flex" if change["new"] else "none"), "value")
        images, words = [self.image], []
        if self.beside:
            half = {"flex": "1 1 0", "max_width": f"{self.source.show}px", "overflow": "hidden", "margin": "2px"}
            images = [ipywidgets.Box([pane], layout=half) for pane in (self.photo, self._cells or self.image)]
            words = [ipywidgets.HTML("<b>Its first three words</b>, with score and probability"), self.words]
        row = ipywidgets.Box(images, layout=SIDE_BY_SIDE)
        controls = ipywidgets.Box([*asked, *first], layout=ROW)
        self.children = [controls, self.message, *words, row, *under, self.text, opener, drawer]
        self.update.now()

    def bind(self, name: str, control: ipywidgets.Widget, get: Callable, put: Callable) -> ipywidgets.Widget:
        """Connect a control with the settings.

        Args:
            name: by which it is found in `control`
            control: a widget with a value
            get: settings -> the value that it shows
            put: called with the value when the reader has changed it
        """
        self.control[name], self._shows[name] = control, get
        control.observe(lambda change: None if self._syncing else self.handle(put, change["new"]), "value")
        return control

    def button(self, text: str, click: Callable[[], None]) -> ipywidgets.Button:
        button = ipywidgets.Button(description=text, layout={"width": "auto"})
        button.on_click(lambda _: self.handle(click))
        return button

    def _control(self, name: str) -> ipywidgets.Widget:
        if name in ("label", "against"):
            return self._class_box(name)
        return self._cell_boxes() if name == "cell" else self._setting(name)

    def _setting(self, name: str) -> ipywidgets.Widget:
        if name in ("threshold", "opacity"):
            panel, (control,) = sliders({name: getattr(self.settings, name)}, 0, 1, 0.01)
        else:
            options = CHOICES[name] if name in CHOICES else list(self.source.pictures)
            panel = control = ipywidgets.Dropdown(options=options, description=name, layout={"width": "210px"})
            control.style.description_width = "60px"
        self.bind(name, control, lambda settings: getattr(settings, name), lambda v: self.set(**{name: v}))
        return panel

    def _class_box(self, name: str) -> ipywidgets.Widget:
        """Left empty, `label` follows the prediction, and nothing is subtracted."""
        what, empty = ("class", "its first word") if name == "label" else ("minus", "nothing")
        box = ClassBox(self.source.classes, what, empty)

        def get(settings: Settings) -> str:
            label = getattr(settings, name)
            return "" if label is None else box.names[label]

        def put(text: str) -> None:
            self.set(**{name: box.find(text) if text.strip() else None, "unit": None})

        return self.bind(name, box, get, put)

    def _cell_boxes(self) -> ipywidgets.Widget:
        """A row and a column, for the keyboard; a click on the map does the same."""
        self._cells = Cells(self.image, lambda cell: self.handle(lambda: self.set(cell=cell)))

        def box(axis: int, name: str) -> ipywidgets.Widget:
            number = ipywidgets.BoundedIntText(0, min=0, max=999, description=name, layout={"width": "150px"})

            def put(value: int) -> None:
                cell = self._cell(self.settings)
                self.set(cell=(value, cell[1]) if axis == 0 else (cell[0], value))

            return self.bind(name, number, lambda settings: self._cell(settings)[axis], put)

        return ipywidgets.Box([ipywidgets.Label("Click a cell, or type its"), box(0, "row"), box(1, "column")])

    def _cell(self, settings: Settings) -> tuple[int, int]:
        """The cell that is pointed at; before that, the one with the largest value."""
        heat = self.current().map(settings)
        return settings.cell or divmod(int(heat.argmax()), heat.shape[1])

    # -- drawing, and what goes wrong -----------------------------------------------------------------------------

    def _update(self) -> None:
        if not self._try(self._redraw):  # back to what is still to be seen
            self.settings = self._last_drawn
            with suppress(Exception):
                self._sync()

    def _redraw(self) -> None:
        image, text = self.draw()
        self._last_drawn = self.settings
        if self.beside:
            picture = self.current()
            self.photo.show(*photo_png(picture))
            self._words = picture.first_words(self.settings)
            texts = [f"{picture.classes[c]}  {score:.2f}  ({percent(part)})" for c, score, part in self._words]
            self.words.show(texts, [part for *_, part in self._words])
        self.image.show(png(image), text)
        self.text.say(text)
        self._sync()

    def _sync(self) -> None:
        """Make every control show the settings."""
        self._syncing = True
        try:
            if "picture" in self.control:
                self.control["picture"].options = list(self.source.pictures)
            if self._cells:
                rows, columns = self.current().cams.features.shape[2:]
                self.control["row"].max, self.control["column"].max = rows - 1, columns - 1
                self._cells.show((rows, columns), self.current().photo.height, LEGEND_HEIGHT)
            for name, get in self._shows.items():
                self.control[name].value = get(self.settings)
        finally:
            self._syncing = False

    def _try(self, action: Callable, *values) -> bool:
        """Call it -> whether it succeeded; the message says what went wrong, and so does the log."""
        try:
            action(*values)
            return True
        except (ValueError, OSError, TraitError) as error:  # the reader's: a bad file, a name that does not exist
            self.message.say(str(error), error=True)
        except Exception as error:
            log.exception("an error in the explorer")
            self.message.say(f"{type(error).__name__}: {error}", error=True)
        return False
