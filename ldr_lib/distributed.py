"""Training on several processes that computes what one process with the whole batch computes.

Each process computes the losses of its own share of the batch. Losses are means over a batch, so
the loss of the whole batch is the mean over the processes, and the mean of their gradients is its
gradient. What a loss or BatchNorm needs to know of the other shares (negatives, prototypes, sums,
statistics) is gathered by `gather` and `total`, which carry gradients. With one process all
functions here return what they are given.
"""

import hashlib
import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from functools import cache
from typing import TypeVar

import torch
import torch.distributed as dist

from .data.share import Share

PATIENCE = timedelta(minutes=30)
"""How long a process waits for the others before it gives up."""

LOST = (
    "the training ends on all processes, because one of them ended or was told to; its own message "
    "says why if it could write one. The checkpoint of the last whole epoch stays: start again "
    "with resume, on any number of processes"
)

Result = TypeVar("Result")
_together = ContextVar("together", default=False)
_starts = itertools.count()


class ProcessLost(RuntimeError):
    """Another process cannot be reached any more."""


def launched() -> bool:
    """Whether this process is one of several, started by torchrun or in its manner."""
    if not dist.is_available():
        return False
    several = int(os.environ.get("WORLD_SIZE") or 1) > 1
    return dist.is_initialized() or several and {"RANK", "MASTER_ADDR"} <= os.environ.keys()


def n_launched() -> int:
    """Number of processes that torchrun has started, also outside of `process_group`."""
    if not launched():
        return 1
    return dist.get_world_size() if dist.is_initialized() else int(os.environ["WORLD_SIZE"])


def is_first() -> bool:
    """Whether this process is the one that writes files and prints: the first or the only one."""
    if not launched():
        return True
    return (dist.get_rank() if dist.is_initialized() else int(os.environ["RANK"])) == 0


def n_processes() -> int:
    """Number of processes that compute together at this place: 1 outside of `process_group`."""
    return dist.get_world_size() if _together.get() else 1


def own_share() -> Share:
    """This process's share of a batch."""
    return Share(dist.get_rank(), dist.get_world_size()) if _together.get() else Share()


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Connects the processes that torchrun has started, so that what is trained inside is trained
    by all of them together. Without torchrun it does nothing.

    Where another process is lost, or torchrun ends this one, one process says so in one sentence
    and all end with status 1.

    Args:
        device: Where each process computes, as `pick_device` returns it. GPUs talk by nccl,
            processors by gloo.

    Raises:
        ValueError: Processes cannot share this kind of device.
        SystemExit: Another process has ended.

    Example:
        >>> with process_group(torch.device("cpu")):
        ...     n_processes()
        1
    """
    if not launched() or _together.get():
        yield
        return
    started = not dist.is_initialized()
    if started:
        _start(device)
    token = _together.set(True)
    try:
        with _ended_by_signal() as ending:
            try:
                yield
                _wait_for_all()
            except (ProcessLost, dist.DistError) as error:
                ending.append(error)
                if first_to_say(LOST):
                    sys.stderr.write(f"{LOST}\n")
                raise SystemExit(1) from error
        if started:
            dist.destroy_process_group()
    except Exception:
        if started:
            with suppress(RuntimeError):
                dist.destroy_process_group()
        raise
    finally:
        _together.reset(token)


def _start(device: torch.device) -> None:
    backends = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl" if dist.is_nccl_available() else "gloo"}
    if device.type not in backends:
        raise ValueError(
            f'several processes cannot train on "{device}" together; use device="cpu", or one '
            "process"
        )
    if device.type == "cuda":
        torch.cuda.set_device(device)
    number = next(_starts)  # the same in all processes; a name is used once
    dist.init_process_group(
        backends[device.type],
        store=dist.PrefixStore(f"ldr_lib/group/{number}", _store()),
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=PATIENCE,
    )


@cache
def _store() -> "dist.Store":
    """Where the processes find each other: torchrun's own store, or one of the first process."""
    store, _, _ = next(dist.rendezvous("env://", timeout=PATIENCE))
    return dist.PrefixStore(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"), store)


@contextmanager
def _ended_by_signal() -> Iterator[list]:
    """Torchrun ends all processes by SIGTERM when one is lost: that becomes a `ProcessLost`, once,
    unless the yielded list says that this process is ending already.
    """
    ending = []

    def end(number, frame):
        if not ending:
            raise ProcessLost("ended by a signal")

    if threading.current_thread() is not threading.main_thread():
        yield ending
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield ending
    finally:
        signal.signal(signal.SIGTERM, before)


def first_to_say(sentence: str) -> bool:
    """Whether no other process has said this sentence yet, so that the user reads it once.

    Args:
        sentence: What is to be printed.
    """
    if not launched():
        return True
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":  # nobody may be there to answer
        return is_first()
    name = hashlib.blake2b(sentence.encode(), digest_size=16).hexdigest()
    try:
        return _store().add(f"said/{name}", 1) == 1
    except RuntimeError:
        return True


@contextmanager
def alone() -> Iterator[None]:
    """Nothing is gathered inside: for work that one process does by itself."""
    token = _together.set(False)
    try:
        yield
    finally:
        _together.reset(token)


def from_first(function: Callable[[], Result]) -> Result:
    """What a function returns, called by the first process alone; the others wait for it.

    Args:
        function: Reads or writes files, for example. Its result can be pickled.

    Returns:
        Its result, in all processes.

    Raises:
        Exception: What the function raises, in all processes.

    Example:
        >>> from_first(lambda: 3)
        3
    """
    if n_processes() == 1:
        return function()
    answer = [None, None]
    if is_first():
        with alone():
            try:
                answer[0] = function()
            except Exception as error:
                answer[1] = error
    with _noticing_loss():
        dist.broadcast_object_list(answer, src=0)
    result, error = answer
    if error is not None:
        raise error
    return result


@contextmanager
def _noticing_loss() -> Iterator[None]:
    try:
        yield
    except ProcessLost:
        raise
    except RuntimeError as error:  # gloo and nccl have no common class for it
        raise ProcessLost(str(error)) from error


def _number(value: float) -> torch.Tensor:
    """A number where the processes can exchange it: nccl alone knows GPUs only."""
    return torch.tensor([value], device="cuda" if dist.get_backend() == "nccl" else "cpu")


def _wait_for_all() -> None:
    with _noticing_loss():
        dist.all_reduce(_number(0.0))


def all_go_on(own: bool) -> bool:
    """Whether all processes want to go on; each asks with its own answer."""
    if n_processes() == 1:
        return own
    going_on = _number(float(own))
    with _noticing_loss():
        dist.all_reduce(going_on)
    return int(going_on) == n_processes()


def _sum_of_all(x: torch.Tensor) -> torch.Tensor:
    x = x.clone(memory_format=torch.contiguous_format)
    with _noticing_loss():
        dist.all_reduce(x)
    return x


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(context, x: torch.Tensor) -> torch.Tensor:
        return _sum_of_all(x)

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> torch.Tensor:
        return _sum_of_all(gradient)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(context, x: torch.Tensor) -> torch.Tensor:
        x = x.contiguous()
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        with _noticing_loss():
            dist.all_gather(parts, x)
        return torch.cat(parts)

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> torch.Tensor:
        return Share(dist.get_rank(), dist.get_world_size()).take(_sum_of_all(gradient))


def total(x: torch.Tensor) -> torch.Tensor:
    """The sum of a tensor over all processes, with its gradient.

    Args:
        x: Of one shape in all processes.

    Returns:
        Of the same shape, equal in all processes.

    Example:
        >>> total(torch.ones(2))
        tensor([1., 1.])
    """
    return x if n_processes() == 1 else _Total.apply(x)


def average(x: torch.Tensor) -> torch.Tensor:
    """The mean of a tensor over all processes, with its gradient.

    Args:
        x: Of one shape in all processes.

    Returns:
        Of the same shape, equal in all processes.

    Example:
        >>> average(torch.ones(2))
        tensor([1., 1.])
    """
    return x if n_processes() == 1 else _Total.apply(x) / n_processes()


def gather(x: torch.Tensor) -> torch.Tensor:
    """The rows of all processes, one process after the other, with their gradient.

    Args:
        x: (n, ...), of one shape in all processes.

    Returns:
        (n * processes, ...), equal in all processes.

    Example:
        >>> gather(torch.ones(2, 3)).shape
        torch.Size([2, 3])
    """
    return x if n_processes() == 1 else _Gather.apply(x)


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Gives all processes the mean of their gradients, by one message.

    Args:
        parameters: Those of the network, in the same order in all processes.
    """
    if n_processes() == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    means = _sum_of_all(torch.cat([gradient.flatten() for gradient in gradients])) / n_processes()
    pieces = means.split([gradient.numel() for gradient in gradients])
    for gradient, piece in zip(gradients, pieces):
        gradient.copy_(piece.view(gradient.shape))


def same_weights(net: torch.nn.Module) -> None:
    """Gives all processes the weights and statistics of the first.

    Args:
        net: Of the same kind in all processes; changed in place.
    """
    if n_processes() == 1:
        return
    for value in net.state_dict().values():
        of_first = value.contiguous()
        with _noticing_loss():
            dist.broadcast(of_first, src=0)
        value.copy_(of_first)
