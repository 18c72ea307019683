"""The same images under the networks of several training steps: what an explorer with a step slider
shows.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..checkpoint import load_model
from ..data import checks
from ..data.checks import array, finite, instance, labels, named, several, shown, whole
from ..data.errors import DataError, one_of
from ..data.prepare import Prepared
from ..network import TwoBranchNet
from .packing import cell_means
from .scene import Scene, embed_scene, pictures_to_explore

SIZES = ("in_channels", "embedding_dim", "n_clusters")
"""What the networks of one training have in common."""
EXPECTED = "(step, embeddings, clusters)"


@dataclass(frozen=True)
class Steps:
    """One set of images under the networks of several training steps.

    Attributes:
        names: A name for each image, no two of them equal.
        shown: (N, H, W, 3) uint8, the images as they are shown.
        inside: (N, h, w) bool, the field of view; h and w are H and W, or smaller by a whole
            factor.
        embeddings: Training step to (N, h, w, D) vectors of any length, float16 or int8, the first
            step first.
        clusters: Training step to (N, h, w) integers, or None where the networks have no clustering
            branch.
        n_clusters: Number of clusters, 0 without a clustering branch.
    """

    names: list[str]
    shown: np.ndarray
    inside: np.ndarray
    embeddings: dict[int, np.ndarray]
    clusters: dict[int, np.ndarray] | None
    n_clusters: int

    def scene(self, step: int) -> Scene:
        """What the network of one step makes of the images.

        Raises:
            ValueError: There is no such step; the message lists those that there are.
        """
        one_of(step, self.embeddings, "step")
        vectors = self.embeddings[step].astype(np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
        cell = self.shown.shape[1] // self.inside.shape[1]
        pictures = self.shown
        if cell > 1:
            pictures = cell_means(pictures, cell).round().astype(np.uint8)
        clusters = None if self.clusters is None else self.clusters[step]
        return Scene(self.names, pictures, self.inside, vectors, clusters, self.n_clusters)


def embed_steps(
    steps: dict[int, TwoBranchNet] | Sequence[tuple],
    images: Prepared | np.ndarray | list[np.ndarray],
    limit: int | None = None,
) -> Steps:
    """Embeds images under the networks of several training steps.

    Args:
        steps: Training step to the network after it, as `snapshots` returns them. Or what was kept
            of such networks: tuples of the step, embeddings (N, h, w, D), floats or int8, and
            clusters (N, h, w) or None, h and w smaller than the images by a whole factor or equal.
        images: As in `embed_scene`.
        limit: As in `embed_scene`.

    Returns:
        All that `write_page` needs for a page with a step slider.

    Raises:
        DataError: The networks are not of one training or take other images, or there are no
            images.
        ValueError: A step is no whole number or given twice, something is no network, or an array
            does not fit the images.
    """
    if not isinstance(steps, dict):
        return _kept_steps(steps, images, limit)
    named(steps, "steps", "its network")
    nets = {whole(step, "a step", 0): steps[step] for step in steps}
    for step, net in nets.items():
        instance(net, TwoBranchNet, f"the network of step {step}", "a TwoBranchNet")
    require_one_kind({f"the network of step {step}": net for step, net in nets.items()})
    embeddings, clusters = {}, {}
    for step in sorted(nets):
        scene = embed_scene(nets[step], images, limit)
        embeddings[step] = scene.embeddings.astype(np.float16)
        if scene.clusters is not None:
            clusters[step] = scene.clusters.astype(np.uint16)
    if clusters and len(clusters) < len(nets):
        raise DataError("some of these networks have a clustering branch and others have none")
    return Steps(
        scene.names, scene.shown, scene.inside, embeddings, clusters or None, scene.n_clusters
    )


def _kept_steps(steps: Sequence[tuple], images, limit: int | None) -> Steps:
    """Steps from arrays."""
    entries = {}
    for entry in several(steps, "steps", EXPECTED):
        if not isinstance(entry, tuple | list) or len(entry) != 3:
            raise ValueError(f"each of steps must be {EXPECTED}, not {shown(entry)}")
        step = whole(entry[0], "a step", 0)
        if step in entries:
            raise ValueError(f"step {step} is given twice")
        entries[step] = entry[1:]
    _, pictures, inside, names = pictures_to_explore(images, limit)
    embeddings, clusters = {}, {}
    for step in sorted(entries):
        vectors, groups = entries[step]
        vectors = array(vectors, f"the embeddings of step {step}", "NHWD")
        embeddings[step] = _as_kept(vectors, step)[: len(names)]
        if groups is not None:
            clusters[step] = labels(groups, f"the clusters of step {step}", dims="NHW")
            clusters[step] = clusters[step][: len(names)]
    if clusters and len(clusters) < len(entries):
        raise ValueError("some of steps have clusters and others have none")
    grid, cell = _grid(embeddings, clusters, inside.shape)
    if cell > 1:
        inside = cell_means(inside, cell) > 0.5
        pictures = pictures[:, : grid[1] * cell, : grid[2] * cell]
    n_clusters = 1 + max((int(groups.max()) for groups in clusters.values()), default=-1)
    return Steps(names, pictures, inside, embeddings, clusters or None, n_clusters)


def _as_kept(vectors: np.ndarray, step: int) -> np.ndarray:
    """Embeddings as int8 or float16."""
    if vectors.dtype == np.int8:
        return vectors
    vectors = finite(vectors, f"the embeddings of step {step}").astype(np.float32)
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return (vectors / np.maximum(length, 1e-12)).astype(np.float16)


def _grid(embeddings: dict, clusters: dict, images: tuple) -> tuple[tuple, int]:
    """Images, rows and columns of the arrays, and how many pixels are a cell of them."""
    shapes = {step: value.shape for step, value in embeddings.items()}
    first, dimension = next(iter(shapes.values()))[:3], next(iter(shapes.values()))[3]
    for step, shape in shapes.items():
        if shape != (*first, dimension):
            raise ValueError(
                f"the embeddings of step {step} are {shape} and those of step {min(shapes)} "
                f"{(*first, dimension)}: show networks of one training"
            )
        if step in clusters and clusters[step].shape != first:
            raise ValueError(
                f"the clusters of step {step} are {clusters[step].shape} and its embeddings "
                f"{shape}: they must be of the same pixels"
            )
    cell = max(1, images[1] // max(1, first[1]))
    if first != (images[0], images[1] // cell, images[2] // cell):
        raise ValueError(
            f"the embeddings are of {first[0]} images of {first[2]} x {first[1]} pixels, which "
            f"does not fit the {images[0]} images of {images[2]} x {images[1]}"
        )
    return first, cell


def require_one_kind(nets: dict[str, TwoBranchNet]) -> None:
    """Makes sure that networks are of one training.

    Args:
        nets: The networks by what the message calls them.

    Raises:
        DataError: They take other images, or differ in size.
    """
    first = next(iter(nets))
    for name, net in nets.items():
        for size in SIZES:
            its, expected = getattr(net, size, None), getattr(nets[first], size, None)
            if its != expected:
                raise DataError(
                    f"{name} has {size}={its} and {first} has {size}={expected}: show networks of "
                    "one training"
                )


def snapshots(folder: Path | str, device: str = "auto") -> dict[int, TwoBranchNet]:
    """The networks that a training has left at some of its steps.

    Args:
        folder: Of the training, with files `step_<number>.safetensors`, which
            `train(..., snapshots=[0, 10, 100])` writes.
        device: As in `pick_device`.

    Returns:
        Training step to network in evaluation mode, the first step first; what `embed_steps` takes.

    Raises:
        DataError: There are no such files, one is damaged, or they are not of one training.
    """
    folder = checks.path(folder, "folder")
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder of snapshots")
    numbers = {
        path: re.fullmatch(r"step_(\d+)", path.stem) for path in folder.glob("*.safetensors")
    }
    files = sorted((int(found[1]), path) for path, found in numbers.items() if found)
    if not files:
        raise DataError(
            f"{folder} holds no snapshots, which are called step_000100.safetensors: "
            "train(..., snapshots=[0, 10, 100]) writes them"
        )
    for (step, path), (other, before) in zip(files[1:], files):
        if step == other:
            raise DataError(f"{before.name} and {path.name} of {folder} are of the same step")
    nets = {step: load_model(path, device).eval() for step, path in files}
    require_one_kind({str(path): nets[step] for step, path in files})
    return nets
