"""Make what a release holds, in dist/release: wheel and sdist, a zip of what readers get, the notes.

python .github/release.py v0.1.0        stops when the tag, pyproject.toml, CITATION.cff and CHANGELOG.md disagree
"""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.compile(r"^## \[(\d+\.\d+\.\d+)\] - (\S+)$", flags=re.M)


def versions() -> dict[str, str]:
    """File -> the version it names."""
    return {
        "pyproject.toml": tomllib.loads(text("pyproject.toml"))["project"]["version"],
        "CITATION.cff": re.search(r"^version: (.+)$", text("CITATION.cff"), flags=re.M)[1],
        "CHANGELOG.md": VERSION.search(text("CHANGELOG.md"))[1],
    }


def text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def problem(tag: str) -> str | None:
    """Why this tag cannot be released, or None."""
    named = {"the tag": tag.removeprefix("v"), **versions()}
    if len(set(named.values())) > 1:
        return "the versions disagree: " + ", ".join(f"{where} {version}" for where, version in named.items())
    date = VERSION.search(text("CHANGELOG.md"))[2]
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        return f"CHANGELOG.md says {date!r} where the date of this release belongs"
    return None


def notes() -> str:
    """What CHANGELOG.md says about the newest version."""
    return re.split(r"^## \[.*\n", text("CHANGELOG.md"), flags=re.M)[1].strip() + "\n"


def lessons(version: str, folder: Path) -> Path:
    """Zip what readers get, with the solutions of the lessons and without those of the assignments -> the path."""
    out = folder / f"cam-course-{version}"
    handout = ROOT / "notebooks" / "tools" / "handout"
    subprocess.run([sys.executable, handout, "--solutions", "all", "--out", out], check=True)
    shutil.rmtree(out)
    return folder / f"{out.name}.zip"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if reason := problem(sys.argv[1]):
        sys.exit(f"No release made: {reason}.")
    out = ROOT / "dist" / "release"
    out.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "build", "--outdir", out, ROOT], check=True)
    lessons(sys.argv[1].removeprefix("v"), out)
    (out / "NOTES.md").write_text(notes(), encoding="utf-8")
