"""A folder of the user's own images and one of their masks: which belong together, and what the
values of a mask mean.
"""

from collections.abc import Iterable, Iterator
from copy import copy
from functools import partial
from pathlib import Path

import numpy as np

from ..data import checks
from ..data.adapter import Item
from ..data.checks import several, text
from ..data.errors import DataError, printable
from ..data.folders import contents, list_folder, stem_of
from ..data.masks import Decision, by_histogram, flat
from ..data.own_images import Folder
from ..data.read import read_picture

NAMES = "a mask is called as its image, or its name begins with it: eye1.png or eye1_mask.png"
LISTED = 8
"""Names or values that a message lists."""


class LabelledFolder(Folder):
    """Your own images with one mask each.

    Images stay as they lie in their files: X-rays are not put upright, so that a mask found in a
    new image fits that image.

    Args:
        images: Folder of the images, also with subfolders.
        masks: Folder of the masks; it may lie in that of the images, or be the same.
        structure: What the masks show, in a word; "vessel" is measured by its centre lines.
        values: Values of the structure in the masks, where they are others than 1 or 255.
        modality: As in `Folder`.

    Raises:
        ValueError: Unknown modality, or no names or values.
        DataError: A folder is missing or empty, two images have one name, or images and masks do
            not belong to each other one by one.
    """

    title = "own images"

    def __init__(self, images, masks, structure="structure", values=(), modality=None):
        self.structures = (text(structure, "structure"),)
        values = several(values, "values", "whole numbers") if values != () else ()
        self.values = tuple(sorted({checks.whole(value, "a value", 0, 255) for value in values}))
        of_values = f" of value {listed(self.values)}" if self.values else ""
        self.name = f"own images with {structure}{of_values}"  # is part of the fingerprint
        self.masks_root = existing_folder(masks, "masks")
        super().__init__(existing_folder(images, "images"), "all", modality)
        self.opened_by_name = False  # leaves X-rays as they lie

    def find(self, root, split):
        images = [item.image for item in super().find(root, split)]
        taken = set(images)
        masks = [path for path in list_folder(self.masks_root).images if path not in taken]
        if not masks:
            raise DataError(
                f"{printable(self.masks_root)} holds no mask: no image file is in it that is not "
                f"one of the images; found: {contents(self.masks_root)}"
            )
        others = self._left_out({path.absolute() for path in (*images, *masks)})
        pairs, (structure,) = paired(images, masks, others), self.structures
        self.mask_files = set(pairs.values())
        return [
            Item(image, {structure: ((mask,), partial(structure_in, path=mask, of=self.values))})
            for image, mask in pairs.items()
        ]

    def _left_out(self, read: set[Path]) -> Iterator[Path]:
        """The files of both folders that count neither as image nor as mask, by name."""
        found = {
            path.absolute() for root in (self.root, self.masks_root) for path in root.rglob("*")
        }
        yield from sorted(path for path in found - read if path.is_file())

    def part(self, rows: Iterable[int]) -> "LabelledFolder":
        """Some of the images, by their numbers."""
        some = copy(self)
        some.items = [self.items[row] for row in rows]
        return some

    def _without_masks(self, paths):
        if self.masks_root.absolute() != self.root.absolute():
            paths = [p for p in paths if self.masks_root.absolute() not in p.absolute().parents]
        return super()._without_masks(paths)

    def read(self, path):
        """An image or mask file; a mask's values are not shown by the range of the images."""
        return read_picture(path) if path in self.mask_files else super().read(path)


def existing_folder(path: Path | str, name: str) -> Path:
    """A folder that the user has named.

    Args:
        path: The folder; "~" stands for the user's own.
        name: What it holds, for the message.

    Raises:
        ValueError: It is no path.
        DataError: It is not there, or no folder.
    """
    folder = checks.path(path, name).expanduser()
    if not folder.is_dir():
        raise DataError(
            f"{name} {printable(folder)} does not exist or is no folder (looked for it from "
            f"{Path.cwd()})"
        )
    return folder


def paired(images: list[Path], masks: list[Path], others: Iterable[Path] = ()) -> dict[Path, Path]:
    """Which mask belongs to which image: it has the image's name, or begins with it. Capitals do
    not count, and of several images that fit, the one with the longest name is meant.

    Args:
        images: Image files.
        masks: Mask files.
        others: Files beside them that are neither; those whose names fit what has no partner are
            named.

    Returns:
        Image to mask.

    Raises:
        DataError: Two images have one name, an image has no mask or several, or a mask no image.

    Example:
        >>> pairs = paired([Path("a.jpg"), Path("a_2.jpg")], [Path("A_2_mask.png"), Path("a.png")])
        >>> [mask.name for mask in pairs.values()]
        ['a.png', 'A_2_mask.png']
    """
    by_name: dict[str, Path] = {}
    for path in images:
        other = by_name.setdefault(stem_of(path).casefold(), path)
        if other is not path:
            raise DataError(
                f"two images have one name, {printable(other)} and {printable(path)}: nobody can "
                "tell whose mask is whose. Rename one of them, and its mask."
            )
    found: dict[Path, list[Path]] = {path: [] for path in images}
    strays = []
    for mask in masks:
        name = _owner(stem_of(mask).casefold(), by_name)
        (found[by_name[name]] if name is not None else strays).append(mask)
    without = [path for path, own in found.items() if not own]
    missing = [
        f"{len(paths)} of {len(of)} {what}: {listed(path.name for path in paths)}"
        for paths, of, what in (
            (without, images, "images have no mask"),
            (strays, masks, "masks have no image"),
        )
        if paths
    ]
    if missing:
        left_out = [path.name for path in others if _fits(path, without, strays)]
        about = (
            f" Left out, though the names fit: {listed(left_out)}; images and masks are read from "
            "png, tif and other image files."
        )
        raise DataError(
            f"{'; '.join(missing)}.{about if left_out else ''} In this kit {NAMES}. Rename them, "
            "or move what has no partner to another folder."
        )
    for image, own in found.items():
        if len(own) > 1:
            raise DataError(
                f"{printable(image.name)} has {len(own)} masks: "
                f"{listed(path.name for path in own)}. Keep one of them in the folder."
            )
    return {image: own[0] for image, own in found.items()}


def _owner(mask: str, images: Iterable[str]) -> str | None:
    """The longest of the images' names with which a mask's name begins."""
    fitting = [name for name in images if _begins_with(mask, name)]
    return max(fitting, key=len, default=None)


def _fits(path: Path, images: list[Path], masks: list[Path]) -> bool:
    """Whether a file's name is that of a mask of some images, or of an image of some masks."""
    name = stem_of(path).casefold()
    return any(_begins_with(name, stem_of(image).casefold()) for image in images) or any(
        _begins_with(stem_of(mask).casefold(), name) for mask in masks
    )


def _begins_with(mask: str, image: str) -> bool:
    """Whether a mask's name is an image's, or goes on after it with no letter and no digit."""
    return mask.startswith(image) and not mask[len(image) :][:1].isalnum()


def structure_in(values: np.ndarray, path: Path, of: tuple[int, ...] = ()) -> Decision:
    """Mask rule: 1 or 255 is structure and 0 is not, or the given values are.

    Args:
        values: (H, W) or (H, W, 3) uint8 of the mask file.
        path: The file, for messages.
        of: Values of the structure; none takes 1 or 255.

    Returns:
        The mask; with a doubt where it covers next to nothing or most of the image.

    Raises:
        DataError: The file holds other values, or several colours; they are listed.

    Example:
        >>> structure_in(np.array([[0, 1], [1, 1]], np.uint8), Path("a.png")).mask.tolist()
        [[False, True], [True, True]]
    """
    grey = flat(values)
    if of:
        found = np.isin(grey, of)
    else:
        colours = values.astype(int) @ [65536, 256, 1] if values.ndim == 3 else grey
        seen, brightness = np.unique(colours), np.unique(grey)
        if len(brightness) <= 2 and len(seen) > len(brightness):
            raise DataError(
                f"mask {printable(path)} is in {len(seen)} colours: "
                f"{listed(f'#{colour:06x}' for colour in seen)}. Export the structure as white on "
                "black."
            )
        if not (set(brightness) <= {0, 1} or set(brightness) <= {0, 255}):
            raise DataError(
                f"mask {printable(path)} holds the values {listed(brightness)}, and a mask holds 0 "
                "and 1, or 0 and 255. Export it so, as png, or say which values are the "
                f"structure, as --value {brightness[-1]} does."
            )
        found = grey > 0
    decision = by_histogram(np.uint8(255) * found)
    return Decision(found, "given values" if of else decision.note, decision.doubt)


def listed(names: Iterable) -> str:
    """The first names of a list, and how many there are more.

    Example:
        >>> listed(range(20))
        '0, 1, 2, 3, 4, 5, 6, 7 and 12 more'
    """
    names = [printable(str(name)) for name in names]
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
