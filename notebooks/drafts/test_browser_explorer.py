"""Lesson 04 in JupyterLab in a real browser: run, type, move, upload, play, save; and what axe says of it."""

import os
import re

import numpy as np
import pytest
from PIL import Image
from test_browser import CHROMIUM, browser, cells_of, lab, open_and_run  # noqa: F401 - fixtures

from cam_helpers import machine

LESSON = "04_explore_class_activation_maps.ipynb"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]
SCROLL = """variable => {
    const book = window.jupyterapp.shell.currentWidget.content;
    const at = book.widgets.findIndex(cell => cell.model.sharedModel.getSource().trimEnd().endsWith('\\n' + variable));
    book.activeCellIndex = at;
    return book.scrollToItem(at, 'start').then(() => at);
}"""
CHANGED = "([image, old]) => image.src !== old"


@pytest.fixture(scope="module")
def page(browser, lab):  # noqa: F811
    page = open_and_run(browser, lab, LESSON)
    page.wait_for_function("window.done", timeout=600_000)
    yield page
    page.close()


@pytest.fixture
def widget(page):
    """The widget that a cell shows, by the name of its variable, scrolled to -> a locator."""

    def find(variable: str):
        assert page.evaluate(SCROLL, variable) >= 0, variable
        cell = page.locator(".jp-Notebook .jp-Cell.jp-mod-active")
        cell.locator(".widget-image").first.wait_for(timeout=60_000)
        return cell

    return find


def see(page, widget, name):
    """The explorer's picture and its sentence; a screenshot where CAM_SCREENSHOTS names a folder."""
    if folder := os.environ.get("CAM_SCREENSHOTS"):
        page.screenshot(path=f"{folder}/{name}.png")
    return widget.locator("img.widget-image").last.get_attribute("src"), widget.get_by_role("status").last.inner_text()


def changed(page, widget, old):
    image = widget.locator("img.widget-image").last.element_handle()
    page.wait_for_function(CHANGED, arg=[image, old], timeout=60_000)


def test_the_lesson_runs_without_errors(page):
    outputs = [output for cell in cells_of(page) for output in cell.get("outputs", [])]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert page.locator(".jupyter-widgets-error").count() == 0


def test_a_class_is_changed_by_typing(page, widget):
    desk = widget("desk")
    picture, text = see(page, desk, "class-before")
    box = desk.get_by_label("class", exact=True)
    box.fill("espresso" if "Egyptian" in text else "clock")
    box.press("Enter")
    changed(page, desk, picture)
    assert see(page, desk, "class")[1].startswith(("espresso:", "clock:"))


def test_the_threshold_moves_by_keyboard_and_the_box_with_it(page, widget):
    apart = widget("apart")
    picture, text = see(page, apart, "threshold-before")
    number = apart.get_by_role("spinbutton", name="threshold")
    before = float(number.input_value())
    number.focus()
    for _ in range(20):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    changed(page, apart, picture)
    assert float(number.input_value()) == pytest.approx(before - 0.2)
    covers = [[float(v) for v in re.findall(r"(\d+) % of the picture", t)] for t in (text, see(page, apart, "low")[1])]
    assert covers[1] > covers[0]


def test_a_photo_is_uploaded_and_a_bad_one_is_refused_in_words(page, widget, tmp_path):
    desk = widget("desk")
    picture, _ = see(page, desk, "upload-before")
    stripes = np.zeros((200, 300, 3), np.uint8)
    stripes[:, ::20] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    (tmp_path / "text.png").write_text("no picture")
    choose = desk.locator("input[type=file]")
    choose.set_input_files(tmp_path / "stripes.png")
    changed(page, desk, picture)
    assert desk.get_by_role("button", name="▸ stripes").count() == 1
    picture, _ = see(page, desk, "upload")
    choose.set_input_files(tmp_path / "text.png")
    desk.get_by_role("alert").wait_for(timeout=60_000)
    assert "text.png" in desk.get_by_role("alert").inner_text()
    assert see(page, desk, "upload-bad")[0] == picture


def test_a_clip_plays_and_stops(page, widget):
    film = widget("film")
    picture, text = see(page, film, "clip-before")
    assert text.startswith("Frame 1 of 16")
    film.get_by_role("button", name="play").click()
    changed(page, film, picture)
    page.wait_for_timeout(1000)
    assert int(see(page, film, "clip")[1].split()[1]) > 1
    film.get_by_role("button", name="play").click()


def test_save_writes_the_picture_and_its_settings(page, widget):
    desk = widget("desk")
    desk.get_by_label("save as").fill("browser test")
    desk.get_by_label("save as").press("Tab")
    desk.get_by_role("button", name="save", exact=True).click()
    desk.get_by_text("saved as").wait_for(timeout=60_000)
    for end in (".png", ".json"):
        path = machine.cache_folder() / "explored" / f"browser test{end}"
        assert path.stat().st_size > 100
        path.unlink()


NAMES = ["button-name", "image-alt", "label", "select-name", "input-button-name", "aria-toggle-field-name"]


@pytest.mark.parametrize("variable", ["desk", "five", "reasons", "film"])
def test_every_control_has_an_accessible_name(page, widget, variable):
    """Not aria-input-field-name: ipywidgets' slider cannot be named; the number box beside it is (see `controls`)."""
    from axe_playwright_python.sync_playwright import Axe

    widget(variable)
    rules = {"runOnly": {"type": "rule", "values": NAMES}}
    found = Axe().run(page, context=".jp-Cell.jp-mod-active .jp-OutputArea-output", options=rules).response
    assert len(found["passes"]) >= 3
    assert not [(v["id"], [n["html"] for n in v["nodes"]]) for v in found["violations"]]
