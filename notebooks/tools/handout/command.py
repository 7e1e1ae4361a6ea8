"""The command of the lecturer: write what students get as a folder, as a zip and as a branch."""

import argparse
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from grader.course import ASSIGNMENTS, replacing_folder
from grader.release import for_students, pack
from sandbox.packages import ROOT

from . import __doc__ as about
from .branch import commit
from .contents import LESSONS, PLACEHOLDER, contents, repository

BRANCH = "students"  # where Colab looks


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="handout", description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--solutions", nargs="*", default=[], metavar="NN", help="lessons with their solutions, or all; default: none"
    )
    parser.add_argument("--branch", default="", help="put it on this branch too, for nbgitpuller, Binder and Colab")
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "course", help="the folder; the zip lies beside it")
    given = parser.parse_args(arguments)
    every = {path.name[:2] for path in LESSONS}
    try:
        solutions = every if given.solutions == ["all"] else set(given.solutions)
        files = contents(for_students(ASSIGNMENTS), solutions, given.branch or BRANCH)
        write(files, given.out)
        pack(files, given.out.parent / f"{given.out.name}.zip")
        print(f"{given.out}: {len(files)} files, {sum(map(len, files.values())) / 1e6:.1f} MB; the same as a .zip")
        print(f"solutions of lessons: {', '.join(sorted(solutions)) or 'none'}")
        if given.branch:
            new = commit(files, given.branch, ROOT)
            print(f"branch {given.branch}: {'a new commit, to push where students pull' if new else 'nothing new'}")
    except PackageNotFoundError as error:
        parser.exit(1, f"{error.name} is missing: pip install -e '.[grade]'\n")
    except (OSError, RuntimeError, ValueError) as error:
        parser.exit(1, f"{error}\n")
    if repository() == PLACEHOLDER:
        print(f"{PLACEHOLDER} stands in colab/ and RUNNING.md: say where the course is, make badges REPO=owner/name")
    return 0


def write(files: dict[str, bytes], out: Path) -> None:
    """Replace the folder `out`."""
    if out.exists() and not (out / "assignments").is_dir():
        raise ValueError(f"expected a folder that this command wrote, or none, got {out}: choose another --out")
    with replacing_folder(out) as new:
        for name, content in files.items():
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
