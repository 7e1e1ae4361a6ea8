"""What the documents say about a term comes from one source, can be held, and the concept test has one right key."""

import re
import shutil

import plan
import pytest
import torch
from conftest import ROOT
from test_adoption import broken_links, pictured
from torch import nn
from torchvision.ops import box_iou

from cam_helpers import networks
from cam_helpers.maps import class_activation_maps

LESSONS = sorted(path.stem[:2] for path in plan.NOTEBOOKS.glob("[0-9]*.ipynb"))
QUESTIONS = (plan.NOTEBOOKS / "assignments" / "concept_test" / "questions.md").read_text(encoding="utf-8")
KEY = (plan.NOTEBOOKS / "assignments" / "concept_test" / "key.md").read_text(encoding="utf-8")
RIGHT = dict(re.findall(r"^\| (\d+) \| ([a-e]) \|", KEY, flags=re.M))

terms = pytest.mark.parametrize("term", plan.PLAN["terms"])


@pytest.mark.parametrize("page", [*plan.PAGES, plan.START], ids=lambda page: str(page.relative_to(ROOT)))
def test_tables_say_what_the_plan_and_the_first_cells_say(page):
    assert plan.written(page) == page.read_text(encoding="utf-8"), "run `make plan`"


def test_a_table_that_was_typed_over_is_written_anew(tmp_path, monkeypatch):
    copy = tmp_path / "README.md"
    shutil.copy(plan.PAGES[1], copy)
    text = copy.read_text(encoding="utf-8")
    copy.write_text(text.replace("| 3 | [03] |", "| 3 | [03], [04] |"), encoding="utf-8")
    assert copy.read_text(encoding="utf-8") != text == plan.written(copy)
    start = tmp_path / "start.md"
    start.write_text(
        re.sub(r"\| \d+ \|$", "| 7 |", plan.START.read_text(encoding="utf-8"), flags=re.M), encoding="utf-8"
    )
    monkeypatch.setattr(plan, "START", start)
    assert plan.written(start) == (ROOT / "README.md").read_text(encoding="utf-8")


@terms
def test_a_term_has_every_lesson_once_and_in_order(term):
    rows = plan.PLAN["terms"][term]["rows"]
    assert [number for row in rows for number in row["lessons"]] == LESSONS
    words = {"two": 10, "six": 6, "twelve": 12}  # a week of lessons has five days
    assert len(rows) == words[term.split()[0]]


@terms
def test_an_assignment_is_handed_out_once_after_the_lessons_that_prepare_it(term):
    read_so_far, handed_out = set(), []
    for row in plan.PLAN["terms"][term]["rows"]:
        read_so_far |= set(row["lessons"])
        if name := row.get("hand out"):
            handed_out.append(name)
            assert set(plan.prepared_by(name)) <= read_so_far, name
    assert handed_out == plan.in_order()
    assert set(handed_out) == {path.parent.name for path in plan.NOTEBOOKS.glob("assignments/source/*/*.ipynb")}


def test_every_lesson_says_what_students_can_do_and_which_pictures_to_show():
    assert list(plan.PLAN["lessons"]) == LESSONS
    for number, row in plan.PLAN["lessons"].items():
        assert len(row["can"].split()) >= 8, number
        lesson, section = row["show"].split(" §")
        assert lesson == number and section in pictured(plan.lesson(number)).values(), row["show"]


def test_memory_was_measured_for_every_lesson_and_much_of_it_is_explained(monkeypatch):
    rows = plan.memory()
    assert set(rows) <= set(LESSONS)
    much = {number for number, row in rows.items() if row["gigabytes"] > plan.MUCH}
    assert not [n for n in much if not plan.PLAN["lessons"][n].get("memory")], "plan.yaml: say why it needs so much"
    monkeypatch.setattr(plan, "MUCH", 0.1)
    monkeypatch.setattr(plan, "PLAN", {"lessons": {number: {"memory": "a reason"} for number in rows}})
    assert re.findall(r"^- \*\*(\d\d)\*\*.*: a reason\.$", plan.needs(), flags=re.M) == list(rows)
    for row in rows.values():
        assert 0.3 < row["gigabytes"] < 16 and row["seconds"] > 0 and re.search(r"\d cores", row["machine"])
    if missing := set(LESSONS) - set(rows):
        pytest.skip(f"not measured yet, so the plan says `?`: notebooks/tools/memory.py, lessons {sorted(missing)}")


def test_other_pages_state_the_same_minutes():
    minutes = [plan.minutes(plan.assignment(name)) for name in plan.in_order()]
    start = plan.START.read_text(encoding="utf-8")
    assert f"Five notebooks of {min(minutes)} to {max(minutes)} minutes" in start and len(minutes) == 5
    pages = [start, *(page.read_text(encoding="utf-8") for page in plan.PAGES)]
    assert not [text for text in pages if re.search(r"\bhours?\b.{0,40}assignment|half to two hours", text)]


def test_links_of_the_term_lead_somewhere(monkeypatch):
    assert broken_links(plan.PAGES[0]) == []
    monkeypatch.setitem(plan.PLAN["lessons"]["00"], "show", "00 §99")
    with pytest.raises(KeyError, match="00 §99"):
        plan.links()


# -- the concept test ----------------------------------------------------------------------------------------------


def options() -> list[dict[str, str]]:
    parts = re.split(r"^\*\*\d+\.\*\*", QUESTIONS, flags=re.M)[1:]
    return [dict(re.findall(r"^- \((\w)\) (.+)$", part, flags=re.M)) for part in parts]


def test_ten_questions_with_five_answers_each_and_a_key():
    assert [list(one) for one in options()] == [list("abcde")] * 10
    assert all(one["e"] == "I do not know" for one in options())
    assert list(RIGHT) == [str(n) for n in range(1, 11)] and "e" not in RIGHT.values()
    assert max(list(RIGHT.values()).count(letter) for letter in "abcd") <= 4
    for number, right in RIGHT.items():
        row = next(line for line in KEY.splitlines() if line.startswith(f"| {number} |"))
        assert re.search(r"\| (\d\d) \|", row)[1] in LESSONS
        assert set(re.findall(r"\((\w)\)", row)) == set("abcd") - {right}, (
            f"question {number}: every wrong answer has a cause"
        )


def right(number: int) -> str:
    return options()[number - 1][RIGHT[str(number)]]


def test_the_keys_numbers_are_right():
    features = torch.tensor([[[4.0, 0.0], [0.0, 0.0]], [[0.0, 2.0], [2.0, 4.0]]])[None]
    cat = class_activation_maps(features, torch.tensor([[3.0, -1.0]]))[0, 0]
    assert right(3) == f"{cat[0, 0]:.0f} and {cat.mean():.0f}"
    assert f"| {features[0, 0, 0, 0]:.0f} | {features[0, 0, 0, 1]:.0f} | | " in QUESTIONS
    iou = box_iou(torch.tensor([[0.0, 0.0, 10.0, 10.0]]), torch.tensor([[5.0, 0.0, 15.0, 10.0]])).item()
    over, under = map(int, right(8).split("/"))
    assert iou == pytest.approx(over / under)
    layers = [nn.Conv2d(3 if k == 0 else 2, 2, 3, stride=2, padding=1) for k in range(5)]
    network = nn.Sequential(*layers, nn.Conv2d(2, 2, 3, padding=1))
    finer = networks.dilate(network, 16)
    assert [net(torch.zeros(1, 3, 224, 224)).shape[-1] for net in (network, finer)] == [7, 14]
    assert right(6) == "it has 14 places in a row"
    pairs = zip(network.state_dict().values(), finer.state_dict().values(), strict=True)
    assert all(torch.equal(before, after) for before, after in pairs)


# -- commands --------------------------------------------------------------------------------------------------------

DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md", ".github/pull_request_template.md")),
    *sorted(plan.NOTEBOOKS.glob("*.md")),
    *sorted((plan.NOTEBOOKS / "assignments").glob("*.md")),
]
BARE = re.compile(r"^(?!python -m venv)(python3?|pip|pytest|jupyter|nbgrader|torchrun|ruff|pre-commit) \S")


def bare_commands(text: str) -> list[str]:
    """Commands that are not on PATH after `make`, unless the words before them say "without make" or "conda"."""
    found, said = [], ""
    for part in re.split(r"(```.*?```|(?:^ {4}.+\n)+|`[^`\n]+`)", text, flags=re.M | re.S):
        if part.startswith(("`", "    ")):
            excused = re.search(r"[Ww]ithout make|conda|%pip", said.split("\n\n## ")[-1][-400:] + part)
            lines = [line.strip(" `") for line in part.splitlines()]
            found += [] if excused else [line for line in lines if BARE.match(line)]
        said += part
    return found


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_run_after_make_and_nothing_else(page):
    assert bare_commands(page.read_text(encoding="utf-8")) == [], "write a target of make, or .venv/bin/…"


def test_a_bare_command_is_found():
    page = "Give `jupyter lab` here.\n\n    pytest -q\n\n```\n.venv/bin/python a.py\npython b.py\n```\n"
    assert bare_commands(page) == ["jupyter lab", "pytest -q", "python b.py"]
    assert bare_commands("Without make:\n\n    pip install -e .\n\nor `.venv/bin/pytest`, `make test`, `python`") == []
