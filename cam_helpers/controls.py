"""Controls that work with a mouse, with the keyboard alone, and with a screen reader."""

from __future__ import annotations

from collections.abc import Mapping

import ipywidgets as widgets

__all__ = ["sliders"]


def sliders(
    start: Mapping[str, float], low: float, high: float, step: float
) -> tuple[widgets.VBox, list[widgets.FloatSlider]]:
    """For each label a number box and a slider that move together -> (what to display, the sliders to listen to).

    ipywidgets' slider has no name that a screen reader could say; a number box has. So the label belongs to the box,
    which takes digits and the arrow keys, and the slider stands beside it. Values arrive when a movement ends.
    """
    rows, tracks = [], []
    for label, value in start.items():
        number = widgets.BoundedFloatText(value, min=low, max=high, step=step, description=label)
        number.style.description_width, number.layout.width = "9em", "16em"
        track = widgets.FloatSlider(value, min=low, max=high, step=step, readout=False, continuous_update=False)
        widgets.link((number, "value"), (track, "value"))
        rows.append(widgets.HBox([number, track]))
        tracks.append(track)
    return widgets.VBox(rows), tracks
