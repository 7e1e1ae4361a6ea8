"""Every figure of the lessons as a file, and a page that shows them with their texts."""

from __future__ import annotations

import html
from pathlib import Path

import wall
from reading import LESSONS, figures, plain, read, title

HEAD = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>Figures of the lessons</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
div { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 22rem), 1fr)); gap: 1.5rem; }
figure { margin: 0; } img { width: 100%; height: 14rem; object-fit: contain; object-position: left; }
figcaption { font-size: 0.85rem; overflow-wrap: anywhere; }
</style></head><body><main>
<h1>Figures of the lessons</h1>
<p>A name says what is shown; the number is that of the cell which draws it. Licence: CC-BY-4.0.</p>
"""


def gallery(out: Path, run: bool = True) -> None:
    """run=True: figures for a wall, from the lessons' own code (see wall.py); else those that the lessons hold."""
    page = [HEAD]
    for path in LESSONS:
        notebook = read(wall.source(path, run))
        page.append(f"<h2>{html.escape(plain(title(notebook)))}</h2><div>")
        for name, data, words, cell in figures(notebook, path.stem):
            (out / name).write_bytes(data)
            text = html.escape(words)
            page.append(
                f'<figure><a href="{name}"><img src="{name}" alt="{text}" loading="lazy"></a>'
                f"<figcaption>{path.stem[:2]}: cell {cell.execution_count} · <b>{name}</b> {text}</figcaption></figure>"
            )
        page.append("</div>")
    (out / "index.html").write_text("\n".join([*page, "</main></body></html>\n"]), encoding="utf-8")
