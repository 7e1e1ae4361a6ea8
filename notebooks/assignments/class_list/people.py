"""Who is in the class, and who handed in what: a roster (Moodle's, Canvas's, one's own), Gradescope's submitters."""

import io
import re
import unicodedata
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pandas as pd
import yaml

from collector import Person, Submission, by_name, collect, safe

from .dates import local, one_each

NOTHING = "nothing was handed in"
GRADESCOPE = "submission_metadata.yml"
# columns of a roster, in small letters
WHOLE_NAME = ("full name", "student")
FIRST_NAME, LAST_NAME = ("first name", "firstname"), ("last name", "lastname", "surname", "name")
IDENTIFIER = (
    *("id number", "sis user id", "student id", "sis login id", "username", "login", "id"),
    *("email address", "email", "identifier"),
)
HANDED_IN = ("last modified (submission)", "handed in")


class Roster:
    """A CSV of the class, one student a row. `table` holds it as it is, its header too; `people` by row."""

    def __init__(self, path: Path):
        content = path.read_bytes()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("cp1252")  # as Excel saves a CSV
        self.separator = max(",;\t", key=text.partition("\n")[0].count)
        options = {"header": None, "dtype": str, "keep_default_na": False}
        self.table = pd.read_csv(io.StringIO(text), sep=self.separator, **options).fillna("")
        self.columns = [str(column).strip().casefold() for column in self.table.iloc[0]]
        self.canvas = {"id", "section"} <= set(self.columns)
        self.people: dict[int, Person] = {}
        self.found = defaultdict(list)  # folded name, identifier, number -> people
        rows = [dict(zip(self.columns, cells, strict=True)) for cells in self.table.itertuples(index=False)]
        for row, cells in enumerate(rows):
            name = _name(cells)
            if row and name and "Points Possible" not in name and name != "Test Student":  # rows that Canvas adds
                number = "".join(re.findall(r"\d+$", cells.get("identifier", "")))  # Moodle: Participant 123
                user = cells["id"] if self.canvas else ""
                identifier = _first(cells, IDENTIFIER)
                self.people[row] = Person(safe(name), name, identifier, number, user, time=_time(cells))
        if not self.people:
            wanted = "full name, student, name, or first name and last name"
            raise ValueError(f"{path.name}: expected a column {wanted}, got {', '.join(self.columns)}: rename one")
        same_name = Counter(person.student.lower() for person in self.people.values())
        for row, person in self.people.items():
            if same_name[person.student.lower()] > 1:
                person.student = safe(f"{person.student[:99]}_{person.identifier or row}")
            for known in _known_as(person, rows[row]):
                self.found[known].append(person)

    def find(self, person: Person) -> tuple[Person | None, str]:
        """The one in the roster, or None and why."""
        for known in (*_numbers(person), fold(person.identifier), fold(person.name)):
            people = self.found.get(known, [])
            if len(people) == 1:
                return people[0], ""
            if people:
                return None, f"{len(people)} people in the roster are called {person.name}"
        return None, "not in the roster"


class People:
    """Reads a folder of submissions: who each is from, which of several counts, and who handed in nothing.

    Args:
        folder: of submissions, where Gradescope's list may lie
        roster: the class; None: whoever handed in
        due: the deadline; None: nothing is late
        last: of several the last counts, not the last before `due`
    """

    def __init__(self, folder: Path, roster: Roster | None = None, due: datetime | None = None, last: bool = False):
        self.roster, self.due, self.last = roster, due, last
        self.submitters = _gradescope(folder / GRADESCOPE)

    def read(self, folder: Path, sources: dict, scratch: Path) -> list[Submission]:
        """One submission for each student and assignment; of people who handed in nothing, with that reason."""
        found = collect(folder, sources, scratch, self._identify)
        entries = Counter(submission.student for submission in found if submission.assignment != "?")
        for submission in found:
            if entries[submission.student] > 1 and submission.entry not in self.submitters:
                submission.person = replace(submission.person, time=None)  # a roster's date is of one of them
        found = one_each(found, self.due, self.last)
        people = self.roster.people.values() if self.roster else []
        self.assignments = sorted({s.assignment for s in found if s.notebook})
        for assignment in self.assignments:
            seen = {s.student for s in found if s.assignment in (assignment, "?")}
            absent = [person for person in people if person.student not in seen]
            found += [Submission(p.student, assignment, reason=NOTHING, person=p) for p in absent]
        return found

    def _identify(self, path: Path) -> list[Person]:
        if path.name == GRADESCOPE:
            return []
        people = self.submitters.get(path.name) or by_name(path)
        return [self._enrolled(person) for person in people] if self.roster else people

    def _enrolled(self, person: Person) -> Person:
        known, problem = self.roster.find(person)
        if not known:
            return replace(person, note=problem)
        participant = person.participant or known.participant
        return replace(known, participant=participant, late=person.late, time=person.time or known.time)


def fold(name: str) -> str:
    """A name for comparing: Dörte Groß, dorte-gross and DÖRTE GROSS are the same."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return "".join(c for c in letters if c.isalnum() or (unicodedata.category(c)[0] == "M" and c > "\u036f"))


def _first(cells: dict[str, str], columns: tuple[str, ...]) -> str:
    """The first of these columns that holds something."""
    return next((value for column in columns if (value := " ".join(cells.get(column, "").split()))), "")


def _name(cells: dict[str, str]) -> str:
    parts = f"{_first(cells, FIRST_NAME)} {_first(cells, LAST_NAME)}".strip()
    family, comma, given = (_first(cells, WHOLE_NAME) or parts).partition(", ")  # Canvas: Groß, Dörte
    return f"{given} {family}" if comma else family


def _known_as(person: Person, cells: dict[str, str]) -> set[str]:
    words = person.name.split()
    known = {" ".join(words[k:] + words[:k]) for k in range(len(words))}  # the family name first
    known |= {cells.get(column, "") for column in IDENTIFIER}
    known |= {address.partition("@")[0] for address in known if "@" in address}
    return _numbers(person) | {fold(each) for each in known} - {""}


def _numbers(person: Person) -> set[str]:
    """Of Moodle and Canvas, so that they are not taken for each other or for a matriculation number."""
    numbers = {"participant": person.participant, "user": person.user}
    return {f"{kind} {number}" for kind, number in numbers.items() if number}


def _time(cells: dict[str, str]) -> datetime | None:
    time = pd.to_datetime(_first(cells, HANDED_IN), errors="coerce")
    return None if pd.isna(time) else local(time.to_pydatetime())


def _gradescope(path: Path) -> dict[str, list[Person]]:
    """Of Gradescope's export: the people of each folder `submission_123`."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    people = {}
    for entry, facts in entries.items():
        time = facts.get(":created_at")
        time = local(time) if isinstance(time, datetime) else None
        people[entry] = [
            Person(safe(who[":name"]), who[":name"], str(who.get(":sid") or who.get(":email") or ""), time=time)
            for who in facts.get(":submitters") or []
        ]
    return people
