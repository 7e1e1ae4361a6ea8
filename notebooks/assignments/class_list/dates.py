"""When something was handed in, and which of several submissions of a student counts."""

import contextlib
import re
from collections import defaultdict
from datetime import datetime, timedelta

from collector import Submission

IN_A_NAME = re.compile(r"(?<!\d)(20\d\d)-(\d\d)-(\d\d)[-T_ ](\d\d)[-:.]?(\d\d)")
AT_ONCE = timedelta(minutes=1)  # the copies in a folder that was copied as a whole have such dates


def deadline(text: str) -> datetime:
    """2026-12-01T23:59, local time; 2026-12-01 is the end of that day."""
    return local(datetime.fromisoformat(text if len(text) > 10 else f"{text}T23:59:59"))


def local(time: datetime) -> datetime:
    """The same moment, as this machine's clock shows it."""
    return time.astimezone().replace(tzinfo=None) if time.tzinfo else time


def one_each(found: list[Submission], due: datetime | None = None, last: bool = False) -> list[Submission]:
    """One submission for each student and assignment: the last before `due`, or else the first after it.

    What does not count is named in the notes of what does. Where that stays open (dates within a minute, one name for
    two students), the result has a reason and no notebook.

    Args:
        found: one for each entry and assignment
        due: the deadline, local time
        last: the last of all counts, late or not
    """
    handed_in, readable = defaultdict(list), {s.student for s in found if s.assignment != "?"}
    unknown = [s for s in found if s.assignment == "?" and s.student in readable]  # a drawing beside the notebook
    for submission in found:
        if submission not in unknown:
            handed_in[submission.student, submission.assignment].append(submission)
    counting = [_that_counts(several, due, last) for several in handed_in.values()]
    for submission in counting:
        submission.notes += [other.reason for other in unknown if other.student == submission.student]
    return counting


def moment(submission: Submission) -> datetime:
    """When it was handed in, local time: as a list says, the entry's name (2026-12-01T23-59), or the file's date."""
    if submission.person.time:
        return submission.person.time
    for found in IN_A_NAME.finditer(submission.entry):
        with contextlib.suppress(ValueError):
            return datetime(*map(int, found.groups()))
    return submission.saved or datetime.min


def span(time: timedelta) -> str:
    """2 h 10 min"""
    minutes = max(1, round(time.total_seconds() / 60))
    parts = {"d": minutes // 1440, "h": minutes // 60 % 24, "min": minutes % 60}
    return " ".join(f"{number} {unit}" for unit, number in parts.items() if number)


def _that_counts(several: list[Submission], due: datetime | None, last: bool) -> Submission:
    readable = [s for s in several if s.notebook] or several
    on_time = [s for s in readable if last or not _late(s, due)]
    chosen = max(on_time, key=moment) if on_time else min(readable, key=moment)
    others = [s for s in several if s.notebook != chosen.notebook]
    same_time = [s for s in others if s.notebook and abs(moment(s) - moment(chosen)) < AT_ONCE]
    participants, users = ({getattr(s.person, kind) for s in several} - {""} for kind in ("participant", "user"))
    if same_time or (others and max(len(participants), len(users)) > 1):
        entries = ", ".join(s.entry for s in several)
        chosen.notebook, chosen.notes = None, []
        chosen.reason = f"{len(several)} submissions carry this name ({entries}); none was graded: keep one of them"
        return chosen
    if others:
        left_out = ", ".join(s.reason or f"{s.entry} of {moment(s):%Y-%m-%d %H:%M}" for s in others)
        chosen.notes.append(f"counts: {chosen.entry} of {moment(chosen):%Y-%m-%d %H:%M}; does not count: {left_out}")
    if due and moment(chosen) > due:
        chosen.notes.insert(0, f"late by {span(moment(chosen) - due)}")
    elif chosen.person.late:
        chosen.notes.insert(0, "late, as its name says")
    return chosen


def _late(submission: Submission, due: datetime | None) -> bool:
    return submission.person.late or bool(due and moment(submission) > due)
