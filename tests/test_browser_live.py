"""The live page in a real browser: from a folder without a network, and from a server with the network and a camera."""

import functools
import http.server
import shutil
import sys
import threading

import pytest
import torch
from browsing import CHROMIUM, IN_A_BROWSER
from live import export
from live.network import onnx_network, runtime
from test_browser_site import WIDER, watched

from cam_helpers import CamModel, boxes_from_maps, pictures
from cam_helpers.maps import resize

pytestmark = IN_A_BROWSER
SIZES = [(390, 844), (1024, 768), (1440, 900)]


@pytest.fixture(scope="module")
def folder(built):
    return built("site") / "live"


@pytest.fixture(scope="module")
def live(browser, folder):
    """The page, opened from a folder; at the end nothing went wrong on it."""
    page, wrong = watched(browser, viewport={"width": 1440, "height": 900})
    opened(page, (folder / "index.html").as_uri())
    yield page
    assert wrong == []
    page.close()


@pytest.fixture
def page(live):
    live.evaluate(
        """async () => {
            location.hash = 'explore';
            ask('word');
            await choosePicture(LIVE.pictures[0]);
            await new Promise(requestAnimationFrame);
        }"""
    )
    return live


def opened(page, address):
    page.goto(address)
    page.wait_for_function("typeof state !== 'undefined' && state.map && $('photo').complete")


def turn(page, name: str) -> None:
    """Open a part of the page. The event that shows it comes after the click."""
    page.get_by_role("link", name=name).click()
    page.locator("a[aria-current=page]", has_text=name).wait_for()


def said(page, where="#said") -> str:
    return page.locator(where).inner_text()


# -- the numbers are Python's --------------------------------------------------------------------------------------


def test_scores_and_boxes_are_those_of_python(page, lite0):
    network, names = lite0[0], lite0[1].meta["categories"]
    assert page.evaluate("LIVE.names") == names
    model = CamModel(network)
    for index, (name, (photo, _)) in enumerate(export.photographs().items()):
        seen = pictures.fit(photo)
        cams = model(seen[None])
        classes = [*cams.logits[0].topk(10).indices.tolist(), *range(40, 1000, 96)]  # ten first words, ten others
        script = """async ([index, classes]) => {
            await choosePicture(LIVE.pictures[index]);
            ask('box');
            return classes.map(c => {
                choose('a', c);
                const box = state.found && state.found.box;
                return {score: state.score, said: state.scores[c], map: [...state.map], box};
            });
        }"""
        found = page.evaluate(script, [index, classes])
        size = tuple(seen.shape[1:])
        exact = boxes_from_maps(resize(cams.maps(classes), size)[0])
        rows, columns = cams.features.shape[2:]
        maps = torch.tensor([one["map"] for one in found]).reshape(1, -1, rows, columns)
        rule = boxes_from_maps(resize(maps, size)[0])  # Python's rule, on the page's map
        top = float(cams.logits.max())
        for c, one, box, by_rule in zip(classes, found, exact, rule, strict=True):
            assert abs(one["score"] - float(cams.logits[0, c])) <= 0.0001 * top, (name, names[c])
            assert abs(one["score"] - one["said"]) < 1e-3 * top, "the map's mean and the list of words agree"
            got = [] if one["box"] is None else [one["box"]]
            assert by_rule.tolist() == got, (name, names[c])
            assert box.tolist() == got, (name, names[c], "the box of float32, to the pixel")


# -- what a reader does --------------------------------------------------------------------------------------------


def test_any_word_by_typing(page):
    page.focus("#a")
    assert page.get_by_role("option").count() == 8
    page.keyboard.type("motor sc")
    assert page.locator("#a").get_attribute("aria-activedescendant") == "a-words-0"
    page.keyboard.press("Enter")
    assert page.evaluate("head.names[state.a]") == "motor scooter" and said(page).startswith(
        "motor scooter has 0 %; first is Egyptian cat"
    )
    assert page.get_by_role("listbox").count() == 0 and "motor scooter" in page.locator("#words").inner_text()
    page.keyboard.type("zzz")
    page.keyboard.press("Escape")
    assert page.locator("#a").input_value() == "motor scooter"


def test_a_minus_b_is_the_difference_of_the_maps(page):
    page.get_by_role("button", name="Why this word, not that?").click()
    a, b, minus = page.evaluate("[state.a, state.b, [...state.map]]")
    maps = page.evaluate(f"[{a}, {b}].map(c => [...classMap(state.picture.features, direction(c))])")
    assert minus == pytest.approx([x - y for x, y in zip(*maps, strict=True)], abs=1e-4)
    assert "Red speaks for" in said(page)
    page.get_by_role("button", name="Where is a word?").click()
    assert page.evaluate("state.b") is None


def test_a_threshold_moves_the_box(page):
    assert not page.locator("#box").is_visible()
    page.get_by_role("button", name="How far does it reach?").click()
    wide = page.locator("#box").bounding_box()
    page.focus("#threshold")
    for _ in range(40):
        page.keyboard.press("ArrowRight")
    assert page.locator("#percent").inner_text() == "60" and "above 60 % of the highest value" in said(page)
    assert page.locator("#box").bounding_box()["width"] < wide["width"]


def test_a_cell_says_its_value_and_its_units(page):
    page.focus("#map")
    page.keyboard.press("Home")
    before = page.locator("#reading").inner_text()
    page.keyboard.press("ArrowLeft")
    cell, value = page.evaluate("[state.cell, state.map[state.cell]]")
    assert (
        page.locator("#reading").inner_text() != before and f"{abs(value):.2f}" in page.locator("#reading").inner_text()
    )
    units = page.evaluate(f"[...shares(state.picture.features, direction(state.a), {cell})]")
    assert sum(units) == pytest.approx(value, abs=1e-3)
    assert f"{max(units):+.1f}" in page.locator("#reading").inner_text()
    box = page.locator("#map").bounding_box()
    page.mouse.move(box["x"] + 2, box["y"] + 2)
    assert page.evaluate("state.cell") == 0 and said(page).startswith("row 1, column 1")
    page.mouse.move(0, 0)
    assert page.evaluate("state.cell") is None


def test_units_go_and_the_words_follow(page):
    page.get_by_role("button", name="Which units make it?").click()
    words, score, limit = page.locator("#words").inner_text(), *page.evaluate("[state.score, state.limit]")
    first = page.locator("#units button").first
    adds = max(page.evaluate("[...shares(state.picture.features, direction(state.a))]"))
    first.click()
    assert first.get_attribute("aria-pressed") == "false"
    assert page.evaluate("state.score") == pytest.approx(score - adds, abs=1e-3)
    page.get_by_role("button", name="The 10 largest off").click()
    assert page.locator("#words").inner_text() != words and said(page).startswith("10 units off")
    assert page.evaluate("state.limit") == limit, "the scale stays"
    page.get_by_role("button", name="All on").click()
    assert page.locator("#words").inner_text() == words


def test_the_sum_adds_up_as_it_is_shown(page):
    page.get_by_role("button", name="How do cells make a score?").click()
    for index in range(page.evaluate("LIVE.pictures.length")):
        page.evaluate(f"async () => choosePicture(LIVE.pictures[{index}])")
        cells = page.locator("#sum td:nth-child(2)").all_inner_texts()
        plus, minus, mean, constant, score = (float(text.replace("−", "-")) for text in cells)
        assert round(plus + minus, 2) == mean and round(mean + constant, 2) == score
        assert score == round(page.evaluate("state.score"), 2) and minus <= 0 <= plus


PLACES = "['words', 'said', 'questions', 'controls'].map(id => $(id).offsetTop).join()"
BOTTOM = "Math.max(...['words', 'map'].map(id => $(id).getBoundingClientRect().bottom))"


@pytest.mark.parametrize("size", SIZES)
def test_nothing_jumps_and_nothing_is_cut_off(page, size):
    page.set_viewport_size({"width": size[0], "height": size[1]})
    try:
        places = set()
        for index in range(page.evaluate("LIVE.pictures.length")):
            page.evaluate(f"async () => choosePicture(LIVE.pictures[{index}])")
            places.add(page.evaluate(PLACES))
        for button in page.locator("#questions button").all():
            button.click()
            page.evaluate("() => scrollTo(0, 0)")
            places.add(page.evaluate(PLACES))
            assert page.evaluate(WIDER) <= 0
            assert page.evaluate(BOTTOM) <= size[1], "map and words are always on screen"
        assert len(places) == 1
    finally:
        page.set_viewport_size({"width": 1440, "height": 900})


def test_by_hand_is_lesson_01(page):
    from lessons import LESSONS, code_cells, read

    source = next(c.source for c in code_cells(read(LESSONS[1])) if c.source.startswith("features = torch.tensor"))
    given = {"torch": torch}
    exec(source[: source.index("fig, axes")], given)
    turn(page, "By hand")
    features = given["features"]
    assert page.evaluate("Object.entries(CHANNELS)") == [
        [name, channel.flatten().tolist()] for name, channel in zip(given["channel_names"], features, strict=True)
    ]
    assert page.evaluate("byHand.weights") == given["terrier"].tolist() and page.evaluate("byHand.score") == 4
    page.get_by_label("weight of window").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    weights = page.evaluate("byHand.weights")
    assert weights == [1, 2, 1]
    expected = torch.einsum("k,kyx->yx", torch.tensor(weights).float(), features)
    assert page.evaluate("byHand.map") == expected.flatten().tolist()
    assert page.locator("#equal").inner_text().startswith(f"Both give {expected.mean():g}")
    page.get_by_role("button", name="greenhouse").click()
    assert page.locator("#equal").inner_text().startswith("Both give 2")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser, folder, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page(color_scheme=scheme, reduced_motion="reduce")
    opened(page, (folder / "index.html").as_uri())
    for tab in ("Explore", "By hand", "Your photo, camera"):
        turn(page, tab)
        for question in page.locator("#questions button").all() if tab == "Explore" else [None]:
            if question:
                question.click()
            found = Axe().run(page).response
            assert len(found["passes"]) > 10
            assert [(v["id"], node["html"]) for v in found["violations"] for node in v["nodes"]] == []
    page.close()


def test_from_a_folder_the_page_says_how_to_bring_the_network(page):
    turn(page, "Your photo, camera")
    page.locator("#state", has_text="explore the stored pictures").wait_for()
    assert not page.locator("#sources").is_visible()


@pytest.mark.parametrize("missing", ["no npm", "onnxscript"])
def test_without_what_makes_the_network_the_page_is_built_all_the_same(monkeypatch, tmp_path, capsys, missing):
    monkeypatch.setenv("CAM_CACHE", str(tmp_path))
    if missing == "no npm":
        monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    else:
        monkeypatch.setitem(sys.modules, missing, None)
    assert runtime(None, tmp_path) is None
    assert missing in capsys.readouterr().err and list(tmp_path.iterdir()) == []


def test_the_front_page_has_a_map_of_its_own(browser, folder):
    page, wrong = watched(browser, viewport={"width": 1024, "height": 768})
    page.goto((folder.parent / "index.html").as_uri())
    page.wait_for_selector("#front.works")
    wide, words = page.locator("#front-box").bounding_box(), page.locator("#front-word option").all_inner_texts()
    assert len(words) == 10 and words[0].startswith("Egyptian cat ") and "Egyptian cat" in said(page, "#front-said")
    page.locator("#front-threshold").fill("80")
    assert page.locator("#front-box").bounding_box()["width"] < wide["width"]
    page.locator("#front-word").select_option(index=1)
    assert words[1].rsplit(" ", 1)[0] in said(page, "#front-said") and wrong == []
    page.close()
    still = browser.new_context(java_script_enabled=False).new_page()
    still.goto((folder.parent / "index.html").as_uri())
    assert still.locator("#front img").is_visible() and not still.locator("#front .controls").is_visible()
    still.context.close()


# -- the whole network ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(folder):
    """The pages from a server -> their address; or a skip, where the runtime cannot be had."""
    if not list(folder.glob("network-*.onnx")):
        pytest.skip("the live page was built without its network: npm, onnx or onnxscript is missing")
    handler = functools.partial(Quiet, directory=folder.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/live/index.html"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def own(browser, served):
    """The page from a server, the network loaded, in a browser with a camera of its own."""
    flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    camera = browser.browser_type.launch(executable_path=CHROMIUM, args=flags)
    context = camera.new_context(permissions=["camera"])
    page = context.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    opened(page, served)
    turn(page, "Your photo, camera")
    page.wait_for_function("network.session", timeout=120_000)
    yield page
    assert wrong == []
    camera.close()


def test_no_picture_leaves_the_device_is_said(own):
    assert own.get_by_text("No picture leaves this device.").is_visible()
    assert own.locator("#state").inner_text().startswith("The network is here")


def test_a_photo_gives_five_words_and_their_maps(own, folder, lite0):
    """One that is stored too: the same words in the same order, as far as JPEG and the browser's resizing let them."""
    turn(own, "Your photo, camera")
    own.set_input_files("#file", folder / "coffee.jpg")
    own.wait_for_selector("#five button:nth-child(5)")
    assert "espresso" in own.locator("#five button").first.inner_text()
    assert own.evaluate("state.picture.name") == "coffee.jpg"
    stored = own.evaluate("ranked(allScores(LIVE.pictures[1].features || state.picture.features), 1)[0]")
    assert stored == own.evaluate("state.a")
    own.locator("#five button").nth(1).click()
    own.wait_for_function("location.hash === '#explore' && document.activeElement.hash === '#explore'")
    assert own.locator("#map").is_visible() and own.evaluate("state.a") == own.evaluate(
        "ranked(state.picture.scores, 2)[1]"
    )
    turn(own, "Your photo, camera")
    own.set_input_files("#file", {"name": "words.png", "mimeType": "image/png", "buffer": b"no picture"})
    own.wait_for_function("$('state').textContent.includes('no picture that this browser can read')")


RUN = """async ([rgba, width, height]) => {
    const found = await look(Uint8Array.from(rgba), width, height);
    return {scores: [...found.scores], own: [...allScores(found.features)]};
}"""
START = """async ([file, size]) => {
    network.small = network.session;
    await start(file, size);
}"""


def test_scores_of_the_network_in_the_browser(own, folder, lite0):
    """The stored one equals its head in the page; in float32 its logits are PyTorch's."""
    network = lite0[0]
    seen = pictures.fit(export.photographs()["cat"][0], 64)
    rgba = torch.cat([seen, seen[:1]]).permute(1, 2, 0)
    given = [rgba.flatten().tolist(), seen.shape[2], seen.shape[1]]
    small = own.evaluate(RUN, given)
    assert small["own"] == pytest.approx(small["scores"], abs=1e-3)
    file = folder / "float32.onnx"
    try:
        file.write_bytes(onnx_network(network).SerializeToString())
        own.evaluate(START, [file.name, file.stat().st_size])
        large = own.evaluate(RUN, given)
    finally:
        file.unlink(missing_ok=True)
        own.evaluate("() => { network.session = network.small || network.session; }")
    logits = network(seen[None])[0].tolist()
    assert large["scores"] == pytest.approx(logits, abs=1e-3)
    assert small["scores"] != pytest.approx(logits, abs=1e-3)


def test_the_camera_gives_maps_while_it_moves(own):
    turn(own, "Your photo, camera")
    own.get_by_role("button", name="Start the camera").click()
    own.wait_for_function("$('speed').textContent.includes('maps a second')", timeout=60_000)
    drawn = "() => [...$('liveheat').getContext('2d').getImageData(0, 0, 112, 112).data].reduce((sum, v) => sum + v, 0)"
    before = own.evaluate(drawn)
    own.wait_for_function(f"before => ({drawn})() !== before", arg=before)
    own.focus("#c")
    own.keyboard.type("lynx")
    own.keyboard.press("Enter")
    own.wait_for_function("[...$('livewords').children].some(item => item.textContent.startsWith('lynx'))")
    print(own.locator("#speed").inner_text())
    own.get_by_role("button", name="Stop the camera").click()
    assert not own.locator("#live").is_visible() and own.evaluate("camera.stream") is None


def test_the_second_visit_needs_no_network(own, served):
    own.evaluate("async () => { await navigator.serviceWorker.ready; }")
    opened(own, served)  # once more, with the worker at the door: it keeps what comes
    turn(own, "Your photo, camera")
    own.wait_for_function("network.session", timeout=60_000)
    own.context.set_offline(True)
    try:
        opened(own, served)
        turn(own, "Your photo, camera")
        own.wait_for_function("network.session", timeout=60_000)
    finally:
        own.context.set_offline(False)
