"""Site and slides from a folder, in a real browser: phone and desk, light and dark, search, what fits on a slide."""

import re

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


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_the_window_and_show_every_picture(browser, built, scheme):
    """Opened on a phone, then made as wide as a desk's window."""
    page, wrong = watched(browser, color_scheme=scheme)
    paths = sorted(built("site").rglob("*.html")) if scheme == "light" else [built("site") / "index.html"]
    for path in paths:
        page.set_viewport_size({"width": 390, "height": 900})
        page.goto(path.as_uri(), wait_until="load")
        assert page.evaluate(WIDER) <= 0, f"{path.name} is wider than 390 pixels"
        assert page.evaluate(UNLOADED) == [], path.name
        page.set_viewport_size({"width": 1440, "height": 900})
        assert page.evaluate(WIDER) <= 0, f"{path.name} is wider than 1440 pixels"
    assert (page.evaluate(GROUND) > 380) == (scheme == "light")
    assert wrong == []
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


MEASURE = """() => {
    const slide = Reveal.getCurrentSlide().querySelector(".slide"), box = slide.getBoundingClientRect();
    const inside = [...slide.querySelectorAll(":scope > *:not(aside), img, pre, table, mjx-container")];
    return {
        high: slide.scrollHeight, wide: slide.scrollWidth, window: [box.width, box.height],
        out: inside.filter(part => {
            const at = part.getBoundingClientRect();
            return at.bottom > box.bottom + 1 || at.right > box.right + 1 || part.scrollWidth > part.clientWidth + 1;
        }).map(part => part.outerHTML.slice(0, 60)),
        small: [...slide.querySelectorAll("img")].map(
            p => Math.min(p.clientWidth / p.naturalWidth, p.clientHeight / p.naturalHeight)
        ).filter(scale => scale < 0.6),
    };
}"""


def overflowing(page) -> list:
    found = []
    for number in range(page.evaluate("Reveal.getTotalSlides()")):
        page.evaluate(f"Reveal.slide({number})")
        seen = page.evaluate(MEASURE)
        if seen["high"] > 720 or seen["wide"] > 1280 or seen["out"] or seen["small"]:
            found.append((number + 1, seen))
    return found


def opened(page, path):
    page.goto(path.as_uri())
    page.wait_for_function("window.Reveal && Reveal.isReady() && window.MathJax.startup.promise")
    page.evaluate("async () => { await MathJax.startup.promise; }")


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_nothing_overflows_a_slide(browser, built, size):
    page, wrong = watched(browser, viewport={"width": size[0], "height": size[1]})
    for path in LESSONS if size[0] == 1280 else LESSONS[:1]:
        opened(page, built("slides") / f"{path.stem}.html")
        assert overflowing(page) == [], path.stem
        assert page.evaluate(MEASURE)["window"] == list(size), "16:9 fills the window"
        assert page.evaluate(UNLOADED) == []
    assert wrong == []
    page.close()


@pytest.mark.parametrize("text", ["<p>one more line</p>" * 30, f"<pre>{'a long line ' * 30}</pre>"])
def test_a_slide_that_overflows_is_noticed(browser, built, text):
    page, _ = watched(browser, viewport={"width": 1280, "height": 720})
    opened(page, built("slides") / "00_start_here.html")
    page.evaluate(f"() => document.querySelectorAll('.slide')[1].insertAdjacentHTML('beforeend', `{text}`)")
    assert [number for number, _ in overflowing(page)] == [2]
    page.close()
