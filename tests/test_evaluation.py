import numpy as np
import pandas as pd
import pytest

from ldr_lib import DataError, TwoBranchNet, compare
from ldr_lib.data.prepare import Prepared
from ldr_lib.evaluation import (
    Comparison,
    agreement,
    anatomy_of,
    prototypes,
    query_pixel,
    typical_pixels,
)


def prepared_with(images, **masks):
    n, size = images.shape[:2]
    masks = {"field_of_view": np.ones((n, size, size), bool)} | masks
    return Prepared(
        images, images, masks, [f"image {i}" for i in range(n)], np.zeros((n, 4), int), [], ""
    )


@pytest.fixture
def two_kinds():
    """Images whose right half is a bright vessel, with its mask."""
    vessel = np.zeros((3, 32, 32), bool)
    vessel[:, :, 16:] = True
    noise = np.random.default_rng(0).integers(0, 40, (3, 32, 32, 3))
    return prepared_with((noise + 180 * vessel[..., None]).astype(np.uint8), vessel=vessel)


def test_agreement_of_a_perfect_labelling_image_by_image(two_kinds):
    truth = two_kinds.masks["vessel"]
    found = agreement(two_kinds.images / 255, truth.astype(int), two_kinds, "fundus")
    assert list(found.index) == two_kinds.names
    assert list(found.columns) == [
        *("clusters", "largest area", "NMI", "NMI of structures", "matched IoU"),
        *("Dice vessel", "AUC vessel", "AP vessel", "AUC vessel across", "AP vessel across"),
    ]
    assert (found["clusters"] == 2).all() and found["NMI of structures"].isna().all()
    inside = two_kinds.masks["field_of_view"]
    share = [(t & i).sum() / i.sum() for t, i in zip(truth, inside)]
    assert found["largest area"].tolist() == pytest.approx([max(s, 1 - s) for s in share])
    perfect = found.drop(columns=["clusters", "largest area", "NMI of structures"])
    assert perfect.to_numpy() == pytest.approx(1)


def test_agreement_is_measured_in_each_image_on_its_own_and_undefined_without_the_structure():
    vessel = np.zeros((3, 32, 32), bool)
    vessel[:2, :, 16:] = True
    images = prepared_with(np.zeros((3, 32, 32, 3), np.uint8), vessel=vessel)
    labels = vessel.astype(int)
    labels[1, :16] = 0  # half of the vessel of the second image is missed
    noise = np.random.default_rng(0).normal(size=(3, 32, 32, 2))
    found = agreement(noise + vessel[..., None], labels, images, "fundus")
    assert found["Dice vessel"].iloc[:2].tolist() == pytest.approx([1, 2 / 3])
    assert found["AUC vessel"].iloc[:2].between(0.5, 1, inclusive="neither").all()
    structure = ["Dice vessel", "AUC vessel", "AP vessel"]
    assert found[structure].iloc[2].isna().all()
    assert found[structure].iloc[:2].notna().to_numpy().all()
    assert found["matched IoU"].tolist()[:2] == pytest.approx([1, 0.5])
    assert np.isnan(found["matched IoU"].iloc[2])


def test_anatomy_numbers_structures_in_order_and_later_ones_on_top():
    disc, vessel = np.zeros((1, 8, 8), bool), np.zeros((1, 8, 8), bool)
    disc[:, 2:6, 2:6], vessel[:, 3] = True, True
    labels, names = anatomy_of(
        prepared_with(np.zeros((1, 8, 8, 3), np.uint8), vessel=vessel, disc=disc), "fundus"
    )
    assert names == ["disc", "vessel"]
    assert labels[0, 2, 2] == 1 and labels[0, 3, 3] == 2 and labels[0, 0, 0] == 0


def test_compare_has_rows_for_networks_and_for_raw_and_locally_normalised_intensities(two_kinds):
    result = compare({"untrained": TwoBranchNet(n_clusters=3)}, two_kinds, "fundus")
    assert list(result.table.index) == [
        "raw intensities, k-means",
        "locally normalised intensities, k-means",
        "untrained, clusters",
        "untrained, k-means",
    ]
    assert result.table.loc["raw intensities, k-means", "Dice vessel"] > 0.6
    chest = compare({"n": TwoBranchNet(n_clusters=3)}, two_kinds, "chest")
    assert "locally normalised intensities, k-means" not in chest.table.index


def test_the_table_is_the_mean_over_the_images_that_have_the_structure():
    one = pd.DataFrame({"NMI": [0.2, 0.4], "Dice vessel": [0.5, np.nan]}, index=["a", "b"])
    two = pd.DataFrame({"NMI": [0.6, 0.1], "Dice vessel": [0.4, np.nan]}, index=["a", "b"])
    result = Comparison({"net, clusters": one, "net, k-means": two, "other, k-means": one})
    assert result.table.loc["net, clusters"].tolist() == pytest.approx([0.3, 0.5])
    np.testing.assert_array_equal(result.best("net", "NMI"), [0.6, 0.1])
    np.testing.assert_array_equal(result.best("net", "Dice vessel"), [0.5, np.nan])
    np.testing.assert_array_equal(result.best("other", "NMI"), [0.2, 0.4])
    with pytest.raises(ValueError, match='no row "nobody"; there are net, clusters'):
        result.best("nobody", "NMI")


def test_prototypes_are_mean_directions_and_typical_pixels_lie_nearest_to_them():
    rng = np.random.default_rng(0)
    v = rng.normal(size=(2, 32, 32, 3)).astype(np.float32)
    v /= np.linalg.norm(v, axis=-1, keepdims=True)
    clusters = np.zeros((2, 32, 32), int)
    clusters[:, :, 16:] = 2
    clusters[1, :, 16:] = 0
    inside = np.ones((2, 32, 32), bool)
    centres = prototypes(v, clusters, inside, 3)
    mean = v[clusters == 2].mean(0)
    np.testing.assert_allclose(centres[2], mean / np.linalg.norm(mean), atol=1e-5)
    assert not centres[1].any()
    found = typical_pixels(v, clusters, inside, 3, margin=4)
    assert list(found) == [0, 2] and len(found[0]) == 2 and len(found[2]) == 1
    i, row, column = found[2][0]
    allowed = (slice(4, -4), slice(16, -4))
    assert i == 0 and v[i, row, column] @ centres[2] == (v[0] @ centres[2])[allowed].max()


def test_query_pixel_lies_in_the_vessel_and_off_the_disc():
    disc, vessel = np.zeros((2, 64, 64), bool), np.zeros((2, 64, 64), bool)
    vessel[1, 20:23] = True
    vessel[1, 5:20, 5:20] = disc[1, 5:20, 5:20] = True
    i, row, column, what = query_pixel(
        prepared_with(np.zeros((2, 64, 64, 3), np.uint8), vessel=vessel, disc=disc), "fundus"
    )
    assert i == 1 and row == 21 and vessel[1, row, column] and not disc[1, row, column]
    assert "vessel in image 1" in what


def test_query_pixel_without_masks_is_a_dark_spot_and_uniform_images_have_none():
    images = np.full((1, 64, 64, 1), 200, np.uint8)
    with pytest.raises(DataError, match="no image has a pixel to choose"):
        query_pixel(prepared_with(images), "chest")
    images[0, 30:34, 40:44] = 20
    _, row, column, what = query_pixel(prepared_with(images), "chest")
    assert abs(row - 31.5) < 3 and abs(column - 41.5) < 3 and "darkest" in what


@pytest.mark.filterwarnings("error")
def test_images_without_any_structure_have_no_measure_of_it_and_say_so():
    nothing = np.zeros((2, 32, 32), bool)
    noise = np.random.default_rng(0).integers(0, 255, (2, 32, 32, 3)).astype(np.uint8)
    images = prepared_with(noise, vessel=nothing)
    found = agreement(noise / 255, (noise[..., 0] > 127).astype(int), images, "fundus")
    assert found.drop(columns=["clusters", "largest area"]).isna().all(axis=None)
    with pytest.raises(ValueError, match='"NMI" was measured in no image: none has the structure'):
        Comparison({"net, clusters": found}).best("net", "NMI")
