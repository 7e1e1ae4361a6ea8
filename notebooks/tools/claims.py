"""Claims: the comparisons that a lesson's text makes, held against the numbers that the lesson computes.

A line in the code cell that computes them, with a Python expression over the notebook's names:

    # CLAIM: error["GAP"] < error["GMP"]            true in every run
    # CLAIM (full): error["GAP"] < error["GMP"]     true with the readers' preset; CAM_PRESET=smoke has too few pictures

The kernel evaluates them after the cell. `execute.py` writes no lesson with a false claim, and the tests accept none.
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A Python expression; full: it needs the readers' preset."""

    expression: str
    full: bool


def stated(source: str) -> list[Claim]:
    """The claims in the code of one cell, or of several."""
    found = re.findall(r"^[ \t]*# CLAIM( \(full\))?: (.+)$", source, flags=re.M)
    return [Claim(expression.strip(), bool(full)) for full, expression in found]


def questions(source: str, full: bool) -> dict[str, str]:
    """What a kernel is asked after the cell (`user_expressions`): claim -> an expression that is True or False."""
    return {one.expression: f"bool({one.expression})" for one in stated(source) if full or not one.full}


def refuted(reply: dict) -> list[str]:
    """A kernel's reply -> a sentence for each claim that does not hold."""
    wrong = []
    for expression, answer in reply["content"].get("user_expressions", {}).items():
        if answer["status"] != "ok":
            wrong.append(f"expected the claim `{expression}` to be true or false, got {answer['evalue']}")
        elif answer["data"]["text/plain"] != "True":
            wrong.append(f"expected the claim `{expression}` to hold, got False: correct the text or the claim")
    return wrong
