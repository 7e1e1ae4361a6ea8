"""Lesson 09 on photographs: what it measures there, stored for readers without them.

    CAM_TEST_DATA=folder python tests/benchmarks/table_patterns.py data/photo_sets/measured

Runs the lesson's set-up cell and those tagged "photographs", with COCO's photographs in folder/coco and ICDAR's in
folder/text, and keeps its `numbers` in patterns.json and its classifier of writing in text.safetensors. Four minutes;
two where the features are cached.
"""

import datetime
import json
import os
import sys
from pathlib import Path

import nbformat
import torch
from safetensors.torch import save_file

LESSON = Path(__file__).parents[2] / "notebooks" / "09_pattern_discovery.ipynb"


def run(lesson: Path) -> dict:
    """The names that these cells make."""
    names = {}
    for number, cell in enumerate(nbformat.read(lesson, as_version=4).cells):
        if number == 1 or "photographs" in cell.metadata.get("tags", []):
            exec(compile(cell.source, f"{lesson.name}, cell {number}", "exec"), names)
    return names


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for name in ("coco", "text"):
        if not (Path(os.environ.get("CAM_TEST_DATA") or "nowhere") / name).is_dir():
            sys.exit(f"expected CAM_TEST_DATA to name a folder that holds coco and text, got none that holds {name}")
    names = run(LESSON)
    about = {
        "streets": f"{len(names['street'])} photographs of ICDAR 2015",
        "things": f"{len(names['coco'])} photographs of COCO 2017",
        "size": names["SIDE"],
        "torch": torch.__version__,
        "date": str(datetime.date.today()),
    }
    numbers = {"about": about} | {name: names["numbers"][name] for name in ("squares", "writing", "phrases", "answers")}
    target.mkdir(parents=True, exist_ok=True)
    (target / "patterns.json").write_text(json.dumps(numbers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    save_file({"weight": names["text"].weight.half(), "bias": names["text"].bias}, target / "text.safetensors")
