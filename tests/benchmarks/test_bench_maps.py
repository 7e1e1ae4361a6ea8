"""The price of all maps, kept under its limit."""

import pytest
from bench_maps import LIMIT, main, paired, prepare


@pytest.mark.slow
def test_all_maps_cost_at_most_a_twentieth_of_a_forward_pass():
    bare, others = prepare()
    medians = []
    for _ in range(3):  # machines are noisy: the best of three attempts
        medians.append(paired(bare, others["1000 classes, CamModel"], repeats=21)[0])
        if medians[-1] <= LIMIT:
            return
    pytest.fail(f"all maps cost {min(medians):.3f} of a bare forward pass at best, the limit is {LIMIT}")


@pytest.mark.slow
def test_the_table_names_every_contender(capsys):
    assert main(repeats=2, side=64) in (0, 1)  # the numbers are the other test's
    table = capsys.readouterr().out
    assert all(name in table for name in ("CamModel", "torchcam", "captum", "pytorch-grad-cam", "bare forward pass"))
