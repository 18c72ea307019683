"""From files to training arrays: a dataset as memory-mapped arrays in a cache keyed by content."""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from .cache import ArrayFiles, Prepared, default_cache, open_prepared
from .crop import local_normalize, prepare_sample
from .datasets import Simulated
from .errors import DataError
from .files import atomic_write, in_processes, not_written, progress
from .locks import locked, remove_leftovers
from .names import safe_text
from .sources import Sources, state_of

FORMAT = 2
TOLERATED = 0.01
ATTEMPTS = 3


class _Changed(Exception):
    """A file was replaced while the images were prepared."""


def prepare(dataset, size: int = 256, cache: Path | str | None = None) -> Prepared:
    """Prepares all images of a dataset once; later calls open them from the cache, memory-mapped.

    Args:
        dataset: As opened by `open_dataset`.
        size: Side of the prepared images in pixels.
        cache: Folder of the cache; None takes `default_cache()`.

    Returns:
        The `Prepared` images. Files that cannot be read are left out with a warning, as long as
        they are fewer than 1 % of all files.

    Raises:
        DataError: 1 % of the files or more are unusable (the first ten are listed), the disk is
            full, or the size is out of range.

    Taught in notebook 01, section 5.
    """
    if not 32 <= size <= 4096:
        raise DataError(f"size must lie between 32 and 4096 pixels, not {size}")
    cache = Path(cache).expanduser() if cache else default_cache()
    remove_leftovers(cache)
    prepared = _prepared(dataset, size, cache)
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
    ]
    whole = hashlib.blake2b(json.dumps(how).encode())
    for i in range(len(dataset)):
        parts = [f"{path.name} {sources.digest(path)}" for path in dataset.files(i)]
        whole.update("\n".join(parts).encode(errors="surrogatepass"))
    return whole.hexdigest()[:32]


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
    parent = folder.parent
    with atomic_write(folder) as temporary:
        free = shutil.disk_usage(parent).free
        if free < needed + 2**20:
            raise DataError(
                f"the cache {parent} needs {needed / 2**20:.0f} MiB and {free / 2**20:.0f} MiB are "
                "free. Free some space, choose a smaller size, or point LDR_CACHE at another disk."
            )
        temporary.mkdir()
        names, boxes, unusable, present = [], [], [], set()
        with ArrayFiles(temporary, [*kinds, *structures]) as files:
            for result in _results(dataset, size, sources):
                if isinstance(result, str):
                    unusable.append(result)
                    continue
                name, arrays, masks, box = result
                nothing = np.zeros((size, size), bool)
                for kind, image in arrays.items():
                    files.write(kind, image)
                for structure in structures:
                    files.write(structure, masks.get(structure, nothing))
                present |= masks.keys()
                names.append(name)
                boxes.append([int(value) for value in box])
            if unusable and len(unusable) >= TOLERATED * len(dataset):
                listed = "\n- ".join(unusable[:10]) + ("\n- ..." if len(unusable) > 10 else "")
                raise DataError(
                    f"{len(unusable)} of {len(dataset)} files of {dataset.name} are unusable "
                    f"(under {TOLERATED:.0%} would be left out):\n- {listed}"
                )
            about = dict(
                names=names,
                boxes=boxes,
                skipped=unusable,
                masks=[structure for structure in structures if structure in present],
                channels=dataset.channels,
                kinds=kinds,
                fingerprint=key,
            )
            files.finish(set(structures) - present, about)


def _results(dataset, size: int, sources: Sources) -> Iterator:
    """What `_one` returns for each image, in parallel and in order, made from the bytes that the
    fingerprint stands for.
    """
    prepare_one, changed = partial(_one_of_known_state, dataset, size=size), []
    if isinstance(dataset, Simulated) and len(dataset) > 8:
        results = in_processes(prepare_one, range(len(dataset)), os.cpu_count())
    else:
        jobs = (delayed(prepare_one)(i) for i in range(len(dataset)) if not changed)
        results = Parallel(os.cpu_count(), prefer="threads", return_as="generator")(jobs)
    for result, states in progress(results, f"preparing {dataset.title}", len(dataset)):
        changed += [
            path
            for path, (before, after) in states.items()
            if before != after or not sources.hold(path, before)
        ]
        if not changed:
            yield result
    if changed:
        raise _Changed(changed[0])
