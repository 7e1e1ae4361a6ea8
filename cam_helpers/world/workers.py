"""Drawing many pictures at once: worker processes that are fed picture numbers and answer with packed arrays.

The workers are plain child processes, not `multiprocessing`: they import only this package (not the caller's script,
so no `if __name__ == "__main__"` is needed, and not torch), on every operating system alike.
"""

import contextlib
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from . import DRAWINGS
from .dice import Dice
from .pack import join, pack
from .recipes import SPLITS, load_recipe

CHUNK = 32  # pictures a worker draws between two answers
WORTH_IT = 12.0  # megapixels below which starting workers costs more than it saves


def draw_all(job: dict, stop: int, workers: int | None = None, start: int = 0) -> dict[str, np.ndarray]:
    """Draw pictures start…stop-1 of a job (task, split, size, seed, difficulty, data folder) and pack them.

    workers: processes to use; None means one per core, or none at all for little work. The pixels do not depend on it.
    Raises RuntimeError when a worker dies, with what it said on the error stream.
    """
    count = stop - start
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers is None:
        workers = cores if count * job["size"] ** 2 > WORTH_IT * 1e6 / 8 else 1
    chunks = [range(k, min(k + CHUNK, stop)) for k in range(start, stop, CHUNK)]
    with tqdm(total=count, desc=f"drawing {job['task']} {job['split']}", unit="picture", disable=count < 300) as bar:
        if workers <= 1 or len(chunks) == 1:
            done, recipe = [], load_recipe(job["task"], Path(job["data"]))
            for chunk in chunks:
                done.append(draw_chunk(recipe, job, chunk))
                bar.update(len(chunk))
            return join(done)
        team = [_Worker() for _ in range(min(workers, len(chunks)))]
        idle, pool = list(team), ThreadPoolExecutor(len(team))

        def one(chunk):
            worker = idle.pop()
            result = worker.ask(job, chunk)
            idle.append(worker)
            bar.update(len(chunk))
            return result

        try:
            return join(list(pool.map(one, chunks)))
        finally:  # first the workers, so that an interrupted load ends at once
            for worker in team:
                worker.stop()
            pool.shutdown(cancel_futures=True)


def draw_chunk(recipe, job: dict, indices) -> dict[str, np.ndarray]:
    """Draw some pictures of a job in this process; each has a random stream of its own."""
    draw = DRAWINGS[recipe["draw"]]().draw
    pictures = []
    for index in indices:
        dice = Dice(job["seed"], recipe["stream"], SPLITS.index(job["split"]), index)
        drawn = draw(recipe, dice, job["size"], job["difficulty"], job["split"])
        for frame in drawn if "frame" in drawn[0].extra else ():
            frame.extra["clip"] = np.int64(index)
        pictures += drawn
    return pack(pictures)


class _Worker:
    """One child process; talks in pickles over its own standard input and output."""

    def __init__(self):
        env = dict(os.environ, PYTHONPATH=os.pathsep.join(p for p in sys.path if p), OMP_NUM_THREADS="1")
        code = "from cam_helpers.world.workers import serve; serve()"
        self._process = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env
        )

    def ask(self, job, chunk):
        try:
            pickle.dump((job, chunk), self._process.stdin)
            self._process.stdin.flush()
            answer = pickle.load(self._process.stdout)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            raise RuntimeError("a drawing process ended before its time; its message is above") from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def stop(self):
        self._process.terminate()
        with contextlib.suppress(OSError), self._process:
            pass  # leaving it closes the pipes and waits


def serve() -> None:
    """The life of a worker: answer until nobody asks any more."""
    out = sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing that prints may disturb the answers
    recipe = None
    while True:
        try:
            job, chunk = pickle.load(sys.stdin.buffer)
        except (EOFError, KeyboardInterrupt):
            return
        try:
            recipe = recipe or load_recipe(job["task"], Path(job["data"]))
            answer = draw_chunk(recipe, job, chunk)
        except Exception as error:
            answer = error
        pickle.dump(answer, out, protocol=pickle.HIGHEST_PROTOCOL)
        out.flush()
