"""Segmenters of own images find the structure in new images, and overwrite nothing."""

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from transfer.own import SIDE, blob, study

from ldr_lib.data.errors import DataError
from ldr_lib.data.read import read_image
from ldr_lib.pretrained import random_encoder
from ldr_lib.transfer import load_segmenter, predict_folder
from ldr_lib.transfer.pretraining import save_encoder


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A segmenter of grey images of 16 bits."""
    folder = tmp_path_factory.mktemp("grey")
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for i in range(4):
        image = 20000 + 9000 * blob(i) + rng.integers(0, 900, (SIDE, SIDE))
        Image.fromarray(image.astype(np.uint16)).save(folder / "images" / f"{i}.tif")
        Image.fromarray(np.uint8(255) * blob(i)).save(folder / "masks" / f"{i}.png")
    study(folder, modality="other", inits=("ldr",), steps=15)
    return folder


def grey_image(folder, name: str, values=None, size=(50, 90)) -> None:
    image = np.full(size, 20000) if values is None else values
    image += np.arange(size[1]) * 60
    image[10:30, 20:50] += 9000
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.astype(np.uint16)).save(folder / name)


def test_new_images_get_masks_of_their_own_size_where_they_lie(trained, tmp_path):
    grey_image(tmp_path / "new", "a.tif")
    grey_image(tmp_path / "new", "ward/a.tif", size=(120, 70))
    found = predict_folder(trained / "result", tmp_path / "new", tmp_path / "found", "cpu")
    assert read_image(tmp_path / "found" / "a.png").shape == (50, 90)
    assert read_image(tmp_path / "found" / "ward" / "a.png").shape == (120, 70)
    assert list(found["state"]) == ["new", "new"]
    for path, share in zip(found["mask"], found["share"]):
        assert share == pytest.approx((read_image(path) > 0).mean())


def test_new_images_are_shown_in_the_range_of_those_trained_on(trained):
    net, seen = load_segmenter(trained / "result", "cpu")
    assert seen.channels == 1 and seen.modality == "other" and seen.size == 128
    low, high = seen.ranges["integers"]
    assert 19000 < low < 20100 and 29000 < high < 30000 and not net.training


def test_masks_that_are_there_are_kept_and_nothing_else_is_overwritten(trained, tmp_path):
    for name in ("a.tif", "b.tif"):
        grey_image(tmp_path / "new", name)
    new, out = tmp_path / "new", tmp_path / "found"
    predict_folder(trained / "result", new, out, "cpu")
    (out / "b.png").unlink()
    assert list(predict_folder(trained / "result", new, out, "cpu")["state"]) == ["kept", "new"]
    grey_image(new, "a.tif", np.full((50, 90), 21000))
    before = (out / "a.png").read_bytes()
    with pytest.raises(DataError, match="a.png is there already and was not made by this segm"):
        predict_folder(trained / "result", new, out, "cpu")
    assert (out / "a.png").read_bytes() == before
    (out / "a.png").write_text("my notes", encoding="utf-8")
    with pytest.raises(DataError, match="a.png is there already"):
        predict_folder(trained / "result", new, out, "cpu")
    assert (out / "a.png").read_text(encoding="utf-8") == "my notes"


def test_one_bad_image_does_not_stop_the_others(trained, tmp_path):
    grey_image(tmp_path / "new", "a.tif")
    (tmp_path / "new" / "b.tif").write_bytes(b"II*\0 broken")
    (tmp_path / "new" / "notes.doc").write_text("", encoding="utf-8")
    said = []
    out = tmp_path / "found"
    found = predict_folder(trained / "result", tmp_path / "new", out, "cpu", said.append)
    assert "left out: 1 .doc" in " ".join(said)
    assert found.loc["a.tif", "state"] == "new" and pd.isna(found.loc["b.tif", "mask"])
    assert "b.tif cannot be read as an image" in found.loc["b.tif", "state"]


def test_what_predict_cannot_use_is_said(trained, tmp_path, save, photograph):
    new, result = tmp_path / "new", trained / "result"
    grey_image(new, "a.tif")
    save_encoder(random_encoder(1, 3), tmp_path / "encoder.safetensors")
    two = tmp_path / "two"
    two.mkdir()
    (path,) = result.glob("segmenter_*")
    for name in ("ldr", "random"):
        shutil.copy(path, two / f"segmenter_{name}.safetensors")
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "none").mkdir()
    for segmenter, images, out, words in [
        (tmp_path / "encoder.safetensors", new, "found", "is no segmenter: it holds another"),
        (tmp_path / "absent", new, "found", "absent does not exist. python -m ldr_lib transfer"),
        (tmp_path / "none", new, "found", "holds no segmenter"),
        (two, new, "found", "holds 2 segmenters: segmenter_ldr.safetensors, segmenter_random"),
        (result, new, "file", "file is a file: name a folder for the masks"),
        (result, new, "new", "lies in the folder of the images"),
        (result, new, "new/found", "lies in the folder of the images"),
        (result, tmp_path / "absent", "found", "absent does not exist or is no folder"),
        (result, tmp_path / "none", "found", "holds no image"),
    ]:
        with pytest.raises(DataError, match=words):
            predict_folder(segmenter, images, tmp_path / out, "cpu")
    grey_image(new, "a.png")
    with pytest.raises(DataError, match="a.png and .*a.tif would have one mask"):
        predict_folder(result, new, tmp_path / "found", "cpu")
    assert not (tmp_path / "found").exists()
