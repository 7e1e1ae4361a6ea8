"""Run lessons from top to bottom and write them back: outputs, counts 1…N, widget states; no timings, no versions.

python tests/execute.py notebooks/00_start_here.ipynb …
"""

import base64
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path
from queue import Empty

import nbformat
from nbclient import NotebookClient

VIEW = "application/vnd.jupyter.widget-view+json"
LARGEST_STATE = 300_000  # characters


class Client(NotebookClient):
    """nbclient's stand-ins for output widgets send on the channel on which the reply of a cell is awaited, and zmq says
    only once that a reply is there: the word is lost, and nbclient waits until the cell's time is over. So ask anew."""

    async def async_start_new_kernel_client(self):
        client = await super().async_start_new_kernel_client()
        channel = client.shell_channel
        once = channel.get_msg

        async def again(timeout: float | None = None):
            end = time.monotonic() + (float("inf") if timeout is None else timeout)
            while (left := end - time.monotonic()) > 1:
                try:
                    return await once(timeout=1)
                except Empty:
                    continue
            return await once(timeout=max(left, 0))

        channel.get_msg = again
        return client


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
    """A progress bar: without a kernel it would stand still at 0 % for ever."""
    data = output.get("data", {})
    return VIEW in data and bool(re.search(r"\d+%\|", data.get("text/plain", "")))


def write(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write to a temporary name first: an interrupted run loses no lesson."""
    descriptor, temporary = tempfile.mkstemp(suffix=".ipynb", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            nbformat.write(notebook, file)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


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
            (figures / "first_map.png").write_bytes(pictures(notebook)[2])
        print(f"{name}: {time.perf_counter() - start:.0f} s")
