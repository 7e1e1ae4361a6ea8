"""The training command in processes that share one card; torchrun starts it.

NCCL refuses two processes on one card. gloo does not, and is slower: good enough to see that everything works together.
"""

import torch
from accelerate import PartialState
from accelerate.utils import parse_flag_from_env

cpu = not torch.accelerator.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU")
PartialState(cpu=cpu, backend="gloo")  # the first one decides for the process
PartialState._shared_state["local_process_index"] = 0  # the number of its card, for DistributedDataParallel

from cam_helpers.training.__main__ import main  # noqa: E402

main()
