"""Folders and archives as people have them."""

import gzip
import os

import numpy as np
import pytest
from PIL import Image

from ldr_lib import DataError, open_dataset
from ldr_lib.data import folders
from ldr_lib.data.folders import below, list_folder


@pytest.fixture
def eyes(tmp_path, photograph, save):
    for i in range(6):
        save(tmp_path / "eyes" / f"eye{i}.png", photograph(i))
    return tmp_path / "eyes"


def names(dataset):
    return [item.name for item in dataset.items]


def test_hidden_files_and_thumbnails_are_passed_over(eyes, photograph, save):
    for place in (".hidden", "__MACOSX", "@eaDir", "thumbnails", "Thumbs", ".thumbnails"):
        save(eyes / place / "a.png", photograph())
    save(eyes / "._eye0.png", photograph())
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
        (eyes / name).write_bytes(b"xxxx")
    dataset = open_dataset("folder", eyes, "all")
    assert names(dataset) == [f"eye{i}" for i in range(6)] and not dataset.report()


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links on this system")
def test_linked_folders_are_followed_once(eyes, tmp_path, photograph, save):
    save(tmp_path / "elsewhere" / "far.png", photograph())
    (eyes / "linked").symlink_to(tmp_path / "elsewhere")
    (eyes / "round").symlink_to(eyes)
    (eyes / "eye9.png").symlink_to(tmp_path / "elsewhere" / "far.png")
    (eyes / "gone.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.warns(UserWarning, match="left out: 1 broken links"):
        dataset = open_dataset("folder", eyes, "all")
    assert sorted(names(dataset)) == [*(f"eye{i}" for i in range(6)), "eye9", "far"]


def test_unusual_suffixes_are_read_by_their_content_and_counted(eyes, photograph):
    Image.fromarray(photograph()).save(eyes / "a", "PNG")
    Image.fromarray(photograph()).save(eyes / "b.image", "JPEG")
    (eyes / "c.xyz").write_bytes(b"\x01\x02\x03")
    with pytest.warns(UserWarning) as caught:
        dataset = open_dataset("folder", eyes, "all")
    said = " ".join(str(warning.message) for warning in caught)
    assert (
        len(dataset) == 8 and "left out: 1 .xyz" in said and "2 without an image's suffix" in said
    )


def test_one_grey_file_does_not_decide_for_five_photographs(eyes, photograph, save):
    save(eyes / "a_first.png", photograph()[..., 0])
    with pytest.warns(UserWarning, match='6 of 7 .* in colour.*photographs.*modality="fundus"'):
        dataset = open_dataset("folder", eyes, "all")
    assert dataset.modality == "fundus"
    assert all(dataset[i].image.shape == (96, 96, 3) for i in range(7))


def test_the_modality_can_be_said(eyes, photograph, save):
    assert open_dataset("folder", eyes, "all", modality="fundus").channels == 3
    with pytest.raises(ValueError, match='unknown modality "x"; known are fundus, chest'):
        open_dataset("folder", eyes, modality="x")
    with pytest.raises(ValueError, match="known to be fundus"):
        open_dataset("chase_db1", eyes, modality="chest")
    dataset = open_dataset("folder", eyes, "all", modality="chest")
    with pytest.raises(DataError, match="colour image where a grey X-ray is expected"):
        dataset[0]


def test_masks_beside_photographs_are_no_photographs(eyes, save):
    mask = np.zeros((96, 96), np.uint8)
    mask[20:50, 20:50] = 255
    for i in range(6):
        save(eyes / f"eye{i}_mask.png", mask)
        save(eyes / "manual" / f"eye{i}.png", mask // 255)
    with pytest.warns(UserWarning, match="12 of 18 files are masks of two values"):
        dataset = open_dataset("folder", eyes, "all")
    assert len(dataset) == 6 and dataset.modality == "fundus"


def test_a_folder_of_masks_only_is_read(tmp_path, save):
    mask = np.zeros((96, 96), np.uint8)
    mask[20:50, 20:50] = 255
    save(tmp_path / "a.png", mask)
    assert len(open_dataset("folder", tmp_path, "all")) == 1


def test_x_rays_with_a_label_or_a_tint_stay_x_rays(tmp_path, photograph, save):
    grey = np.clip(photograph()[..., :1].astype(int) + 60, 0, 255)
    labelled = np.repeat(grey, 3, 2)
    labelled[4:12, 4:30] = (250, 220, 0)
    tinted = grey * np.array([0.8, 0.9, 1.0])
    for i, pixels in enumerate((labelled, tinted, labelled)):
        save(tmp_path / f"{i}.png", pixels.astype(np.uint8))
    dataset = open_dataset("folder", tmp_path, "all")
    assert dataset.modality == "chest" and dataset[0].image.ndim == dataset[1].image.ndim == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_pipes_are_left_out_and_counted(eyes):
    os.mkfifo(eyes / "x.png")
    with pytest.warns(UserWarning, match="left out: 1 pipes or devices"):
        assert len(open_dataset("folder", eyes, "all")) == 6


def test_folders_that_may_not_be_listed_are_said(eyes, monkeypatch):
    (eyes / "locked").mkdir()
    scan = os.scandir

    def denied(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(folders.os, "scandir", denied)
    with pytest.warns(UserWarning, match="locked may not be listed: left out"):
        assert len(open_dataset("folder", eyes, "all")) == 6
    with pytest.raises(DataError, match="may not be listed. Change its permissions"):
        list_folder(eyes / "locked")


def _many(folder, n, suffix, content=b""):
    folder.mkdir(parents=True)
    for i in range(n):
        (folder / f"{i:05}{suffix}").write_bytes(content)


@pytest.fixture
def few(monkeypatch):
    """A folder of images may hold 50 other files, and 2 more for each image."""
    monkeypatch.setattr(folders, "OTHERS", 50)
    monkeypatch.setattr(folders, "OTHERS_AN_IMAGE", 2)


def test_a_tree_of_other_files_is_given_up_with_a_sentence(eyes, few, monkeypatch):
    _many(eyes / "x" / "code", 100, ".py")
    monkeypatch.setattr(folders, "looks_like_image", lambda path: False)
    _many(eyes / "y", 5, ".png")
    words = (
        "eyes is not a folder of images: up to .*code it holds 103 other files and folders and 6"
    )
    with pytest.raises(DataError, match=words):
        open_dataset("folder", eyes)


def test_a_tree_of_empty_folders_is_given_up(tmp_path, few):
    for i in range(60):
        (tmp_path / f"a{i}" / "b").mkdir(parents=True)
    with pytest.raises(DataError, match="is not a folder of images"):
        list_folder(tmp_path)


def test_many_images_without_a_suffix_are_a_folder_of_images(tmp_path, few, photograph, save):
    save(tmp_path / "a.png", photograph())
    _many(tmp_path / "dicom", 100, "", (tmp_path / "a.png").read_bytes())
    assert len(list_folder(tmp_path).images) == 101


def test_folders_are_listed_however_deep_they_lie(tmp_path):
    place = tmp_path
    for _ in range(1100):
        place = place / "a"
        try:
            place.mkdir()
        except OSError:
            pytest.skip("this system has no paths of such a length")
    assert list_folder(tmp_path).images == []
    while place != tmp_path:  # deeper than what clears temporary folders can follow
        place.rmdir()
        place = place.parent


@pytest.mark.parametrize("name", [b"eye\xff.png", "左.png".encode(), b"a$b$c.png", b"100%#.png"])
def test_names_of_all_kinds_can_be_prepared(tmp_path, photograph, save, cache, name):
    from ldr_lib import prepare

    path = save(tmp_path / "plain.png", photograph())
    try:
        path.rename(tmp_path / os.fsdecode(name))
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    prepared = prepare(open_dataset("folder", tmp_path, "all"), 48, tmp_path / "cache")
    prepared.names[0].encode("utf-8")
    assert len(prepared) == 1


# Official archives


def test_drions_as_its_archive_unpacks(tmp_path, photograph, save):
    root = tmp_path / "DRIONS-DB"
    save(root / "images" / "image_001.jpg", photograph(0, 120, 160))
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    points = [f"{70 + 20 * np.cos(a):.7e} , {60 + 20 * np.sin(a):.7e}" for a in angles]
    for expert in (1, 2):
        path = root / "experts_anotation" / f"anotExpert{expert}_001.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(points) + "\n", encoding="utf-8")
    rows, columns = np.mgrid[:120, :160]
    truth = np.hypot(rows - 60, columns - 70) < 20
    for place in (tmp_path, root):
        found = open_dataset("drions", place)[0].masks["disc"]
        assert (found ^ truth).sum() < 0.05 * truth.sum()
    (root / "experts_anotation" / "anotExpert1_001.txt").write_text("1 2 3", encoding="utf-8")
    with pytest.raises(DataError, match="anotExpert1_001.txt holds 3 numbers"):
        open_dataset("drions", root)[0]
    (root / "experts_anotation" / "anotExpert1_001.txt").write_bytes(b"1 2\n3 4\n5 \xff")
    with pytest.raises(DataError, match="anotExpert1_001.txt is no text in UTF-8: .* in line 3"):
        open_dataset("drions", root)[0]


@pytest.mark.parametrize("flat", [True, False])
def test_stare_as_its_archives_unpack(tmp_path, photograph, save, flat):
    mask = np.zeros((96, 96), np.uint8)
    mask[20:50, 20:50] = 255
    for number in (1, 2):
        for folder, ending, pixels in (
            ("stare-images", "", photograph(number)),
            ("labels-ah", ".ah", mask),
            ("labels-vk", ".vk", mask),
        ):
            plain = save(tmp_path / f"im{number:04d}{ending}.ppm", pixels)
            place = tmp_path / "stare" / ("" if flat else folder)
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{plain.name}.gz").write_bytes(gzip.compress(plain.read_bytes()))
            plain.unlink()
    dataset = open_dataset("stare", tmp_path)
    assert names(dataset) == ["im0001", "im0002"]
    np.testing.assert_array_equal(dataset[1].masks["vessel"], mask > 0)
    np.testing.assert_array_equal(dataset[1].image, photograph(2))


def test_hrf_as_its_archives_unpack(tmp_path, photograph, save):
    mask = np.zeros((96, 96), np.uint8)
    mask[20:50, 20:50] = 255
    root = tmp_path / "HRF"
    Image.fromarray(photograph()).save(save(root / "images" / "01_dr.png", photograph()), "JPEG")
    (root / "images" / "01_dr.png").rename(root / "images" / "01_dr.JPG")
    save(root / "manual1" / "01_dr.tif", mask)
    assert open_dataset("hrf", tmp_path)[0].masks["vessel"].sum() == 900
    other = tmp_path / "parts"
    save(other / "healthy" / "01_h.jpg", photograph())
    save(other / "healthy_manualsegm" / "01_h.tif", mask)
    save(other / "glaucoma" / "01_g.jpg", photograph())
    dataset = open_dataset("hrf", other)
    assert names(dataset) == ["01_g", "01_h"] and dataset[1].masks["vessel"].sum() == 900
    (other / "healthy_manualsegm" / "01_h.tif").unlink()
    (other / "healthy_manualsegm.zip").write_bytes(b"PK")
    with pytest.warns(UserWarning, match="healthy_manualsegm.zip. Unpack them there"):
        open_dataset("hrf", other)


@pytest.mark.parametrize(
    "images, truth",
    [
        ("1. Original Images", "2. All Segmentation Groundtruths"),
        ("Original images", "All Segmentation Groundtruth"),
        ("1. original_images", "2. All segmentation groundtruths"),
    ],
)
def test_idrid_under_its_various_folder_names(tmp_path, photograph, save, images, truth):
    root = tmp_path / "A. Segmentation"
    mask = np.zeros((96, 96), np.uint8)
    mask[20:50, 20:50] = 255
    save(root / images / "a. Training set" / "IDRiD_01.jpg", photograph())
    save(root / truth / "a. Training set" / "5. Optic disc" / "IDRiD_01_OD.tif", mask)
    sample = open_dataset("idrid", tmp_path)[0]
    assert sample.masks["disc"].sum() == 900 and not sample.masks["haemorrhage"].any()


def test_drive_reads_lzw_and_kermany_its_own_folder(tmp_path, photograph, save):
    import tifffile

    place = tmp_path / "DRIVE" / "training" / "images"
    place.mkdir(parents=True)
    tifffile.imwrite(place / "21_training.tif", photograph(), compression="lzw", photometric="rgb")
    np.testing.assert_array_equal(open_dataset("drive", tmp_path)[0].image, photograph())
    grey = photograph()[..., 0]
    save(tmp_path / "chest_xray" / "train" / "NORMAL" / "a.jpeg", grey)
    save(tmp_path / "chest_xray" / "__MACOSX" / "train" / "NORMAL" / "._a.jpeg", grey)
    assert names(open_dataset("kermany", tmp_path)) == ["a"]


def test_what_was_expected_and_what_was_found_is_said(tmp_path):
    (tmp_path / "DRIVE.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match="no folder DRIVE.*layout.*found: DRIVE.zip; unpack"):
        open_dataset("drive", tmp_path)
    (tmp_path / "DRIVE" / "train").mkdir(parents=True)
    with pytest.raises(DataError, match="expected layout.*found: train/"):
        open_dataset("drive", tmp_path)


def test_folders_are_found_by_their_words(tmp_path):
    (tmp_path / "3. Hard Exudates").mkdir()
    assert below(tmp_path, "hard exudate") == tmp_path / "3. Hard Exudates"
    assert not below(tmp_path, "Soft Exudates").exists()
