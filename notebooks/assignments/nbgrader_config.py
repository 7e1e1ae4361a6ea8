"""The course for nbgrader; its formgrader, opened from JupyterLab in this folder, marks what is written in words."""

import os
import sys

sys.path.append(os.path.dirname(os.path.abspath(__file__)))
from grader.feedback import Feedback, GetMarks, ShowMessagesOnly

c = get_config()  # noqa: F821  (nbgrader puts it there)

c.CourseDirectory.course_id = "class-activation-mapping"
# files beside a source notebook are copied for students, except for these
c.CourseDirectory.ignore = [".ipynb_checkpoints", "*.pyc", "__pycache__", "feedback", "answers.yaml"]
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError()"}
c.ClearSolutions.text_stub = "YOUR ANSWER HERE"
# nbgrader's 30 s end an exercise that trains; `make grade` sets its own
c.Execute.timeout = 120
# feedback shows what students wrote: no script of theirs runs in it, and hidden tests stay hidden
c.GenerateFeedback.exporter_class = Feedback
c.GenerateFeedback.preprocessors = [ShowMessagesOnly, GetMarks]
# the formgrader's pages, which show copies that were made safe already
c.HTMLExporter.sanitize_html = True
