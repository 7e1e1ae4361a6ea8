"""Figures as large as the wall they are shown on: a lesson runs once more, and draws them anew.

python notebooks/site/wall.py notebooks/05_localize_objects.ipynb …     what `pages.py slides` does for every lesson

The lesson's own code draws each figure; only its text grows to what can be read from the last row, before it is stored
as lines (SVG) or in the pixels of a 4K screen. A run is kept in the cache folder, and repeated when the lesson's code,
the course's packages or those that draw have changed.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import sys
import textwrap
import time
from importlib.metadata import version
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.text import Text
from PIL import Image

HERE = Path(__file__).resolve().parent
TOOLS = str(HERE.parent / "tools")
SLIDE = 1280, 720  # a slide's size in the units of its style sheet; 1080p is 1.5 times that, a 4K wall 3 times
WALL = 3
LEAST = 16  # the smallest text on a slide, in these units: 18 pt on a 1080p screen (24 of its pixels)
# rooms for a figure: below a heading alone, below words; beside either
ALONE, SHARED = [(1160, 540), (735, 590)], [(1160, 420), (735, 590)]
LARGEST = 15  # points; text that would have to be larger below words, and need not below a heading, is made for that
PNG_AT_MOST = 1_000_000  # bytes; what is larger is a picture of pictures, and becomes a JPEG
FIRST = """import sys
sys.path.insert(0, {folder!r})
import wall
from cam_helpers import pictures
pictures.show = wall.show"""


# -- in the lesson's kernel -----------------------------------------------------------------------------------------


def show(fig, alt: str, photos: bool = False) -> None:
    """In place of `pictures.show`: the figure for the wall, with its size in inches and its smallest text in points."""
    from IPython.display import display

    facts = enlarge(fig)
    kind, data = encode(fig, fitting(facts["inches"]) * WALL, photos)
    plt.close(fig)
    display({kind: data, "text/plain": alt}, metadata={kind: {"alt": alt, **facts}}, raw=True)


def fitting(inches, rooms=ALONE) -> float:
    """How many units of a slide an inch of the figure has, where it fills the better of the rooms."""
    return max(min(width / inches[0], height / inches[1]) for width, height in rooms)


def enlarge(fig) -> dict:
    """Make a figure's text readable at the size it will have on a slide -> {"inches": (w, h), "text": points}."""
    for ax in fig.findobj(Axes):
        ax.written = [text for text in ax.texts if text.get_text().strip()]
    fig.canvas.draw()
    crowded = {ax: overlaps(ax).sum() for ax in fig.findobj(Axes)}
    inches = None
    for _ in range(6):  # larger text changes the figure's size
        before, inches = inches, size(fig)
        if inches == before:
            break
        least, alone = (LEAST * 72 / fitting(inches, rooms) for rooms in (SHARED, ALONE))
        if least > max(LARGEST, 1.15 * alone):
            least = alone
        set_texts(fig, least)
        wrap_titles(fig)
    leave_out(fig, crowded)
    return {"inches": size(fig), "text": smallest(fig)}


def size(fig) -> list[float]:
    fig.canvas.draw()
    box = fig.get_tightbbox(fig.canvas.get_renderer()).padded(plt.rcParams["savefig.pad_inches"])
    return [round(float(box.width), 3), round(float(box.height), 3)]


def texts(fig) -> list[Text]:
    return [text for text in fig.findobj(Text) if text.get_visible() and text.get_text().strip()]


def smallest(fig) -> float:
    return round(min((text.get_fontsize() for text in texts(fig)), default=99.0), 2)


def set_texts(fig, least: float) -> None:
    """No text below `least` points."""
    for ax in fig.findobj(Axes):
        for name in ("x", "y"):
            labels = getattr(ax, f"get_{name}ticklabels")()
            if labels and labels[0].get_fontsize() < least:
                ax.tick_params(axis=name, labelsize=least)  # ticks are made anew, and forget what was set on them
    for text in texts(fig):
        if text.get_fontsize() < least:
            text.set_fontsize(least)


def wrap_titles(fig) -> None:
    """A title wider than its axes' share of the figure goes on in a second line."""
    fig.canvas.draw()
    for ax in fig.findobj(Axes):
        title, room = ax.title, share(ax, fig)
        title.whole = lines = getattr(title, "whole", title.get_text().split("\n"))  # as the lesson wrote it
        title.set_text("\n".join(lines))
        needed = title.get_window_extent().width
        characters = int(max(map(len, lines)) * min(1.1 * room / max(needed, 1), 1)) + 1
        while needed > room and characters > 8:
            characters -= 1
            title.set_text("\n".join(part for line in lines for part in textwrap.wrap(line, characters)))
            needed = title.get_window_extent().width


def leave_out(fig, crowded: dict) -> None:
    """Words in axes that lie over others, and do not in the lesson, are not shown: smaller, nobody could read them."""
    fig.canvas.draw()
    for ax, allowed in crowded.items():
        for k, text in enumerate(ax.written):
            pairs = overlaps(ax)
            if pairs.sum() <= allowed:
                break
            text.set_visible(not pairs[:, k].any())


def overlaps(ax) -> np.ndarray:
    """Which pairs of an axes' texts lie over each other, by more than the room around their letters: (n,n), i < j."""
    boxes = [text.get_window_extent() for text in ax.written]
    ends = np.array([(b.x0, b.y0 + b.height / 10, b.x1, b.y1 - b.height / 10) for b in boxes]).reshape(-1, 4)
    low, high = ends[:, None, :2], ends[:, None, 2:]
    shown = np.array([text.get_visible() for text in ax.written], bool)
    over = ((low < ends[None, :, 2:]) & (ends[None, :, :2] < high)).all(2) & shown[:, None] & shown
    return np.triu(over, 1)


def share(ax, fig) -> float:
    """How wide a title may be, in pixels: half of it reaches halfway to the next axes of its row in the grid."""

    def middle(part) -> float:
        box = part.get_window_extent()
        return (box.x0 + box.x1) / 2

    spec = ax.get_subplotspec()
    columns = spec.get_gridspec().ncols if spec else 1
    if columns == 1:
        return fig.bbox.width
    others = [other for other in fig.findobj(Axes) if other is not ax and other.get_subplotspec()]
    row = [other for other in others if other.get_subplotspec().rowspan == spec.rowspan]
    nearest = min((abs(middle(other) - middle(ax)) for other in row), default=fig.bbox.width / columns)
    return max(ax.get_window_extent().width, nearest * 0.95)


def encode(fig, dpi: float, photos: bool) -> tuple[str, str]:
    """-> the kind of picture and its data as notebooks store it: lines as SVG, the rest in `dpi` pixels an inch."""
    raw = io.BytesIO()
    if not photos and not fig.findobj(AxesImage):
        with plt.rc_context({"svg.hashsalt": "wall"}):  # the same figure gives the same file
            fig.savefig(raw, format="svg", bbox_inches="tight", facecolor="white", metadata={"Date": None})
        return "image/svg+xml", raw.getvalue().decode()
    fig.savefig(raw, format="png", dpi=dpi, bbox_inches="tight", facecolor="white")
    kind = "image/png"
    if photos or raw.tell() > PNG_AT_MOST:
        image, raw, kind = Image.open(raw).convert("RGB"), io.BytesIO(), "image/jpeg"
        image.save(raw, "JPEG", quality=88, subsampling=0)  # text stays sharp
    return kind, base64.b64encode(raw.getvalue()).decode()


# -- outside it -----------------------------------------------------------------------------------------------------


def source(path: Path, run: bool) -> Path:
    """The notebook with figures for the wall; the lesson itself with run=False, or where it cannot be run here."""
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    sys.path.insert(0, TOOLS)
    from execute import Refuted  # a sentence of the lesson is not true of this run

    try:
        return drawn(path) if run else path
    except (CellExecutionError, DeadKernelError, Refuted) as error:
        print(f"{path.stem} could not be run; its stored figures are shown. {str(error).strip().splitlines()[-1]}")
        return path


def drawn(path: Path) -> Path:
    """The notebook with the lesson's figures for the wall, from the cache or from a run."""
    from cam_helpers import files
    from drawn_world import cache_folder

    kept = cache_folder() / "wall" / f"{path.stem}-{key(path)}.ipynb"
    if kept.exists():
        notebook = with_outputs(path, nbformat.read(kept, as_version=4))
    else:
        start = time.perf_counter()
        notebook = execute(path)
        for old in kept.parent.glob(f"{path.stem}-*.ipynb"):
            old.unlink()
        print(f"{path.stem}: drawn for the wall in {time.perf_counter() - start:.0f} s", flush=True)
    with files.replacing(kept) as file:
        file.write(nbformat.writes(notebook).encode())
    return kept


def with_outputs(path: Path, run: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The lesson as it stands, its words too, with the outputs of an earlier run of the same code."""
    notebook = nbformat.read(path, as_version=4)
    code = [[cell for cell in part.cells if cell.cell_type == "code"] for part in (notebook, run)]
    for cell, drawn_cell in zip(*code, strict=True):
        cell.outputs = drawn_cell.outputs
    return notebook


def execute(path: Path, timeout: int = 900) -> nbformat.NotebookNode:
    """The lesson after a run in which `show` draws; cells keep their numbers."""
    sys.path.insert(0, TOOLS)
    from execute import Client, is_bar

    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(FIRST.format(folder=str(HERE))))
    client = Client(
        notebook,
        full=False,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": path.parent}},
    )
    client.execute()
    del notebook.cells[0]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = cell.execution_count and cell.execution_count - 1
            cell.outputs = [output for output in cell.outputs if not is_bar(output)]
    return notebook


def key(path: Path) -> str:
    """Changes with the lesson's code, the course's packages, the versions of those that draw, and this file."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    drawing = [f"{package} {version(package)}" for package in ("matplotlib", "torch", "torchvision", "numpy", "pillow")]
    parts = [*cells, course(), *drawing, Path(__file__).read_text(encoding="utf-8")]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@functools.cache
def course() -> str:
    """One number for all files of the packages that lessons import."""
    import cam_explorer
    import cam_helpers
    import drawn_world
    import photo_sets

    digest = hashlib.sha256()
    for package in (cam_explorer, cam_helpers, drawn_world, photo_sets):
        for path in sorted(Path(package.__file__).parent.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                digest.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(drawn(Path(name).resolve()))
