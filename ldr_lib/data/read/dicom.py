"""DICOM: frames, palettes, windows, padding, polarity, and files without preamble or header."""

from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np

from ..errors import DataError
from .depth import robust_range, to_bytes
from .picture import Picture, check_size

INSTALL = 'pip install "ldr_lib[dicom]"'


def read_dicom(source: Path | BytesIO, name: str) -> Picture:
    """Reads the first frame of a DICOM file as its header says that it is to be shown.

    Args:
        source: A file or its content.
        name: What the file is called in messages.

    Raises:
        DataError: pydicom or a decoder is not installed, or the file holds no picture.
    """
    try:
        import pydicom
    except ImportError as error:
        raise DataError(
            f"{name} is a DICOM file, and reading it needs pydicom: {INSTALL}"
        ) from error
    header = pydicom.dcmread(source, force=True)
    if "Rows" not in header or not any(
        word in header for word in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
    ):
        kind = header.get("Modality") or "a DICOM file without pixels"
        raise ValueError(f"it holds no picture ({kind})")
    large = check_size(int(header.Columns), int(header.Rows))
    notes = []
    if "TransferSyntaxUID" not in getattr(header, "file_meta", {}):
        header.ensure_file_meta()
        header.file_meta.TransferSyntaxUID = _plain_syntax(header)
        notes.append("no file meta information")
    frames = int(header.get("NumberOfFrames") or 1)
    values = _first_frame(header, name)
    syntax = header.file_meta.TransferSyntaxUID
    notes += [syntax.name] if syntax.is_compressed else []
    picture = _colour(header, values, notes) or _grey(header, values, notes)
    picture.depth, picture.range = "DICOM", None
    if large:
        picture.doubt(large)
    picture.frames = frames
    if frames > 1:
        picture.doubt(f"the first of {frames} frames")
    return picture


def _first_frame(header, name: str) -> np.ndarray:
    """The stored values of the first frame."""
    from pydicom.encaps import generate_frames
    from pydicom.pixels import pixel_array
    from pydicom.uid import JPEGExtended12Bit

    syntax = header.file_meta.TransferSyntaxUID
    try:
        return pixel_array(header, index=0)
    except (RuntimeError, NotImplementedError) as error:
        if syntax == JPEGExtended12Bit:  # 12 bit: not among the decoders that pydicom knows
            return imagecodecs.jpeg8_decode(next(generate_frames(header.PixelData)))
        if "missing dependencies" in str(error) or "required" in str(error):
            raise DataError(
                f"{name} is compressed ({syntax.name}), and no decoder for it is installed: "
                f"{INSTALL}"
            ) from error
        raise


def _plain_syntax(header) -> str:
    """The transfer syntax that a header without file meta information was written in."""
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    implicit, little = header.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if little else ExplicitVRBigEndian


def _colour(header, values: np.ndarray, notes: list[str]) -> Picture | None:
    """Colour values as they are; None for a grey picture."""
    if header.get("PhotometricInterpretation") == "PALETTE COLOR":
        from pydicom.pixels import apply_color_lut

        values = apply_color_lut(values, header)[..., :3]
        notes.append("palette to RGB")
    if values.ndim != 3:
        return None
    if values.dtype != np.uint8 and header.get("PhotometricInterpretation") == "PALETTE COLOR":
        values = (values >> 8).astype(np.uint8)
    picture = Picture(values, notes)
    picture.pixels = to_bytes(picture)
    return picture


def _grey(header, values: np.ndarray, notes: list[str]) -> Picture:
    """Grey values after modality table, padding, window and polarity."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    picture = Picture(values, notes)
    padded = _padding(header, values)
    if padded is not None and padded.all():
        padded = None
    if padded is not None:
        notes.append(f"{padded.mean():.0%} padding shown black")
    in_units = np.asarray(apply_modality_lut(values, header), np.float64)
    valid = in_units if padded is None else in_units[~padded]
    shown = in_units
    if _has_window(header, picture):
        windowed = np.asarray(apply_voi_lut(apply_modality_lut(values, header), header), np.float64)
        seen = windowed if padded is None else windowed[~padded]
        if seen.max() > seen.min() or valid.max() == valid.min():
            shown, valid = windowed, seen
            notes.append(_window_of(header))
        else:
            picture.doubt("its window shows one grey only: not used")
    low, high = (valid.min(), valid.max()) if shown is not in_units else robust_range(valid)
    if low > valid.min() or high < valid.max():
        notes.append(f"values beyond {low:.5g} to {high:.5g} set apart as markers")
    share = ((shown - low) / max(high - low, 1e-12)).clip(0, 1)
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        share = 1 - share
        notes.append("MONOCHROME1: inverted")
    pixels = (255 * share).round().astype(np.uint8)
    if padded is not None:
        pixels[padded] = 0
    picture.pixels = pixels
    return picture


def _padding(header, values: np.ndarray) -> np.ndarray | None:
    """Pixels that hold no measurement; None if the header names no such value."""
    first = header.get("PixelPaddingValue")
    if first is None:
        return None
    last = header.get("PixelPaddingRangeLimit")
    bits = 8 * values.dtype.itemsize

    def as_stored(value) -> int:
        number = int(value)
        # Some writers give a signed value as an unsigned one, and the other way round.
        if values.dtype.kind == "i" and number >= 2 ** (bits - 1):
            return number - 2**bits
        return number + 2**bits if values.dtype.kind == "u" and number < 0 else number

    ends = sorted((as_stored(first), as_stored(first if last is None else last)))
    padded = (values >= ends[0]) & (values <= ends[1])
    return padded if padded.any() else None


def _has_window(header, picture: Picture) -> bool:
    """Whether the header says how values are to be shown, in a way that can be followed."""
    if header.get("VOILUTSequence"):
        return True
    widths, centres = header.get("WindowWidth"), header.get("WindowCenter")
    if widths in (None, "") or centres in (None, ""):
        return False
    width = float(np.atleast_1d(widths)[0])
    exact = str(header.get("VOILUTFunction") or "LINEAR").upper() == "LINEAR_EXACT"
    if width < (1e-9 if exact else 1) or not np.isfinite(width):
        picture.doubt(f"its window has width {width:g}: not used")
        return False
    return True


def _window_of(header) -> str:
    if header.get("VOILUTSequence"):
        return "VOI table"
    width, centre = (
        float(np.atleast_1d(header.get(word))[0]) for word in ("WindowWidth", "WindowCenter")
    )
    return f"window {centre:g} +- {width / 2:g}"
