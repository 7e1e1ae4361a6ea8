"""Lesson 04 in JupyterLab in a real browser: run, type, click, move, upload, play; does it fit; what axe says of it.

Set CAM_SCREENSHOTS to a folder to see what the tests saw.
"""

import itertools
import os
import re

import numpy as np
import pytest
from browsing import IN_A_BROWSER, cells_of, open_and_run
from PIL import Image

LESSON = "04_explore_class_activation_maps.ipynb"
WIDGETS = ["five", "versus", "desk", "pointer", "reasons", "apart", "many", "film", "blunders", "demo", "own"]
SIZES = [(1440, 900), (1024, 768)]
pytestmark = IN_A_BROWSER
SCROLL = """variable => {
    const book = window.jupyterapp.shell.currentWidget.content;
    const shows = line => line === variable || line === `display(${variable})`;
    const at = book.widgets.findIndex(cell => cell.model.sharedModel.getSource().split('\\n').some(shows));
    book.activeCellIndex = at;
    return book.scrollToItem(at, 'start').then(() => at);
}"""
TO_THE_TOP = """async () => {
    for (let frame = 0; frame < 4; frame++) await new Promise(requestAnimationFrame);  // what was resized is laid out
    const windowed = document.querySelector('.jp-Notebook .jp-WindowedPanel-outer');
    const book = windowed || document.querySelector('.jp-Notebook');
    const output = document.querySelector('.jp-Cell.jp-mod-active .jp-Cell-outputWrapper').getBoundingClientRect();
    book.scrollTop += output.y - book.getBoundingClientRect().y;
}"""
# top of the output, bottom of its last picture, pixels by which something is too wide
EXTENT = """async () => {
    await new Promise(requestAnimationFrame);
    const output = document.querySelector('.jp-Cell.jp-mod-active .jp-Cell-outputWrapper');
    const images = [...output.querySelectorAll('img.widget-image')].map(image => image.getBoundingClientRect());
    const right = Math.max(...[...output.querySelectorAll('*')].map(one => one.getBoundingClientRect().right));
    const box = output.getBoundingClientRect();
    return [box.top, Math.max(...images.map(image => image.bottom)), right - box.right];
}"""
COVERS = r"(\d+) % of the picture"
MORE = """([cell, covered]) => {
    const said = [...cell.querySelectorAll('[role=status]')].at(-1).innerText;
    return Number(/(\\d+) % of the picture/.exec(said)[1]) > covered;
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


def says(widget, words):
    widget.get_by_role("status").filter(has_text=words).wait_for(timeout=60_000)


def test_the_lesson_runs_without_errors(page):
    outputs = [output for cell in cells_of(page) for output in cell.get("outputs", [])]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]
    assert page.locator(".jupyter-widgets-error").count() == 0


@pytest.mark.parametrize("variable", WIDGETS)
def test_controls_and_pictures_are_seen_together(page, widget, variable):
    """From the first control to the last picture, at both sizes; nothing is wider than the notebook."""
    for size in SIZES:
        page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
        cell = widget(variable)
        page.evaluate(TO_THE_TOP)
        see(page, cell, f"{variable}-{size[0]}")
        top, bottom, overflow = page.evaluate(EXTENT)
        room = page.locator(".jp-Notebook").bounding_box()["height"]
        assert bottom - top <= room, (size, bottom - top, room)
        assert overflow <= 4, (size, overflow)  # margins
    page.set_viewport_size({"width": 1280, "height": 1600})


def retype(page, box, part):
    """Type a part of a name in place of what the box holds."""
    box.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type(part)
    page.keyboard.press("Enter")


def test_a_class_is_changed_by_typing_a_part_of_its_name(page, widget):
    desk = widget("desk")
    picture, _ = see(page, desk, "class-before")
    box = desk.get_by_label("class", exact=True)
    retype(page, box, "pomer")
    changed(page, desk, picture)
    says(desk, re.compile("^Pomeranian:"))
    assert box.input_value() == "Pomeranian"
    see(page, desk, "class")


def test_a_class_is_changed_by_a_click_on_its_word(page, widget):
    desk = widget("desk")
    picture, _ = see(page, desk, "word-before")
    desk.get_by_role("button").filter(has_text=re.compile(r" %\)$")).nth(1).click()
    changed(page, desk, picture)


def test_another_class_is_subtracted(page, widget):
    versus = widget("versus")
    picture, _ = see(page, versus, "minus-before")
    box = versus.get_by_label("minus", exact=True)
    retype(page, box, "lightho")
    changed(page, versus, picture)
    says(versus, "church minus lighthouse: the lead is")


def test_a_click_on_the_map_points_at_the_cell_below_it(page, widget):
    pointer = widget("pointer")
    picture, _ = see(page, pointer, "cell-before")
    place = pointer.locator("img.widget-image").last.bounding_box()
    page.mouse.click(place["x"] + place["width"] * 8.5 / 10, place["y"] + place["width"] * 358 / 512 * 1.5 / 7)
    changed(page, pointer, picture)
    says(pointer, re.compile("^Row 1, column 8: "))
    row = pointer.get_by_role("spinbutton", name="row")
    row.focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    says(pointer, re.compile("^Row 2, column 8: "))
    see(page, pointer, "cell")


def test_the_threshold_moves_by_keyboard_and_the_box_with_it(page, widget):
    apart = widget("apart")
    picture, text = see(page, apart, "threshold-before")
    number = apart.get_by_role("spinbutton", name="threshold")
    before = float(number.input_value())
    number.focus()
    for _ in range(30):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.wait_for_function(
        "([box, value]) => Math.abs(box.value - value) < 1e-6", arg=[number.element_handle(), before - 0.3]
    )
    changed(page, apart, picture)
    covered = int(re.search(COVERS, text)[1])
    page.wait_for_function(MORE, arg=[apart.element_handle(), covered], timeout=60_000)  # after some steps on the way
    assert int(re.search(COVERS, see(page, apart, "low")[1])[1]) > covered


def test_what_is_under_more_moves_by_keyboard_too(page, widget):
    many = widget("many")
    picture, _ = see(page, many, "more-before")
    more = many.get_by_role("button", name="more")
    more.focus()
    page.keyboard.press("Enter")
    track = many.get_by_role("slider").first
    track.wait_for(timeout=60_000)
    see(page, many, "more")
    track.focus()
    page.keyboard.press("ArrowRight")
    changed(page, many, picture)
    more.click()
    track.wait_for(state="hidden", timeout=60_000)


def test_a_photo_is_uploaded_and_counted_and_a_bad_one_is_refused_in_words(page, widget, tmp_path):
    own = widget("own")
    picture, _ = see(page, own, "upload-before")
    stripes = np.zeros((200, 300, 3), np.uint8)
    stripes[:, ::20] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    (tmp_path / "text.png").write_text("no picture")
    with (tmp_path / "huge.png").open("wb") as huge:
        huge.truncate(60_000_000)  # more is too much for what drives the browser
    button = own.get_by_role("button", name="upload a picture")

    def choose(name):
        with page.expect_file_chooser() as chooser:
            button.click()
        chooser.value.set_files(tmp_path / name)

    for count in (1, 2):
        choose("stripes.png")
        changed(page, own, picture)
        button.filter(has_text=f"({count})").wait_for(timeout=60_000)
        first_word = own.get_by_role("button").filter(has_text=re.compile(r" %\)$")).first.inner_text()
        says(own, re.sub(r" +[-\d.]+ +\(.*", ": ", first_word))
        assert own.get_by_label("class", exact=True).input_value() == ""
        assert own.get_by_label("picture", exact=True).input_value() == ["stripes", "stripes (2)"][count - 1]
        own.get_by_label("picture", exact=True).select_option("cat")
        says(own, "Egyptian cat:")
        picture, _ = see(page, own, "upload")
    for name in ("text.png", "huge.png"):
        choose(name)
        own.get_by_role("alert").filter(has_text=name).wait_for(timeout=60_000)
        assert see(page, own, f"upload-{name}")[0] == picture


def test_a_clip_plays_and_a_typed_frame_stays(page, widget):
    film = widget("film")
    assert see(page, film, "clip-before")[1].startswith("Frame 1 of 16")
    film.get_by_role("button", name="play").click()
    says(film, "Frame 3 of 16")
    see(page, film, "clip")
    pause = film.get_by_role("button", name="pause")
    film.get_by_role("spinbutton", name="frame").fill("16")
    film.get_by_role("spinbutton", name="frame").press("Enter")
    says(film, "Frame 16 of 16")
    pause.wait_for(state="detached", timeout=60_000)
    film.get_by_role("button", name="play").click()  # from the last frame it goes on with the first
    says(film, "Frame 2 of 16")
    pause.click()
    film.get_by_role("button", name="play").wait_for(timeout=60_000)
    see(page, film, "clip-stopped")


def test_a_unit_is_switched_off_and_the_score_follows(page, widget):
    reasons = widget("reasons")
    picture, _ = see(page, reasons, "unit-before")
    reasons.get_by_role("checkbox").first.check()
    changed(page, reasons, picture)
    says(reasons, "As trained, with all units, the score is 4.85.")
    see(page, reasons, "unit")


def test_tab_goes_in_reading_order_and_the_focus_can_be_seen(page, widget):
    pointer = widget("pointer")
    pointer.get_by_role("spinbutton", name="row").focus()
    steps = [page.evaluate(WALK)]
    while len(steps) < 10 and "more" not in steps[-1]["name"]:  # the cells are not among them
        page.keyboard.press("Tab")
        steps.append(page.evaluate(WALK))
    names = [step["name"] for step in steps]
    assert "more" in names[-1] and all(step["inside"] for step in steps), names
    places = [next(i for i, name in enumerate(names) if part in name) for part in ("row", "column", " %)", "more")]
    assert places == sorted(places), names
    for a, b in itertools.pairwise(steps):
        assert b["y"] > a["y"] - 25, (a, b)
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
