import numpy as np
import pytest

from ldr_lib import DataError, open_dataset
from ldr_lib.data.datasets import DATASETS


@pytest.fixture
def chase(tmp_path, photograph, save):
    """A folder in the layout of CHASE_DB1 with two children."""
    root = tmp_path / "CHASE_DB1"
    for name in ("01L", "01R", "11L", "11R"):
        save(root / f"Image_{name}.jpg", photograph())
        for observer in ("1stHO", "2ndHO"):
            save(
                root / f"Image_{name}_{observer}.png",
                (photograph()[..., 0] > 150).astype(np.uint8) * 255,
            )
    return root


def test_unknown_names_and_splits_list_the_known_ones(chase):
    known = 'unknown dataset "chase"; known are simulated_fundus, .*chase_db1.*folder'
    with pytest.raises(ValueError, match=known):
        open_dataset("chase")
    for name in ("simulated_chest", "chase_db1"):
        with pytest.raises(ValueError, match='split "validation"; known are train, test, all'):
            open_dataset(name, chase, "validation")


def test_adapters_carry_their_own_names_and_terms():
    for name, adapter in DATASETS.items():
        assert adapter.name == name and adapter.title
        assert all((adapter.terms, adapter.source, adapter.layout, adapter.checked)), name


def test_official_split_of_chase_is_by_child(chase):
    names = {
        split: [open_dataset("chase_db1", chase, split)[i].name for i in range(2)]
        for split in ("train", "test")
    }
    assert names == {"train": ["Image_01L", "Image_01R"], "test": ["Image_11L", "Image_11R"]}
    assert len(open_dataset("chase_db1", chase.parent, "all")) == 4


def test_samples_hold_image_and_masks(chase):
    sample = open_dataset("chase_db1", chase)[0]
    assert sample.image.dtype == np.uint8 and sample.image.shape == (96, 96, 3)
    assert (
        set(sample.masks) == {"vessel", "vessel_second_observer"}
        and sample.masks["vessel"].dtype == bool
    )


def test_missing_and_empty_folders_say_what_is_expected(tmp_path, chase):
    with pytest.raises(DataError, match="give data_dir"):
        open_dataset("chase_db1")
    with pytest.raises(DataError, match="nowhere does not exist"):
        open_dataset("chase_db1", tmp_path / "nowhere")
    with pytest.raises(DataError, match="has no folder HRF.*layout"):
        open_dataset("hrf", tmp_path)
    (tmp_path / "HRF").mkdir()
    with pytest.raises(DataError, match="holds no image.*expected layout: images/01_dr.jpg"):
        open_dataset("hrf", tmp_path)
    with pytest.raises(DataError, match="holds no image"):
        open_dataset("folder", tmp_path / "HRF")
    with pytest.raises(DataError, match="does not exist or is no folder"):
        open_dataset("folder", chase / "Image_01L.jpg")


def test_a_mask_of_another_size_is_named_with_both_sizes(chase, save):
    save(chase / "Image_01L_1stHO.png", np.zeros((90, 80), np.uint8))
    with pytest.raises(DataError, match=r"Image_01L_1stHO.png measures 80 x 90 .* 96 x 96"):
        open_dataset("chase_db1", chase)[0]


def test_a_missing_mask_is_named(chase):
    (chase / "Image_01L_2ndHO.png").unlink()
    with pytest.raises(DataError, match="Image_01L_2ndHO.png does not exist"):
        open_dataset("chase_db1", chase)[0]


def test_an_image_of_one_value_is_refused(chase, save):
    save(chase / "Image_01L.jpg", np.zeros((96, 96, 3), np.uint8))
    with pytest.raises(DataError, match="Image_01L.jpg is all of one value"):
        open_dataset("chase_db1", chase)[0]


def test_a_grey_file_among_photographs_is_named(chase, save):
    save(chase / "Image_01L.jpg", np.tile(np.arange(96, dtype=np.uint8), (96, 1)))
    with pytest.raises(DataError, match="Image_01L.jpg is a grey image"):
        open_dataset("chase_db1", chase)[0]


def test_your_own_folder_may_hold_any_format(tmp_path, photograph, save):
    for i, suffix in enumerate(["png", "jpg", "tif", "ppm", "bmp", "PNG"]):
        save(tmp_path / ("a" if i % 2 else "b") / f"eye{i}.{suffix}", photograph(i))
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    whole = open_dataset("folder", tmp_path, "all")
    assert len(whole) == 6 and whole.channels == 3 and whole.modality == "fundus"
    train, test = (open_dataset("folder", tmp_path, split) for split in ("train", "test"))
    assert len(train) == 5 and len(test) == 1
    assert not {train[i].name for i in range(5)} & {test[0].name}


def test_your_own_grey_images_are_taken_for_x_rays(tmp_path, photograph, save):
    for i in range(3):
        save(tmp_path / f"chest{i}.png", photograph(i)[..., 0])
    dataset = open_dataset("folder", tmp_path)
    assert dataset.channels == 1 and dataset.modality == "chest" and dataset[0].image.ndim == 2


def test_simulated_splits_do_not_overlap():
    train, test, whole = (
        open_dataset("simulated_fundus", split=split) for split in ("train", "test", "all")
    )
    assert not set(train.seeds) & set(test.seeds) and len(whole) == len(train) + len(test)


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name, sizes",
    [
        ("chase_db1", (20, 8)),
        ("hrf", (25, 20)),
        ("drions", (90, 19)),
        ("kermany", None),
        ("covid19_cxr_seg", (21, 21)),
    ],
)
def test_real_datasets_read_in_their_official_split(real_data, name, sizes):
    train, test, whole = (
        open_dataset(name, real_data, split) for split in ("train", "test", "all")
    )
    assert len(train) + len(test) == len(whole)
    if sizes:  # Kermany comes whole or reduced
        assert (len(train), len(test)) == sizes
    for dataset in (train, test):
        sample = dataset[0]
        assert sample.image.ndim == (3 if dataset.channels == 3 else 2)
        assert all(
            0 < mask.mean() < 0.9
            for name, mask in sample.masks.items()
            if name in ("vessel", "disc", "lungs")
        )


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["octa_vessel_masks", "dsa_vessel_masks"])
def test_prior_masks_are_thin_and_bright(real_data, name):
    masks = open_dataset(name, real_data, "all")
    assert all(
        0.005 < masks[i].masks["vessel"].mean() < 0.5
        for i in range(0, len(masks), max(1, len(masks) // 5))
    )
