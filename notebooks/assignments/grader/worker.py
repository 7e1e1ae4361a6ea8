"""Grade notebooks, each in a process of its own: python -m grader.worker. Those write nothing outside its folder.

A line of standard input names a folder, as JSON; a line of standard output says that its process has ended. To import
nbgrader takes longer than to grade most notebooks: each process is forked from one that has done this and nothing else,
which reads no submission and no message of a kernel.
"""

import contextlib
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateFeedback
from nbgrader.preprocessors import Execute
from nbgrader.utils import is_locked

from sandbox.execution import LimitedExecute
from sandbox.isolation import SOCKETS, write_kernelspec
from sandbox.watch import Watch

from .course import configuration, convert, source
from .fingerprint import imports
from .notes import replaced, unusual
from .safe import MakeSafe


def serve() -> None:
    """Grade one folder after the other, until standard input is closed."""
    while line := sys.stdin.readline():
        child = os.fork() if sys.platform == "linux" else 0  # elsewhere this process grades one folder and ends
        if not child:
            folder = Path(json.loads(line))
            os.chdir(folder)
            os.dup(1)  # open until this process ends, which the runner waits for where it is the only one
            output = os.open("output.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(output, 1)
            os.dup2(output, 2)
            return main(folder)
        os.waitpid(child, 0)
        print(flush=True)


def main(folder: Path) -> None:
    """Grade submitted/student/NAME/NAME.ipynb in FOLDER, as job.json says; write result.json last."""
    job = json.loads((folder / "job.json").read_text())
    name, runtime = job["assignment"], Path(job["runtime"])
    os.environ["JUPYTER_PATH"] = str(folder)
    logging.getLogger("traitlets").addHandler(logging.FileHandler(folder / "log.txt"))
    with contextlib.suppress(ImportError):  # large messages from a kernel must not fill this machine's memory
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (job["memory"], resource.getrlimit(resource.RLIMIT_DATA)[1]))

    course = Path(job["course"])
    ours = [cell.source for cell in source(course, name).cells if cell.cell_type == "code"]
    handed_in = nbformat.read(folder / "submitted" / "student" / name / f"{name}.ipynb", as_version=4)
    theirs = [cell.source for cell in handed_in.cells if cell.cell_type == "code" and not is_locked(cell)]
    write_kernelspec(folder, runtime, job["memory"], job["isolated"], imports(ours))
    config = configuration(course, folder)
    config.Execute.timeout = job["cell_seconds"]
    config.KernelManager.connection_file = str(runtime / "kernel.json")
    if job["isolated"]:
        config.KernelManager.transport = "ipc"  # sockets are files, which reach a kernel without a network
        config.KernelManager.ip = f"{SOCKETS}/k"
    steps = Autograde().autograde_preprocessors
    steps = [LimitedExecute if step is Execute else step for step in steps]
    config.Autograde.autograde_preprocessors = [*steps, MakeSafe]
    watch = LimitedExecute.watch = Watch(job["seconds"], job["memory"])
    threading.Thread(target=_end_with_runner, args=(watch,), daemon=True).start()

    convert(Autograde, config, name, "student")
    convert(GenerateFeedback, config, name, "student")
    with Gradebook(config.CourseDirectory.db_url) as book:
        grades = book.find_submission_notebook(name, name, "student").grades
        scores = {grade.name: grade.auto_score for grade in grades}
    notes = [*unusual(theirs), *LimitedExecute.notes, *replaced(LimitedExecute.changed)]
    result = {"key": job["key"], "scores": scores, "died": watch.died, "notes": notes}
    result["seconds"] = round(time.time() - job["start"], 1)
    (folder / "result.part").write_text(json.dumps(result))
    (folder / "result.part").rename(folder / "result.json")


def _end_with_runner(watch) -> None:
    """Standard input closes when the runner ends, whatever ends it."""
    os.read(0, 1)
    watch.kill("the runner ended")
    os._exit(1)


if __name__ == "__main__":
    serve()
