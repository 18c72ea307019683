"""Which images are tested together: folds at random, or those of a table of the user's."""

from pathlib import Path

import numpy as np
import pandas as pd

from ..data import checks
from ..data.errors import DataError, printable
from ..data.files import atomic_write
from ..data.folders import stem_of
from .own_masks import listed

COLUMNS = ["image", "fold"]
TRAIN = "train"
"""The fold whose images are never tested."""


def random_folds(names: list[str], n: int = 5) -> pd.Series:
    """Folds of equal size at random, always the same for as many images.

    Args:
        names: Of the images.
        n: Number of folds, 2 or more.

    Returns:
        Name to fold, "1" to "n".

    Raises:
        ValueError: The number makes no sense.
        DataError: There are fewer images than folds.

    Example:
        >>> sorted(random_folds(list("abcd"), 2))
        ['1', '1', '2', '2']
    """
    n = checks.whole(n, "folds", 2)
    if len(names) < n:
        raise DataError(
            f"{n} folds need at least {n} images with masks, and there are {len(names)}: take "
            "fewer folds or more images"
        )
    places = np.random.default_rng(0).permutation(len(names))
    return pd.Series((places % n + 1).astype(str), names, name="fold")


def folds_of(path: Path | str, names: list[str]) -> pd.Series:
    """Folds from a table with the columns "image" and "fold".

    The images of a fold are tested by a network that was trained on all others. Images of the fold
    "train" are only trained on, so that "train" and "test" give one split. Capitals do not tell
    folds apart. What belongs together, such as the two eyes of a patient, belongs in one fold.

    Args:
        path: A csv file; the image is named with or without its suffix.
        names: Of the images, without suffix.

    Returns:
        Name to fold, in the order of the names.

    Raises:
        DataError: The table cannot be read, or does not name every image once.
    """
    path = checks.path(path, "split").expanduser()
    where = printable(path)
    try:
        table = pd.read_csv(path, sep="[,;\t]", engine="python", dtype=str, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise DataError(f"{where} cannot be read as a csv table ({error})") from error
    table.columns = [str(column).strip().lower() for column in table.columns]
    if not set(COLUMNS) <= set(table.columns):
        raise DataError(
            f"{where} has the columns {listed(table.columns)}, and needs two: image and fold, as "
            "in eye1.png,train"
        )
    table = table[COLUMNS].fillna("").apply(lambda column: column.str.strip())
    known = {name.casefold(): name for name in names}
    images = [_name(image, known) for image in table["image"]]
    strangers = [image for image, name in zip(table["image"], images) if name is None]
    spelled = {TRAIN: TRAIN}  # others as they are written first
    folds = [spelled.setdefault(fold.casefold(), fold) for fold in table["fold"]]
    folds = pd.Series(folds, images, dtype=str, name="fold")
    left = [name for name in names if name not in folds.index]
    faults = {
        "names images that are not there": strangers,
        "does not say in which fold these images are": [*left, *folds.index[folds == ""]],
        "names an image twice": folds.index[folds.index.duplicated()].unique(),
    }
    for fault, about in faults.items():
        if len(about):
            raise DataError(f"{where} {fault}: {listed(about)}")
    tested = [fold for fold in folds.unique() if fold != TRAIN]
    if not tested or folds.nunique() < 2:
        raise DataError(
            f"{where} has one fold only, {folds.iloc[0]}: images to train on and images to test "
            "need different ones, as train and test"
        )
    return folds[names]


def _name(image: str, known: dict[str, str]) -> str | None:
    """The image that a table means; its suffix may be there or not."""
    return known.get(image.casefold()) or known.get(stem_of(Path(image)).casefold())


def save_folds(folds: pd.Series, path: Path) -> None:
    """Writes folds as the table that `folds_of` reads."""
    with atomic_write(path) as temporary:
        folds.rename_axis("image").reset_index().to_csv(
            temporary, index=False, lineterminator="\n", encoding="utf-8"
        )
