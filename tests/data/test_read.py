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
    letter.write_text("not an image", encoding="utf-8")
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


def damaged(path, save, pixels, zeros_from=0.5):
    """A file whose second half is zeros, as a disk that was full or a machine that went down leaves
    it.
    """
    content = save(path, pixels).read_bytes()
    kept = int(zeros_from * len(content))
    path.write_bytes(content[:kept] + bytes(len(content) - kept))
    return path


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_a_file_that_ends_in_zeros_is_refused(tmp_path, photograph, save, suffix, share):
    path = damaged(tmp_path / f"x.{suffix}", save, photograph(0, 256, 256), share)
    with pytest.raises(DataError, match=rf"x.{suffix} cannot be read as an image .*Copy it again"):
        read_image(path)


def test_what_follows_the_end_of_a_jpeg_does_no_harm(tmp_path, photograph, save):
    path = save(tmp_path / "x.jpg", photograph())
    before = read_image(path)
    path.write_bytes(path.read_bytes() + b"\xff\xda\0\0 a video of the phone" + bytes(900))
    assert (read_image(path) == before).all()


def test_progressive_jpegs_and_those_with_a_preview_have_an_end(tmp_path, photograph, save):
    preview = save(tmp_path / "preview.jpg", photograph(1, 48, 48)).read_bytes()
    segment = b"\xff\xe1" + (len(preview) + 2).to_bytes(2, "big") + preview
    Image.fromarray(photograph()).save(tmp_path / "x.jpg", progressive=True)
    content = (tmp_path / "x.jpg").read_bytes()
    (tmp_path / "y.jpg").write_bytes(content[:2] + segment + content[2:])
    assert (read_image(tmp_path / "x.jpg") == read_image(tmp_path / "y.jpg")).all()
    (tmp_path / "y.jpg").write_bytes(content[:2] + segment + content[2 : len(content) // 2])
    with pytest.raises(DataError, match="y.jpg cannot be read"):
        read_image(tmp_path / "y.jpg")


def test_a_preview_before_the_picture_is_passed_over(tmp_path, photograph):
    picture = photograph()
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(picture[::4, ::4], photometric="rgb", subfiletype=1)
        file.write(picture, photometric="rgb")
    with pytest.warns(UserWarning, match="page 2, after previews, of 2 pages"):
        assert (read_image(tmp_path / "x.tif") == picture).all()


@pytest.mark.parametrize(
    "head, words",
    [
        (b"\0\0\0\x18ftypheic", "a HEIC photograph, as phones make them.*Export it as jpg"),
        (b"\xff\x0a", "a JPEG XL picture.*Export it as png"),
        (b"%!PS-Adobe-3.0 EPSF", "a PostScript drawing.*Export it as png"),
        (b"BZh9", "packed with bzip2.*Unpack it"),
        (b"MATLAB 5.0 MAT-file", "a MATLAB file"),
    ],
)
def test_formats_that_are_not_read_are_called_by_their_name(tmp_path, head, words):
    (tmp_path / "x.png").write_bytes(head + bytes(200))
    with pytest.raises(DataError, match=words):
        read_image(tmp_path / "x.png")


def test_complex_numbers_are_not_called_damaged(tmp_path):
    tifffile.imwrite(tmp_path / "x.tif", np.full((40, 40), 1 + 2j, np.complex64))
    with pytest.raises(DataError, match="export its magnitude as 8 or 16 bit.*Nothing was guessed"):
        read_image(tmp_path / "x.tif")
