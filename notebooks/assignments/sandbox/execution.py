"""nbgrader's execution of a notebook, cell by cell, with limits on time and output, in a kernel that may lie or die."""

from subprocess import DEVNULL
from typing import ClassVar

import zmq
from jupyter_client.manager import AsyncKernelManager
from nbclient.exceptions import DeadKernelError
from nbformat import ValidationError
from nbformat.v4 import new_output
from nbgrader import utils
from nbgrader.preprocessors import Execute

from collector.cells import EXERCISE

from .isolation import root_of

LARGEST_MESSAGE = 32 << 20  # bytes
CELL_OUTPUT, NOTEBOOK_OUTPUT = 5_000_000, 40_000_000  # characters
CELL_OUTPUTS = 500
LEAST_SECONDS = 10  # of a cell, where too many others ran too long


class Manager(AsyncKernelManager):
    """Starts a kernel that inherits no open file, and drops messages that are larger than any output should be."""

    async def start_kernel(self, **options):
        await super().start_kernel(**options, stdout=DEVNULL, stderr=DEVNULL)
        if self.transport == "ipc":
            LimitedExecute.watch.root = root_of(self.provisioner.pid)
            self.ip = LimitedExecute.watch.root + self.ip
            self._close_control_socket()
            self._connect_control_socket()  # by which cells are interrupted

    def client(self, **options):
        """Its requests say in `user_expressions`, which nothing else uses, what kind of cell it is: see kernel.py."""
        self.context.setsockopt(zmq.MAXMSGSIZE, LARGEST_MESSAGE)
        client = super().client(**options)
        execute, self.kind = client.execute, ""
        client.execute = lambda code, **how: execute(code, user_expressions={"kind": self.kind}, **how)
        return client


class LimitedExecute(Execute):
    """Runs all cells; when the kernel dies, the cells from there on fail, and those before keep their marks."""

    # nbgrader makes the instance: what goes in and comes out is on the class
    watch = None  # a Watch, set before anything runs
    notes: ClassVar[list[str]] = []  # for the table: cells that were stopped
    changed: ClassVar[list[str]] = []  # what the kernel says was replaced

    def __init__(self, *args, **options):
        super().__init__(*args, **(options | {"kernel_manager_class": Manager}))
        self.cell_size = self.notebook_size = 0
        self.timeout_func, self.lost, self.too_long = self.seconds_of, 0, set()
        self.raise_on_iopub_timeout = False  # the reply to a request holds the error too
        self.store_widget_state = False

    def seconds_of(self, cell) -> int:
        """What a cell may take. Cells that take longer may lose twice that together, others get less from then on."""
        most = self.timeout if is_test(cell) or not self.lost else self.timeout // 4
        return max(min(most, 2 * self.timeout - self.lost), min(self.timeout, LEAST_SECONDS))

    def on_cell_executed(self, cell, cell_index, execute_reply):
        if "header" not in execute_reply:  # it is not the kernel's: there was none in time
            seconds = self.seconds_of(cell)
            said = f"cell {name_of(cell, cell_index)} ran longer than {seconds} s and was stopped"
            self.lost += seconds
            self.too_long.add(exercise_of(cell))
            self.notes.append(said)
            words = {"ename": "TooLong", "evalue": f"This {said}.", "traceback": [f"This {said}."]}
            execute_reply = {"content": execute_reply["content"] | words}
        if isinstance(changed := execute_reply["content"].get("changed"), list):
            self.changed.extend(changed)
        super().on_cell_executed(cell=cell, cell_index=cell_index, execute_reply=execute_reply)

    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type != "code":
            return cell, resources
        self.cell_size = 0
        self.km.kind = "test" if is_test(cell) else "course" if utils.is_locked(cell) else ""
        if is_test(cell) and exercise_of(cell) in self.too_long:
            said = "Not run, because an earlier test of this exercise ran too long."
            cell.outputs = [new_output("error", ename="NotRun", evalue=said, traceback=[said])]
        elif not self.watch.died:
            try:
                super().preprocess_cell(cell, resources, index)
            except (DeadKernelError, RuntimeError, zmq.ZMQError) as error:
                reason = "Python ended" if isinstance(error, DeadKernelError) else type(error).__name__
                self.watch.died = f"{self.watch.reason or reason} while cell {name_of(cell, index)} ran"
                self.watch.kill(self.watch.died)
        if died := self.watch.died:
            cell.outputs = [new_output("error", ename="NotRun", evalue=died, traceback=[died])]
        if is_test(cell):
            # nbgrader would take a displayed value for partial credit, and a student's code can display one
            cell.outputs = [output for output in cell.outputs if output.output_type != "execute_result"]
        for output in cell.outputs:
            if output.output_type == "stream":
                output.name = "stdout"  # nbgrader takes anything on stderr, even a warning, for a failed test
            elif output.output_type == "error":
                output.evalue, output.traceback = output.evalue[:1000], [s[:9999] for s in output.traceback[-50:]]
        return cell, resources

    def process_message(self, msg, cell, cell_index):
        try:
            return super().process_message(msg, cell, cell_index)
        except (ValidationError, AttributeError, KeyError, TypeError, ValueError):  # of data of the wrong type
            if msg["msg_type"] == "error":
                cell.outputs.append(new_output("error", ename="Error", evalue="", traceback=[]))
            else:
                text = "(an output of the wrong type was left out)\n"
                cell.outputs.append(new_output("stream", name="stdout", text=text))
            return None

    def output(self, outs, msg, display_id, cell_index):
        """Keep an output unless there is too much of it. Arguments as `nbclient.NotebookClient.output`."""
        size = sum(len(str(part)) for part in msg["content"].values())
        self.cell_size += size
        self.notebook_size += size
        too_much = self.cell_size > CELL_OUTPUT or self.notebook_size > NOTEBOOK_OUTPUT or len(outs) >= CELL_OUTPUTS
        if too_much and msg["msg_type"] != "error":
            text = "\n(the rest of the output was left out)\n"
            if not (outs and outs[-1].get("text", "").endswith(text)):
                outs.append(new_output("stream", name="stdout", text=text))
            return None
        return super().output(outs, msg, display_id, cell_index)

    def handle_comm_msg(self, outs, msg, cell_index):
        """Widgets work in the kernel; there is no page to show them, so their messages are dropped."""


def is_test(cell) -> bool:
    return utils.is_grade(cell) and not utils.is_solution(cell)


def name_of(cell, index: int) -> str:
    """Its grade_id, or its number where it is a student's own."""
    return cell.metadata.get("nbgrader", {}).get("grade_id", str(index + 1))


def exercise_of(cell) -> str:
    return EXERCISE.sub(r"\1", name_of(cell, -1))
