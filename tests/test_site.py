"""The site, the slides and the folder of figures: built from the lessons, every link and picture checked."""

import functools
import io
import itertools
import re

import deck
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pages
import pytest
import reading
import wall
import yaml
from built import build_once, problems, soup
from conftest import ROOT
from lessons import LESSONS, code_cells, read
from nbclient.exceptions import CellExecutionError
from PIL import Image

from cam_helpers import pictures

PARTS = ("site", "slides", "figures")
COMPANION = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")


def alts(path) -> list[str]:
    """The texts of a lesson's pictures."""
    kept = [o.metadata for cell in code_cells(read(path)) for o in cell.outputs if "data" in o]
    return [" ".join(m[kind]["alt"].split()) for m in kept for kind in ("image/png", "image/jpeg") if kind in m]


@pytest.mark.slow
@pytest.mark.parametrize("what", PARTS)
def test_links_lead_somewhere_and_pictures_have_words(built, what):
    assert problems(built(what)) == []


def test_what_one_worker_has_built_another_takes(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("built.build", lambda what, out: asked.append(out))
    found = {build_once("site", tmp_path / "dist") for _ in range(2)}
    assert found == {tmp_path / "dist" / "site"} == set(asked) and len(asked) == 1


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


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_broken_link_stops_the_build(tmp_path, monkeypatch):
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


@pytest.mark.slow
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


# -- cells have numbers, works have addresses ---------------------------------------------------------------------


@pytest.mark.slow
def test_the_cells_that_the_companion_names_can_be_clicked(built):
    page = soup(built("site") / "notebooks" / "README.html")
    links = page.select("a[href*='#cell-']")
    assert len(links) == len(re.findall(r"\bcell \d+", "\n".join(re.findall(r"^\|.*", COMPANION, flags=re.M))))
    for link in links:
        name, _, place = link["href"].partition("#")
        shown = soup(built("site") / "notebooks" / name).find(id=place)
        assert shown.text.strip() == place.replace("-", " ") == re.search(r"cell \d+", link.text)[0]


def test_numbers_of_cells_become_links():
    assert pages.linked_cells("| 04:37 | 07: cell 16, cell 2 · 06: cell 20 |").strip() == (
        "| 04:37 | [07: cell 16](#07-cell-16), [cell 2](#07-cell-2) · [06: cell 20](#06-cell-20) |"
    )
    assert "[12, exercise 3 and cell 14](#12-cell-14)" in pages.linked_cells("| pose | 12, exercise 3 and cell 14 |")
    assert pages.linked_cells("Cell 7 is the one with [7]: 02: cell 7").strip().endswith("02: cell 7")


def test_works_are_linked_where_they_are_cited():
    once = reading.cited("**Paper** Zhou et al., CVPR 2016, section 2")
    assert once == "**Paper** [Zhou et al., CVPR 2016](https://arxiv.org/abs/1512.04150), section 2"
    assert reading.cited(once) == once


# -- figures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Right boxes by threshold: 68% at 20 %.", "05_localize__right_boxes_threshold"),
        ("A cup of coffee. Right the same photo in grey.", "05_localize__cup_coffee_right_photo_grey"),
        ("Bars of 27 words, with intervals", "05_localize__bars_words_intervals"),
    ],
)
def test_a_name_says_what_is_shown(words, name):
    used = set()
    assert reading.named(words, "05_localize_objects", used) == name
    assert reading.named(words, "05_localize_objects", used) == f"{name}_2"


@functools.cache
def lesson(path):
    """A lesson as slides take it, its figures with their names."""
    notebook = reading.read(path)
    list(reading.figures(notebook, path.stem))
    return notebook


def test_the_figure_that_the_companion_names_is_there():
    named = re.search(r"dist/figures/(\w+)\.\w+", COMPANION)[1]
    number, count = re.search(r"cell (\d+)\s+in\s+lesson (\d\d)", COMPANION).groups()[::-1]
    path = next(path for path in LESSONS if path.stem.startswith(number))
    cells = {name.split(".")[0]: cell for name, _, _, cell in reading.figures(reading.read(path), path.stem)}
    assert cells[named].execution_count == int(count)


@pytest.mark.slow
def test_every_figure_is_a_file(built):
    page = soup(built("figures") / "index.html")
    listed = {picture["src"]: picture["alt"] for picture in page.select("img")}
    for path in LESSONS:
        mine = [name for name in listed if name.startswith(path.stem[:2])]
        assert [listed[name] for name in mine] == alts(path)
        assert all((built("figures") / name).read_bytes()[:4] in (b"\x89PNG", b"\xff\xd8\xff\xe0") for name in mine)


def small_print(photo: bool):
    """A figure with text of six points; with a photo, or with lines."""
    fig, axes = plt.subplots(1, 3, figsize=(11, 5), layout="constrained")
    for ax in axes:
        pictures.picture(np.zeros((8, 8, 3), np.uint8), ax) if photo else ax.plot([1, 2])
        ax.set_title("a title that is rather long for so narrow a panel, is it not", fontsize=6)
        ax.tick_params(labelsize=6)
    axes[1].text(0, 1, "six", fontsize=6)
    return fig


def test_text_on_the_wall_is_18_points_at_least():
    for photo in (True, False):
        fig = small_print(photo)
        scale = wall.fitting(wall.size(fig))  # units of a slide an inch; a slide is 720 of them high, 1080p 1080 pixels
        assert scale * wall.smallest(fig) / 72 * 1080 / 720 * 72 / 96 < 10
        facts = wall.enlarge(fig)
        assert wall.fitting(facts["inches"]) * facts["text"] / 72 * 1080 / 720 * 72 / 96 >= 17.9
        ticks = [label.get_fontsize() for ax in fig.axes for label in ax.get_xticklabels() if label.get_visible()]
        assert photo or min(ticks) >= facts["text"] - 0.01
        widths = [ax.title.get_window_extent().width for ax in fig.axes]
        assert max(widths) < fig.bbox.width / 3 and "\n" in fig.axes[0].get_title()
        plt.close(fig)


def test_titles_do_not_meet_where_one_column_takes_more_room():
    fig, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    for name in ("the order of the map", "a random order"):
        axes[0].plot([0, 1], label=name)
    axes[0].legend(ncols=2, loc="lower center", bbox_to_anchor=(0.45, 1))
    for ax in axes[1:]:
        pictures.picture(np.zeros((8, 8, 3), np.uint8), ax, "without the hottest eighth: 0.43")
    wall.enlarge(fig)
    titles = [ax.title.get_window_extent() for ax in axes[1:]]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(titles))
    plt.close(fig)


@pytest.mark.parametrize(("size", "shares"), [((10.5, 7.6), True), ((11.5, 6), False)])
def test_a_figure_shares_its_slide_where_that_costs_little(size, shares):
    """A high one is as large beside words as alone, so its text is made for that; a wide one would be much smaller."""
    fig, ax = plt.subplots(figsize=size, layout="constrained")
    ax.set_title("small", fontsize=6)
    facts = wall.enlarge(fig)
    assert (wall.fitting(facts["inches"], wall.SHARED) * facts["text"] / 72 >= wall.LEAST - 0.1) == shares
    plt.close(fig)


def test_words_in_a_picture_grow_and_those_that_would_lie_over_others_are_left_out():
    """Words at 27 places, small in a high figure: neighbours would meet, so that some go; the first stays."""
    fig, ax = plt.subplots(figsize=(4, 8))
    for place in range(27):
        ax.text(place % 3 / 3, place // 3 / 9, "longer words", fontsize=5)
    facts = wall.enlarge(fig)
    shown = [text.get_visible() for text in ax.texts]
    assert not wall.overlaps(ax).any() and shown[0] and 9 <= sum(shown) < 27
    assert facts["text"] * wall.fitting(facts["inches"]) / 72 > wall.LEAST - 0.1
    for text in ax.texts:
        text.set_visible(True)
    assert wall.overlaps(ax).sum() >= 9
    plt.close(fig)


def test_words_that_lie_over_each_other_in_the_lesson_stay():
    fig, ax = plt.subplots(figsize=(4, 8))
    for _ in range(2):
        ax.text(0.3, 0.5, "the same place", fontsize=5)
    wall.enlarge(fig)
    assert [text.get_visible() for text in ax.texts] == [True, True]
    plt.close(fig)


def test_lines_are_stored_as_lines_and_pictures_in_the_pixels_of_a_4k_screen():
    fig = small_print(photo=False)
    kind, data = wall.encode(fig, 300, photos=False)
    assert kind == "image/svg+xml" and "<svg" in data and "<image" not in data
    plt.close(fig)
    fig, ax = plt.subplots(figsize=(4, 2))
    pictures.picture(np.zeros((8, 8, 3), np.uint8), ax, "nothing")
    width, height = wall.size(fig)
    assert wall.encode(fig, 50, photos=False)[0] == "image/png"
    kind, data = wall.encode(fig, wall.fitting((width, height)) * wall.WALL, photos=True)
    assert kind == "image/jpeg"
    output = nbformat.v4.new_output("display_data", {kind: data})
    pixels = Image.open(io.BytesIO(reading.content(output))).size
    assert max(pixels[0] / (1160 * 3), pixels[1] / (590 * 3)) == pytest.approx(1, abs=0.02)
    plt.close(fig)


@pytest.mark.slow
def test_a_lesson_is_drawn_once_and_again_when_its_code_changes(tmp_path, monkeypatch):
    monkeypatch.setenv("CAM_CACHE", str(tmp_path / "cache"))
    code = (
        "import matplotlib.pyplot as plt\nfrom cam_helpers import pictures\nfig, ax = plt.subplots()\n"
        "ax.plot([1, 2])\npictures.show(fig, alt='A line that rises')"
    )
    path = tmp_path / "77_small.ipynb"
    cells = [nbformat.v4.new_markdown_cell("# 77 · Small"), nbformat.v4.new_code_cell(code, execution_count=1)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    drawn = wall.drawn(path)
    (name, data, words, cell), *others = reading.figures(reading.read(drawn), path.stem)
    assert name == "77_small__line_rises.svg" and b"<svg" in data and words == "A line that rises" and not others
    assert cell.execution_count == 1 and len(reading.read(drawn).cells) == 2

    def refuse(_):
        raise AssertionError("it is kept")

    monkeypatch.setattr(wall, "execute", refuse)
    cells[0].source += ", with other words"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert wall.drawn(path) == drawn
    (again, *_), *_ = reading.figures(reading.read(drawn), path.stem)
    assert again == name and "with other words" in reading.read(drawn).cells[0].source
    cells[1].source += "\n"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    with pytest.raises(AssertionError, match="it is kept"):
        wall.drawn(path)


def test_a_lesson_that_cannot_be_run_shows_its_stored_figures(monkeypatch, capsys):
    def stops(_):
        raise CellExecutionError("Traceback: long\nNameError: no such name", "NameError", "no such name")

    monkeypatch.setattr(wall, "drawn", stops)
    assert wall.source(LESSONS[0], run=True) == LESSONS[0]
    assert "00_start_here could not be run; its stored figures are shown. NameError" in capsys.readouterr().out


# -- slides -------------------------------------------------------------------------------------------------------


@functools.cache
def shown(path):
    return deck.deck(lesson(path))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem[:2])
def test_a_deck_asks_and_shows(path):
    slides = shown(path)
    assert 6 <= len(slides) <= 18
    assert slides[0].words.startswith(f"# {path.stem[:2]}") and "You will be able to" in slides[0].words
    assert any("## Recap" in slide.words for slide in slides[-2:])
    assert sum("## " in slide.words for slide in slides) >= 4
    assert all(len(slide.figures) <= 1 for slide in slides), "one picture a slide"
    text = "\n".join(slide.words for slide in slides)
    assert "**Exercise" not in text and not re.search(r"\bnext cell\b|Predict before|CAM_TEST|sliders?\b", text)


def test_most_slides_have_a_picture():
    slides = [slide for path in LESSONS for slide in shown(path)]
    assert len(slides) > 100
    assert sum(not slide.figures for slide in slides) < len(slides) / 5


def test_a_question_shows_what_it_asks_about():
    """Lesson 01 asks for the mean of a new grid: the three grids are beside the question, the answer comes later."""
    by_words = {slide.words: slide for slide in shown(LESSONS[1])}
    question = next(slide for words, slide in by_words.items() if "mean of the new grid" in words)
    grids = next(cell for cell in lesson(LESSONS[1]).cells if cell.id == "01-09").outputs
    assert question.borrowed and reading.alt(question.figures[0]) == reading.alt(grids[0])
    steps = [cell.metadata.slideshow.slide_type for cell in deck.cells(question)]
    assert steps[:2] == ["slide", "-"], "what is asked about comes with the question"
    other = next(slide for slide in shown(LESSONS[1]) if slide.asks and not slide.borrowed)
    steps = [cell.metadata.slideshow.slide_type for cell in deck.cells(other)]
    assert steps[:2] == ["slide", "fragment"], "the answer comes with the next key"


@pytest.mark.parametrize("asked", [False, True])
def test_a_figure_without_room_for_words_keeps_the_heading(asked):
    """The words become the speaker's; a question comes before, on a slide of its own."""
    facts = {"inches": [8, 8], "text": 15.1}
    output = nbformat.v4.new_output("display_data", {"image/png": ""}, metadata={"image/png": facts})
    words = "long words " * 70
    text = f"> **What do you expect?** {words}" if asked else words
    *before, slide = deck.arrange(deck.Slide(f"## Heading\n\n{text}", [output]))
    assert slide.words == "## Heading" and slide.figures == [output]
    assert [(part.asks, part.figures) for part in before] == [(True, [])] * asked
    assert asked or slide.notes == [words]


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("Pooling forgets. Run the next cell, and type your answer.", "Pooling forgets."),
        ("Move a slider to see it.", ""),
        ("Most are too large. Move the threshold.", "Most are too large."),
        ("**Move** the class: *dog*, *cat*. The score follows.", "The score follows."),
        ("A map has cells of 32 pixels. Look at them.", "A map has cells of 32 pixels. Look at them."),
        ("> **Predict before you run.** More, or less?", "> **What do you expect?** More, or less?"),
        ("[Lesson 02](02_networks_that_localize.ipynb#recap), [guide](RUNNING.md)", None),
    ],
)
def test_words_about_the_keyboard_stay_in_the_notebook(words, kept):
    expected = "[Lesson 02](02_networks_that_localize.html), guide" if kept is None else kept
    assert deck.for_a_hall(words) == expected


def test_the_deck_of_the_lecture_shows_the_best_of_each_lesson():
    lessons = {path.stem: lesson(path) for path in LESSONS}
    slides = deck.lecture(lessons)
    plan = yaml.safe_load(deck.LECTURE.read_text(encoding="utf-8"))["slides"]
    assert 28 <= len(plan) <= 34 and sum(len(slide.figures) for slide in slides) == len(plan) + 1
    assert {row["lesson"] for row in plan} == {path.stem[:2] for path in LESSONS}
    assert not re.search(r"\d%|\d %(?! mean|,)", " ".join(row["says"] for row in plan).replace("the paper's 20 %", ""))


def test_a_lecture_that_names_no_figure_is_noticed(tmp_path, monkeypatch):
    plan = yaml.safe_load(deck.LECTURE.read_text(encoding="utf-8"))
    plan["opening"] = {"lesson": "01", "cell": "01-00", "title": "A title", "says": "no figure there"}
    monkeypatch.setattr(deck, "LECTURE", tmp_path / "lecture.yaml")
    deck.LECTURE.write_text(yaml.safe_dump(plan))
    with pytest.raises(ValueError, match="expected a cell with a figure, got 01-00"):
        deck.lecture({LESSONS[1].stem: lesson(LESSONS[1])})


@pytest.mark.slow
def test_slides_say_where_their_pictures_come_from_and_how_to_print(built):
    for path in LESSONS:
        page = soup(built("slides") / f"{path.stem}.html")
        assert len(page.select(".slide")) == len(shown(path))
        assert {picture["alt"] for picture in page.select("img")} <= set(alts(path))
    index = soup(built("slides") / "index.html")
    assert "?print-pdf" in index.text and "those stored in the lessons" in index.text
    assert index.select_one('a[href="lecture.html"]')
