"""Grade a generated class in one call and say how long a submission takes; the marks are known beforehand.

    python tests/assignments/class_of_sixty.py boxes_and_scores --students 60 --workers 2
    python tests/assignments/class_of_sixty.py --time [NAME …]

Answers are drawn from the reference, the right and the wrong ones in the assignment's answers.yaml, and none; ten of
the submissions are strange. Everything is written to a temporary folder.

--time grades one submission with all answers for each assignment, and keeps what it takes of one core in
notebooks/tools/grading.json, from which `make plan` writes the table in the guide to the assignments.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from datetime import date, datetime
from pathlib import Path

import answers
import nbformat
import psutil
from nbformat.v4 import new_code_cell, new_notebook

sys.path.extend(str(Path(__file__).resolve().parents[2] / "notebooks" / name) for name in ("assignments", "tools"))
from class_list.files import replacing
from class_list.table import read_table
from grader import course as courses
from sandbox.packages import PYTHONPATH

TIMES = courses.ASSIGNMENTS.parent / "tools" / "grading.json"
DUE = datetime(2026, 12, 1, 23, 59)
ON_TIME, LATE = datetime(2026, 11, 30, 8), datetime(2026, 12, 2, 2, 9)
ABSENT = ["Zoë Nobody", "Žofie Nikdo"]
GIVEN, FAMILY = ("Dörte", "Anna", "Łukasz", "李", "Amélie", "Jörg", "राम", "Zoë"), ("Groß", "Bo", "Ångström", "O'Hara")


class Generated:
    """A class that handed in one assignment: files in `folder`, a roster, and what each is expected to get."""

    def __init__(self, course: Path, name: str, place: Path, students: int, seed: int = 46):
        self.course, self.name, self.draw = course, name, random.Random(seed)
        self.folder, self.roster = place / "handed in", place / "class.csv"
        self.folder.mkdir(parents=True)
        made = courses.prepare(course, name, place / "made")
        self.released = nbformat.read(made / "release" / name / f"{name}.ipynb", 4)
        cells = [cell for cell in courses.source(course, name).cells if "nbgrader" in cell.metadata]
        self.reference = {cell.metadata.nbgrader.grade_id: cell.source for cell in cells}
        facts = [cell.metadata.nbgrader for cell in cells]
        self.tests = {f.grade_id: f.points for f in facts if f.grade and not f.solution}
        self.exercises = [f.grade_id for f in facts if f.solution and not f.grade]
        self.wrong, self.right = answers.read(course / "source" / name / "answers.yaml")
        self.expected: dict[str, float | str] = {}  # name -> points of the tests, or words of the reason
        people = [f"{GIVEN[k % 8]} {FAMILY[k % 4]} {k}" for k in range(students)]
        for k, person in enumerate(people):
            if k < len(STRANGE):
                STRANGE[k](self, person, k)
            else:
                self.put(f"{person}_{7000 + k}_assignsubmission_file_", *self.answered(person))
        lines = [f"Participant {7000 + k},{person},{4000 + k}," for k, person in enumerate([*people, *ABSENT])]
        self.roster.write_text("\n".join(["Identifier,Full name,ID number,Grade", *lines]) + "\n", encoding="utf-8")

    def answered(self, person: str, all_right: bool = False) -> tuple[nbformat.NotebookNode, float]:
        """A notebook with answers -> (notebook, points that its tests get)."""
        notebook, lost = copy.deepcopy(self.released), set()
        for cell in notebook.cells:
            exercise = cell.metadata.get("nbgrader", {}).get("grade_id")
            if exercise not in self.exercises:
                continue
            tests = [test for test in self.tests if re.fullmatch(rf"test-{re.escape(exercise)}(-\d+)?", test)]
            kind = "reference" if all_right else self.draw.choice(["reference", "right", "wrong", "wrong", "none"])
            if kind == "wrong" and self.wrong.get(exercise):
                wrong = self.draw.choice(list(self.wrong[exercise].values()))
                cell.source, lost = wrong.code, lost | set(wrong.loses or tests)
            elif kind == "right" and self.right.get(exercise):
                cell.source = self.draw.choice(list(self.right[exercise].values()))
            elif kind == "none":
                lost |= set(tests)
            else:
                cell.source = self.reference[exercise]
        self.expected[person] = sum(points for test, points in self.tests.items() if test not in lost)
        return notebook, self.expected[person]

    def put(self, entry: str, notebook, points: object = None, when: datetime = ON_TIME) -> None:
        """A folder, or a notebook where the name says so, with a date."""
        path = self.folder / entry
        if not entry.endswith((".ipynb", ".txt")):
            path.mkdir()
            path /= f"{self.name}.ipynb"
        path.write_text(notebook if isinstance(notebook, str) else nbformat.writes(notebook), encoding="utf-8")
        os.utime(path, (when.timestamp(), when.timestamp()))


# ten that are strange: the class, the name, the number of the student


def damaged(made: Generated, person: str, k: int) -> None:
    made.put(f"{person}.ipynb", '{"cells": [')
    made.expected[person] = "is damaged"


def empty(made: Generated, person: str, k: int) -> None:
    made.put(f"{person}.ipynb", new_notebook())
    made.expected[person] = "is empty"


def a_drawing(made: Generated, person: str, k: int) -> None:
    (made.folder / f"{person}.pdf").write_bytes(b"%PDF")
    made.expected[person] = "neither a notebook"


def of_another_course(made: Generated, person: str, k: int) -> None:
    made.put(f"{person}.ipynb", new_notebook(cells=[new_code_cell("1 + 1")]))
    made.expected[person] = "not a notebook of this course"


def zip_in_a_zip(made: Generated, person: str, k: int) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr(
            zipfile.ZipInfo("course/x.ipynb", ON_TIME.timetuple()[:6]), nbformat.writes(made.answered(person)[0])
        )
    with zipfile.ZipFile(made.folder / f"{person}.zip", "w") as archive:
        archive.writestr("week 1/again.zip", inner.getvalue())


def late_and_twice(made: Generated, person: str, k: int) -> None:
    made.put(f"{person} (1).ipynb", made.released, when=LATE)
    made.put(f"{person}.ipynb", *made.answered(person))


def late(made: Generated, person: str, k: int) -> None:
    made.put(f"{person}_{7000 + k}_assignsubmission_file_", *made.answered(person), when=LATE)


def tests_deleted(made: Generated, person: str, k: int) -> None:
    notebook, _ = made.answered(person)
    notebook.cells = [
        cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get("grade_id") not in made.tests
    ]
    made.put(f"{person}.ipynb.txt", notebook)


def ends_python(made: Generated, person: str, k: int) -> None:
    notebook, _ = made.answered(person, all_right=True)
    last = max(
        j for j, cell in enumerate(notebook.cells) if cell.metadata.get("nbgrader", {}).get("grade_id") in made.tests
    )
    notebook.cells.insert(last, new_code_cell("import os\nos._exit(0)"))
    made.put(f"{person}.ipynb", notebook)
    made.expected[person] -= made.tests[notebook.cells[last + 1].metadata.nbgrader.grade_id]


def much_output(made: Generated, person: str, k: int) -> None:
    notebook, points = made.answered(person, all_right=True)
    notebook.cells.append(new_code_cell("for k in range(3000):\n    print('\\x1b[31mword' * 200)"))
    made.put(f"{person}.ipynb", notebook, points)


STRANGE = (
    damaged, empty, a_drawing, of_another_course, zip_in_a_zip, late_and_twice, late, tests_deleted, ends_python,
    much_output,
)  # fmt: skip


def grade(made: Generated, workers: int, *arguments: str) -> tuple[str, float]:
    """The lecturer's command -> (what it prints, seconds)."""
    command = [
        sys.executable,
        str(courses.ASSIGNMENTS / "grader"),
        "grade",
        str(made.folder),
        "--workers",
        str(workers),
    ]
    command += ["--course", str(made.course), "--roster", str(made.roster), "--due", DUE.isoformat(), *arguments]
    start = time.perf_counter()
    env = os.environ | {"PYTHONPATH": PYTHONPATH}
    said = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout
    return said, time.perf_counter() - start


def unexpected(made: Generated) -> dict[str, tuple]:
    """name -> (expected, row) where they differ; tests only, since written parts are read by a person."""
    rows = {row["name"]: row for row in read_table(made.course / "grades.csv") if row["assignment"] in (made.name, "?")}
    wrong = {}
    for person, expected in made.expected.items():
        row = rows.pop(person, {"points": "", "reason": "no row"})
        right = expected in row["reason"] if isinstance(expected, str) else row["points"] == str(float(expected))
        if not right:
            wrong[person] = (expected, {key: row[key] for key in ("points", "reason", "notes") if key in row})
    return wrong | {name: ("nothing", row) for name, row in rows.items() if name not in ABSENT}


def generated(name: str, place: Path, students: int) -> Generated:
    """A class for one assignment of this course, in a course of its own."""
    course = place / "course"
    (course / "source").mkdir(parents=True)
    (course / "source" / name).symlink_to(courses.ASSIGNMENTS / "source" / name)
    (course / "nbgrader_config.py").write_bytes((courses.ASSIGNMENTS / "nbgrader_config.py").read_bytes())
    return Generated(course, name, place, students)


class Watch(threading.Thread):
    """`seconds`: what each process that this one starts in the meantime uses of a core. Ends when `ended` is set."""

    def __init__(self):
        super().__init__()
        self.seconds, self.ended = {}, threading.Event()
        self.earlier = set(psutil.Process().children(recursive=True))

    def run(self):
        while not self.ended.wait(0.1):
            for process in set(psutil.Process().children(recursive=True)) - self.earlier:
                try:
                    used = process.cpu_times()
                    self.seconds[process] = used.user + used.system
                except psutil.Error:  # it has just ended
                    continue


def timed(name: str) -> dict:
    """Grade one submission with all answers -> seconds of one core that this takes, the day, the machine."""
    from memory import machine  # it imports torch

    watch = Watch()
    with tempfile.TemporaryDirectory() as place:
        made = generated(name, Path(place), students=0)
        made.put("Whole.ipynb", *made.answered("Whole", all_right=True))
        watch.start()
        try:
            grade(made, 1)
        finally:
            watch.ended.set()
            watch.join()
        if different := unexpected(made):
            raise RuntimeError(f"expected all points, got {different}")
    return {"seconds": round(sum(watch.seconds.values())), "day": date.today().isoformat(), "machine": machine()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help="an assignment; with --time, several, or all")
    parser.add_argument("--students", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--time", action="store_true", help="of one submission")
    given = parser.parse_args()
    if given.time:
        for name in given.names or courses.assignments(courses.ASSIGNMENTS):
            row = timed(name)
            rows = json.loads(TIMES.read_text(encoding="utf-8")) if TIMES.exists() else {}
            with replacing(TIMES) as file:
                file.write(f"{json.dumps(dict(sorted((rows | {name: row}).items())), indent=1)}\n".encode())
            print(f"{name}: {row['seconds']} s of one core", flush=True)
        return
    for name in given.names:
        with tempfile.TemporaryDirectory() as place:
            made = generated(name, Path(place), given.students)
            said, seconds = grade(made, given.workers)
            print(said)
            for person, difference in unexpected(made).items():
                print(f"not as expected: {person}: {difference}")
            each = seconds / given.students
            print(
                f"{given.students} submissions in {seconds:.0f} s on {given.workers} cores: {each:.1f} s a submission"
            )


if __name__ == "__main__":
    main()
