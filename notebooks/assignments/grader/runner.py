"""Grade a folder of submissions: one process and folder for each, marks and feedback merged at the end."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
from tqdm.auto import tqdm

from . import course as courses
from .files import place, write
from .isolation import missing
from .submissions import Submission, collect, plain

EXERCISE = re.compile(r"^test-(.+?)(-\d+)?$")  # test-iou and test-iou-2 both count for iou
KINDS = (("autograded", "ipynb"), ("feedback", "html"))


@dataclass(frozen=True)
class Limits:
    """Of one submission. A cell that takes longer is interrupted, and the next one runs."""

    cell_seconds: int = 120
    seconds: int = 900
    memory: int = 4 * 2**30  # bytes, of all processes together


def grade(folder: Path, course: Path, limits: Limits = Limits(), workers: int | None = None, isolated=True) -> Path:
    """Grade all submissions in `folder` -> grades.csv in the course's folder; feedback/ and autograded/ beside it.

    The same call goes on where it was broken off, and grades again only what changed. Raises RuntimeError when code
    cannot be isolated here (`isolated=False` runs it with your own rights), or when another call is at work.
    """
    if isolated and missing():
        raise RuntimeError(f"{missing()}: install it, or run students' code with your own rights: --no-isolation")
    folder, course = folder.resolve(), course.resolve()
    state = course / "grading"
    state.mkdir(exist_ok=True)
    with _alone(state / "lock"):
        names = courses.assignments(course)
        prints = {name: courses.fingerprint(course, name) for name in names}
        bases = {n: courses.prepare(course, n, state / "source" / f"{n}-{prints[n][:16]}") for n in names}
        sources = {n: nbformat.read(base / "release" / n / f"{n}.ipynb", 4) for n, base in bases.items()}
        with tempfile.TemporaryDirectory(dir=state, prefix="unpacked-") as room:
            submissions = collect(folder, sources, Path(room))
        jobs = [(s, _key(s, prints[s.assignment], limits, isolated)) for s in submissions if s.notebook]
        todo = [(s, key) for s, key in jobs if not _result(state, s, key)]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with ThreadPoolExecutor(workers or cores) as pool, tqdm(total=len(todo), unit="submission") as bar:
            team = Team(course, state, limits, isolated)
            try:
                waiting = [pool.submit(team.one, s, key, bases[s.assignment]) for s, key in todo]
                for done in as_completed(waiting):
                    done.result()
                    bar.update()
            except BaseException:
                team.stop(pool)
                raise
        return merge(course, state, submissions, bases)


class Team:
    """Runs one submission at a time in each thread that asks."""

    def __init__(self, course: Path, state: Path, limits: Limits, isolated: bool):
        self.course, self.state, self.limits, self.isolated, self.running = course, state, limits, isolated, set()
        for job in (state / "work").glob("*/*/job.json"):  # of a runner that was killed
            shutil.rmtree(json.loads(job.read_text())["runtime"], ignore_errors=True)
        for left in (
            state / "work",
            *state.glob("unpacked-*"),
            *state.glob("*/.writing-*"),
            *state.glob("*/*/.writing-*"),
        ):
            shutil.rmtree(left, ignore_errors=True)

    def one(self, submission: Submission, key: str, base: Path) -> None:
        """Grade one and keep its result; what went wrong is a result as well."""
        name, start = submission.assignment, time.perf_counter()
        work = self.state / "work" / submission.student / name
        with place(self.state / "results" / submission.student / name) as new:
            try:
                result = self._grade(submission, work, base, new) | {"key": key}
            except Exception as error:
                result = {"failed": plain(error), "key": ""}
            result["seconds"] = round(time.perf_counter() - start, 1)
            (new / "result.json").write_text(json.dumps(result))
        shutil.rmtree(work, ignore_errors=True)

    def _grade(self, submission: Submission, work: Path, base: Path, new: Path) -> dict:
        name = submission.assignment
        notebook = work / "submitted" / "student" / name / f"{name}.ipynb"
        notebook.parent.mkdir(parents=True)
        nbformat.write(submission.notebook, notebook)
        shutil.copy(base / "gradebook.db", work)
        runtime = tempfile.mkdtemp(prefix="cam-")  # a short path: it holds sockets
        job = {"assignment": name, "course": str(self.course), "runtime": runtime, "isolated": self.isolated}
        write(work / "job.json", json.dumps(job | asdict(self.limits)))
        try:
            said = self._run(work)
        finally:
            shutil.rmtree(runtime, ignore_errors=True)
        if not (work / "result.json").is_file():
            raise RuntimeError(said)
        for kind, ending in KINDS:
            shutil.copy(work / kind / "student" / name / f"{name}.{ending}", new)
        return json.loads((work / "result.json").read_text())

    def _run(self, work: Path) -> str:
        env = os.environ | {"PYTHONPATH": str(courses.PACKAGE.parent), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "cam_helpers.grading.one", str(work)]
        with open(work / "said.txt", "wb") as said:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said, env=env, cwd=work)
        self.running.add(process)
        try:
            process.wait(self.limits.seconds + 120)
        except subprocess.TimeoutExpired:
            return f"no answer {self.limits.seconds + 120} s after the start"
        finally:
            self.running.discard(process)
            with process:  # closes its standard input: it ends its kernel, then itself
                process.stdin.close()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
        files = [path for path in (work / "said.txt", work / "log.txt") if path.is_file()]
        lines = [line for path in files for line in path.read_text(errors="replace").splitlines()]
        return ([line for line in lines if re.match(r"\w*(Error|Exception): ", line)] or [*lines, "nothing was said"])[
            -1
        ]

    def stop(self, pool: ThreadPoolExecutor) -> None:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(self.running):
            process.stdin.close()


def merge(course: Path, state: Path, submissions: list[Submission], bases: dict) -> Path:
    """Into the course's gradebook, autograded/ and feedback/ what is new; then grades.csv, points by hand included."""
    from nbgrader.api import Gradebook

    for name in sorted({s.assignment for s in submissions if s.notebook}):
        courses.register(course, name, bases[name])
    rows = []
    warnings.filterwarnings("ignore", module="nbgrader")
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for submission in submissions:
            name, student = submission.assignment, submission.student
            row = {"student": student, "assignment": name, "reason": submission.reason, "notes": submission.notes}
            if submission.notebook:
                home = state / "results" / student / name
                result = json.loads((home / "result.json").read_text())
                if "failed" in result:
                    row["reason"] = f"could not be graded: {result['failed']}"
                else:
                    _store(book, course, home, student, name, result)
                    row |= _points(book, student, name) | {"seconds": result["seconds"]}
                    row["reason"] = f"{result['died']}: tests from there on count as failed" if result["died"] else ""
            rows.append(row | {"notes": "; ".join(submission.notes)})
    first = ["student", "assignment", "points", "of", "to mark", "reason", "notes", "seconds"]
    table = io.StringIO()
    writer = csv.DictWriter(table, [*first, *sorted({k for row in rows for k in row} - set(first))])
    writer.writeheader()
    writer.writerows(sorted(rows, key=lambda row: (row["assignment"], row["student"])))
    write(course / "grades.csv", table.getvalue())
    return course / "grades.csv"


def _store(book, course: Path, home: Path, student: str, name: str, result: dict) -> None:
    """A mark given by hand stays; where the submission changed since, the formgrader asks for another look."""
    mark = home / "merged"
    changed = not mark.is_file()
    book.update_or_create_student(student)
    book.update_or_create_submission(name, student)
    for entry in book.find_submission_notebook(name, name, student).grades:
        entry.auto_score = result["grades"][entry.name][0]
        by_hand = entry.manual_score is not None
        if changed or not by_hand:
            entry.needs_manual_grade = entry.auto_score is None or by_hand
    book.db.commit()
    for kind, ending in KINDS:
        target = course / kind / student / name / f"{name}.{ending}"
        if changed or not target.is_file():
            write(target, (home / f"{name}.{ending}").read_bytes())
    mark.touch()


def _points(book, student: str, name: str) -> dict:
    points: dict = {}
    grades = book.find_submission_notebook(name, name, student).grades
    for entry in grades:
        exercise = f"{name}: " + EXERCISE.sub(r"\1", entry.name)
        points[exercise] = points.get(exercise, 0) + entry.score
    waiting = sum(entry.max_score for entry in grades if entry.needs_manual_grade)
    total = {"points": sum(points.values()), "of": sum(entry.max_score for entry in grades), "to mark": waiting}
    return total | points


def _key(submission: Submission, fingerprint: str, limits: Limits, isolated: bool) -> str:
    whole = f"{nbformat.writes(submission.notebook)} {fingerprint} {limits} {isolated}"
    return hashlib.sha256(whole.encode()).hexdigest()


def _result(state: Path, submission: Submission, key: str) -> bool:
    path = state / "results" / submission.student / submission.assignment / "result.json"
    return path.is_file() and json.loads(path.read_text())["key"] == key


@contextlib.contextmanager
def _alone(path: Path):
    """Two runners on one course would grade everything twice."""
    with open(path, "w") as file:
        if sys.platform != "win32":
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RuntimeError(f"another call is grading {path.parent.parent.name}") from None
        yield
