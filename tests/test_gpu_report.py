"""The GPU report: what it prints and writes, and that one part which fails, dies or hangs does not hide the rest."""

import inspect
import json
import math
import os
import signal
import subprocess
import sys
import time
from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest
import torch
from conftest import ROOT
from gpu_report import command
from gpu_report.rows import Place, Row, Skipped, goal, must, refused_by_mps, skipped, table_line
from gpu_report.running import last_line, run_part

REPORT = [sys.executable, str(ROOT / "notebooks" / "tools" / "gpu_report")]


# -- parts that behave in every way, at the top so that another process can import them --------------------------------


def fine(place):
    yield must("a difference", 0.5, 1.0)
    yield Row("speed", 2.0, "pictures/s")


def wrong(place):
    yield must("a difference", 2.0, 1.0)
    yield goal("speed", 1.0, 3.0, "×", Place("cuda", False, place.folder))


def slower_than_hoped(place):
    yield goal("speed", 1.0, 3.0, "×", Place("cuda", False, place.folder))


def breaks(place):
    yield Row("before", 1.0)
    print("to the log")
    raise RuntimeError("first line\nCUDA error: an illegal memory access")


def lacks_a_package(place):
    yield Row("before", 1.0)
    import no_such_package_cam  # noqa: F401


def is_killed(place):
    yield Row("before", 1.0)
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(place):
    yield Row("before", 1.0)
    os._exit(3)


def hangs(place):
    yield Row("before", 1.0)
    (place.folder / "child").write_text(str(subprocess.Popen(["sleep", "60"]).pid))
    time.sleep(60)


def has_no_meaning(place):
    raise Skipped("no such memory here")
    yield


ENDS = {  # part -> status, rows that it gives, error
    fine: ("ok", 2, None),
    slower_than_hoped: ("ok", 1, None),
    has_no_meaning: ("skipped", 0, None),
    wrong: ("failed", 2, "not as it must be: a difference"),
    breaks: ("failed", 1, "RuntimeError: CUDA error: an illegal memory access"),
    lacks_a_package: ("failed", 1, "it needs the package no_such_package_cam, which is not installed here"),
    is_killed: ("failed", 1, "its process ended with signal SIGKILL (was there enough memory?)"),
    leaves: ("failed", 1, "its process ended with exit code 3"),
}


# -- rows -------------------------------------------------------------------------------------------------------------


def test_a_value_must_stay_below_its_limit_and_nan_does_not():
    assert [must("x", value, 0.5).met for value in (0.4, 0.5, 0.6, math.nan)] == [True, True, False, False]
    assert [must("x", fact).met for fact in (True, False)] == [True, False]
    assert must("x", 0.4, 0.5).required and must("x", True).value == "yes"


@pytest.mark.parametrize(
    ("device", "quick", "met"), [("cuda", False, False), ("cuda", True, None), ("cpu", False, None)]
)
def test_goals_are_judged_on_a_whole_report_of_a_gpu_only(tmp_path, device, quick, met):
    row = goal("x", 2.9, 3.0, "×", Place(device, quick, tmp_path))
    assert row.met is met and not row.required and row.asked == "≥ 3"


def test_lines_of_the_table_say_value_unit_and_verdict():
    assert table_line("loop", Row("share", 0.91239, "of it", "≥ 0.9", True)).split() == (
        ["loop", "share", "0.9124", "of", "it", "≥", "0.9:", "met"]
    )
    assert table_line("loop", must("x", 2.0, 1.0)).endswith("≤ 1: NOT MET")
    assert table_line("loop", Row("x", 2.0, "", "≥ 3", None)).endswith("≥ 3: not judged here")
    assert table_line("loop", skipped("x", "why")).endswith("skipped: why")


def test_what_an_apple_gpu_refuses_is_told_and_elsewhere_it_is_an_error(tmp_path):
    error = RuntimeError("no bfloat16 here\nbecause")
    assert refused_by_mps("bf16", error, Place("mps", False, tmp_path)) == skipped("bf16", "refused, no bfloat16 here")
    with pytest.raises(RuntimeError, match="no bfloat16"):
        refused_by_mps("bf16", error, Place("cuda", False, tmp_path))


def test_an_error_is_told_in_its_last_line():
    assert last_line(RuntimeError("a\n b \n")) == "RuntimeError: b" and last_line(KeyError()) == "KeyError"
    assert last_line(ModuleNotFoundError("x", name="accelerate")).startswith("it needs the package accelerate")


def test_the_json_is_replaced_as_a_whole_and_has_no_nan(tmp_path):
    command.write({"parts": {"x": {"rows": [{"value": math.nan}, {"value": math.inf}, {"value": 1.5}]}}}, tmp_path)
    text = (tmp_path / "gpu_report.json").read_text(encoding="utf-8")
    rows = json.loads(text, parse_constant=pytest.fail)["parts"]["x"]["rows"]
    assert [row["value"] for row in rows] == ["nan", "inf", 1.5]
    with pytest.raises(TypeError):
        command.write({"parts": object()}, tmp_path)
    assert (tmp_path / "gpu_report.json").read_text(encoding="utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == ["gpu_report.json"]


def test_every_part_gives_rows_and_says_what_it_measures():
    for name, part in command.PARTS.items():
        assert inspect.isgeneratorfunction(part) and inspect.getdoc(part), name


def test_the_device_is_named_in_words():
    facts = {"CPU cores": 16.0, "device name": "NVIDIA H100"}
    assert [command.measured_on(device, facts) for device in ("cuda", "mps", "cpu")] == [
        "NVIDIA H100", "Apple's GPU beside 16 CPU cores", "16 CPU cores",
    ]  # fmt: skip


def test_the_help_says_that_cuda_is_unproven(capsys):
    with pytest.raises(SystemExit):
        command.main(["--help"])
    assert "on CUDA and on MPS none of its parts is proven" in capsys.readouterr().out


# -- parts in processes of their own ----------------------------------------------------------------------------------


@pytest.mark.slow  # processes that import torch
@pytest.mark.parametrize("part", ENDS, ids=lambda part: part.__name__)
def test_however_a_part_ends_it_is_told(tmp_path, part):
    said = []
    found = run_part(part, Place("cpu", True, tmp_path), tmp_path / "log", said.append)
    assert (found["status"], len(found["rows"]), found.get("error")) == ENDS[part]
    assert found["rows"] == [vars(row) | {"shown": row.shown} for row in said]
    if part is has_no_meaning:
        assert found["reason"] == "no such memory here"
    if part is breaks:
        log = (tmp_path / "log").read_text(encoding="utf-8")
        assert "to the log" in log and "first line" in log and "Traceback" in log
    if found["status"] == "ok":
        assert found["seconds"] > 0 and found["peak_memory_gib"] > 0.01


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="process groups are POSIX")
def test_a_part_that_hangs_is_stopped_with_all_it_started(tmp_path):
    run_part(fine, Place("cpu", True, tmp_path), tmp_path / "log")  # the first process waits for the imports
    began = time.monotonic()
    found = run_part(hangs, Place("cpu", True, tmp_path), tmp_path / "log", lambda row: None, limit=4)
    assert found["error"] == "stopped after 4 s" and len(found["rows"]) == 1 and time.monotonic() - began < 30
    child = int((tmp_path / "child").read_text())
    for _ in range(100):  # it is gone, or waits as a zombie for a parent that does not come
        status = ROOT.joinpath("/proc", str(child), "stat")
        if not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("what the part started still runs")


@pytest.mark.slow
def test_one_part_that_fails_does_not_hide_the_rest(tmp_path, monkeypatch, capsys):
    parts = {"first": fine, "second": breaks, "third": is_killed, "fourth": fine}
    monkeypatch.setattr(command, "PARTS", parts)
    assert command.main(["--out", str(tmp_path / "new"), "--device", "cpu", "--quick"]) == 1
    report = json.loads((tmp_path / "new" / "gpu_report.json").read_text(encoding="utf-8"))
    assert {name: part["status"] for name, part in report["parts"].items()} == {
        "first": "ok", "second": "failed", "third": "failed", "fourth": "ok",
    }  # fmt: skip
    assert report["finished"] and report["device"] == "cpu" and report["quick"] and report["machine"]["CPU cores"] >= 1
    printed = capsys.readouterr().out
    assert "4 parts, 2 failed: second, third" in printed and "illegal memory access" in printed


@pytest.mark.slow
def test_a_device_that_is_not_there_is_named(tmp_path, capsys):
    device = "mps" if torch.cuda.is_available() else "cuda"
    assert command.main(["--out", str(tmp_path / "new"), "--device", device]) == 2
    said = capsys.readouterr()
    assert said.err.startswith(f"There is no {device.upper()} device here: PyTorch {torch.__version__} finds ")
    assert said.err.count("\n") == 1 and not said.out and not (tmp_path / "new").exists()


# -- the whole report -------------------------------------------------------------------------------------------------


def environment(cache):
    """As in a clone that nobody installed: no path but the report's own."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return inherited | {"CAM_CACHE": str(cache), "CAM_OFFLINE": "1"}


@pytest.mark.slow
def test_the_whole_report_on_a_cpu(tmp_path):
    began = time.monotonic()
    done = subprocess.run(
        [*REPORT, "--out", "report", "--device", "cpu", "--quick"],
        cwd=tmp_path, env=environment(tmp_path / "cache"), capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "report" / "gpu_report.json").read_text(encoding="utf-8"))
    assert list(report["parts"]) == list(command.PARTS) and report["finished"]
    assert 0 < sum(part["seconds"] for part in report["parts"].values()) <= time.monotonic() - began
    for name, part in report["parts"].items():
        assert (part["status"] == "ok" and part["rows"]) or (part["status"] == "skipped" and part["reason"]), (
            name,
            part,
        )
        assert f"{name:<14} -- {part['status']}" in done.stdout and (tmp_path / "report" / f"{name}.log").exists()
        for row in part["rows"]:
            assert f"{name:<14} {row['what']}" in done.stdout
            assert row["met"] or not row["required"], (name, row)
            assert isinstance(row["value"], str) or math.isfinite(row["value"])
    assert {name for name, part in report["parts"].items() if part["status"] == "skipped"} == {
        "memory",
        "several_cards",
    }
    measured = {row["what"]: row["value"] for row in report["parts"]["resnet50"]["rows"]}
    assert measured["+ TF32"].startswith("skipped: ") and measured["+ bf16"] > 0


@pytest.mark.parametrize("there", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_lesson_03_shows_a_stored_report_and_has_no_empty_rows_without_one(tmp_path, monkeypatch, capsys, there):
    notebook = json.loads((ROOT / "notebooks" / "03_train_on_gpu.ipynb").read_text(encoding="utf-8"))
    (code,) = ("".join(cell["source"]) for cell in notebook["cells"] if "gpu_report.json" in "".join(cell["source"])
               and cell["cell_type"] == "code")  # fmt: skip
    if there:
        monkeypatch.setattr(command, "PARTS", {"loop": fine})
        assert command.main(["--out", str(tmp_path), "--device", "cpu"]) == 0
    world = SimpleNamespace(data_folder=lambda: tmp_path / "drawn_world")
    exec(code[code.index("stored =") :], {"drawn_world": world, "json": json, "pd": pd})
    said = capsys.readouterr().out.splitlines()
    if there:
        assert f" CPU cores, {date.today().isoformat()}:" in said[-4]
        assert said[-1].split() == ["loop", "speed", "2", "pictures/s"]
    else:
        assert said == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="it has no SIGKILL")
def test_killed_half_way_what_was_measured_is_on_the_disk(tmp_path):
    code = """
from gpu_report import command
from test_gpu_report import fine, hangs
command.PARTS = {"first": fine, "second": fine, "third": hangs, "fourth": fine}
command.main(["--out", "report", "--device", "cpu", "--quick"])
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    path, began = tmp_path / "report" / "gpu_report.json", time.monotonic()
    while process.poll() is None and time.monotonic() - began < 300:
        if path.exists() and "second" in json.loads(path.read_text(encoding="utf-8"))["parts"]:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    report = json.loads(path.read_text(encoding="utf-8"))
    assert list(report["parts"]) == ["first", "second"] and not report["finished"]
    assert all(part["status"] == "ok" for part in report["parts"].values())


def test_it_says_what_to_bring_to_a_machine_without_a_registry(capsys):
    assert command.main(["--needs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = {line.partition("==")[0] for line in lines}
    assert {"numpy", "scipy", "accelerate", "psutil", "resvg-py", "ipywidgets"} <= found
    assert not found & {"torch", "torchvision", "triton", "jupyterlab"}
    assert len(found) == len(lines) and all("==" in line for line in lines)


def test_it_asks_where_the_report_goes(capsys):
    with pytest.raises(SystemExit) as left:
        command.main(["--quick"])
    assert left.value.code == 2 and "--out DIR" in capsys.readouterr().err
