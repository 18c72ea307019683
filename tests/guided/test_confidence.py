"""Confidence of a map: what is of another kind or shows no structure is refused in words."""

import numpy as np
import pytest
import skimage.data
import torch

from ldr_lib import load_pretrained, predict_structure
from ldr_lib.data.datasets import open_dataset
from ldr_lib.data.errors import DataError
from ldr_lib.data.simulate import chest, fundus
from ldr_lib.guided import confidence_study as study
from ldr_lib.guided import familiar
from ldr_lib.guided.confidence import Confidence, Found, is_cut_off, judge, reaches_rim
from ldr_lib.guided.confidence_study import as_colours, as_greys
from ldr_lib.guided.familiar import fit_familiar, load_familiar, strangeness
from ldr_lib.guided.predict import found_in


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


CUT = "no disc found: it is cut off by the rim of the field of view"


def test_a_disc_outside_the_photograph_is_not_found_and_one_at_the_rim_is_cut_off(eye):
    sample = fundus(256, 700_004, lesions=False)
    for share, words in ((1.1, "no disc found"), (0.5, CUT)):
        cut = study._cut(sample, share)
        map_, judged = predict_structure(eye, cut, "disc", confidence=True)
        assert not judged.found and not map_.any() and judged.words == words


@pytest.mark.realdata
def test_discs_cut_on_purpose_are_cut_off_in_words(eye, real_data):
    discs = open_dataset("drions", real_data, "test")
    words = [
        predict_structure(eye, study._cut(discs[i], share), "disc", confidence=True)[1].words
        for i in (0, 2, 4, 6, 8, 10)
        for share in (0.3, 0.5)
    ]
    assert words == [CUT] * 12
    for i in (0, 10):
        assert predict_structure(eye, discs[i].image, "disc", confidence=True)[1].found
        outside = study._cut(discs[i], 1.1)
        map_, judged = predict_structure(eye, outside, "disc", confidence=True)
        assert judged.words in ("no disc found", "not a retina") and not map_.any()


@pytest.mark.realdata
def test_x_rays_with_a_tint_are_no_retina(eye, real_data):
    xrays = open_dataset("covid19_cxr_seg", real_data, "test")
    for i in range(12):
        tinted = (as_colours(xrays[i].image) * np.array([1, 0.8, 0.6])).astype(np.uint8)
        _, judged = predict_structure(eye, tinted, "disc", confidence=True)
        assert judged.words == "not a retina", i


def test_a_strange_image_is_cut_off_only_where_a_sure_disc_reaches_the_rim(eye, monkeypatch):
    monkeypatch.setattr("ldr_lib.guided.confidence.strangeness", lambda *given: 4.0)
    inside, guide = circle(32, 32, 30), eye.network("disc").guide

    def words(column, sure=0.95):
        disc = circle(32, column, 6)
        return judge(Found(*[sure * disc] * 2, disc, inside, inside), guide, "disc").words

    assert words(55) == CUT
    assert words(55, sure=0.3) == words(32) == "not a retina"


def test_a_mask_reaches_the_rim_from_two_pixels_in_64():
    inside = np.ones((64, 64), bool)
    assert reaches_rim(circle(32, 7, 6), inside) and not reaches_rim(circle(32, 8, 6), inside)
    assert not reaches_rim(circle(32, 32, 0) & False, inside)


@pytest.mark.parametrize("structure", ["fovea", "lungs"])
def test_what_the_network_saw_need_not_be_prepared_again(eye, body, structure, monkeypatch):
    nets, image = (
        (body, chest(200, 5).image) if structure == "lungs" else (eye, fundus(200, 5).image)
    )
    net = nets.network(structure)
    expected = strangeness(image, net.guide.modality)
    found = found_in(net, image, structure)
    monkeypatch.setattr(familiar, "prepare_sample", None)
    assert judge(found, net.guide, structure).strangeness == expected


def test_who_asks_for_a_judgement_draws_the_same_random_numbers():
    familiar._encoder.cache_clear()
    before = torch.get_rng_state()
    strangeness(chest(96, 0).image, "chest")
    assert torch.equal(torch.get_rng_state(), before)


def test_the_study_tells_a_cut_disc_from_an_image_of_another_kind(eye):
    sample = fundus(256, 700_001, lesions=False)
    assert study._outcome(eye, "disc", study._cut(sample, 0.5)) == "not found"
    assert study._outcome(eye, "disc", PATTERNS) == "another kind"
    assert study._outcome(eye, "disc", sample.image) == "accepted"


def test_words_decide_what_counts_as_found():
    assert Confidence(0.9, 0.5).found and not Confidence(0.2, 0.5, "no disc found").found
    assert Confidence(0.9, 1.5, "not a retina").value == 0


def test_a_strip_without_field_of_view_is_refused_with_a_sentence():
    strip = np.repeat(np.linspace(40, 255, 300)[:, None], 1, axis=1).astype(np.uint8)
    with pytest.raises(DataError, match="the image has no field of view"):
        familiar.description(strip, "chest")
