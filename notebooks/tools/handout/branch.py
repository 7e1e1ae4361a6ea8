"""A git branch of what students get, made without touching the working tree or the index.

It begins with a commit that has no parent, so that nobody who fetches it fetches anything else of this repository.
"""

import os
import subprocess
import tempfile
from pathlib import Path

MARK = "Made-by: make course"
MESSAGE = f"The course as students get it\n\n{MARK}\n"


def commit(files: dict[str, bytes], branch: str, root: Path) -> bool:
    """Put a commit with these files on the branch, on top of its last one -> whether there was anything new.

    Raises:
        ValueError: `branch` holds other commits, is checked out, or is no name of a branch
        RuntimeError: what git said
    """
    git = Git(root)
    git("check-ref-format", "--branch", branch, wrong=f"{branch!r} is not a name for a branch")
    name = f"refs/heads/{branch}"
    parent = git.maybe("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if parent:
        for first in git("rev-list", "--max-parents=0", parent).split():
            if MARK not in git("log", "-1", "--format=%B", first):
                raise ValueError(
                    f"expected a new branch or one that `make course` began, got {branch!r}, which holds commits of "
                    "another origin: students would get all of them. Choose another name."
                )
    if f"branch {name}" in git("worktree", "list", "--porcelain").splitlines():
        raise ValueError(f"{branch!r} is checked out: change to another branch first")
    tree = git.tree(files)
    if parent and git("rev-parse", f"{parent}^{{tree}}") == tree:
        return False
    made = git("commit-tree", tree, *(["-p", parent] if parent else []), given=MESSAGE.encode())
    git("update-ref", "-m", "make course", name, made, parent or "")
    return True


class Git:
    """Commands of git in one repository."""

    def __init__(self, root: Path):
        self.root, self.environment = root, dict(os.environ)

    def __call__(self, *words: str, given: bytes = b"", wrong: str = "") -> str:
        done = subprocess.run(["git", *words], cwd=self.root, env=self.environment, input=given, capture_output=True)
        if done.returncode:
            said = done.stderr.decode(errors="replace").strip()
            raise ValueError(wrong) if wrong else RuntimeError(f"git {words[0]}: {said}")
        return done.stdout.decode().strip()

    def maybe(self, *words: str) -> str | None:
        try:
            return self(*words)
        except RuntimeError:
            return None

    def tree(self, files: dict[str, bytes]) -> str:
        """Write the files as objects -> the name of their tree. The index is one of its own."""
        with tempfile.TemporaryDirectory() as folder:
            self.environment["GIT_INDEX_FILE"] = str(Path(folder, "index"))
            for number, content in enumerate(files.values()):
                Path(folder, str(number)).write_bytes(content)
            paths = "\n".join(str(Path(folder, str(number))) for number in range(len(files)))
            objects = self("hash-object", "-w", "--no-filters", "--stdin-paths", given=paths.encode()).split()
            lines = [f"100644 {made}\t{name}\n" for name, made in zip(files, objects, strict=True)]
            self("update-index", "--index-info", given="".join(lines).encode())
            return self("write-tree")
