"""Whether what students get holds a line of a solution, of a hidden test or of an answer; in whatever kind of file."""

from __future__ import annotations

import io
import itertools
import json
import re
import zipfile

import answers

from grader import course as courses

SECRET = re.compile(r"BEGIN (?:SOLUTION|HIDDEN TESTS)[^\n]*\n(.*?)\n[^\n]*END (?:SOLUTION|HIDDEN TESTS)", flags=re.S)
PUBLIC = re.compile(r"\.py$|(^|/)(notebooks|colab)/\d\d_\w+\.ipynb$")  # the packages' code and the lessons
EVERY_LOOP = {"optimizer.zero_grad()", "loss.backward()", "optimizer.step()", "schedule.step()"}  # of lessons too
LEAST, LONG = 12, 30  # characters: `return x` is nobody's secret; a long line is found inside others too


def secrets(course) -> tuple[list[list[str]], str]:
    """The lines of each solution, block of hidden tests and answer; and the text of all that students may see."""
    found, seen = [], []
    for name in courses.assignments(course):
        cells = courses.source(course, name).cells
        parts = [part for cell in cells for part in SECRET.findall(cell.source)]
        assert parts, f"{name}: no markers were found"
        wrong, right = answers.read(course / "source" / name / "answers.yaml")
        parts += [answer.code for exercise in wrong.values() for answer in exercise.values()]
        parts += [code for exercise in right.values() for code in exercise.values()]
        found += [[line.strip() for line in part.splitlines()] for part in parts]
        seen += [SECRET.sub("", cell.source) for cell in cells]
    return found, "\n".join(seen)


def everything(content: bytes) -> dict[str, bytes]:
    """Name -> content of all that is in a zip."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def strings(value) -> list[str]:
    """Every string in a notebook's JSON, wherever it stands."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ["".join(value)]
    inside = value if isinstance(value, list) else [*value, *value.values()] if isinstance(value, dict) else []
    return [text for part in inside for text in strings(part)]


def leaks(files: dict[str, bytes], hidden: list[list[str]], seen: str) -> dict[str, list[str]]:
    """File -> lines of `hidden` in it that students do not see anyway.

    In the packages' code and in lessons single lines like `maps = cams.maps()` coincide; two in a row do not.
    """
    found = {}
    shown = {line.strip() for line in seen.splitlines()}
    alone = {line for part in hidden for line in part if len(line) >= LEAST} - shown - EVERY_LOOP
    alone -= {line for line in alone if len(line) >= LONG and line in seen}
    pairs = {pair for part in hidden for pair in itertools.pairwise(part) if set(pair) <= alone}
    for name, content in files.items():
        text = content.decode("utf-8", errors="replace")
        plain = "\n".join(strings(json.loads(text))) if name.endswith(".ipynb") else text
        lines = [line.strip() for line in plain.splitlines()]
        if PUBLIC.search(name):
            hits = [" / ".join(pair) for pair in itertools.pairwise(lines) if pair in pairs]
        else:
            there = set(lines)
            hits = [line for line in alone if line in there or (len(line) >= LONG and line in plain)]
        if hits:
            found[name] = hits
    return found
