"""The training command in several processes that share one card; torchrun starts it.

NCCL refuses two processes on one card. gloo does not, and is slower: good enough to see that everything works together.
"""

from accelerate import PartialState

PartialState(backend="gloo")  # the first one decides for the process
PartialState._shared_state["local_process_index"] = 0  # the number of its card, for DistributedDataParallel

from cam_helpers.training.__main__ import main  # noqa: E402

main()
