"""Prior masks from folders and rules, and the crops sampled from them."""

import warnings

import numpy as np
import pytest
import torch

from ldr_lib.data.errors import DataError
from ldr_lib.guided.priors import (
    _calibre,
    mask_bank,
    masks_in,
    simulated_shapes,
    vessel_prior,
    vessel_trees,
)


def lines(width, size=256):
    mask = np.zeros((size, size), bool)
    for start in range(20, size - 20, 60):
        mask[start : start + width] = True
    return mask


def test_calibre_is_the_width_of_the_lines():
    assert mask_bank([lines(9)], "lines", 256).calibres[0] == pytest.approx(9, abs=1.5)


def test_size_of_the_files_does_not_change_the_sampled_width():
    torch.manual_seed(0)
    for size in (96, 256, 900):
        bank = mask_bank([lines(max(3, size // 40), size)], "lines", 512)
        crops = bank.sample(40, 128, (4.0, 4.0)).numpy()[:, 0] > 0.5
        widths = [_calibre(crop) for crop in crops if crop.any()]
        assert np.median(widths) == pytest.approx(4, abs=1.3)


def test_sampling_is_repeatable_and_varied():
    bank = vessel_trees(2, seed=1, size=128)
    torch.manual_seed(5)
    first = bank.sample(4, 64, (2.0, 4.0))
    torch.manual_seed(5)
    assert torch.equal(first, bank.sample(4, 64, (2.0, 4.0)))
    assert first.min() >= 0 and first.max() <= 1 and not torch.equal(first[0], first[1])


def test_trees_depend_on_the_seed_only():
    first, again, other = (vessel_trees(2, seed, 128).masks for seed in (3, 3, 4))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert all(0.02 < (mask > 127).mean() < 0.4 for mask in first)


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        masks_in(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no image file"):
        masks_in(tmp_path)
    with pytest.raises(DataError, match="holds no mask"):
        mask_bank([], "nothing")
    with pytest.raises(DataError, match="octa_vessel_masks does not exist"):
        vessel_prior("octa", str(tmp_path))
    (tmp_path / "mask.png").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="mask.png is a file; put the masks into a folder"):
        masks_in(tmp_path / "mask.png")


def test_simulated_shapes_have_a_colour_for_each_structure():
    eyes, chests = simulated_shapes("fundus", 2), simulated_shapes("chest", 2)
    assert eyes.shape == chests.shape == (2, 192, 192, 3) and eyes.dtype == np.uint8
    lungs, heart = chests[..., 0] > 0, chests[..., 1] > 0
    assert (lungs & heart).any() and (lungs & ~heart).any() and (heart & ~lungs).any()
    with pytest.raises(ValueError, match='unknown modality "knee"; known are fundus, chest'):
        simulated_shapes("knee", 1)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["octa", "dsa"])
def test_masks_of_other_modalities_are_usable(real_data, name):
    bank = vessel_prior(name, str(real_data))
    assert (
        len(bank) == 10
        and (bank.calibres > 1).all()
        and set(np.unique(bank.masks > 127)) == {False, True}
    )


def test_a_single_file_that_is_no_mask_is_named_before_anything_is_warned_of(tmp_path, save):
    ramp = np.linspace(0, 255, 64, dtype=np.uint8)[None].repeat(64, 0)
    save(tmp_path / "odd.png", ramp)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DataError, match="odd.png is a grey image"):
            masks_in(tmp_path)
