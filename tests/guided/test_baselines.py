"""Baselines of vessels and organs, which need no training."""

import numpy as np
import pytest

from ldr_lib.data.simulate import chest, fundus
from ldr_lib.guided import baselines
from ldr_lib.metrics import dice


def test_baselines_of_vessels_are_scored_image_by_image():
    samples = [fundus(200, seed, lesions=False) for seed in range(2)]
    tables = baselines.vessel_baselines(samples)
    assert list(tables) == [
        f"{kind}, {name}"
        for kind in ("frangi", "sato")
        for name in ("top tenth", "oracle threshold")
    ]
    columns = ["Dice", "clDice", "oracle Dice", "average precision"]
    for table in tables.values():
        assert len(table) == 2 and list(table) == columns
        assert table["oracle Dice"].mean() > table["Dice"].mean() - 0.01  # other thresholds
    chance = [sample.masks["vessel"].mean() for sample in samples]
    assert (tables["frangi, top tenth"]["average precision"] > 3 * np.array(chance)).all()
    for kind in ("frangi", "sato"):
        oracle, fixed = (tables[f"{kind}, {n}"]["Dice"] for n in ("oracle threshold", "top tenth"))
        assert oracle.mean() >= fixed.mean() - 1e-9
    for sample in samples:
        sample.masks["vessel_second_observer"] = sample.masks["vessel"]
    assert baselines.vessel_baselines(samples)["second observer"]["Dice"].tolist() == [1, 1]


def test_baselines_of_organs_are_masks_of_the_images():
    eye, body = fundus(200, 4, lesions=False), chest(200, 3)
    (disc,) = baselines.organ_baselines([eye.image], "disc")["brightest blob"]
    (fovea,) = baselines.organ_baselines([eye.image], "fovea")["circle in the middle"]
    lungs = baselines.organ_baselines([body.image], "lungs")
    assert dice(disc, eye.masks["disc"]) > 0.4 and fovea.shape == eye.image.shape[:2]
    assert list(lungs) == ["mean simulated mask", "Otsu inside the body"]
    assert dice(lungs["mean simulated mask"][0], body.masks["lungs_whole"]) > 0.6
    with pytest.raises(ValueError, match='unknown structure "vessel"; known are disc, fovea'):
        baselines.organ_baselines([eye.image], "vessel")


def test_brightness_and_darkness_rank_pixels_from_0_to_1():
    eye = np.zeros((4, 4, 3), np.uint8)
    eye[0, 0] = 255, 255, 0
    (bright,) = baselines.brightness([eye], "brightness")
    assert bright.shape == (4, 4) and bright[0, 0] == pytest.approx(2 / 3) and bright.sum() < 1
    (dark,) = baselines.brightness([eye[..., 0]], "darkness")
    assert dark[0, 0] == 0 and dark[1, 1] == 1
