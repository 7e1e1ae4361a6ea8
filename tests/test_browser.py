"""Lessons in JupyterLab in a real browser: run, look, move a slider by keyboard."""

import os

import nbformat
import pytest
from browsing import IN_A_BROWSER, cells_of, open_and_run
from lessons import LESSONS, read

pytestmark = IN_A_BROWSER


def count_pictures(cells) -> int:
    return sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))


def test_lesson_00_shows_a_map_within_a_minute(browser, lab):
    page = open_and_run(browser, lab, "00_start_here.ipynb")
    for _ in range(120):  # the first picture is the first map
        if count_pictures(cells_of(page)) >= 1:
            break
        page.wait_for_timeout(500)
    else:
        pytest.fail("no map after a minute")
    page.wait_for_function("window.done", timeout=240_000)
    cells = cells_of(page)
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert count_pictures(cells) == count_pictures(read(LESSONS[0]).cells) >= 5
    page.close()


@pytest.fixture(scope="module")
def slider_page(browser, lab):
    notebook = read(LESSONS[1])
    end = next(i for i, cell in enumerate(notebook.cells) if "interactive_output" in cell.source)
    notebook.cells = notebook.cells[: end + 1]
    nbformat.write(notebook, lab[1] / "sliders.ipynb")
    page = open_and_run(browser, lab, "sliders.ipynb")
    page.wait_for_function("window.done", timeout=240_000)
    yield page
    page.close()


@pytest.mark.parametrize("move", ["number box", "slider"])
def test_a_weight_has_a_name_and_moves_by_keyboard(slider_page, move):
    number = slider_page.get_by_role("spinbutton", name="weight of window")
    number.scroll_into_view_if_needed()
    pictures = ".widget-output img"
    slider_page.wait_for_selector(pictures)
    shown, before = slider_page.locator(pictures).last.get_attribute("src"), float(number.input_value())
    if move == "slider":
        slider_page.get_by_role("slider").first.focus()
        slider_page.keyboard.press("ArrowRight")
    else:
        number.focus()
        slider_page.keyboard.press("ArrowUp")
        slider_page.keyboard.press("Tab")
    slider_page.wait_for_function(
        f"old => [...document.querySelectorAll('{pictures}')].some(i => i.src !== old)", arg=shown
    )
    assert float(number.input_value()) == before + 0.5


def test_screen_readers_find_the_picture_described(slider_page):
    described = slider_page.locator(".jp-OutputArea p", has_text="Map with rows")
    slider_page.screenshot(path=os.environ.get("CAM_SCREENSHOT", os.devnull), type="png")
    assert described.count() >= 1
