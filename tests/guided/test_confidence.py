"""Confidence of a map: what is of another kind or shows no structure is refused in words."""

import numpy as np
import pytest
import skimage.data

from ldr_lib import load_pretrained, predict_structure
from ldr_lib.data.errors import DataError
from ldr_lib.data.simulate import chest, fundus
from ldr_lib.guided import familiar
from ldr_lib.guided.confidence import Confidence, Found, is_cut_off
from ldr_lib.guided.confidence_study import as_colours, as_greys
from ldr_lib.guided.familiar import fit_familiar, load_familiar


@pytest.fixture(scope="module")
def eye():
    return load_pretrained("fundus", "cpu")


@pytest.fixture(scope="module")
def body():
    return load_pretrained("chest", "cpu")


def circle(row, column, radius, side=64):
    rows, columns = np.mgrid[:side, :side]
    return np.hypot(rows - row, columns - column) <= radius


def found(map_, mask):
    everywhere = np.ones_like(mask)
    return Found(map_, map_, mask, everywhere, (255 * map_).astype(np.uint8))


def test_agreement_is_the_soft_dice_of_map_and_mask():
    map_, mask = np.array([[1.0, 0.5], [0.0, 0.1]]), np.array([[True, True], [False, False]])
    assert found(map_, mask).agreement == pytest.approx(2 * 1.5 / (1.6 + 2))
    assert found(map_, mask & False).agreement == 0


def test_a_confident_map_in_the_right_place_agrees_more_than_an_undecided_one():
    disc = circle(30, 30, 8)
    sharp, faint = 0.95 * disc, 0.6 * disc
    elsewhere = sharp + 0.9 * circle(10, 50, 8)
    assert found(sharp, disc).agreement > 0.9 > found(faint, disc).agreement
    assert found(elsewhere, disc).agreement < 0.75


def test_an_organ_at_the_rim_is_cut_off():
    inside = circle(32, 32, 30)
    assert not is_cut_off(circle(32, 40, 8), inside)
    assert not is_cut_off(circle(32, 50, 8), inside)
    assert is_cut_off(circle(32, 60, 8) & inside, inside)
    assert is_cut_off(circle(2, 32, 8), np.ones_like(inside))


def test_the_gaussian_holds_images_like_those_of_training_and_no_others():
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(3, 20))

    def images(n):
        return rng.normal(size=(n, 3)) @ spread + 0.1 * rng.normal(size=(n, 20))

    fitted = fit_familiar([images(60), images(200)], axes=3)
    assert (fitted.distances(images(200)) < fitted.bound).all()
    assert (fitted.distances(images(50) + 2 * rng.normal(size=20)) > fitted.bound).all()
    assert fitted.distances(images(500)).mean() == pytest.approx(1, abs=0.3)


def test_each_collection_counts_alike():
    few, many = np.full((5, 4), 1.0), np.full((500, 4), 3.0)
    noise = np.random.default_rng(0).normal(size=(505, 4)) * 0.01
    fitted = fit_familiar([few + noise[:5], many + noise[5:]], axes=1)
    assert np.abs(fitted.mean - 2).max() < 0.05


@pytest.mark.parametrize("modality", ["fundus", "chest"])
def test_statistics_come_with_the_package_and_fit_its_weights(modality):
    known, bounds = load_familiar(modality)
    assert known.bound > 1 and known.axes.shape == (8, 256)
    assert bounds and bounds.keys() <= set(load_pretrained(modality, "cpu").structures)
    assert all(0 < bound < 1 for bound in bounds.values())


def test_statistics_of_other_weights_are_refused(monkeypatch):
    monkeypatch.setattr(familiar, "encoder_fingerprint", lambda modality: "another")
    load_familiar.cache_clear()
    with pytest.raises(DataError, match="other weights than disc.safetensors .*confidence --fit"):
        load_familiar("fundus")
    load_familiar.cache_clear()


def test_what_belongs_is_found(eye, body):
    photograph, xray = fundus(256, 700_003, lesions=False).image, chest(256, 700_003).image
    for nets, image, structure in ((eye, photograph, "disc"), (body, xray, "lungs")):
        plain = predict_structure(nets, image, structure)
        map_, judged = predict_structure(nets, image, structure, confidence=True)
        assert judged.found and judged.words == "" and judged.value > 0.5, judged
        assert np.array_equal(map_, plain) and str(judged).startswith("found, confidence 0.")


PATTERNS = np.random.default_rng(0).integers(0, 256, (200, 200, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "picture",
    [
        skimage.data.astronaut(),
        skimage.data.immunohistochemistry(),
        skimage.data.coins(),
        skimage.data.moon(),
        PATTERNS,
    ],
    ids=["astronaut", "tissue", "coins", "moon", "noise"],
)
def test_pictures_of_anything_else_are_refused_in_words(eye, body, picture):
    for nets, image, structure, words in (
        (eye, as_colours(picture), "disc", "not a retina"),
        (body, as_greys(picture), "lungs", "not a chest X-ray"),
    ):
        map_, judged = predict_structure(nets, image, structure, confidence=True)
        assert judged.words == words and judged.value == 0 and str(judged) == words
        assert map_.shape == image.shape[:2] and not map_.any()


def test_an_image_of_the_other_modality_is_refused(eye, body):
    xray, photograph = chest(256, 700_001).image, fundus(256, 700_001).image
    with pytest.raises(DataError, match="is a grey image where a colour photograph is expected"):
        predict_structure(eye, xray, "disc")
    with pytest.raises(DataError, match="is a colour image where a grey X-ray is expected"):
        predict_structure(body, photograph, "lungs")
    _, judged = predict_structure(eye, as_colours(xray), "disc", confidence=True)
    assert judged.words == "not a retina"
    _, judged = predict_structure(body, as_greys(photograph), "lungs", confidence=True)
    assert judged.words == "not a chest X-ray"


def test_a_disc_outside_the_photograph_is_not_found(eye):
    sample = fundus(256, 700_003, lesions=False)
    columns = np.flatnonzero(sample.masks["disc"].any(0))
    beside = sample.image.copy()
    if columns.mean() < 128:
        beside[:, : columns[-1] + 4] = 0
    else:
        beside[:, columns[0] - 4 :] = 0
    map_, judged = predict_structure(eye, beside, "disc", confidence=True)
    assert not judged.found and not map_.any()
    assert judged.words.startswith(("no disc found", "not a retina"))


def test_words_decide_what_counts_as_found():
    assert Confidence(0.9, 0.5).found and not Confidence(0.2, 0.5, "no disc found").found
    assert Confidence(0.9, 1.5, "not a retina").value == 0


def test_a_strip_without_field_of_view_is_refused_with_a_sentence():
    strip = np.repeat(np.linspace(40, 255, 300)[:, None], 1, axis=1).astype(np.uint8)
    with pytest.raises(DataError, match="the image has no field of view"):
        familiar.description(strip, "chest")
