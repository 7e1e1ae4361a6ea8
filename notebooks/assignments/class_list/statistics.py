"""A page about the class: points in all and an exercise, and how often each test said what."""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import jinja2
import nbformat
import pandas as pd
from matplotlib.figure import Figure

from collector.cells import EXERCISE, plain

from .files import replacing
from .people import NOTHING

NUMBER = re.compile(r"-?\d+(\.\d+)?(e-?\d+)?")  # messages that differ in numbers are counted together
BINS = 10


def write_page(rows: list[dict], course: Path, path: Path) -> Path:
    """Write a page about every assignment of grades.csv: one HTML file that names no student and runs no script."""
    table = pd.DataFrame(rows)
    places = zip(table["student"], table["assignment"], strict=True)
    table["notebook"] = [course / "autograded" / student / name / f"{name}.ipynb" for student, name in places]
    table["graded"] = (table["points"] != "") & table["notebook"].map(Path.is_file)
    names = table.loc[table["graded"], "assignment"].unique()
    assignments = [_assignment(name, table[table["assignment"] == name]) for name in names]
    template = Path(__file__).with_name("statistics.html.j2").read_text(encoding="utf-8")
    with replacing(path) as file:
        page = jinja2.Environment(autoescape=True).from_string(template)
        file.write(page.render(assignments=assignments).encode())
    return path


def _assignment(name: str, table: pd.DataFrame) -> dict:
    """What the template says of an assignment."""
    graded, nothing = table[table["graded"]], (table["reason"] == NOTHING).sum()
    cells = pd.DataFrame(cell for notebook in graded["notebook"] for cell in _graded_cells(notebook))
    points, of = graded["points"].astype(float), float(graded["of"].iloc[-1])
    last = cells[cells["notebook"] == cells["notebook"].iloc[-1]]
    exercises = []
    for exercise, most in last.groupby("exercise", sort=False)["of"].sum().items():
        got = pd.to_numeric(graded[f"{name}: {exercise}"]).fillna(0)
        counts = {"none": (got == 0).sum(), "full": (got >= most).sum()}
        exercises.append({"exercise": exercise, "mean": got.mean(), "of": most} | counts)
    said = cells[cells["message"] != ""]
    said = said.groupby(["exercise", said["message"].str.replace(NUMBER, "#", regex=True)], sort=False)
    said = said.agg(students=("notebook", "nunique"), message=("message", "first"), exercise=("exercise", "first"))
    return {
        "name": name,
        "graded": len(graded),
        "others": {"handed in nothing": nothing, "could not be graded": len(table) - len(graded) - nothing},
        "late": graded["notes"].str.startswith("late").sum(),
        "waiting": (pd.to_numeric(graded["to mark"]) > 0).sum(),
        "mean": points.mean(),
        "median": points.median(),
        "of": of,
        "histogram": _histogram(points, of),
        "exercises": exercises,
        "said": said.sort_values("students", ascending=False, kind="stable").to_dict("records"),
    }


def _graded_cells(notebook: Path) -> Iterator[dict]:
    """Test cells and written parts of a graded notebook, with the error that the test ended in."""
    for cell in nbformat.read(notebook, 4).cells:
        facts = cell.metadata.get("nbgrader", {})
        if facts.get("grade"):
            error = next((o for o in cell.get("outputs", []) if o.output_type == "error"), None)
            said = f"(ended with {error.ename})" if error and error.ename != "AssertionError" else ""
            message = said or (plain(error.evalue) or "(no message)" if error else "")
            exercise = EXERCISE.sub(r"\1", facts.grade_id)
            yield {"notebook": notebook, "exercise": exercise, "of": facts.points, "message": message}


def _histogram(points: pd.Series, of: float) -> dict[str, str]:
    """A picture in a page, and its description in words."""
    figure, image = Figure(figsize=(7, 2.6), layout="constrained"), io.BytesIO()
    axes = figure.subplots()
    counts, edges, _ = axes.hist(
        points, bins=BINS, range=(0, max(of, points.max())), color="#4477aa", edgecolor="white"
    )
    axes.set(xlabel="points", ylabel="students")
    axes.yaxis.get_major_locator().set_params(integer=True)
    figure.savefig(image, format="svg", metadata={"Date": None})
    words = ", ".join(
        f"{low:g} to {high:g}: {n:g}" for low, high, n in zip(edges, edges[1:], counts, strict=False) if n
    )
    source = "data:image/svg+xml;base64," + base64.b64encode(image.getvalue()).decode()
    return {"source": source, "alt": f"Histogram: points, and how many students have them. {words}."}
