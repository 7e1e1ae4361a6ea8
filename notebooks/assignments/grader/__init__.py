"""Grading for the lecturer: nbgrader gives the marks, this package runs it on a folder of submissions.

    python notebooks/assignments/grader grade SUBMISSIONS
    python notebooks/assignments/grader release

Both commands work from any folder. Students' code runs isolated (Linux, bubblewrap); a release can be made anywhere.
"""

import sys

sys.modules.setdefault("rfc3987_syntax", None)  # nbformat's optional parser of web addresses takes 1.3 s to load
