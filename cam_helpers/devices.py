"""Where a network computes, and in which precision."""

from __future__ import annotations

import torch

__all__ = ["fast_precision", "half_precision", "pick", "processes"]


def pick() -> torch.device:
    """The accelerator if there is one (CUDA, MPS …), else the CPU."""
    # asked apart, since current_accelerator(check_available=True) came with torch 2.7
    return torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")


def fast_precision(device: torch.device) -> str:
    """The precision in which the device computes fastest, in Accelerate's words: "bf16", "fp16" or "no" (float32)."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    quick = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return "bf16" if device.type == "cpu" and any(getattr(torch.cpu, name, bool)() for name in quick) else "no"


def half_precision(device: torch.device | str) -> torch.autocast:
    """A context in which networks compute in half precision, where that is faster; elsewhere it changes nothing.

    What comes out is bfloat16 (float16 on an older GPU), right to about one part in a hundred.
    """
    device = torch.device(device)
    precision = fast_precision(device)
    half = torch.float16 if precision == "fp16" else torch.bfloat16
    return torch.autocast(device.type, half, enabled=precision != "no")


def processes():
    """This process among those that torchrun or accelerate started (accelerate's PartialState); `.device` is its own.

    It also works on a machine without an accelerator, where accelerate has to be told.
    """
    from accelerate import PartialState  # here: it takes a third of a second to import
    from accelerate.utils import parse_flag_from_env

    return PartialState(cpu=not torch.accelerator.is_available() or parse_flag_from_env("ACCELERATE_USE_CPU"))
