"""Versions, from the one list in pyproject.toml: the lowest that it permits, and those that were tested.

python .github/versions.py floors [EXTRA …]     name==lowest, one a line: constraints for pip (make test-floors)
python .github/versions.py tested               the versions installed here, into environment.yml (make environment)
"""

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENVIRONMENT = ROOT / "environment.yml"
OTHER_NAMES = {"pytorch": "torch"}  # conda-forge's name -> the registry's
PINNED = re.compile(
    r"^( +- )([\w-]+)(==?)([\d.]+)(\.\*)?$", flags=re.M
)  # `  - pytorch=2.14`, `      - torchcam==0.5.*`


def floors(*extras: str) -> dict[str, str]:
    """Package -> its lower bound, of the dependencies and of these extras; ValueError where a line has none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    found = {}
    for line in lines:
        parts = re.fullmatch(r"([\w.-]+)>=([\w.]+)", line)
        if not parts:
            raise ValueError(f"expected a dependency as name>=version in pyproject.toml, got {line!r}")
        found[parts[1]] = parts[2]
    return found


def installed(name: str) -> str:
    """The version in this environment of a package by its conda name, of Python too: major.minor."""
    full = sys.version if name == "python" else version(OTHER_NAMES.get(name, name))
    return re.match(r"\d+\.\d+", full)[0]


def environment() -> str:
    """The text of environment.yml with the versions that are installed here."""
    text = ENVIRONMENT.read_text(encoding="utf-8")
    return PINNED.sub(lambda pin: f"{pin[1]}{pin[2]}{pin[3]}{installed(pin[2])}{pin[5] or ''}", text)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["floors", *extras]:
            print("\n".join(f"{name}=={lowest}" for name, lowest in floors(*extras).items()))
        case ["tested"]:
            ENVIRONMENT.write_text(environment(), encoding="utf-8")
        case _:
            sys.exit(__doc__)
