"""TIFF in all its variants: compression, colours, planes, orientation, pages."""

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.color import lab2rgb
from tifffile import PHOTOMETRIC, TiffFile, TiffPage

from .picture import NO_ALPHA, Picture, check_size

ORIENTATION = 274
ALPHA = (1, 2)  # values of the tag ExtraSamples: associated and unassociated
DECODED_TO_RGB = ("OJPEG", "JPEG", "WEBP", "APERIO_JP2000_RGB", "JPEGXR", "JPEGXL")
"""Compressions whose decoders turn YCbCr to RGB themselves."""


def read_tiff(source: Path | BytesIO) -> Picture:
    """Reads the first page of a TIFF file that is no preview as grey or RGB values."""
    with TiffFile(source) as tiff:
        pages = len(tiff.pages)
        number = next((n for n, one in enumerate(tiff.pages) if not one.is_reduced), 0)
        page = tiff.pages[number].aspage()
        frames = _frames(tiff, page)
        large = check_size(page.imagewidth, page.imagelength)
        picture = Picture(_planes_last(page))
        tag = page.tags.get(ORIENTATION)
        picture.orientation = int(tag.value) if tag else 1
        _resolve_colours(picture, page)
        picture.turn_upright()
        if page.compression > 1:
            picture.notes.append(f"TIFF {page.compression.name}")
    if large:
        picture.doubt(large)
    picture.frames = frames
    if pages > 1:
        which = f"page {number + 1}, after previews," if number else "the first"
        picture.doubt(f"{which} of {pages} pages")
    return picture


def _frames(tiff: TiffFile, page: TiffPage) -> int:
    """Pages of the first one's size and depth; smaller ones are previews or levels of a pyramid."""
    sizes = [(one.shape, one.dtype) for one in tiff.pages]
    return max(sizes.count((page.shape, page.dtype)), page.imagedepth)


def _planes_last(page: TiffPage) -> np.ndarray:
    """The page's values, (H, W) or (H, W, C)."""
    pixels, axes = page.asarray(), page.axes
    if axes.startswith("S"):
        pixels, axes = np.moveaxis(pixels, 0, -1), axes[1:] + "S"
    while axes and axes[0] not in "YX":
        pixels, axes = pixels[0], axes[1:]
    return pixels


def _resolve_colours(picture: Picture, page: TiffPage) -> None:
    """Brings palettes, CMYK, CIE L*a*b* and YCbCr to RGB and sets alpha apart."""
    pixels, kind = picture.pixels, page.photometric
    extra = page.extrasamples
    if pixels.ndim == 3 and len(extra) == 1 and pixels.shape[2] in (2, 4, 5):
        if extra[0] in ALPHA:
            picture.alpha = pixels[..., -1]
        else:
            picture.doubt(NO_ALPHA)
        pixels = pixels[..., :-1]
    if kind == PHOTOMETRIC.PALETTE and page.colormap is not None:
        colours = page.colormap
        colours = colours >> 8 if colours.max() > 255 else colours
        pixels = np.moveaxis(colours.astype(np.uint8)[:, pixels], 0, -1)
        is_grey = (pixels == pixels[..., :1]).all()
        pixels = pixels[..., 0] if is_grey else pixels
        picture.notes.append("grey palette" if is_grey else "P to RGB")
    elif kind == PHOTOMETRIC.MINISWHITE:
        picture.inverted = True
        picture.notes.append("small values are white: inverted")
    elif kind == PHOTOMETRIC.SEPARATED and pixels.shape[-1] == 4:
        pixels = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
        pixels = np.asarray(Image.fromarray(pixels, "CMYK").convert("RGB"))
        picture.notes.append("CMYK to RGB")
    elif kind in (PHOTOMETRIC.CIELAB, PHOTOMETRIC.ICCLAB) and pixels.dtype == np.uint8:
        lab = pixels.astype(np.int16)
        shifted = (
            (lab[..., 1:] + 128) % 256 - 128 if kind == PHOTOMETRIC.CIELAB else (lab[..., 1:] - 128)
        )
        lightness = lab[..., :1] * (100 / 255)
        pixels = (255 * lab2rgb(np.concatenate([lightness, shifted], 2))).round().astype(np.uint8)
        picture.notes.append("CIE L*a*b* to RGB")
    elif (
        kind == PHOTOMETRIC.YCBCR
        and page.compression.name not in DECODED_TO_RGB
        and pixels.dtype == np.uint8
    ):
        pixels = np.asarray(Image.fromarray(pixels, "YCbCr").convert("RGB"))
        picture.notes.append("YCbCr to RGB")
    picture.pixels = pixels
