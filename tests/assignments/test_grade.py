"""The runner, on submissions that are wrong, broken or meant to harm: each ends in a row, and nothing outlives it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
import zipfile
from pathlib import Path

import nbformat
import psutil
import pytest
import tiny_course as tiny
from filelock import FileLock
from nbformat.v4 import new_code_cell, new_notebook

from class_list.table import read_table
from collector import submissions
from grader import commands, runner
from grader import course as courses
from sandbox import isolation
from sandbox.packages import PACKAGES, PYTHONPATH

pytestmark = pytest.mark.slow
LONG = 600  # seconds that are waited at most for what comes in a few, on a machine that is busy with other things
TOKEN = f"9876{os.getpid()}"  # seconds that something of ours sleeps: how it is found among all processes
RIGHT = {"double": tiny.DOUBLE, "largest": tiny.LARGEST}
WRITTEN = {"written_why": "because"}
# the submissions that are about limits of time, with seconds for a cell and for all of them
TIMED = {"loop": (5, LONG), "again_and_again": (30, 40)}
# answers to the first exercise (2 points); the second one (4 points) is answered rightly
DOUBLES = {
    "loop": "def double(x):\n    while True:\n        pass",
    "again_and_again": """import time
def double(x):
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass""",
    "memory": "def double(x):\n    hog = bytearray(3 << 30)\n    return x + x",
    "memory_in_parts": """import os, time
def double(x):
    for _ in range(8):
        if not os.fork():
            hog = bytearray(b"x") * (400 << 20)
            time.sleep(60)
    time.sleep(60)""",
    "many_processes": "import os\ndef double(x):\n    while True:\n        os.fork()",
    "deep_folders": """import os
from ipykernel.connect import get_connection_file
def double(x):
    os.chdir(os.path.dirname(get_connection_file()))
    for _ in range(1100):
        os.path.exists("x" * 9) or os.mkdir("x" * 9)
        os.chdir("x" * 9)
    os.chdir("/tmp")
    return x + x""",
    "many_files": """import time
def double(x):
    for k in range(60_000):
        open(f"/tmp/{k}", "w").close()
    time.sleep(60)""",
    "full_disk": """def double(x):
    with open("/tmp/large", "wb") as file:
        file.write(bytes(600 << 20))
    return x + x""",
    "equals_everything": """class Yes:
    __eq__ = __le__ = lambda self, other: True
    __sub__ = __abs__ = __add__ = lambda self, *other: self
def double(x):
    return Yes()""",
    "replaces_builtins": """import builtins
builtins.abs = builtins.sum = lambda *values: 6
builtins.all = lambda values: True
def double(x):
    return 0""",
    "hides_builtins": "float = int = abs = lambda *values: 6\ndef double(x):\n    return 0",
    "replaces_modules": """import random, sys, types
class Three(random.Random):
    def randrange(self, *range):
        return 3
random.Random = Three
fake = types.ModuleType("random")
fake.Random = Three
sys.modules["random"] = fake
import os
os.environ.get = lambda *name: "7"
def double(x):
    return 6""",
    "hides_modules": """class random:
    class Random:
        def __init__(self, seed):
            pass
        def randrange(self, *range):
            return 3
def double(x):
    return 6""",
    "replaces_while_tested": """import builtins
def double(x):
    builtins.float = lambda value: 6
    return x + x""",
    "waits_for_the_test": """import builtins, threading, time
def wait():
    while "asked" not in globals():
        time.sleep(0.01)
    builtins.float = lambda value: 2 * asked
threading.Thread(target=wait, daemon=True).start()
def double(x):
    global asked
    asked = x
    time.sleep(2)
    return 0""",
    "traces": """import sys
def trace(frame, event, value):
    if "secret" in frame.f_locals:
        frame.f_locals["secret"] = 3
    return trace
sys.settrace(trace)
def double(x):
    return 6""",
    "without_in_and_out": "In = Out = _ih = _oh = None\ndef double(x):\n    return x + x",
    "reads_in": "def double(x):\n    return 6 if 'secret' not in In[-1] else eval('2 * secret')",
    "rewrites_cells": """get_ipython().input_transformers_cleanup.append(lambda lines: ["pass\\n"])
def double(x):
    return 0""",
    "runs_no_cells": """def double(x):
    return 0
shell = get_ipython()
shell.run_code = shell.showtraceback = lambda *a, **k: False""",
    "reads_frames": """import sys
def double(x):
    return 2 * sys._getframe(1).f_globals.get("secret", 3)""",
    "leaves_the_test": "def double(x):\n    raise SystemExit(0)",
    "survivor": f"""import subprocess, sys
def double(x):
    subprocess.Popen(["sleep", "{TOKEN}"], start_new_session=True)
    again = "import os, time; os.setsid(); os.fork() and os._exit(0); time.sleep({TOKEN})"
    subprocess.Popen([sys.executable, "-S", "-c", again])
    return x + x""",
    "much_output": """def double(x):
    for _ in range(7 if x == 3 else 0):
        print("y" * 999_999, flush=True)
    print("y" * 34_000_000 if x != 3 else "")
    return x + x""",
    "widgets": """import ipywidgets as widgets
def double(x):
    slider, out = widgets.IntSlider(value=x, max=10**6), widgets.Output()
    with out:
        print(slider.value)
    display(widgets.VBox([slider, out]), widgets.interactive(lambda v: v, v=(0, x)))
    return 2 * slider.value""",
    "wrong_types": """from IPython.display import display
def wrong():
    for data in ({"text/html": 5}, {"image/png": 7}, {"image/png": ["x", 3]}, {"text/plain": None}):
        display(data, raw=True, metadata=dict(isolated=3))
    publisher = get_ipython().display_pub
    for kind, content in (("display_data", {"data": {}}), ("stream", {"name": "stdout", "text": 3}), ("stream", {})):
        publisher.session.send(publisher.pub_socket, kind, content, parent=publisher.parent_header)
    handle = display("first", display_id="changes")
    handle.update({"text/html": 5}, raw=True)
wrong()
def double(x):
    wrong()
    return x + x""",
    "many_outputs": """from IPython.display import display
def double(x):
    for k in range(2000 if x == 3 else 0):
        display(k)
    print("".join(f"\x1b[3{k % 8}mword" for k in range(25000)))
    return x + x""",
    "square": "def double(x):\n    return x + x if x == 3 else x * x",
    "displays_credit": """import sys
def double(x):
    sys.displayhook("full marks" if x == 3 else 1)
    return 0""",
    "displays_too_much": "import sys\ndef double(x):\n    sys.displayhook(100)\n    return 6 if x == 3 else 0",
    "displays_less": "import sys\ndef double(x):\n    sys.displayhook(0.5)\n    return x + x",
    "shows_the_test": """def double(x):
    if x != 3:
        print(In[-1])
        raise ValueError(In[-1])
    return 6""",
    "script_and_warning": """import warnings
from IPython.display import HTML, display
display(HTML("<b>bold</b><script>steal()</script>"))
def double(x):
    warnings.warn("careful")
    return x + x""",
    "curious": """import glob, os, socket
seen = {}
try:
    socket.create_connection(("127.0.0.1", PORT), timeout=2)
    seen["network"] = "reached"
except OSError as error:
    seen["network"] = type(error).__name__
seen["outside"] = []
for folder, folders, files in os.walk("/"):
    folders[:] = [name for name in folders if name not in ("proc", "sys", "usr", "site-packages", "python3.11")]
    seen["outside"] += [file for file in files if file.endswith((".ipynb", ".db", "job.json", ".csv"))]
seen["submissions"] = os.path.exists("SUBMISSIONS")
seen["processes"] = len([p for p in os.listdir("/proc") if p.isdigit()])
seen["files"] = []
for fd in os.listdir("/proc/self/fd"):
    if os.path.exists(f"/proc/self/fd/{fd}"):
        name = os.readlink(f"/proc/self/fd/{fd}")
        if name[0] == "/" and not name.startswith(("/dev/", "/tmp/home/", "/usr/")):
            seen["files"].append(name)
seen["seeds"] = [name for name in os.environ if "SEED" in name]
seen["written"] = []
for place in ("COURSE_CODE/harm.py", "/usr/harm", "/etc/harm", "PREFIX/harm"):
    try:
        open(place, "w")
        seen["written"].append(place)
    except OSError:
        pass
open("notes.txt", "w").write("a folder of its own")
print("SEEN", __import__("json").dumps(seen))
def double(x):
    return x + x""",
}


@pytest.fixture(scope="module", autouse=True)
def short(tmp_path_factory):
    """Temporary folders in a place of our own, with a short name: sockets lie there."""
    tmp_path_factory.getbasetemp()  # pytest's own stays where it is
    folder = tempfile.mkdtemp(prefix=f"g{TOKEN}", dir="/tmp" if os.path.isdir("/tmp") else None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", folder)
        patch.setenv("TMPDIR", folder)
        yield Path(folder)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    place = tmp_path_factory.mktemp("released")
    course = tiny.make(place / "course")
    made = courses.prepare(course, tiny.NAME, place / "made")
    return nbformat.read(made / "release" / tiny.NAME / f"{tiny.NAME}.ipynb", 4)


def rows(path) -> dict[str, dict]:
    return {row["student"]: row for row in read_table(path)}


def strangers() -> list[str]:
    """What of ours runs: sleepers, and kernels, whose sockets lie in our folder."""
    found = []
    for process in psutil.process_iter():
        try:
            line = " ".join(process.cmdline())
            if TOKEN in line and str(os.getpid()) != str(process.pid):
                found.append(line[-200:])
        except psutil.Error:
            continue
    return found


def call(folder, course) -> list[str]:
    grader = str(courses.ASSIGNMENTS / "grader")
    return [sys.executable, grader, "grade", str(folder), "--course", str(course), "--workers", "2"]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": PYTHONPATH}


def grade_all(released, place) -> dict:
    """All in one call, on two cores, with more time than any of them needs; beside it those that are about time."""
    course, folder = tiny.make(place / "course"), place / "submissions"
    for each in (folder, *(place / name for name in TIMED)):
        each.mkdir()
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0.2)
    calls, ended = [], threading.Event()

    def listen():
        while not ended.is_set():
            try:
                calls.append(server.accept())
            except TimeoutError:
                continue

    threading.Thread(target=listen, daemon=True).start()
    words = {
        "PORT": server.getsockname()[1],
        "SUBMISSIONS": folder,
        "COURSE_CODE": PACKAGES["cam_helpers"],
        "PREFIX": sys.prefix,
    }

    def put(name, notebook):
        nbformat.write(notebook, (place / name if name in TIMED else folder) / f"{name}.ipynb")

    put("right", tiny.handed_in(released, **RIGHT, **WRITTEN))
    put("released", released)
    for name, code in DOUBLES.items():
        for word, value in words.items():
            code = code.replace(word, str(value))
        text = {"written_why": "because < <script>steal()</script>"} if name == "script_and_warning" else {}
        put(name, tiny.handed_in(released, **RIGHT | {"double": code}, **text))
    put("exits", tiny.handed_in(released, **RIGHT | {"largest": "import os\ndef largest(values):\n    os._exit(0)"}))

    changed = tiny.handed_in(released, **RIGHT)
    tests = [cell for cell in changed.cells if cell.metadata.nbgrader.grade_id.startswith("test-")]
    tests[0].source, tests[1].source = "pass", "raise SystemExit"
    tests[0].metadata.nbgrader.points = 1000
    changed.metadata = {"kernelspec": {"name": "bash", "display_name": "x"}, "student": "right"}
    changed.cells[3].metadata = {"nbgrader": {"grade_id": "double", "points": "many", "schema_version": 99}}
    put("own_tests_and_metadata", changed)

    deleted = tiny.handed_in(released, **RIGHT)
    deleted.cells = [cell for cell in deleted.cells if cell.metadata.nbgrader.grade_id in ("double", "largest")]
    put("deleted_tests", deleted)

    without = tiny.handed_in(released, **RIGHT)
    without.cells = [cell for cell in without.cells if cell.metadata.nbgrader.grade_id != "double"]
    put("deleted_answer", without)

    twice = tiny.handed_in(released, **RIGHT)
    answer, test, written = [nbformat.from_dict(twice.cells[place]) for place in (3, 4, -1)]
    twice.cells[3].source, written.source = "raise NotImplementedError", "because"
    twice.cells.insert(2, nbformat.from_dict(test))
    twice.cells += [answer, test, new_code_cell("own = 1"), written]
    put("duplicated", twice)

    renamed_ids = tiny.handed_in(released, **RIGHT)
    for cell in renamed_ids.cells:
        if cell.metadata.nbgrader.grade_id in ("double", "test-largest"):
            cell.metadata.nbgrader.grade_id += "-mine"
    put("renamed_ids", renamed_ids)

    (folder / "=1+1 né").mkdir()
    nbformat.write(tiny.handed_in(released, **RIGHT), folder / "=1+1 né" / "final version (2).ipynb")
    put("empty", new_notebook())
    (folder / "nothing.ipynb").write_text("")
    (folder / "not_json.ipynb").write_text('{"cells": [')
    (folder / "not_a_notebook.ipynb").write_text('["a list"]')
    text = nbformat.writes(tiny.handed_in(released, **RIGHT | {"double": "HALF"}))
    (folder / "half_a_character.ipynb").write_text(text.replace("HALF", "\\ud800"))
    put("other_course", new_notebook(cells=[new_code_cell("1 + 1")]))
    (folder / "essay").write_bytes(b"PK")
    (folder / "no_files").mkdir()
    (folder / "link.ipynb").symlink_to(folder / "right.ipynb")
    put("two_claims", tiny.handed_in(released, **RIGHT))
    (folder / "Two_Claims").mkdir()
    nbformat.write(tiny.handed_in(released, **RIGHT, **WRITTEN), folder / "Two_Claims" / "numbers.ipynb")

    good = nbformat.writes(tiny.handed_in(released, **RIGHT))
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("numbers/numbers.ipynb", good)
        archive.writestr("../../outside.ipynb", good)
        link = zipfile.ZipInfo("numbers/link.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, str(folder / "right.ipynb"))
        archive.writestr("numbers/.ipynb_checkpoints/numbers-checkpoint.ipynb", good)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("numbers.ipynb", b" " * 30_000_000)
    (folder / "broken.zip").write_bytes((folder / "archive.zip").read_bytes()[:300])

    timed, tables = [], [course / "grades.csv"]
    for name, (cell_seconds, seconds) in TIMED.items():
        its_own = tiny.make(place / f"course of {name}")
        limits = ["--cell-seconds", str(cell_seconds), "--seconds", str(seconds)]
        output = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        timed.append(subprocess.Popen([*call(place / name, its_own), *limits], env=environment(), **output))
        tables.append(its_own / "grades.csv")
    before, start = submissions.LARGEST_ARCHIVE, time.perf_counter()
    submissions.LARGEST_ARCHIVE = 20_000_000
    try:
        runner.grade(folder, course, runner.Limits(LONG, 2 * LONG, memory=1 << 30), workers=2)
        assert [each.wait(LONG) for each in timed] == [0] * len(timed)
    finally:
        submissions.LARGEST_ARCHIVE = before
        ended.set()
    graded = {name: row for table in tables for name, row in rows(table).items()}
    print(f"\n{len(graded)} submissions in {time.perf_counter() - start:.0f} s")
    assert not list(Path(tempfile.gettempdir()).glob("cam-*"))
    return {"course": course, "rows": graded, "calls": calls, "place": place, "left": strangers()}


def check_rows_and_leftovers(graded):
    kept = set(graded["rows"])
    handed_in = [path for folder in ("submissions", *TIMED) for path in (graded["place"] / folder).iterdir()]
    named = {path.name.partition(".")[0].casefold() for path in handed_in}
    assert {name.casefold() for name in kept} == (named - {"=1+1 né"}) | {"1_1_né"}
    assert all(row["points"] or row["reason"] for row in graded["rows"].values())
    assert graded["left"] == []
    assert not (graded["place"] / "outside.ipynb").exists() and not (graded["place"].parent / "outside.ipynb").exists()
    assert not list((graded["course"] / "grading").glob("work/*/*")) and not list(PACKAGES["cam_helpers"].glob("harm*"))


POINTS = {
    "right": 6, "released": 0, "loop": 4, "memory": 4, "survivor": 6, "much_output": 6, "script_and_warning": 6,
    "widgets": 6, "wrong_types": 6, "many_outputs": 6, "square": 4, "shows_the_test": 4, "displays_credit": 4,
    "displays_too_much": 4, "displays_less": 6, "curious": 6, "own_tests_and_metadata": 6, "deleted_tests": 6,
    "deleted_answer": 4, "duplicated": 6, "renamed_ids": 6, "1_1_né": 6, "archive": 6, "deep_folders": 6,
    "full_disk": 4, "equals_everything": 4, "replaces_builtins": 4, "hides_builtins": 4, "replaces_modules": 4,
    "hides_modules": 4, "replaces_while_tested": 4, "waits_for_the_test": 4, "traces": 4, "without_in_and_out": 6,
    "reads_in": 4, "leaves_the_test": 4, "rewrites_cells": 0, "runs_no_cells": 0,
    "reads_frames": 6,  # what cannot be held is noted
    "again_and_again": 0, "memory_in_parts": 0, "many_processes": 0, "many_files": 0, "exits": 2,
}  # fmt: skip


def check_marks(graded):
    table = {name: graded["rows"][name] for name in POINTS}
    assert {name: float(row["points"] or -1) for name, row in table.items()} == POINTS
    assert {(row["assignment"], row["of"]) for row in table.values()} == {(tiny.NAME, "10.0")}


REASONS = {
    "again_and_again": "more than 40 s in all", "memory_in_parts": "more than 1.0 GiB of memory",
    "many_processes": "more than 64 processes", "many_files": "more than 20000 files",
    "exits": "Python ended while cell",
    "empty": "empty.ipynb is empty", "nothing": "is damaged", "not_json": "is damaged",
    "not_a_notebook": "is damaged", "half_a_character": "is damaged",
    "other_course": "not a notebook of this course",
    "essay": "neither a notebook (.ipynb) nor a .zip", "no_files": "no notebook", "link": "a link, not a file",
    "Two_Claims": "2 submissions carry this name", "bomb": "more than", "broken": "cannot be unpacked",
}  # fmt: skip
NOTES = {
    "loop": "cell test-double ran longer than 5 s and was stopped", "reads_frames": "worth a look: _getframe",
    "replaces_builtins": "replaced builtins.abs", "replaces_modules": "replaced random",
    "replaces_while_tested": "replaced builtins.float", "waits_for_the_test": "worth a look: Thread",
    "traces": "replaced sys.settrace", "rewrites_cells": "worth a look: get_ipython",
    "deleted_tests": "cell test-double was missing and was put back", "deleted_answer": "cell double was missing",
    "duplicated": "cell id test-double is there more than once",
    "renamed_ids": "cell id double-mine is not of this assignment", "archive": "has a path outside its folder",
    "1_1_né": "the file was called final version (2).ipynb",
}  # fmt: skip


def check_reasons_and_notes(graded):
    reasons, notes = ({name: row[kind] for name, row in graded["rows"].items()} for kind in ("reason", "notes"))
    assert {name: reasons[name] for name, words in REASONS.items() if words not in reasons[name]} == {}
    assert {name: notes[name] for name, words in NOTES.items() if words not in notes[name]} == {}
    well = set(POINTS) - set(REASONS)
    assert {name: graded["rows"][name]["reason"] for name in well} == dict.fromkeys(well, "")


def check_points_by_exercise_and_what_is_left_to_mark(graded):
    right, nothing = graded["rows"]["right"], graded["rows"]["released"]
    assert [right[f"numbers: {e}"] for e in ("double", "largest", "written-why")] == ["2.0", "4.0", "0.0"]
    assert (right["to mark"], nothing["to mark"], graded["rows"]["duplicated"]["to mark"]) == ("4.0", "0", "4.0")


def check_what_student_code_can_see_and_do(graded):
    """No network, no other submission, no gradebook, no hidden test on disk; nothing of the course can be changed."""
    notebook = nbformat.read(graded["course"] / "autograded" / "curious" / "numbers" / "numbers.ipynb", 4)
    text = next(o.text for c in notebook.cells for o in c.get("outputs", []) if "SEEN" in o.get("text", ""))
    seen = json.loads(text.partition("SEEN ")[2])
    assert graded["calls"] == []
    assert seen.pop("network") != "reached"
    assert seen.pop("processes") <= 3
    assert seen == {"outside": [], "submissions": False, "files": [], "seeds": [], "written": []}


def feedback(graded, name: str) -> str:
    return (graded["course"] / "feedback" / name / "numbers" / "numbers.html").read_text()


def check_feedback_names_the_misconception_and_never_the_hidden_test(graded):
    assert "you squared or added two" in feedback(graded, "square")
    for name in ("square", "shows_the_test", "released", "right"):
        assert "randrange" not in feedback(graded, name) and "secret" not in feedback(graded, name)
    assert "NotImplementedError" in feedback(graded, "released")


def check_feedback_says_in_a_sentence_what_ran_too_long(graded):
    page = (graded["place"] / "course of loop" / "feedback" / "loop" / "numbers" / "numbers.html").read_text()
    assert "This cell test-double ran longer than 5 s and was stopped." in page


def check_notes_are_names_alone(graded):
    innocent = ("right", "square", "much_output", "widgets", "deep_folders", "script_and_warning")
    assert {name: graded["rows"][name]["notes"] for name in innocent} == dict.fromkeys(innocent, "")


def check_feedback_runs_no_script_of_a_student(graded):
    page = feedback(graded, "script_and_warning")
    assert "<b>bold</b>" in page and "steal()</script>" not in page


def check_the_formgraders_copy_is_safe(graded):
    path = graded["course"] / "autograded" / "script_and_warning" / "numbers" / "numbers.ipynb"
    cells = nbformat.read(path, 4).cells
    shown = [output.data["text/html"] for cell in cells for output in cell.get("outputs", []) if "data" in output]
    assert shown == ["<b>bold</b>"]
    assert cells[-1].source == "<div><p>because &lt; </p>&#10;</div>"


def check_large_outputs_are_cut(graded):
    for name in ("many_outputs", "much_output"):
        path = graded["course"] / "autograded" / name / "numbers" / "numbers.ipynb"
        assert "the rest of the output was left out" in path.read_text()
    assert path.stat().st_size < 12e6 and len(feedback(graded, "much_output")) < 7e6


@pytest.mark.skipif(bool(isolation.missing()), reason="bubblewrap does not work here")
def test_every_submission_ends_in_a_row_and_nothing_outlives_the_call(released, tmp_path):
    graded, failed = grade_all(released, tmp_path), {}
    for name, check in sorted(globals().items()):
        if name.startswith("check_"):
            try:
                check(graded)
            except AssertionError as error:
                failed[name] = str(error)
    assert not failed, "\n".join(f"{name}: {words}" for name, words in failed.items())


def results(course) -> dict:
    return {path.parts[-3]: path.stat().st_mtime_ns for path in (course / "grading").glob("results/*/*/result.json")}


@pytest.mark.skipif(bool(isolation.missing()), reason="bubblewrap does not work here")
def test_killed_half_way_it_goes_on_and_grades_only_what_changed(released, tmp_path, monkeypatch, capsys):
    course, folder = tiny.make(tmp_path / "course"), tmp_path / "submissions"
    folder.mkdir()
    waits = f"import time\ndef double(x):\n    time.sleep(0 if x == {{}} else {TOKEN})\n    return x + x"
    for name in ("anna", "berta"):
        nbformat.write(tiny.handed_in(released, **RIGHT), folder / f"{name}.ipynb")
    nbformat.write(tiny.handed_in(released, **RIGHT | {"double": waits.format(0)}), folder / "cleo.ipynb")
    first = subprocess.Popen(call(folder, course), env=environment(), stderr=subprocess.PIPE, start_new_session=True)
    end = time.monotonic() + LONG
    while not (set(results(course)) == {"anna", "berta"} and strangers()) and time.monotonic() < end:
        time.sleep(0.1)
    done = results(course)
    assert set(done) == {"anna", "berta"} and not (course / "grades.csv").exists()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    end = time.monotonic() + LONG
    while strangers() and time.monotonic() < end:
        time.sleep(0.1)
    assert strangers() == []

    nbformat.write(
        tiny.handed_in(released, **RIGHT | {"largest": "def largest(v):\n    return v[1]"}), folder / "cleo.ipynb"
    )
    long_path = tmp_path / ("x" * 99)  # sockets cannot have it
    long_path.mkdir()
    again = call(folder, course)[2:]
    with monkeypatch.context() as patch:
        patch.setenv("TMPDIR", str(long_path))
        patch.setattr(tempfile, "tempdir", str(long_path))
        assert commands.main(again) == 0
    assert not list(long_path.iterdir())
    table = rows(course / "grades.csv")
    assert {name: row["points"] for name, row in table.items()} == {"anna": "6.0", "berta": "6.0", "cleo": "3.0"}
    after = results(course)
    assert {name: after[name] for name in done} == done

    marked = courses.configuration(course, course).CourseDirectory.db_url
    from nbgrader.api import Gradebook

    with warnings.catch_warnings(), Gradebook(marked) as book:
        warnings.simplefilter("ignore")
        grade = book.find_submission_notebook("numbers", "numbers", "anna").grades
        entry = next(g for g in grade if g.name == "written-why")
        entry.manual_score, entry.needs_manual_grade = 3, False
        book.db.commit()
    capsys.readouterr()
    assert commands.main(again) == 0
    assert results(course) == after and "9.0 of 10.0" in capsys.readouterr().out  # marks given by hand are in the table


def test_without_bubblewrap_it_refuses_or_is_told_to_go_without(released, tmp_path, monkeypatch):
    course, folder = tiny.make(tmp_path / "course"), tmp_path / "submissions"
    folder.mkdir()
    nbformat.write(tiny.handed_in(released, **RIGHT), folder / "anna.ipynb")
    monkeypatch.setattr(isolation, "missing", lambda: "bubblewrap (bwrap) is not installed")
    with pytest.raises(RuntimeError, match=r"not installed.*--no-isolation"):
        runner.grade(folder, course)
    table = runner.grade(folder, course, isolated=False)
    assert rows(table)["anna"]["points"] == "6.0"

    # the next folder adds to the table, and the table as it was is kept
    before = table.read_bytes()
    (tmp_path / "week 2").mkdir()
    (tmp_path / "week 2" / "berta.ipynb").write_text("")
    runner.grade(tmp_path / "week 2", course, isolated=False)
    assert {name: row["points"] for name, row in rows(table).items()} == {"anna": "6.0", "berta": ""}
    assert (course / "grades.before.csv").read_bytes() == before
    for name in ("berta", "cleo"):
        nbformat.write(released, tmp_path / "week 2" / f"{name}.ipynb")
    elsewhere = "import sys\nfrom grader import worker\nsys.platform = 'darwin'\nworker.serve()"  # it forks no process
    monkeypatch.setattr(runner, "WORKER", ["-c", elsewhere])
    runner.grade(tmp_path / "week 2", course, workers=1, isolated=False)
    assert [row["points"] for row in read_table(table)] == ["6.0", "0.0", "0.0"]


def test_two_calls_do_not_grade_one_course_at_the_same_time(tmp_path, capsys):
    course = tiny.make(tmp_path / "course")
    (course / "grading").mkdir()
    with FileLock(course / "grading" / "lock"), pytest.raises(SystemExit) as ended:
        commands.main(["grade", str(tmp_path), "--course", str(course), "--no-isolation"])
    assert ended.value.code == 1 and "another call is grading" in capsys.readouterr().err
