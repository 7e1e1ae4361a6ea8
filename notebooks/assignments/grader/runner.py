"""Grade a folder of submissions: each in a process and folder of its own, marks and feedback merged at the end."""

import contextlib
import json
import os
import queue
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
import psutil
from filelock import FileLock
from tqdm.auto import tqdm

from class_list.files import replacing
from class_list.people import People
from class_list.table import write_table
from collector import Person, Submission
from collector.cells import EXERCISE, plain
from sandbox import isolation
from sandbox.packages import PYTHONPATH

from . import course as courses
from . import fingerprint

ERROR = re.compile(r"^Traceback .*\n(?:[ \t].*\n|\n)*(\S.*)", flags=re.M)  # what a traceback ends with
KINDS = (("autograded", "ipynb"), ("feedback", "html"))
WORKER = ["-m", "grader.worker"]


@dataclass(frozen=True)
class Limits:
    """What one submission may take. A cell that takes longer is interrupted, and the next one runs."""

    cell_seconds: int = 120
    seconds: int = 900
    memory: int = 4 * 2**30  # bytes, of all processes together


def grade(
    folder: Path,
    course: Path,
    limits: Limits = Limits(),
    workers: int | None = None,
    isolated: bool = True,
    read: Callable | None = None,
) -> Path:
    """Grade all submissions of a folder; what was graded before and has not changed is not graded again.

    Args:
        folder: archives, folders and notebooks, each named for its student
        course: folder with nbgrader_config.py and source/; grades.csv, feedback/ and autograded/ are written there
        limits: what one submission may take
        workers: submissions at a time; None: one per core
        isolated: False runs students' code with your own rights
        read: (folder, released notebooks, a folder for what is unpacked) -> submissions; None: without a roster

    Returns:
        Path: grades.csv

    Raises:
        RuntimeError: code cannot be isolated here
        filelock.Timeout: another call is grading this course
    """
    if isolated and (problem := isolation.missing()):
        raise RuntimeError(f"{problem}: install it, or run students' code with your own rights: --no-isolation")
    folder, course = folder.resolve(), course.resolve()
    state = course / "grading"
    state.mkdir(exist_ok=True)
    with FileLock(state / "lock", timeout=0):  # two runners would grade everything twice
        team = Team(course, state, limits, isolated)
        sources = {n: nbformat.read(p / "release" / n / f"{n}.ipynb", 4) for n, p in team.prepared.items()}
        with tempfile.TemporaryDirectory(dir=state, prefix="unpacked-") as scratch:
            submissions = (read or People(folder).read)(folder, sources, Path(scratch))
        keys = [(s, fingerprint.of_mark(course, s, limits, isolated)) for s in submissions if s.notebook]
        todo = [(s, key) for s, key in keys if _result(state, s).get("key") != key]
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with ThreadPoolExecutor(workers or cores) as pool, tqdm(total=len(todo), unit="submission") as bar:
            try:
                for done in as_completed([pool.submit(team.grade, s, key) for s, key in todo]):
                    done.result()
                    bar.update()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
                team.close()
        return merge(course, state, submissions)


class Team:
    """Grades each submission in a process that a worker forks. Several threads may call `grade` at the same time.

    Args:
        course, limits, isolated: as `grade`
        state: the course's folder of results and prepared sources
    """

    def __init__(self, course: Path, state: Path, limits: Limits, isolated: bool):
        self.course, self.state, self.limits, self.isolated = course, state, limits, isolated
        self.workers, self.idle, self.closed = [], queue.SimpleQueue(), False
        self._remove_leftovers()
        self.prepared = {}
        for name in courses.assignments(course):
            prepared = state / "source" / f"{name}-{fingerprint.of_release(course, name)[:16]}"
            self.prepared[name] = courses.prepare(course, name, prepared)
            courses.register(course, name, prepared / "gradebook.db")

    def _remove_leftovers(self) -> None:
        """Of a runner that was killed."""
        for job in (self.state / "work").glob("*/*/job.json"):
            shutil.rmtree(json.loads(job.read_text())["runtime"], ignore_errors=True)
        for pattern in ("work", "unpacked-*", "*/.writing-*", "*/*/.writing-*"):
            for folder in self.state.glob(pattern):
                shutil.rmtree(folder, ignore_errors=True)

    def grade(self, submission: Submission, key: str) -> None:
        """Keep marks and feedback in results/STUDENT/NAME; where there are none, result.json says what failed."""
        student, name = submission.student, submission.assignment
        work = self.state / "work" / student / name
        with courses.replacing_folder(self.state / "results" / student / name) as results:
            try:
                self._run(submission, key, work)
                for kind, ending in KINDS:
                    (work / kind / "student" / name / f"{name}.{ending}").rename(results / f"{name}.{ending}")
                (work / "result.json").rename(results / "result.json")
            except Exception as error:
                (results / "result.json").write_text(json.dumps({"failed": plain(error)}))
        shutil.rmtree(work, ignore_errors=True)

    def _run(self, submission: Submission, key: str, work: Path) -> None:
        """Start a worker in the folder `work` and wait for it. Raises RuntimeError with the reason if it fails."""
        name = submission.assignment
        notebook = work / "submitted" / "student" / name / f"{name}.ipynb"
        notebook.parent.mkdir(parents=True)
        nbformat.write(submission.notebook, notebook)
        shutil.copy(self.prepared[name] / "gradebook.db", work)
        runtime = tempfile.mkdtemp(prefix="cam-")  # for the kernel's connection file
        job = {"assignment": name, "course": str(self.course), "runtime": runtime, "isolated": self.isolated}
        with replacing(work / "job.json") as file:
            file.write(json.dumps(job | asdict(self.limits) | {"key": key, "start": time.time()}).encode())
        seconds = self.limits.seconds + 120
        try:
            in_time = self._in_worker(work, seconds)
        finally:
            shutil.rmtree(runtime, ignore_errors=True)
        if not in_time:
            raise RuntimeError(f"no answer {seconds} s after the start")
        if not (work / "result.json").is_file():
            logs = [path for path in (work / "output.txt", work / "log.txt") if path.is_file()]
            said = "\n".join(path.read_text(errors="replace") for path in logs)
            raise RuntimeError(["the worker ended without a message", *said.splitlines(), *ERROR.findall(said)][-1])

    def _in_worker(self, work: Path, seconds: float) -> bool:
        """Let a worker grade the folder `work`. -> False: it took longer than `seconds`, and was ended."""
        try:
            worker = self.idle.get_nowait()
        except queue.Empty:
            worker = self._start(work)
        late, end = threading.Timer(seconds, _end, [worker]), time.monotonic() + seconds
        late.start()
        with contextlib.suppress(OSError, ValueError):  # it has ended, or `close` has been called
            worker.stdin.write(f"{json.dumps(str(work))}\n")
            worker.stdin.flush()
            if worker.stdout.readline():
                self.idle.put(worker)
        late.cancel()
        return time.monotonic() < end

    def _start(self, work: Path) -> subprocess.Popen:
        """A new worker. It ends when its standard input closes, even if this process is killed."""
        path = os.pathsep.join([str(courses.ASSIGNMENTS), PYTHONPATH])
        env = os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with open(work / "output.txt", "wb") as output:  # for what it says when it cannot start
            command = [sys.executable, *WORKER]
            worker = subprocess.Popen(command, env=env, cwd=courses.ASSIGNMENTS, stderr=output, **pipes)
        self.workers.append(worker)
        if self.closed:
            worker.stdin.close()
        return worker

    def close(self) -> None:
        """End the workers, and what they are grading."""
        self.closed = True
        for worker in self.workers:
            with contextlib.suppress(OSError):
                worker.stdin.close()
        for worker in self.workers:
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:
                _end(worker)


def _end(worker: subprocess.Popen) -> None:
    """Kill a worker and all that it started."""
    with contextlib.suppress(psutil.Error):
        started = psutil.Process(worker.pid).children(recursive=True)
        worker.kill()
        for process in started:
            with contextlib.suppress(psutil.Error):
                process.kill()


def merge(course: Path, state: Path, submissions: list[Submission]) -> Path:
    """Update the course's gradebook, autograded/ and feedback/ from the results in `state`; write grades.csv."""
    from nbgrader.api import Gradebook

    for name in sorted({s.assignment for s in submissions if s.notebook}):
        courses.register(course, name, course / "gradebook.db")
    rows = []
    warnings.filterwarnings("ignore", module="nbgrader")
    with Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        for submission in submissions:
            name, student = submission.assignment, submission.student
            person = submission.person or Person(student, student)
            row = {"student": student, "name": person.name, "id": person.identifier, "handed in as": submission.entry}
            row |= {"assignment": name, "reason": submission.reason}
            notes = [*submission.notes]
            if submission.notebook:
                result = _result(state, submission)
                if "failed" in result:
                    row["reason"] = f"could not be graded: {result['failed']}"
                else:
                    _store(book, course, state / "results" / student / name, result["scores"])
                    row |= _points(book, student, name) | {"seconds": result["seconds"]}
                    notes += result["notes"]
                    row["reason"] = f"{result['died']}: tests from there on count as failed" if result["died"] else ""
            rows.append(row | {"notes": "; ".join(notes)})
    return write_table(course, rows)


def _store(book, course: Path, results: Path, scores: dict[str, float | None]) -> None:
    """Marks given by hand stay; if the submission has changed since, the formgrader asks for another look."""
    student, name = results.parts[-2:]
    merged = results / "merged"  # an empty file; new results replace the folder
    changed = not merged.is_file()
    book.update_or_create_student(student)
    book.update_or_create_submission(name, student)
    for entry in book.find_submission_notebook(name, name, student).grades:
        entry.auto_score = scores[entry.name]
        by_hand = entry.manual_score is not None
        if changed or not by_hand:
            entry.needs_manual_grade = entry.auto_score is None or by_hand
    book.db.commit()
    for kind, ending in KINDS:
        target = course / kind / student / name / f"{name}.{ending}"
        if changed or not target.is_file():
            with replacing(target) as file:
                file.write((results / target.name).read_bytes())
    merged.touch()


def _points(book, student: str, name: str) -> dict[str, float]:
    """Cells of grades.csv: points in all, points of each exercise, and points that nobody has given or refused yet."""
    grades = book.find_submission_notebook(name, name, student).grades
    points = {
        "points": sum(entry.score for entry in grades),
        "of": sum(entry.max_score for entry in grades),
        "to mark": sum(entry.max_score for entry in grades if entry.needs_manual_grade),
    }
    for entry in grades:
        exercise = f"{name}: " + EXERCISE.sub(r"\1", entry.name)
        points[exercise] = points.get(exercise, 0) + entry.score
    return points


def _result(state: Path, submission: Submission) -> dict:
    """What is known of a submission from this call or an earlier one; empty if nothing is."""
    path = state / "results" / submission.student / submission.assignment / "result.json"
    return json.loads(path.read_text()) if path.is_file() else {}
