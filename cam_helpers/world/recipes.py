"""Recipes: the YAML files that say what a task's pictures hold. They are the description; the code only draws.

A recipe is checked completely before anything is drawn, and every message names the file, the key and what to do.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import yaml

from .sprites import Library, library
from .textures import PATTERNS

SPLITS = ("train", "val", "test")


class RecipeError(ValueError):
    """A recipe that cannot be drawn; the message names the file, the key and what to do."""


@dataclass(frozen=True)
class Recipe:
    """A checked recipe: values by key in `get`, sprites in `library`; `digest` changes with any of its files."""

    task: str
    get: dict
    library: Library
    digest: str

    def __getitem__(self, key):
        return self.get[key]


def data_folder() -> Path:
    """The folder with `sprites/` and `world/`: $CAM_DATA, or `data` beside the package, or above where we are."""
    here = Path(__file__).resolve().parents[2]
    given = os.environ.get("CAM_DATA")
    places = [Path(given)] if given else [here / "data", *(p / "data" for p in [Path.cwd(), *Path.cwd().parents])]
    for place in places:
        if (place / "world").is_dir():
            return place
    raise RecipeError(f"no recipes at {places[0] / 'world'}; run in the course folder or set CAM_DATA")


def tasks() -> tuple[str, ...]:
    """Names of all recipes."""
    return tuple(sorted(p.stem for p in (data_folder() / "world").glob("*.yaml")))


def load_recipe(task: str, folder: Path | None = None) -> Recipe:
    """Read and check `<folder>/world/<task>.yaml`. Raises RecipeError; KeyError-like messages list what there is."""
    folder = Path(folder or data_folder())
    path = folder / "world" / f"{task}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml")))
        raise RecipeError(f"there is no task {task!r}; the tasks are: {known}")
    values, used = _read(path, folder)
    sprites = library(folder / "sprites")
    from . import DRAWINGS  # the list of drawing functions lives with the package

    check = Check(path.name, sprites)
    draw = check.one_of(values, "draw", list(DRAWINGS))
    splits = check.mapping(values, "splits", dict.fromkeys(SPLITS, check.whole), low=1)
    get = {"draw": draw, "splits": splits, "version": check.whole(values, "version", low=1)}
    get["stream"] = values.pop("stream", task)
    values.pop("about", None)
    get |= DRAWINGS[draw]().read(values, check)
    if len(get["part_names"]) > 256:
        raise RecipeError(f"{path.name}: its sprites have more than 255 part names; give like parts the same name")
    if values:
        raise RecipeError(f"{path.name}: unknown key {min(map(str, values))!r}; remove it or correct its spelling")
    return Recipe(task, get, sprites, _digest(used, sprites, get["kinds"]))


class Check:
    """Takes values out of a mapping read from YAML, checked; what is left over afterwards was misspelt."""

    def __init__(self, file: str, sprites: Library, inside: str = ""):
        self.file, self.sprites, self.inside = file, sprites, inside

    def fail(self, key, why: str):
        raise RecipeError(f"{self.file}: {self.inside}{key}: {why}")

    def take(self, values: dict, key, *default):
        if key in values:
            return values.pop(key)
        if default:
            return default[0]
        self.fail(key, "is missing; add it")

    def number(self, values, key, *default, low=0.0, high=1.0) -> float:
        value = self.take(values, key, *default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.fail(key, f"found {value!r}; write a number from {low:g} to {high:g}")
        return float(value)

    def whole(self, values, key, *default, low=0, high=1_000_000) -> int:
        value = self.take(values, key, *default)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fail(key, f"found {value!r}; write a whole number from {low} to {high}")
        return value

    def span(self, values, key, *default, low=0.0, high=1.0, whole=False) -> tuple:
        value = self.take(values, key, *default)
        good = isinstance(value, list | tuple) and len(value) == 2 and all(
            isinstance(v, int if whole else int | float) and low <= v <= high for v in value
        )  # fmt: skip
        if not good or value[0] > value[1]:
            self.fail(key, f"found {value!r}; write two numbers [from, to] between {low:g} and {high:g}")
        return tuple(value)

    def one_of(self, values, key, choice, *default):
        value = self.take(values, key, *default)
        if value not in choice:
            self.fail(key, f"found {value!r}; choose one of: {', '.join(map(str, choice))}")
        return value

    def words(self, values, key, *default) -> list[str]:
        value = self.take(values, key, *default)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            self.fail(key, f"found {value!r}; write a list of words [one, two]")
        return value

    def kinds(self, values, key, *default) -> list[str]:
        try:
            return self.sprites.select(self.words(values, key, *default))
        except KeyError as error:
            self.fail(key, f"no sprite or group is called {error.args[0]!r}; add data/sprites/{error.args[0]}-1.svg "
                           "or correct the name")  # fmt: skip

    def textures(self, values, key, *default) -> list[str]:
        for word in (found := self.words(values, key, *default)):
            if word not in PATTERNS:
                self.fail(key, f"no texture is called {word!r}; choose from: {', '.join(PATTERNS)}")
        return found

    def mapping(self, values, key, form: dict, *default, **limits) -> dict:
        """A mapping whose every key has its own check."""
        value, inner = self.section(values, key, *default)
        found = {k: test(value, k, **limits) for k, test in ((k, getattr(inner, t.__name__)) for k, t in form.items())}
        inner.done(value)
        return found

    def section(self, values, key, *default) -> tuple[dict, "Check"]:
        value = self.take(values, key, *default)
        if not isinstance(value, dict):
            self.fail(key, f"found {value!r}; write keys below it")
        return dict(value), Check(self.file, self.sprites, f"{self.inside}{key}.")

    def done(self, values: dict) -> None:
        if values:
            self.fail(sorted(map(str, values))[0], "unknown key; remove it or correct its spelling")


def _read(path: Path, folder: Path, depth: int = 0) -> tuple[dict, list[Path]]:
    """The mapping in a file, laid over the one it `extends`, with the files of its `parts` folder under that key."""
    values = parse(path)
    used = [path]
    if "parts" in values:
        inner = folder / "world" / str(values.pop("parts"))
        files = sorted(inner.glob("*.yaml"))
        if inner.parent != folder / "world" or not files:
            raise RecipeError(f"{path.name}: parts: no YAML files in data/world/{inner.name}; name a folder with some")
        values["parts"] = {f.stem: parse(f) for f in files}
        used += files
    if "extends" in values:
        base = folder / "world" / f"{values.pop('extends')}.yaml"
        if depth > 3 or base.parent != folder / "world" or not base.is_file():
            raise RecipeError(f"{path.name}: extends: there is no recipe {base.stem!r} to extend; name one beside it")
        below, more = _read(base, folder, depth + 1)
        values, used = below | values, used + more
    return values, used


def parse(path: Path) -> dict:
    """One YAML file as a mapping. Refuses aliases, repeated keys, and all but plain data. Raises RecipeError."""
    try:
        text = path.read_text(encoding="utf-8")
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise RecipeError(f"{path.name}: YAML aliases (*name) are not used here; write the value out")
        values = yaml.load(text, Loader=_Strict)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path.name}: not readable as YAML: {error}") from error
    if not isinstance(values, dict):
        raise RecipeError(f"{path.name}: expected keys and values, found {type(values).__name__}; see data/README.md")
    return values


class _Strict(yaml.SafeLoader):
    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(k, deep=True) for k, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.YAMLError(f"the key {key!r} stands twice")
        return super().construct_mapping(node, deep)


def _digest(used: list[Path], sprites: Library, kinds) -> str:
    sha = hashlib.sha256()
    for path in used:
        sha.update(path.name.encode() + path.read_bytes())
    for name in sorted(sprite.name for kind in kinds for sprite in sprites.kinds[kind]):
        sha.update(f"{name}{sprites.digest[name]}".encode())
    return sha.hexdigest()
