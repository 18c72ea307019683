"""Mask files that cannot serve as a prior are named, and so is what to do."""

import warnings

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from ldr_lib.data.errors import DataError
from ldr_lib.guided.prior_checks import letters_in
from ldr_lib.guided.priors import mask_bank, masks_in, vessel_prior, vessel_trees


def lines(height=256, width=256, thick=9):
    mask = np.zeros((height, width), bool)
    for start in range(20, height - 20, 60):
        mask[start : start + thick] = True
    return mask


def written(mask, text, size=24, at=(12, 12), upwards=False):
    """A mask with a text in it, on a black ground of its own."""
    mask = np.rot90(mask, -1) if upwards else mask
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size)
    left, top, right, bottom = draw.textbbox(at, text, font=font)
    draw.rectangle((left - 3, top - 3, right + 3, bottom + 3), fill=0)
    draw.text(at, text, fill=255, font=font)
    mask = np.asarray(image) > 127
    return np.rot90(mask) if upwards else mask


RAMP = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
WHITE = np.uint8(255)


@pytest.mark.parametrize(
    "content, message",
    [
        (np.zeros((64, 64), np.uint8), "odd.png is empty"),
        (np.full((64, 64), 255, np.uint8), "odd.png is full"),
        (RAMP, "odd.png is a grey image, no mask: 50% of its pixels"),
        (RAMP // 4, "odd.png is a grey image"),
        (40 + RAMP // 3, "odd.png is a grey image"),
        (np.stack([RAMP, RAMP.T, RAMP], -1), "odd.png is a grey image"),
        (np.pad(np.full((8, 8), 255, np.uint8), 4), "at least 32"),
        (~lines() * WHITE, "odd.png is structure in 86% of its pixels: it seems to be inverted"),
        (lines(thick=36) * WHITE, "inverted.*exchange black and white"),
        (lines(64, 400) * WHITE, "odd.png measures 400 x 64 pixels.*4 times.*Cut it into pieces"),
        (written(lines(), "OCTA 3x3") * WHITE, "odd.png has text in it: 7 letters in a row at"),
        (written(lines(), "right eye", 14) * WHITE, "odd.png has text in it"),
        (written(lines(), "12:03:44", upwards=True) * WHITE, "odd.png has text in it"),
    ],
)
def test_files_that_are_no_masks_of_a_structure_are_named(tmp_path, save, content, message):
    save(tmp_path / "good.png", lines().astype(np.uint8) * 255)
    save(tmp_path / "odd.png", content)
    for read in (masks_in, lambda folder: vessel_prior(str(folder))):
        with pytest.raises(DataError, match=message):
            read(tmp_path)


def test_masks_given_as_arrays_are_checked_too():
    with pytest.raises(DataError, match="mask 1 of the prior mine .*inverted"):
        mask_bank([lines(), ~lines()], "mine")
    with pytest.raises(DataError, match="mask 0 of the prior mine measures 400 x 64"):
        mask_bank([lines(64, 400)], "mine")


def test_one_mask_and_long_masks_are_taken_with_a_warning(tmp_path, save):
    save(tmp_path / "only.png", lines().astype(np.uint8) * 255)
    with pytest.warns(UserWarning, match="holds one mask: all shapes are crops of it. Add masks"):
        assert len(masks_in(tmp_path)) == 1
    save(tmp_path / "long.png", lines(128, 300).astype(np.uint8) * 255)
    with pytest.warns(UserWarning, match="long.png measures 300 x 128 pixels.*mirror") as warned:
        assert len(masks_in(tmp_path)) == 2
    assert len(warned) == 1


def test_usual_masks_cause_no_warning(tmp_path, save):
    for i, height in enumerate((256, 200, 140)):
        save(tmp_path / f"{i}.png", lines(height).astype(np.uint8) * 255)
    soft = np.asarray(Image.fromarray(lines().astype(np.uint8) * 255).resize((200, 200)))
    save(tmp_path / "soft.png", soft)
    save(tmp_path / "grey.png", 10 + 90 * lines().astype(np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(masks_in(tmp_path)) == 5


def test_text_is_found_where_there_is_some_and_nowhere_else():
    tree = vessel_trees(1, seed=4, size=512).masks[0] > 127
    assert not letters_in(tree) and not letters_in(lines())
    for text, size in (("OD 2021", 12), ("scale bar 500", 18), ("PATIENT", 40)):
        for upwards in (False, True):
            assert len(letters_in(written(tree, text, size, upwards=upwards))) >= 4, text
    dots = np.zeros((256, 256), bool)  # capillaries: many small parts without a common line
    rng = np.random.default_rng(0)
    for row, column in rng.integers(8, 240, (30, 2)):
        height, width = rng.integers(3, 14, 2)
        dots[row : row + height, column : column + width] = True
    assert not letters_in(dots)


@pytest.mark.parametrize("text, size", [("OD", 12), ("OD", 18), ("OS", 30), ("L 2", 18)])
@pytest.mark.parametrize("at", [(12, 12), (200, 12), (12, 215)])
@pytest.mark.parametrize("upwards", [False, True])
def test_two_letters_at_an_edge_are_warned_of(tmp_path, save, text, size, at, upwards):
    tree = vessel_trees(1, seed=4, size=256).masks[0] > 127
    mask = written(tree, text, size, at, upwards)
    save(tmp_path / "a.png", tree * WHITE)
    save(tmp_path / "odd.png", mask * WHITE)
    with pytest.warns(UserWarning, match="odd.png may have text in it: 2 letters in a row") as said:
        assert len(masks_in(tmp_path)) == 2
    assert len(said) == 1


def test_two_parts_elsewhere_and_a_single_one_are_no_letters():
    middle = written(np.zeros((256, 256), bool), "OD", 18, (110, 110))
    one = written(np.zeros((256, 256), bool), "D", 18)
    assert middle.any() and not letters_in(middle) and not letters_in(one)


def test_text_across_vessels_is_warned_of_by_the_letters_that_touch_none(tmp_path, save):
    mask = Image.fromarray((vessel_trees(1, seed=4, size=256).masks[0] > 127) * WHITE)
    font = ImageFont.load_default(18)
    ImageDraw.Draw(mask).text((12, 12), "OCTA 3x3mm", fill=255, font=font)
    ImageDraw.Draw(mask).text((60, 220), "RIGHT EYE", fill=255, font=font)
    save(tmp_path / "a.png", lines() * WHITE)
    save(tmp_path / "odd.png", np.asarray(mask))
    try:
        with pytest.warns(UserWarning, match="odd.png may have text in it"):
            masks_in(tmp_path)
    except DataError as error:
        assert "odd.png has text in it" in str(error)


def test_the_place_of_a_text_is_that_in_the_mask():
    ground = np.zeros((256, 300), bool)
    across = letters_in(written(ground, "OD", 18))
    upwards = letters_in(written(ground, "OD", 18, upwards=True))
    assert [across[0].left, across[0].top] == [13, 17]
    assert [upwards[0].left, upwards[0].bottom] == [17, 256 - 13]


def test_no_text_is_seen_in_simulated_trees():
    for size in (256, 512):
        assert not any(letters_in(mask > 127) for mask in vessel_trees(12, seed=9, size=size).masks)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["octa", "dsa"])
def test_no_text_is_seen_in_real_priors(real_data, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(vessel_prior(name, str(real_data))) == 10
