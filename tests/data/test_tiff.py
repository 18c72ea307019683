"""TIFF files as people have them are read with the right values."""

import numpy as np
import pytest
import tifffile
from data.pictures import close
from PIL import Image

from ldr_lib import DataError, read_image
from ldr_lib.data.read import read_picture

TIFF = {
    "lzw": 0,
    "deflate": 0,
    "packbits": 0,
    "zstd": 0,
    "lzma": 0,
    "jpeg": 8,
    "jpeg2000": 8,
    "webp": 24,
    "jpegxl": 24,
}


@pytest.mark.parametrize("compression", TIFF)
def test_tiff_of_every_compression(tmp_path, eye, compression):
    tifffile.imwrite(tmp_path / "a.tif", eye, compression=compression, photometric="rgb")
    close(read_image(tmp_path / "a.tif"), eye, TIFF[compression])


@pytest.mark.parametrize("compression", ["group3", "group4", "tiff_lzw"])
def test_tiff_of_one_bit(tmp_path, chest, compression):
    mask = chest > 140
    Image.fromarray(mask).save(tmp_path / "a.tif", compression=compression)
    close(read_image(tmp_path / "a.tif"), 255 * mask.astype(np.uint8))


def test_tiff_whose_small_values_are_white(tmp_path, chest):
    tifffile.imwrite(tmp_path / "a.tif", 255 - chest, photometric="miniswhite")
    picture = read_picture(tmp_path / "a.tif")
    close(picture.pixels, chest)
    assert "inverted" in picture.notes[0]
    tifffile.imwrite(tmp_path / "b.tif", chest < 140, photometric="miniswhite")
    close(read_image(tmp_path / "b.tif"), 255 * (chest >= 140).astype(np.uint8))


def test_tiff_with_a_palette(tmp_path, eye):
    palette = Image.fromarray(eye).quantize(64)
    palette.save(tmp_path / "a.tif")
    close(read_image(tmp_path / "a.tif"), np.asarray(palette.convert("RGB")))
    grey = np.repeat(np.arange(256, dtype=np.uint16)[None] * 257, 3, 0)
    tifffile.imwrite(tmp_path / "b.tif", eye[..., 0], photometric="palette", colormap=grey)
    close(read_image(tmp_path / "b.tif"), eye[..., 0])


def test_tiff_in_cmyk(tmp_path, eye):
    Image.fromarray(eye).convert("CMYK").save(tmp_path / "a.tif")
    close(read_image(tmp_path / "a.tif"), eye, 1)


def test_tiff_in_planes(tmp_path, eye):
    planes = np.moveaxis(eye, 2, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate")
    close(read_image(tmp_path / "a.tif"), eye)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_tiff_with_an_orientation(tmp_path, eye, orientation):
    tag = (274, "H", 1, orientation, False)
    tifffile.imwrite(tmp_path / "a.tif", eye, photometric="rgb", extratags=[tag])
    image = Image.fromarray(eye)
    exif = image.getexif()
    exif[274] = orientation
    image.save(tmp_path / "b.png", exif=exif)
    from PIL import ImageOps

    expected = np.asarray(ImageOps.exif_transpose(Image.open(tmp_path / "b.png")))
    close(read_image(tmp_path / "a.tif"), expected)
    close(read_image(tmp_path / "b.png"), expected)


def test_tiff_of_floats(tmp_path, chest):
    share = chest.astype(np.float32) / 255
    above = np.clip(share * 1.04 / share.max(), 0, None)  # as bicubic resizing leaves it
    tifffile.imwrite(tmp_path / "above.tif", above)
    close(read_image(tmp_path / "above.tif"), np.round(255 * above.clip(0, 1)), 1)
    scored = (share - share.mean()) / share.std()
    tifffile.imwrite(tmp_path / "scored.tif", scored)
    low, high = int(chest.min()), int(chest.max())
    stretched = (chest.astype(float) - low) * 255 / (high - low)
    close(read_image(tmp_path / "scored.tif"), stretched.round(), 1)
    tifffile.imwrite(tmp_path / "bytes.tif", chest.astype(np.float32))
    close(read_image(tmp_path / "bytes.tif"), chest)
    tifffile.imwrite(tmp_path / "nan.tif", np.where(chest > 100, np.nan, share))
    with pytest.raises(DataError, match="nan.tif .*not finite; export it again as 8 or 16 bit"):
        read_image(tmp_path / "nan.tif")


def test_tiff_of_several_pages(tmp_path, eye, chest):
    tifffile.imwrite(tmp_path / "a.tif", np.stack([chest, chest // 2]), photometric="minisblack")
    with pytest.warns(UserWarning, match="a.tif: the first of 2 pages"):
        close(read_image(tmp_path / "a.tif"), chest)


@pytest.mark.parametrize("options", [{"bigtiff": True}, {"byteorder": ">"}, {"tile": (16, 16)}])
def test_tiff_big_tiled_and_of_other_byte_order(tmp_path, chest, options):
    wide = chest.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", wide, **options)
    low, high = int(chest.min()), int(chest.max())
    close(read_image(tmp_path / "a.tif"), ((chest - low) * (255 / (high - low))).round(), 1)


def test_tiff_named_png_and_png_named_tiff(tmp_path, eye):
    tifffile.imwrite(tmp_path / "a.tif", eye, photometric="rgb")
    (tmp_path / "a.tif").rename(tmp_path / "a.png")
    Image.fromarray(eye).save(tmp_path / "b.png")
    (tmp_path / "b.png").rename(tmp_path / "b.tif")
    close(read_image(tmp_path / "a.png"), eye)
    close(read_image(tmp_path / "b.tif"), eye)
