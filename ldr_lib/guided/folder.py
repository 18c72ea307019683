"""One structure in all images of a folder: masks, overlays and a table of areas, image by image."""

import csv
import json
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from PIL import Image, ImageDraw, ImageFont

from ..data.checks import flag
from ..data.checks import path as checked_path
from ..data.checksums import file_digest
from ..data.crop import CONTENT
from ..data.errors import DataError, one_of, printable
from ..data.files import Progress, atomic_write, not_written
from ..data.folders import contents, stem_of
from ..data.names import numbered
from ..data.own_images import Folder
from ..explore.colours import CYAN, outline
from ..network import TwoBranchNet
from ..pretrained import PRETRAINED, GuidedNets, load_pretrained
from ..structures import GUIDES
from ..tensor_files import fingerprint_of
from .confidence import judge
from .predict import found_in
from .shipping import COLOURS

TABLE, SETTINGS, LOCK = "areas.csv", "settings.json", ".lock"
"""Files in the folder of results, beside the folders masks and overlays."""
LARGEST = 1600
"""Longer side of an overlay in pixels; larger images are reduced for it."""
UNUSABLE = "unusable: "
"""How the remark about an image begins that could not be read or searched."""


@dataclass
class Area:
    """What was found in one image: a line of the table.

    Attributes:
        file: The image's path below the folder.
        width, height: Of the image in pixels.
        field_of_view: Pixels of the field of view; of an X-ray those without borders.
        area: Pixels of the structure.
        share: Area as a share of the field of view.
        confidence: From 0 to 1, as `Confidence.value`.
        remark: Why nothing counts as found or the image is unusable; empty where all is well.
        mask: The mask's path below the folder of results, white structure on black.
        overlay: The overlay's path there.
        checksum: Of the image file, by which a later run knows that it has not changed.
    """

    file: str
    width: int | str = ""
    height: int | str = ""
    field_of_view: int | str = ""
    area: int | str = ""
    share: float | str = ""
    confidence: float | str = ""
    remark: str = ""
    mask: str = ""
    overlay: str = ""
    checksum: str = ""

    @property
    def is_unusable(self) -> bool:
        """Whether the image could not be read or searched."""
        return self.remark.startswith(UNUSABLE)


COLUMNS = [one.name for one in fields(Area)]


@dataclass
class FolderReport:
    """What was done; printed, it is a summary in which unusable images are named.

    Attributes:
        out: The folder of results.
        structure: What was looked for.
        rows: One `Area` for each image.
        kept: How many of them an earlier run had finished.
        remarks: What concerns the whole folder.
    """

    out: Path
    structure: str
    rows: list[Area]
    kept: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def unusable(self) -> list[Area]:
        """Images that could not be read or searched."""
        return [row for row in self.rows if row.is_unusable]

    @property
    def doubtful(self) -> list[Area]:
        """Images in which nothing counts as found."""
        return [row for row in self.rows if row.remark and not row.is_unusable]

    def __str__(self) -> str:
        earlier = f", {self.kept} of them by an earlier run" if self.kept else ""
        found = len(self.rows) - len(self.unusable) - len(self.doubtful)
        lines = [
            *self.remarks,
            f"{self.structure}: found in {found} of {len(self.rows)} images{earlier}; "
            f"{len(self.doubtful)} without it, {len(self.unusable)} unusable",
            *(f"{row.file}: {row.remark}" for row in self.doubtful + self.unusable),
            f"masks, overlays and {TABLE}: {printable(self.out)}",
        ]
        return "\n".join(lines)


def predict_folder(
    folder: Path | str,
    structure: str,
    out: Path | str,
    model: TwoBranchNet | GuidedNets | None = None,
    device: str = "auto",
    keep_doubtful: bool = False,
) -> FolderReport:
    """Finds a structure in all images of a folder and its subfolders.

    Each image gives a mask at its own size (masks/), the image with the mask's contour (overlays/,
    at most 1600 pixels) and a line in areas.csv. An image that cannot be used is named there and
    does not stop the others. The same call goes on after an interruption, takes up new and changed
    images, and tries unusable ones again.

    Args:
        folder: Of image files; masks that lie among them are left out.
        structure: As in `predict_structure`.
        out: Folder of the results: new, empty, or that of the same call.
        model: A guided network, or several; None takes those of the package.
        device: As in `pick_device`, for the networks of the package.
        keep_doubtful: Write the mask also where the confidence says that nothing was found.

    Returns:
        The `FolderReport`.

    Raises:
        ValueError: Unknown structure.
        DataError: The folder is missing or holds no image; `out` holds something else; it cannot
            be written.
    """
    flag(keep_doubtful, "keep_doubtful")
    model = _networks(structure, device) if model is None else model
    net = (model if isinstance(model, GuidedNets) else GuidedNets([model])).network(structure)
    out = checked_path(out, "out").expanduser()
    images, remarks = _images_of(folder, net.guide.modality, out)
    settings = {
        "structure": structure,
        "weights": fingerprint_of(net.state_dict()),
        "keep_doubtful": bool(keep_doubtful),
    }
    with _locked(out, settings):
        before = {row.file: row for row in _read_table(out / TABLE)}
        _write_table(out / TABLE, before.values())
        rows, kept, line = [], 0, Progress(structure, len(images.items))
        for path, name in zip(*_paths_and_names(images)):
            row = _done(before.get(printable(path.relative_to(images.root))), path, name, out)
            kept += row is not None
            if row is None:
                row = _searched(net, structure, images, path, name, out, keep_doubtful)
                _append(out / TABLE, row)
            rows.append(row)
            line.step(row.remark and f"{row.file}: {row.remark}")
        present = {row.file for row in rows}
        gone = [row for name, row in before.items() if name not in present]
        _write_table(out / TABLE, rows + gone)
        line.close(f"{len(rows)} images")
    return FolderReport(out, structure, rows, kept, remarks)


def _networks(structure: str, device: str) -> GuidedNets:
    """The networks of the package that find a structure."""
    known = {
        name: modality
        for modality, networks in PRETRAINED.items()
        for network in networks
        for name in GUIDES[network].names
    }
    return load_pretrained(known[one_of(structure, known, "structure")], device)


class _Images(Folder):
    """The images of a folder in which a structure is looked for."""

    def find(self, root, split):
        items = super().find(root, split)
        if not items:
            raise DataError(
                f"{printable(root)} holds no image, also not in its subfolders; found: "
                f"{contents(root)}"
            )
        return items


def _images_of(folder: Path | str, modality: str, out: Path) -> tuple[Folder, list[str]]:
    """The images of a folder without those of the results, and what is to be said about it."""
    path = checked_path(folder, "folder").expanduser()
    if not path.exists():
        raise DataError(
            f"the folder {printable(path)} does not exist (looked for it from {Path.cwd()})"
        )
    if path.is_file():
        raise DataError(
            f"{printable(path)} is a file. Give the folder that holds it; predict_structure takes "
            "single files."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are remarks of the report
        images = _Images(path, "all", modality)
    results = out.resolve()
    images.items = [item for item in images.items if results not in item.image.resolve().parents]
    if not images.items:
        raise DataError(f"{printable(path)} holds no image but those of {printable(out)}")
    return images, images.report()


def _paths_and_names(images: Folder) -> tuple[list[Path], list[str]]:
    """The images, and a name of each for its results, which no other has."""
    paths = [item.image for item in images.items]
    shorter = [path.relative_to(images.root).with_name(stem_of(path)) for path in paths]
    folded = [str(name).casefold() for name in shorter]
    times = Counter(folded)
    names = [
        str(path.relative_to(images.root)) if times[short] > 1 else str(name)
        for path, name, short in zip(paths, shorter, folded)
    ]
    return paths, numbered(names, mark="~", ignore_case=True)


def _done(row: Area | None, path: Path, name: str, out: Path) -> Area | None:
    """The line of an earlier run, if it still holds."""
    mask = f"masks/{name}.png"
    if row is None or row.mask != printable(mask) or not (out / mask).is_file():
        return None
    try:
        return row if row.checksum == _checksum(path) else None
    except OSError:
        return None


def _checksum(path: Path) -> str:
    return file_digest(path)[:16]


def _searched(
    net: TwoBranchNet, structure: str, images: Folder, path: Path, name: str, out: Path, keep: bool
) -> Area:
    """Searches one image and writes its mask and overlay."""
    row = Area(printable(path.relative_to(images.root)))
    try:
        row.checksum = _checksum(path)
        pixels = images.to_channels(images.read(path).pixels, path)
        found = found_in(net, pixels, structure, name=printable(path))
    except (DataError, OSError, MemoryError) as error:
        row.remark = UNUSABLE + str(error)
        return row
    judged = judge(found, net.guide, structure)
    mask = (found.whole > 0.5) & (judged.found or keep)
    row.height, row.width = mask.shape
    find_inside, _ = CONTENT[net.guide.modality]
    row.field_of_view, row.area = int(find_inside(found.image).sum()), int(mask.sum())
    row.share = round(row.area / row.field_of_view, 6)
    row.confidence, row.remark = round(judged.value, 3), judged.words
    row.mask, row.overlay = f"masks/{name}.png", f"overlays/{name}.png"
    with atomic_write(out / row.mask) as temporary:
        Image.fromarray(mask.astype(np.uint8) * 255).save(temporary, "PNG")
    with atomic_write(out / row.overlay) as temporary:
        _overlay(pixels, mask, structure, judged.words).save(temporary, "PNG")
    row.mask, row.overlay = printable(row.mask), printable(row.overlay)
    return row


def _overlay(pixels: np.ndarray, mask: np.ndarray, structure: str, words: str) -> Image.Image:
    """An image with the contour of a mask, and why the mask is doubted."""
    scale = min(1.0, LARGEST / max(mask.shape))
    size = tuple(max(1, round(side * scale)) for side in mask.shape[::-1])
    image = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    soft = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BOX)
    drawn = outline(image, np.asarray(soft) > 127, COLOURS.get(structure, CYAN))
    shown = Image.fromarray((255 * drawn).round().astype(np.uint8))
    if words:
        font = ImageFont.load_default(max(12, round(max(size) / 32)))
        draw = ImageDraw.Draw(shown)
        draw.rectangle(draw.textbbox((4, 4), words, font=font), fill="black")
        draw.text((4, 4), words, fill=(255, 200, 60), font=font)
    return shown


@contextmanager
def _locked(out: Path, settings: dict) -> Iterator[None]:
    """Holds the folder of results, if it is new or of the same call."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{printable(out)} is a file; choose a folder for the results")
    kept = out / SETTINGS
    if out.is_dir() and any(entry.name[0] != "." for entry in out.iterdir()):
        _check_settings(kept, settings)
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DataError(
            f"another process is writing to {printable(out)}; wait for it, or choose another folder"
        ) from error
    except OSError as error:
        raise not_written(out, error) from error
    try:
        with atomic_write(kept) as temporary:
            temporary.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        yield
    finally:
        lock.release()


def _check_settings(kept: Path, settings: dict) -> None:
    """Makes sure that results in a folder are those of the same call."""
    try:
        before = json.loads(kept.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"{printable(kept.parent)} holds other files, and nothing there is overwritten. "
            "Choose a new folder for the results."
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(
            f"{printable(kept)} cannot be read ({error}). Choose a new folder for the results."
        ) from error
    before = before if isinstance(before, dict) else {}
    if different := [name for name, value in settings.items() if before.get(name) != value]:
        was = ", ".join(f"{name} {before.get(name)}" for name in different if name != "weights")
        raise DataError(
            f"{printable(kept.parent)} holds the results of another call "
            f"({was or 'with other weights'}), and nothing there is overwritten. Choose a new "
            "folder for the results."
        )


def _read_table(path: Path) -> list[Area]:
    """The lines of an earlier run; one that was cut off, or that another program wrote in its own
    way, does not count.
    """
    if not path.exists():
        return []
    found = []
    with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
        for line in csv.DictReader(file):
            if line.keys() == set(COLUMNS) and line["checksum"]:
                with suppress(ValueError):
                    found.append(Area(**{name: _value(name, text) for name, text in line.items()}))
    return found


def _value(column: str, text: str) -> int | float | str:
    """A value of the table as it was before it was written.

    Raises:
        ValueError: It is no number where one is expected, as "0,53", or the text is not in UTF-8.
    """
    text.encode("utf-8")  # fails for what could not be decoded
    if text and column in ("width", "height", "field_of_view", "area"):
        return int(text)
    return float(text) if text and column in ("share", "confidence") else text


def _write_table(path: Path, rows: Iterable[Area]) -> None:
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(map(asdict, rows))


def _append(path: Path, row: Area) -> None:
    """Adds a line at once, so that an interruption loses none."""
    try:
        with open(path, "a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS).writerow(asdict(row))
    except OSError as error:
        raise not_written(path, error) from error
