"""The page that a student gets back: marks by exercise, and the notebook with what the tests said."""

import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup
from nbconvert.exporters import Exporter
from nbconvert.filters import Highlight2HTML, ansi2html
from nbformat.v4 import new_output
from nbgrader import utils
from nbgrader.preprocessors import ClearHiddenTests, GetGrades

from collector.cells import EXERCISE

from .safe import PICTURES, alt_text, clean, markdown

PAGE = "feedback.html.j2"
HIDDEN = re.compile(r"^[^\n]*BEGIN HIDDEN TESTS.*?END HIDDEN TESTS[^\n]*\n?", flags=re.S | re.M)
SHOWN_OUTPUT = 200_000  # characters of an output; colours take long to convert


class ShowMessagesOnly(ClearHiddenTests):
    """Removes hidden tests; of a test cell's output only the error message stays."""

    def preprocess(self, nb, resources):
        hidden = "\n".join(m for cell in nb.cells for m in HIDDEN.findall(cell.source) if utils.is_grade(cell))
        lines = {line.strip() for line in hidden.splitlines() if len(line.strip()) >= 12}
        nb, resources = super().preprocess(nb, resources)
        lines -= {line.strip() for cell in nb.cells for line in cell.source.splitlines()}
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                if output.output_type == "stream" and len(output.text) > SHOWN_OUTPUT:
                    output.text = output.text[:SHOWN_OUTPUT] + "\n(the rest of the output was left out)\n"
                # a traceback shows the lines of the test
                if output.output_type == "error" and utils.is_grade(cell):
                    output.traceback = [f"{output.ename}: {output.evalue}" if output.evalue else output.ename]
            if utils.is_grade(cell) and cell.cell_type == "code":
                cell.outputs = [o for o in cell.outputs if o.output_type == "error"]
            # a student's own cell may have printed them
            shown = str(cell.get("outputs", "")).replace("\\n", "\n").replace("\\'", "'")
            if any(line in shown for line in lines):
                cell.outputs = [new_output("stream", name="stdout", text="(left out: it shows a hidden test)")]
        return nb, resources


class GetMarks(GetGrades):
    """Also says of a written part whether somebody has read it."""

    def _get_score(self, cell, resources):
        super()._get_score(cell, resources)
        facts = cell.metadata.nbgrader
        grade = self.gradebook.find_grade(facts.grade_id, self.notebook_id, self.assignment_id, self.student_id)
        facts["unread"] = bool(grade.needs_manual_grade)


class Feedback(Exporter):
    """A notebook with marks in its cells -> one HTML file that holds everything and runs nothing."""

    file_extension = ".html"

    def from_notebook_node(self, nb, resources=None, **options):
        nb, resources = super().from_notebook_node(nb, resources, **options)
        exercises = {}
        for cell in nb.cells:
            facts = cell.metadata.get("nbgrader", {})
            if facts.get("grade") or facts.get("task"):
                name = EXERCISE.sub(r"\1", facts.grade_id)
                row = exercises.setdefault(name, {"link": facts.grade_id, "score": 0, "of": 0, "unread": False})
                row["score"] += facts.score
                row["of"] += facts.points
                row["unread"] |= facts.unread
        page = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
        page.filters |= {"markdown": lambda text, attachments=None: Markup(markdown(text, attachments))}
        page.filters |= {"clean": lambda text: Markup(clean(text))}
        page.filters |= {"ansi": lambda text: Markup(ansi2html(text)), "python": _python}
        shown = {"cells": nb.cells, "exercises": exercises, "kinds": PICTURES, "alt": alt_text}
        return page.get_template(PAGE).render(facts=resources["nbgrader"], **shown), resources


def _python(source: str) -> Markup:
    return Markup(Highlight2HTML(pygments_lexer="ipython3")(source))
