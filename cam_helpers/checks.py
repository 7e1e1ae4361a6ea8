"""Feedback on exercises: not answered yet, wrong (and which misconception it looks like), or right (and why).

An exercise is a cell `answer = ...` with a check below it. The three dots mean "unanswered": the check says so and does
not stop, so that a lesson always runs from top to bottom.

>>> checks.equal("the sum", 8, 9, why="all nine values count", wrong=[(1, "that is the mean")], hint="Count again.")
the sum: ✗ Not yet. 8 is not it. Count again.
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
_NOT_NUMBERS = (TypeError, ValueError, RuntimeError)  # what torch and numpy raise for an answer that is no array


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

    Args:
        name: what is asked, shown in front of the feedback
        answer: the reader's answer; `...`, alone or inside a list, an array or a dict, is unanswered
        expected: the right answer; NaN and infinities must stand at the same places
        why: said when the answer is right
        wrong: pairs of (the answer that a misconception leads to, the misconception), tried in order
        hint: added when the answer is wrong in no known way
        rtol: allowed difference, relative to the largest finite expected value
    """
    if _is_unanswered(answer):
        return Check(name, "unanswered", "Replace the ... above with your answer and run both cells again.")
    try:
        problem = _difference(answer, expected, rtol)
    except _NOT_NUMBERS:
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
    """Run the reader's function and the reference on the same cases, and compare what they return.

    Args:
        name: what is asked, shown in front of the feedback
        answer: the reader's function; one whose body is `...`, that returns `...` or raises NotImplementedError is
            unanswered
        cases: tuples of arguments, copied for every call
        reference: the right function
        why: said when every case is right
        wrong: pairs of (a function that holds a misconception, the misconception)
        hint: added when the answer is wrong in no known way
        rtol: allowed difference, relative to the largest finite expected value
    """
    unanswered = Check(name, "unanswered", "Write the function above and run both cells again.")
    if _is_unanswered(answer):
        return unanswered
    if not callable(answer):
        return Check(name, "wrong", f"Expected a function, got {_describe(answer)}.")
    wrong = list(wrong)
    for case in cases:
        try:
            got = answer(*_copies(case))
        except NotImplementedError:
            return unanswered
        except Exception as error:
            return Check(name, "wrong", f"Your function stopped with {type(error).__name__}: {error}")
        if got is ... or (got is None and _is_empty(answer)):
            return unanswered
        if got is None:
            return Check(name, "wrong", "Your function returns None: does it end with a return?")
        expected = reference(*_copies(case))
        result = equal(name, got, expected, why, _outcomes(wrong, case), hint, rtol)
        if result.status != "right":
            return result
    return Check(name, "right", why)


def require(
    answer: Callable,
    cases: Sequence[tuple],
    reference: Callable,
    wrong: Iterable[tuple[Callable, str]] = (),
    hint: str = "",
    rtol: float = 1e-4,
) -> None:
    """`function` as an assertion, for the graded assignments: silent when the answer is right.

    Warnings and what the answer prints to stderr are suppressed: nbgrader would count them as a failure.

    Args:
        answer, cases, reference, wrong, hint, rtol: see `function`

    Raises:
        NotImplementedError: unanswered
        AssertionError: wrong; names the misconception or the kind of difference, never an expected value
    """
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        # as tensors, which feedback describes by their shape only
        check = function("", answer, cases, lambda *case: _numbers(reference(*case)), "", wrong, hint, rtol)
    if check.status == "unanswered":
        raise NotImplementedError
    if check.status == "wrong":
        raise AssertionError(check.text)


def choice(name: str, answer, right: str, feedback: Mapping[str, str]) -> Check:
    """Give feedback on a multiple-choice question.

    Args:
        name: what is asked, shown in front of the feedback
        answer: one of the options, as a string; case, spaces and brackets do not matter
        right: the right option
        feedback: option -> what to say to it

    Raises:
        KeyError: `right` has no feedback
    """
    reason = feedback[right]
    if _is_unanswered(answer):
        return Check(name, "unanswered", f"Replace the ... with one of {', '.join(map(repr, feedback))}.")
    options = {option.strip().lower(): option for option in feedback}
    given = options.get(answer.strip().strip("()[]. ").lower()) if isinstance(answer, str) else None
    if given is None:
        return Check(name, "wrong", f"Answer with one of {', '.join(map(repr, feedback))}, got {answer!r}.")
    if given == right:
        return Check(name, "right", reason)
    return Check(name, "wrong", feedback[given])


def _is_unanswered(answer) -> bool:
    """True for the three dots, alone or anywhere in a list, a tuple, a dict or an array of objects."""
    if isinstance(answer, np.ndarray) and answer.dtype == object:
        answer = answer.ravel().tolist()
    if isinstance(answer, dict):
        answer = list(answer.values())
    if isinstance(answer, (list, tuple)):
        return any(map(_is_unanswered, answer))
    return answer is ...


def _only_dots(): ...


def _only_a_docstring():
    """Has another bytecode than the dots: the docstring is the first of its constants."""


_EMPTY_BODIES = {_only_dots.__code__.co_code, _only_a_docstring.__code__.co_code}


def _is_empty(function: Callable) -> bool:
    """True for a body of nothing but dots, `pass`, or a docstring: its bytecode is that of an empty function."""
    code = getattr(function, "__code__", None)
    return code is not None and code.co_code in _EMPTY_BODIES


def _numbers(value) -> torch.Tensor:
    """Any form of an answer -> a tensor of float64. Raises one of `_NOT_NUMBERS`."""
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().double()
    if isinstance(value, (list, tuple)) and any(isinstance(part, (list, tuple, torch.Tensor)) for part in value):
        return torch.stack([_numbers(part) for part in value])
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError("not a number")
    return torch.as_tensor(array.astype(np.float64))


def _difference(answer, expected, rtol: float) -> str | None:
    """None when they agree, else a sentence that says how they differ. Raises one of `_NOT_NUMBERS`."""
    answer, expected = _numbers(answer), _numbers(expected)
    if answer.shape != expected.shape:
        return f"The shape is {tuple(answer.shape)}, expected {tuple(expected.shape)}."
    if answer.isnan().any() and not expected.isnan().any():
        return "The answer holds NaN (0/0, or the logarithm of a negative number?)."
    finite = expected[expected.isfinite()].abs()
    scale = finite.max().item() if len(finite) else 0.0
    if torch.allclose(answer, expected, rtol=0, atol=rtol * scale or 1e-12, equal_nan=True):
        return None
    return "The shape is right, the values are not." if expected.ndim else f"{answer.item():.6g} is not it."


def _misconception(answer, wrong: Iterable[tuple[object, str]], rtol: float) -> str | None:
    """The name of the first misconception that leads to this answer."""
    for value, text in wrong:
        with contextlib.suppress(*_NOT_NUMBERS):
            if _difference(answer, value, rtol) is None:
                return text
    return None


def _outcomes(wrong: Iterable[tuple[Callable, str]], case: tuple) -> Iterator[tuple[object, str]]:
    """What each misconception returns for this case; one that fails on it is left out."""
    for misconception, text in wrong:
        with contextlib.suppress(Exception):
            yield misconception(*_copies(case)), text


def _describe(value) -> str:
    """The shape and kind of an array, else the value and its kind."""
    kind = type(value).__name__
    shape = getattr(value, "shape", None)
    return f"{value!r} ({kind})" if shape is None else f"{kind} of shape {tuple(shape)}"


def _copies(case: tuple) -> tuple:
    """Fresh arguments for each call: a function may change what it is given."""
    try:
        return copy.deepcopy(case)
    except RuntimeError:  # tensors inside a graph cannot be deep-copied
        return tuple(part.detach().clone() if isinstance(part, torch.Tensor) else part for part in case)
