import numpy as np
import pytest
import tifffile
from PIL import Image

from ldr_lib import DataError
from ldr_lib.data.read import as_colour, as_grey, read_image


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm", "bmp"])
def test_lossless_colour_formats_agree(tmp_path, photograph, save, suffix):
    pixels = photograph()
    np.testing.assert_array_equal(read_image(save(tmp_path / f"eye.{suffix}", pixels)), pixels)


def test_jpeg_comes_close(tmp_path, photograph, save):
    pixels = photograph()
    assert np.abs(read_image(save(tmp_path / "eye.jpg", pixels)).astype(int) - pixels).mean() < 10


def test_grey_gif_stays_grey(tmp_path, save):
    mask = (np.arange(64).reshape(8, 8) > 30).astype(np.uint8) * 255
    np.testing.assert_array_equal(read_image(save(tmp_path / "mask.gif", mask)), mask)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_sixteen_bit_files_use_the_bits_they_have(tmp_path, suffix, bits):
    values = np.linspace(0, 2**bits - 1, 64).astype(np.uint16).reshape(8, 8)
    path = tmp_path / f"xray.{suffix}"
    tifffile.imwrite(path, values) if suffix == "tif" else Image.fromarray(values).save(path)
    read = read_image(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, np.round(values * (255 / (2**bits - 1))))


def test_alpha_is_dropped_and_float_is_scaled(tmp_path, photograph, save):
    colour = photograph()
    with_alpha = np.dstack([colour, np.full(colour.shape[:2], 255, np.uint8)])
    np.testing.assert_array_equal(read_image(save(tmp_path / "alpha.png", with_alpha)), colour)
    tifffile.imwrite(tmp_path / "float.tif", np.array([[0, 0.5], [0.25, 1]], np.float32))
    np.testing.assert_array_equal(read_image(tmp_path / "float.tif"), [[0, 128], [64, 255]])


def test_dicom_is_windowed_and_inverted_as_its_header_says(tmp_path):
    pydicom = pytest.importorskip("pydicom", reason="pydicom is not installed")
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    values = np.linspace(0, 4095, 64).astype(np.uint16).reshape(8, 8)
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = (
        ExplicitVRLittleEndian,
        "1.2.840.10008.5.1.4.1.1.1",
    )
    meta.MediaStorageSOPInstanceUID = generate_uid()
    for kind in ("MONOCHROME1", "MONOCHROME2"):
        header = FileDataset(
            str(tmp_path / f"{kind}.dcm"), {}, file_meta=meta, preamble=b"\0" * 128
        )
        header.Rows, header.Columns, header.SamplesPerPixel, header.PhotometricInterpretation = (
            8,
            8,
            1,
            kind,
        )
        header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = (
            16,
            12,
            11,
            0,
        )
        header.PixelData = values.tobytes()
        pydicom.dcmwrite(tmp_path / f"{kind}.dcm", header, enforce_file_format=True)
    inverted, plain = (read_image(tmp_path / f"MONOCHROME{i}.dcm").astype(int) for i in (1, 2))
    assert plain[0, 0] == 0 and plain[-1, -1] == 255
    assert np.abs(plain + inverted - 255).max() <= 1


def test_truncated_missing_and_foreign_files_are_named(tmp_path, photograph, save):
    whole = save(tmp_path / "whole.png", photograph())
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(whole.read_bytes()[:400])
    letter = tmp_path / "letter.jpg"
    letter.write_text("not an image")
    damaged = "cannot be read as an image .*Copy it again or remove it"
    for path, message in ((truncated, damaged), (letter, "its content is text.*Remove it, or put")):
        with pytest.raises(DataError, match=f"{path.name}.*{message}"):
            read_image(path)
    with pytest.raises(DataError, match="absent.png does not exist"):
        read_image(tmp_path / "absent.png")


def test_a_file_that_may_not_be_read_says_so(tmp_path, monkeypatch, photograph, save):
    path = save(tmp_path / "locked.png", photograph())

    def locked(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Image, "open", locked)
    with pytest.raises(DataError, match="locked.png may not be read: Permission denied.*chmod"):
        read_image(path)


def test_unexpected_channels_are_named(tmp_path, photograph):
    tifffile.imwrite(
        tmp_path / "spectral.tif",
        np.zeros((16, 16, 7), np.uint8),
        photometric="minisblack",
        planarconfig="contig",
    )
    with pytest.raises(
        DataError, match=r"spectral.tif has shape \(16, 16, 7\).*1 \(grey\) or 3 \(colour\)"
    ):
        read_image(tmp_path / "spectral.tif")
    with pytest.raises(DataError, match="a.png is a colour image where a grey X-ray is expected"):
        as_grey(photograph(), "a.png")
    with pytest.raises(
        DataError, match="b.png is a grey image where a colour photograph is expected"
    ):
        as_colour(photograph()[..., 0], "b.png")
    grey = photograph()[..., 0]
    np.testing.assert_array_equal(as_grey(np.dstack([grey] * 3), "c.png"), grey)
