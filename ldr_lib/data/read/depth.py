"""Values of any number type as bytes, by a range that single pixels and markers cannot move: the
picture's own, or one for all pictures of a collection.
"""

from collections.abc import Iterable

import numpy as np

from .picture import Picture

MARKERS = 0.05
"""Largest share of pixels that may be set apart as burnt-in markers."""
OUTLIERS = 0.001
"""Largest share of pixels that may be set apart whatever their values are."""
SAMPLED = 2_000_000
SIMILAR = 4
"""Ranges that differ by more than this factor are those of different scales."""
INTEGERS, FLOATS = "integers", "floats"


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


def common_ranges(
    pictures: Iterable[tuple[str, tuple[float, float] | None]],
) -> tuple[dict[str, tuple[float, float]], list[str]]:
    """One range for all pictures of a collection, so that their brightness stays comparable.

    Args:
        pictures: Depth and range of some of them, read by themselves, as in `Picture`.

    Returns:
        "integers" and "floats" to the lowest and highest value, where the collection has pictures
        that hold more than bytes or shares and are of one scale; and sentences about mixtures.
    """
    found, common, remarks = {}, {}, []
    for depth, one in pictures:
        if one and one[1] > one[0]:
            found.setdefault(FLOATS if depth == FLOATS else INTEGERS, []).append(one)
    for kind, ranges in found.items():
        low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
        spans = [high - low for low, high in ranges]
        if max(spans) > SIMILAR * min(spans):
            remarks.append(
                f"those of {kind} span from {min(spans):.5g} to {max(spans):.5g}, which is no "
                "common scale: each is shown by its own range, so that their brightness cannot be "
                "compared. Export all images at one bit depth and scale"
            )
        elif (kind == INTEGERS and not 0 <= low <= high <= 255) or (
            kind == FLOATS and not -0.25 <= low <= high <= 1.25
        ):
            common[kind] = low, high
    return common, remarks


def to_bytes(picture: Picture, common: dict[str, tuple[float, float]] | None = None) -> np.ndarray:
    """The values of a picture as bytes. What was done is added to the picture's notes.

    Bytes stay as they are, also in larger integers. Floats in 0 to 1 are multiplied by 255; a
    little beyond is clipped. All others are shown from the lowest to the highest value of their
    robust range, colours from 0.

    Args:
        picture: As its format's reader returns it; depth and range are noted in it.
        common: As `common_ranges` returns it, for pictures of a collection.
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
    found_low, found_high = picture.range = robust_range(values)
    kind = picture.depth = FLOATS if is_float else f"{8 * values.dtype.itemsize} bit"
    of_collection = (common or {}).get(FLOATS if is_float else INTEGERS)
    if of_collection:
        return _by_collection(picture, kind, *of_collection)
    low, high = float(values.min()), float(values.max())
    if is_float and low >= 0 and high <= 1:
        picture.notes.append("floats in 0 to 1")
        return scaled(values, 0, 1)
    holds_bytes = low >= 0 and high <= 255
    if holds_bytes and (not is_float or high >= 32 or (values == values.round()).all()):
        picture.depth = "8 bit"
        return values.round().astype(np.uint8)
    if is_float and found_low >= -0.25 and 0.5 < found_high <= 1.25:
        picture.notes.append(f"floats from {low:.3g} to {high:.3g}, cut to 0 to 1")
        return scaled(values, 0, 1)
    if values.ndim == 3:
        found_low = min(found_low, 0.0)  # a shift would change the hue
    note = f"{kind}: {found_low:.5g} to {found_high:.5g} shown as 0 to 255"
    apart = [f"{value:.5g}" for value in (low, high) if value < found_low or value > found_high]
    if apart:
        note += f", {' and '.join(apart)} set apart as marker or hot pixel"
    picture.notes.append(note)
    return scaled(values, found_low, found_high)


def _by_collection(picture: Picture, kind: str, low: float, high: float) -> np.ndarray:
    """Bytes by the range of a collection."""
    values, own = picture.pixels, picture.range
    low = min(low, 0.0) if values.ndim == 3 else low  # a shift would change the hue
    picture.notes.append(f"{kind}: {low:.5g} to {high:.5g} of all images shown as 0 to 255")
    beyond = np.mean((values < low) | (values > high))
    if beyond > MARKERS:
        picture.doubt(f"{beyond:.0%} of its values lie beyond that range and are cut")
    if own[1] - own[0] < (high - low) / SIMILAR:
        picture.doubt(f"its own values, {own[0]:.5g} to {own[1]:.5g}, fill little of that range")
    return scaled(values, low, high)
