"""The lecturer's side of the assignments: nbgrader gives the marks, this runs it on a folder of submissions.

python -m cam_helpers.grading SUBMISSIONS --course notebooks/assignments
python -m cam_helpers.grading.release --course notebooks/assignments --out dist/assignments.zip
"""
