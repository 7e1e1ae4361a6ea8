"""Lessons in JupyterLab in a real browser: run, look, move a slider by keyboard."""

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import nbformat
import pytest
from conftest import ROOT
from lessons import LESSONS, read

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="no chromium on this machine"),
]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the lessons -> (address, folder)."""
    folder = tmp_path_factory.mktemp("lab")
    for path in LESSONS:
        shutil.copy(path, folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--expose-app-in-browser"]
    flags = shlex.split(re.search("^LAB_FLAGS := (.*)", (ROOT / "Makefile").read_text(), flags=re.M)[1])
    options = [
        *flags,
        f"--port={port}",
        "--IdentityProvider.token=",
        "--ServerApp.password=",
        f"--ServerApp.root_dir={folder}",
    ]
    environment = dict(os.environ, JUPYTERLAB_WORKSPACES_DIR=str(folder / ".workspaces"))
    server = subprocess.Popen(command + options, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/api", timeout=1).read()
            break
        except OSError:
            time.sleep(0.5)
    yield address, folder
    server.terminate()
    server.wait(20)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


RUN = "app.commands.execute('notebook:run-all-cells')"
START = """async () => {
    const app = window.jupyterapp;
    await app.shell.currentWidget.sessionContext.ready;
    window.done = false;
    %s.then(() => { window.done = true; });
}"""


def open_and_run(browser, lab, name):
    """Open a notebook and start running all its cells -> the page."""
    page = browser.new_page(viewport={"width": 1280, "height": 1600})
    page.goto(f"{lab[0]}/lab/tree/{name}?reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
    page.wait_for_function("window.jupyterapp !== undefined")
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.evaluate(START % RUN)
    return page


def cells_of(page) -> list[dict]:
    model = page.evaluate("() => JSON.stringify(window.jupyterapp.shell.currentWidget.content.model.toJSON())")
    return json.loads(model)["cells"]


def count_pictures(cells) -> int:
    return sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))


def test_lesson_00_shows_a_map_within_a_minute(browser, lab):
    page = open_and_run(browser, lab, "00_start_here.ipynb")
    for _ in range(120):  # the third picture is the first map
        if count_pictures(cells_of(page)) >= 3:
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
