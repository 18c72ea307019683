"""The explorer as one HTML file. It needs no kernel, no server and no network, because the browser
computes the similarity.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from ..data import checks
from ..data.checks import instance, number, whole
from ..data.errors import DataError
from ..data.files import atomic_write
from ..runs.pictures import data_url, encode
from .find import constants
from .packing import deflated, downsample, pack
from .scene import DISSIMILAR_WEIGHT, Point, Scene
from .steps import Steps

HERE = Path(__file__).parent
SCRIPTS = ("explorer.js", "marks.js", "steps.js", "packing.js", "find.js", "page.js")
SIDES = (128, 96, 64, 48, 32)
"""Sides that are tried where none is given."""
LIMIT = 6_000_000
"""Letters of the embeddings and clusters that a page holds where no side is given."""
LARGEST = 50_000_000
"""Letters of a page at most: a value of the embeddings takes up to 4/3."""
FINENESS = {False: 20, True: 4}
"""Steps of rounding in a standard deviation of the embeddings: of one network, and of several."""


def write_page(
    scene: Scene | Steps,
    path: Path | str,
    points: Sequence[Point] = (),
    threshold: float = 0.7,
    side: int | None = None,
) -> Path:
    """Writes the explorer of a scene to one HTML file that works from anywhere.

    Args:
        scene: As `embed_scene` returns it, or as `embed_steps` does for a page with a slider over
            training steps.
        path: The file.
        points: Points that are chosen when the page opens.
        threshold: Similarity in [-1, 1] from which a pixel is marked.
        side: Longest side in pixels at which embeddings are kept. None takes 128, or less where
            embeddings and clusters would exceed 6 MB: 6 images of one network take about 3 MB at
            128 pixels, 4 images of 12 networks about 5 MB at 85. The page says which it is; the
            images come on top.

    Returns:
        The path.

    Raises:
        DataError: The file would be too large for a browser or cannot be written, a point lies
            outside, or none of the points is similar.
        ValueError: There is no scene, or a value makes no sense.

    Taught in notebook 03, section 3.
    """
    instance(scene, (Scene, Steps), "scene", "a Scene, as embed_scene returns it, or Steps")
    path, threshold = checks.path(path, "path"), number(threshold, "threshold", -1, 1)
    side = None if side is None else whole(side, "side", 8, 4096)
    steps = list(scene.embeddings) if isinstance(scene, Steps) else []
    first = scene.scene(steps[0]) if steps else scene
    if len(instance(points, (list, tuple), "points", "a list of Point")):
        first.query(points)
    packed = _packed_to_fit(scene, steps, side)
    small = packed.first
    height, width = small.inside.shape[1:]
    moved = [_moved(point, first, small) for point in points]
    if moved:
        small.query(moved)
    content = {
        "names": small.names,
        "files": small.mask_files(),
        "width": width,
        "height": height,
        "nClusters": small.n_clusters,
        "steps": steps,
        "dissimilarWeight": DISSIMILAR_WEIGHT,
        "points": [asdict(point) for point in moved],
        "threshold": threshold,
        "images": [data_url(encode(image)) for image in scene.shown],
        "inside": deflated(small.inside.astype(np.uint8).tobytes()),
        "embeddings": packed.embeddings,
        "clusters": packed.clusters,
        "find": constants(small),
    }
    note = (
        f"Embeddings of {small.embeddings.shape[-1]} dimensions are kept at {width} x {height} "
        f"pixels, rounded to 1/{FINENESS[bool(steps)]} of their standard deviation."
    )
    with atomic_write(path) as temporary:
        temporary.write_text(_document(content, note), encoding="utf-8")
    return path


def _moved(point: Point, scene: Scene, small: Scene) -> Point:
    """A point of a scene in the same scene at a lower resolution."""
    shrink = scene.inside.shape[1] / small.inside.shape[1]
    row, column = (
        min(most - 1, int(at / shrink))
        for at, most in zip((point.row, point.column), small.inside.shape[1:])
    )
    return replace(point, row=row, column=column)


@dataclass(frozen=True)
class _Packed:
    """Embeddings and clusters of all steps, and the first step at the page's resolution."""

    first: Scene
    embeddings: list[dict]
    clusters: list[str]


def _packed_to_fit(scene: Scene | Steps, steps: list[int], side: int | None) -> _Packed:
    """What the page holds, at the given side or the largest one that is small enough."""
    for tried in SIDES if side is None else (side,):
        packed = _packed(_at(scene, steps, tried), len(steps), LIMIT if side is None else None)
        if packed is not None:
            return packed
    n, (height, width) = len(scene.names), scene.inside.shape[1:]
    at, most = (f" at {len(steps)} steps" if steps else ""), LIMIT if side is None else LARGEST
    raise DataError(
        f"{n} images of {width} x {height} pixels{at} make a page of more than "
        f"{most // 1_000_000} MB: show fewer images{' or steps' if steps else ''}, or a smaller "
        f"side than {side or SIDES[-1]}"
    )


def _packed(scenes: Iterator[Scene], n_steps: int, limit: int | None) -> _Packed | None:
    """Scenes in few bytes; None where they take too many."""
    first, embeddings, clusters, letters = None, [], [], 0
    for small in scenes:
        first = first or small
        if small.embeddings.size * max(1, n_steps) * 4 / 3 > LARGEST:
            return None
        embeddings.append(pack(small.embeddings, small.inside, FINENESS[n_steps > 0]))
        letters += len(embeddings[-1]["bytes"])
        if small.clusters is not None:
            clusters.append(deflated(small.cluster_bytes()))
            letters += len(clusters[-1])
        if limit is not None and letters > limit:
            return None
    return _Packed(first, embeddings, clusters)


def _at(scene: Scene | Steps, steps: list[int], side: int) -> Iterator[Scene]:
    """The scenes of all steps at a lower resolution, one after the other."""
    for one in (scene.scene(step) for step in steps) if steps else (scene,):
        yield downsample(one, side)


def _document(content: dict, note: str) -> str:
    """The file: style, what is shown, and the programs."""
    described = json.dumps(content).replace("<", "\\u003c")  # neither </script> nor <!--
    style = (HERE / "explorer.css").read_text(encoding="utf-8")
    program = "".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    slider = ""
    if content["steps"]:
        last = content["steps"][-1]
        slider = f" Move the slider from the first to the last training step, {last:,}."
    return f"""<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Where does it look like this?</title>
<style>
body {{ margin: 16px; background: white; }}
{style}</style>
<h1>Where does it look like this?</h1>
<p>Hover over an image: all images show how similar every pixel is in the learned embedding.
Click to keep a point.{slider}</p>
<div id="explorer"></div>
<p><small>{note}</small></p>
<script type="application/json" id="scene">{described}</script>
<script>
{program}</script>
</html>
"""
