"""Grade one notebook in a process of its own: python -m cam_helpers.grading.one FOLDER. Nothing else is touched."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sys
import threading
from pathlib import Path

from .files import write


def main(folder: Path) -> None:
    """FOLDER holds job.json, gradebook.db and submitted/student/NAME/NAME.ipynb; result.json is written last."""
    job = json.loads((folder / "job.json").read_text())
    name, runtime = job["assignment"], Path(job["runtime"])
    os.environ["JUPYTER_PATH"] = str(folder)
    sys.modules["rfc3987_syntax"] = None  # builds a parser of addresses, for two seconds, that nothing here asks for
    logging.getLogger("traitlets").addHandler(logging.FileHandler(folder / "log.txt"))
    with contextlib.suppress(ImportError):  # what student code sends cannot fill the memory here
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (job["memory"], resource.getrlimit(resource.RLIMIT_DATA)[1]))

    from nbgrader.api import Gradebook
    from nbgrader.converters import Autograde, GenerateFeedback
    from nbgrader.preprocessors import Execute

    from .course import configuration, convert
    from .execute import LimitedExecute
    from .isolation import Watch, kernelspec

    kernelspec(folder, runtime, job["memory"], job["isolated"])
    config = configuration(Path(job["course"]), folder)
    config.Execute.timeout = job["cell_seconds"]
    config.KernelManager.connection_file = str(runtime / "kernel.json")
    if job["isolated"]:
        config.KernelManager.transport = "ipc"  # sockets are files, and pass where no network does
    steps = Autograde().autograde_preprocessors
    config.Autograde.autograde_preprocessors = [LimitedExecute if step is Execute else step for step in steps]
    watch = LimitedExecute.watch = Watch(runtime, job["seconds"], job["memory"])
    threading.Thread(target=_end_with_parent, args=(watch,), daemon=True).start()
    convert(Autograde, config, name, "student")
    convert(GenerateFeedback, config, name, "student")
    with Gradebook(config.CourseDirectory.db_url) as book:
        grades = {
            grade.name: [grade.auto_score, grade.max_score]
            for grade in book.find_submission_notebook(name, name, "student").grades
        }
    write(folder / "result.json", json.dumps({"grades": grades, "died": watch.died}))


def _end_with_parent(watch) -> None:
    """Standard input ends when the runner does, however it ends."""
    os.read(0, 1)
    watch.kill("the runner ended")
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
