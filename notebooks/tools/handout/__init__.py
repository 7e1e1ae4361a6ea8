"""What students get: lessons, assignments as they are given out, the packages, and nothing that holds an answer.

python notebooks/tools/handout [--solutions all|00 01 …] [--branch NAME]        (make course)
"""
