"""What the tests of the site and of the slides share: building one, and what can be wrong with its pages."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup
from conftest import ROOT
from filelock import FileLock


def build(what: str, out: Path) -> Path:
    command = [sys.executable, str(ROOT / "notebooks" / "site" / "pages.py"), what, str(out), "--stored"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CAM_REPOSITORY": ""})
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def build_once(what: str, folder: Path) -> Path:
    """Build it in the folder `folder`, unless this or another process has done so."""
    folder.mkdir(exist_ok=True)
    done = folder / f"{what}.done"
    with FileLock(folder / f"{what}.lock"):  # another process waits for the one that builds
        if not done.exists():
            build(what, folder / what)
            done.touch()
    return folder / what


def soup(path: Path) -> BeautifulSoup:
    """A page, parsed; not to be changed."""
    return _parsed(path, path.stat().st_mtime_ns)


@functools.lru_cache(40)  # a page of a lesson takes a second, and several tests read it
def _parsed(path: Path, changed: int) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def problems(folder: Path) -> list[str]:
    """Links that lead nowhere, pictures without words or files, and whatever a page would fetch from elsewhere."""
    pages = {path.resolve(): soup(path.resolve()) for path in folder.rglob("*.html")}
    names = {path: {tag.get("id") or tag.get("name") for tag in page.find_all(True)} for path, page in pages.items()}
    found = []
    for path, page in pages.items():
        where = path.relative_to(folder.resolve())
        for tag in page.find_all(["a", "link", "img", "script", "iframe", "source"]):
            address = tag.get("href") or tag.get("src")
            if tag.name == "img" and len(tag.get("alt", "").split()) < 3:
                found.append(f"{where}: a picture without words: {str(address)[:80]}")
            if address is None or address.startswith(("data:", "mailto:")):
                continue
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if tag.name != "a":
                    found.append(f"{where}: fetched from elsewhere: {address}")
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.is_file():
                found.append(f"{where}: leads nowhere: {address}")
            elif parts.fragment and target in names and unquote(parts.fragment) not in names[target]:
                found.append(f"{where}: no such place on the page: {address}")
    return found
