"""Lesson 04's widgets as they are stored; test_lessons.py drives them in a kernel."""

import pytest
from lessons import LESSONS, code_cells, read

LESSON = next((path for path in LESSONS if path.stem.startswith("04")), None)
VIEW = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def lesson():
    if LESSON is None:
        pytest.skip("lesson 04 is not here")
    return read(LESSON)


def is_widget(cell) -> bool:
    return any(VIEW in output.get("data", {}) for output in cell.outputs)


def test_below_each_widget_a_figure_stands_for_it(lesson):
    cells = [c for c in code_cells(lesson) if not {"exercise", "check", "own-data"} & set(c.metadata.get("tags", []))]
    widgets = [i for i, cell in enumerate(cells) if is_widget(cell)]
    assert len(widgets) >= 9
    for i in widgets:
        kinds = {kind for output in cells[i + 1].outputs for kind in output.get("data", {})}
        assert {"image/png", "image/jpeg"} & kinds, cells[i].source


def test_no_state_of_a_widget_is_stored(lesson):
    assert "widgets" not in lesson.metadata
    shown = [o.data["text/plain"] for c in code_cells(lesson) for o in c.outputs if VIEW in o.get("data", {})]
    assert all("the figure below shows one view of it" in text for text in shown), shown
