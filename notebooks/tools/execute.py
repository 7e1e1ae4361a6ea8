"""Run lessons from top to bottom and write them back: outputs, counts 1…N, widget states; no timings, no versions.

A lesson that claims what its numbers refute (see claims.py) is not written.

python notebooks/tools/execute.py notebooks/00_start_here.ipynb …
"""

import base64
import contextlib
import json
import math
import re
import sys
import time
from pathlib import Path
from queue import Empty

import claims
import nbformat
from nbclient import NotebookClient
from nbclient.util import run_sync

VIEW = "application/vnd.jupyter.widget-view+json"
LARGEST_STATE = 300_000  # characters


class Refuted(Exception):
    """A lesson claims what its numbers refute."""


class Client(NotebookClient):
    """A notebook client that asks for a cell's reply once a second, where nbclient waits for zmq to announce it.

    nbclient's stand-ins for output widgets send on the same channel. zmq announces a reply only once, so an
    announcement that comes while they send is lost, and nbclient would wait until the cell's time is over.

    It also asks for the cell's claims: all of them, or with full=False those that hold in every run. The sentences
    about those that do not hold are in `refuted`.
    """

    def __init__(self, *arguments, full: bool = True, **options):
        super().__init__(*arguments, on_cell_executed=self._remember, **options)
        self.full, self.refuted = full, []

    def _remember(self, execute_reply, **_):
        self.refuted += claims.refuted(execute_reply)

    async def async_start_new_kernel_client(self):
        client = await super().async_start_new_kernel_client()
        channel = client.shell_channel
        once = channel.get_msg

        async def again(timeout: float | None = None):
            end = math.inf if timeout is None else time.monotonic() + timeout
            while end - time.monotonic() > 1:
                with contextlib.suppress(Empty):
                    return await once(timeout=1)
            return await once(timeout=max(end - time.monotonic(), 0))

        channel.get_msg = again
        ask = client.execute
        client.execute = lambda source, **options: ask(
            source, user_expressions=claims.questions(source, self.full), **options
        )
        return client

    async def async_execute(self, *arguments, **options):
        notebook = await super().async_execute(*arguments, **options)
        if self.refuted:
            raise Refuted("\n".join(self.refuted))
        return notebook

    execute = run_sync(async_execute)


def execute(path: Path, timeout: int = 600) -> nbformat.NotebookNode:
    """Execute a notebook with this environment's Python, from the folder it lies in -> the executed notebook."""
    notebook = nbformat.read(path, as_version=4)
    client = Client(
        notebook,
        timeout=timeout,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": path.parent}},
    )
    client.execute()
    notebook.metadata.get("language_info", {}).pop("version", None)
    for cell in notebook.cells:
        if "outputs" in cell:
            cell.outputs = [output for output in cell.outputs if not is_bar(output)]
    shown = any(VIEW in output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", []))
    if not shown or len(json.dumps(notebook.metadata.get("widgets", {}))) > LARGEST_STATE:
        notebook.metadata.pop("widgets", None)  # of bars only; or pictures, and the figure below each stands for it
    return notebook


def is_bar(output) -> bool:
    """True for a progress bar; without a kernel it would stand still at 0 % for ever."""
    data = output.get("data", {})
    return VIEW in data and bool(re.search(r"\d+%\|", data.get("text/plain", "")))


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook; an interrupted run loses no lesson."""
    from cam_helpers.files import replacing  # it loads PyTorch, which those who only run a notebook wait for in vain

    with replacing(path) as file:
        file.write(f"{nbformat.writes(notebook)}\n".encode())


def pictures(notebook: nbformat.NotebookNode) -> list[bytes]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [base64.b64decode(o.data["image/png"]) for o in outputs if "image/png" in o.get("data", {})]


if __name__ == "__main__":
    for name in sys.argv[1:]:
        start, path = time.perf_counter(), Path(name)
        notebook = execute(path)
        write(notebook, path)
        figures = path.parent / "figures"
        if path.stem == "00_start_here" and figures.is_dir():  # the README shows its first map
            (figures / "first_map.png").write_bytes(pictures(notebook)[0])
        print(f"{name}: {time.perf_counter() - start:.0f} s")
