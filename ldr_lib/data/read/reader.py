"""Opens a picture by its content, turns it upright, and names what stands in the way."""

import errno
import gzip
import stat
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import UnidentifiedImageError

from .. import checks
from ..errors import DataError, printable
from .depth import to_bytes
from .dicom import read_dicom
from .ordinary import read_ordinary
from .picture import NO_ALPHA, Picture
from .tiff import read_tiff

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
IMAGE_SUFFIXES = {
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(".bmp", ".gif", ".webp", ".jp2", ".j2k", *DICOM_SUFFIXES),
}
TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
PICTURE_HEADS = (
    *(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF", *TIFF_HEADS),
    *(b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51"),
    *(f"P{kind}{space}".encode() for kind in range(1, 7) for space in (" ", "\n", "\r", "\t")),
)
"""How files begin that Pillow or tifffile read."""
COPY = "Copy it again or remove it."
SLICES = "Export each slice as png or tif."
HEIC = b"ftyphei"
"""How the photographs of phones go on after four bytes that hold a length."""
OTHERS = {
    b"": ("it is empty", COPY),
    b"%PDF": ("it is a PDF document", "Export its pictures as png."),
    b"%!PS": ("it is a PostScript drawing", "Export it as png."),
    b"PK\x03\x04": ("it is a zip archive", "Unpack it."),
    b"Rar!": ("it is a rar archive", "Unpack it."),
    b"7z\xbc\xaf": ("it is a 7z archive", "Unpack it."),
    b"\x1f\x8b": ("it is packed twice", "Unpack it."),
    b"BZh": ("it is packed with bzip2", "Unpack it."),
    b"\xfd7zXZ": ("it is packed with xz", "Unpack it."),
    b"<!DOC": ("it is a web page", "Download the file itself."),
    b"<html": ("it is a web page", "Download the file itself."),
    b"<?xml": ("it is an XML document", "Export it as png."),
    b"<svg": ("it is an SVG drawing", "Export it as png."),
    b"version https://git-lfs": ("it is a pointer of Git LFS", "Fetch it with: git lfs pull"),
    b"\x93NUMPY": ("it is a NumPy array", "Save it as png or tif."),
    b"MATLAB 5.0": ("it is a MATLAB file", "Save its pictures as png or tif."),
    b"\xff\x0a": ("it is a JPEG XL picture", "Export it as png."),
    b"\0\0\0\x0cJXL ": ("it is a JPEG XL picture", "Export it as png."),
    HEIC: ("it is a HEIC photograph, as phones make them", "Export it as jpg."),
    b"\x89HDF": ("it is an HDF5 file", "Save its pictures as png or tif."),
    b"\x5c\x01\0\0": ("it is a NIfTI volume", SLICES),
    b"\0\0\x01\x5c": ("it is a NIfTI volume", SLICES),
    b"NRRD0": ("it is an NRRD volume", SLICES),
    b"ObjectType =": ("it is a MetaImage volume", SLICES),
    b"ZISRAWFILE": ("it is a microscope's CZI file", "Export its images as tif."),
    b"\x0a\xbe\xce\xda": ("it is a microscope's ND2 file", "Export its images as tif."),
}
"""How files begin that are no pictures: what they are, and the way out."""
HEAD = 1024
UNPACKED = 4 * 2**30


def read_image(path: Path | str) -> np.ndarray:
    """Reads an image file; its content decides how, not its name.

    More than 8 bits are brought to bytes by a robust range, so that hot pixels and markers do not
    darken the picture. Orientations are applied, palettes are resolved, transparent pixels become
    black, and of several pages or frames the first is taken. DICOM files are shown as their header
    says; they need `pip install "ldr_lib[dicom]"`.

    Args:
        path: png, jpg, tif, ppm, bmp, gif, webp, jp2 or DICOM, also packed with gzip.

    Returns:
        uint8 array, (H, W, 3) colour or (H, W) grey.

    Raises:
        DataError: The file is missing, unreadable, truncated, no image, too large, or has more
            than four channels.

    Warns:
        UserWarning: Something was guessed or left out, for example further pages.

    Taught in notebook 01, section 3.
    """
    picture = read_picture(path)
    for doubt in picture.doubts:
        warnings.warn(f"{printable(path)}: {doubt}", stacklevel=2)
    return picture.pixels


def read_picture(path: Path | str, common: dict[str, tuple[float, float]] | None = None) -> Picture:
    """Reads an image file as `read_image` does, with notes on what was done.

    Args:
        path: As in `read_image`.
        common: Ranges of the collection to which it belongs, as `common_ranges` returns them; None
            shows more than 8 bits by the picture's own range.

    Returns:
        The `Picture`; its pixels are uint8.

    Raises:
        DataError: As in `read_image`.
        ValueError: The path is empty, or none.

    Taught in notebook 01, section 3.
    """
    path = checks.path(path, "path")
    name = printable(path)
    try:
        return _finished(_read(path, name), name, common)
    except PermissionError as error:
        raise DataError(
            f"{name} may not be read: {error.strerror}. Change its permissions (chmod u+r)."
        ) from error
    except FileNotFoundError as error:
        raise DataError(
            f"{name} does not exist. Check data_dir, or copy the dataset again."
        ) from error
    except MemoryError as error:
        raise DataError(f"{name} does not fit into memory. Reduce it.") from error
    except DataError as error:
        if str(error).startswith(name):
            raise
        raise DataError(f"{name} cannot be read as an image: {error}.") from error
    except Exception as error:
        cause, cure = _explained(error, path)
        raise DataError(f"{name} cannot be read as an image ({cause}). {cure}") from error


def may_be_deep(path: Path) -> bool:
    """Whether a file may hold more than 8 bits, as its first bytes say. Nothing is decoded."""
    try:
        head = _head(path)
    except OSError:
        return False
    if head.startswith(b"\x89PNG"):
        return head[24:25] == b"\x10"
    return not head.startswith((b"\xff\xd8\xff", b"GIF8", b"BM", b"RIFF"))


def looks_like_image(path: Path) -> bool:
    """Whether a file begins like a picture, whatever its name is. Pipes and files without size,
    which can be devices that let a reader wait, are not opened.
    """
    try:
        head = _head(path) if path.stat().st_size else b""
    except OSError:
        return False
    is_dicom = head[128:132] == b"DICM" or _begins_like_bare_dicom(head)
    return is_dicom or head.startswith(PICTURE_HEADS)


def _head(path: Path) -> bytes:
    if not stat.S_ISREG(path.stat().st_mode):
        raise IsADirectoryError("it is a folder, a pipe or a device, no file")
    with open(path, "rb") as file:
        return file.read(HEAD)


def _read(path: Path, name: str) -> Picture:
    head, source = _head(path), path
    suffix = path.suffix.lower()
    if head.startswith(b"\x1f\x8b"):
        with gzip.open(path) as packed:
            content = packed.read(UNPACKED + 1)
        if len(content) > UNPACKED:
            raise ValueError("it unpacks to more than 4 GiB")
        head, source = content[:HEAD], BytesIO(content)
        suffix = Path(path.stem).suffix.lower()
    for beginning, (kind, _) in OTHERS.items():
        start = head[4:] if beginning == HEIC else head
        if start.startswith(beginning) and (beginning or not head):
            raise ValueError(kind)
    if head[128:132] == b"DICM":
        return read_dicom(source, name)
    if head.startswith(TIFF_HEADS):
        try:
            return read_tiff(source)
        except DataError:
            raise
        except Exception:
            try:
                return read_ordinary(source, head)  # libtiff knows a few old kinds more
            except Exception as error:
                if isinstance(error, DataError):
                    raise
            raise
    if suffix in DICOM_SUFFIXES or _begins_like_bare_dicom(head):
        return read_dicom(source, name)
    return read_ordinary(source, head)


def _begins_like_bare_dicom(head: bytes) -> bool:
    """Whether a file begins with an element of DICOM's groups 2 or 8, without preamble."""
    little = head[:1] in (b"\x02", b"\x08") and head[1:2] == head[3:4] == b"\0"
    big = head[:1] == head[2:3] == b"\0" and head[1:2] in (b"\x02", b"\x08")
    return little or big


def _explained(error: Exception, path: Path) -> tuple[str, str]:
    """Cause and way out, in plain words."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    cause = " ".join(lines[:2])[:300] or type(error).__name__
    for kind, cure in OTHERS.values():
        if cause == kind:
            return cause, cure
    if isinstance(error, IsADirectoryError) or getattr(error, "errno", None) == errno.ELOOP:
        return cause, "Remove it from the folder of images."
    if isinstance(error, UnidentifiedImageError):
        head = _head(path)
        if head.startswith(PICTURE_HEADS):
            return "its header is damaged", COPY
        if head.isascii() and b"\0" not in head:
            return "its content is text", "Remove it, or put the image in its place."
        return "its content is of no known format", "Export it as png, jpg, tif or DICOM."
    advice = (("it holds no picture", "Remove it."), ("; export it", "Nothing was guessed."))
    for words, cure in advice:
        if words in cause:
            return cause, cure
    return cause, COPY


def _finished(picture: Picture, name: str, common: dict | None) -> Picture:
    """The picture in bytes, upright, without transparency."""
    pixels = picture.pixels
    if pixels.ndim == 3 and pixels.shape[2] == 2:
        pixels = pixels[..., 0]
    elif pixels.ndim == 3 and pixels.shape[2] in (1, 4):
        if pixels.shape[2] == 4:
            picture.doubt(NO_ALPHA)
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels[..., :3]
    if pixels.ndim not in (2, 3) or pixels.ndim == 3 and pixels.shape[2] != 3 or not pixels.size:
        raise DataError(
            f"{name} has shape {pixels.shape}; an image has 1 (grey) or 3 (colour) channels."
        )
    picture.pixels = pixels
    pixels = to_bytes(picture, common)
    if picture.inverted:
        pixels = 255 - pixels
    if picture.alpha is not None:
        pixels = _over_black(pixels, picture)
    if picture.orientation in range(2, 9):
        picture.notes.append(f"turned upright (orientation {picture.orientation})")
    picture.pixels = np.ascontiguousarray(pixels)
    return picture


def _over_black(pixels: np.ndarray, picture: Picture) -> np.ndarray:
    """Pixels with their transparent parts black."""
    alpha = picture.alpha
    if alpha.dtype != np.uint8:
        alpha = (255.0 * alpha / max(float(alpha.max()), 1e-12)).round().astype(np.uint8)
    low, high = int(alpha.min()), int(alpha.max())
    if low == 255:
        return pixels
    if high == 0:
        picture.doubt("wholly transparent: transparency ignored")
        return pixels
    share = alpha.astype(np.float32) / 255
    covered = pixels * (share[..., None] if pixels.ndim == 3 else share)
    covered = covered.round().astype(np.uint8)
    if high > low and covered.min() == covered.max():
        picture.doubt("all of one colour: its transparency was taken for the picture")
        return alpha
    picture.notes.append(f"{np.mean(alpha < 128):.0%} transparent, shown black")
    return covered


GREYISH = 0.3
"""Median saturation below which a picture in colours counts as a tinted grey one."""


def is_plain_grey(image: np.ndarray) -> bool:
    """Whether a picture has one channel, or three that are as good as equal.

    Args:
        image: (H, W) or (H, W, 3) uint8.
    """
    return image.ndim == 2 or float(np.ptp(image.astype(np.int16), axis=2).mean()) <= 4


def is_colour(image: np.ndarray) -> bool:
    """Whether a picture is a colour photograph. A grey picture stays grey with a coloured label or
    under the tint of a film.

    Args:
        image: (H, W) or (H, W, 3) uint8.
    """
    if is_plain_grey(image):
        return False
    step = max(1, min(image.shape[:2]) // 256)
    small = image[::step, ::step].astype(np.float32)
    brightest, darkest = small.max(2), small.min(2)
    lit = brightest > 40
    saturation = (brightest - darkest)[lit] / brightest[lit]
    return bool(lit.any()) and float(np.median(saturation)) >= GREYISH


def as_grey(image: np.ndarray, path: Path | str) -> np.ndarray:
    """An X-ray as (H, W). Of a colour file that shows a grey picture, also one with a coloured
    label or the tint of a film, the channels' mean is taken.

    Raises:
        DataError: It is a colour photograph.
    """
    if image.ndim == 2:
        return image
    if is_colour(image):
        raise DataError(
            f"{printable(path)} is a colour image where a grey X-ray is expected. "
            "Is this the right dataset?"
        )
    return image.mean(2).round().astype(np.uint8)


def as_colour(image: np.ndarray, path: Path | str) -> np.ndarray:
    """A photograph as (H, W, 3).

    Raises:
        DataError: The image is grey.
    """
    if image.ndim == 2:
        raise DataError(
            f"{printable(path)} is a grey image where a colour photograph is expected. "
            "Is this the right dataset?"
        )
    return image
