"""Code that drives the explorer's widgets of a lesson, in its own kernel: each control to both its ends."""

DRIVE = """
import ipywidgets
from cam_explorer.base import ExplorerWidget
from cam_explorer.widgets import Buttons, Cells

def inside(widget):
    yield widget
    for child in getattr(widget, "children", ()):
        yield from inside(child)

def ends(widget):
    if isinstance(widget, (ipywidgets.BoundedFloatText, ipywidgets.BoundedIntText)):
        return [widget.min, widget.max, widget.value]
    if isinstance(widget, ipywidgets.Dropdown):
        return [*widget.options, widget.value]
    if isinstance(widget, (ipywidgets.Checkbox, ipywidgets.ToggleButton)):
        return [not widget.value, widget.value]
    if isinstance(widget, ipywidgets.Combobox):
        return [widget.options[0], widget.options[-1], widget.value]
    return []

apps = {name: value for name, value in globals().items() if isinstance(value, ExplorerWidget) and name[0] != "_"}
for name, app in apps.items():
    before, moved = app.image.value, 0
    for widget in list(inside(app)):
        rows = widget.children[::max(len(widget.children) - 1, 1)] if isinstance(widget, (Buttons, Cells)) else []
        rows = [row for row in rows if isinstance(row, ipywidgets.Button)] or [
            cell for row in rows if isinstance(row, ipywidgets.GridBox) for cell in (row.children[0], row.children[-1])
        ]
        steps = [(setattr, widget, "value", value) for value in ends(widget)] + [(type(b).click, b) for b in rows]
        for do, *what in steps:
            do(*what)
            app.update.now()
            moved += 1
            assert 'role="alert"' not in app.message.value, (name, what, app.message.value)
            assert app.image.value[:4] == b"\\x89PNG" and app.text.value
    print(name, moved, len(before))
"""


def complaints(printed: str) -> list[str]:
    """What DRIVE printed -> widgets with fewer controls than they must have; DRIVE itself fails where one breaks."""
    driven = [line.split() for line in printed.splitlines()]
    few = [name for name, moved, _ in driven if int(moved) < 8]
    return few if len(driven) >= 9 else [f"only {len(driven)} widgets were driven"]
