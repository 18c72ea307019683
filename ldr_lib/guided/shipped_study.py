"""How well the guided networks that come with the package find their structures in real test
images: with and without a threshold, without what is known of shapes, and at other sizes.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ..data.simulate import Sample
from ..pretrained import PRETRAINED, GuidedNets, load_pretrained
from ..runs.paths import runs_folder
from ..runs.run import Run
from ..structures import Guide, Structure
from .predict import map_in
from .scores import threshold_free_scores
from .study import NAME
from .tested import TESTED, overlap, samples_of

SHIPPED = "shipped"
SHAPELESS = dict(pieces=None, convex=False, ellipse=False)
"""A structure of which no shape is known."""
FACTORS = {"half the size": 0.5, "twice the size": 2.0}
"""How the photographs of vessels are also measured."""
OPACITIES = ("opacity", "ground_glass", "consolidation")
"""Masks of what hides lungs."""


def measure(data_dir: str) -> Path:
    """Measures the shipped networks on the test images of `TESTED`.

    Args:
        data_dir: Folder of the datasets.

    Returns:
        Path of the record: for each structure the means of each row, "shipped network" and what is
        changed in it, and as "<structure>, images of <row>" its table image by image.

    Raises:
        DataError: The images cannot be used.
    """
    run = Run(
        NAME, {"modality": SHIPPED, "seed": 0}, str(runs_folder() / "records" / NAME / SHIPPED)
    )
    for modality in PRETRAINED:
        nets = load_pretrained(modality)
        for structure, (dataset, _) in TESTED.items():
            if structure in nets.structures:
                tables = tables_of(nets, structure, samples_of(dataset, data_dir))
                means = pd.DataFrame({name: table.mean() for name, table in tables.items()}).T
                run.metrics(
                    **{structure: means.round(4)},
                    **{f"{structure}, images of {name}": table for name, table in tables.items()},
                )
    return run.keep(SHIPPED)


def tables_of(nets: GuidedNets, structure: str, samples: list[Sample]) -> dict[str, pd.DataFrame]:
    """Scores of a structure in images with masks.

    Args:
        nets: Guided networks.
        structure: One of `TESTED` that they find.
        samples: Images with the mask of the structure.

    Returns:
        Name of a row to its table, an image a row: "Dice" and for vessels "clDice" at the threshold
        0.5, "oracle Dice" and "average precision"; of lungs also "opacity", the share that
        something hides, where masks say so.
    """
    row, guided = "shipped network", nets.network(structure).guide[structure]
    tables = {row: _scores(nets, structure, samples)}
    if any(getattr(guided, name) != value for name, value in SHAPELESS.items()):
        tables[f"{row}, without its known shape"] = _without_shape(nets, structure, samples)
    if guided.is_thin:
        for name, factor in FACTORS.items():
            tables[f"{row}, images of {name}"] = _scores(nets, structure, samples, factor)
    return tables


def _scores(
    nets: GuidedNets, structure: str, samples: list[Sample], factor: float = 1.0
) -> pd.DataFrame:
    """Scores of maps at the size of the masks, found in images resized by a factor."""
    truths = [sample.masks[TESTED[structure][1]] for sample in samples]
    maps = [
        _resized(map_in(nets, _scaled(sample.image, factor), structure), truth.shape)
        for sample, truth in zip(samples, truths)
    ]
    table = overlap([map_ > 0.5 for map_ in maps], truths, structure)
    free = threshold_free_scores(maps, truths)[["oracle Dice", "average precision"]]
    table = table.join(free)
    hidden = [_hidden(sample, truth) for sample, truth in zip(samples, truths)]
    if structure == "lungs" and not np.isnan(hidden).all():
        table["opacity"] = hidden
    return table.set_index(pd.Index([sample.name for sample in samples]))


def _without_shape(nets: GuidedNets, structure: str, samples: list[Sample]) -> pd.DataFrame:
    """The same scores of the map itself; the networks are not changed."""
    net = nets.network(structure)
    whole = net.guide
    plain: Structure = replace(whole[structure], **SHAPELESS)
    net.guide = Guide(whole.modality, (plain,))
    try:
        return _scores(GuidedNets([net]), structure, samples)
    finally:
        net.guide = whole


def _scaled(image: np.ndarray, factor: float) -> np.ndarray:
    height, width = image.shape[:2]
    size = round(width * factor), round(height * factor)
    return image if factor == 1 else np.asarray(Image.fromarray(image).resize(size))


def _resized(map_: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    if map_.shape == shape:
        return map_
    return np.asarray(Image.fromarray(map_).resize(shape[::-1], Image.Resampling.BILINEAR))


def _hidden(sample: Sample, truth: np.ndarray) -> float:
    """Share of a structure that opacities cover, nan where no mask tells."""
    there = [sample.masks[name] for name in OPACITIES if name in sample.masks]
    if not there or not truth.any():
        return float("nan")
    return float(np.logical_or.reduce(there)[truth].mean())
