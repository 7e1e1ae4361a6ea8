"""The price of statistics and of the occluder, kept under their limits."""

import pytest
from bench_features import FASTER, LIMIT, main, prepare, ratio


@pytest.mark.slow
@pytest.mark.parametrize(("which", "limit"), [(0, LIMIT), (1, 1 / FASTER)])
def test_statistics_and_occluder_cost_at_most_so_much(which, limit):
    pair = prepare(300)[which]
    ratios = []
    for _ in range(3):  # machines are noisy: the best of three attempts
        ratios.append(ratio(*pair, repeats=1))
        if ratios[-1] <= limit:
            return
    pytest.fail(f"{min(ratios):.3f} at best, the limit is {limit}")


@pytest.mark.slow
def test_the_table_names_both(capsys):
    assert main(64, 1) in (0, 1)
    table = capsys.readouterr().out
    assert "forward passes" in table and "plain loop" in table
