"""What students handed in: files of any kind become notebooks that can be run. No code of a student runs here."""

from .submissions import Submission, collect

__all__ = ["Submission", "collect"]
