"""From files to training arrays: a dataset as memory-mapped arrays in a cache keyed by content."""

import hashlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from . import checks
from .adapter import ImageDataset
from .cache import ArrayFiles, Prepared, default_cache, open_prepared
from .crop import local_normalize, prepare_sample
from .datasets import Simulated
from .errors import DataError
from .files import atomic_write, in_processes, not_written, progress
from .locks import locked, remove, remove_leftovers, unfinished_folder
from .names import numbered, safe_text
from .sources import Sources, state_of

FORMAT = 2
TOLERATED = 0.01
KEPT_EVERY = 10
"""Seconds of work that a process loses at most when it is killed."""
ATTEMPTS = 3


class _Changed(Exception):
    """A file was replaced while the images were prepared."""


def prepare(dataset, size: int = 256, cache: Path | str | None = None) -> Prepared:
    """Prepares all images of a dataset once; later calls open them from the cache, memory-mapped.

    Args:
        dataset: As opened by `open_dataset`.
        size: Side of the prepared images in pixels.
        cache: Folder of the cache; None takes `default_cache()`.

    A process that is killed loses ten seconds of work; the next call goes on from there.

    Returns:
        The `Prepared` images. Files that cannot be read are left out with a warning, as long as
        they are fewer than 1 % of all files. Doubts about the files are warned of again when the
        images come from the cache.

    Raises:
        DataError: 1 % of the files or more are unusable (the first ten are listed), or the disk is
            full.
        ValueError: There is no dataset, or the size is out of range.

    Taught in notebook 01, section 5.
    """
    if not hasattr(dataset, "modality") or not hasattr(dataset, "files"):
        found = checks.shown(dataset)
        raise ValueError(f"dataset must be one that open_dataset returned, not {found}")
    size = checks.whole(size, "size", 32, 4096)
    cache = checks.path(cache, "cache").expanduser() if checks.given(cache) else default_cache()
    remove_leftovers(cache)
    prepared = _prepared(dataset, size, cache)
    if prepared.doubts:
        dataset.doubt_again(prepared.doubts)
    for message in prepared.skipped:
        warnings.warn(f"left out: {message}", stacklevel=2)
    return prepared


def _prepared(dataset, size: int, cache: Path) -> Prepared:
    for _ in range(ATTEMPTS):
        sources = Sources(dataset, cache)
        key = _fingerprint(dataset, size, sources)
        label = safe_text(f"{dataset.name}-{dataset.split}")
        folder = cache / f"{label}-{size}-{key[:16]}"
        prepared = open_prepared(folder, size, key)
        if prepared is not None:
            return prepared
        try:
            with locked(folder):
                prepared = open_prepared(folder, size, key)  # another process may have made it
                if prepared is None:
                    _fill(folder, dataset, size, key, sources)
                    prepared = open_prepared(folder, size, key)
        except _Changed as changed:
            last = changed
            continue
        except OSError as error:
            raise not_written(folder, error) from error
        if prepared is None:
            raise DataError(
                f"{folder} does not hold what was written to it a moment ago: the disk or another "
                "program changes it. Point LDR_CACHE at another disk."
            )
        return prepared
    raise DataError(
        f"{last} changes while the images of {dataset.name} are prepared. Wait until all files are "
        "copied, and prepare them again."
    )


def joint_fingerprint(parts: list[Prepared]) -> str:
    """One fingerprint of several sets of prepared images."""
    return hashlib.blake2b(
        "".join(part.fingerprint for part in parts).encode(), digest_size=16
    ).hexdigest()


def _fingerprint(dataset, size: int, sources: Sources) -> str:
    how = [
        FORMAT,
        dataset.name,
        dataset.split,
        dataset.modality,
        dataset.channels,
        size,
        len(dataset),
        *([dataset.ranges] if getattr(dataset, "ranges", None) else []),
        *(["upright"] if _is_put_upright_by_choice(dataset) else []),
    ]
    whole = hashlib.blake2b(json.dumps(how).encode())
    for i in range(len(dataset)):
        parts = [f"{path.name} {sources.digest(path)}" for path in dataset.files(i)]
        whole.update("\n".join(parts).encode(errors="surrogatepass"))
    return whole.hexdigest()[:32]


def _is_put_upright_by_choice(dataset) -> bool:
    """Whether X-rays are put right where images under this dataset's name usually are not."""
    usual = getattr(type(dataset), "opened_by_name", True)
    return dataset.modality == "chest" and getattr(dataset, "opened_by_name", usual) and not usual


def _one_of_known_state(dataset, index: int, size: int):
    """What `_one` returns, and the states that the item's files had before and after."""
    states = {path: [state_of(path)] for path in dataset.files(index)}
    result = _one(dataset, index, size)
    for path, seen in states.items():
        seen.append(state_of(path))
    return result, states


def _one(dataset, index: int, size: int):
    try:
        sample = dataset[index]
    except DataError as error:
        return str(error)
    try:
        image, masks, box = prepare_sample(sample, size, dataset.modality)
    except DataError as error:
        where = dataset.files(index)
        return f"{where[0] if where else sample.name}: {error}"
    arrays = {"originals": image}
    if dataset.modality == "fundus":
        arrays["images"] = local_normalize(image, masks["field_of_view"])
    return sample.name, arrays, masks, box


def _fill(folder: Path, dataset, size: int, key: str, sources: Sources) -> None:
    structures = ["field_of_view", *dataset.structures]
    kinds = ["originals", "images"] if dataset.modality == "fundus" else ["originals"]
    needed = len(dataset) * size * size * (len(kinds) * dataset.channels + len(structures))
    free = shutil.disk_usage(folder.parent).free
    needed += 2**20  # for what lies beside the arrays
    if free < needed:
        raise DataError(
            f"the cache {folder.parent} needs {needed / 2**20:.1f} MiB and {free / 2**20:.1f} MiB "
            "are free. Free some space, choose a smaller size, or point LDR_CACHE at another disk."
        )
    unfinished = unfinished_folder(folder)
    try:
        with ArrayFiles(unfinished, [*kinds, *structures], key) as files:
            reached = files.reached or dict(
                item=0, names=[], boxes=[], skipped=[], doubts=[], masks=[]
            )
            _write_images(files, reached, dataset, size, structures, sources)
            present = [structure for structure in structures if structure in reached["masks"]]
            about = reached | dict(
                names=numbered(reached["names"]),
                masks=present,
                channels=dataset.channels,
                kinds=kinds,
                fingerprint=key,
            )
            files.finish(set(structures) - set(present), about)
        with atomic_write(folder) as temporary:
            unfinished.rename(temporary)
    except Exception:
        remove(unfinished)
        raise


def _write_images(
    files: ArrayFiles, reached: dict, dataset, size: int, structures: list[str], sources: Sources
) -> None:
    """Prepares the images from item `reached["item"]` on and notes in `reached` what came out."""
    nothing, last_kept = np.zeros((size, size), bool), time.monotonic()
    for result in _results(dataset, size, sources, reached["item"]):
        reached["item"] += 1
        if isinstance(result, str):
            reached["skipped"].append(result)
            continue
        name, arrays, masks, box = result
        for kind, image in arrays.items():
            files.write(kind, image)
        for structure in structures:
            files.write(structure, masks.get(structure, nothing))
        reached["masks"] = sorted({*reached["masks"], *masks})
        reached["names"].append(name)
        reached["boxes"].append([int(value) for value in box])
        if time.monotonic() - last_kept > KEPT_EVERY:
            reached["doubts"] = _doubts(dataset, reached)
            files.keep(reached)
            last_kept = time.monotonic()
    reached["doubts"] = _doubts(dataset, reached)
    unusable = reached["skipped"]
    if unusable and len(unusable) >= TOLERATED * len(dataset):
        listed = "\n- ".join(unusable[:10]) + ("\n- ..." if len(unusable) > 10 else "")
        raise DataError(
            f"{len(unusable)} of {len(dataset)} files of {dataset.name} are unusable "
            f"(under {TOLERATED:.0%} would be left out):\n- {listed}"
        )


def _doubts(dataset, reached: dict) -> list[tuple[int, int, str]]:
    """Doubts of this process, and of one that was killed before it."""
    found = dataset.doubts() if isinstance(dataset, ImageDataset) else []
    return sorted({*map(tuple, reached["doubts"]), *found})


def _results(dataset, size: int, sources: Sources, first: int) -> Iterator:
    """What `_one` returns for each image from the first on, in parallel and in order, made from the
    bytes that the fingerprint stands for.
    """
    prepare_one, changed = partial(_one_of_known_state, dataset, size=size), []
    items = range(first, len(dataset))
    if isinstance(dataset, Simulated) and len(dataset) > 8:
        results = in_processes(prepare_one, items, os.cpu_count())
    else:
        jobs = (delayed(prepare_one)(i) for i in items if not changed)
        results = Parallel(os.cpu_count(), prefer="threads", return_as="generator")(jobs)
    for result, states in progress(results, f"preparing {dataset.title}", len(items)):
        changed += [
            path
            for path, (before, after) in states.items()
            if before != after or not sources.hold(path, before)
        ]
        if not changed:
            yield result
    if changed:
        raise _Changed(changed[0])
