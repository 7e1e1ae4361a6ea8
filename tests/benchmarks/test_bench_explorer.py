"""The price of moving something in the explorer, kept under its limit."""

import pytest
from bench_explorer import LIMIT, main, measure, prepare


@pytest.fixture(scope="module")
def prepared():
    return prepare()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["class", "threshold", "opacity", "minus", "unit off", "cell"])
def test_an_event_costs_less_than_writing_the_picture_plainly(prepared, kind):
    bare, events = prepared
    ratios = []
    for _ in range(3):  # machines are noisy: the best of three attempts
        ratios.append(measure(bare, events[kind], repeats=15)[1])
        if ratios[-1] <= LIMIT:
            return
    pytest.fail(f"{kind}: {min(ratios):.2f} of a bare PNG at best, the limit is {LIMIT}")


@pytest.mark.slow
def test_the_table_names_every_kind_of_event(capsys):
    assert main(repeats=3) in (0, 1)
    table = capsys.readouterr().out
    assert all(name in table for name in ("a bare PNG", "class", "threshold", "minus", "unit off", "cell"))
