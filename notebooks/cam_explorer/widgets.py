"""Building blocks of the explorer, from core ipywidgets only: an image with a name, a message that is read out, number
sliders, buttons in colours, clickable cells, a box that knows the classes, and one update for many events."""

from __future__ import annotations

import asyncio
import difflib
import html
import itertools
from collections.abc import Callable, Mapping, Sequence

import ipywidgets
from traitlets import Unicode

from .source import unique

__all__ = ["Buttons", "Cells", "ClassBox", "Debounced", "Message", "NamedImage", "sliders"]


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
    """A row of buttons, each a text and a strength from -1 to 1, shown as colour: red for, blue against."""

    def __init__(self, click: Callable[[int], None], width: str = "0"):
        super().__init__(layout={"display": "flex", "flex_flow": "row wrap", "width": "100%"})
        self._click, self._width = click, width

    def show(self, texts: Sequence[str], strengths: Sequence[float]) -> None:
        for i in range(len(self.children), len(texts)):
            button = ipywidgets.Button(layout={"flex": f"1 1 {self._width}", "min_width": "0"})
            button.on_click(lambda _, i=i: self._click(i))
            self.children += (button,)
        for button, text, strength in zip(self.children, texts, strengths, strict=True):
            button.description = button.tooltip = text
            full = (244, 165, 130) if strength > 0 else (146, 197, 222)
            colour = [round(238 + (channel - 238) * abs(strength)) for channel in full]  # from light grey on
            button.style.button_color, button.style.text_color = "rgb({}, {}, {})".format(*colour), "#111"


class Cells(ipywidgets.GridBox):
    """Unseen buttons over an image, one a cell of its map, so that a click points at the cell.

    With the keyboard the two number boxes beside it do the same: the buttons are left out by *Tab*. A map of more than
    `MOST` cells has a button for several cells, and takes the middle one.
    """

    MOST = 16  # a side

    def __init__(self, image: ipywidgets.Widget, click: Callable[[tuple[int, int]], None]):
        super().__init__()
        self._image, self._click, self._shown = image, click, None
        self._cell = ipywidgets.Layout(width="auto", height="auto", margin="0", padding="0", min_width="0")
        self._clear = ipywidgets.ButtonStyle(button_color="transparent")

    def show(self, grid: tuple[int, int], height: int, below: int) -> None:
        """grid: rows and columns of the map. height: of the picture in the image, in pixels; below: of what follows."""
        if self._shown == (grid, height):
            return
        self._shown = grid, height
        places = [[n * (2 * i + 1) // (2 * k) for i in range(k)] for n in grid for k in [min(n, self.MOST)]]
        rows, columns = map(len, places)
        cells = [self._button(cell) for cell in itertools.product(*places)]
        inside = {"grid_area": "1 / 1 / 2 / 2", "width": "100%", "height": "100%", "grid_gap": "0"}
        tracks = {"grid_template_rows": f"repeat({rows}, 1fr)", "grid_template_columns": f"repeat({columns}, 1fr)"}
        over = ipywidgets.GridBox(cells, layout={**inside, **tracks})
        self._image.layout.grid_area = "1 / 1 / 3 / 2"
        self.layout = {
            "grid_template_rows": f"{height}fr {below}fr", "grid_template_columns": "100%", "width": "100%",
            "grid_gap": "0", "overflow": "hidden",
        }  # fmt: skip
        self.children = [self._image, over]

    def _button(self, cell: tuple[int, int]) -> ipywidgets.Button:
        name = f"row {cell[0]}, column {cell[1]}"
        button = ipywidgets.Button(tooltip=name, layout=self._cell, style=self._clear, tabbable=False)
        button.on_click(lambda _: self._click(cell))
        return button


class ClassBox(ipywidgets.Combobox):
    """A class by typing: any part of its name that no other name has, or its index."""

    def __init__(self, classes: Sequence[str], description: str = "class", empty: str = "type a name"):
        self.names = unique(classes)
        super().__init__(description=description, continuous_update=False, placeholder=empty, options=self.names)

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
        raise ValueError(f"{len(found) or 'no'} classes have {text.strip()!r} in the name: {hint}")
