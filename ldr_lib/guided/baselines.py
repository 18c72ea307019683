"""What needs no training on the real test images of notebook 04c: filters, thresholds, mean masks,
the second observer.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from ..data.checks import as_bytes, instance, several
from ..data.errors import one_of
from ..data.simulate import Sample
from ..runs.paths import runs_folder
from ..runs.run import Run
from .classical import (
    brightest_blob,
    central_circle,
    mean_mask,
    otsu_lungs,
    resize_mask,
    vesselness,
)
from .scores import best_threshold, dice_by_image, threshold_free_scores
from .study import NAME
from .tested import TESTED, fovea_localisation, overlap, samples_of

BRIGHT = {"disc": "brightness", "lungs": "darkness", "heart": "brightness"}
"""Structure to what ranks its pixels without any network."""


def baselines(data_dir: str) -> Path:
    """Measures what needs no training on the real test images: filters, thresholds, mean masks,
    circles, the second observer.

    Args:
        data_dir: Folder of the datasets.

    Returns:
        Path of the record: means by structure, and as "<structure>, images" a row for each
        baseline with its Dice image by image.

    Raises:
        DataError: The images cannot be used.
    """
    folder = runs_folder() / "records" / NAME / "baselines"
    run = Run(NAME, {"modality": "baselines", "seed": 0}, str(folder))
    photographs = samples_of("chase_db1", data_dir)
    vessels = vessel_baselines(photographs)
    means = pd.DataFrame({name: table.mean() for name, table in vessels.items()}).T
    by_image = pd.DataFrame({name: table["Dice"] for name, table in vessels.items()}).T
    by_image.columns = [sample.name for sample in photographs]
    run.metrics(vessel=means, **{"vessel, images": by_image})
    shown = samples_of("chase_db1", data_dir, "train")[::4]  # those of `learning_curve`
    filters = vessel_baselines(shown)
    run.metrics(
        **{
            "vessel, images of the learning curve": {
                kind: filters[f"{kind}, top tenth"]["average precision"].mean()
                for kind in ("frangi", "sato")
            }
        }
    )
    for structure, ranked_by in BRIGHT.items():
        name, mask = TESTED[structure]
        samples = samples_of(name, data_dir)
        images = [sample.image for sample in samples]
        found = organ_baselines(images, structure)
        truths = [sample.masks[mask] for sample in samples]
        ranks = threshold_free_scores(brightness(images, ranked_by), truths)
        by_image = pd.DataFrame(
            {way: dice_by_image(masks, truths) for way, masks in found.items()},
            index=[sample.name for sample in samples],
        )
        means = {way: {"Dice": value} for way, value in by_image.mean().items()}
        means[ranked_by] = ranks[["oracle Dice", "average precision"]].mean().to_dict()
        run.metrics(**{structure: means, f"{structure}, images": by_image.T})
    found = fovea_localisation(None)["within half a disc diameter"]
    run.metrics(fovea={"image centre": float(found.mean())})
    return run.keep("baselines")


def brightness(images: list[np.ndarray], kind: str) -> list[np.ndarray]:
    """Maps of brightness or darkness (H, W) in [0, 1], the mean over colours.

    Args:
        images: Photographs (H, W, 3) or X-rays (H, W), uint8.
        kind: "brightness" or "darkness".
    """
    grey = [image.mean(-1) if image.ndim == 3 else image.astype(float) for image in images]
    return [one / 255 if kind == "brightness" else 1 - one / 255 for one in grey]


def vessel_baselines(samples: list[Sample]) -> dict[str, pd.DataFrame]:
    """Ridge filters at two thresholds, and the second observer where there is one.

    "top tenth" marks the tenth of the field of view with the highest response. "oracle threshold"
    takes the one quantile between 0.80 and 0.96 that is best on these very images.

    Args:
        samples: Photographs with "vessel" masks.

    Returns:
        Name of the baseline to its `overlap`, a row per image; of the filters also with "oracle
        Dice" and "average precision", which do not depend on the threshold.

    Raises:
        ValueError: There are no samples, or one without a mask of vessels.

    Taught in notebook 04a, section 5.
    """
    for sample in several(samples, "samples", "Sample"):
        one_of("vessel", instance(sample, Sample, "samples", "a list of Sample").masks, "mask")
    truths = [sample.masks["vessel"] for sample in samples]
    tables = {}
    for kind in ("frangi", "sato"):
        ranks = [vesselness(sample.image, kind) for sample in samples]
        free = threshold_free_scores(ranks, truths)[["oracle Dice", "average precision"]]
        best = best_threshold(ranks, truths, np.arange(0.8, 0.97, 0.01))
        for name, threshold in (("top tenth", 0.9), ("oracle threshold", best)):
            found = [rank > threshold for rank in ranks]
            tables[f"{kind}, {name}"] = overlap(found, truths, "vessel").join(free)
    if all("vessel_second_observer" in sample.masks for sample in samples):
        second = [sample.masks["vessel_second_observer"] for sample in samples]
        tables["second observer"] = overlap(second, truths, "vessel")
    return tables


def organ_baselines(images: list[np.ndarray], structure: str) -> dict[str, list[np.ndarray]]:
    """Masks of organs that need no network.

    Args:
        images: Photographs (H, W, 3) or X-rays (H, W), uint8.
        structure: "disc", "fovea", "lungs" or "heart".

    Returns:
        Name of the baseline to one mask (H, W) bool for each image.

    Raises:
        ValueError: Unknown structure, or no images.

    Taught in notebook 04b, section 2.
    """
    images = [as_bytes(image, "an image") for image in several(images, "images", "images")]
    one_of(structure, ("disc", "fovea", "lungs", "heart"), "structure")
    if structure == "disc":
        return {"brightest blob": [brightest_blob(image) for image in images]}
    if structure == "fovea":
        return {"circle in the middle": [central_circle(image) for image in images]}
    mean = mean_mask(structure)
    found = {"mean simulated mask": [resize_mask(mean, image.shape) for image in images]}
    if structure == "lungs":
        found["Otsu inside the body"] = [otsu_lungs(image) for image in images]
    return found
