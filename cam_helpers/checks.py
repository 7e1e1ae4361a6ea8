"""Feedback on exercises: not answered yet, wrong (and which misconception it looks like), or right (and why).

An exercise is a cell `answer = ...` with a check below it. The three dots mean "unanswered": the check says so and does
not stop, so that a lesson always runs from top to bottom.

>>> checks.equal("the sum", 8, 9, why="all nine values count", wrong=[(1, "that is the mean")], hint="Count again.")
the sum: ✗ Not yet. 8 is too small. Count again.

`equal` never says the expected value, but what differs: kind, shape, sign, units, place in a list. `function` shows the
arguments and both results. `require`, for graded work, says neither.
"""

from __future__ import annotations

import contextlib
import copy
import html
import inspect
import io
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

__all__ = ["Check", "choice", "closed", "equal", "function", "numbers", "require"]

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
    name: str,
    answer,
    expected,
    why: str,
    wrong: Iterable[tuple] = (),
    hint="",
    rtol: float | None = None,
    percent=False,
) -> Check:
    """Compare a number, a sequence, an array or a tensor with the expected one.

    A rounded answer that lies far nearer to a misconception than to the expected value is that misconception.

    Args:
        name: what is asked, shown in front of the feedback
        answer: the reader's answer; `...`, alone or inside a list, an array or a dict, is unanswered; where one number
            is expected, a list, an array or a tensor of one number will do
        expected: the right answer; NaN and infinities must stand at the same places
        why: said when the answer is right
        wrong: pairs of (the answer that a misconception leads to, the misconception), tried in order
        hint: added when the answer is wrong in no known way
        rtol: allowed difference, relative to the largest finite expected value; None: 1 %, so that rounded answers are
            right, and no more than rounding where the expected values are whole numbers (counts)
        percent: True takes 37 for 0.37 as well, and the other way round, where the question leaves both open
    """
    return _compare(name, answer, expected, why, wrong, hint, rtol, percent, _what_differs)


def function(
    name: str,
    answer: Callable,
    cases: Sequence[tuple],
    reference: Callable,
    why: str,
    wrong: Iterable[tuple[Callable, str]] = (),
    hint: str = "",
    rtol: float = 1e-3,
    without: Iterable[str] = (),
) -> Check:
    """Run the reader's function and the reference on the same cases, and compare what they return.

    Args:
        name: what is asked, shown in front of the feedback
        answer: the reader's function; one whose body is `...`, that returns `...` or raises NotImplementedError without
            a message is unanswered
        cases: tuples of arguments, copied for every call
        reference: the right function
        why: said when every case is right
        wrong: pairs of (a function that holds a misconception, the misconception)
        hint: added when the answer is wrong in no known way
        rtol: allowed difference, relative to the largest finite expected value
        without: names that the answer may not use, because it is to be written by hand
    """
    return _run(name, answer, cases, reference, why, wrong, hint, rtol, without, _both_values)


def require(
    answer: Callable,
    cases: Sequence[tuple],
    reference: Callable,
    wrong: Iterable[tuple[Callable, str]] = (),
    hint: str = "",
    rtol: float = 1e-4,
    helpers: Sequence[Callable] = (),
) -> None:
    """`function` as an assertion, for the graded assignments: silent when the answer is right.

    Warnings and what the answer prints to stderr are suppressed: nbgrader would count them as a failure.

    Args:
        answer, cases, reference, wrong, hint, rtol: see `function`
        helpers: functions that would be the answer; the answer may not call them, see `closed`

    Raises:
        NotImplementedError: unanswered
        AssertionError: wrong; names the misconception or the kind of difference, never an expected value
    """
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        if callable(answer) and helpers:
            answer = closed(*helpers)(answer)
        check = _run("", answer, cases, reference, "", wrong, hint, rtol, (), _no_values)
    if check.status == "unanswered":
        raise NotImplementedError
    if check.status == "wrong":
        raise AssertionError(check.text)


@contextlib.contextmanager
def closed(*helpers: Callable) -> Iterator[None]:
    """While the block runs, these Python functions raise an AssertionError that names them, whatever they are called.

    For exercises whose answer a helper would be. Also a decorator, of the answer: `closed(helper)(answer)`.
    """
    opened = [(helper, helper.__code__) for helper in map(inspect.unwrap, helpers)]
    try:
        for helper, code in opened:
            message = f"{helper.__qualname__} does it for you: write it yourself."
            refuse = compile(f"def refuse(*_, **__):\n    raise AssertionError({message!r})", "<closed>", "exec")
            body = next(part for part in refuse.co_consts if inspect.iscode(part))
            helper.__code__ = body.replace(co_freevars=code.co_freevars)
        yield
    finally:
        for helper, code in opened:
            helper.__code__ = code


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


def _compare(name, answer, expected, why, wrong, hint, rtol, percent, describe: Callable) -> Check:
    """See `equal`. describe: (given, expected, which agree), tensors of one shape -> what to say of them."""
    if _is_unanswered(answer):
        return Check(name, "unanswered", "Replace the ... above with your answer and run both cells again.")
    expected = numbers(expected)
    try:
        given = numbers(answer)
    except _NOT_NUMBERS:
        wanted = f"numbers of shape {tuple(expected.shape)}" if expected.ndim else "a number"
        return Check(
            name, "wrong", f"Expected {wanted}, got {_in_short(answer)} ({type(answer).__name__}). {hint}".rstrip()
        )
    given = given.reshape(expected.shape) if given.numel() == expected.numel() == 1 else given
    factors = (1, 100, 0.01) if percent else (1,)
    right = any(_agree(given, expected * factor, rtol).all() for factor in factors)
    if right and rtol is not None:
        return Check(name, "right", why)
    if misconception := _misconception(given, expected, wrong, rtol, further=10 if right else 1):
        return Check(name, "wrong", misconception)
    if right:
        return Check(name, "right", why)
    if given.shape != expected.shape:
        problem = f"The shape is {tuple(given.shape)}, expected {tuple(expected.shape)}."
    elif given.isnan().any() and not expected.isnan().any():
        problem = "The answer holds NaN (0/0, or the logarithm of a negative number?)."
    else:
        problem = describe(given, expected, _agree(given, expected, rtol))
    return Check(name, "wrong", f"{problem} {hint}".rstrip())


def _run(name, answer, cases, reference, why, wrong, hint, rtol, without, describe: Callable) -> Check:
    """See `function`; describe: see `_compare`."""
    unanswered = Check(name, "unanswered", "Write the function above and run both cells again.")
    if _is_unanswered(answer):
        return unanswered
    if not callable(answer):
        return Check(name, "wrong", f"Expected a function, got {_in_short(answer)} ({type(answer).__name__}).")
    code = getattr(inspect.unwrap(answer), "__code__", None)  # of the function below its decorators
    used = {getattr(answer, "__name__", ""), *getattr(code, "co_names", ())} & set(without)
    if used:
        return Check(name, "wrong", f"Write it by hand, without {' and '.join(sorted(used))}.")
    wrong = list(wrong)
    for case in cases:
        named = zip(code.co_varnames[: code.co_argcount] if code else (), case, strict=False)
        where = f"For {', '.join(f'{name}={_in_short(value)}' for name, value in named)}: "
        try:
            got = answer(*_copies(case))
        except Exception as error:
            if isinstance(error, NotImplementedError) and not str(error):
                return unanswered
            said = str(error).strip().partition("\n")[0]
            return Check(name, "wrong", f"Your function stopped with {type(error).__name__}: {said}")
        if got is ... or (got is None and _is_empty(code)):
            return unanswered
        if got is None:
            return Check(name, "wrong", "Your function returns None: does it end with a return?")
        expected = reference(*_copies(case))
        result = _compare(name, got, expected, why, _outcomes(wrong, case), hint, rtol, False, describe)
        if result.status != "right":
            known = result.status == "unanswered" or result.text in [text for _, text in wrong]
            return result if known else Check(name, "wrong", (where if describe is _both_values else "") + result.text)
    return Check(name, "right", why)


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


def _is_empty(code) -> bool:
    """True for a body of nothing but dots, `pass`, or a docstring: its bytecode is that of an empty function."""
    return code is not None and code.co_code in _EMPTY_BODIES


def numbers(value) -> torch.Tensor:
    """Any form of an answer -> a plain tensor of float64: a copy, in which no method or comparison is of its own.

    Raises one of TypeError, ValueError and RuntimeError where it is no array of numbers.
    """
    if isinstance(value, torch.Tensor):
        with torch._C.DisableTorchFunctionSubclass():  # a subclass, or a method of the instance, could answer
            value = torch.Tensor.double(torch.Tensor.cpu(torch.Tensor.detach(value)))
        if type(value) is not torch.Tensor:
            raise TypeError("not a plain tensor")
        return torch.clone(value)
    if isinstance(value, (list, tuple)) and any(isinstance(part, (list, tuple, torch.Tensor)) for part in value):
        return torch.stack([numbers(part) for part in value])
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise TypeError("not a number")
    return torch.from_numpy(array.astype(np.float64, subok=False))


def _distances(given: torch.Tensor, expected: torch.Tensor) -> torch.Tensor:
    """|given − expected|, value by value; infinite where only one is NaN or infinite, and for other shapes."""
    given = given.reshape(expected.shape) if given.numel() == expected.numel() == 1 else given
    if given.shape != expected.shape:
        return torch.tensor(torch.inf)
    same = (given == expected) | (given.isnan() & expected.isnan())
    return (given - expected).abs().nan_to_num(nan=torch.inf).masked_fill(same, 0)


def _agree(given: torch.Tensor, expected: torch.Tensor, rtol: float | None) -> torch.Tensor:
    """Which values differ by no more than `rtol` (see `equal`) allows."""
    finite = expected[expected.isfinite()]
    scale = finite.abs().max().item() if len(finite) else 0.0
    rounding = max(0.01, 1e-7 * scale) if _are_whole(expected) else 0.01 * scale
    return _distances(given, expected) <= (rounding if rtol is None else rtol * scale or 1e-12)


def _are_whole(values: torch.Tensor) -> bool:
    return bool((values.nan_to_num() == values.nan_to_num().round()).all())


def _misconception(given: torch.Tensor, expected: torch.Tensor, wrong, rtol: float | None, further: int) -> str | None:
    """The first misconception that leads to this answer; the expected value is so many times further away."""
    for value, text in wrong:
        with contextlib.suppress(*_NOT_NUMBERS):
            value = numbers(value)
            nearer = _distances(given, value).sum() * further < _distances(given, expected).sum()
            if nearer and _agree(given, value, rtol).all():
                return text
    return None


def _no_values(given: torch.Tensor, expected: torch.Tensor, right: torch.Tensor) -> str:
    """For graded work."""
    return "The shape is right, the values are not." if expected.ndim else f"{given.item():.6g} is not it."


def _both_values(given: torch.Tensor, expected: torch.Tensor, right: torch.Tensor) -> str:
    """The two results of a function, at the place where they differ most."""
    place = np.unravel_index(int(_distances(given, expected).argmax()), expected.shape)
    yours, theirs = _digits(given[place].item(), expected[place].item())
    at = f" at {[int(i) for i in place]}" if place else ""
    return f"yours gives {yours}{at}, expected {theirs}."


def _what_differs(given: torch.Tensor, expected: torch.Tensor, right: torch.Tensor) -> str:
    """Sign, units, order, or the places that are wrong; never an expected value."""
    like = [(-expected, "The size is right, the sign is not.")]
    if not _are_whole(expected):
        like += [(expected * 100, "That is in percent: give a part of 1.")]
        like += [(expected / 100, "That is a part of 1: give percent.")]
    if expected.numel() > 2:
        largest = np.unravel_index(int(expected.abs().argmax()), expected.shape)
        factor, offset = given[largest] / expected[largest], given[largest] - expected[largest]
        like += [(expected * factor, "Every value is wrong by the same factor: was a sum taken for a mean?")]
        like += [(expected + offset, "Every value is off by the same amount: is a constant missing?")]
    for value, text in like:
        if _agree(given, value, 1e-2).all():
            return text
    if expected.numel() > 1 and torch.equal(given.flatten().sort().values, expected.flatten().sort().values):
        return "The values are right, their order is not."
    place = tuple(int(i) for i in (~right).nonzero()[0])
    amount = "large" if given[place] > expected[place] else "small"
    if not place:
        return f"{_digits(given.item(), expected.item())[0]} is too {amount}."
    where = f"number {place[0] + 1}" if len(place) == 1 else f"the one at {list(place)}"
    return f"{int(right.sum())} of {right.numel()} are right; {where} is too {amount}."


def _digits(number: float, other: float) -> tuple[str, str]:
    """Both with as many digits as tell them apart, four at least: 11.99997 is not shown as 12."""
    for digits in range(4, 17):
        texts = [f"{x:.0f}" if x == x // 1 and abs(x) < 1e15 else f"{x:.{digits}g}" for x in (number, other)]
        if texts[0] != texts[1]:
            break
    return texts[0], texts[1]


def _in_short(value) -> str:
    """What is short as it is; else its kind, and its shape."""
    text, kind = " ".join(repr(value).split()), type(value).__name__
    if len(text) <= 80:
        return text
    return f"{kind} of shape {tuple(value.shape)}" if hasattr(value, "shape") else f"a {kind}"


def _outcomes(wrong: Iterable[tuple[Callable, str]], case: tuple) -> Iterator[tuple[object, str]]:
    """What each misconception returns for this case; one that fails on it is left out."""
    for misconception, text in wrong:
        with contextlib.suppress(Exception):
            yield misconception(*_copies(case)), text


def _copies(case: tuple) -> tuple:
    """Fresh arguments for each call: a function may change what it is given."""
    try:
        return copy.deepcopy(case)
    except RuntimeError:  # tensors inside a graph cannot be deep-copied
        return tuple(part.detach().clone() if isinstance(part, torch.Tensor) else part for part in case)
