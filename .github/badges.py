"""Write the repository's public address where readers need it: badges that open Binder and Colab, commands, citation.

python .github/badges.py owner/name [branch]        (make badges REPO=owner/name)

Until it is run, the badges lead to notebooks/RUNNING.md. Run it again when the address changes.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST = "notebooks/00_start_here.ipynb"
BADGES = {  # the alternative text of a badge in the README -> where it leads
    "Open in Binder": "https://mybinder.org/v2/gh/{repo}/{branch}?urlpath=lab/tree/" + FIRST,
    "Open in Colab": "https://colab.research.google.com/github/{repo}/blob/{branch}/" + FIRST,
}


def write(repo: str, branch: str = "main", root: Path = ROOT) -> None:
    """Raises ValueError when repo is not owner/name."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        raise ValueError(f"{repo!r} is not of the form owner/name")
    readme, running, citation = (root / name for name in ("README.md", "notebooks/RUNNING.md", "CITATION.cff"))
    content = readme.read_text(encoding="utf-8")
    for alt, address in BADGES.items():
        link = address.format(repo=repo, branch=branch)
        content, found = re.subn(rf"(\[!\[{alt}\]\([^)]+\)\])\([^)]+\)", rf"\1({link})", content)
        assert found, f"README.md has no badge {alt!r}"
    readme.write_text(content, encoding="utf-8")
    commands = re.sub(r"(github\.com/)[\w.-]+/[\w.-]+?(?=\.git\b|[\s&])", rf"\1{repo}", running.read_text("utf-8"))
    commands = re.sub(r"(lab/tree/)[\w.-]+(/notebooks)", rf"\1{repo.split('/')[1]}\2", commands)
    running.write_text(commands, encoding="utf-8")
    lines = [line for line in citation.read_text("utf-8").splitlines() if not line.startswith("repository-code:")]
    after = next(i for i, line in enumerate(lines) if line.startswith("version:"))
    lines.insert(after, f'repository-code: "https://github.com/{repo}"')
    citation.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        write(*sys.argv[1:3])
    except (TypeError, ValueError) as reason:
        sys.exit(f"Nothing written. {reason}\n{__doc__}")
