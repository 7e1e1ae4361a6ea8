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
    and becomes a note to the speaker. Unmarked cells are left out. Each figure says where in the lesson it is.
    """
    cells, section = [], ""
    name = title(notebook)
    for cell in notebook.cells:
        slide_type = cell.metadata.get("slideshow", {}).get("slide_type", "skip")
        if cell.cell_type == "markdown":
            before, text = cut(cell.source, slide_type)
            if before and cells:
                cells.append(words(before, "notes"))
            cell = words(text, slide_type)
        for heading in re.findall(r"^## (.+)$", cell.source if cell.cell_type == "markdown" else "", flags=re.M):
            section = heading
        if slide_type == "skip":
            continue
        if cell.cell_type == "code":
            cell.metadata.kicker = plain(f"{name.split(':')[0]} ▸ {section} ▸ In [{cell.execution_count}]")
            cells += lay_out(cell)
            continue
        if not cells:
            cell.metadata.layout = "title"
        cells.append(cell)
    return nbformat.v4.new_notebook(cells=cells, metadata={**notebook.metadata, "title": plain(name)})


def cut(source: str, slide_type: str) -> tuple[str, str]:
    """What stands before the heading, and what the slide shows."""
    before = ""
    if slide_type == "slide" and (heading := HEADING.search(source)):
        before, source = source[: heading.start()], source[heading.start() :]
    elif slide_type != "slide":
        source = next(part for part in HEADING.split(source) if part)
    before, source = EXERCISE.sub("", before).strip(), QUIZ.sub("", EXERCISE.sub("", source)).strip()
    if slide_type == "slide":
        return before, source
    if "> **Predict" in source:  # with the paragraph that leads to it; the rest is about cells in between
        lead, prediction = source.split("> **Predict", 1)
        source = lead.strip().split("\n\n")[-1] + "\n\n> **Predict" + prediction
    return "", source


def words(source: str, slide_type: str):
    source = re.sub(r"\((\d\d_\w+)\.ipynb", r"(\1.html", source)  # a lesson links to the slides of another
    size = "large" if len(source.split()) < 75 and "$$" not in source else ""
    return nbformat.v4.new_markdown_cell(source, metadata={"slideshow": {"slide_type": slide_type}, "layout": size})


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
