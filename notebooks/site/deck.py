"""Slides from the lessons' slide cells (`slideshow` in a cell's metadata), with nbconvert and reveal.js."""

from __future__ import annotations

import html
import re
import shutil
from itertools import pairwise
from pathlib import Path

import nbformat
import wall
import yaml
from layout import Slide, arrange, lines_of
from nbconvert import SlidesExporter
from reading import LESSONS, MATHJAX, REVEAL, cited, content, figures, kind, plain, read, title

HERE = Path(__file__).resolve().parent
LECTURE = HERE / "lecture.yaml"
HEADING = re.compile(r"^(?=#{1,3} )", flags=re.M)
QUIZ = re.compile(r"^1\. .*\(a\).*", flags=re.M | re.S)
STARTS = ("slide", "subslide")
EXERCISE = re.compile(r"^\*\*Exercise.*?(?=^> \*\*Predict|\Z)", flags=re.M | re.S)
# what a reader with a notebook before them is told; nobody in a hall can do it
TYPING = re.compile(
    r"\b(this|next|last|first|following) cell\b|\bcells? above\b|\bbelow\b|\brun (it|the)\b|\bclear the\b|\btype\b"
    r"|\bclick|\bdrag\b|\bslider|\bTab\b|\barrow keys\b|\bkeyboard\b|\bcontrols\b|\bwithout (a kernel|running)\b|`CAM_"
    r"|\*\*Move\*\*|\bmove \W*the (one|threshold)\b|\bwidget|\btakes you back\b|\bphoto_sets\.open\b"
    r"|\bthe cells then\b|\bto have them too\b",
    flags=re.I,
)
HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Slides</title></head>
<body style="font: 20px/1.6 system-ui, sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em">
<h1>Slides</h1>
"""
KEYS = """<p>Arrow keys or space: on. S: the speaker's window, with what the lesson says to each picture. F: full
screen. ?: all keys. On paper: put <code>?print-pdf</code> behind a page's address
(<code>lecture.html?print-pdf</code>), open it in Chrome or Chromium, and print to a file.</p>
"""
STORED = """<p><b>The pictures of {lessons} are those stored in the lessons</b>, made for a page: on a large screen they
blur, and their text is small. <code>make slides</code> runs the lessons and draws them anew.</p>
"""


def slides(out: Path, run: bool = True, paths: list[Path] = LESSONS) -> None:
    """One page a lesson, one of the whole lecture, a list of them, and what they need: nothing comes from elsewhere.

    run=True: lessons run where their figures for the wall are not there yet (see wall.py); else stored ones are shown.
    With fewer lessons there is no deck of the lecture.
    """
    library, folder = out / "lib", out / "figures"
    library.mkdir()
    folder.mkdir()
    for path in (
        REVEAL / "dist" / "reveal.js",
        REVEAL / "dist" / "reveal.css",
        REVEAL / "plugin" / "notes" / "notes.js",
        REVEAL / "LICENSE",
        MATHJAX,
        HERE / "slides" / "slides.css",
    ):
        shutil.copyfile(path, library / path.name)
    sources = {path: wall.source(path, run) for path in paths}
    stored = ", ".join(path.stem[:2] for path, source in sources.items() if source == path)
    lessons = {path.stem: read(source) for path, source in sources.items()}
    for stem, notebook in lessons.items():
        list(figures(notebook, stem))  # names them
    decks = {"lecture": lecture(lessons)} if paths == LESSONS else {}
    decks |= {stem: deck(notebook) for stem, notebook in lessons.items()}
    exporter = SlidesExporter(template_name="slides", extra_template_basedirs=[str(HERE)], exclude_anchor_links=True)
    entries = []
    for stem, shown in decks.items():
        notebook = nbformat.v4.new_notebook(
            cells=[cell for slide in shown for cell in cells(slide)], metadata={"title": shown[0].title}
        )
        for output in (output for slide in shown for output in slide.figures):
            (folder / output.metadata.name).write_bytes(content(output))
        page, _ = exporter.from_notebook_node(notebook, resources={"mathjax": MATHJAX.name})
        (out / f"{stem}.html").write_text(page, encoding="utf-8")
        entries.append(f'<li><a href="{stem}.html">{html.escape(shown[0].title)}</a> ({len(shown)})</li>')
    drawn = STORED.format(lessons=stored) if stored else ""
    page = f"{HEAD}<ul>{''.join(entries)}</ul>{drawn}{KEYS}</body></html>\n"
    (out / "index.html").write_text(page, encoding="utf-8")


def lecture(lessons) -> list[Slide]:
    """The slides that lecture.yaml lists: a title, the figure of a lesson's cell, a sentence."""
    plan = yaml.safe_load(LECTURE.read_text(encoding="utf-8"))
    shown = []
    for row in [plan["opening"], *plan["slides"]]:
        stem = next(stem for stem in lessons if stem.startswith(row["lesson"]))
        cell = next((cell for cell in lessons[stem].cells if cell.id == row["cell"]), None)
        drawn = [output for output in (cell or {}).get("outputs", []) if kind(output)]
        if not drawn:
            raise ValueError(f"expected a cell with a figure, got {row['cell']} of lesson {stem}: mend {LECTURE.name}")
        where = f"{plain(title(lessons[stem]).split(':')[0])} ▸ In [{cell.execution_count}]"
        words = f"{'##' if shown else '#'} {row['title']}\n\n{row['says']}"
        shown.append(Slide(words, drawn[:1], kicker=where, opening=not shown, title=row["title"]))
    return [part for slide in shown for part in arrange(slide)]


def deck(notebook) -> list[Slide]:
    """The slides of a lesson: its marked cells, each figure with the question or the words that lead to it.

    A cell is shown from its heading on, without exercises and without what only a reader at a keyboard can do; what
    stands before the heading closes the section before, and becomes a note to the speaker, as do words for which there
    is no room, and printed lines beside a figure. Where the words ask for a prediction, the figure comes with the next
    key. `"picture": "ID"` in the slideshow metadata of a question shows the figure of that earlier cell with it: what
    is asked about.
    """
    name = title(notebook)
    drawn = {cell.id: [output for output in cell.get("outputs", []) if kind(output)] for cell in notebook.cells}
    found, section, shown = [], "", None
    for cell in notebook.cells:
        marks = cell.metadata.get("slideshow", {})
        slide_type = marks.get("slide_type", "skip")
        source = cell.source if cell.cell_type == "markdown" else ""
        before, text = cut(source, slide_type)
        if before and found and slide_type in STARTS and shown == section:
            found[-1].notes.append(before)
        section = [section, *re.findall(r"^## (.+)$", source, flags=re.M)][-1]
        if slide_type == "skip":
            continue
        shown = section
        if cell.cell_type == "code":
            where = plain(f"{name.split(':')[0]} ▸ {section} ▸ In [{cell.execution_count}]")
            add_outputs(found, cell, where, f"## {section}" if section else "")
        elif slide_type == "notes":
            found[-1].notes.append(text)
        else:
            asked = drawn[marks["picture"]][:1] if "picture" in marks else []
            add_words(found, text, asked, slide_type in STARTS, f"## {section}")
    found[0].title = plain(name)
    if not found[0].figures:  # what the lesson ends on is its emblem, as on the site's first page
        found[0].figures = [output for outputs in drawn.values() for output in outputs][-1:]
        found[0].borrowed = True
    for before, slide in pairwise(found):
        if slide.says_little:
            before.notes += [slide.words, *slide.notes]
    return [part for slide in found if not slide.says_little for part in arrange(slide)]


def add_words(found: list[Slide], text: str, asked: list, starts: bool, heading: str) -> None:
    """A slide of words, with the picture that they ask about; or more words for the slide that is there."""
    if starts or found[-1].figures:
        headed = text.startswith("#")
        found.append(Slide(text if headed else f"{heading}\n\n{text}", opening=not found, headed=headed))
    else:
        found[-1].words += f"\n\n{text}"
    if asked:
        found[-1].figures, found[-1].borrowed = asked, True


def add_outputs(found: list[Slide], cell, where: str, heading: str) -> None:
    """The figures of a code cell, one a slide, the first with the words before it; and what the cell prints."""
    drawn = [output for output in cell.outputs if kind(output)]
    told = [output for output in cell.outputs if not kind(output)]
    if not drawn and found[-1].figures and not any("text/html" in output.get("data", {}) for output in told):
        found[-1].notes.append(f"```\n{lines_of(told)}\n```")  # the numbers of the figure before
        return
    for output in drawn or [None]:
        if found[-1].figures or found[-1].told or found[-1].opening:
            found.append(Slide(heading))
        found[-1].figures, found[-1].kicker = [output] if output else [], where
    found[-1].told += told


def cut(source: str, slide_type: str) -> tuple[str, str]:
    """What stands before the heading, and what can be shown in a hall."""
    heading = HEADING.search(source)
    start = heading.start() if heading else 0
    before, source = EXERCISE.sub("", source[:start]).strip(), source[start:]
    if before and slide_type not in STARTS:  # a cell that goes on with a slide: the next heading is another section's
        before, source = "", before
    paragraphs = QUIZ.sub("", EXERCISE.sub("", source)).strip().split("\n\n")
    predicts = [i for i, paragraph in enumerate(paragraphs) if paragraph.startswith("> **Predict")]
    if predicts and slide_type not in STARTS:  # with the paragraph that leads to it; the rest is about cells in between
        paragraphs = paragraphs[max(predicts[0] - 1, 0) :]
    return before, "\n\n".join(filter(None, map(for_a_hall, paragraphs)))


def for_a_hall(paragraph: str) -> str:
    """A paragraph without sentences about cells and typing, its links leading to other slides."""
    paragraph = cited(paragraph).replace("**Predict before you run.**", "**What do you expect?**")
    paragraph = re.sub(r"\((\d\d_\w+)\.ipynb[^)]*\)", r"(\1.html)", paragraph)
    paragraph = re.sub(
        r"\[([^\]]+)\]\(\w+\.md[^)]*\)", r"\1", paragraph
    )  # slides have no other pages: the name is left
    if paragraph.startswith(("$$", "|", "#", "```")) or not TYPING.search(paragraph):
        return paragraph
    lines = [line for line in re.split(r"(?<=[.!?)])\s+(?=[A-Z*$`\d])", paragraph) if not TYPING.search(line)]
    return " ".join(lines)


def cells(slide: Slide):
    """A slide as the notebook cells that nbconvert makes a slide of."""
    parts = [(slide.words, "slide", "markdown")]
    answer = "fragment" if slide.asks and not slide.borrowed else "-"
    parts += [(figure(output), answer, "html") for output in slide.figures]
    parts += [(f'<div class="told">{text}</div>', answer, "html") for text in slide.told]
    parts += [(note, "notes", "markdown") for note in slide.notes]
    for i, (source, slide_type, sort) in enumerate(parts):
        metadata = {"slideshow": {"slide_type": slide_type}}
        if i == 0:
            metadata |= {"layout": slide.layout, "kicker": slide.kicker}
        if sort == "markdown":
            yield nbformat.v4.new_markdown_cell(source, metadata=metadata)
        else:
            shown = nbformat.v4.new_output("display_data", {"text/html": source})
            yield nbformat.v4.new_code_cell("", outputs=[shown], metadata=metadata)


def figure(output) -> str:
    facts = output.metadata.get(kind(output), {})
    more = "".join(f' data-{name}="{facts[name]}"' for name in ("text", "inches") if name in facts)
    return (
        f'<figure><img src="figures/{output.metadata.name}" alt="{html.escape(facts.get("alt", ""))}"{more}></figure>'
    )
