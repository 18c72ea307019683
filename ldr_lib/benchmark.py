"""Times one stage-2 step of the kit against the same step written literally from the equations."""

import multiprocessing
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F

from .data.batches import image_batches
from .data.views import ViewMaker, Views
from .device import describe, pick_device, to_device
from .losses import cluster_entropy, hypersphere_mixup, patch_discrimination, patch_rows
from .network import TwoBranchNet
from .runs.run import peak_memory_mib
from .tiers import BOTH_BRANCHES
from .training import LocalDiscrimination, _StageNet

PAIRS, SIZE = 4, 128


def literal_loss(net: TwoBranchNet, views: Views) -> torch.Tensor:
    """The stage-2 loss as a reader of the equations would first write it: with a literal product
    over n, k, d, h and w.

    Args:
        net: The network.
        views: Views of 2 * PAIRS images of size s.

    Returns:
        Scalar, the same as `LocalDiscrimination(BOTH_BRANCHES)` up to rounding.
    """
    shared = net.shared_map(torch.cat([views.first, views.second, views.mixed]))  # (5B, 32, s, s)
    v = F.normalize(net.embedding_branch(shared), dim=1)  # (5B, D, s, s)
    n = 4 * PAIRS
    a = F.normalize(net.clustering_branch(shared[:n]).sigmoid(), p=1, dim=1)  # (4B, K, s, s)
    first, second, mixed = (
        F.normalize(F.adaptive_avg_pool2d(part, 8), dim=1) for part in views.split(v)
    )
    regions = F.normalize((a[:, :, None] * v[:n, None]).mean((3, 4)), dim=2)  # (4B, K, D)
    prototypes = F.normalize(regions.mean(0), dim=1)  # (K, D)
    logits = (regions[:, :, None] * prototypes).sum(3) / 0.2  # (4B, K, K)
    region = -logits.log_softmax(2).diagonal(dim1=1, dim2=2).mean()
    terms = {
        "patch": patch_discrimination(patch_rows(first), patch_rows(views.realign(second))),
        "mixup": hypersphere_mixup(mixed, *first.chunk(2), views.lam),
        "region": region,
        "entropy": cluster_entropy(a),
    }
    return sum(BOTH_BRANCHES[name] * value for name, value in terms.items())


def _measure(way: str, device_name: str, steps: int, answer) -> None:
    """Times one way and sends median seconds, first loss, peak memory and device."""
    torch.manual_seed(0)
    on_gpu = device_name.startswith("cuda")
    kit = way == "kit"
    device = pick_device(device_name) if kit else torch.device(device_name)
    net = TwoBranchNet().to(device)
    net = to_device(net, device) if kit else net
    stage = _StageNet(net, clusters=True)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    images = torch.randint(0, 256, (2 * PAIRS, 3, SIZE, SIZE), dtype=torch.uint8).to(device)
    losses = LocalDiscrimination(BOTH_BRANCHES)
    seconds, values = [], []
    for _ in range(steps + 2):
        torch.manual_seed(1)
        views = ViewMaker(SIZE)(images)
        if on_gpu:
            torch.cuda.synchronize()
        started = time.perf_counter()
        loss = losses(stage(views), views) if kit else literal_loss(net, views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())
        seconds.append(time.perf_counter() - started)
    answer.send((statistics.median(seconds[2:]), values[0], peak_memory_mib(), describe(device)))


def _in_own_process(*arguments):
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(*arguments, send))
    process.start()
    send.close()
    try:
        return receive.recv()
    finally:
        process.join()


def loading_seconds(n: int = 512, steps: int = 50) -> float:
    """Median seconds that a step waits for its batch of 2 * PAIRS images of twice the view size."""
    images = np.random.default_rng(0).integers(0, 256, (n, 2 * SIZE, 2 * SIZE, 3), dtype=np.uint8)
    waits, batches = [], iter(image_batches(images, PAIRS, steps))
    for _ in range(steps):
        started = time.perf_counter()
        next(batches)
        waits.append(time.perf_counter() - started)
    return statistics.median(waits)


def measure(device: str = "auto", steps: int = 5) -> str:
    """Times both ways in processes of their own.

    Args:
        device: As in `pick_device`.
        steps: Timed steps each, after two untimed ones.

    Returns:
        The measurement in words: seconds, first losses, memory, ratio, and how long a step waits
        for its batch.

    Raises:
        ValueError: The device is not available.
    """
    name = str(pick_device(device))
    results = {way: _in_own_process(way, name, steps) for way in ("literal", "kit")}
    (slow, expected, *_), (fast, found, _, described) = results["literal"], results["kit"]
    lines = [
        f"one stage-2 step, {5 * PAIRS} images of {SIZE} px, forward, backward and update; "
        f"{described}"
    ]
    for way, (seconds, value, memory, _) in results.items():
        peak = ", ".join(f"{where} {mib} MiB" for where, mib in memory.items())
        lines.append(f"{way:8s} {seconds:7.3f} s   first loss {value:.5f}   peak memory: {peak}")
    difference = abs(found - expected) / expected
    lines.append(f"ratio {slow / fast:.1f}; losses differ by {difference:.1e} of their value")
    wait = loading_seconds()
    lines.append(
        f"waiting for a batch of {2 * PAIRS} images: {1e3 * wait:.1f} ms, "
        f"{wait / fast:.2%} of a step"
    )
    return "\n".join(lines)
