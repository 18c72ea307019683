"""png, jpeg, ppm, bmp, gif, webp, jpeg 2000: what Pillow reads, and png of 16 bits."""

import re
import threading
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image, ImageOps

from .picture import Picture, check_size

PNG = b"\x89PNG\r\n\x1a\n"
JPEG2000 = (b"\x00\x00\x00\x0cjP  ", b"\xff\x4f\xff\x51")
ORIENTATION = 0x0112  # the tag of EXIF and TIFF
JPEG = b"\xff\xd8\xff"
MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]", re.DOTALL)  # those that begin a segment
END_OF_IMAGE = 0xD9
_opening = threading.Lock()


def _opened(source: Path | BytesIO) -> Image.Image:
    """The picture's header, with `check_size` in place of Pillow's own limit."""
    with _opening:
        kept, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(source)
        finally:
            Image.MAX_IMAGE_PIXELS = kept


def read_ordinary(source: Path | BytesIO, head: bytes) -> Picture:
    """Reads a picture with Pillow, or with imagecodecs where Pillow would cut 16 bits to 8.

    Args:
        source: A file or its content.
        head: Its first bytes.
    """
    with _opened(source) as image:
        large = check_size(*image.size)
        picture = _deep(source, image, head) or _decoded(image)
        _require_whole(source, head)
        frames = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)
    if large:
        picture.doubt(large)
    picture.frames = frames
    if frames > 1:
        picture.doubt(f"the first of {frames} frames")
    return picture


def _require_whole(source: Path | BytesIO, head: bytes) -> None:
    """Finds what decoders pass over in silence: parts of a png that do not have their checksum, and
    a jpeg that never ends. Files look like this after a disk was full or a machine went down.
    """
    if head.startswith(PNG):
        with _opened(source) as image:
            image.verify()
    elif head.startswith(JPEG) and not _has_end(_content(source)):
        raise ValueError("its end is missing")


def _has_end(jpeg: bytes) -> bool:
    """Whether the segments of a jpeg lead to the marker of its end. A scan's data follows its
    segment without a length and holds no marker.
    """
    at = 2
    while found := MARKER.search(jpeg, at):
        if jpeg[found.start() + 1] == END_OF_IMAGE:
            return True
        at = found.end() + int.from_bytes(jpeg[found.end() : found.end() + 2], "big")
    return False


def _content(source: Path | BytesIO) -> bytes:
    return source.getvalue() if isinstance(source, BytesIO) else source.read_bytes()


def _decoded(image: Image.Image) -> Picture:
    image.load()
    orientation = image.getexif().get(ORIENTATION, 1)
    image = ImageOps.exif_transpose(image)
    see_through = "A" in image.mode or "a" in image.mode or "transparency" in image.info
    alpha = np.asarray(image.convert("RGBA"))[..., 3] if see_through else None
    notes = []
    if image.mode in ("1", "LA", "La"):
        image = image.convert("L")
    elif image.mode in ("P", "PA", "CMYK", "YCbCr", "HSV", "LAB", "RGBA", "RGBa", "RGBX"):
        notes = [] if see_through and image.mode[0] == "R" else [f"{image.mode} to RGB"]
        image = image.convert("RGB")
    pixels = np.asarray(image)
    is_grey_palette = (
        image.mode == "RGB" and notes == ["P to RGB"] and (pixels == pixels[..., :1]).all()
    )
    if is_grey_palette:
        pixels, notes = pixels[..., 0], ["grey palette"]
    return Picture(pixels, notes, orientation=orientation, alpha=alpha)


def _deep(source: Path | BytesIO, image: Image.Image, head: bytes) -> Picture | None:
    """A picture of 16 bits at its full depth, None if it is none of these formats."""
    decode = None
    if head.startswith(PNG) and head[24] == 16:
        decode = imagecodecs.png_decode
    elif head.startswith(JPEG2000):
        decode = imagecodecs.jpeg2k_decode
    if decode is None:
        return None
    pixels = decode(_content(source))
    if pixels.dtype.itemsize == 1:
        return None
    alpha = None
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        pixels, alpha = pixels[..., :-1], pixels[..., -1]
    orientation = image.getexif().get(ORIENTATION, 1)
    picture = Picture(pixels, orientation=orientation, alpha=alpha)
    picture.turn_upright()
    return picture
