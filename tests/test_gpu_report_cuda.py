"""On a CUDA device: every part of the GPU report that says right or wrong, in its small form."""

import pytest
import torch
from gpu_report.command import PARTS
from gpu_report.rows import Place
from gpu_report.running import run_part

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
RIGHT_OR_WRONG = list(PARTS)[: list(PARTS).index("several_cards") + 1]


@pytest.mark.parametrize("name", RIGHT_OR_WRONG)
def test_a_part_on_a_cuda_device(tmp_path, name):
    found = run_part(PARTS[name], Place("cuda", True, tmp_path), tmp_path / "log")
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert found["status"] == "ok" or (name == "several_cards" and found.get("reason")), (found, log[-3000:])
