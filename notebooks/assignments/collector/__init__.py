"""What students handed in: files of any kind become notebooks that can be run. No code of a student runs here."""

from .names import Person, by_name, safe, stem
from .submissions import Submission, collect, of_entry

__all__ = ["Person", "Submission", "by_name", "collect", "of_entry", "safe", "stem"]
