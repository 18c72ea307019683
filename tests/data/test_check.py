import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ldr_lib import DataError
from ldr_lib.__main__ import app
from ldr_lib.data.check import check


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
