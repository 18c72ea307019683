"""What the kit makes of a folder of images, before anyone trains: a table and a contact sheet."""

import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from .crop import CONTENT, everywhere
from .errors import DataError, printable
from .files import atomic_write, progress
from .folders import list_folder, stem_of
from .masks import by_histogram
from .own_images import MODALITIES, Folder, mixed_depths
from .read import is_plain_grey, read_picture
from .read.picture import upright
from .xray import Pose, pose

TILE, LABEL, COLUMNS, MOST = 220, 34, 8, 240
"""Pixels of a thumbnail and of the text below it; thumbnails a row and on the whole sheet."""
FIELD, MASK = (0, 200, 255), (255, 220, 0)
"""Colours of the contours of field of view and mask."""

LITTLE = 0.35
"""A photograph of the retina rarely has a smaller field of view."""


@dataclass
class Checked:
    """What was found out about one image.

    Attributes:
        name: Its path below the folder.
        problem: Why it cannot be used, or "".
        doubts: What should be looked at.
        notes: What was done to read it.
        depth: As in `Picture`, "" where it cannot be read.
        thumbnail: (h, w, 3) uint8 with contours of field of view and mask, or None.
    """

    name: str
    problem: str = ""
    doubts: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    depth: str = ""
    thumbnail: np.ndarray | None = None

    @property
    def line(self) -> str:
        """The image in one line."""
        if self.problem:
            return f"PROBLEM  {self.problem}"
        doubts = f"  LOOK: {'; '.join(self.doubts)}" if self.doubts else ""
        return f"{'look' if self.doubts else 'ok':7s}  {self.name}: {', '.join(self.notes)}{doubts}"


@dataclass
class Report:
    """What was found out about a folder; printed, it is a table with problems first.

    Attributes:
        folder: Where the images lie.
        modality: "fundus", "chest" or "other".
        remarks: What concerns the whole folder.
        images: One `Checked` for each image, problems first, then doubts.
    """

    folder: Path
    modality: str
    remarks: list[str]
    images: list[Checked]

    @property
    def problems(self) -> int:
        """The number of images that cannot be used."""
        return sum(bool(image.problem) for image in self.images)

    def __str__(self) -> str:
        doubtful = sum(bool(image.doubts) and not image.problem for image in self.images)
        fine = len(self.images) - doubtful - self.problems
        taken = MODALITIES[self.modality]
        head = (
            f"{printable(self.folder)}: {len(self.images)} images, taken for {taken}; "
            f"{self.problems} unusable, {doubtful} to look at, {fine} without remark"
        )
        return "\n".join([head, *self.remarks, *(image.line for image in self.images)])


def check(
    folder: Path | str,
    masks: Path | str | None = None,
    modality: str | None = None,
    out: Path | str | None = None,
) -> Report:
    """Reads all images of a folder as a training would, and reports what was done and found.

    Args:
        folder: Folder of images.
        masks: Folder of their masks; a mask's name is its image's, or begins with it.
        modality: "fundus", "chest" or "other"; None decides by the majority.
        out: Where to write the contact sheet, a png, or None. It shows the images with the contours
            of the field of view (blue) and of the mask (yellow), problems first.

    Returns:
        The `Report`.

    Raises:
        ValueError: Unknown modality.
        DataError: A folder is missing or empty, or the sheet cannot be written.

    Taught in notebook 01, section 3.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are remarks of the report
        images = Folder(folder, "all", modality)
    files = _by_stem(masks, {item.image for item in images.items}) if masks else None
    with ThreadPoolExecutor() as pool:
        items = pool.map(lambda item: _checked(images, item, files), images.items)
        rows = list(progress(items, "checking", len(images)))
    remarks = images.report()
    mixture = _mixture(rows)
    if mixture and not any(mixture in remark for remark in remarks):  # a small folder said it
        remarks.append(f"of {len(rows)} images, {mixture}")
    rows.sort(key=lambda row: (not row.problem, not row.doubts))
    if files is not None:
        without = sum(_mask_of(item.image, files) is None for item in images.items)
        remarks.append(f"{printable(masks)}: {without} of {len(rows)} images have no mask there")
    if out:
        with atomic_write(Path(out)) as temporary:
            contact_sheet(rows).save(temporary, "PNG")
    return Report(images.root, images.modality, remarks, rows)


def _mixture(rows: list[Checked]) -> str:
    """A sentence where the images have several bit depths, else ""; the rarer ones are doubted."""
    depths = Counter(row.depth for row in rows if row.depth)
    if len(depths) < 2:
        return ""
    (usual, _), *_ = depths.most_common()
    for row in rows:
        if row.depth not in ("", usual):
            row.doubts.append(f"{row.depth}, most images are {usual}")
    return mixed_depths(depths)


def _by_stem(folder: Path | str, images: set[Path]) -> dict[str, Path]:
    """Mask files by their names; images that lie among them do not count."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise DataError(f"the folder of masks {printable(folder)} does not exist")
    found = [path for path in list_folder(folder).images if path not in images]
    files = {stem_of(path).lower(): path for path in found}
    if not files:
        raise DataError(f"{printable(folder)} holds no mask: no image file is in it")
    return files


def _mask_of(image: Path, files: dict[str, Path]) -> Path | None:
    stem = stem_of(image).lower()
    longer = [
        name for name in files if name.startswith(stem) and not name[len(stem) :][:1].isalnum()
    ]
    name = stem if stem in files else min(longer, default=None)
    return files.get(name)


def _checked(images: Folder, item, files: dict[str, Path] | None) -> Checked:
    row = Checked(printable(item.image.relative_to(images.root)))
    try:
        picture = images.read(item.image)
        row.depth = picture.depth
        pixels = images.to_channels(picture.pixels, item.image)
        height, width = pixels.shape[:2]
        row.notes = [f"{width} x {height}", "grey" if is_plain_grey(picture.pixels) else "colour"]
        row.notes += picture.notes
        row.doubts += picture.doubts
        if pixels.max() == pixels.min():
            raise DataError(f"{printable(item.image)} is all of one value: an empty exposure")
        found = pose(pixels) if images.modality == "chest" else Pose()
        changed = found.sure and images.opened_by_name
        if str(found) != "upright":
            row.doubts.append(f"{found}: put right" if changed else f"perhaps {found}")
        pixels = found.apply(pixels) if changed else pixels
        find, _ = CONTENT.get(images.modality, (everywhere, 0))
        inside = find(pixels)
        name = "field of view" if images.modality == "fundus" else "without borders"
        if images.modality == "fundus" or not inside.all():
            row.notes.append(f"{name} {inside.mean():.0%}")
        if images.modality == "fundus" and inside.mean() < LITTLE:
            row.doubts.append(
                f"field of view {inside.mean():.0%}: if it is no photograph of the retina, say "
                'modality="other" (--modality other)'
            )
        mask = _mask(row, item.image, picture, files)
        if mask is not None and changed:
            mask = found.turn(mask)
        row.thumbnail = _thumbnail(pixels, inside, mask)
    except DataError as error:
        where = printable(item.image)
        row.problem = str(error) if where in str(error) else f"{where}: {error}"
    return row


def _mask(row: Checked, image: Path, picture, files: dict[str, Path] | None) -> np.ndarray | None:
    """The image's mask as it was decided, with notes in the row."""
    path = _mask_of(image, files) if files else None
    if path is None:
        row.notes += ["no mask"] if files is not None else []
        return None
    read = read_picture(path)
    values, shape = read.pixels, picture.pixels.shape[:2]
    turned = upright(values, picture.orientation) if read.orientation == 1 else values
    values = turned if turned.shape[:2] == shape else values
    if values.shape[:2] != shape:
        raise DataError(
            f"mask {printable(path)} measures {values.shape[1]} x {values.shape[0]} pixels, its "
            f"image {printable(image)} {shape[1]} x {shape[0]}"
        )
    decision = by_histogram(values)
    row.notes.append(f"mask {decision.mask.mean():.2%} ({decision.note})")
    row.doubts += [f"the mask {decision.doubt}"] if decision.doubt else []
    return decision.mask


def _thumbnail(pixels: np.ndarray, inside: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """A small picture with contours."""
    scale = TILE / max(pixels.shape[:2])
    size = tuple(max(8, round(side * scale)) for side in pixels.shape[1::-1])
    small = np.array(Image.fromarray(pixels).convert("RGB").resize(size, Image.Resampling.BOX))
    for region, colour in ((inside, FIELD), (mask, MASK)):
        if region is not None:
            grown = Image.fromarray(region.astype(np.uint8) * 255).resize(size)
            region = np.pad(np.asarray(grown) > 127, 1)
            small[(region & ~ndimage.binary_erosion(region))[1:-1, 1:-1]] = colour
    return small


def contact_sheet(rows: list[Checked]) -> Image.Image:
    """The thumbnails of images on one sheet, in the order given, at most 240.

    Args:
        rows: What `check` found.
    """
    rows = rows[:MOST]
    columns = max(1, min(COLUMNS, len(rows)))
    step = TILE + 8
    lines = max(1, ceil(len(rows) / columns))
    sheet = Image.new("RGB", (columns * step, lines * (step + LABEL)), (24, 24, 24))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for i, row in enumerate(rows):
        x, y = i % columns * step + 4, i // columns * (step + LABEL) + 4
        if row.thumbnail is not None:
            sheet.paste(Image.fromarray(row.thumbnail), (x, y))
        else:
            draw.rectangle((x, y, x + TILE, y + TILE), outline=(255, 80, 60))
            draw.line((x, y, x + TILE, y + TILE), fill=(255, 80, 60))
        colour = (255, 80, 60) if row.problem else (255, 200, 60) if row.doubts else "white"
        text = "\n".join(part[:34] for part in (row.name[-34:], "; ".join(row.doubts)))
        draw.text((x, y + TILE + 2), text, fill=colour, font=font, spacing=2)
    return sheet
