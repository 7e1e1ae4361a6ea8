"""Feedback on exercises: right, wrong in a known way, wrong in an unknown way, and not answered yet."""

import sys
import warnings

import numpy as np
import pytest
import torch

from cam_helpers import checks

EXPECTED = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
WRONG = [(EXPECTED.T, "rows and columns are swapped"), (EXPECTED / 4, "that is the mean, the sum is asked")]


def equal(answer, expected=EXPECTED, **how):
    return checks.equal("maps", answer, expected, "it is the weighted sum", WRONG, hint="Look at the first row.", **how)


@pytest.mark.parametrize(
    "answer",
    [
        EXPECTED,
        EXPECTED.tolist(),
        EXPECTED.numpy(),
        EXPECTED.double() * (1 + 1e-4),
        EXPECTED.bfloat16(),
        EXPECTED.clone().requires_grad_(),
        [(1, 2), (3, 4)],
        [torch.tensor([1, 2]), torch.tensor([3, 4])],
        [[torch.tensor(1.0, requires_grad=True), 2], [3, 4]],
    ],
    ids=lambda answer: type(answer).__name__,
)
def test_a_right_answer_in_any_form_says_why(answer):
    check = equal(answer)
    assert (check.status, check.text) == ("right", "it is the weighted sum")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (EXPECTED.T, "rows and columns are swapped"),
        ((EXPECTED / 4).tolist(), "that is the mean, the sum is asked"),
        (EXPECTED + 1, "Every value is off by the same amount: is a constant missing? Look at the first row."),
        (EXPECTED * 7, "Every value is wrong by the same factor: was a sum taken for a mean?"),
        (-EXPECTED, "The size is right, the sign is not."),
        (EXPECTED.flip(1), "The values are right, their order is not."),
        ([[1, 2], [3, 7]], "3 of 4 are right; the one at [1, 1] is too large. Look at the first row."),
        (EXPECTED[0], "The shape is (2,), expected (2, 2). Look at the first row."),
        (EXPECTED * torch.nan, "The answer holds NaN (0/0, or the logarithm of a negative number?). Look at"),
        ("1 2 3 4", "Expected numbers of shape (2, 2), got '1 2 3 4' (str). Look at the first row."),
        ([[1], [2, 3]], "got [[1], [2, 3]] (list). Look at the first row."),
        ({"a": 1}, "got {'a': 1} (dict)"),
        (3 + 1j, "got (3+1j) (complex)"),
        (None, "got None"),
        (print, "got <built-in function print>"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_wrong_answer_names_the_misconception_or_the_difference(answer, text):
    check = equal(answer)
    assert check.status == "wrong" and text in check.text


@pytest.mark.parametrize(
    "answer",
    [..., [..., ...], (..., 2), [[..., 2], [3, 4]], [[1, 2], (3, ...)], np.array([1, ...], dtype=object), {"x": ...}],
    ids=repr,
)
def test_dots_anywhere_mean_not_answered_yet(answer):
    check = equal(answer)
    assert check.status == "unanswered" and "Replace the ..." in check.text


@pytest.mark.parametrize(
    ("answer", "expected", "said"),
    [
        (7, 7.0, "why"),
        (np.float32(7), 7, "why"),
        (torch.tensor([7.0]), 7, "why"),
        ([[7]], 7, "why"),
        (7, [7.0], "why"),
        (0, 0, "why"),
        (11.99997, 12, "why"),
        (0.56, 9 / 16, "why"),
        (1280000, 1281000, "1280000 is too small."),
        (1280001, 1280000, "1280001 is too large."),
        (11, 12, "11 is too small."),
        (11.95, 12, "11.95 is too small."),
        (7.1, 7, "7.1 is too large."),
        (0.55, 0.5625, "0.55 is too small."),
        (0.011, 0, "0.011 is too large."),
        (-0.37, 0.37, "The size is right, the sign is not."),
        (37, 0.3684, "That is in percent: give a part of 1."),
        (0.37, 36.84, "That is a part of 1: give percent."),
        (100, 1, "100 is too large."),
        ([7, 8], 7, "The shape is (2,), expected ()."),
        ("7", 7, "Expected a number, got '7' (str)."),
        (None, 7, "Expected a number, got None (NoneType)."),
        (range, 7, "Expected a number, got <class 'range'> (type)."),
        (["x"] * 99, 7, "Expected a number, got a list (list)."),
        ([1, None, 3], [1, 2, 3], "Expected numbers of shape (3,), got [1, None, 3] (list)."),
        ([1, 2, 4], [1, 2, 3], "2 of 3 are right; number 3 is too large."),
        ([3, 1, 2], [1, 2, 3], "The values are right, their order is not."),
    ],
)
def test_numbers_are_right_when_rounded_and_otherwise_told_apart_without_the_expected_one(answer, expected, said):
    assert checks.equal("score", answer, expected, "why").text == said


def test_as_many_digits_are_shown_as_tell_two_numbers_apart():
    assert checks.equal("n", 11.99997, 12, "why", rtol=1e-9).text == "11.99997 is too small."
    assert checks.equal("n", 0.12345678, 0.12345679, "why", rtol=1e-12).text == "0.12345678 is too small."


def test_percent_and_part_are_both_right_where_the_question_leaves_it_open():
    for answer in (0.3684, 36.84, 37, 0.37):
        assert checks.equal("share", answer, 0.3684, "why", percent=True).status == "right"
        assert checks.equal("share", answer, 36.84, "why", percent=True).status == "right"
    assert checks.equal("share", 40, 0.3684, "why", percent=True).status == "wrong"


@pytest.mark.parametrize(
    ("answer", "said"), [(5.5725, "why"), (5.6, "why"), (5.57, "why"), (5.59, "no bias"), (5.59046, "no bias")]
)
def test_an_answer_near_both_is_right_unless_it_is_far_nearer_to_the_misconception(answer, said):
    assert checks.equal("score", answer, 5.572515, "why", [(5.590457, "no bias")]).text == said


INF, NAN = np.inf, np.nan


@pytest.mark.parametrize(
    ("answer", "expected", "status"),
    [
        ([NAN, 1], [NAN, 1], "right"),
        ([1, NAN], [NAN, 1], "wrong"),
        ([1, INF], [1, INF], "right"),
        ([1, INF, 5.001], [1, INF, 5], "right"),
        ([999, INF], [1, INF], "wrong"),
        ([1, INF, 5.1], [1, INF, 5], "wrong"),
        ([INF, 1], [1, INF], "wrong"),
        ([1, -INF], [1, INF], "wrong"),
        ([1, 1e300], [1, INF], "wrong"),
        ([1, INF], [1, 2], "wrong"),
        ([INF, NAN], [INF, NAN], "right"),
        ([NAN, INF], [INF, NAN], "wrong"),
        (INF, INF, "right"),
        (-INF, INF, "wrong"),
    ],
)
def test_infinities_and_nan_are_right_at_their_places_only(answer, expected, status):
    assert checks.equal("limits", answer, expected, "1/0").status == status
    wrong = checks.equal("limits", answer, [0.5], "1/0", wrong=[(expected, "that is 1/0")])
    assert (wrong.text == "that is 1/0") == (status == "right")


def test_the_tolerance_is_relative_to_the_largest_value():
    expected = [1000.5, 0.0]
    assert checks.equal("n", [1009.0, 9.0], expected, "why").status == "right"
    assert checks.equal("n", [1001.0, 0.5], expected, "why", rtol=1e-4).status == "wrong"


# -- functions ----------------------------------------------------------------------------------------------------

CASES = [(EXPECTED, 2.0), (torch.zeros(3), 1.0)]


def reference(x, factor):
    return x * factor


def function(answer, wrong=(), cases=CASES, reference=reference):
    return checks.function("scale", answer, cases, reference, "it is linear", wrong, hint="Try one number first.")


def no_body(x, factor): ...


def only_a_docstring(x, factor):
    """Scale x."""


def returns_dots(x, factor):
    return ...


def not_implemented(x, factor):
    raise NotImplementedError


def dots_in_a_variable(x, factor):
    scaled = ...
    return scaled


@pytest.mark.parametrize(
    "answer",
    [
        *(..., no_body, only_a_docstring, returns_dots, not_implemented, dots_in_a_variable, lambda x, factor: [...]),
        torch.no_grad()(no_body),
    ],
)
def test_a_function_without_a_body_is_not_answered_yet(answer):
    assert function(answer).status == "unanswered"


def forgets_to_return(x, factor):
    scaled = x * factor  # noqa: F841


def mentions_only(x, factor):
    x  # noqa: B018


def not_yet_on_this_machine(x, factor):
    raise NotImplementedError("no such operator here\nand fifty lines of backends")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (lambda x, factor: x + factor, "it adds"),
        (
            lambda x, factor: x - factor,
            "For x=tensor([[1., 2.], [3., 4.]]), factor=2.0: yours gives 2 at [1, 1], expected 8. Try one",
        ),
        (lambda x, factor: x * 2.004, "yours gives 8.016 at [1, 1], expected 8."),
        (
            lambda x, factor: ~x.bool() - x.bool(),
            "Subtraction, the `-` operator, with two bool tensors is not supported.",
        ),
        (lambda x, factor: x.sum(), "The shape is (), expected (2, 2). Try one number first."),
        (lambda x, factor: (x - x) / (x - x), "The answer holds NaN"),
        (lambda x, factor: 1 / 0, "Your function stopped with ZeroDivisionError: division by zero"),
        (lambda x: x, "Your function stopped with TypeError: "),
        (not_yet_on_this_machine, "Your function stopped with NotImplementedError: no such operator here"),
        (torch.no_grad()(lambda x, factor: x.sum()), "For x=tensor([[1., 2.], [3., 4.]]), factor=2.0: The shape is ()"),
        (round, "Your function stopped with "),
        (forgets_to_return, "Your function returns None: does it end with a return?"),
        (mentions_only, "Your function returns None: does it end with a return?"),
        (3, "Expected a function, got 3 (int)."),
        (None, "Expected a function, got None (NoneType)."),
    ],
)
def test_a_wrong_function_is_told_how(answer, text):
    check = function(answer, wrong=[(lambda x, factor: x + factor, "it adds")])
    assert check.status == "wrong" and text in check.text


def test_what_is_to_be_written_by_hand_may_not_be_called():
    def by_hand(x):
        return x + 1

    def calls_it(x):
        return torch.add(x, 1)

    how = {"cases": [(torch.ones(2),)], "reference": by_hand, "why": "why", "without": ["add", "torch.sub"]}
    assert checks.function("add", by_hand, **how).status == "right"
    for answer in (calls_it, torch.add, torch.no_grad()(calls_it)):
        assert checks.function("add", answer, **how).text == "Write it by hand, without add."


def test_large_arguments_are_shown_by_their_shape():
    check = function(lambda x, factor: x, cases=[(torch.ones(9, 9), [torch.ones(99)])], reference=lambda x, _: x * 2)
    assert "For x=Tensor of shape (9, 9), factor=a list: yours gives 1 at [0, 0], expected 2." in check.text


def test_a_right_function_says_why_and_every_case_counts():
    assert function(reference).text == "it is linear"
    assert function(reference).status == "right"
    assert function(lambda x, factor: x * 2).status == "right"  # true of both cases
    assert function(lambda x, factor: x * 2, cases=[*CASES, (EXPECTED, 3.0)]).status == "wrong"


def test_a_misconception_that_cannot_be_computed_is_passed_over():
    wrong = [(lambda x, factor: x.sum(7), "summed over an axis that is not there"), (lambda x, f: x + f, "it adds")]
    assert function(reference, wrong).status == "right"
    assert function(lambda x, factor: x + factor, wrong).text == "it adds"


@pytest.mark.parametrize(
    ("value", "clear"),
    [
        (torch.ones(3), torch.Tensor.zero_),
        (np.ones(3), lambda x: x.fill(0)),
        ([1, 1, 1], list.clear),
        ({"x": 1}, dict.clear),
        ([torch.ones(3)], lambda x: x[0].zero_()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_function_that_changes_its_argument_does_not_change_the_next_call(value, clear):
    def counts_and_clears(x):
        ones = str(x).count("1")
        clear(x)
        return ones

    wrong = [(lambda x: clear(x) or 0, "nothing is counted")]
    case = (value,)
    check = checks.function("ones", counts_and_clears, [case, case], lambda x: str(x).count("1"), "why", wrong)
    assert check.status == "right" and "1" in str(value)


# -- multiple choice ----------------------------------------------------------------------------------------------

FEEDBACK = {"a": "Yes, pooling is linear.", "b": "That is max pooling.", "c": "The bias has no place."}


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        ("a", "right", FEEDBACK["a"]),
        (" A\n", "right", FEEDBACK["a"]),
        ("b", "wrong", FEEDBACK["b"]),
        ("d", "wrong", "Answer with one of 'a', 'b', 'c', got 'd'."),
        (1, "wrong", "Answer with one of 'a', 'b', 'c', got 1."),
        (None, "wrong", "got None."),
        (..., "unanswered", "Replace the ... with one of 'a', 'b', 'c'."),
    ],
)
def test_choice(answer, status, text):
    check = checks.choice("quiz", answer, "a", FEEDBACK)
    assert check.status == status and text in check.text


@pytest.mark.parametrize("answer", ["A", "a", " a "])
def test_options_may_be_capital_letters(answer):
    feedback = {key.upper(): text for key, text in FEEDBACK.items()}
    assert checks.choice("quiz", answer, "A", feedback).status == "right"


def test_a_question_whose_right_answer_has_no_feedback_is_a_mistake_of_its_author():
    with pytest.raises(KeyError, match="z"):
        checks.choice("quiz", "a", "z", FEEDBACK)


# -- how it looks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "words"), [("right", "✓ Right."), ("wrong", "✗ Not yet."), ("unanswered", "… Not answered yet.")]
)
def test_the_status_is_in_words_and_announced(status, words):
    check = checks.Check("sum & <mean>", status, "because 1 < 2 & <script>alert(1)</script>")
    html = check._repr_html_()
    assert repr(check).startswith(f"sum & <mean>: {words} because 1 < 2")
    assert words in html and html.startswith('<div role="status"') and html.endswith("</div>")
    assert "<script" not in html and "<mean>" not in html and "sum &amp; &lt;mean&gt;" in html


def test_an_answer_cannot_bring_its_own_html():
    check = equal("<img src=x onerror=alert(1)>")
    assert "<img" in check.text and "<img" not in check._repr_html_()


def test_a_graded_answer_passes_in_silence_or_stops_with_the_misconception(capsys):
    cases, wrong = [(3.0,), (4.0,)], [(lambda x: x * 2, "that doubles it")]

    def warned(x):
        warnings.warn("division by zero", RuntimeWarning, stacklevel=1)
        print("halfway", file=sys.stderr)
        return x**2

    assert checks.require(warned, cases, lambda x: x**2, wrong) is None
    assert capsys.readouterr().err == ""
    with pytest.raises(AssertionError, match="that doubles it"):
        checks.require(lambda x: x + x, cases, lambda x: x**2, wrong)
    for answer in ("nine", None, [1.0, 2.0], 1 / 7):
        with pytest.raises(AssertionError) as stopped:
            checks.require(lambda _, answer=answer: answer, cases, lambda x: x**2 + 0.125)
        assert "9.1" not in str(stopped.value) and "3.0" not in str(stopped.value)
    with pytest.raises(NotImplementedError):
        checks.require(todo, cases, lambda x: x**2)


def todo(x):
    raise NotImplementedError()


class Liar(torch.Tensor):
    """Whatever is asked of it, the answer is one."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return torch.ones(3)


class AlwaysEqual:
    def __eq__(self, other):
        return True

    __hash__ = None


def with_its_own_method() -> torch.Tensor:
    value = torch.zeros(3)
    value.detach = value.double = value.cpu = lambda: torch.ones(3)
    return value


@pytest.mark.parametrize("value", [torch.zeros(3).as_subclass(Liar), with_its_own_method()], ids=["subclass", "method"])
def test_an_answer_is_compared_by_its_values_not_by_what_it_says(value):
    assert type(checks.numbers(value)) is torch.Tensor and checks.numbers(value).tolist() == [0, 0, 0]
    assert checks.equal("x", value, torch.ones(3), "yes").status == "wrong"
    assert checks.equal("x", [value, value], torch.ones(2, 3), "yes").status == "wrong"


def test_an_object_that_equals_everything_is_no_number():
    assert checks.equal("x", AlwaysEqual(), 6, "yes").status == "wrong"
    with pytest.raises(TypeError, match="not a number"):
        checks.numbers(AlwaysEqual())


def test_numbers_are_a_copy():
    value = torch.zeros(3, dtype=torch.double)
    checks.numbers(value)[0] = 1
    assert value.tolist() == [0, 0, 0]


def helper(x):
    return 2 * x


also_helper = helper


@pytest.mark.parametrize("answer", [helper, lambda x: also_helper(x)])
def test_a_helper_that_is_the_answer_is_closed_under_all_its_names(answer):
    with pytest.raises(AssertionError, match="helper does it for you: write it yourself"):
        checks.require(answer, [(3,)], helper, helpers=[helper])
    checks.require(lambda x: x + x, [(3,)], helper, helpers=[helper])
    assert helper(3) == 6


def test_a_helper_inside_another_function_can_be_closed():
    def outer(factor):
        def inner(x):
            return factor * x

        return inner

    double = outer(2)
    with checks.closed(double), pytest.raises(AssertionError, match="inner does it for you"):
        double(3)
    assert double(3) == 6


def test_an_unanswered_exercise_stays_unanswered_where_a_helper_is_closed():
    def empty(x): ...

    with pytest.raises(NotImplementedError):
        checks.require(empty, [(3,)], helper, helpers=[helper])
