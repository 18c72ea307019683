"""Picture files as people have them: each is read with the right values, or one sentence names the
file, the cause and the way out.
"""

import gzip
import os
import shutil
import struct

import numpy as np
import pytest
import tifffile
from data.pictures import close, dicom
from PIL import Image

from ldr_lib import DataError, read_image


def test_a_hot_pixel_does_not_darken_the_picture(tmp_path, wide):
    hot = wide.copy()
    hot[3, 3] = 65535
    for name, values in (("plain", wide), ("hot", hot)):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    plain, read = (read_image(tmp_path / f"{name}.png") for name in ("plain", "hot"))
    rest = np.arange(wide.size).reshape(wide.shape) != 3 * 128 + 3
    np.testing.assert_array_equal(read[rest], plain[rest])


def test_a_marker_leaves_all_grey_levels(tmp_path, wide):
    marked = wide.copy()
    marked[2:8, 90:120] = 65535
    tifffile.imwrite(tmp_path / "a.tif", marked)
    read = read_image(tmp_path / "a.tif")
    assert len(np.unique(read[20:])) > 60 and (read[2:8, 90:120] == 255).all()


def test_the_divisor_does_not_jump_with_the_highest_bit(tmp_path, wide):
    means = []
    for i, top in enumerate((2040, 2047, 2048, 2060)):
        scaled = (wide * (top / wide.max())).astype(np.uint16)
        Image.fromarray(scaled).save(tmp_path / f"{i}.png")
        means.append(read_image(tmp_path / f"{i}.png").mean())
    assert np.ptp(means) < 1.5


def test_png_in_sixteen_bit_colour_keeps_its_depth(tmp_path, eye):
    import imagecodecs

    deep = eye.astype(np.uint16) * 7  # would be 0 to 6 in the upper byte
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(deep))
    read = read_image(tmp_path / "a.png")
    close(read, (deep * (255 / deep.max())).round(), 1)
    assert len(np.unique(read[..., 0])) > 60


def test_few_bits_in_wide_files_stay(tmp_path):
    labels = np.arange(64, dtype=np.uint16).reshape(8, 8) % 3
    tifffile.imwrite(tmp_path / "a.tif", labels)
    close(read_image(tmp_path / "a.tif"), labels)


def test_transparent_pixels_are_black(tmp_path, eye):
    alpha = np.full(eye.shape[:2], 255, np.uint8)
    alpha[:, :40] = 0
    white = eye.copy()
    white[:, :40] = 255
    Image.fromarray(np.dstack([white, alpha])).save(tmp_path / "a.png")
    tifffile.imwrite(
        tmp_path / "a.tif",
        np.dstack([white, alpha]),
        photometric="rgb",
        extrasamples=["unassalpha"],
    )
    Image.fromarray(np.dstack([white, alpha])).save(tmp_path / "a.webp", lossless=True)
    expected = np.where(alpha[..., None] > 0, eye, 0)
    for name in ("a.png", "a.tif", "a.webp"):
        close(read_image(tmp_path / name), expected)


def test_a_gif_with_a_transparent_colour(tmp_path):
    values = np.zeros((16, 16), np.uint8)
    values[4:12, 4:12] = 1
    image = Image.fromarray(values, "P")
    image.putpalette([255, 255, 255, 200, 10, 10] + [0] * 762)
    image.save(tmp_path / "a.gif", transparency=0)
    read = read_image(tmp_path / "a.gif")
    assert (read[0, 0] == 0).all() and read[6, 6].tolist() == [200, 10, 10]


def test_a_drawing_that_is_in_the_transparency_only(tmp_path):
    drawn = np.zeros((16, 16, 4), np.uint8)
    drawn[4:8, 4:8, 3] = 255
    Image.fromarray(drawn).save(tmp_path / "a.png")
    with pytest.warns(UserWarning, match="transparency was taken for the picture"):
        assert read_image(tmp_path / "a.png").sum() == 16 * 255


@pytest.mark.parametrize(
    "content, cause",
    [
        (b"", "it is empty.*Copy it again"),
        (b"<!DOCTYPE html><html>", "it is a web page.*Download the file itself"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS.*git lfs pull"),
        (b"%PDF-1.7 ...", "PDF document.*Export"),
        (b"PK\x03\x04......", "zip archive.*Unpack it"),
        (b"\x93NUMPY\x01\x00v", "NumPy array.*Save it as png"),
        (b"just some words\n", "its content is text.*Remove it, or put"),
        (bytes(range(7, 200)), "no known format.*Export it"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 90, "Copy it again or remove it"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, content, cause):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=f"a.png cannot be read as an image .*{cause}"):
        read_image(tmp_path / "a.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    for name in ("x.png", "."):
        with pytest.raises(DataError, match="a folder, a pipe or a device, no file"):
            read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["a.ppm.gz", "a.png.gz", "a.tif.gz", "a.dcm.gz"])
def test_packed_files(tmp_path, eye, wide, name):
    inner = tmp_path / name.removesuffix(".gz")
    if inner.suffix == ".dcm":
        dicom(inner, wide)
    else:
        Image.fromarray(eye).save(inner)
    expected = read_image(inner)
    with open(inner, "rb") as plain, gzip.open(tmp_path / name, "wb") as packed:
        shutil.copyfileobj(plain, packed)
    close(read_image(tmp_path / name), expected)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-60])
    with pytest.raises(DataError, match="cannot be read.*Copy it again"):
        read_image(tmp_path / name)


@pytest.mark.parametrize("name", ["左眼", "50%", "a@b", "#1", "[x]", "$a$", "null", "0123"])
def test_names_of_all_kinds(tmp_path, chest, name):
    path = tmp_path / f"{name}.png"
    Image.fromarray(chest).save(path)
    close(read_image(path), chest)
    path.write_text("no image", encoding="utf-8")
    with pytest.raises(DataError, match="cannot be read"):
        read_image(path)


def test_names_that_are_no_utf8_can_be_printed(tmp_path, chest):
    path = tmp_path / os.fsdecode(b"eye\xff.png")
    try:
        path.write_bytes(b"no image")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(DataError) as caught:
        read_image(path)
    str(caught.value).encode("utf-8")
    assert r"eye\xff.png" in str(caught.value)
    Image.fromarray(chest).save(tmp_path / "plain.png")
    (tmp_path / "plain.png").rename(path)
    close(read_image(path), chest)


def test_large_pictures_are_read_and_the_largest_explained(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    Image.new("L", (200, 100), 9).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").shape == (100, 200)
    monkeypatch.setenv("LDR_MAX_MEGAPIXELS", "0.01")
    with pytest.raises(DataError, match="200 x 100 pixels.*at most 0.01 .*LDR_MAX_MEGAPIXELS="):
        read_image(tmp_path / "a.png")
    monkeypatch.setenv("LDR_MAX_MEGAPIXELS", "many")
    with pytest.raises(DataError, match='must be a number of megapixels, not "many"'):
        read_image(tmp_path / "a.png")
    monkeypatch.delenv("LDR_MAX_MEGAPIXELS")
    header = struct.pack(">II", 60000, 60000)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "b.png").write_bytes(whole[:16] + header + whole[24:])
    with pytest.raises(DataError, match="60000 x 60000|cannot be read"):
        read_image(tmp_path / "b.png")


def test_a_ppm_of_181_megapixels_is_read(tmp_path):
    (tmp_path / "a.pgm").write_bytes(b"P5 14000 13000 255\n" + bytes(14000 * 13000))
    assert read_image(tmp_path / "a.pgm").shape == (13000, 14000)
