"""Write the repository's public address where readers need it: badges that open Binder and Colab, commands, citation.

python .github/badges.py owner/name [branch]        (make badges REPO=owner/name)

The badges open what students get: the branch that `make course BRANCH=students` makes, with its copies for Colab.
Until it is run, the badges lead to notebooks/RUNNING.md. Run it again when the address changes. It prints what it
could not fill in.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST = "notebooks/00_start_here.ipynb"
BADGES = {  # the alternative text of a badge in the README -> where it leads
    "Open in Binder": "https://mybinder.org/v2/gh/{repo}/{branch}?urlpath=lab/tree/" + FIRST,
    "Open in Colab": "https://colab.research.google.com/github/{repo}/blob/{branch}/colab/00_start_here.ipynb",
}
OPEN = {"OWNER": "the repository's public address", "HUB": "the address of your JupyterHub"}  # stands in for what
NO_ADDRESS = re.compile(r"^Where \*OWNER/REPO\* stands below.*?\n\n", flags=re.M | re.S)


def write(repo: str, branch: str = "students", root: Path = ROOT) -> None:
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
    commands = NO_ADDRESS.sub("", running.read_text("utf-8"))
    commands = re.sub(r"(github(?:\.com)?/)[\w.-]+/[\w.-]+?(?=\.git\b|[\s&/])", rf"\1{repo}", commands)
    commands = re.sub(r"(lab/tree/)[\w.-]+(/notebooks)", rf"\1{repo.split('/')[1]}\2", commands)
    running.write_text(commands, encoding="utf-8")
    lines = [line for line in citation.read_text("utf-8").splitlines() if not line.startswith("repository-code:")]
    after = next(i for i, line in enumerate(lines) if line.startswith("version:"))
    lines.insert(after, f'repository-code: "https://github.com/{repo}"')
    citation.write_text("\n".join(lines) + "\n", encoding="utf-8")


def still_open(root: Path = ROOT) -> list[str]:
    """A line for each placeholder in what people read, with its place and what belongs there."""
    pages = [path for folder in (root, root / "notebooks", root / "data") for path in sorted(folder.glob("*.md"))]
    found = []
    for path in pages:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            words = [word for word in OPEN if re.search(rf"(?<![\w-]){word}(?=/)", line)]
            found += [f"{path.relative_to(root).as_posix()}, line {number}: {word}, {OPEN[word]}" for word in words]
    for alt in BADGES if (root / "README.md").exists() else ():
        if re.search(rf"\[!\[{alt}\]\([^)]+\)\]\((?!https:)", (root / "README.md").read_text(encoding="utf-8")):
            found.append(f"README.md: the badge {alt!r} leads to no address yet")
    return found


if __name__ == "__main__":
    try:
        write(*sys.argv[1:3])
        print(f"written into README.md, notebooks/RUNNING.md and CITATION.cff: {sys.argv[1]}")
        print("the badges work once the branch is there: make course BRANCH=students, then git push origin students")
    except (TypeError, ValueError) as reason:
        sys.exit(f"Nothing written. {reason}\n{__doc__}")
    print("\n".join(["not filled in:", *still_open()] if still_open() else ["nothing is left to fill in"]))
