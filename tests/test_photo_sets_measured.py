"""The numbers on photographs that lessons show: stored in a valid form, and what the photographs give today."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import photo_sets

SCORES = {"boxes_at_20", "max_box_acc", "peak_in_box", "top1_error", "top5_error"}
LITE0 = "efficientnet_lite0"


def test_every_score_lies_in_its_interval():
    rows = photo_sets.measured()
    about = rows.pop("about")
    assert about["photos"] > 0 and about["size"] == 224 and {"set", "torch", "date"} <= set(about)
    assert {row: set(found) for row, found in rows.items()} == {
        "fixed box": {"boxes_at_20", "max_box_acc"},
        "drawings": {"boxes_at_20", "max_box_acc"},
        "drawings, fixed box": {"boxes_at_20", "max_box_acc"},
        LITE0: SCORES,
        f"{LITE0}, dilated": SCORES,
    }
    for found in rows.values():
        for value, low, high in found.values():
            assert 0 <= low <= value <= high <= 1
        assert found["boxes_at_20"][0] <= found["max_box_acc"][0] + 0.01  # 20 % is one of its thresholds, or near one
    assert rows[LITE0]["top5_error"][0] < rows[LITE0]["top1_error"][0]


@pytest.mark.slow
def test_the_photographs_give_these_numbers(tmp_path):
    if not (Path(os.environ.get("CAM_TEST_DATA") or "nowhere") / "imagenet_val260" / "boxes.csv").is_file():
        pytest.skip("CAM_TEST_DATA names no folder that holds imagenet_val260")
    command = [sys.executable, ROOT / "tests" / "benchmarks" / "table_photos.py", "--json", tmp_path / "again.json"]
    subprocess.run(command, check=True)
    again, stored = json.loads((tmp_path / "again.json").read_text(encoding="utf-8")), photo_sets.measured()
    assert again["about"]["photos"] == stored["about"]["photos"]
    for row in (LITE0, "fixed box", "drawings", "drawings, fixed box"):
        for score, (value, *_) in stored[row].items():
            assert again[row][score][0] == pytest.approx(value, abs=0.01), (row, score)
