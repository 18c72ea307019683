"""Where to compute and in which precision: the only module that distinguishes processors and
GPUs.

Precision on hardware with bfloat16 (`mixed_precision`): convolutions and their feature maps are
bfloat16; weights, their gradients and Adam's state, the statistics of BatchNorm, unit vectors,
cluster assignments and losses are float32 (of the baseline "dense" the scalar products are
bfloat16). Elsewhere everything is float32. No loss needs to be scaled, because bfloat16 has the
range of float32.
"""

import ctypes
import functools
import os
import sys

import torch

from .data.checks import instance
from .data.tensor_checks import torch_device
from .distributed import launched


def pick_device(name: str = "auto") -> torch.device:
    """The device to train on.

    Args:
        name: "auto" takes a CUDA GPU, else Apple's GPU, else the processor; or any name that torch
            knows. Of several processes that torchrun starts on a machine each takes the CUDA GPU of
            its own number, or the processor.

    Returns:
        The device, tested by one allocation.

    Raises:
        ValueError: The named device is not available.

    Example:
        >>> pick_device("cpu")
        device(type='cpu')

    Taught in notebook 02, section 6.
    """
    instance(name, str, "device", 'a name such as "auto" or "cpu"')
    if name == "auto":
        has_gpu = {
            "cuda": torch.cuda.is_available(),
            "mps": torch.backends.mps.is_available() and not launched(),
        }
        name = next((kind for kind, there in has_gpu.items() if there), "cpu")
    if name == "cuda" and launched() and "LOCAL_RANK" in os.environ:
        name = f"cuda:{os.environ['LOCAL_RANK']}"
        if int(os.environ["LOCAL_RANK"]) >= torch.cuda.device_count():
            raise ValueError(
                f"every process takes a GPU of its own and this machine has "
                f"{torch.cuda.device_count()}; start as many processes (--nproc-per-node)"
            )
    device = torch_device(name)
    if device.type == "cpu":
        _keep_freed_memory()
    return device


@functools.cache
def _keep_freed_memory() -> None:
    """Lets glibc reuse large blocks instead of returning them to the system after every step.

    Feature maps of 40 MB are allocated and freed hundreds of times a step. Fresh pages for each of
    them would cost a third of the time.
    """
    if sys.platform == "linux":
        try:
            mallopt = ctypes.CDLL(None).mallopt
        except AttributeError:
            return
        trim_threshold, mmap_max = -1, -4
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


def mixed_precision(device: torch.device, net: torch.nn.Module | None = None) -> torch.autocast:
    """Autocast to bfloat16 where the hardware computes in it.

    Args:
        device: Where the computation runs.
        net: What computes; one whose weights were brought to another precision than float32
            computes in that.

    Returns:
        A context manager; on hardware without bfloat16 it does nothing.

    Example:
        >>> with mixed_precision(torch.device("cpu")):
        ...     y = torch.ones(2, 2) @ torch.ones(2, 2)
    """
    if device.type == "cuda":
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu":
        computes = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        # ATEN_CPU_CAPABILITY=avx2 makes torch compute as an older processor would
        fast = computes and torch.backends.cpu.get_cpu_capability() not in ("DEFAULT", "AVX2")
    else:
        fast = False
    usual = net is None or next(net.parameters()).dtype == torch.float32
    return torch.autocast(device.type, torch.bfloat16, enabled=fast and usual)


def require_memory(needed: int, device: torch.device) -> None:
    """Makes sure that something can fit into a device's memory, before it is tried.

    Args:
        needed: Bytes.
        device: Where they are needed.

    Raises:
        ValueError: The whole memory is smaller.
    """
    if device.type == "cuda":
        there = torch.cuda.get_device_properties(device).total_memory
    elif device.type == "cpu" and hasattr(os, "sysconf"):
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    else:
        return
    if needed > there:
        raise ValueError(
            f"a step needs {needed / 2**30:,.0f} GiB at least and {device} has "
            f"{there / 2**30:,.0f} GiB: choose fewer pairs, or smaller views"
        )


def to_device(module: torch.nn.Module, device: torch.device) -> torch.nn.Module:
    """Moves a network to the device, in the memory layout in which convolutions are fast there.

    Args:
        module: The network, changed in place.
        device: As `pick_device` returns it.

    Returns:
        The same network.

    Taught in notebook 02, section 6.
    """
    instance(module, torch.nn.Module, "module", "a network")
    if not isinstance(device, torch.device):
        device = pick_device(device)
    return module.to(device, memory_format=torch.channels_last)


def describe(device: torch.device) -> str:
    """One line for run records.

    Args:
        device: As `pick_device` returns it.

    Returns:
        Kind of device, number of threads on a processor, and precision.

    Raises:
        ValueError: It is no device.

    Taught in notebook 02, section 6.
    """
    instance(device, torch.device, "device", "one that pick_device returned")
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{device.type}, {torch.get_num_threads()} threads"
    )
    return f"{name}, {'bfloat16' if mixed_precision(device)._enabled else 'float32'}"
