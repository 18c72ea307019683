"""Scenes at lower resolution, and as the few bytes that a page holds."""

import base64
import math
import zlib

import numpy as np

from .scene import Scene

LARGEST_BYTE = 127


def cell_means(values: np.ndarray, cell: int) -> np.ndarray:
    """Means over square cells.

    Args:
        values: (N, H, W, ...).
        cell: Side of a cell in pixels; pixels that fill no whole cell are left out.

    Returns:
        (N, H // cell, W // cell, ...) floats.
    """
    return _cells(values, cell).mean((2, 4))


def _cells(values: np.ndarray, cell: int) -> np.ndarray:
    n, rows, columns = len(values), values.shape[1] // cell, values.shape[2] // cell
    whole = values[:, : rows * cell, : columns * cell]
    return whole.reshape(n, rows, cell, columns, cell, *values.shape[3:])


def downsample(scene: Scene, side: int) -> Scene:
    """A scene at a lower resolution: embeddings are averaged over square cells and normalised.

    Args:
        scene: As `embed_scene` returns it.
        side: Longest side of the result in pixels; a scene that is not larger stays as it is.
    """
    cell = math.ceil(max(scene.inside.shape[1:]) / side)
    if cell == 1:
        return scene
    embeddings = cell_means(scene.embeddings, cell)
    embeddings /= np.maximum(np.linalg.norm(embeddings, axis=-1, keepdims=True), 1e-12)
    clusters = scene.clusters
    if clusters is not None:
        clusters = np.ascontiguousarray(_cells(clusters, cell)[:, :, cell // 2, :, cell // 2])
    return Scene(
        scene.names,
        cell_means(scene.shown, cell).round().astype(np.uint8),
        cell_means(scene.inside, cell) > 0.5,
        embeddings,
        clusters,
        scene.n_clusters,
    )


def pack(embeddings: np.ndarray, inside: np.ndarray, fineness: float) -> dict:
    """Embeddings as signed bytes: each stands for `mean + step * byte`.

    Args:
        embeddings: (N, H, W, D).
        inside: (N, H, W) bool; other pixels are left out.
        fineness: Steps in a standard deviation. The step is larger where a value would need more
            than a byte.

    Returns:
        "mean" (D,), "step", and "bytes": dimension after dimension, deflated, as text.
    """
    pixels = embeddings[inside].astype(np.float32)  # (P, D)
    mean = pixels.sum(0) / max(1, len(pixels))
    centred = pixels - mean
    spread = math.sqrt((centred**2).sum() / max(1, centred.size))
    step = max(spread / fineness, np.abs(centred).max(initial=1e-7) / LARGEST_BYTE)
    planes = np.rint(centred / step).astype(np.int8).T  # (D, P)
    return {"mean": mean.tolist(), "step": float(step), "bytes": deflated(planes.tobytes())}


def unpack(packed: dict, inside: np.ndarray) -> np.ndarray:
    """The unit vectors that a page makes of packed embeddings.

    Args:
        packed: As `pack` returns it.
        inside: As there.

    Returns:
        (N, H, W, D) float32, 0 outside.
    """
    content = zlib.decompress(base64.b64decode(packed["bytes"]))
    planes = np.frombuffer(content, np.int8).reshape(len(packed["mean"]), -1)
    pixels = np.array(packed["mean"], np.float32) + packed["step"] * planes.T.astype(np.float32)
    pixels /= np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1e-9)
    vectors = np.zeros((*inside.shape, pixels.shape[1]), np.float32)
    vectors[inside] = pixels
    return vectors


def deflated(content: bytes) -> str:
    """Bytes as text, deflated; `inflated` of `packing.js` undoes it."""
    return base64.b64encode(zlib.compress(content, 9)).decode()
