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
from PIL import Image

from ldr_lib import DataError, read_image
from ldr_lib.data.read import read_picture

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")


@pytest.fixture
def eye(photograph):
    """A smooth photograph that compression hardly changes, (96, 128, 3) uint8."""
    rows, columns = np.mgrid[:96, :128]
    colours = [100 + rows, 40 + columns, 200 - rows]
    return np.stack(colours, 2).astype(np.uint8)


@pytest.fixture
def chest(eye):
    """The same in grey."""
    return eye[..., 0]


def close(read: np.ndarray, expected: np.ndarray, most: float = 0) -> None:
    assert read.dtype == np.uint8 and read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() <= most


# 1 TIFF

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


# 2 DICOM


def dicom(path, values, syntax=None, **tags):
    """Writes values as a DICOM file with the given tags."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax or ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    header.Rows, header.Columns = values.shape[-2:] if values.ndim == 2 else values.shape[:2]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8 * values.dtype.itemsize
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(values.dtype.kind == "i")
    for name, value in tags.items():
        setattr(header, name, value)
    header.PixelData = values.tobytes()
    header.save_as(path, enforce_file_format=True)
    return path


def stretched(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (255 / (high - low))).round()


@pytest.fixture
def wide(chest):
    """12 bits of an X-ray."""
    return (chest.astype(np.uint16) - chest.min()) * 20


def test_dicom_with_padding(tmp_path, wide):
    values = wide.astype(np.int16)
    values[:, :20] = -2000
    path = dicom(tmp_path / "a.dcm", values, PixelPaddingValue=-2000)
    read = read_image(path)
    assert (read[:, :20] == 0).all()
    close(read[:, 20:], stretched(wide[:, 20:]), 1)
    path = dicom(tmp_path / "b.dcm", values, PixelPaddingValue=-2000)
    header = pydicom.dcmread(path)
    header.PhotometricInterpretation = "MONOCHROME1"
    header.save_as(path)
    read = read_image(path)
    assert (read[:, :20] == 0).all()
    close(read[:, 20:], 255 - stretched(wide[:, 20:]), 1)


def test_dicom_with_a_range_of_padding(tmp_path, wide):
    values = wide.copy()
    values[:10] = 65000
    values[10:14] = 65535
    path = dicom(tmp_path / "a.dcm", values, PixelPaddingValue=65535, PixelPaddingRangeLimit=65000)
    close(read_image(path)[14:], stretched(wide[14:]), 1)


def test_dicom_with_burnt_in_markers(tmp_path, wide):
    values = wide.copy()
    values[4:10, 4:24] = 65535
    picture = read_picture(dicom(tmp_path / "a.dcm", values))
    rest = np.ones(wide.shape, bool)
    rest[4:10, 4:24] = False
    assert np.abs(picture.pixels[rest] - stretched(wide)[rest]).max() <= 2
    assert (picture.pixels[4:10, 4:24] == 255).all() and "markers" in picture.notes[-1]


def test_dicom_with_a_window(tmp_path, wide):
    path = dicom(tmp_path / "a.dcm", wide, WindowCenter=1000, WindowWidth=400)
    window = ((wide - 800.0) / 400).clip(0, 1) * 255
    close(read_image(path), window.round(), 1)


@pytest.mark.parametrize("width", [0, -5])
def test_dicom_whose_window_has_no_width(tmp_path, wide, width):
    path = dicom(tmp_path / "a.dcm", wide, WindowCenter=1000, WindowWidth=width)
    with pytest.warns(UserWarning, match="window has width .*not used"):
        close(read_image(path), stretched(wide), 1)


def test_dicom_whose_window_shows_nothing(tmp_path, wide):
    path = dicom(tmp_path / "a.dcm", wide, WindowCenter=30000, WindowWidth=10)
    with pytest.warns(UserWarning, match="shows one grey only"):
        close(read_image(path), stretched(wide), 1)


def test_dicom_of_several_frames(tmp_path, chest):
    frames = np.stack([chest, chest // 2])
    path = tmp_path / "a.dcm"
    dicom(path, frames, Rows=96, Columns=128, NumberOfFrames=2)
    with pytest.warns(UserWarning, match="the first of 2 frames"):
        close(read_image(path), stretched(chest), 1)


def test_dicom_in_colour_is_not_stretched(tmp_path, eye):
    path = dicom(
        tmp_path / "a.dcm",
        eye,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
    )
    close(read_image(path), eye)


def test_dicom_with_a_palette():
    path = pydicom.data.get_testdata_file("examples_palette.dcm")
    header = pydicom.dcmread(path)
    table = [np.frombuffer(header[f"{c}PaletteColorLookupTableData"].value, "<u2") for c in RGB]
    first = header.pixel_array[0, 0]
    read = read_image(path)
    assert read.shape == (350, 800, 3)
    assert read[0, 0].tolist() == [int(colour[first]) >> 8 for colour in table]


RGB = ("Red", "Green", "Blue")


@pytest.mark.parametrize("implicit", [True, False])
def test_dicom_without_preamble_and_header(tmp_path, wide, implicit):
    whole = pydicom.dcmread(dicom(tmp_path / "a.dcm", wide))
    whole.file_meta = pydicom.dataset.FileMetaDataset()
    whole.preamble = None
    for name in ("bare.dcm", "bare"):
        pydicom.dcmwrite(
            tmp_path / name,
            whole,
            implicit_vr=implicit,
            little_endian=True,
            enforce_file_format=False,
        )
        assert (tmp_path / name).read_bytes()[128:132] != b"DICM"
        picture = read_picture(tmp_path / name)
        close(picture.pixels, stretched(wide), 1)
        assert "no file meta information" in picture.notes


@pytest.mark.parametrize("name", ["IM000001", "1.2.840.10008.77", "scan.img"])
def test_dicom_under_any_name(tmp_path, wide, name):
    dicom(tmp_path / "a.dcm", wide).rename(tmp_path / name)
    close(read_image(tmp_path / name), stretched(wide), 1)


COMPRESSED = {
    "MR_small_RLE.dcm": "MR_small.dcm",
    "MR_small_jp2klossless.dcm": "MR_small.dcm",
    "MR_small_jpeg_ls_lossless.dcm": "MR_small.dcm",
    "MR_small_bigendian.dcm": "MR_small.dcm",
    "MR_small_implicit.dcm": "MR_small.dcm",
    "SC_rgb_jpeg_gdcm.dcm": "SC_rgb_rle.dcm",
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_dicom_of_lossless_transfer_syntaxes(name):
    one, other = map(pydicom.data.get_testdata_file, (name, COMPRESSED[name]))
    close(read_image(one), read_image(other))


@pytest.mark.parametrize(
    "name",
    ["JPGExtended.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_dcmtk.dcm", "JPEGLSNearLossless_16.dcm"],
)
def test_dicom_of_lossy_transfer_syntaxes(name):
    read = read_image(pydicom.data.get_testdata_file(name))
    assert read.min() == 0 and read.max() == 255 and read.std() > 10


def test_dicom_without_a_picture():
    with pytest.raises(DataError, match=r"it holds no picture \(SR\)\). Remove it"):
        read_image(pydicom.data.get_testdata_file("reportsi.dcm"))


# 3 More than eight bits


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


# 4 Orientation and alpha


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


# B19, 8, 11 Other files, names and sizes


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
    path.write_text("no image")
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
