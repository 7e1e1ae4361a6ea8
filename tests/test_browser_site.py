"""Site and slides from a folder, in a real browser: phone and desk, light and dark, search, what fits on a slide."""

import re

import deck
import pytest
from browsing import IN_A_BROWSER
from lessons import LESSONS, read

pytestmark = IN_A_BROWSER


def watched(browser, **options):
    """A page, and a list of what went wrong on it: errors, missing files, anything that is not a file."""
    page, wrong = browser.new_page(**options), []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else wrong.append(r.url))
    return page, wrong


WIDER = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""
UNLOADED = """async () => {
    const pictures = [...document.images];
    pictures.forEach(picture => { picture.loading = "eager"; });
    await Promise.all(pictures.map(picture => picture.decode().catch(() => 0)));
    return pictures.filter(picture => !picture.naturalWidth).map(picture => picture.src);
}"""
GROUND = (
    "() => getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).slice(0, 3).reduce((a, b) => +a + +b, 0)"
)


# what is wider than its box, without a word about it or out of reach of the keyboard; what has too little contrast
UNSAID = """() => [...document.querySelectorAll(".cell_output, .table-wrapper, .cell_output table")].filter(part =>
    part.scrollWidth > part.clientWidth + 1
    && (part.tabIndex < 0 || !(part.matches(".moves") || part.querySelector(".moves")))
).map(part => part.outerHTML.slice(0, 80))"""
FAINT = """() => {
    const channels = colour => colour.match(/[0-9.]+/g).map(Number);
    const linear = level => level <= 10 ? level / 3295 : ((level / 255 + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const ground = part => {
        for (; part; part = part.parentElement) {
            const rgb = channels(getComputedStyle(part).backgroundColor);
            if (rgb[3] !== 0) return rgb;
        }
        return [255, 255, 255];
    };
    const found = new Set();
    for (const part of document.querySelectorAll("article :is(p, a, li, code, td, th, summary, small, b, span)")) {
        if (!part.offsetParent || ![...part.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
        const [a, b] = [light(channels(getComputedStyle(part).color)), light(ground(part))].sort((x, y) => y - x);
        const contrast = (a + 0.05) / (b + 0.05);
        if (contrast < 4.5) found.add(`${part.className || part.tagName}: ${contrast.toFixed(2)}`);
    }
    return [...found];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_the_window_and_show_every_picture(browser, built, scheme):
    """Opened on a phone, then made as wide as a desk's window."""
    page, wrong = watched(browser, color_scheme=scheme)
    paths = sorted(built("site").rglob("*.html"))
    if scheme == "dark":
        paths = [path for path in paths if path.stem in ("index", "05_localize_objects")]
    for path in paths:
        page.set_viewport_size({"width": 390, "height": 900})
        page.goto(path.as_uri(), wait_until="load")
        assert page.evaluate(WIDER) <= 0, f"{path.name} is wider than 390 pixels"
        assert page.evaluate(UNLOADED) == [], path.name
        assert page.evaluate(UNSAID) == [], path.name
        assert page.evaluate(FAINT) == [], path.name
        page.set_viewport_size({"width": 1440, "height": 900})
        assert page.evaluate(WIDER) <= 0, f"{path.name} is wider than 1440 pixels"
    assert (page.evaluate(GROUND) > 380) == (scheme == "light")
    page.goto((built("site") / "notebooks" / "README.html").as_uri(), wait_until="load")
    page.add_style_tag(content="article p { color: #777 }")
    page.set_viewport_size({"width": 390, "height": 900})
    page.evaluate("() => document.querySelectorAll('.moves').forEach(part => part.removeAttribute('tabindex'))")
    assert page.evaluate(FAINT) and page.evaluate(UNSAID), "both are noticed"
    assert wrong == []
    page.close()


def test_a_cell_that_the_companion_names_is_a_click_away(browser, built):
    page, wrong = watched(browser, viewport={"width": 1440, "height": 900})
    page.goto((built("site") / "notebooks" / "README.html").as_uri())
    page.get_by_role("link", name="02: cell 7").click()
    page.wait_for_selector("#cell-7")
    assert page.url.endswith("02_networks_that_localize.html#cell-7") and wrong == []
    page.wait_for_function("() => Math.abs(document.querySelector('#cell-7').getBoundingClientRect().y - 200) < 250")
    page.close()


def test_formulas_are_set_without_a_network(browser, built):
    page, wrong = watched(browser, viewport={"width": 390, "height": 900})
    page.goto((built("site") / "notebooks" / "01_gap_derivation.html").as_uri())
    page.wait_for_selector("mjx-container svg", timeout=20_000)
    page.wait_for_function("MathJax.startup.promise.then(() => true)")
    prose = "\n".join(cell.source for cell in read(LESSONS[1]).cells if cell.cell_type == "markdown")
    prose = re.sub(r"```.*?```|`[^`]*`", "", prose, flags=re.S)
    formulas = re.findall(r"\$\$.+?\$\$|\$[^$\n]+\$", prose, flags=re.S)
    assert page.locator("mjx-container").count() == len(formulas) > 0
    assert page.evaluate(WIDER) <= 0 and wrong == []
    page.close()


def test_search_finds_a_word_from_a_folder(browser, built):
    page, wrong = watched(browser, viewport={"width": 1440, "height": 900})
    page.goto((built("site") / "index.html").as_uri())
    page.get_by_placeholder("Search").fill("dilation")
    page.keyboard.press("Enter")
    page.wait_for_selector("ul.search li a", timeout=20_000)
    found = page.locator("ul.search li a").all_text_contents()
    assert any(title.startswith("02") for title in found), found
    page.get_by_role("link", name="02 · Networks that localize").last.click()
    page.wait_for_selector("h1")
    assert "02_networks_that_localize.html" in page.url and wrong == []
    page.close()


# each slide with all its steps: what overflows, pictures with more pixels than they have, the smallest text in points
MEASURE = """async () => {
    const found = [], shown = part => part.getBoundingClientRect();
    for (let number = 0; number < Reveal.getTotalSlides(); number++) {
        Reveal.slide(number, 0, 99);
        const slide = Reveal.getCurrentSlide().querySelector(".slide"), box = shown(slide);
        const scale = box.width / slide.offsetWidth;
        const pictures = [...slide.querySelectorAll("img")];
        await Promise.all(pictures.map(picture => picture.decode()));
        const inside = ":scope > *:not(aside, .fragment), figure, img, pre, table, mjx-container";
        const parts = slide.querySelectorAll(inside);
        const words = document.createTreeWalker(slide, NodeFilter.SHOW_TEXT), sizes = [];
        while (words.nextNode()) {
            const part = words.currentNode.parentElement;
            if (words.currentNode.data.trim() && !part.closest("aside, mjx-container"))
                sizes.push(parseFloat(getComputedStyle(part).fontSize) * scale * 0.75);
        }
        const figures = pictures.map(picture => {
            const at = shown(picture), shape = picture.naturalWidth / picture.naturalHeight;
            const width = Math.min(at.width, at.height * shape);
            const [inches] = JSON.parse(picture.dataset.inches || "[0]");
            return {
                enlarged: picture.src.endsWith(".svg") ? 0 : width / picture.naturalWidth,
                text: inches ? picture.dataset.text * width / inches / 72 * 0.75 : null,
            };
        });
        found.push({
            number: number + 1, sizes, figures, window: [box.width, box.height],
            out: [slide, ...parts].filter(part => !part.parentElement.closest(".moves")).filter(part =>
                shown(part).bottom > box.bottom + 1 || shown(part).right > box.right + 1
                || part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).overflowX !== "auto"
                || part === slide && part.scrollHeight > part.clientHeight + 1
            ).map(part => part.outerHTML.slice(0, 60)).join(),
        });
    }
    return found;
}"""
# the slides have been laid out for a window of this width
FILLS = """width => {
    const slide = Reveal.getCurrentSlide().querySelector(".slide").getBoundingClientRect();
    return Math.abs(slide.width - width) < 1 && document.querySelector("figure.moves");
}"""
# the first wide figure, moved to its end: how far, what is left beyond its right edge, what stands above it
TO_THE_RIGHT = """() => {
    const figure = document.querySelector("figure.moves"), { h, v } = Reveal.getIndices(figure.closest("section"));
    Reveal.slide(h, v, 99);
    figure.scrollLeft = 9999;
    const beyond = figure.querySelector("img").getBoundingClientRect().right - figure.getBoundingClientRect().right;
    return [figure.scrollLeft, beyond, getComputedStyle(figure, "::before").content];
}"""
NUMBER = "() => parseFloat(getComputedStyle(document.querySelector('.slide-number')).fontSize) * 0.75"


def opened(page, path):
    page.goto(path.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady() && window.MathJax.startup.promise")
    page.evaluate("async () => { await MathJax.startup.promise; }")


def overflowing(page) -> list:
    return [(slide["number"], slide["out"]) for slide in page.evaluate(MEASURE) if slide["out"]]


def test_nothing_overflows_a_slide_and_text_has_18_points(browser, built):
    page, wrong = watched(browser, viewport={"width": 1920, "height": 1080})
    for path in sorted(built("slides").glob("*.html")):
        if path.stem == "index":
            continue
        opened(page, path)
        seen = page.evaluate(MEASURE)
        assert [(slide["number"], slide["out"]) for slide in seen if slide["out"]] == [], path.stem
        assert [slide["number"] for slide in seen if min(slide["sizes"], default=99) < 17.9] == [], path.stem
        assert seen[0]["window"] == [1920, 1080], "16:9 fills the window"
        assert page.evaluate(NUMBER) >= 17.9
    assert wrong == []
    page.close()


def test_figures_are_sharp_on_a_wall_and_their_text_has_18_points(browser, tmp_path):
    """Lesson 00 is run, and its figures are drawn for the slides (see wall.py)."""
    deck.slides(tmp_path, paths=LESSONS[:1])
    page, wrong = watched(browser, viewport={"width": 1920, "height": 1080})
    opened(page, tmp_path / f"{LESSONS[0].stem}.html")
    seen = page.evaluate(MEASURE)
    assert overflowing(page) == []
    figures = [figure for slide in seen for figure in slide["figures"]]
    assert len(figures) >= 5 and all(figure["enlarged"] <= 1 for figure in figures)
    assert all(figure["text"] >= 17.9 for figure in figures)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function(FILLS, arg=390)
    assert overflowing(page) == []
    on_a_phone = [figure["text"] for slide in page.evaluate(MEASURE) for figure in slide["figures"]]
    assert len(on_a_phone) == len(figures) and min(on_a_phone) >= 6.5
    moved, beyond, said = page.evaluate(TO_THE_RIGHT)
    assert moved > 50 and abs(beyond) <= 1 and "move it sideways" in said
    assert "stored in the lessons" not in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert wrong == []
    page.close()


def test_slides_can_be_read_on_a_phone(browser, built):
    page, wrong = watched(browser, viewport={"width": 390, "height": 844})
    opened(page, built("slides") / f"{LESSONS[1].stem}.html")
    seen = page.evaluate(MEASURE)
    assert [
        slide["number"] for slide in seen if slide["window"][0] < 389 or min(slide["sizes"], default=99) < 6.5
    ] == []
    assert [(slide["number"], slide["out"]) for slide in seen if slide["out"]] == []
    assert page.evaluate(WIDER) <= 0 and wrong == []
    page.close()


@pytest.mark.parametrize("text", ["<p>one more line</p>" * 30, f"<pre>{'a long line ' * 30}</pre>"])
def test_a_slide_that_overflows_is_noticed(browser, built, text):
    page, _ = watched(browser, viewport={"width": 1280, "height": 720})
    opened(page, built("slides") / "00_start_here.html")
    page.evaluate(f"() => document.querySelectorAll('.slide')[1].insertAdjacentHTML('beforeend', `{text}`)")
    assert [number for number, _ in overflowing(page)] == [2]
    page.close()
