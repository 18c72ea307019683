"""Where to compute, in which precision, and how: the only place that knows about processors and
GPUs.
"""

import ctypes
import functools
import sys

import torch


def pick_device(name: str = "auto") -> torch.device:
    """The device to train on.

    Args:
        name: "auto" takes a CUDA GPU, else Apple's GPU, else the processor; or any name that torch
            knows.

    Raises:
        ValueError: The named device is not there.
    """
    if name == "auto":
        name = (
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f'device "{name}" is not available here; use "auto" or "cpu"') from error
    if device.type == "cpu":
        _keep_freed_memory()
    return device


@functools.cache
def _keep_freed_memory() -> None:
    """Lets glibc hand large blocks out again instead of returning them to the system after every
    step.

    Feature maps of 40 MB are allocated and freed hundreds of times a step; fresh pages for each
    cost a third of the time.
    """
    if sys.platform == "linux":
        try:
            mallopt = ctypes.CDLL(None).mallopt
        except AttributeError:
            return
        trim_threshold, mmap_max = -1, -4
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


def mixed_precision(device: torch.device) -> torch.autocast:
    """Autocast to bfloat16 where the hardware computes in it, a context that does nothing
    elsewhere.
    """
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    else:
        fast = False
    return torch.autocast(device.type, torch.bfloat16, enabled=fast)


def to_device(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Moves a network to the device in the memory layout in which convolutions are fast there."""
    return module.to(device, memory_format=torch.channels_last)


def describe(device: torch.device) -> str:
    """One line for run records: kind of device and precision."""
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{device.type}, {torch.get_num_threads()} threads"
    )
    return f"{name}, {'bfloat16' if mixed_precision(device)._enabled else 'float32'}"
