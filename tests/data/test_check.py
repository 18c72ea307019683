import hashlib
import json
import warnings

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ldr_lib import DataError, open_dataset, prepare
from ldr_lib.__main__ import app
from ldr_lib.data.check import check
from ldr_lib.data.checksums import file_digest


@pytest.fixture
def eyes(tmp_path, photograph, save):
    """Three photographs with masks, a damaged one, one of several pages, and a note."""
    import tifffile

    mask = np.zeros((96, 96), np.uint8)
    mask[20:50, 20:50] = 1
    for i in range(3):
        save(tmp_path / "eyes" / f"eye{i}.png", photograph(i))
        save(tmp_path / "masks" / f"eye{i}_disc.png", mask if i else 0 * mask)
    (tmp_path / "eyes" / "broken.png").write_bytes(b"no image")
    pages = np.stack([photograph(5), photograph(6)])
    tifffile.imwrite(tmp_path / "eyes" / "pages.tif", pages, photometric="rgb")
    return tmp_path / "eyes"


def test_problems_come_first_and_all_is_counted(eyes):
    report = check(eyes, eyes.parent / "masks")
    assert report.problems == 1 and report.modality == "fundus"
    lines = str(report).splitlines()
    assert "5 images, taken for photographs of the retina; 1 unusable, 2 to look at" in lines[0]
    assert "2 of 5 images have no mask there" in str(report)
    assert [line.split()[0] for line in lines[2:]] == ["PROBLEM", "look", "look", "ok", "ok"]
    assert "broken.png" in lines[2] and "mask 9.77% (peaks at 0 and 1, cut at 0.5)" in lines[-1]


def test_the_sheet_shows_contours(eyes, tmp_path):
    report = check(eyes, eyes.parent / "masks", out=tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png").convert("RGB"))
    assert (sheet == (0, 200, 255)).all(2).sum() > 500
    assert (sheet == (255, 220, 0)).all(2).sum() > 300
    assert report.images[-1].thumbnail.shape == (220, 220, 3)


def test_the_command_ends_with_status_1_if_files_are_unusable(eyes, tmp_path):
    run = CliRunner().invoke(app, ["check", str(eyes), "--out", str(tmp_path / "a" / "sheet.png")])
    assert run.exit_code == 1 and "broken.png" in run.output
    assert (tmp_path / "a" / "sheet.png").exists()
    (eyes / "broken.png").unlink()
    assert CliRunner().invoke(app, ["check", str(eyes), "--modality", "fundus"]).exit_code == 0
    assert CliRunner().invoke(app, ["check", str(tmp_path / "nowhere")]).exit_code == 2


def test_photographs_of_something_else_are_to_be_looked_at(tmp_path, photograph, save):
    skin = np.full((96, 96, 3), (200, 150, 120), np.uint8)
    skin[30:60, 40:70] = (90, 50, 40)
    save(tmp_path / "skin.png", skin)
    for i in range(3):
        save(tmp_path / f"eye{i}.png", photograph(i))
    report = check(tmp_path, modality="fundus")
    doubted = {image.name: image.doubts for image in report.images if image.doubts}
    assert doubted.keys() == {"skin.png"} and "--modality other" in doubted["skin.png"][0]
    assert not any(image.doubts for image in check(tmp_path, modality="other").images)


def test_missing_masks_are_named(eyes, tmp_path):
    with pytest.raises(DataError, match="the folder of masks .*nowhere does not exist"):
        check(eyes, tmp_path / "nowhere")
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="none holds no mask"):
        check(eyes, tmp_path / "none")


def test_masks_of_another_size_are_problems(eyes, save):
    save(eyes.parent / "masks" / "eye1_disc.png", np.zeros((50, 60), np.uint8))
    report = check(eyes, eyes.parent / "masks")
    assert report.problems == 2 and "measures 60 x 50 pixels" in str(report)


def deep(folder, name, values, suffix="png"):
    """An X-ray of more than 8 bits."""
    import tifffile

    folder.mkdir(exist_ok=True)
    if suffix == "tif":
        tifffile.imwrite(folder / f"{name}.tif", values)
    else:
        Image.fromarray(values.astype(np.uint16)).save(folder / f"{name}.png")


RAMP = np.linspace(0, 1, 64 * 64).reshape(64, 64)


def test_a_grey_file_among_photographs_in_colour_is_to_be_looked_at(tmp_path, photograph, save):
    for i in range(4):
        save(tmp_path / f"eye{i}.png", photograph(i))
    save(tmp_path / "grey.png", photograph(4)[..., 0])
    save(tmp_path / "equal.png", photograph(5)[..., :1].repeat(3, 2))
    with warnings.catch_warnings(record=True):
        report = check(tmp_path)
    assert report.modality == "fundus" and report.problems == 0
    doubted = {image.name: image.doubts for image in report.images if image.doubts}
    assert doubted.keys() == {"grey.png", "equal.png"}
    assert all("grey where photographs in colour are expected" in d[0] for d in doubted.values())
    assert all("colour" in image.notes for image in report.images if not image.doubts)
    with pytest.warns(UserWarning, match="equal.png: grey where photographs"):
        dataset = open_dataset("folder", tmp_path, "all", "fundus")
        images = [dataset[i].image for i in range(6)]
    assert all(image.shape == (96, 96, 3) for image in images), "they are used all the same"


@pytest.mark.parametrize("suffix, depth", [("png", "16 bit"), ("tif", "16 bit"), ("tif", "floats")])
def test_images_of_more_than_8_bits_are_shown_by_one_range(tmp_path, suffix, depth):
    kind = np.float32 if depth == "floats" else np.uint16
    for i, brightest in enumerate((4000, 3000, 2000)):
        deep(tmp_path / "x", f"chest{i}", (brightest * RAMP).round().astype(kind), suffix)
    dataset = open_dataset("folder", tmp_path / "x", "all")
    found = [int(dataset[i].image.max()) for i in range(3)]
    assert found == [255, round(255 * 3000 / 4000), round(255 * 2000 / 4000)]
    for image in check(tmp_path / "x").images:
        assert f"{depth}: 0 to 4000 of all images shown as 0 to 255" in image.notes
        assert not any("range" in doubt for doubt in image.doubts)
    both = [open_dataset("folder", tmp_path / "x", split) for split in ("train", "test")]
    assert all(part[2].image.max() == 128 for part in both), "the range is that of all splits"


def test_a_hot_pixel_does_not_darken_a_whole_folder(tmp_path):
    for i in range(3):
        values = (3000 * RAMP).round()
        values[5, 5] = 65535 if i == 1 else values[5, 5]
        deep(tmp_path / "x", f"chest{i}", values)
    dataset = open_dataset("folder", tmp_path / "x", "all")
    assert all(np.percentile(dataset[i].image, 99) > 250 for i in range(3))


def test_depths_and_scales_that_do_not_fit_each_other_are_said(tmp_path, save):
    for i in range(4):
        save(tmp_path / "two" / f"chest{i}.png", (255 * RAMP).astype(np.uint8))
    deep(tmp_path / "two", "deep", 4000 * RAMP)
    with pytest.warns(
        UserWarning, match="4 are 8 bit and 1 are 16 bit: each kind .* one bit depth"
    ):
        open_dataset("folder", tmp_path / "two", "all")
    report = check(tmp_path / "two")
    assert str(report).count("4 are 8 bit and 1 are 16 bit") == 1, "it is said once"
    doubted = [row.name for row in report.images if "16 bit, most images are 8 bit" in row.doubts]
    assert doubted == ["deep.png"]
    for i, brightest in enumerate((1000, 4000, 65000)):
        deep(tmp_path / "scales", f"chest{i}", brightest * RAMP)
    with pytest.warns(UserWarning, match="span from 1000 to 65000, which is no common scale"):
        dataset = open_dataset("folder", tmp_path / "scales", "all")
    assert [int(dataset[i].image.max()) for i in range(3)] == [255, 255, 255]
    assert "no common scale" in str(check(tmp_path / "scales"))


def test_an_image_far_from_the_range_of_its_folder_is_to_be_looked_at(tmp_path):
    for i in range(40):
        deep(tmp_path, f"chest{i:02d}", (200 if i == 1 else 4000) * RAMP)  # every second is seen
    deep(tmp_path, "chest03", 9000 * RAMP)
    found = {}
    for image in check(tmp_path).images:
        found[image.name] = [doubt for doubt in image.doubts if "that range" in doubt]
    assert found.pop("chest01.png") == ["its own values, 0 to 200, fill little of that range"]
    assert found.pop("chest03.png") == ["56% of its values lie beyond that range and are cut"]
    assert not any(found.values())


def test_the_range_of_a_folder_is_part_of_what_is_prepared(tmp_path):
    for i in range(2):
        deep(tmp_path / "x", f"chest{i}", 2000 * RAMP)
    first = prepare(open_dataset("folder", tmp_path / "x", "all"), 32)
    deep(tmp_path / "x", "chest2", 4000 * RAMP)
    dataset = open_dataset("folder", tmp_path / "x", "all")
    dataset.items = dataset.items[:2]
    second = prepare(dataset, 32)
    assert first.fingerprint != second.fingerprint
    assert first.originals[0].max() > 1.9 * second.originals[0].max()


def test_folders_of_8_bits_are_prepared_as_before(tmp_path, photograph, save):
    """The fingerprint is that of the revision before ranges of folders."""
    for i in range(3):
        save(tmp_path / "eyes" / f"eye{i}.png", photograph(i))
    dataset = open_dataset("folder", tmp_path / "eyes", "all")
    assert not dataset.ranges
    files = {path: file_digest(path) for item in dataset.items for path in [item.image]}
    how = [2, "folder", "all", "fundus", 3, 32, 3]
    whole = hashlib.blake2b(json.dumps(how).encode())
    for path, digest in files.items():
        whole.update(f"{path.name} {digest}".encode())
    assert prepare(dataset, 32).fingerprint == whole.hexdigest()[:32]
