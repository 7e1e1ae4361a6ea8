"""Marks and comments that were given in the formgrader: into the feedback pages."""

import contextlib
from pathlib import Path

from .course import configuration, convert


def renew_feedback(rows: list[dict], course: Path) -> int:
    """Make the pages anew whose marks or comments by hand have changed since they were made -> how many.

    rows: of grades.csv; course: folder with gradebook.db and autograded/
    """
    from nbgrader.api import Gradebook, MissingEntry
    from nbgrader.converters import GenerateFeedback

    config, changed = configuration(course, course), {}
    with Gradebook(config.CourseDirectory.db_url) as book:
        for row in rows:
            student, name = row["student"], row["assignment"]
            kept = course / "grading" / "results" / student / name / "by_hand"  # new results replace the folder
            with contextlib.suppress(MissingEntry):  # of another gradebook
                notebook = book.find_submission_notebook(name, name, student)
                given = [(entry.name, entry.manual_score) for entry in notebook.grades]
                given += [(entry.name, entry.manual_comment) for entry in notebook.comments]
                now = "\n".join(sorted(f"{cell}: {value}" for cell, value in given if value is not None))
                if kept.parent.is_dir() and now != (kept.read_text() if kept.is_file() else ""):
                    changed[kept] = (name, student, now)
    for kept, (name, student, now) in changed.items():
        convert(GenerateFeedback, config, name, student)
        kept.write_text(now)
    return len(changed)
