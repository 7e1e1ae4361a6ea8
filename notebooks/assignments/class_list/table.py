"""grades.csv: one row for each student and assignment, and it only ever grows."""

import csv
import io
import re
import shutil
from pathlib import Path

from collector.cells import plain

from .files import replacing
from .people import NOTHING

ENCODING = "utf-8-sig"  # with a mark at the beginning, by which Excel knows UTF-8; read with or without it
LONGEST_CELL = 2000  # letters; Python's csv reader ends at 131,072
FORMULA = re.compile(r"^[=+@-](?!\d*\.?\d*$)")  # what Excel would compute
FIRST_COLUMNS = [
    *("student", "name", "id", "assignment", "points", "of", "to mark"),
    *("reason", "notes", "seconds", "handed in as"),
]


def write_table(course: Path, rows: list[dict]) -> Path:
    """Write grades.csv. Rows of other students and assignments stay; the table as it was is kept beside it."""
    path = course / "grades.csv"
    if path.is_file():
        before = read_table(path)
        known = {(row["student"], row["assignment"]) for row in before}
        rows = [r for r in rows if r["reason"] != NOTHING or (r["student"], r["assignment"]) not in known]
        replaced = {(row["student"], name) for row in rows for name in (row["assignment"], "?")}
        rows += [row for row in before if (row["student"], row["assignment"]) not in replaced]
        shutil.copy(path, course / "grades.before.csv")
    table = io.StringIO()
    exercises = {column for row in rows for column in row} - set(FIRST_COLUMNS)
    writer = csv.DictWriter(table, [*FIRST_COLUMNS, *sorted(exercises)])
    writer.writeheader()
    for row in sorted(rows, key=lambda row: (row["assignment"], row["student"])):
        writer.writerow({column: _cell(value) for column, value in row.items()})
    with replacing(path) as file:
        file.write(table.getvalue().encode(ENCODING))
    return path


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a grades.csv; none if there is no such file."""
    lines = csv.DictReader(io.StringIO(path.read_text(ENCODING))) if path.is_file() else []
    return [dict.fromkeys(FIRST_COLUMNS, "") | {"name": row["student"]} | row for row in lines]


def _cell(value):
    if not isinstance(value, str):
        return value
    text = plain(value, LONGEST_CELL)
    return f"'{text}" if FORMULA.match(text) else text
