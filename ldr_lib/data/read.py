"""Reads one image or mask file of any common format into a uint8 array; errors name the file."""

from pathlib import Path

import numpy as np
import tifffile
from PIL import Image, ImageOps

from .errors import DataError

IMAGE_SUFFIXES = {
    ".png",
    ".jpg",
    ".jpeg",
    ".tif",
    ".tiff",
    ".ppm",
    ".pgm",
    ".bmp",
    ".gif",
    ".dcm",
    ".dicom",
}


def read_image(path: Path | str) -> np.ndarray:
    """Reads an image file.

    16-bit values are scaled by the number of bits that the image uses. Alpha is dropped, palettes
    are resolved, and of an animation the first frame is taken. DICOM files are windowed as their
    header says; they need pydicom.

    Args:
        path: png, jpg, tif, ppm, bmp, gif or DICOM.

    Returns:
        uint8 array, (H, W, 3) colour or (H, W) grey.

    Raises:
        DataError: The file is missing, unreadable, truncated, no image, or has more than four
            channels.
    """
    path = Path(path)
    try:
        if path.suffix.lower() in (".dcm", ".dicom"):
            pixels = _read_dicom(path)
        elif path.suffix.lower() in (".tif", ".tiff"):
            pixels = tifffile.imread(path, key=0)
        else:
            pixels = _read_with_pillow(path)
    except PermissionError as error:
        raise DataError(
            f"{path} may not be read: {error.strerror}. Change its permissions (chmod u+r)."
        ) from error
    except FileNotFoundError as error:
        raise DataError(
            f"{path} does not exist. Check data_dir, or copy the dataset again."
        ) from error
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"{path} cannot be read as an image ({error}). Copy it again or remove it."
        ) from error
    return _to_uint8(pixels, path)


def _read_with_pillow(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        image.load()
        image = ImageOps.exif_transpose(image)
        if image.mode in ("1", "LA", "La"):
            image = image.convert("L")
        elif image.mode in ("P", "PA", "CMYK", "YCbCr", "HSV", "LAB", "RGBA", "RGBa", "RGBX"):
            image = image.convert("RGB")
        pixels = np.asarray(image)
        is_grey_palette = (
            image.mode == "RGB"
            and path.suffix.lower() == ".gif"
            and (pixels == pixels[..., :1]).all()
        )
        return pixels[..., 0] if is_grey_palette else pixels


def _read_dicom(path: Path) -> np.ndarray:
    try:
        import pydicom
        from pydicom.pixels import apply_modality_lut, apply_voi_lut
    except ImportError as error:
        raise DataError(
            f"{path} is a DICOM file, and reading it needs pydicom: pip install pydicom"
        ) from error
    header = pydicom.dcmread(path)
    pixels = np.asarray(
        apply_voi_lut(apply_modality_lut(header.pixel_array, header), header), dtype=np.float64
    )
    low, high = pixels.min(), pixels.max()
    pixels = (pixels - low) / max(high - low, 1e-12)
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        pixels = 1 - pixels
    return (255 * pixels).round().astype(np.uint8)


def _to_uint8(pixels: np.ndarray, path: Path) -> np.ndarray:
    if pixels.ndim == 3 and pixels.shape[2] in (1, 2):
        pixels = pixels[..., 0]
    elif pixels.ndim == 3 and pixels.shape[2] == 4:
        pixels = pixels[..., :3]
    if pixels.ndim not in (2, 3) or pixels.ndim == 3 and pixels.shape[2] != 3 or not pixels.size:
        raise DataError(
            f"{path} has shape {pixels.shape}; an image has 1 (grey) or 3 (colour) channels."
        )
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * 255
    if pixels.dtype == np.uint8:
        return pixels
    if np.issubdtype(pixels.dtype, np.floating):
        if not np.isfinite(pixels).all():
            raise DataError(
                f"{path} holds values that are not finite. Export it again as 8 or 16 bit."
            )
        top = (
            1.0 if pixels.max() <= 1 else 2.0 ** max(8, int(np.ceil(np.log2(pixels.max() + 1)))) - 1
        )
        return (255 * np.clip(pixels / top, 0, 1)).round().astype(np.uint8)
    bits = max(8, int(pixels.max()).bit_length())
    return np.clip(pixels.astype(np.int64) >> (bits - 8), 0, 255).astype(np.uint8)


def as_grey(image: np.ndarray, path: Path | str) -> np.ndarray:
    """An X-ray as (H, W). Of a colour file whose channels agree, their mean is taken.

    Raises:
        DataError: The channels differ.
    """
    if image.ndim == 2:
        return image
    if np.ptp(image.astype(np.int16), axis=2).mean() > 4:
        raise DataError(
            f"{path} is a colour image where a grey X-ray is expected. Is this the right dataset?"
        )
    return image.mean(2).round().astype(np.uint8)


def as_colour(image: np.ndarray, path: Path | str) -> np.ndarray:
    """A photograph as (H, W, 3).

    Raises:
        DataError: The image is grey.
    """
    if image.ndim == 2:
        raise DataError(
            f"{path} is a grey image where a colour photograph is expected. "
            "Is this the right dataset?"
        )
    return image
