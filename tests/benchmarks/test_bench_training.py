"""The price of the training loop, kept under its limit."""

import pytest
from bench_training import main


@pytest.mark.slow
def test_the_loop_costs_at_most_a_tenth_of_the_bare_steps(capsys):
    # machines are noisy: once more, and longer
    assert main(3) == 0 or main(9) == 0, capsys.readouterr().out
    assert "the loop costs" in capsys.readouterr().out
