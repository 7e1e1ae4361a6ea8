"""What the site, the slides and the folder of figures share: lessons as a reader without a kernel sees them."""

from __future__ import annotations

import base64
import io
import os
import re
from importlib.util import find_spec
from pathlib import Path

import nbformat
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
START = ROOT / "README.md"
LESSONS = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
PICTURES = {"image/png": ".png", "image/jpeg": ".jpg", "image/svg+xml": ".svg"}
SMALL_WORDS = set("a an and at by each for from in its of on one same that the their to under with".split())  # noqa: SIM905
WIDGET = "application/vnd.jupyter.widget-view+json"
STAND_IN = "*In Jupyter there are controls here. The figure below shows one of their states.*"
REMOTE = re.compile(r"!\[([^\]]*)\]\([a-z]+:[^)]+\)")
LINK = re.compile(r"(?<!!)\[((?:!\[[^\]]*\]\([^)]*\)|[^\[\]])+)\]\((?![a-z]+:|#)([^)#\s]+)(#[^)\s]*)?\)")
NAMED = re.compile(r"^\[([^\]]+)\]: (?![a-z]+:)([^#\s]+)(#\S+)?$", flags=re.M)
# what lessons and pages cite, and where anybody can read it
CITED = {
    "Zhou et al., CVPR 2016": "https://arxiv.org/abs/1512.04150",
    "Lin et al., *Network in Network*": "https://arxiv.org/abs/1312.4400",
    "Choe et al., CVPR 2020": "https://arxiv.org/abs/2001.07437",
    "the Places demo": "http://places.csail.mit.edu/demo.html",
    "authors' demo": "http://places.csail.mit.edu/demo.html",
}

# both come as PyPI packages, so that nothing is fetched when a page is read; one file of MathJax, its fonts inside
MATHJAX = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax" / "tex-svg.js"
REVEAL = Path(find_spec("sphinx_revealjs").origin).parent / "_static" / "revealjs"


def read(path: Path) -> nbformat.NotebookNode:
    """A lesson with its outputs, but for those that need a kernel or repeat a picture's text out of sight."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.source = cell.source.removesuffix("\n# NBVAL_CHECK_OUTPUT")
        if "check" in tags(cell):
            cell.outputs = []  # "not answered yet", where nobody can answer
        for output in cell.outputs:
            if kind(output):
                output.metadata[kind(output)] = nbformat.NotebookNode(
                    {**output.metadata.get(kind(output), {}), "alt": alt(output)}
                )  # on one line
            if WIDGET in output.get("data", {}):
                output.data = nbformat.NotebookNode({"text/markdown": STAND_IN})
        cell.outputs = [output for output in cell.outputs if not unseen(output)]
    return notebook


def tags(cell) -> list[str]:
    return cell.metadata.get("tags", [])


def unseen(output) -> bool:
    """The paragraph that `pictures.show` hides behind a picture: here the picture carries its text itself."""
    return "position:absolute" in output.get("data", {}).get("text/html", "").replace(" ", "")[:80]


def kind(output) -> str | None:
    """The picture type of an output, or None."""
    return next((k for k in PICTURES if k in output.get("data", {})), None)


def alt(output) -> str:
    return " ".join(output.metadata.get(kind(output), {}).get("alt", "").split())


def content(output) -> bytes:
    """The picture as a file holds it."""
    data = output.data[kind(output)]
    return data.encode() if kind(output) == "image/svg+xml" else base64.b64decode(data)


def figures(notebook, stem: str):
    """(name, bytes, alt, cell) of each picture: 05_localize__boxes_at_thresholds.png, after the words of its text."""
    used = set()
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if kind(output):
                output.metadata.name = name = named(alt(output), stem, used) + PICTURES[kind(output)]
                yield name, content(output), alt(output), cell


def named(words: str, stem: str, used: set[str]) -> str:
    """A name that says what a picture shows: the first words of its text, without numbers, which may change."""
    telling = []
    for clause in re.split(r"[.:;]", words.lower()):
        telling += [word for word in re.findall(r"[a-z]{2,}", clause) if word not in SMALL_WORDS]
        if len(telling) >= 3:
            break
    first = "_".join(stem.split("_")[:2]) + "__" + "_".join(telling[:5])
    name, times = first, 1
    while name in used:  # the like is shown twice
        times += 1
        name = f"{first}_{times}"
    used.add(name)
    return name


def within(text: str, path: Path, pages: set[Path]) -> str:
    """The Markdown of the file at `path` for a site of these pages.

    Links to other files lead to the repository where it is known, else they become names. The README is the start page.
    Pictures from elsewhere (badges) become their words. A link to what is not there stays: the build stops at it.
    CAM_REPOSITORY is the address under which files can be read, for example https://…/blob/main.
    """
    repository = os.environ.get("CAM_REPOSITORY", "").rstrip("/")

    def address(link) -> str | None:
        target = Path(os.path.normpath(path.parent / link[2]))
        if target == START:
            return os.path.relpath(ROOT / "index.md", path.parent) + (link[3] or "")
        if target in pages or not target.exists():
            return link[2] + (link[3] or "")
        return f"{repository}/{target.relative_to(ROOT).as_posix()}" if repository else None

    def inline(link) -> str:
        name = Path(link[2]).name
        if found := address(link):
            return f"[{link[1]}]({found})"
        return link[1] if name in link[1] or link[1].startswith("!") else f"{link[1]} (`{name}`)"

    def named(link) -> str:
        return f"[{link[1]}]: {found}" if (found := address(link)) else ""

    return NAMED.sub(named, LINK.sub(inline, REMOTE.sub(r"\1", text)))


def cited(text: str) -> str:
    """A work that is named without a link leads to where it can be read."""
    for words, address in CITED.items():
        text = re.sub(rf"(?<!\[){re.escape(words)}(?!\]\()", f"[{words}]({address})", text)
    return text


def title(notebook) -> str:
    return re.search(r"^# (.+)$", notebook.cells[0].source, flags=re.M)[1]


def inches(output) -> tuple[float, float]:
    """Width and height of a picture output; a stored figure has 100 pixels an inch."""
    facts = output.metadata.get(kind(output), {})
    return tuple(facts.get("inches") or [side / 100 for side in Image.open(io.BytesIO(content(output))).size])


def plain(text: str) -> str:
    """Markdown's emphasis and code marks taken away."""
    return re.sub(r"[*`]", "", text)
