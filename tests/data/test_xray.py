import hashlib
import json
import warnings

import numpy as np
import pytest
from PIL import Image

from ldr_lib import DataError, open_dataset, predict_structure, prepare
from ldr_lib.data.checksums import file_digest
from ldr_lib.data.crop import field_of_view, lit_background, prepare_sample
from ldr_lib.data.simulate import Sample, chest, fundus
from ldr_lib.data.xray import Pose, as_upright, exposed_area, fit_pose, pose


@pytest.fixture(scope="module")
def sample():
    """A simulated X-ray whose darkest parts are not quite black."""
    drawn = chest(256, 3)
    return Sample((20 + 0.85 * drawn.image).astype(np.uint8), drawn.masks)


def framed(image, top, bottom, left, right, value=0):
    return np.pad(image, ((top, bottom), (left, right)), constant_values=value)


BORDERS = {
    "black sides": [(0, 0, 70, 70, 0)],
    "one black side": [(0, 0, 0, 90, 0)],
    "letterbox": [(50, 50, 0, 0, 0)],
    "white border": [(25, 25, 25, 25, 255)],
    "grey border": [(25, 25, 25, 25, 128)],
    "black in white": [(10, 10, 40, 40, 0), (20, 20, 20, 20, 255)],
}


@pytest.mark.parametrize("kind", BORDERS)
def test_borders_of_x_rays_are_cut_off(sample, kind):
    image, top, left = sample.image, 0, 0
    for border in BORDERS[kind]:
        image = framed(image, *border)
        top, left = top + border[0], left + border[2]
    rows, columns = exposed_area(image)
    for found, start in ((rows, top), (columns, left)):
        assert abs(found.start - start) <= 4 and abs(found.stop - start - 256) <= 4


def test_borders_with_noise_and_text_are_cut_off(sample):
    image = framed(sample.image, 0, 0, 80, 80)
    noise = np.random.default_rng(0).integers(0, 8, image.shape).astype(np.uint8)
    image = np.maximum(image, noise)
    image[10:30, 10:50] = image[100:104, 350:400] = 255
    rows, columns = exposed_area(image)
    assert abs(columns.start - 80) <= 4 and abs(columns.stop - 336) <= 4


def test_x_rays_without_borders_stay_as_they_are():
    for seed in range(20):
        image = chest(128, seed).image
        assert exposed_area(image) == (slice(0, 128), slice(0, 128))
        assert as_upright(image)[0] is image
    thin = framed(image, 2, 0, 2, 2)
    assert exposed_area(thin) == (slice(0, 130), slice(0, 132))
    assert exposed_area(np.zeros((64, 64), np.uint8)) == (slice(0, 64), slice(0, 64))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("inverted", [False, True])
def test_turned_and_inverted_x_rays_are_put_right(sample, turns, inverted):
    image = np.rot90(sample.image, -turns)
    image = np.ascontiguousarray(255 - image if inverted else image)
    upright, found = as_upright(image)
    assert (found.turns, found.inverted) == (turns, inverted)
    np.testing.assert_array_equal(upright, sample.image)
    np.testing.assert_array_equal(
        found.turn_back(upright > 99), np.rot90(sample.image, -turns) > 99
    )


def test_a_pose_is_said_in_words():
    assert str(Pose()) == "upright" and str(Pose(2, True)) == "upside down and inverted"


def test_the_classifier_of_poses_can_be_fitted_anew():
    weights, mean = fit_pose([chest(96, seed).image for seed in range(30)])
    assert weights.shape == mean.shape == (16, 16)
    assert np.abs(weights - weights[:, ::-1]).max() < 0.2 * np.abs(weights).max()


def test_datasets_put_x_rays_upright_with_their_masks(tmp_path, sample, save):
    root = tmp_path / "COVID19_CXR_SEG"
    bits = sample.masks["left_lung"] + 2 * sample.masks["right_lung"]
    save(root / "images" / "a.png", np.ascontiguousarray(255 - np.rot90(sample.image)))
    save(root / "masks" / "a.png", np.rot90(bits).astype(np.uint8))
    with pytest.warns(UserWarning, match="turned left by 90 degrees and inverted: put right"):
        read = open_dataset("covid19_cxr_seg", tmp_path, "all")[0]
    np.testing.assert_array_equal(read.image, sample.image)
    np.testing.assert_array_equal(read.masks["left_lung"], sample.masks["left_lung"])


@pytest.fixture
def film(tmp_path, sample, save):
    """A folder with one X-ray that is upside down and inverted."""
    save(tmp_path / "films" / "a.png", np.ascontiguousarray(255 - np.rot90(sample.image, 2)))
    return tmp_path / "films"


@pytest.mark.parametrize("first", [None, "chest"])
def test_an_x_ray_is_put_right_where_it_was_asked_for_whatever_was_prepared_before(
    film, tmp_path, sample, first
):
    (tmp_path / "upright").mkdir()
    Image.fromarray(sample.image).save(tmp_path / "upright" / "a.png")
    upright = prepare(open_dataset("folder", tmp_path / "upright", "all"), 64, tmp_path / "other")
    expected = {
        "chest": upright.images,
        None: 255 - upright.images[:, ::-1, ::-1],  # as it lies
    }
    for modality in (first, "chest" if first is None else None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            dataset = open_dataset("folder", film, "all", modality=modality)
            prepared = prepare(dataset, 64, tmp_path / "cache")
        difference = np.abs(prepared.images.astype(int) - expected[modality])
        assert difference.mean() < 1, modality


def test_only_folders_that_were_said_to_hold_x_rays_have_another_fingerprint_than_before(
    film, tmp_path, sample, save
):
    """The other fingerprints are those of the revision before poses counted."""
    save(tmp_path / "COVID19_CXR_SEG" / "images" / "a.png", sample.image)
    save(tmp_path / "COVID19_CXR_SEG" / "masks" / "a.png", np.eye(256, dtype=np.uint8))
    named = open_dataset("covid19_cxr_seg", tmp_path, "all")
    unnamed = open_dataset("folder", film, "all")
    said = open_dataset("folder", film, "all", modality="chest")
    for dataset, is_as_before in ((named, True), (unnamed, True), (said, False)):
        how = [2, dataset.name, "all", "chest", 1, 32, 1]
        whole = hashlib.blake2b(json.dumps(how).encode())
        lines = [f"{path.name} {file_digest(path)}" for path in dataset.files(0)]
        whole.update("\n".join(lines).encode())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = prepare(dataset, 32, tmp_path / "cache").fingerprint
        assert (found == whole.hexdigest()[:32]) is is_as_before


def test_a_turned_x_ray_of_a_folder_is_said_and_again_from_the_cache_wherever_it_lies_now(
    film, tmp_path
):
    line = 'a.png: perhaps upside down and inverted: left as it lies.*Say modality="chest"'
    moved = tmp_path / "moved"
    for folder in (film, film, moved):
        if folder == moved:
            film.rename(moved)
        dataset = open_dataset("folder", folder, "all")
        with pytest.warns(UserWarning, match=line):
            prepare(dataset, 64, tmp_path / "cache")
        (said,) = dataset.report()
        assert said.startswith(str(folder / "a.png"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is said once of one dataset
        prepare(dataset, 64, tmp_path / "cache")
    for _ in range(2):
        with pytest.warns(UserWarning, match="upside down and inverted: put right"):
            dataset = open_dataset("folder", moved, "all", modality="chest")
            prepare(dataset, 64, tmp_path / "cache")


def test_upright_x_rays_and_other_grey_pictures_are_not_doubted(tmp_path, sample, save, photograph):
    save(tmp_path / "a.png", sample.image)
    save(tmp_path / "b.png", photograph()[..., 0])
    dataset = open_dataset("folder", tmp_path, "all")
    assert len([dataset[i] for i in range(2)]) == 2 and not dataset.report()


def test_preparation_leaves_borders_out_and_keeps_masks_in_place(sample):
    plain, masks, _ = prepare_sample(sample, 64, "chest")
    wide = {name: framed(mask, 0, 0, 80, 80) for name, mask in sample.masks.items()}
    bordered = Sample(framed(sample.image, 0, 0, 80, 80), wide)
    cut, cut_masks, (top, left, side, _) = prepare_sample(bordered, 64, "chest")
    assert abs(left - 80) <= 4 and abs(side - 256) <= 6
    assert np.mean(np.abs(cut.astype(int) - plain)) < 6
    assert (cut_masks["lungs"] ^ masks["lungs"]).mean() < 0.03
    assert prepare_sample(bordered, 64, "mask")[2] == (-80, 0, 416, 416)


@pytest.mark.realdata
def test_ordinary_x_rays_are_not_changed(real_data):
    from ldr_lib import read_image

    changed = {}
    for name in ("covid19_cxr_seg", "kermany"):
        dataset = open_dataset(name, real_data, "all")
        paths = [item.image for item in dataset.items][:300]
        images = [dataset.to_channels(read_image(path), path) for path in paths]
        assert all(as_upright(image)[0] is image for image in images)
        areas = [exposed_area(image) for image in images]
        changed[name] = sum(
            area != (slice(0, len(image)), slice(0, image.shape[1]))
            for area, image in zip(areas, images)
        )
    assert changed == {"covid19_cxr_seg": 0, "kermany": 0}


@pytest.mark.realdata
@pytest.mark.slow
def test_lungs_are_found_in_x_rays_with_borders_turned_and_inverted(real_data):
    from ldr_lib import load_pretrained
    from ldr_lib.metrics import dice

    nets = load_pretrained("chest", "cpu")
    sample = open_dataset("covid19_cxr_seg", real_data, "all")[22]
    lungs = sample.masks["lungs"]
    plain = dice(predict_structure(nets, sample.image, "lungs") > 0.5, lungs)
    sides = (0, 0, 150, 150)
    for image, truth in (
        (framed(sample.image, *sides), framed(lungs, *sides, False)),
        (255 - sample.image, lungs),
        (np.rot90(sample.image, 3).copy(), np.rot90(lungs, 3)),
    ):
        found = predict_structure(nets, image, "lungs") > 0.5
        assert found.shape == truth.shape and dice(found, truth) > plain - 0.02


# Photographs on backgrounds that are lit

GROUNDS = {"white": (255, 255, 255), "blue": (30, 60, 200), "grey": (90, 90, 90)}


@pytest.mark.parametrize("ground", GROUNDS)
def test_lit_backgrounds_are_no_field_of_view(ground):
    eye = fundus(200, 1)
    inside = eye.masks["field_of_view"]
    image = np.where(inside[..., None], eye.image, GROUNDS[ground]).astype(np.uint8)
    padded = np.pad(image, ((40, 40), (60, 60), (0, 0)), mode="edge")
    padded[:40], padded[-40:], padded[:, :60], padded[:, -60:] = (GROUNDS[ground],) * 4
    truth = np.pad(inside, ((40, 40), (60, 60)))
    assert (field_of_view(padded) ^ truth).mean() < 0.01
    disc = np.pad(eye.masks["disc"], ((40, 40), (60, 60)))
    _, masks, (_, left, side, _) = prepare_sample(Sample(padded, {"disc": disc}), 96, "fundus")
    plain = prepare_sample(eye, 96, "fundus")[1]
    assert masks["disc"].any() and abs(left - 44) < 6
    expected = plain["disc"].sum() * (200 / side) ** 2  # there is a margin of 16 pixels
    assert abs(masks["disc"].sum() - expected) < 0.1 * expected


def test_a_white_frame_around_a_black_picture_is_no_field_of_view():
    eye = fundus(200, 1)
    framed_eye = np.pad(eye.image, ((30, 30), (30, 30), (0, 0)), constant_values=255)
    truth = np.pad(eye.masks["field_of_view"], 30)
    assert (field_of_view(framed_eye) ^ truth).mean() < 0.01


def test_backgrounds_saved_as_jpeg_are_recognised(tmp_path):
    from PIL import Image

    from ldr_lib import read_image

    eye = fundus(200, 1)
    inside = eye.masks["field_of_view"]
    white = np.where(inside[..., None], eye.image, 255).astype(np.uint8)
    Image.fromarray(white).save(tmp_path / "a.jpg", quality=80)
    assert (field_of_view(read_image(tmp_path / "a.jpg")) ^ inside).mean() < 0.02


def test_ordinary_photographs_have_no_lit_background(photograph):
    assert all(lit_background(fundus(96, seed).image) is None for seed in range(20))
    assert lit_background(photograph()) is None
    with pytest.raises(DataError, match="no field of view"):
        field_of_view(np.full((64, 64, 3), 200, np.uint8))


def test_other_pictures_are_not_called_sure():
    ramp = np.tile(np.arange(128, dtype=np.uint8), (128, 1))
    assert not pose(ramp).sure or pose(ramp) == Pose()
