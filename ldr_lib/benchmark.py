"""Times the kit against the same step written literally and as this kit wrote it before, and the
other things that a user waits for.
"""

import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from .data.batches import image_batches
from .data.views import ViewMaker, Views
from .device import describe, pick_device, to_device
from .losses import cluster_entropy, hypersphere_mixup, patch_discrimination, patch_rows
from .network import TwoBranchNet
from .runs.run import peak_memory_mib
from .settings import Settings
from .stage import LocalDiscrimination, _StageNet
from .tiers import BOTH_BRANCHES

PAIRS, SIZE = 4, 128
EARLIER = "revision 1d8e877"
WAYS = ("literal", EARLIER, "kit")
"""How a step is written: from the equations, as this kit did at an earlier revision, as now."""
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2"}
"""Environment in which torch computes as on a processor without AVX-512."""
PHOTOGRAPH = (2300, 3500)
"""Height and width in pixels of the photograph whose prediction is timed."""


class EarlierRepeatBorder(torch.autograd.Function):
    """Padding as revision 1d8e877 wrote it: two copies of the map in each direction."""

    @staticmethod
    def forward(context, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([x[:, :, :1], x, x[:, :, -1:]], 2)  # (B, C, H + 2, W)
        return torch.cat([x[..., :1], x, x[..., -1:]], 3)  # (B, C, H + 2, W + 2)

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone()
        gradient[:, :, 1] += gradient[:, :, 0]
        gradient[:, :, -2] += gradient[:, :, -1]
        gradient[..., 1] += gradient[..., 0]
        gradient[..., -2] += gradient[..., -1]
        return gradient[:, :, 1:-1, 1:-1]  # (B, C, H, W)


def as_earlier(net: TwoBranchNet) -> TwoBranchNet:
    """The same network, computing as revision 1d8e877 did; changed in place."""
    for module in net.modules():
        if hasattr(module, "pad"):
            module.pad = EarlierRepeatBorder.apply
    return net


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


def _seconds(function: Callable, repeats: int, device: torch.device) -> float:
    """Median seconds of a call, after two calls that do not count."""
    taken = []
    for _ in range(repeats + 2):
        started = time.perf_counter()
        function()
        if device.type == "cuda":
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[2:])


def _net_for(way: str, device: torch.device, n_clusters: int = 16) -> TwoBranchNet:
    torch.manual_seed(0)
    net = TwoBranchNet(n_clusters=n_clusters)
    if way == "literal":
        return net.to(device)
    net = to_device(net, device)
    return as_earlier(net) if way == EARLIER else net


def time_step(way: str, device: torch.device, repeats: int) -> dict:
    """One published stage-2 step on 5 * PAIRS images of SIZE pixels, without making views.

    Returns:
        "seconds" (median), "loss" (of the first step) and "memory" (peak in MiB).
    """
    net = _net_for(way, device)
    stage, losses = _StageNet(net, clusters=True), LocalDiscrimination(BOTH_BRANCHES)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    images = torch.randint(0, 256, (2 * PAIRS, 3, SIZE, SIZE), dtype=torch.uint8).to(device)
    torch.manual_seed(1)
    views, values = ViewMaker(SIZE)(images), []

    def step():
        loss = literal_loss(net, views) if way == "literal" else losses(stage(views), views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(loss.item())

    seconds = _seconds(step, repeats, device)
    return {"seconds": seconds, "loss": values[0], "memory": peak_memory_mib()}


def time_class_step(way: str, device: torch.device, repeats: int) -> dict:
    """One step of stage 1 at the class tier: reading the batch, making its views, training on them.

    Returns:
        "seconds" (median) and "views" (median seconds of making the views alone).
    """
    settings = Settings.for_tier("class", "fundus")
    net = _net_for(way, device, settings.n_clusters)
    stage = _StageNet(net, clusters=False)
    losses = LocalDiscrimination(settings.stages[0], settings.grid)
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    make_views = settings.view_maker
    channels = 3 * make_views.appearances + make_views.field_of_view
    shape = (64, settings.image_size, settings.image_size, channels)
    images = np.random.default_rng(0).integers(1, 256, shape, dtype=np.uint8)
    batches = iter(image_batches(images, settings.pairs, 2 * repeats + 8))

    def step():
        views = make_views(next(batches)[0].to(device).permute(0, 3, 1, 2))
        loss = losses(stage(views), views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def only_views():
        make_views(next(batches)[0].to(device).permute(0, 3, 1, 2))

    return {
        "seconds": _seconds(step, repeats, device),
        "views": _seconds(only_views, repeats, device),
    }


class _Convolutions(TorchDispatchMode):
    """Keeps what every convolution is called with."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, operation, types, arguments=(), named=None):
        if operation is torch.ops.aten.convolution.default:
            self.calls.append(arguments)
        return operation(*arguments, **(named or {}))


def time_convolutions(way: str, device: torch.device, repeats: int) -> dict:
    """The convolutions of one published stage-2 step and nothing else, each with its gradients.

    However the rest of a step is written, it takes at least this long.

    Returns:
        "seconds" (sum of the medians of all convolutions), "forward" (the part of it that is
        spent without gradients) and "operations" (multiplications and additions).
    """
    net = _net_for(way, device)
    images = torch.randint(0, 256, (2 * PAIRS, 3, SIZE, SIZE), dtype=torch.uint8).to(device)
    with _Convolutions() as seen, torch.no_grad():
        _StageNet(net, clusters=True)(ViewMaker(SIZE)(images))
        forward = backward = operations = 0.0
    for x, weight, *how in seen.calls:
        y = F.conv2d(x, weight)  # (B, channels_out, H, W)
        wanted = [x.shape[1] > net.in_channels, True, True]  # images need no gradient
        given = (torch.rand_like(y), x, weight, [len(weight)], *how[1:], wanted)
        again = partial(torch.ops.aten.convolution.default, x, weight, *how)
        forward += _seconds(again, repeats, device)
        backward += _seconds(partial(torch.ops.aten.convolution_backward, *given), repeats, device)
        operations += (2 + 2 * sum(wanted[:2])) * y.numel() * weight[0].numel()
    return {"seconds": forward + backward, "forward": forward, "operations": operations}


def time_waits(device: torch.device, repeats: int) -> dict[str, float]:
    """Median seconds of what a user waits for outside training: a batch, the vessels of a large
    photograph, one click in the explorer on eight images of 256 pixels.
    """
    from .explore.scene import Point, embed_scene
    from .guided.predict import predict_structure
    from .pretrained import load_pretrained

    random = np.random.default_rng(0)
    images = random.integers(0, 256, (512, 2 * SIZE, 2 * SIZE, 3), dtype=np.uint8)
    batches = iter(image_batches(images, PAIRS, repeats + 2))
    scene = embed_scene(TwoBranchNet().to(device), list(images[:8]))
    nets, photograph = load_pretrained("fundus"), _lit_disc(*PHOTOGRAPH)
    cpu = torch.device("cpu")
    return {
        f"a batch of {2 * PAIRS} images": _seconds(lambda: next(batches), repeats, cpu),
        f"vessels of a photograph of {PHOTOGRAPH[1]} x {PHOTOGRAPH[0]} px": _seconds(
            lambda: predict_structure(nets, photograph, "vessel"), 1, device
        ),
        "a click in the explorer, 8 images of 256 px": _seconds(
            lambda: scene.similarity([Point(0, SIZE, SIZE)]), repeats, cpu
        ),
    }


def _lit_disc(height: int, width: int) -> np.ndarray:
    """A round lit field on black, (height, width, 3) uint8."""
    rows, columns = np.ogrid[:height, :width]
    inside = np.hypot(rows - height / 2, columns - width / 2) < 0.47 * height
    texture = 120 + 40 * np.sin(rows / 17) * np.cos(columns / 23)
    return (inside[..., None] * texture[..., None] * [1.0, 0.6, 0.4]).astype(np.uint8)


def _answer(task: str, way: str, device_name: str, repeats: int, send) -> None:
    """Runs one timing in a process of its own and sends what came out."""
    device = torch.device(device_name) if way == "literal" else pick_device(device_name)
    if task == "waits":
        send.send(time_waits(device, repeats))
    else:
        timed = {
            "step": time_step,
            "class step": time_class_step,
            "convolutions": time_convolutions,
        }[task]
        send.send(timed(way, device, repeats) | {"device": describe(device)})


@contextmanager
def _environment(values: dict[str, str]):
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _in_own_process(task: str, way: str, device: str, repeats: int, environment: dict) -> dict:
    context = multiprocessing.get_context("spawn")
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(task, way, device, repeats, send))
    with _environment(environment):
        process.start()
    send.close()
    try:
        return receive.recv()
    except EOFError as error:
        raise RuntimeError(f"the process that times {task} ({way}) ended without an answer") from (
            error
        )
    finally:
        process.join()


def measure(device: str = "auto", steps: int = 5) -> str:
    """Times everything in one run, each way in processes of its own, the ways in turn.

    Args:
        device: As in `pick_device`.
        steps: Timed repeats in each of two rounds; the faster round counts.

    Returns:
        The measurement in words. On a processor with AVX-512 the steps are also timed as on one
        that has AVX2 only.

    Raises:
        ValueError: The device is not available.
    """
    name = str(pick_device(device))
    processors = {"": {}}
    if name == "cpu" and torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        processors = {"": {}, ", held to AVX2": AVX2}
    lines = []
    for words, environment in processors.items():
        lines += _step_lines(name, words, environment, steps)
    waits = _in_own_process("waits", "kit", name, steps, {})
    lines += [f"{1e3 * seconds:8.1f} ms  {what}" for what, seconds in waits.items()]
    return "\n".join(lines)


def _step_lines(name: str, words: str, environment: dict, steps: int) -> list[str]:
    def faster(task: str, ways: tuple[str, ...]) -> dict[str, dict]:
        rounds = [
            {way: _in_own_process(task, way, name, steps, environment) for way in ways}
            for _ in range(2)
        ]
        return {
            way: min((r[way] for r in rounds), key=lambda found: found["seconds"]) for way in ways
        }

    whole = faster("step", WAYS)
    kit = whole["kit"]
    lines = [
        f"one stage-2 step, {5 * PAIRS} images of {SIZE} px, forward, backward and update; "
        f"{kit['device']}{words}"
    ]
    for way, found in whole.items():
        peak = ", ".join(f"{where} {mib} MiB" for where, mib in found["memory"].items())
        lines.append(
            f"{1e3 * found['seconds']:8.1f} ms  {way}: first loss {found['loss']:.5f}, peak memory "
            f"{peak}; the kit is {found['seconds'] / kit['seconds']:.2f} times as fast"
        )
    alone = faster("convolutions", ("kit",))["kit"]
    most = whole["literal"]["seconds"] / alone["seconds"]
    lines.append(
        f"{1e3 * alone['seconds']:8.1f} ms  its convolutions and their gradients alone "
        f"({1e3 * alone['forward']:.1f} ms without gradients; "
        f"{alone['operations'] / alone['seconds'] / 1e9:.0f} billion operations a second): with "
        f"them a step is at most {most:.2f} times as fast as the literal one"
    )
    short = faster("class step", (EARLIER, "kit"))
    ratio = short[EARLIER]["seconds"] / short["kit"]["seconds"]
    lines.append(
        f"{1e3 * short['kit']['seconds']:8.1f} ms  one step of the class tier with its views "
        f"({1e3 * short['kit']['views']:.1f} ms); {ratio:.2f} times as fast as {EARLIER}"
    )
    return lines
