"""Slides from the lessons' slide cells (`slideshow` in a cell's metadata), with nbconvert and reveal.js."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path

import nbformat
from nbconvert import SlidesExporter
from reading import LESSONS, MATHJAX, REVEAL, kind, picture_size, plain, read, title

HERE = Path(__file__).resolve().parent
HEADING = re.compile(r"^(?=#{1,3} )", flags=re.M)
QUIZ = re.compile(r"^1\. .*\(a\).*", flags=re.M | re.S)
STARTS, ROOM = ("slide", "subslide"), 150  # words
EXERCISE = re.compile(r"^\*\*Exercise.*?(?=^> \*\*Predict|\Z)", flags=re.M | re.S)


def slides(out: Path) -> None:
    """One page a lesson, a list of them, and beside them reveal.js and MathJax: nothing comes from elsewhere."""
    library = out / "lib"
    library.mkdir()
    for path in (
        REVEAL / "dist" / "reveal.js",
        REVEAL / "dist" / "reveal.css",
        REVEAL / "plugin" / "notes" / "notes.js",
        REVEAL / "LICENSE",
        MATHJAX,
        HERE / "slides" / "slides.css",
    ):
        shutil.copyfile(path, library / path.name)
    exporter = SlidesExporter(template_name="slides", extra_template_basedirs=[str(HERE)], exclude_anchor_links=True)
    entries = []
    for path in LESSONS:
        notebook = deck(read(path))
        page, _ = exporter.from_notebook_node(notebook, resources={"mathjax": MATHJAX.name})
        (out / f"{path.stem}.html").write_text(page, encoding="utf-8")
        entries.append(f'<li><a href="{path.stem}.html">{html.escape(notebook.metadata.title)}</a></li>')
    (out / "index.html").write_text(
        '<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>Slides</title>'
        '<body style="font: 20px/1.6 system-ui, sans-serif; max-width: 50em; margin: 2em auto; padding: 0 1em">'
        f"<h1>Slides</h1><ul>{''.join(entries)}</ul>"
        "<p>Arrow keys or space: on. S: the speaker's window, with what the lesson says to each picture. "
        "F: full screen. ?: all keys.</p></body></html>",
        encoding="utf-8",
    )


def deck(notebook) -> nbformat.NotebookNode:
    """The slide cells of a lesson, each cut to what a slide holds.

    A cell is shown from its heading on, without exercises; what stands before the heading closes the section before,
    and becomes a note to the speaker, as do paragraphs for which there is no room. Unmarked cells are left out. Each
    figure says where in the lesson it is.
    """
    cells, section, shown = [], "", None
    name = title(notebook)
    for cell in notebook.cells:
        slide_type = cell.metadata.get("slideshow", {}).get("slide_type", "skip")
        source = cell.source if cell.cell_type == "markdown" else ""
        before, text, rest = cut(source, slide_type)
        if before and slide_type in STARTS and shown == section:
            cells.append(words(before, "notes"))
        section = [section, *re.findall(r"^## (.+)$", source, flags=re.M)][-1]
        if slide_type == "skip":
            continue
        if cell.cell_type == "code":
            cell.metadata.kicker = plain(f"{name.split(':')[0]} ▸ {section} ▸ In [{cell.execution_count}]")
            cells += lay_out(cell)
        else:
            cells += [words(text, slide_type)] + ([words(rest, "notes")] if rest else [])
        shown = section
    size(cells)
    return nbformat.v4.new_notebook(cells=cells, metadata={**notebook.metadata, "title": plain(name)})


def cut(source: str, slide_type: str) -> tuple[str, str, str]:
    """What stands before the heading, what a slide shows, and what it has no room for."""
    heading = HEADING.search(source)
    start = heading.start() if heading else 0
    before, source = EXERCISE.sub("", source[:start]).strip(), source[start:]
    if before and slide_type not in STARTS:  # a cell that goes on with a slide: the next heading is another section's
        before, source = "", before
    paragraphs = QUIZ.sub("", EXERCISE.sub("", source)).strip().split("\n\n")
    predicts = [i for i, paragraph in enumerate(paragraphs) if paragraph.startswith("> **Predict")]
    if predicts and slide_type not in STARTS:  # with the paragraph that leads to it; the rest is about cells in between
        paragraphs = paragraphs[max(predicts[0] - 1, 0) :]
    kept, rest = [], []
    for paragraph in paragraphs:
        room = len(" ".join([*kept, paragraph]).split()) <= ROOM and not rest
        (kept if room or slide_type == "notes" or paragraph.startswith("> **Predict") else rest).append(paragraph)
    return before, "\n\n".join(kept), "\n\n".join(rest)


def words(source: str, slide_type: str):
    source = re.sub(r"\((\d\d_\w+)\.ipynb", r"(\1.html", source)  # a lesson links to the slides of another
    source = re.sub(r"\[([^\]]+)\]\(\w+\.md[^)]*\)", r"\1", source)  # slides have no other pages: the name is left
    return nbformat.v4.new_markdown_cell(source, metadata={"slideshow": {"slide_type": slide_type}})


def size(cells) -> None:
    """The fewer words, the larger."""
    starts = [i for i, cell in enumerate(cells) if cell.metadata.slideshow.slide_type in STARTS]
    for first, last in zip(starts, [*starts[1:], len(cells)], strict=True):
        texts = [cell for cell in cells[first:last] if cell.cell_type == "markdown"]
        said = [cell.source for cell in texts if cell.metadata.slideshow.slide_type != "notes"]
        count = len(" ".join(said).split()) + 30 * ("$$" in "".join(said))
        if cells[first].cell_type == "markdown":
            large = "large" if count < 75 else "" if count < 130 else "dense"
            cells[first].metadata.layout = "title" if first == 0 else large


def lay_out(cell) -> list:
    """Figures first, lines as large as fit: beside the figure or below it, whichever shows more of the figure.

    Where the figure would be small either way, the lines have the next slide to themselves -> one cell or two.
    """
    drawn = [output for output in cell.outputs if kind(output)]
    said = [output for output in cell.outputs if not kind(output) and "text/html" not in output.get("data", {})]
    tables = [output for output in cell.outputs if output not in drawn and output not in said]
    text = "\n".join(o.get("text", o.get("data", {}).get("text/plain", "")).strip("\n") for o in said)
    columns = max(map(len, text.splitlines()), default=1)
    sizes = {"below": min(19, 1140 / (0.603 * columns)), "beside": min(19, 545 / (0.603 * columns)), "alone": 0}
    sizes["alone"] = min(24, 1140 / (0.603 * columns))
    layout = "below" if drawn else "alone"
    if len(drawn) == 1 and text:
        width, height = picture_size(drawn[0])
        lines = text.count("\n") + 1
        scale = {
            "below": min(1168 / width, (610 - lines * 1.25 * sizes["below"]) / height),
            "beside": min(570 / width, 560 / height) * (sizes["beside"] > 12),
        }
        layout = max(scale, key=scale.get)
        if scale[layout] < 0.75:
            layout = "apart"
    page = f'<pre style="font-size: {sizes.get(layout, sizes["alone"]):.1f}px">{html.escape(text)}</pre>'
    told = tables + ([nbformat.v4.new_output("display_data", {"text/html": page})] if text else [])
    parts = [drawn, told] if layout == "apart" else [drawn + told]
    return [
        nbformat.from_dict(
            {**cell, "id": f"{cell.id}-{i}", "outputs": part, "metadata": {**cell.metadata, "layout": layout}}
        )
        for i, part in enumerate(parts)
    ]
