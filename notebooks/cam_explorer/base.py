"""What all widgets of the explorer share: settings, controls that change them, an image, its text, error messages."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import ipywidgets
from PIL import Image
from traitlets import TraitError

from cam_helpers.files import replacing

from .render import png
from .settings import CHOICES, Settings
from .source import ForwardedPicture, Source
from .widgets import ClassBox, Debounced, Message, NamedImage, sliders

__all__ = ["ROW_WRAP", "ExplorerWidget"]

log = logging.getLogger("cam_explorer")
ROW_WRAP = {"flex_flow": "row wrap"}


class ExplorerWidget(ipywidgets.VBox):
    """Base class: a subclass places controls with `arrange` and implements `draw`.

    Args:
        source: the network and its pictures
        settings: what to show first
        folder: where "save" puts images and settings
    """

    two_columns = True  # controls beside the image

    def __init__(self, source: Source, settings: Settings | None = None, folder: str | Path = "explored"):
        super().__init__()
        self.source, settings = source, settings or Settings()
        self.settings = replace(settings, picture=settings.picture or next(iter(source.pictures), ""))
        self._last_drawn = self.settings
        self.folder = Path(folder)
        self.image = NamedImage(layout={"max_width": "100%", "align_self": "flex-start"})  # never larger than it is
        self.text, self.message = Message(layout={"width": "100%"}), Message(layout={"width": "100%"})
        self.update = Debounced(self._update)
        self.control: dict[str, ipywidgets.Widget] = {}  # each shows a part of the settings
        self._shows: dict[str, Callable] = {}  # which part
        self._syncing = False

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
        self.settings = replace(self.settings, **changes)
        self.update()

    def handle(self, event: Callable, *values) -> None:
        """Call what an event asks for; when it fails, the reason is read in the widget, and the image stays."""
        self.message.say("")
        self._try(event, *values)

    # -- controls and layout --------------------------------------------------------------------------------------

    def arrange(self, *controls: ipywidgets.Widget, under: Sequence[ipywidgets.Widget] = ()) -> None:
        """Place the controls, the image with what stands `under` it, and "save"; then draw."""
        output = [self.message, self.image, *under, self.text, self._save_row()]
        if self.two_columns:  # or one above the other, where there is no room
            left = ipywidgets.VBox(controls, layout={"width": "440px"})
            right = ipywidgets.VBox(output, layout={"flex": "1 1 340px", "min_width": "300px"})
            self.children = [ipywidgets.Box([left, right], layout=ROW_WRAP)]
        else:
            self.children = [*controls, *output]
        self.update.now()

    def controls(self, *names: str) -> ipywidgets.Box:
        """A control for each of these settings; "follow" is a check box for following the prediction."""
        return ipywidgets.Box([self._control(name) for name in names], layout=ROW_WRAP)

    def bind(self, name: str, control: ipywidgets.Widget, get: Callable, put: Callable) -> ipywidgets.Widget:
        """The control shows `get(settings)`; when the reader changes it, `put(value)` is called."""
        self.control[name], self._shows[name] = control, get
        control.observe(lambda change: None if self._syncing else self.handle(put, change["new"]), "value")
        return control

    def button(self, text: str, click: Callable[[], None]) -> ipywidgets.Button:
        button = ipywidgets.Button(description=text, layout={"width": "auto", "align_self": "flex-start"})
        button.on_click(lambda _: self.handle(click))
        return button

    def _control(self, name: str) -> ipywidgets.Widget:
        if name == "label":
            return self._class_box()
        if name == "follow":
            return self._follow_box()
        return self._slider(name) if name in ("threshold", "opacity") else self._dropdown(name)

    def _bind_setting(self, name: str, control: ipywidgets.Widget) -> ipywidgets.Widget:
        return self.bind(name, control, lambda settings: getattr(settings, name), lambda v: self.set(**{name: v}))

    def _dropdown(self, name: str) -> ipywidgets.Widget:
        options = CHOICES[name] if name in CHOICES else list(self.source.pictures)
        dropdown = ipywidgets.Dropdown(options=options, description=name, layout={"width": "210px"})
        dropdown.style.description_width = "60px"
        return self._bind_setting(name, dropdown)

    def _slider(self, name: str) -> ipywidgets.Widget:
        panel, (track,) = sliders({name: getattr(self.settings, name)}, 0, 1, 0.01)
        panel.layout.width = "100%"  # a row of its own
        self._bind_setting(name, track)
        return panel

    def _class_box(self) -> ipywidgets.Widget:
        box = ClassBox(self.source.classes)
        return self.bind(
            "label",
            box,
            lambda settings: box.names[self.current().class_index(settings)],
            lambda text: self.set(label=box.find(text) if text.strip() else None, unit=None),
        )

    def _follow_box(self) -> ipywidgets.Widget:
        return self.bind(
            "follow",
            ipywidgets.Checkbox(description="follow the prediction", indent=False),
            lambda settings: settings.label is None,
            lambda on: self.set(label=None if on else self.current().class_index(self.settings)),
        )

    # -- saving ---------------------------------------------------------------------------------------------------

    def _save_row(self) -> ipywidgets.HBox:
        name = ipywidgets.Text("picture", description="save as", layout={"width": "240px"})
        name.style.description_width = "60px"
        button = self.button("save", lambda: (self.update.now(), self.save(name.value)))
        button.tooltip = "save the picture and its settings"
        return ipywidgets.HBox([name, button])

    def save(self, name: str = "picture") -> None:
        """Write the image and its settings to `folder/name.png` and `.json`. Raises OSError."""
        name = "".join(c if c.isalnum() or c in "-_. " else "_" for c in name).strip(" .") or "picture"
        path = self.folder / name
        settings = json.dumps(asdict(self.settings), indent=1, ensure_ascii=False)
        for extension, data in ((".png", self.image.value), (".json", settings.encode())):
            with replacing(path.with_name(name + extension)) as file:
                file.write(data)
        self.message.say(f"saved as {path}.png, with its settings in {path}.json")

    # -- drawing, and what goes wrong -----------------------------------------------------------------------------

    def _update(self) -> None:
        if not self._try(self._redraw):  # back to what is still to be seen
            self.settings = self._last_drawn
            with suppress(Exception):
                self._sync()

    def _redraw(self) -> None:
        image, text = self.draw()
        self._last_drawn = self.settings
        self.image.show(png(image), text)
        self.text.say(text)
        self._sync()

    def _sync(self) -> None:
        """Make every control show the settings."""
        self._syncing = True
        try:
            for name, get in self._shows.items():
                self.control[name].value = get(self.settings)
            if "colours" in self.control:  # the other styles have colours of their own
                self.control["colours"].disabled = self.settings.style not in ("heat", "grid", "map")
        finally:
            self._syncing = False

    def _try(self, action: Callable, *values) -> bool:
        """Call it -> whether it succeeded; the message says what went wrong, and so does the log."""
        try:
            action(*values)
            return True
        except (ValueError, OSError, TraitError) as error:  # the reader's: a bad file, a name that does not exist
            log.info("%s", error)
            missing = isinstance(error, OSError) and error.filename is not None
            self.message.say(f"{error.filename}: {error.strerror}" if missing else str(error), error=True)
        except Exception as error:
            log.exception("an error in the explorer")
            self.message.say(f"{type(error).__name__}: {error}", error=True)
        return False
