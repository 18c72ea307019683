"""Embeddings of four photographs after 0, 10, 30, ... training steps, which come with the package:
what an explorer with a step slider shows without any training.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..data.datasets import open_dataset
from ..data.errors import DataError, one_of
from ..data.prepare import Prepared, joint_fingerprint, prepare
from ..pretrained import REPRESENTATIONS, WEIGHTS
from ..tensor_files import read_tensors

MODALITY, SIDE, CELL = "fundus", 256, 4
"""Of the photographs: their side in pixels, and how many pixels along a side share an embedding."""
PHOTOGRAPHS = {"sample_fundus": 2, "simulated_fundus": 2}
"""Dataset of the package to how many of its test images are shown."""
SCALE = 127
"""What a component of 1 is as a signed byte."""


def shipped_steps(
    way: str = "both",
) -> tuple[list[tuple[int, np.ndarray, np.ndarray | None]], Prepared]:
    """What the networks of one training made of four photographs after 0, 10, 30, ... steps.

    Args:
        way: "both" or "embedding only", as in `load_representation`.

    Returns:
        For each step the step, embeddings (4, 64, 64, 32) int8, 0 outside the field of view, and
        clusters (4, 64, 64) int64, None for "embedding only"; and the photographs, two real and two
        simulated ones. `SimilarityExplorer(*shipped_steps())` and
        `write_page(embed_steps(*shipped_steps()), path)` take them.

    Raises:
        ValueError: Unknown way.
        DataError: The file of the package is damaged.

    Example:
        >>> steps, photographs = shipped_steps("embedding only")
        >>> [step for step, _, _ in steps][:4], len(photographs)
        ([0, 10, 30, 100], 4)

    Taught in notebook 03, section 3.
    """
    path = steps_file(one_of(way, REPRESENTATIONS[MODALITY], "way of training"))
    tensors, about = read_tensors(path, "It came with the package: install that again")
    if about.get("way") != way or "inside" not in tensors:
        raise DataError(
            f'{path} holds no embeddings of the way "{way}" over the steps. It came with the '
            "package: install that again"
        )
    inside = tensors["inside"].numpy().astype(bool)  # (N, h, w)
    numbers = sorted({int(name.split()[0]) for name in tensors if name != "inside"})
    steps = []
    for number in numbers:
        vectors = tensors[f"{number} embeddings"].numpy()  # (P, D)
        embeddings = np.zeros((*inside.shape, vectors.shape[1]), np.int8)
        embeddings[inside] = vectors
        clusters = tensors.get(f"{number} clusters")  # (N, h, w)
        groups = None if clusters is None else clusters.numpy().astype(int)
        steps.append((number, embeddings, groups))
    return steps, photographs()


def steps_file(way: str) -> Path:
    """Where the embeddings of a way of training lie in the package."""
    return WEIGHTS / f"steps_{MODALITY}_{way.replace(' ', '-')}.safetensors"


def photographs() -> Prepared:
    """Real and simulated test images of the package, as the networks take them."""
    sets = [(prepare(open_dataset(d, split="test"), SIDE), n) for d, n in PHOTOGRAPHS.items()]

    def first(of: Callable[[Prepared], np.ndarray]) -> np.ndarray:
        return np.concatenate([np.asarray(of(whole))[:n] for whole, n in sets])

    return Prepared(
        images=first(lambda whole: whole.images),
        originals=first(lambda whole: whole.originals),
        masks={"field_of_view": first(lambda whole: whole.masks["field_of_view"])},
        names=[name for whole, n in sets for name in whole.names[:n]],
        boxes=first(lambda whole: whole.boxes),
        skipped=[],
        fingerprint=joint_fingerprint([whole for whole, _ in sets]),
    )
