"""What fits on a slide of 1280 by 720: words above a figure or beside it, and how large."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field, replace

from reading import inches, kind
from wall import LEAST, SLIDE

WIDE, HIGH = SLIDE[0] - 112, SLIDE[1] - 64  # without the margins
GAP, KICKER, COLUMN = 14, 28, 400
WITH_FIGURE, HEADINGS = 25, {1: 44, 2: 36, 3: 30}  # sizes of text
STORED = 55  # units an inch: a stored figure, of which nobody knows its text, is no smaller


@dataclass
class Slide:
    """words: Markdown · figures: one output or none · told: outputs at first, then HTML · notes: for the speaker."""

    words: str
    figures: list = field(default_factory=list)
    told: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    kicker: str = ""
    title: str = ""
    borrowed: bool = False  # the figure shows what is asked about, and is no answer
    opening: bool = False
    layout: str = ""

    headed: bool = True  # by the section's heading, which the slide's own cell does not hold

    @property
    def says_little(self) -> bool:
        """Words that go on with an earlier slide, without a picture, a number or a question: the speaker says them."""
        return not (self.figures or self.told or self.asks or self.opening or self.headed)

    @property
    def asks(self) -> bool:
        return "> **What do you expect?" in self.words


def arrange(slide: Slide) -> list[Slide]:
    """The slide with its layout, cut to what fits; or two, where a figure needs one to itself."""
    lines = lines_of(slide.told)
    slide = replace(slide, told=[o.data["text/html"] for o in slide.told if "text/html" in o.get("data", {})])
    if slide.opening:
        slide.words = "\n\n".join(p for p in slide.words.split("\n\n") if not re.match(r"\*\*(Time|You need|Next)", p))
    if not slide.figures:
        return without_figure(slide, lines)
    for words in shortened(slide.words):
        layout, scale = best(words, slide.figures[0])
        if not words or readable(scale, slide.figures[0]):
            left = [p for p in slide.words.split("\n\n") if p not in words.split("\n\n")]
            notes = ["\n\n".join(left)] if left else []
            spoken = [f"```\n{lines}\n```"] if lines else []
            return [replace(slide, words=words, told=[], layout=layout, notes=[*notes, *slide.notes, *spoken])]
    if slide.borrowed:
        return without_figure(replace(slide, figures=[]), lines)
    question = replace(slide, figures=[], told=[], notes=[], kicker="")
    heading = next((p for p in slide.words.split("\n\n") if p.startswith("#")), "")
    return [*without_figure(question, ""), *arrange(replace(slide, words=heading, told=[], title=""))]


def without_figure(slide: Slide, lines: str) -> list[Slide]:
    """Words and printed lines together; or each on a slide, as large as it fits."""
    told = [*slide.told, *([printed(lines, 24)] if lines else [])]
    tall = height(slide.words, WIDE, 27) + lines_high(lines, 24) + sum(30 * t.count("<tr") for t in slide.told)
    if told and slide.words.strip() and tall > HIGH - KICKER:
        return [
            *without_figure(replace(slide, told=[], kicker=""), ""),
            replace(slide, words="", told=told, layout="alone", title=""),
        ]
    kept, rest = fill(slide.words, HIGH - KICKER - (tall - height(slide.words, WIDE, 27)))
    high = height(kept, WIDE, 33)
    layout = "title" if slide.opening else "large" if not told and high < HIGH - KICKER else "alone" if not kept else ""
    return [replace(slide, words=kept, told=told, layout=layout, notes=[*([rest] if rest else []), *slide.notes])]


def best(words: str, output) -> tuple[str, float]:
    """Where the figure is largest -> "over" or "beside", and its scale in units an inch."""
    width, tall = inches(output)
    over = HIGH - KICKER - GAP - (height(words, WIDE, WITH_FIGURE) + GAP if words else 0)
    scales = {"over": min(WIDE / width, max(over, 1) / tall)}
    if words and "$$" not in words and height(words, COLUMN, WITH_FIGURE) < HIGH - KICKER:
        scales["beside"] = min((WIDE - COLUMN - 28) / width, (HIGH - KICKER - GAP) / tall)
    layout = max(scales, key=scales.get)
    return layout, scales[layout]


def readable(scale: float, output) -> bool:
    text = output.metadata.get(kind(output), {}).get("text")
    return scale >= STORED if text is None else scale * text / 72 >= LEAST - 0.05


def shortened(words: str):
    """The words, then fewer: the heading, what leads to the question, the question; a heading alone is no loss."""
    paragraphs = words.split("\n\n")
    asked = [p for p in paragraphs if p.startswith("> **What do you expect?")]
    heads = [p for p in paragraphs if p.startswith("#")]
    rest = [p for p in paragraphs if p not in asked and p not in heads]
    yield words
    for count in range(len(rest) - 1, -1, -1):
        yield "\n\n".join(p for p in paragraphs if p in heads[:1] or p in asked or p in rest[:count])
    if not rest and not asked:
        yield ""


def fill(words: str, room: float) -> tuple[str, str]:
    """As many paragraphs as fit, and the others; a question always stays."""
    kept, rest = [], []
    for paragraph in words.split("\n\n"):
        asked = paragraph.startswith("> **What do you expect?")
        fits = not rest and height("\n\n".join([*kept, paragraph]), WIDE, 24) <= room
        (kept if fits or asked else rest).append(paragraph)
    return "\n\n".join(kept), "\n\n".join(rest)


def height(words: str, width: float, size: float) -> float:
    """About how high Markdown stands in a column, from the number of its characters."""
    total = 0.0
    for paragraph in filter(None, words.split("\n\n")):
        for line in paragraph.split("\n") if re.match(r"[-*\d|]+[. ]", paragraph) else [paragraph]:
            level = len(re.match(r"#*", line)[0])
            large = HEADINGS.get(level, size)
            text = re.sub(r"\[([^\]]+)\]\([^)]*\)|[*`#$]|\\\w+", r"\1", line)
            margin = 58 if line.startswith(">") else 30 if line.startswith("-") else 0
            rows = -(-len(text) * 0.56 * large // (width - margin)) or 1
            total += rows * large * (1.18 if level else 1.35) + (24 if line.startswith(">") else 0)
            total += 70 if "$$" in line else 0
        total += 0.55 * size
    return total


def lines_of(told) -> str:
    """What a cell prints, without tables and what stands for a widget."""
    said = [
        o.get("text", o.get("data", {}).get("text/plain", "")) for o in told if "text/html" not in o.get("data", {})
    ]
    return "\n".join(text.strip("\n") for text in said if text)


def printed(lines: str, largest: float) -> str:
    """Printed lines, as large as the longest of them and their number allow."""
    return f'<pre style="font-size: {line_size(lines, largest):.1f}px">{html.escape(lines)}</pre>'


def line_size(lines: str, largest: float) -> float:
    longest = max(map(len, lines.splitlines()), default=1)
    return max(LEAST, min(largest, (WIDE - 24) / (0.603 * longest)))


def lines_high(lines: str, largest: float) -> float:
    return lines.count("\n") * 1.25 * line_size(lines, largest) + 50 if lines else 0
