"""Images as the bytes of small files and as data URLs: for outputs of notebooks, reports, pages and
the explorer.
"""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from ..data.errors import DataError, one_of


def encode(
    image: np.ndarray | bytes | Path,
    kind: str = "jpeg",
    fit: tuple[int, int] | None = None,
    quality: int = 85,
) -> bytes:
    """An image as the bytes of a PNG or JPEG file.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3) uint8 or bool array, the bytes of an image file, or
            its path.
        kind: "png" or "jpeg".
        fit: Largest width and height in pixels; a larger image is shrunk, its proportions kept.
            None keeps the size.
        quality: Of a JPEG, from 1 (small) to 95 (good).

    Returns:
        The bytes of the file.

    Raises:
        ValueError: Unknown kind.
        DataError: The image cannot be encoded.

    Example:
        >>> encode(np.zeros((4, 6), np.uint8), "png")[1:4]
        b'PNG'
    """
    one_of(kind, ("png", "jpeg"), "kind of image file")
    opened = _open(image)
    if kind == "jpeg" and opened.mode not in ("L", "RGB"):
        opened = opened.convert("RGB")
    if fit is not None:
        opened.thumbnail(fit, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    options = {"quality": quality, "optimize": True} if kind == "jpeg" else {}
    opened.save(file, kind.upper(), **options)
    return file.getvalue()


def data_url(encoded: bytes) -> str:
    """A PNG or JPEG file as a data URL, to stand inside an HTML page.

    Example:
        >>> data_url(encode(np.zeros((4, 6), np.uint8), "png"))[:22]
        'data:image/png;base64,'
    """
    kind = "png" if encoded.startswith(b"\x89PNG") else "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(encoded).decode()}"


def _open(image: np.ndarray | bytes | Path) -> Image.Image:
    try:
        if isinstance(image, (bytes, str, Path)):
            opened = Image.open(io.BytesIO(image) if isinstance(image, bytes) else image)
            opened.load()
            return opened
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        name = "this" if isinstance(image, bytes) else image
        raise DataError(f"{name} is no image that can be read ({error})") from error
    array = np.asarray(image)
    if array.dtype == bool:
        array = array.astype(np.uint8) * 255
    array = array[..., 0] if array.ndim == 3 and array.shape[2] == 1 else array
    if array.dtype != np.uint8 or array.ndim not in (2, 3):
        raise DataError(f"an image must be uint8 or bool, not {array.dtype} {array.shape}")
    return Image.fromarray(array)
