"""Right and wrong answers, from the answers.yaml beside each assignment's source (its README says how to add one)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import yaml


class Wrong(NamedTuple):
    code: str
    says: str  # words that one of the failed tests must say
    loses: list[str] | None  # grade_ids of the tests that fail; None: all of the exercise


def read(path: Path) -> tuple[dict[str, dict[str, Wrong]], dict[str, dict[str, str]]]:
    """-> (wrong, right) answers by exercise and name."""
    found = yaml.safe_load(path.read_text(encoding="utf-8"))
    shared = found.get("shared", {})
    wrong = {
        exercise: {name: Wrong(code(a, shared), a["says"], a.get("loses")) for name, a in answers.items()}
        for exercise, answers in found["wrong"].items()
    }
    right = {
        exercise: {name: code(answer, shared) for name, answer in answers.items()}
        for exercise, answers in found["right"].items()
    }
    return wrong, right


def code(answer: str | dict, shared: dict[str, str]) -> str:
    """An answer's code: as it stands, or a shared one with replacements."""
    if isinstance(answer, str):
        return answer
    if "code" in answer:
        return answer["code"]
    text = shared[answer["from"]]
    for change in answer.get("replace", []):
        assert change["old"] in text, f"{change['old']!r} is not in the shared answer {answer['from']!r}"
        text = text.replace(change["old"], change["new"])
    return text
