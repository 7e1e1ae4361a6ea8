"""Lessons as their readers use them: with right answers, with moved sliders, on a folder that cannot be written to."""

import shutil
import warnings

import driven
import nbformat
import pytest
import tried
from lessons import LESSONS, OTHERS, code_cells, name, read, run, solution, tagged, texts

import drawn_world

lesson = pytest.mark.parametrize("path", LESSONS, ids=name)

MOVE_EVERYTHING = """
moved = 0
for panel in [value for value in globals().values() if type(value).__name__ == "VBox"]:
    for number, track in [row.children for row in panel.children if type(row).__name__ == "HBox"]:
        assert number.description, "a slider needs a visible label"
        for value in (track.min, track.max):
            track.value = value
            assert number.value == value
            moved += 1
print("moved", moved)
"""


def errors(notebook) -> list[str]:
    """Errors in cells, and those that a widget's callback shows instead of raising."""
    found = [o.evalue for cell in code_cells(notebook) for o in cell.outputs if o.output_type == "error"]
    states = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    for widget in states.values():
        for output in widget["state"].get("outputs", []):
            if output["output_type"] == "error" or output.get("name") == "stderr":
                found.append(str(output))
    return found


@pytest.fixture
def nothing_there(tmp_path, monkeypatch):
    """No pretrained weights, no network, a cache folder that does not exist and cannot be made."""
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    monkeypatch.setenv("CAM_CACHE", str(blocked / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    monkeypatch.setenv("CAM_OFFLINE", "1")


def train_anew() -> None:
    """Forget what lessons keep of their trainings: a finished run is only read."""
    with warnings.catch_warnings(action="ignore"):  # the folder is not the usual one
        folder = drawn_world.cache.writable_folder()
    for kept in folder.glob("lesson_*") if folder else ():
        shutil.rmtree(kept)


def answered(path):
    """The lesson with every solution in its exercise, and every slider moved to both ends."""
    notebook = read(path)
    answers = [solution(cell) for cell in tagged(notebook, "solution")]
    for cell, answer in zip(tagged(notebook, "exercise"), answers, strict=True):
        cell.source = answer
    notebook.cells.append(nbformat.v4.new_code_cell(MOVE_EVERYTHING))
    if shows_the_explorer(path):
        notebook.cells.append(nbformat.v4.new_code_cell(driven.DRIVE))
    return notebook


def shows_the_explorer(path) -> bool:
    return path.stem.startswith("04") and not OTHERS


# Number of a lesson -> texts of its cells, and what the slow test below has there instead: most of its minutes. The
# claims that stay asked hold with room, those of the main training with two seeds. `execute.py` runs all of a lesson,
# and asks for every claim, whenever it is written.
SHORTER = {
    "01": [("for seed in range(3)", "for seed in range(1)")],
    "03": [
        ("recipe = training.PRESETS[PRESET]", "recipe = training.PRESETS[PRESET].but(size=48, epochs=10)"),
        ("n=recipe.n, size", 'n={"train": None, "val": 500, "test": 400}[s], size'),
        ("and worse and max(worse) <=", "and max(worse, default=0) <="),  # words need not get worse in a short run
        # section 4: five networks as in the smoke run, which cannot bear the claims of their table
        ('if PRESET == "smoke" else (200, 750)', ""),
        ("nonzero()[:1000, 0]", "nonzero()[:100, 0]"),
        ("# CLAIM (full): verdicts", "# not asked: verdicts"),
        ("# CLAIM (full): level[most]", "# not asked: level[most]"),
        ("# CLAIM (full): known[20", "# not asked: known[20"),
        ('epochs = 2 if PRESET == "smoke" else 10', "epochs = 2"),  # fine-tuning
    ],
    # the two made sets, where each wrong answer differs, stay as they are
    "05": [
        (
            "(held_heat, held_out.boxes, heat, test.boxes)",
            "(held_heat[:20], held_out.boxes[:20], heat[:40], test.boxes[:40])",
        )
    ],
    "06": [("n=120 if SMOKE else 300", "n=200"), ("n=40 if SMOKE else 100", "n=60")],
    "07": [
        ("steps=300", "steps=150"),  # of the heads that choose α
        ("RUNS = 1 if SMOKE else 3", "RUNS = 1"),
        ("alone[0.5])[1] < 0.005", "alone[0.5])[1] < 0.03"),  # one training differs from another by a point or two
    ],
    "08": [("n=80 if SMOKE else 320", "n=200")],
    "10": [("n=60 if SMOKE else 300", "n=150")],  # for the linear SVMs
    "11": [("test.images[: 60 if SMOKE else 200]", "test.images[:60]")],  # as in the smoke run, with all claims
}


def shortened(notebook, path):
    """The same notebook with the texts of SHORTER replaced, each in the one place where it stands."""
    cells = code_cells(notebook)
    for old, new in SHORTER.get(path.stem[:2], []) if not OTHERS else []:
        assert sum(cell.source.count(old) for cell in cells) == 1, f"tests/test_lessons.py, SHORTER: {old!r}"
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    return notebook


@lesson
def test_what_is_shortened_stands_in_the_lesson(path):
    """Whoever rewrites a cell hears of it here, not in the slow tests only."""
    assert (shortened(read(path), path) != read(path)) == (path.stem[:2] in SHORTER and not OTHERS)


@pytest.mark.slow
@lesson
def test_solutions_are_right_widgets_bear_their_ends_and_nothing_is_needed(path, nothing_there, monkeypatch):
    """The most that is asked of a lesson, on the machine that has least: every check says right, and why.

    The lesson takes as many pictures as its readers' do, and trains as long, but where SHORTER says otherwise;
    `make test` takes the preset `smoke`, and the photographs of other sets where they are.
    """
    monkeypatch.delenv("CAM_PRESET", raising=False)
    monkeypatch.delenv("CAM_TEST_DATA", raising=False)
    train_anew()
    notebook = shortened(answered(path), path)
    tried.add_to(notebook, path)
    done = run(notebook)
    said = tried.take_from(done)
    assert not tried.complaints(path, notebook, said)
    assert len(said) == sum(len(some) for kinds in tried.answers(path).values() for some in kinds.values())
    feedback = [line for text in texts(tagged(done, "check")) for line in text.splitlines()]
    assert len(feedback) == sum(cell.source.count("checks.") for cell in tagged(done, "check"))
    assert all("✓ Right." in line for line in feedback), feedback
    assert not errors(done)
    if shows_the_explorer(path):
        assert not driven.complaints("".join(texts([done.cells.pop()])))
    moved = int("".join(texts(done.cells[-1:])).split()[-1])  # a busy kernel sends a text in parts
    assert moved or "cam_explorer.sliders(" not in "".join(cell.source for cell in code_cells(read(path)))

    pairs = zip(code_cells(read(path)), code_cells(done), strict=False)  # the sliders' cell comes after all
    held = [pair for pair in pairs if "# NBVAL_CHECK_OUTPUT" in pair[1].source]
    fixed = [["".join(texts([cell])) for cell in pair] for pair in held]
    assert all(before == now for before, now in fixed)  # what nbval checks does not depend on weights
    said = [line for text in texts(code_cells(done)) for line in text.splitlines() if "No pretrained weights" in line]
    asks = "WeightsUnavailable as reason" in "".join(cell.source for cell in code_cells(done))  # for other networks
    assert len(said) == asks
    if path.stem.startswith("00"):
        assert any("set the environment variable CAM_CACHE" in text for text in texts(code_cells(done)))


@lesson
def test_every_exercise_is_unanswered_in_the_committed_lesson(path):
    feedback = [line for text in texts(tagged(read(path), "check")) for line in text.splitlines()]
    assert feedback and all("Not answered yet" in line for line in feedback)


@pytest.mark.skipif(bool(OTHERS), reason="about the course's own lessons")
@lesson
def test_every_exercise_has_right_and_wrong_answers_to_try(path):
    """Three forms of right ones, and four or more wrong ones that are not in the check's own list."""
    cells, held = tried.exercises(read(path)), tried.answers(path)
    assert list(held) == list(cells)
    for exercise, kinds in held.items():
        asked = tried.names_assigned(cells[exercise][0].source)
        for kind, least in (("right", 3), ("wrong", 4)):
            code = [one["answer"] for one in kinds[kind]]
            assert len(set(code)) == len(code) >= least, (exercise, kind)
            assert not [answer for answer in code if not asked <= tried.names_assigned(answer)], exercise


@pytest.mark.slow
@pytest.mark.skipif(bool(OTHERS), reason="about the course's own lesson 01")
def test_wrong_answers_name_the_misconception():
    """The first three exercises of lesson 01 with wrong answers; what comes after them is left out."""
    wrong = {
        "numbers = 1280 * 49 * 1000 + 1000": "a weight for every place",
        "greenhouse_score = 18": "divide by 9",
        "my_maps = lambda f, w: f.sum(1, keepdim=True) * w.sum(1)[:, None, None]": "before weighting",
    }
    notebook = read(LESSONS[1])
    end = next(i for i, cell in enumerate(notebook.cells) if cell.source.startswith("## 4 ·"))
    notebook.cells = notebook.cells[:end]
    for cell, answer in zip(tagged(notebook, "exercise"), wrong, strict=True):
        cell.source = answer
    feedback = texts(tagged(run(notebook), "check"))
    for said, expected in zip(feedback, wrong.values(), strict=True):
        assert "✗ Not yet." in said and expected in said
