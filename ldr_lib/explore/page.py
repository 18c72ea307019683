"""The explorer as one HTML file. It needs no kernel, no server and no network, because the browser
computes the similarity.
"""

import base64
import json
import math
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from ..data import checks
from ..data.checks import instance, number, whole
from ..data.errors import DataError
from ..data.files import atomic_write
from ..runs.pictures import data_url, encode
from .scene import DISSIMILAR_WEIGHT, Point, Scene

HERE = Path(__file__).parent
SCALE = 127


def downsample(scene: Scene, side: int) -> Scene:
    """A scene at a lower resolution: embeddings are averaged over square cells and normalised.

    Args:
        scene: As `embed_scene` returns it.
        side: Longest side of the result in pixels; a scene that is not larger stays as it is.
    """
    n, height, width = scene.inside.shape
    cell = math.ceil(max(height, width) / side)
    if cell == 1:
        return scene
    rows, columns = height // cell, width // cell

    def cells(array: np.ndarray) -> np.ndarray:
        whole = array[:, : rows * cell, : columns * cell]
        return whole.reshape(n, rows, cell, columns, cell, *array.shape[3:])

    def middle(array: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(cells(array)[:, :, cell // 2, :, cell // 2])

    embeddings = cells(scene.embeddings).mean((2, 4))
    embeddings /= np.maximum(np.linalg.norm(embeddings, axis=-1, keepdims=True), 1e-12)
    shown = cells(scene.shown).mean((2, 4)).round().astype(np.uint8)
    clusters = None if scene.clusters is None else middle(scene.clusters)
    return Scene(
        scene.names,
        shown,
        cells(scene.inside).mean((2, 4)) > 0.5,
        embeddings,
        clusters,
        scene.n_clusters,
    )


def quantise(embeddings: np.ndarray) -> np.ndarray:
    """Unit vectors as signed bytes; 127 stands for 1."""
    return np.rint(embeddings * SCALE).astype(np.int8)


def write_page(
    scene: Scene,
    path: Path | str,
    points: list[Point] = (),
    threshold: float = 0.7,
    side: int = 128,
) -> Path:
    """Writes the explorer of a scene to one HTML file that works from anywhere.

    Args:
        scene: As `embed_scene` returns it.
        path: The file.
        points: Points that are chosen when the page opens.
        threshold: Similarity in [-1, 1] from which a pixel is marked.
        side: Longest side in pixels at which embeddings are kept; 6 images of 128 pixels with 32
            dimensions take about 4.5 MB.

    Returns:
        The path.

    Raises:
        DataError: The file would exceed 50 MB or cannot be written, or a point lies outside.
        ValueError: There is no scene, or a value makes no sense.

    Taught in notebook 03, section 3.
    """
    instance(scene, Scene, "scene", "a Scene, as embed_scene returns it")
    path, threshold = checks.path(path, "path"), number(threshold, "threshold", -1, 1)
    for point in instance(points, (list, tuple), "points", "a list of Point"):
        scene.query([replace(instance(point, Point, "points", "a list of Point"), similar=True)])
    small = downsample(scene, whole(side, "side", 8, 4096))
    n, height, width = small.inside.shape
    if small.embeddings.size > 35_000_000:
        raise DataError(
            f"{n} images of {width} x {height} pixels make a page of more than 50 MB: show fewer "
            f"images, or a smaller side than {side}"
        )
    shrink = scene.inside.shape[1] / height
    moved = [
        Point(
            p.image,
            min(height - 1, int(p.row / shrink)),
            min(width - 1, int(p.column / shrink)),
            p.similar,
        )
        for p in points
    ]
    for point in moved:
        small.query([Point(point.image, point.row, point.column)])
    content = {
        "names": small.names,
        "files": small.mask_files(),
        "width": width,
        "height": height,
        "nClusters": small.n_clusters,
        "dimension": small.embeddings.shape[-1],
        "scale": SCALE,
        "dissimilarWeight": DISSIMILAR_WEIGHT,
        "points": [asdict(point) for point in moved],
        "threshold": threshold,
        "images": [data_url(encode(image)) for image in scene.shown],
        "inside": _base64(small.inside.astype(np.uint8).tobytes()),
        "clusters": None if small.clusters is None else _base64(small.cluster_bytes()),
        "embeddings": _base64(quantise(small.embeddings).tobytes()),
    }
    described = json.dumps(content).replace("<", "\\u003c")  # neither </script> nor <!--
    style, explorer, own = (
        (HERE / name).read_text(encoding="utf-8")
        for name in ("explorer.css", "explorer.js", "page.js")
    )
    page = f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Where does it look like this?</title>
<style>
body {{ margin: 16px; background: white; }}
{style}</style>
<h1>Where does it look like this?</h1>
<p>Hover over an image: all images show how similar every pixel is in the learned embedding.
Click to keep a point.</p>
<div id="explorer"></div>
<script type="application/json" id="scene">{described}</script>
<script>
{explorer}{own}</script>
</html>
"""
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
