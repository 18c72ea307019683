"""The shipped networks on images with masks, with and without what is known of shapes."""

import numpy as np
import pytest

from ldr_lib import load_pretrained
from ldr_lib.data.simulate import chest, fundus
from ldr_lib.guided import shipped_study
from ldr_lib.guided.predict import predict_structure
from ldr_lib.metrics import dice


@pytest.fixture(scope="module")
def body():
    return load_pretrained("chest", "cpu")


def test_a_structure_is_measured_with_and_without_its_shape_and_the_network_stays(body):
    samples = [chest(160, 700_001 + seed) for seed in range(2)]
    known = body.network("lungs").guide
    tables = shipped_study.tables_of(body, "lungs", samples)
    assert list(tables) == ["shipped network", "shipped network, without its known shape"]
    assert body.network("lungs").guide is known
    shaped, plain = tables.values()
    map_ = predict_structure(body, samples[0].image, "lungs")
    expected = dice(map_ > 0.5, samples[0].masks["lungs"])
    assert shaped["Dice"].iloc[0] == pytest.approx(expected)
    assert list(shaped.index) == [sample.name for sample in samples]
    assert list(shaped) == ["Dice", "oracle Dice", "average precision"]
    assert not np.allclose(shaped["Dice"], plain["Dice"], atol=1e-6)


def test_what_hides_the_lungs_is_said_where_masks_tell(body):
    hidden = chest(160, 700_001)
    truth = hidden.masks["lungs"]
    half = np.arange(truth.shape[1]) < truth.shape[1] // 2
    hidden.masks["consolidation"] = truth & half
    found = shipped_study.tables_of(body, "lungs", [hidden])["shipped network"]
    assert found["opacity"].iloc[0] == pytest.approx((truth & half).sum() / truth.sum())


def test_vessels_are_measured_at_other_sizes_and_scored_at_that_of_the_masks():
    eye, sample = load_pretrained("fundus", "cpu"), fundus(200, 700_001, lesions=False)
    tables = shipped_study.tables_of(eye, "vessel", [sample])
    assert list(tables) == [
        "shipped network",
        "shipped network, images of half the size",
        "shipped network, images of twice the size",
    ]
    whole, half, twice = (table["Dice"].iloc[0] for table in tables.values())
    assert half < whole and abs(twice - whole) < 0.1
    assert {"clDice", "average precision"} <= set(tables["shipped network"])
