"""The fast pass, kept at its ratios."""

import pytest
from bench_fast_pass import NEVER, WANTED, drawings, main, photos, ratios


@pytest.mark.slow
@pytest.mark.parametrize(("case", "wanted"), [(photos, WANTED), (drawings, dict.fromkeys(WANTED, NEVER))])
def test_the_fast_pass_is_as_many_times_as_fast(case, wanted):
    tries = []
    for _ in range(3):  # machines are noisy: the best of three attempts
        tries.append(ratios(*case(), repeats=3))
        if all(ratio >= wanted[way] for way, ratio in tries[-1].items()):
            return
    pytest.fail(f"{tries}, wanted {wanted}")


@pytest.mark.slow
def test_the_table_names_both(capsys):
    assert main(1) in (0, 1)
    table = capsys.readouterr().out
    assert "Lite0, 320 px, float32" in table and "course, 64 px, float32" in table
