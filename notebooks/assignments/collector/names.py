"""Who an entry of the folder is from, as far as its name says."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

LONGEST_NAME = 200  # bytes of a student's name
ENDING = re.compile(r"(\.ipynb|\.tar)?\.\w+$", flags=re.I)  # of any file
DOWNLOADED_AGAIN = re.compile(r"\s*\(\d+\)$")  # browsers call a second download `NAME (1)`
# Moodle's NAME_123_assignsubmission_file_…, Canvas's NAME_LATE_12345_67890_…: the first number is the student's
EXPORTED = re.compile(r"^(.+?)(_LATE)?_(?:(?P<participant>\d+)_assignsubmission_[a-z]+(?:_.*)?|(\d{4,})_\d{4,}_.*)$")


@dataclass
class Person:
    """Who an entry is from."""

    student: str  # safe in a path: it names the student's folders
    name: str  # as it is written
    identifier: str = ""  # in a roster
    participant: str = ""  # number in Moodle's names, another one for each assignment
    user: str = ""  # number in Canvas's names
    late: bool = False  # so the learning platform says
    time: datetime | None = None  # of handing in, where a list says it
    note: str = ""


def by_name(path: Path) -> list[Person]:
    """The student for whom a file or folder is named."""
    found = EXPORTED.match(stem(path))
    name, late, participant, user = found.groups(default="") if found else (stem(path), "", "", "")
    name = " ".join(unicodedata.normalize("NFC", name).split())
    return [Person(safe(name), name, participant=participant, user=user, late=bool(late))]


def stem(path: Path) -> str:
    """A name without its ending and without the number of a second download."""
    return DOWNLOADED_AGAIN.sub("", path.name if path.is_dir() else ENDING.sub("", path.name))


def safe(name: str) -> str:
    """Letters, marks and digits of all scripts stay; what is not safe in a path becomes `_`."""
    name = "".join(c if c in ".-" or unicodedata.category(c)[0] in "LMN" else "_" for c in name)
    name = re.sub("_+", "_", name).encode()[:LONGEST_NAME].decode(errors="ignore")
    return name.strip("._-") or "nameless"
