"""Times how many small files become training batches: listing, preparing, reopening, loading."""

import io
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .data.batches import image_batches
from .data.datasets import open_dataset
from .data.files import atomic_write, progress
from .data.prepare import prepare
from .network import TwoBranchNet
from .runs.run import peak_memory_mib
from .settings import Settings
from .stage import stage_learner
from .tiers import PATCH_STAGE

SIDE, PER_FOLDER = 96, 1000


def make_tree(folder: Path, n: int) -> None:
    """Writes n different small photographs, a thousand to a subfolder. Those that are there from
    an earlier call stay.

    Args:
        folder: Receives `0000/000000.jpg` and so on.
        n: Number of files.
    """
    rows, columns = np.mgrid[:SIDE, :SIDE]
    lit = (np.hypot(rows - SIDE / 2, columns - SIDE / 2) < 0.45 * SIDE)[..., None]
    tint = np.array([200, 110, 60])
    for i in progress(range(n), "writing files", n):
        path = folder / f"{i // PER_FOLDER:04d}" / f"{i:06d}.jpg"
        if path.exists():
            continue
        texture = np.random.default_rng(i).uniform(0.6, 1.2, (SIDE // 8, SIDE // 8, 1))
        pixels = (lit * tint * texture.repeat(8, 0).repeat(8, 1)).astype(np.uint8)
        content = io.BytesIO()
        Image.fromarray(pixels).save(content, "JPEG")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.getvalue())


@contextmanager
def _working_folder(given: Path | str) -> Iterator[Path]:
    if given:
        yield Path(given)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _timed(function, *arguments, **options):
    started = time.perf_counter()
    result = function(*arguments, **options)
    return result, time.perf_counter() - started


def _per_batch(images: np.ndarray, pairs: int, steps: int, workers: int) -> float:
    """Milliseconds a batch, without the first, for which processes start."""
    batches = iter(image_batches(images, pairs, steps + 1, workers))
    next(batches)
    _, seconds = _timed(list, batches)
    return 1e3 * seconds / steps


def _per_step(images: np.ndarray, steps: int) -> float:
    """Milliseconds a training step, without the first."""
    settings = Settings(view_size=64, pairs=4, steps=steps, stages=(PATCH_STAGE,), epochs=(2,))
    torch.manual_seed(0)
    learn = stage_learner(TwoBranchNet(), images, settings)
    learn.fit(1)
    _, seconds = _timed(learn.fit, 1)
    return 1e3 * seconds / steps


def measure_input(
    n: int = 100_000, folder: Path | str = "", size: int = 64, workers: int = 4, steps: int = 50
) -> str:
    """Times the way from n small files to training batches.

    Args:
        n: Number of files, at least 10.
        folder: Receives files and cache and keeps them, so that an interrupted measurement goes on
            with the files that are there; "" takes a temporary folder.
        size: Side of the prepared images in pixels.
        workers: Largest number of processes that read ahead.
        steps: Timed batches and steps.

    Returns:
        The measurement in words.

    Raises:
        ValueError: There are fewer than ten files, or the size is out of range.
        DataError: The files cannot be read or prepared, or the result cannot be written.
    """
    if n < 10:
        raise ValueError(f"n must be at least 10, not {n}")
    with _working_folder(folder) as place:
        tree = place / f"files_{n}"
        make_tree(tree, n)
        shutil.rmtree(place / "cache", ignore_errors=True)
        dataset, listing = _timed(open_dataset, "folder", tree, "all")
        prepared, preparing = _timed(prepare, dataset, size, place / "cache")
        again, reopening = _timed(prepare, dataset, size, place / "cache")
        loading = {each: _per_batch(again.images, 4, steps, each) for each in (0, 1, workers)}
        from_map = _per_step(again.images, steps)
        from_memory = _per_step(np.array(again.images[:64]), steps)
        mebibytes = prepared.images.nbytes / 2**20
        peak = ", ".join(f"{name} {mib} MiB" for name, mib in peak_memory_mib().items())
    lines = [
        f"{n} photographs of {SIDE} px in {math.ceil(n / PER_FOLDER)} folders, "
        f"prepared at {size} px, {os.cpu_count()} cores",
        f"listing     {listing:8.2f} s   {n / listing:9.0f} files/s",
        f"preparing   {preparing:8.2f} s   {n / preparing:9.0f} files/s, {mebibytes:.0f} MiB",
        f"reopening   {reopening:8.2f} s   nothing had changed",
        *(
            f"loading     {value:8.2f} ms a batch of 8, {each} reading processes"
            for each, value in loading.items()
        ),
        f"training    {from_map:8.2f} ms a step from the memory map, "
        f"{from_memory:.2f} ms from 64 images in memory",
        f"peak memory {peak}",
    ]
    text = "\n".join(lines) + "\n"
    if folder:
        with atomic_write(Path(folder) / "input.txt") as temporary:
            temporary.write_text(text, encoding="utf-8")
    return text
