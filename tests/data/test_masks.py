import gzip

import numpy as np
import pytest
from PIL import Image

from ldr_lib import DataError, open_dataset
from ldr_lib.data.masks import by_histogram, looks_like_mask


@pytest.fixture
def drawn():
    """A disc of about 4 %, (120, 160) bool."""
    rows, columns = np.mgrid[:120, :160]
    return np.hypot(rows - 60, columns - 70) < 16


@pytest.fixture
def drions(tmp_path, photograph, save):
    """A folder in the layout of DRIONS with one image; takes its mask's file."""
    save(tmp_path / "DRIONS" / "images" / "image_001.png", photograph(0, 120, 160))
    (tmp_path / "DRIONS" / "disc_masks").mkdir()
    return tmp_path / "DRIONS" / "disc_masks" / "image_001.png"


def read(drions):
    return open_dataset("drions", drions.parents[1])[0].masks["disc"]


VALUES = {
    "0 and 255": (0, 255),
    "0 and 1": (0, 1),
    "0 and 76": (0, 76),
    "nearly black": (4, 254),
    "0 and 128": (0, 128),
}


@pytest.mark.parametrize("kind", VALUES)
def test_masks_of_two_values(drions, drawn, kind):
    ground, structure = VALUES[kind]
    Image.fromarray(np.where(drawn, structure, ground).astype(np.uint8)).save(drions)
    np.testing.assert_array_equal(read(drions), drawn)


def test_masks_saved_as_jpeg(drions, drawn):
    Image.fromarray(255 * drawn.astype(np.uint8)).save(drions, "JPEG", quality=60)
    assert (read(drions) ^ drawn).sum() <= 4


def test_masks_with_soft_edges(drions, drawn):
    small = Image.fromarray(255 * drawn.astype(np.uint8)).resize((40, 30), Image.Resampling.BOX)
    small.resize((160, 120), Image.Resampling.BICUBIC).save(drions)
    assert (read(drions) ^ drawn).mean() < 0.01


@pytest.mark.parametrize("colours", [[0, 0, 0, 128, 0, 0], [0, 0, 255, 255, 0, 0]])
def test_masks_with_a_palette(drions, drawn, colours):
    palette = Image.fromarray(drawn.astype(np.uint8), "P")
    palette.putpalette(colours + [0] * (768 - len(colours)))
    palette.save(drions)
    np.testing.assert_array_equal(read(drions), drawn)


def test_gif_masks_whose_black_is_not_black(drions, drawn):
    pixels = np.where(drawn[..., None], (252, 254, 252), (4, 2, 4)).astype(np.uint8)
    Image.fromarray(pixels).quantize(4).save(drions, "GIF")
    np.testing.assert_array_equal(read(drions), drawn)


def test_masks_with_sixteen_bits_and_with_one(drions, drawn):
    Image.fromarray(65535 * drawn.astype(np.uint16)).save(drions)
    np.testing.assert_array_equal(read(drions), drawn)
    Image.fromarray(drawn).save(drions)
    np.testing.assert_array_equal(read(drions), drawn)


def test_packed_masks(drions, drawn, tmp_path):
    Image.fromarray(255 * drawn.astype(np.uint8)).save(tmp_path / "mask.png")
    drions.write_bytes(gzip.compress((tmp_path / "mask.png").read_bytes()))
    np.testing.assert_array_equal(read(drions), drawn)


@pytest.mark.parametrize("share, words", [(0.0, "covers 0.000%"), (0.9, "covers 90%")])
def test_masks_that_cover_nothing_or_nearly_all_are_doubted(drions, share, words):
    mask = np.zeros(120 * 160, np.uint8)
    mask[: round(share * mask.size)] = 255
    Image.fromarray(mask.reshape(120, 160)).save(drions)
    dataset = open_dataset("drions", drions.parents[1])
    with pytest.warns(UserWarning, match=f"image_001.png: the mask {words}"):
        dataset[0]
    assert len(dataset.report()) == 1


def test_a_grey_picture_as_mask_is_doubted(drions, photograph, save):
    save(drions, photograph(0, 120, 160)[..., 0])
    with pytest.warns(UserWarning, match="the mask looks like a grey picture"):
        read(drions)


@pytest.mark.parametrize("values", [(0, 1, 2), (0, 128, 255), (10, 20, 250)])
def test_a_map_of_labels_is_doubted(drions, drawn, values):
    labels = np.full(drawn.shape, values[0], np.uint8)
    labels[drawn] = values[1]
    labels[50:70, 60:80] = values[2]
    Image.fromarray(labels).save(drions)
    with pytest.warns(UserWarning, match="areas of 3 values .above .* was taken.: is it a map of"):
        read(drions)
    coloured = np.zeros((*drawn.shape, 3), np.uint8)
    coloured[drawn] = (255, 0, 0)
    coloured[50:70, 60:80] = (0, 255, 0)
    assert "a map of labels" in by_histogram(coloured).doubt


def test_soft_edges_are_no_labels(drawn):
    mask = Image.fromarray(drawn).convert("L")
    for small in (mask.reduce(2), mask.reduce(3), mask.resize((90, 70), Image.Resampling.BICUBIC)):
        assert by_histogram(np.asarray(small)).doubt is None


def test_what_was_decided_is_said(drawn):
    decision = by_histogram(np.where(drawn, 254, 4).astype(np.uint8))
    assert decision.note == "peaks at 4 and 254, cut at 129" and decision.doubt is None


def test_photographs_do_not_look_like_masks(photograph, drawn):
    assert looks_like_mask(255 * drawn.astype(np.uint8)) and looks_like_mask(drawn.astype(np.uint8))
    assert not looks_like_mask(photograph()) and not looks_like_mask(photograph()[..., 0])
    assert not looks_like_mask(np.zeros((9, 9), np.uint8))


def test_masks_lie_as_their_image_does(tmp_path, photograph, drawn):
    root = tmp_path / "DRIONS"
    for name in ("images", "disc_masks"):
        (root / name).mkdir(parents=True)
    image = Image.fromarray(photograph(0, 120, 160))
    exif = image.getexif()
    exif[274] = 6
    image.save(root / "images" / "image_001.jpg", exif=exif)
    image.save(root / "images" / "image_002.jpg", exif=exif)
    mask = Image.fromarray(255 * drawn.astype(np.uint8))
    mask.save(root / "disc_masks" / "image_001.png")  # on the raw rows and columns
    mask.rotate(-90, expand=True).save(root / "disc_masks" / "image_002.png")  # drawn upright
    dataset = open_dataset("drions", tmp_path)
    assert dataset[0].image.shape == (160, 120, 3)
    for sample in (dataset[0], dataset[1]):
        np.testing.assert_array_equal(sample.masks["disc"], np.rot90(drawn, -1))


def test_a_square_mask_without_orientation_is_turned_with_a_warning(tmp_path, photograph, save):
    root = tmp_path / "DRIONS"
    mask = np.zeros((96, 96), np.uint8)
    mask[10:30, 40:60] = 255
    save(root / "disc_masks" / "image_001.png", mask)
    image = Image.fromarray(photograph())
    exif = image.getexif()
    exif[274] = 3
    (root / "images").mkdir()
    image.save(root / "images" / "image_001.jpg", exif=exif)
    with pytest.warns(UserWarning, match="turned as its image was"):
        found = open_dataset("drions", tmp_path)[0].masks["disc"]
    np.testing.assert_array_equal(found, mask[::-1, ::-1] > 0)


def test_a_missing_mask_folder_is_named(drions):
    with pytest.raises(DataError, match="image_001.png does not exist"):
        read(drions)
