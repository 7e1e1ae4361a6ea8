"""The course for nbgrader; its formgrader, opened from JupyterLab in this folder, marks what is written in words."""

from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbgrader.preprocessors import GetGrades

from cam_helpers.grading.execute import ShowMessagesOnly

c = get_config()  # noqa: F821  (nbgrader puts it there)

c.CourseDirectory.course_id = "class-activation-mapping"
c.ClearSolutions.code_stub = {"python": "# YOUR CODE HERE\nraise NotImplementedError()"}
c.ClearSolutions.text_stub = "YOUR ANSWER HERE"
# nbgrader's 30 s end an exercise that trains; `make grade` sets its own
c.Execute.timeout = 120
# students write what stands in the feedback: no script of theirs runs in it, and hidden tests stay hidden
c.HTMLExporter.sanitize_html = True
c.GenerateFeedback.preprocessors = [ShowMessagesOnly, GetGrades, CSSHTMLHeaderPreprocessor]
