"""pyproject.toml is the one list of dependencies; environment.yml, the Makefile and CI follow it."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
import versions
import yaml
from conftest import ROOT
from execute import pictures
from packaging.requirements import Requirement
from packaging.version import Version

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())


def required() -> dict[str, Requirement]:
    extras = PROJECT["optional-dependencies"]
    lines = PROJECT["dependencies"] + extras["test"] + extras["site"]
    return {r.name: r for r in map(Requirement, lines)}


def in_conda() -> dict[str, Version]:
    entries = [e for e in ENVIRONMENT["dependencies"] if isinstance(e, str)]
    entries += next(e["pip"] for e in ENVIRONMENT["dependencies"] if isinstance(e, dict))
    pairs = [re.fullmatch(r"([\w-]+)={1,2}([\d.]+?)(\.\*)?", e) for e in entries]
    found = {m[1]: Version(m[2]) for m in pairs if m and m[1] != "python"}
    return {versions.OTHER_NAMES.get(name, name): version for name, version in found.items()}


def test_environment_and_pyproject_list_the_same_packages():
    assert set(in_conda()) == set(required())


def test_every_dependency_has_a_lower_bound_and_no_upper_one():
    for requirement in required().values():
        assert [s.operator for s in requirement.specifier] == [">="], requirement


def test_tested_versions_are_within_the_bounds():
    for name, version in in_conda().items():
        # "2.15" stands for the newest 2.15.x
        assert required()[name].specifier.contains(Version(f"{version}.999"), prereleases=True), name


def test_versions_that_are_called_tested_were_there_to_be_tested():
    """An environment made by make has the newest releases; a newer one in environment.yml was never tried."""
    if not (Path(sys.prefix) / ".test").is_file():
        pytest.skip("not the environment that `make test` makes")
    pins = {found[2]: found[4] for found in versions.PINNED.finditer((ROOT / "environment.yml").read_text())}
    assert len(pins) == len(in_conda()) + 1, "and Python"
    newer = {name: pin for name, pin in pins.items() if Version(pin) > Version(versions.installed(name))}
    assert not newer, (
        f"environment.yml calls tested what is newer than what is installed here: make environment; {newer}"
    )


def test_the_tested_python_is_the_same_wherever_it_is_named():
    python = re.search(r"python=([\d.]+)", (ROOT / "environment.yml").read_text())[1]
    assert f"| Linux, Python {python}, make, no GPU |" in (ROOT / "notebooks" / "RUNNING.md").read_text(
        encoding="utf-8"
    )
    workflows = [path.read_text(encoding="utf-8") for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    named = re.findall(r'(?:python-version: |python: \{.*default: )"([\d.]+)"', "".join(workflows))
    assert len(named) >= 3 and set(named) == {python}


def test_floors_are_what_pyproject_permits():
    lowest = versions.floors("test", "site")
    assert {name: f">={bound}" for name, bound in lowest.items()} == {
        n: str(r.specifier) for n, r in required().items()
    }


def test_the_environment_file_takes_the_installed_versions(monkeypatch):
    monkeypatch.setattr(versions, "installed", lambda name: "7.5")
    made = versions.environment()
    assert "- pytorch=7.5\n" in made and "- torchcam==7.5.*\n" in made and "- python=7.5\n" in made
    number = r"=[\d.*]+"
    assert re.sub(number, "", made) == re.sub(number, "", (ROOT / "environment.yml").read_text())


def test_conda_forge_is_the_only_channel():
    assert [c for c in ENVIRONMENT["channels"] if c != "nodefaults"] == ["conda-forge"]
    python = next(e for e in ENVIRONMENT["dependencies"] if isinstance(e, str) and e.startswith("python="))
    assert Version(python.split("=")[1]) >= Version("3.11")


def test_the_environment_installs_the_project_itself():
    pip = next(e["pip"] for e in ENVIRONMENT["dependencies"] if isinstance(e, dict))
    assert "-e ." in pip


def test_help_lists_every_public_target():
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = " ".join(re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), flags=re.M)).split()
    assert [target for target in phony if f"make {target} " not in shown] == []


@pytest.mark.parametrize("target", ["lab", "test", "test-all"])
def test_a_second_call_sets_nothing_up_again(target):
    if not (ROOT / ".venv" / ".test").exists():
        pytest.skip("this environment was not made by make")
    plan = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "pip install" not in plan and "-m venv" not in plan


def test_lab_opens_the_first_lesson_and_passes_flags_through():
    command = ["make", "-n", "lab", "ARGS=--no-browser --port 8899"]
    plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "jupyter lab" in plan and "/lab/tree/notebooks/00_start_here.ipynb --no-browser --port 8899" in plan


def test_an_old_python_is_refused_with_advice(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    done = subprocess.run(["make", "lab", "PYTHON="], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode != 0 and "Python 3.11 or newer is needed" in done.stdout


def test_an_environment_is_made_where_ensurepip_is_missing(tmp_path):
    """Debian's python3 without python3-venv: `-m venv` fails, the fallback has pip install itself."""
    stub = tmp_path / "python-without-ensurepip"
    stub.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '  "-m venv .venv") mkdir -p .venv/bin; echo "ensurepip is not available"; exit 1;;\n'
        f'  "-m venv --without-pip"*) exec {shutil.which("true")};;\n'
        '  "-m pip --python"*) echo "asked: $*" >> log; exit 0;;\n'
        "esac\nexit 0\n"
    )
    stub.chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / ".venv").mkdir()
    subprocess.run(["make", ".venv/.created", f"PYTHON={stub}"], cwd=tmp_path, capture_output=True, text=True)
    assert "install pip" in (tmp_path / "log").read_text()


def test_the_readme_shows_a_picture_of_the_first_lesson():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[([^\]]+)\]\(([^)]+)\)(?!\])", readme)  # a picture inside a link is a badge
    assert all(len(alt.split()) > 10 for alt, _ in shown)
    assert (ROOT / shown[0][1]).read_bytes() in pictures(nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", 4))


def test_the_lesson_table_lists_every_lesson():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb")):
        assert f"(notebooks/{path.name})" in readme


def test_the_notebook_hook_keeps_outputs_and_counts():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entry = next(hook["entry"] for hook in hooks if hook["id"] == "notebook-metadata")
    assert {"--keep-output", "--keep-count", "--keep-id"} <= set(entry.split())
    assert {hook["entry"].split()[0] for hook in hooks} == {"ruff", "nbstripout"}


def test_no_index_is_chosen_and_no_machine_is_named():
    """Where packages come from is each machine's own business, and nobody's home is in the files."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    words = re.compile("index" + "-url|find" + r"-links|(?<![\w.])/(root|home|Users)/\w", flags=re.I)
    for name in listed.stdout.split():
        path = ROOT / name
        assert path.name not in {"uv.lock", "poetry.lock", "conda-lock.yml", "package-lock.json"}
        if path.is_file() and path.suffix in {".py", ".md", ".toml", ".yml", ".yaml", ".ipynb", ""}:
            hits = [m[0] for m in words.finditer(path.read_text(encoding="utf-8", errors="replace"))]
            assert not hits, f"{name}: {hits}"
