"""Lesson 04 in JupyterLab in a real browser: run, type, move, upload, play, save; and what axe says of it."""

import itertools
import os
import re

import numpy as np
import pytest
from browsing import IN_A_BROWSER, cells_of, open_and_run
from PIL import Image

import drawn_world

LESSON = "04_explore_class_activation_maps.ipynb"
WIDGETS = ["five", "desk", "reasons", "apart", "many", "rivals", "film", "blunders", "demo"]
pytestmark = IN_A_BROWSER
SCROLL = """variable => {
    const book = window.jupyterapp.shell.currentWidget.content;
    const at = book.widgets.findIndex(cell => cell.model.sharedModel.getSource().trimEnd().endsWith('\\n' + variable));
    book.activeCellIndex = at;
    return book.scrollToItem(at, 'start').then(() => at);
}"""
CHANGED = "([image, old]) => image.src !== old"
# what has the focus: its place in the output, whether the focus can be seen, its name
WALK = """() => {
    const at = document.activeElement, area = at.closest('.jp-OutputArea-output'), box = at.getBoundingClientRect();
    const look = () => { const s = getComputedStyle(at); return [s.outline, s.boxShadow, s.borderColor].join(); };
    const focused = look();
    at.blur();
    const plain = look();
    at.focus();
    const label = at.labels && at.labels[0] ? at.labels[0].innerText : '';
    return {x: box.x, y: area ? box.y - area.getBoundingClientRect().y : 0, inside: area !== null,
            seen: focused !== plain, name: label || at.innerText || at.className};
}"""


@pytest.fixture(scope="module")
def page(browser, lab):
    page = open_and_run(browser, lab, LESSON)
    page.wait_for_function("window.done", timeout=600_000)
    no_news = page.get_by_role("button", name="No", exact=True)
    if no_news.count():
        no_news.click()
    yield page
    page.close()


@pytest.fixture
def widget(page):
    """The widget that a cell shows, by the name of its variable, scrolled to -> a locator."""

    def find(variable: str):
        assert page.evaluate(SCROLL, variable) >= 0, variable
        cell = page.locator(".jp-Notebook .jp-Cell.jp-mod-active")
        cell.locator("img.widget-image").first.wait_for(timeout=60_000)
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


def test_a_class_is_changed_by_typing_a_part_of_its_name(page, widget):
    desk = widget("desk")
    picture, _ = see(page, desk, "class-before")
    box = desk.get_by_label("class", exact=True)
    known = box.evaluate("box => box.list.options.length")
    typed, word = ("pomer", "Pomeranian") if known == 1000 else ("cloc", "clock")
    box.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type(typed)
    page.keyboard.press("Enter")
    changed(page, desk, picture)
    assert see(page, desk, "class")[1].startswith(f"{word}:")
    assert box.input_value() == word
    assert not desk.get_by_label("follow the prediction").is_checked()


def test_a_class_is_changed_by_a_click_on_its_bar(page, widget):
    desk = widget("desk")
    picture, _ = see(page, desk, "bar-before")
    desk.get_by_role("button").filter(has_text=re.compile(r" %$")).nth(1).click()
    changed(page, desk, picture)


def test_the_threshold_moves_by_keyboard_and_the_box_with_it(page, widget):
    apart = widget("apart")
    picture, text = see(page, apart, "threshold-before")
    number = apart.get_by_role("spinbutton", name="threshold")
    before = float(number.input_value())
    number.focus()
    for _ in range(30):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    changed(page, apart, picture)
    page.wait_for_timeout(500)
    assert float(number.input_value()) == pytest.approx(before - 0.3)
    covers = [[float(v) for v in re.findall(r"(\d+) % of the picture", t)] for t in (text, see(page, apart, "low")[1])]
    assert covers[1] > covers[0]


def test_a_slider_moves_by_keyboard_too(page, widget):
    many = widget("many")
    picture, _ = see(page, many, "slider-before")
    many.get_by_role("slider").first.focus()
    page.keyboard.press("ArrowRight")
    changed(page, many, picture)


def test_a_photo_is_uploaded_and_a_bad_one_is_refused_in_words(page, widget, tmp_path):
    desk = widget("desk")
    picture, _ = see(page, desk, "upload-before")
    stripes = np.zeros((200, 300, 3), np.uint8)
    stripes[:, ::20] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    with (tmp_path / "huge.png").open("wb") as huge:
        huge.truncate(60_000_000)  # more is too much for what drives the browser

    def choose(name):
        with page.expect_file_chooser() as chooser:
            desk.get_by_role("button", name="upload a picture").click()
        chooser.value.set_files(tmp_path / name)

    choose("stripes.png")
    changed(page, desk, picture)
    assert desk.get_by_role("button", name="▸ stripes").count() == 1
    picture, _ = see(page, desk, "upload")
    for name in ("text.png", "empty.png", "huge.png"):
        choose(name)
        desk.get_by_role("alert").filter(has_text=name).wait_for(timeout=60_000)
        assert see(page, desk, f"upload-{name}")[0] == picture


def test_a_clip_plays_stops_and_is_exported(page, widget):
    film = widget("film")
    picture, text = see(page, film, "clip-before")
    assert text.startswith("Frame 1 of 16")
    play = film.get_by_role("button", name="play")
    play.click()
    changed(page, film, picture)
    page.wait_for_timeout(1000)
    assert int(see(page, film, "clip")[1].split()[1]) > 1
    play.click()
    page.wait_for_timeout(1000)
    stopped = see(page, film, "clip-stopped")[0]
    page.wait_for_timeout(500)
    assert see(page, film, "clip-stopped")[0] == stopped
    film.get_by_role("spinbutton", name="frame").fill("16")
    film.get_by_role("spinbutton", name="frame").press("Enter")
    film.get_by_text("Frame 16 of 16").wait_for(timeout=10_000)
    play.click()  # from the last frame it goes on with the first
    changed(page, film, film.locator("img.widget-image").last.get_attribute("src"))
    play.click()
    film.get_by_role("button", name="export GIF").click()
    film.get_by_text("clip.gif, 16 frames").wait_for(timeout=60_000)
    path = drawn_world.cache_folder() / "explored" / "clip.gif"
    with Image.open(path) as gif:
        assert gif.n_frames == 16
    path.unlink()


def test_a_unit_is_switched_off_and_the_score_follows(page, widget):
    reasons = widget("reasons")
    picture, _ = see(page, reasons, "unit-before")
    reasons.get_by_role("checkbox").first.check()
    changed(page, reasons, picture)
    assert re.search(r"Without unit \d+ the score is [\d.-]+ instead of", see(page, reasons, "unit")[1])


def test_save_writes_the_picture_and_its_settings(page, widget):
    desk = widget("desk")
    desk.get_by_label("save as").fill("browser test")
    desk.get_by_label("save as").press("Tab")
    desk.get_by_role("button", name="save", exact=True).click()
    desk.get_by_text("saved as").wait_for(timeout=60_000)
    see(page, desk, "saved")
    for end in (".png", ".json"):
        path = drawn_world.cache_folder() / "explored" / f"browser test{end}"
        assert path.stat().st_size > 100
        path.unlink()


def test_tab_goes_in_reading_order_and_the_focus_can_be_seen(page, widget):
    """Down the left column, then down the right one."""
    desk = widget("desk")
    desk.get_by_role("button").first.focus()
    steps = [page.evaluate(WALK)]
    while len(steps) < 60:
        page.keyboard.press("Tab")
        step = page.evaluate(WALK)
        if not step["inside"] or "save" in steps[-1]["name"].split():
            break
        steps.append(step)
    names = " | ".join(step["name"] for step in steps)
    places = [names.index(part) for part in ("class", "follow", "style", "weights", "threshold", "opacity", "save as")]
    assert places == sorted(places), names
    for a, b in itertools.pairwise(steps):
        assert b["y"] > a["y"] - 25 or b["x"] > a["x"] + 100, (a, b)
    assert all(step["seen"] for step in steps), [step for step in steps if not step["seen"]]


NAMES = ["button-name", "image-alt", "label", "select-name", "input-button-name", "aria-toggle-field-name",
         "aria-input-field-name", "link-name", "role-img-alt", "duplicate-id-aria"]  # fmt: skip


@pytest.mark.parametrize("variable", WIDGETS)
def test_every_control_has_an_accessible_name(page, widget, variable):
    """But the handle of ipywidgets' slider, which cannot have one: the number box beside it has (see `sliders`)."""
    from axe_playwright_python.sync_playwright import Axe

    see(page, widget(variable), f"axe-{variable}")
    rules = {"runOnly": {"type": "rule", "values": NAMES}}
    found = Axe().run(page, context=".jp-Cell.jp-mod-active .jp-OutputArea-output", options=rules).response
    assert len(found["passes"]) >= 3
    nameless = [(v["id"], node["html"]) for v in found["violations"] for node in v["nodes"]]
    assert not [(rule, html) for rule, html in nameless if "noUi-handle" not in html]
