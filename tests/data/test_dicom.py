"""DICOM files as people have them: each is read with the right values, or one sentence names the
file, the cause and the way out.
"""

import numpy as np
import pytest
from data.pictures import close, dicom, stretched

from ldr_lib import DataError, read_image
from ldr_lib.data.read import read_picture

pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")


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
