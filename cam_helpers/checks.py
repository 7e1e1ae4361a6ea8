"""Feedback on exercises: not answered yet, wrong (and which misconception it looks like), or right (and why).

An exercise is a cell `answer = ...` and a check under it. The three dots are the unanswered value: a check on them says
so and goes on, so that a lesson always runs from top to bottom.
"""

from __future__ import annotations

import contextlib
import copy
import html
import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["Check", "choice", "equal", "function", "require"]

_LOOK = {
    "right": ("✓ Right.", "#1b7837"),
    "wrong": ("✗ Not yet.", "#b2182b"),
    "unanswered": ("… Not answered yet.", "#666666"),
}


@dataclass(frozen=True)
class Check:
    """One piece of feedback. status is "unanswered", "wrong" or "right"; shown in words, never by colour alone."""

    name: str
    status: str
    text: str

    def __repr__(self) -> str:
        return f"{self.name}: {_LOOK[self.status][0]} {self.text}".rstrip()

    def _repr_html_(self) -> str:
        word, colour = _LOOK[self.status]
        return (
            f'<div role="status" style="border-left:4px solid {colour};padding:.3em .8em;margin:.3em 0">'
            f'<b>{html.escape(self.name)}</b> <b style="color:{colour}">{word}</b> {html.escape(self.text)}</div>'
        )


def equal(
    name: str, answer, expected, why: str, wrong: Iterable[tuple[object, str]] = (), hint: str = "", rtol: float = 1e-3
) -> Check:
    """Compare a number, a sequence, an array or a tensor with the expected one.

    why: said when it is right. wrong: pairs of (an answer that a misconception leads to, its name), tried in order.
    hint: said when it is wrong in no known way. rtol: allowed difference relative to the largest expected value.
    """
    if _unanswered(answer):
        return Check(name, "unanswered", "Replace the ... above with your answer and run both cells again.")
    try:
        problem = _difference(answer, expected, rtol)
    except (TypeError, ValueError, RuntimeError):
        return Check(name, "wrong", f"Expected {_describe(expected)}, got {_describe(answer)}. {hint}".rstrip())
    if problem is None:
        return Check(name, "right", why)
    return Check(name, "wrong", _misconception(answer, wrong, rtol) or f"{problem} {hint}".rstrip())


def function(
    name: str,
    answer: Callable,
    cases: Sequence[tuple],
    reference: Callable,
    why: str,
    wrong: Iterable[tuple[Callable, str]] = (),
    hint: str = "",
    rtol: float = 1e-3,
) -> Check:
    """Run the reader's function and the reference on the same cases, a sequence of argument tuples, and compare.

    A function whose body is `...`, that returns the three dots or raises NotImplementedError, is unanswered.
    wrong: pairs of (a function that holds a misconception, its name). The arguments are copied for each call.
    """
    if not callable(answer):
        if _unanswered(answer):
            return Check(name, "unanswered", "Write the function above and run both cells again.")
        return Check(name, "wrong", f"Expected a function, got {_describe(answer)}.")
    wrong = list(wrong)
    for case in cases:
        try:
            got = answer(*_copies(case))
        except NotImplementedError:
            got = ...
        except Exception as error:
            return Check(name, "wrong", f"Your function stopped with {type(error).__name__}: {error}")
        if got is ... or (got is None and _is_empty(answer)):
            return Check(name, "unanswered", "Write the function above and run both cells again.")
        if got is None:
            return Check(name, "wrong", "Your function returns None: does it end with a return?")
        expected = reference(*_copies(case))
        result = equal(name, got, expected, why, _outcomes(wrong, case), hint, rtol)
        if result.status != "right":
            return result
    return Check(name, "right", why)


def require(answer: Callable, cases, reference: Callable, wrong=(), hint: str = "", rtol: float = 1e-4) -> None:
    """`function` as an assertion, for the graded assignments: nothing when right.

    Raises NotImplementedError when unanswered, and AssertionError with the misconception, never with an expected value.
    What the answer warns of or prints to stderr is kept back: to nbgrader it would be a failure.
    """
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        check = function("", answer, cases, lambda *case: _numbers(reference(*case)), "", wrong, hint, rtol)
    if check.status == "unanswered":
        raise NotImplementedError
    if check.status == "wrong":
        raise AssertionError(check.text)


def choice(name: str, answer, right: str, feedback: Mapping[str, str]) -> Check:
    """A multiple-choice question; feedback: what to say to each option. Raises KeyError when `right` has none."""
    reason = feedback[right]
    if _unanswered(answer):
        return Check(name, "unanswered", f"Replace the ... with one of {', '.join(map(repr, feedback))}.")
    options = {option.strip().lower(): option for option in feedback}
    given = options.get(answer.strip().strip("()[]. ").lower()) if isinstance(answer, str) else None
    if given is None:
        return Check(name, "wrong", f"Answer with one of {', '.join(map(repr, feedback))}, got {answer!r}.")
    return Check(name, "right" if given == right else "wrong", reason if given == right else feedback[given])


def _unanswered(answer) -> bool:
    if isinstance(answer, np.ndarray) and answer.dtype == object:
        answer = answer.ravel().tolist()
    parts = answer.values() if isinstance(answer, dict) else answer
    return answer is ... or (isinstance(answer, (list, tuple, dict)) and any(map(_unanswered, parts)))


def _dots(): ...


def _documented():
    """The place of None among the constants moves behind a docstring."""


def _is_empty(function: Callable) -> bool:
    """True for a body of nothing but dots, pass, or a docstring: it compiles to the same as an empty one."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_code in {_dots.__code__.co_code, _documented.__code__.co_code}


def _numbers(value) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double()
    if isinstance(value, (list, tuple)) and any(isinstance(part, (list, tuple, torch.Tensor)) for part in value):
        return torch.stack([_numbers(part) for part in value])
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError("not a number")
    return torch.as_tensor(array.astype(np.float64))


def _difference(answer, expected, rtol: float) -> str | None:
    """None when they agree, else a sentence that says how they differ."""
    answer, expected = _numbers(answer), _numbers(expected)
    if answer.shape != expected.shape:
        return f"The shape is {tuple(answer.shape)}, expected {tuple(expected.shape)}."
    if answer.isnan().any() and not expected.isnan().any():
        return "The answer holds NaN (0/0, or the logarithm of a negative number?)."
    scale = expected.nan_to_num().abs().max().item() if expected.numel() else 0.0
    if torch.allclose(answer, expected, rtol=0, atol=rtol * scale or 1e-12, equal_nan=True):
        return None
    return "The shape is right, the values are not." if expected.ndim else f"{answer.item():.6g} is not it."


def _misconception(answer, wrong, rtol: float) -> str | None:
    for value, text in wrong:
        try:
            if _difference(answer, value, rtol) is None:
                return text
        except (TypeError, ValueError, RuntimeError):
            continue
    return None


def _describe(value) -> str:
    shape = getattr(value, "shape", None)
    kind = type(value).__name__
    return f"{kind} of shape {tuple(shape)}" if shape is not None else f"{value!r} ({kind})" if shape is None else kind


def _copies(case: tuple) -> tuple:
    """Fresh arguments for each call: a function may change what it is given."""
    try:
        return copy.deepcopy(case)
    except RuntimeError:  # a tensor in the middle of a graph
        return tuple(part.detach().clone() if isinstance(part, torch.Tensor) else part for part in case)


def _outcomes(wrong: Iterable[tuple[Callable, str]], case: tuple) -> Iterator[tuple[object, str]]:
    """What each misconception gives for this case; one that cannot deal with it is passed over."""
    for misconception, text in wrong:
        outcome = None
        with contextlib.suppress(Exception):
            outcome = misconception(*_copies(case))
        if outcome is not None:
            yield outcome, text
