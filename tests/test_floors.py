"""Imports go down only and never sideways; no module is long (CONTRIBUTING, "The house")."""

import ast
import io
import re
import tokenize

import pytest
from conftest import ROOT

# lowest first; `__init__` of the package may import from any
FLOORS = [
    {"files", "devices"},
    {"recording", "replay", "heads", "alignment", "maps", "boxes", "occlusion", "ranking", "images", "drawing"},
    {"networks"},
    {"training", "scores", "saliency", "probes", "statistics", "units"},
    {"pictures", "checks", "tables", "setup_check"},
]
PACKAGES = {
    "cam_helpers": ROOT / "cam_helpers",
    "drawn_world": ROOT / "data" / "drawn_world",
    "photo_sets": ROOT / "data" / "photo_sets",
    "cam_explorer": ROOT / "notebooks" / "cam_explorer",
    "collector": ROOT / "notebooks" / "assignments" / "collector",
    "class_list": ROOT / "notebooks" / "assignments" / "class_list",
    "sandbox": ROOT / "notebooks" / "assignments" / "sandbox",
    "grader": ROOT / "notebooks" / "assignments" / "grader",
}
MAY_IMPORT = {
    "cam_helpers": set(),
    "drawn_world": set(),
    "photo_sets": {"cam_helpers"},
    "cam_explorer": {"cam_helpers"},
    "collector": {"photo_sets"},
    "class_list": {"collector"},
    "sandbox": {"collector"},
    "grader": {"class_list", "collector", "sandbox"},
}
MODULES = [(name, path) for name, folder in PACKAGES.items() for path in sorted(folder.rglob("*.py"))]
LARGEST = 250  # code lines of a module: docstrings, comments and blank lines apart


def room_of(path) -> str:
    return path.relative_to(PACKAGES["cam_helpers"]).parts[0].removesuffix(".py")


def floor(room: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if room in rooms)


def imports(path, package: str) -> list[tuple[str, str]]:
    """(module, name) pairs, absolute: ("cam_helpers.maps", "resize")."""
    inside = path.relative_to(PACKAGES[package]).parts
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = [package, *inside[:-1]][: len(inside) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found += [(module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    return found


def rooms_imported(path) -> set[tuple[str, str]]:
    """(room, name) of this package."""
    pairs = set()
    for module, name in imports(path, "cam_helpers"):
        parts = [*module.split("."), name]
        if parts[0] == "cam_helpers" and len(parts) > 1 and parts[1]:
            pairs.add((parts[1], name))
    return pairs


def test_imports_go_down_only():
    wrong = []
    for path in PACKAGES["cam_helpers"].rglob("*.py"):
        room = room_of(path)
        for other in {other for other, _ in rooms_imported(path)} - {room} if room != "__init__" else ():
            if not any(other in rooms for rooms in FLOORS):
                wrong.append(f"{room} imports {other}, which has no floor")
            elif floor(other) > floor(room):
                wrong.append(f"{room} imports {other} from above")
            elif floor(other) == floor(room) > 1:
                wrong.append(f"{room} imports its neighbour {other}: what both need moves down")
    assert not wrong, "\n".join(wrong)


def test_private_names_stay_in_their_room():
    wrong = []
    for package, path in MODULES:
        inside = f"cam_helpers.{room_of(path)}" if package == "cam_helpers" else package
        private = [
            (source, name)
            for source, name in imports(path, package)
            if name.startswith("_") and source.split(".")[0] in PACKAGES
        ]
        wrong += [f"{path.name}: {name} of {source}" for source, name in private if not source.startswith(inside)]
    assert not wrong, "\n".join(wrong)


def test_packages_import_only_what_lies_below_them():
    wrong = []
    for package, path in MODULES:
        others = {source.split(".")[0] for source, _ in imports(path, package)} & set(PACKAGES) - {package}
        wrong += [f"{package}/{path.name} imports {other}" for other in others - MAY_IMPORT[package]]
    assert not wrong, f"{wrong}: commands reach pictures with files.picture_package(name)"


def public_functions(tree) -> list[tuple[str, list[str], str]]:
    """(name, parameters, docstring); a method's includes that of its class."""
    found = []

    def visit(body, inside="", about=""):
        for node in body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                visit(node.body, f"{inside}{node.name}.", ast.get_docstring(node) or "")
            elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                names = [argument.arg for argument in arguments if argument.arg not in ("self", "cls")]
                found.append((inside + node.name, names, f"{ast.get_docstring(node) or ''}\n{about}"))

    visit(tree.body)
    return found


def unlisted(names: list[str], docstring: str) -> list[str]:
    """The parameters that no line of a docstring begins with; none where it says "Arguments as `other`"."""
    listed = re.findall(r"^\s*(\w+(?:, \w+)*):", docstring, flags=re.M)
    said = {name for line in listed for name in line.split(", ")}
    return [] if re.search(r"Arguments[\w ]* as\s+`", docstring) else [name for name in names if name not in said]


def test_from_four_parameters_on_a_docstring_lists_them_one_a_line():
    wrong = []
    for _, path in MODULES:
        for name, parameters, docstring in public_functions(ast.parse(path.read_text(encoding="utf-8"))):
            if len(parameters) >= 4 and (missing := unlisted(parameters, docstring)):
                wrong.append(f"{path.name}: {name} does not say what {', '.join(missing)} is")
    assert not wrong, "\n".join(wrong)


def test_what_a_docstring_leaves_out_is_found():
    source = 'class A:\n    """a: one\n    b, c: two"""\n    def __init__(self, a, b, c, d):\n        "e: no"\n'
    (name, parameters, docstring), *more = public_functions(ast.parse(f"{source}    def _f(x): pass"))
    assert (name, unlisted(parameters, docstring), more) == ("A.__init__", ["d"], [])
    assert unlisted(["x"], "Draw.\n\nArguments and errors as `draw`.") == []


def code_lines(source: str) -> int:
    """Lines that hold code: no docstrings, comments and blank lines."""
    docs = set()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        first = body[0] if isinstance(body, list) and body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            docs |= set(range(first.lineno, first.end_lineno + 1))
    lines = set()
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in layout:
            lines |= set(range(token.start[0], token.end[0] + 1))
    return len(lines - docs)


def test_code_lines_are_counted_as_a_reader_would():
    source = (
        '"""A module."""\n\n# a comment\nx = (\n    1,  # one\n)\n\n\ndef f():\n    """Says\n    so."""\n    return x\n'
    )
    assert code_lines(source) == 5


MOST = {  # code lines
    "cam_helpers": 3800,
    "drawn_world": 2100,
    "photo_sets": 1520,  # of them 420 are what lessons 08 to 13 measure on photographs
    "cam_explorer": 930,
    "collector": 230,
    "class_list": 350,
    "sandbox": 380,
    "grader": 750,
}


@pytest.mark.parametrize(("package", "most"), MOST.items())
def test_the_packages_stay_small(package, most):
    sizes = {path: code_lines(path.read_text(encoding="utf-8")) for name, path in MODULES if name == package}
    assert max(sizes.values()) <= LARGEST, f"longest: {max(sizes, key=sizes.get)}"
    assert sum(sizes.values()) <= most
