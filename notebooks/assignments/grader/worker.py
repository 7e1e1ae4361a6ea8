"""Grade one notebook in a process of its own: python -m grader.worker FOLDER. It writes nothing outside FOLDER."""

import contextlib
import json
import logging
import os
import sys
import threading
import time
from pathlib import Path


def main(folder: Path) -> None:
    """Grade submitted/student/NAME/NAME.ipynb in FOLDER, as job.json says; write result.json last."""
    job = json.loads((folder / "job.json").read_text())
    name, runtime = job["assignment"], Path(job["runtime"])
    os.environ["JUPYTER_PATH"] = str(folder)
    sys.modules["rfc3987_syntax"] = None  # an optional parser of web addresses that takes two seconds to load
    logging.getLogger("traitlets").addHandler(logging.FileHandler(folder / "log.txt"))
    with contextlib.suppress(ImportError):  # large messages from a kernel must not fill this machine's memory
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (job["memory"], resource.getrlimit(resource.RLIMIT_DATA)[1]))

    from nbgrader.api import Gradebook
    from nbgrader.converters import Autograde, GenerateFeedback
    from nbgrader.preprocessors import Execute

    from .course import configuration, convert, source
    from .fingerprint import imports
    from .isolation import SOCKETS, Watch, write_kernelspec
    from .preprocessors import LimitedExecute
    from .safe import MakeSafe

    course = Path(job["course"])
    cells = [cell.source for cell in source(course, name).cells if cell.cell_type == "code"]
    write_kernelspec(folder, runtime, job["memory"], job["isolated"], imports(cells))
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
    result = {"key": job["key"], "scores": scores, "died": watch.died, "notes": LimitedExecute.notes}
    result["seconds"] = round(time.time() - job["start"], 1)
    (folder / "result.part").write_text(json.dumps(result))
    (folder / "result.part").rename(folder / "result.json")


def _end_with_runner(watch) -> None:
    """Standard input closes when the runner ends, whatever ends it."""
    os.read(0, 1)
    watch.kill("the runner ended")
    os._exit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
