"""Tasks by name: the recipe of each, checked, and the module that draws it."""

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

from . import actions, concepts, objects, radiograph, scenes, text, video
from .folders import data_folder
from .recipe_reader import SPLITS, RecipeError, RecipeReader, TaskRecipe, digest, read_files
from .sprites import library

# What a recipe's `draw:` may name: a module with `read(reader)` and `draw(recipe, dice, size, difficulty, split)`.
# A new kind of picture is one such module, named here.
_MODULES = objects, scenes, radiograph, video, text, actions, concepts
DRAWINGS = {module.__name__.rpartition(".")[2]: module for module in _MODULES}


def task_names(folder: Path | None = None) -> tuple[str, ...]:
    """Names of all recipes, sorted."""
    return tuple(sorted(p.stem for p in ((folder or data_folder()) / "recipes").glob("*.yaml")))


def load_recipe(task: str, folder: Path | None = None) -> TaskRecipe:
    """Read and check `<folder>/recipes/<task>.yaml`. Raises RecipeError; it lists the tasks when this is none."""
    folder = Path(folder or data_folder())
    path = folder / "recipes" / f"{task}.yaml"
    if not path.is_file():
        raise RecipeError(f"there is no task {task!r}; the tasks are: {', '.join(task_names(folder))}")
    values, files = read_files(path, folder)
    sprites = library(folder / "sprites")
    reader = RecipeReader(path.name, sprites, values)
    get = {"draw": reader.one_of("draw", list(DRAWINGS)), "version": reader.integer("version", low=1)}
    with reader.section("splits") as inner:
        get["splits"] = {split: inner.integer(split, low=1) for split in SPLITS}
    get["stream"] = reader.take("stream", task)
    reader.take("about", None)
    get |= DRAWINGS[get["draw"]].read(reader)
    if len(get["part_names"]) > 256:
        raise RecipeError(f"{path.name}: its sprites have more than 255 part names; give like parts the same name")
    reader.done()
    return TaskRecipe(task, get, sprites, digest(files, sprites, get["kinds"]))


@lru_cache
def code_digest(draw: str) -> str:
    """A check sum of the code that draws: its syntax trees, so that a comment or a docstring changes nothing.

    draw: a key of DRAWINGS. The module and all that it imports from this package count, and nothing else.
    """
    folder, waiting, trees = Path(__file__).parent, [draw], {}
    while waiting:
        name = waiting.pop()
        if name in trees or not (folder / f"{name}.py").is_file():
            continue
        tree = ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 1:
                waiting += [node.module] if node.module else [alias.name for alias in node.names]
            body = getattr(node, "body", None)
            first = body[0] if isinstance(body, list) and body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                first.value.value = ""  # a docstring
        trees[name] = ast.dump(tree)
    return hashlib.sha256("".join(trees[name] for name in sorted(trees)).encode()).hexdigest()
