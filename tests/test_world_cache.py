"""The cache of drawn pictures: shared by processes, whole or not there, and never stale."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import drawn_world
from drawn_world import cache, tasks

ROOT = Path(drawn_world.__file__).parents[1]
LOAD = "import drawn_world; a, _ = drawn_world.load_arrays('objects', 'val', n=12); print(int(a['images'].sum()))"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CAM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def load(**more):
    return drawn_world.load_arrays(**({"task": "objects", "split": "val", "n": 6} | more))[0]


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def forbid_drawing(monkeypatch):
    def fail(*_, **__):
        raise AssertionError("drawn again")

    monkeypatch.setattr(drawn_world, "draw_all", fail)


def run(code: str):
    env = dict(os.environ, PYTHONPATH=str(ROOT))
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )


def test_the_second_load_reads(folder, monkeypatch):
    first = load()
    (path,) = folder.glob("*.npz")
    assert os.name == "nt" or path.stat().st_mode & 0o044 == 0o044  # a class may share one folder
    forbid_drawing(monkeypatch)
    assert same(first, load())


@pytest.mark.parametrize("change", [{"n": 7}, {"size": 48}, {"seed": 1}, {"split": "test"}, {"difficulty": 0.5}])
def test_every_argument_is_part_of_the_key(change, folder):
    load()
    load(**change)
    assert len(list(folder.glob("*.npz"))) == 2


@pytest.mark.parametrize("task", ["objects", "scenes", "video", "concepts"])
def test_fewer_pictures_are_read_from_more_and_more_are_added_to_fewer(task, folder, monkeypatch):
    """The same bytes as when drawn whole: a picture does not depend on how many there are."""
    whole = {n: load(task=task, n=n) for n in (3, 5)}  # five: three are read, two are drawn
    assert len(list(folder.glob("*.npz"))) == 2
    for path in folder.glob("*-3x*.npz"):
        path.unlink()
    with monkeypatch.context() as patch:
        forbid_drawing(patch)
        assert same(whole[3], load(task=task, n=3))
    for path in folder.glob("*.npz"):
        path.unlink()
    assert same(whole[5], load(task=task, n=5))


def test_three_processes_fill_one_cache(folder):
    team = [run(LOAD) for _ in range(3)]
    answers = [p.communicate(timeout=120) for p in team]
    assert all(p.returncode == 0 for p in team), answers
    assert len({out for out, _ in answers}) == 1 and not any(err for _, err in answers)
    assert len(os.listdir(folder)) == 1, "one file, nothing half-written left"


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL there")
def test_killed_while_writing(folder):
    kill = (
        "import os, signal, numpy as np\nfrom drawn_world import cache\n"
        "real = np.savez\n"
        "def save(file, **arrays):\n"
        "    real(file, **arrays)\n"
        "    file.flush(); os.kill(os.getpid(), signal.SIGKILL)\n"
        "cache.np.savez = save\n" + LOAD
    )
    victim = run(kill)
    victim.communicate(timeout=60)
    assert victim.returncode == -signal.SIGKILL
    left = list(folder.iterdir())
    assert len(left) == 1 and left[0].name.startswith(".writing-") and left[0].stat().st_size > 0
    os.utime(left[0], (time.time() - 2 * 86_400,) * 2)
    healthy = run(LOAD)
    out, err = healthy.communicate(timeout=60)
    assert healthy.returncode == 0 and out.strip().isdigit() and not err
    assert [f.suffix for f in folder.iterdir()] == [".npz"], "the old ruin is swept away"


DAMAGE = {
    "empty": lambda data: b"",
    "garbage": lambda data: bytes(range(256)) * 40,
    "cut": lambda data: data[: len(data) // 2],
    "last byte missing": lambda data: data[:-1],
    "one bit": lambda data: data[:30_000] + bytes([data[30_000] ^ 1]) + data[30_001:],
    "zeroed block": lambda data: data[:20_000] + bytes(4096) + data[24_096:],
    "header": lambda data: data[:20] + b"\xff" * 60 + data[80:],
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_drawn_again_and_said_once(damage, folder):
    whole = load()
    (path,) = folder.glob("*.npz")
    good = path.read_bytes()
    path.write_bytes(DAMAGE[damage](good))
    with pytest.warns(UserWarning, match="damaged") as said:
        again = load()
    assert len(said) == 1 and "\n" not in str(said[0].message)
    assert same(whole, again) and path.read_bytes() == good


@pytest.fixture
def own_code(tmp_path, monkeypatch):
    """A copy of the package's code that a test may change, and its check sums."""
    copy = tmp_path / "code"
    copy.mkdir()
    for path in Path(tasks.__file__).parent.glob("*.py"):
        shutil.copy(path, copy)
    monkeypatch.setattr(tasks, "__file__", str(copy / "tasks.py"))

    def digests():
        tasks.code_digest.cache_clear()
        return {draw: tasks.code_digest(draw) for draw in ("objects", "radiograph", "text")}

    yield copy, digests
    tasks.code_digest.cache_clear()


def test_only_code_that_draws_a_task_redraws_it(own_code):
    code, digests = own_code
    before = digests()
    for name in ("radiograph", "compose"):
        path = code / f"{name}.py"
        path.write_text(path.read_text().replace('"""', '"""Said in other words. ', 1) + "\n# a comment\n")
    assert digests() == before
    path = code / "radiograph.py"
    path.write_text(path.read_text().replace("0.52", "0.53", 1))
    after = digests()
    assert {draw for draw in before if after[draw] != before[draw]} == {"radiograph"}
    path = code / "dice.py"
    path.write_text(path.read_text() + "\nMORE = 1\n")
    assert all(digests()[draw] != after[draw] for draw in after if draw != "radiograph")


def test_a_changed_recipe_is_drawn_anew(own_data, folder):
    before = load()
    path = own_data / "recipes" / "objects.yaml"
    path.write_text(path.read_text().replace("tilt: ", "tilt: 1"))
    assert not same(before, load())
    assert len(list(folder.glob("*.npz"))) == 2


def test_a_changed_or_added_sprite_is_drawn_anew(own_data, folder):
    scenes = load(task="scenes")
    load()
    sprite = own_data / "sprites" / "key-1.svg"
    sprite.write_text(sprite.read_text().replace("<g ", '<g opacity="0.9" ', 1))
    load()
    assert len(list(folder.glob("objects-*.npz"))) == 2
    shutil.copy(sprite, own_data / "sprites" / "key-9.svg")
    load()
    assert len(list(folder.glob("objects-*.npz"))) == 3
    assert same(scenes, load(task="scenes")) and len(list(folder.glob("scenes-*.npz"))) == 1, (
        "no keys there: still valid"
    )


def test_an_added_scene_is_drawn_anew(own_data):
    before = drawn_world.load_arrays("scenes", "val", n=2)[1]["classes"]
    shutil.copy(own_data / "recipes/scenes/office.yaml", own_data / "recipes/scenes/study.yaml")
    assert drawn_world.load_arrays("scenes", "val", n=2)[1]["classes"] == [*before, "study"]


def test_read_only_places(monkeypatch, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file is where the folder should be")
    monkeypatch.setenv("CAM_CACHE", str(blocked / "cache"))
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    with pytest.warns(UserWarning, match="kept in") as said:
        elsewhere = load()
    assert len(said) == 1 and len(list(tmp_path.glob("cam_cache_*/*.npz"))) == 1
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(blocked))
    with pytest.warns(UserWarning, match="drawn anew") as said:
        assert same(elsewhere, load())
    assert len(said) == 1


def test_a_full_disk_is_not_the_end(monkeypatch, folder):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.np, "savez", full)
    with pytest.warns(UserWarning, match="could not be kept"):
        assert len(load()["images"]) == 6
    assert list(folder.iterdir()) == []
