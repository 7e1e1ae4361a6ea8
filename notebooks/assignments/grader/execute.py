"""nbgrader's execution with limits, and feedback that shows what a test said and not how it tests."""

from __future__ import annotations

import zmq
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_output
from nbgrader import utils
from nbgrader.preprocessors import ClearHiddenTests, Execute

from .course import HIDDEN

LARGEST_MESSAGE = 32 << 20  # bytes
LARGEST_OUTPUT, LARGEST_IN_ALL = 5_000_000, 40_000_000  # characters, of a cell and of a submission


class Manager(AsyncKernelManager):
    """Its clients drop a message that is larger than any output should be."""

    def client(self, **options):
        self.context.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        return super().client(**options)


class LimitedExecute(Execute):
    """A kernel that dies takes the cells from there on, not the whole submission; output ends at a limit."""

    watch = None  # a Watch, set before anything runs

    def __init__(self, *args, **options):
        super().__init__(*args, **(options | {"kernel_manager_class": Manager}))
        self.died, self.all = "", 0
        self.raise_on_iopub_timeout = False  # an error is in the reply as well
        self.store_widget_state = False

    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type != "code":
            return cell, resources
        self.size = 0
        if not self.died:
            try:
                super().preprocess_cell(cell, resources, index)
            except (DeadKernelError, RuntimeError, zmq.ZMQError) as error:
                why = "Python ended" if isinstance(error, DeadKernelError) else f"{type(error).__name__}"
                self.died = f"{LimitedExecute.watch.reason or why} while cell {index + 1} ran"
                LimitedExecute.watch.kill(self.died)
        if self.died:
            cell.outputs = [new_output("error", ename="NotRun", evalue=self.died, traceback=[self.died])]
            LimitedExecute.watch.died = self.died
        for output in cell.outputs:
            if output.output_type == "stream":
                output.name = "stdout"  # nbgrader takes whatever is on stderr, a warning too, for a failed test
            elif output.output_type == "error":
                output.evalue, output.traceback = output.evalue[:1000], [s[:9999] for s in output.traceback[-50:]]
        return cell, resources

    def output(self, outs, msg, display_id, cell_index):
        size = sum(len(str(part)) for part in msg["content"].values())
        self.size, self.all = self.size + size, self.all + size
        if (self.size > LARGEST_OUTPUT or self.all > LARGEST_IN_ALL) and msg["msg_type"] != "error":
            text = "\n(the rest of the output was left out)\n"
            if not (outs and outs[-1].get("text", "").endswith(text)):
                outs.append(new_output("stream", name="stdout", text=text))
            return None
        return super().output(outs, msg, display_id, cell_index)

    def handle_comm_msg(self, outs, msg, cell_index):
        """Widgets have no page here; their values live in the kernel."""


class ShowMessagesOnly(ClearHiddenTests):
    """For feedback: hidden tests go, and of what a test cell said only the message of its error stays."""

    def preprocess(self, nb, resources):
        hidden = "\n".join(m for cell in nb.cells for m in HIDDEN.findall(cell.source) if utils.is_grade(cell))
        lines = {line.strip() for line in hidden.splitlines() if len(line.strip()) >= 12}
        nb, resources = super().preprocess(nb, resources)
        lines -= {line.strip() for cell in nb.cells for line in cell.source.splitlines()}
        for cell in nb.cells:
            for output in cell.get("outputs", []):
                if output.output_type == "error" and utils.is_grade(cell):
                    output.traceback = [f"{output.ename}: {output.evalue}" if output.evalue else output.ename]
            if utils.is_grade(cell) and cell.cell_type == "code":
                cell.outputs = [o for o in cell.outputs if o.output_type == "error"]
            shown = str(cell.get("outputs", "")).replace("\\n", "\n").replace("\\'", "'")
            if any(line in shown for line in lines):
                cell.outputs = [new_output("stream", name="stdout", text="(left out: it shows a hidden test)")]
        return nb, resources
