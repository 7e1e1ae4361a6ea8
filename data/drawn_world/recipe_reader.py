"""Recipes: the YAML files that say what a task's pictures hold. They are the description; the code only draws.

A recipe is checked completely before anything is drawn, and every message names the file, the key and what to do.
"""

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from .sprites import Library
from .textures import PATTERNS

SPLITS = ("train", "val", "test")


class RecipeError(ValueError):
    """A recipe that cannot be drawn; the message names the file, the key and what to do."""


@dataclass(frozen=True)
class TaskRecipe:
    """A checked recipe: values by key in `get`, sprites in `library`; `digest` changes with any of its files."""

    task: str
    get: dict
    library: Library
    digest: str

    def __getitem__(self, key):
        return self.get[key]


class RecipeReader:
    """Takes values out of a mapping read from YAML, checked; what is left over when it is done was misspelt.

    file: its name, for messages
    sprites: those that a recipe may name
    values: the mapping, which gets empty
    inside: the keys that lead to it, for messages: "camera."

    Of each method:

    key: where the value stands; a default may follow it
    low, high: what a number must lie between
    kind: of numbers
    """

    def __init__(self, file: str, sprites: Library, values: dict, inside: str = ""):
        self.file, self.sprites, self.values, self.inside = file, sprites, values, inside

    def fail(self, key, why: str):
        raise RecipeError(f"{self.file}: {self.inside}{key}: {why}")

    def take(self, key, *default, good=lambda value: True, wanted=""):
        """The value of a key, or the default if one is given; `wanted` says what a value that is not good should be."""
        if key not in self.values and not default:
            self.fail(key, "is missing; add it")
        value = self.values.pop(key, *default)
        if not good(value):
            self.fail(key, f"found {value!r}; {wanted}")
        return value

    def number(self, key, *default, low=0.0, high=1.0) -> float:
        wanted = f"write a number from {low:g} to {high:g}"
        return float(self.take(key, *default, good=lambda v: within(v, low, high), wanted=wanted))

    def integer(self, key, *default, low=0, high=1_000_000) -> int:
        wanted = f"write a whole number from {low} to {high}"
        return self.take(key, *default, good=lambda v: within(v, low, high, int), wanted=wanted)

    def span(self, key, *default, low=0.0, high=1.0, kind=int | float) -> tuple:
        def good(value):
            return pair(value, lambda v: within(v, low, high, kind)) and value[0] <= value[1]

        wanted = f"write two numbers [from, to] between {low:g} and {high:g}"
        return tuple(self.take(key, *default, good=good, wanted=wanted))

    def one_of(self, key, choice, *default):
        wanted = f"choose one of: {', '.join(map(str, choice))}"
        return self.take(key, *default, good=lambda v: v in choice, wanted=wanted)

    def words(self, key, *default) -> list[str]:
        def good(value):
            return isinstance(value, list) and all(isinstance(v, str) for v in value)

        return self.take(key, *default, good=good, wanted="write a list of words [one, two]")

    def kinds(self, key) -> list[str]:
        return self.select(self.words(key), key)

    def select(self, words, key) -> list[str]:
        """The kinds of sprite that words mean."""
        try:
            return self.sprites.select(words)
        except KeyError as error:
            word = error.args[0]
            file = f"data/drawn_world/sprites/{word}-1.svg"
            self.fail(key, f"no sprite or group is called {word!r}; add {file} or correct the name")

    def textures(self, key) -> list[str]:
        for word in (found := self.words(key)):
            if word not in PATTERNS:
                self.fail(key, f"no texture is called {word!r}; choose from: {', '.join(PATTERNS)}")
        return found

    @contextmanager
    def section(self, key):
        """A reader of the keys below this one; none may be left over at the end."""
        value = self.take(key, good=lambda v: isinstance(v, dict), wanted="write keys below it")
        inner = RecipeReader(self.file, self.sprites, dict(value), f"{self.inside}{key}.")
        yield inner
        inner.done()

    def each(self, key):
        """Pairs (name, reader) for the sections below a key."""
        with self.section(key) as inner:
            for name in list(inner.values):
                with inner.section(name) as below:
                    yield name, below

    def done(self) -> None:
        for key in sorted(map(str, self.values))[:1]:
            self.fail(key, f"unknown key {key!r}; remove it or correct its spelling")


def pair(value, good) -> bool:
    """Is it a list of two, both of them good?"""
    return isinstance(value, list | tuple) and len(value) == 2 and all(map(good, value))


def within(value, low, high, kind=int | float) -> bool:
    """Is it a number?

    Args:
        value: what stands in a recipe; true and false are no numbers
        low, high: the smallest and the largest that is allowed
        kind: int for whole numbers
    """
    return isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high


def read_files(path: Path, folder: Path, depth: int = 0) -> tuple[dict, list[Path]]:
    """The mapping in a file, laid over the one it `extends`, with the files of its `parts` folders under that key."""
    values = parse(path)
    used = [path]
    if "parts" in values:
        names, values["parts"] = values["parts"], {}
        for name in names if isinstance(names, list) else [names]:
            inner = folder / "recipes" / str(name)
            files = sorted(inner.glob("*.yaml"))
            if inner.parent != folder / "recipes" or not files:
                why = f"no YAML files in recipes/{inner.name}; name a folder with some"
                raise RecipeError(f"{path.name}: parts: {why}")
            values["parts"] |= {f.stem: parse(f) for f in files}
            used += files
    if "extends" in values:
        base = folder / "recipes" / f"{values.pop('extends')}.yaml"
        if depth > 3 or base.parent != folder / "recipes" or not base.is_file():
            raise RecipeError(f"{path.name}: extends: there is no recipe {base.stem!r} to extend; name one beside it")
        below, more = read_files(base, folder, depth + 1)
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


def digest(used: list[Path], sprites: Library, kinds) -> str:
    sha = hashlib.sha256()
    for path in used:
        sha.update(path.name.encode() + path.read_bytes())
    for name in sorted(sprite.name for kind in kinds for sprite in sprites.kinds[kind]):
        sha.update(f"{name}{sprites.digest[name]}".encode())
    return sha.hexdigest()
