"""Every lesson has the same parts in the same order, and its outputs come from one clean run."""

import ast
import re

import pytest
from conftest import ROOT
from execute import is_bar
from lessons import LESSONS, OTHERS, TEMPLATE, code_cells, name, read, solution, tagged
from plan import counted_minutes

FACTS = ["You will be able to", "Time", "You need", "Lecture", "Paper", "Next"]
MISLEADING = r"\b(jet|rainbow|gist_rainbow|hsv|nipy_spectral|gist_ncar|turbo)\b"
LARGEST = 1_500_000  # bytes

HELD = OTHERS or [*LESSONS, TEMPLATE]
PAGES = OTHERS or [*HELD, *sorted((ROOT / "data").glob("*.ipynb"))]

of_this_course = pytest.mark.skipif(bool(OTHERS), reason="about the course's own lessons")
lesson = pytest.mark.parametrize("path", HELD, ids=name)
page = pytest.mark.parametrize("path", PAGES, ids=name)


def markdown(notebook) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def code(notebook) -> str:
    return "\n".join(cell.source for cell in code_cells(notebook))


@of_this_course
def test_there_are_lessons():
    numbers = [p.stem[:2] for p in LESSONS]
    assert len(set(numbers)) == len(numbers) >= 9 and numbers[:7] == [f"{i:02d}" for i in range(7)]
    listed = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [p.name for p in LESSONS if f"](notebooks/{p.name})" not in listed]


@lesson
def test_title_cell_states_the_facts(path):
    title = read(path).cells[0]
    assert title.cell_type == "markdown" and title.source.startswith(f"# {path.stem[:2]} · ")
    missing = [fact for fact in FACTS if f"**{fact}**" not in title.source]
    assert not missing
    assert re.search(r"\*\*Time\*\* \d+ minutes", title.source)
    assert re.search(r"\*\*Lecture\*\* \d\d:\d\d", title.source)


@lesson
def test_second_cell_sets_up_and_installs_nothing(path):
    notebook = read(path)
    setup = notebook.cells[1]
    assert setup.cell_type == "code"
    assert "import" in setup.source and "manual_seed" in setup.source and "device" in setup.source
    imports = [cell for cell in code_cells(notebook)[1:] if re.search(r"^(import|from) ", cell.source, flags=re.M)]
    assert not imports, "imports belong in the set-up cell"
    forbidden = r"pip install|conda install|^\s*[!%]|filterwarnings|simplefilter|urlretrieve|sys\.path|pretrained="
    assert not re.findall(forbidden, code(notebook), flags=re.M)


@lesson
def test_the_preset_is_read_in_the_setup_cell_only(path):
    """`CAM_PRESET=smoke` makes the tests short; one line says so, where a reader looks for it."""
    assert not [cell.source for cell in code_cells(read(path))[1:] if "CAM_PRESET" in cell.source]


@lesson
def test_sections_ask_before_they_show(path):
    text = markdown(read(path))
    assert text.count("**Predict before you run.**") >= 1
    assert len(re.findall(r"^## ", text, flags=re.M)) >= 4
    numbers = [int(number) for number in re.findall(r"^## (\d+) ·", text, flags=re.M)]
    assert numbers == list(range(1, len(numbers) + 1)), "a section is missing, or counted twice"


@lesson
def test_exercises_come_with_a_check_and_a_folded_solution(path):
    notebook = read(path)
    parts = {tag: len(tagged(notebook, tag)) for tag in ("exercise", "check", "solution")}
    assert len(set(parts.values())) == 1, parts
    assert 3 <= parts["exercise"] - 1 <= 6, "three to six exercises, and the quiz"
    for cell in tagged(notebook, "solution"):
        assert cell.source.startswith("<details><summary>") and cell.source.rstrip().endswith("</details>")
        ast.parse(solution(cell))
    for cell in tagged(notebook, "exercise"):
        assert "..." in cell.source, "an exercise starts unanswered"


@lesson
def test_own_data_recap_quiz_and_reading_close_the_lesson(path):
    notebook = read(path)
    text = markdown(notebook)
    assert len(tagged(notebook, "own-data")) == 1
    order = [text.index(heading) for heading in ("## Your own", "## Recap", "**Further reading.**")]
    assert order == sorted(order)
    assert tagged(notebook, "check")[-1].source.count("checks.choice(") == 3


@page
def test_every_picture_has_alternative_text(path):
    pictures = [
        output
        for cell in code_cells(read(path))
        for output in cell.outputs
        if any(kind.startswith("image/") for kind in output.get("data", {}))
    ]
    assert pictures, "a lesson shows its claims"
    for output in pictures:
        alt = next(iter(output.metadata.values()), {}).get("alt", "")
        assert len(alt.split()) >= 8, alt
    assert not re.findall(r"!\[\]\(", markdown(read(path)))


@page
def test_outputs_come_from_one_clean_run(path):
    cells = code_cells(read(path))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert not [o for o in outputs if o.output_type == "error"]
    assert not [o for o in outputs if o.get("name") == "stderr"]
    assert not list(filter(is_bar, outputs)), "a bar that stands still at 0 %: run it with notebooks/tools/execute.py"
    without = [o for o in outputs if "No pretrained weights" in o.get("text", "")]
    assert not without, "run it where the pretrained weights are: readers on the web see these outputs"


@page
def test_colour_maps_do_not_mislead(path):
    assert not re.findall(MISLEADING, code(read(path)))


@page
def test_the_file_is_small_and_names_no_machine(path):
    assert path.stat().st_size < LARGEST
    content = path.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.])/(home|root|Users|tmp)/|C:\\\\|site-packages", content)


@lesson
def test_lessons_are_short_and_cells_fit_on_a_screen(path):
    notebook = read(path)
    machinery = {"exercise", "check", "solution"}
    assert len([cell for cell in notebook.cells if not machinery & set(cell.metadata.get("tags", []))]) <= 50
    open_cells = [cell for cell in code_cells(notebook) if "check" not in cell.metadata.get("tags", [])]
    tall = {cell.source.splitlines()[0]: cell.source.count("\n") + 1 for cell in open_cells}
    assert all(lines <= 42 for lines in tall.values()), {k: v for k, v in tall.items() if v > 42}


@of_this_course
@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_a_lesson_states_honest_minutes(path):
    notebook = read(path)
    stated = int(re.search(r"\*\*Time\*\* (\d+) minutes", notebook.cells[0].source)[1])
    counted = counted_minutes(notebook)
    assert counted <= stated <= min(45, counted + 10)
    assert 1 <= markdown(notebook).count("**Predict before you run.**") <= 3
    visible = [cell for cell in code_cells(notebook)[1:] if "check" not in cell.metadata.get("tags", [])]
    tall = {cell.source.splitlines()[0]: cell.source.count("\n") + 1 for cell in visible}
    assert all(lines <= 25 for lines in tall.values()), {k: v for k, v in tall.items() if v > 25}


@lesson
def test_cited_values_are_watched(path):
    """Cells marked for comparison do not depend on weights, downloads, a GPU or time."""
    for cell in code_cells(read(path)):
        if "NBVAL_CHECK_OUTPUT" in cell.source:
            assert not re.search(r"network|logits|device|perf_counter|fit\(", cell.source)


@of_this_course
def test_the_derivation_watches_its_numbers():
    marked = [c for c in code_cells(read(LESSONS[1])) if "NBVAL_CHECK_OUTPUT" in c.source]
    assert len(marked) >= 2
