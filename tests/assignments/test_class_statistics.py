"""The page about the class: its numbers are those of the table, it names nobody, runs nothing and loads nothing."""

from __future__ import annotations

import re

import nbformat
import pytest
import tiny_course as tiny
from bs4 import BeautifulSoup
from nbformat.v4 import new_output

from class_list import statistics
from class_list.people import NOTHING

STUDENTS = {  # points of double, largest, written-why; what the first test said
    "anna": (2, 4, 4, ""),
    "berta": (0, 4, 0, "3 is wrong: you squared"),
    "cleo": (0, 4, 1, "-7.5e3 is wrong: you squared"),
    "dörte": (0, 0, 0, "<script>alert(1)</script>"),
}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    course = tmp_path_factory.mktemp("course")
    rows = []
    for student, (*points, said) in STUDENTS.items():
        notebook = tiny.source()
        test = next(c for c in notebook.cells if c.metadata.nbgrader.grade_id == "test-double")
        if said:
            test.outputs = [new_output("error", ename="AssertionError", evalue=said, traceback=[])]
        if student == "dörte":
            last = next(c for c in notebook.cells if c.metadata.nbgrader.grade_id == "test-largest-2")
            last.outputs = [new_output("error", ename="TypeError", evalue="dörte", traceback=[])]
        path = course / "autograded" / student / tiny.NAME / f"{tiny.NAME}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)
        exercises = dict(zip(("double", "largest", "written-why"), map(str, points), strict=True))
        row = {
            "student": student,
            "assignment": tiny.NAME,
            "points": str(float(sum(points))),
            "of": "10.0",
            "reason": "",
        }
        row |= {
            "reason": "",
            "to mark": "4" if student == "berta" else "0",
            "notes": "late by 2 h" if student == "cleo" else "",
        }
        rows.append(row | {f"{tiny.NAME}: {name}": value for name, value in exercises.items()})
    nobody = dict.fromkeys(rows[0], "") | {"assignment": tiny.NAME}
    rows += [nobody | {"student": "emil", "reason": NOTHING}, nobody | {"student": "fritz", "reason": "is damaged"}]
    gone = rows[0] | {"student": "hans"}  # marked long ago: the notebook is not there any more
    rows.append(gone | {"assignment": "older"})
    rows.append(nobody | {"student": "gustav", "assignment": "?", "reason": "no notebook"})
    written = statistics.write_page(rows, course, course / "reports" / "statistics.html")
    return BeautifulSoup(written.read_text(), "html.parser")


def table(page, number: int) -> list[list[str]]:
    lines = page.find_all("table")[number].find_all("tr")[1:]
    return [[" ".join(cell.text.split()) for cell in line.find_all("td")] for line in lines]


def test_its_numbers_are_those_of_the_class(page):
    words = " ".join(page.p.find_next_sibling("p").text.split())
    assert words.startswith("4 graded (1 late), 1 handed in nothing, 1 could not be graded. Mean 4.8, median 4.5 of 10")
    assert "Written parts of 1 are not marked yet" in words
    assert [[row[0], *row[2:]] for row in table(page, 0)] == [
        ["double", "0.5", "2", "3", "1"],
        ["largest", "3.0", "4", "1", "3"],
        ["written-why", "1.2", "4", "2", "1"],
    ]
    assert [meter["value"] for meter in page.find_all("meter")] == ["0.5", "3.0", "1.25"]


def test_misconceptions_are_counted_whatever_number_the_message_holds(page):
    assert table(page, 1) == [
        ["2", "double", "3 is wrong: you squared"],
        ["1", "double", "<script>alert(1)</script>"],
        ["1", "largest", "(ended with TypeError)"],
    ]


def test_it_is_one_file_without_scripts_and_names_and_with_words_for_its_picture(page):
    assert not page.find_all(["script", "iframe", "object", "link"])
    assert "default-src 'none'" in page.find("meta", {"http-equiv": "Content-Security-Policy"})["content"]
    pictures = page.find_all("img")
    assert [p["src"].partition(",")[0] for p in pictures] == ["data:image/svg+xml;base64"]
    assert "0 to 1: 1, 4 to 5: 1, 5 to 6: 1" in pictures[0]["alt"]
    assert not [student for student in STUDENTS if re.search(student, page.text)]
