"""The site, the slides and the folder of figures: built from the lessons, every link and picture checked."""

import re

import pytest
import reading
from bs4 import BeautifulSoup
from built import problems
from conftest import ROOT
from lessons import LESSONS, code_cells, read

pytestmark = pytest.mark.slow
PARTS = ("site", "slides", "figures")


def soup(path):
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def alts(path) -> list[str]:
    """The texts of a lesson's pictures."""
    kept = [o.metadata for cell in code_cells(read(path)) for o in cell.outputs if "data" in o]
    return [" ".join(m[kind]["alt"].split()) for m in kept for kind in ("image/png", "image/jpeg") if kind in m]


@pytest.mark.parametrize("what", PARTS)
def test_links_lead_somewhere_and_pictures_have_words(built, what):
    assert problems(built(what)) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('href="other.html', 'href="gone.html', "leads nowhere: gone.html"),
        ('id="recap"', 'id="recall"', "no such place on the page: other.html#recap"),
        (' alt="A cat and its map"', "", "a picture without words"),
        ('src="map.png"', 'src="mop.png"', "leads nowhere: mop.png"),
        ('src="tex.js"', 'src="https://example.org/tex.js"', "fetched from elsewhere"),
    ],
)
def test_what_is_broken_is_found(tmp_path, old, new, complaint):
    pages = {
        "page.html": '<a href="other.html#recap">on</a><script src="tex.js"></script>'
        '<img src="map.png" alt="A cat and its map">',
        "other.html": '<h2 id="recap">Recap</h2><a href="https://arxiv.org">paper</a>',
        "map.png": "",
        "tex.js": "",
    }
    for name, text in pages.items():
        (tmp_path / name).write_text(text)
    assert problems(tmp_path) == []
    assert any(old in text for text in pages.values())
    for name, text in pages.items():
        (tmp_path / name).write_text(text.replace(old, new))
    assert len(problems(tmp_path)) == 1 and complaint in problems(tmp_path)[0]


@pytest.mark.filterwarnings("ignore")
def test_a_broken_link_stops_the_build(tmp_path, monkeypatch):
    import pages

    def broken(source, _):
        (source / "notebooks").mkdir(parents=True)
        (source / "index.md").write_text("# Start\n\n[a lesson](notebooks/01_gone.ipynb)\n")

    monkeypatch.setattr(pages, "stage", broken)
    with pytest.raises(SystemExit, match="not built"):
        pages.site(tmp_path)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[a lesson](00_start_here.ipynb)", "[a lesson](00_start_here.ipynb)"),
        ("[the start](../README.md#lessons)", "[the start](../index.md#lessons)"),
        ("[weights](../data/drawn_world/checkpoints)", "weights (`checkpoints`)"),
        ("[data/drawn_world/checkpoints](../data/drawn_world/checkpoints)", "data/drawn_world/checkpoints"),
        ("[![Binder](https://mybinder.org/badge.svg)](https://mybinder.org)", "[Binder](https://mybinder.org)"),
        ("[![Binder](figures/first_map.png)](../Makefile)", "![Binder](figures/first_map.png)"),
        ("[00, 2]: 00_start_here.ipynb#2", "[00, 2]: 00_start_here.ipynb#2"),
        ("[nowhere](gone.md)", "[nowhere](gone.md)"),
        ("[the paper](https://arxiv.org/abs/1512.04150)", "[the paper](https://arxiv.org/abs/1512.04150)"),
    ],
)
def test_links_are_made_to_fit_the_site(text, shown, monkeypatch):
    monkeypatch.delenv("CAM_REPOSITORY", raising=False)
    assert reading.within(text, ROOT / "notebooks" / "README.md", set(LESSONS)) == shown
    monkeypatch.setenv("CAM_REPOSITORY", "https://example.org/blob/main/")
    linked = reading.within(text, ROOT / "notebooks" / "README.md", set(LESSONS))
    assert ("https://example.org/blob/main/data/drawn_world/checkpoints" in linked) == ("checkpoints" in text)


def test_every_lesson_is_a_page_with_its_pictures_and_their_words(built):
    start = soup(built("site") / "index.html")
    for path in LESSONS:
        page = soup(built("site") / "notebooks" / f"{path.stem}.html")
        shown = [picture["alt"] for picture in page.select(".cell_output img")]
        assert shown == alts(path)
        card = start.select_one(f'a.card[href="notebooks/{path.stem}.html"]')
        assert card and (built("site") / card.img["src"]).is_file()
        assert len(page.select(".tag_exercise")) == len(page.select(".tag_check details.hide")) >= 4
        assert not page.select(".tag_check .cell_output"), "not answered yet, where nobody can answer"
        folded = [fold for fold in page.select("details") if fold.summary.text.strip() == "Solution"]
        assert len(folded) == len(page.select(".tag_exercise")) and all(fold.select_one("pre") for fold in folded)
        assert not re.search("widget-view|requirejs|NBVAL_CHECK_OUTPUT", str(page))


def test_every_figure_is_a_file(built):
    page = soup(built("figures") / "index.html")
    listed = {picture["src"]: picture["alt"] for picture in page.select("img")}
    for path in LESSONS:
        mine = [name for name in listed if name.startswith(path.stem[:2])]
        assert [listed[name] for name in mine] == alts(path)
        assert all((built("figures") / name).read_bytes()[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0") for name in mine)


def test_slides_ask_and_show(built):
    for path in LESSONS:
        page = soup(built("slides") / f"{path.stem}.html")
        slides = page.select(".slide")
        assert 8 <= len(slides) <= 22, path.stem
        assert slides[0].h1.text.startswith(path.stem[:2]) and "You will be able to" in slides[0].text
        recap = max(i for i, slide in enumerate(slides) if slide.h2)  # after it, at most the picture it ends on
        assert slides[recap].h2.text.startswith("Recap")
        assert [len(slide.select("figure img")) for slide in slides[recap + 1 :]] in ([], [1])
        assert len(page.select(".slide h2")) >= 4 and len(page.select(".slide figure img")) >= 4
        assert {picture["alt"] for picture in page.select("img")} <= set(alts(path))
        assert "**Exercise" not in page.text and not page.select(".slide .code")
