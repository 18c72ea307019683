"""Values of any number type as bytes, by a range that single pixels and markers cannot move."""

import numpy as np

from .picture import Picture

MARKERS = 0.05
"""Largest share of pixels that may be set apart as burnt-in markers."""
OUTLIERS = 0.001
"""Largest share of pixels that may be set apart whatever their values are."""
SAMPLED = 2_000_000


def robust_range(values: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value of a picture without hot pixels and burnt-in markers.

    Values are set apart if they lie further above the 95th percentile than that lies above the
    5th, and if they are very few, or few and all the same. The same is done below. What remains
    sets the range, so that it changes smoothly from picture to picture.

    Args:
        values: Any shape, finite numbers.

    Returns:
        Lowest and highest value that remain.

    Example:
        >>> xray = np.arange(1000)
        >>> xray[7] = 65535
        >>> robust_range(xray)
        (0.0, 999.0)
    """
    flat = values.ravel()
    low, high = float(flat.min()), float(flat.max())
    sample = flat[:: max(1, flat.size // SAMPLED)]
    bottom, top = (float(value) for value in np.percentile(sample, (5, 95)))
    spread = top - bottom
    if spread <= 0:
        return low, high
    if high > top + spread:
        high = _without(flat, flat > top + spread, high)
    if low < bottom - spread:
        low = -_without(-flat.astype(np.float64), flat < bottom - spread, -low)
    return low, high


def _without(values: np.ndarray, apart: np.ndarray, extreme: float) -> float:
    """The highest value without those that lie apart, if these are few enough."""
    share = apart.mean()
    rest = float(values[~apart].max())
    same = np.mean(values[apart] > extreme - 0.02 * (extreme - rest)) > 0.9
    few = share <= max(OUTLIERS, 1.5 / values.size) or (same and share <= MARKERS)
    return rest if few else extreme


def scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values from low to high as bytes from 0 to 255; those beyond are clipped."""
    share = (values.astype(np.float64) - low) / max(high - low, 1e-12)
    return (255 * share.clip(0, 1)).round().astype(np.uint8)


def to_bytes(picture: Picture) -> np.ndarray:
    """The values of a picture as bytes. What was done is added to the picture's notes.

    Bytes stay as they are, also in larger integers. Floats in 0 to 1 are multiplied by 255; a
    little beyond is clipped. All others are shown from the lowest to the highest value of their
    robust range, colours from 0.
    """
    values = picture.pixels
    if values.dtype == bool:
        return values.astype(np.uint8) * 255
    if values.dtype == np.uint8:
        return values
    if np.issubdtype(values.dtype, np.complexfloating):
        raise ValueError("it holds complex numbers; export its magnitude as 8 or 16 bit")
    is_float = np.issubdtype(values.dtype, np.floating)
    if is_float and not np.isfinite(values).all():
        raise ValueError("it holds values that are not finite; export it again as 8 or 16 bit")
    low, high = float(values.min()), float(values.max())
    if is_float and low >= 0 and high <= 1:
        picture.notes.append("floats in 0 to 1")
        return scaled(values, 0, 1)
    holds_bytes = low >= 0 and high <= 255
    if holds_bytes and (not is_float or high >= 32 or (values == values.round()).all()):
        return values.round().astype(np.uint8)
    found_low, found_high = robust_range(values)
    if is_float and found_low >= -0.25 and 0.5 < found_high <= 1.25:
        picture.notes.append(f"floats from {low:.3g} to {high:.3g}, cut to 0 to 1")
        return scaled(values, 0, 1)
    if values.ndim == 3:
        found_low = min(found_low, 0.0)  # a shift would change the hue
    kind = "floats" if is_float else f"{8 * values.dtype.itemsize} bit"
    note = f"{kind}: {found_low:.5g} to {found_high:.5g} shown as 0 to 255"
    apart = [f"{value:.5g}" for value in (low, high) if value < found_low or value > found_high]
    if apart:
        note += f", {' and '.join(apart)} set apart as marker or hot pixel"
    picture.notes.append(note)
    return scaled(values, found_low, found_high)
