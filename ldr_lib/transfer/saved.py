"""Segmenters on disk, and the masks that they find in a folder of new images."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, PngImagePlugin

from ..data import checks
from ..data.checksums import file_digest
from ..data.errors import DataError, printable
from ..data.files import atomic_write, progress
from ..data.folders import stem_of
from ..data.own_images import Folder
from ..device import pick_device, to_device
from ..network import Encoder
from ..tensor_files import fingerprint_of, read_tensors, save_tensors
from .imagenet import IMAGENET, ImageNetEncoder
from .own_masks import existing_folder, listed
from .segmenter import Segmenter, segment

MAKE = "python -m ldr_lib transfer IMAGES --masks MASKS --out FOLDER makes one"
SEGMENTERS = "segmenter_*.safetensors"
"""Names of segmenters in a folder of results."""


@dataclass(frozen=True)
class SeenAs:
    """How a segmenter sees images, which new ones must be brought to.

    Attributes:
        structure: What it finds.
        modality: "fundus", "chest" or "other".
        channels: 3 or 1.
        size: Side in pixels of the prepared images.
        ranges: In which images of more than 8 bits were shown, as `common_ranges` returns them.
    """

    structure: str
    modality: str
    channels: int
    size: int
    ranges: dict[str, tuple[float, float]]


def save_segmenter(net: Segmenter, seen: SeenAs, path: Path | str, made_from: dict) -> None:
    """Writes a segmenter to one safetensors file, completely or not at all.

    Args:
        net: The segmenter.
        seen: How it sees images.
        path: The file.
        made_from: What it was trained from, plain values.

    Raises:
        ValueError: There is no segmenter.
        DataError: The file cannot be written.
    """
    checks.instance(net, Segmenter, "net", "a Segmenter")
    checks.instance(seen, SeenAs, "seen", "a SeenAs")
    about = {"seen": json.dumps(vars(seen)), "made_from": json.dumps(made_from)}
    if isinstance(net.encoder, ImageNetEncoder):
        about["encoder"] = net.encoder.name
    save_tensors(net.state_dict(), path, about)


def load_segmenter(path: Path | str, device: str = "auto") -> tuple[Segmenter, SeenAs]:
    """Builds the segmenter that `save_segmenter` wrote.

    Args:
        path: The file, or a folder of results that holds one segmenter.
        device: As in `pick_device`.

    Returns:
        The segmenter in evaluation mode, and how it sees images.

    Raises:
        DataError: There is none, or several, or the file is damaged or holds something else.
        ImportError: It started from ImageNet, and the extra "rivals" is not installed.

    Taught in notebook 05, section 6.
    """
    path = _only_segmenter(checks.path(path, "path").expanduser())
    tensors, about = read_tensors(path, MAKE)
    try:
        seen = json.loads(about["seen"])
        seen = SeenAs(**seen | {"ranges": {k: tuple(v) for k, v in seen["ranges"].items()}})
        kind = about.get("encoder")
        encoder = ImageNetEncoder(seen.channels, IMAGENET[kind]) if kind else Encoder(seen.channels)
        net = Segmenter(encoder)
        net.load_state_dict(tensors)
    except ImportError:
        raise
    except Exception as error:
        raise DataError(
            f"{printable(path)} is no segmenter: it holds another network. {MAKE}"
        ) from error
    return to_device(net, pick_device(device)).eval(), seen


def _only_segmenter(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob(SEGMENTERS))
    if len(found) == 1:
        return found[0]
    if found:
        raise DataError(
            f"{printable(path)} holds {len(found)} segmenters: "
            f"{listed(one.name for one in found)}. Name one of the files."
        )
    raise DataError(f"{printable(path)} holds no segmenter. {MAKE}")


def origin_of(path: Path) -> dict | None:
    """What a segmenter was trained from, as `save_segmenter` noted it; None without a file.

    Raises:
        DataError: The file is damaged.
    """
    if not path.exists():
        return None
    _, about = read_tensors(path, "Remove it to train it again")
    return json.loads(about.get("made_from", "{}"))


class _NewImages(Folder):
    """New images, brought to what a segmenter sees."""

    def __init__(self, images, seen: SeenAs):
        super().__init__(existing_folder(images, "images"), "all", seen.modality)
        self.opened_by_name = False  # leaves X-rays as they lie, as in training
        self.channels, self.ranges = seen.channels, self.ranges | seen.ranges


def predict_folder(
    segmenter: Path | str,
    images: Path | str,
    out: Path | str,
    device: str = "auto",
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Finds a structure in all images of a folder, and writes one mask for each, at its own size.

    A mask has the name of its image, and values 0 and 255, as png. Masks that this segmenter has
    written from the same images before are kept, so that an interrupted call goes on; anything
    else of the same name stops it before it begins.

    Args:
        segmenter: As in `load_segmenter`.
        images: Folder of the new images, also with subfolders.
        out: Folder for the masks, outside of that of the images.
        device: As in `pick_device`.
        say: Is given a line about each kind of doubt, for example files that are left out.

    Returns:
        A row for each image: "mask" (the file), "share" (of the image that is structure), "state"
        ("new", "kept", or why the image cannot be used).

    Raises:
        DataError: Segmenter or images cannot be opened, two images would have one mask, or `out`
            holds other files of these names.

    Taught in notebook 05, section 6.
    """
    net, seen = load_segmenter(segmenter, device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # they are said in the end
        dataset = _NewImages(images, seen)
        rows = _masks_of(net, seen, dataset, out)
    for line in dataset.report():
        say(line)
    return pd.DataFrame(rows, ["mask", "share", "state"]).T


def _masks_of(net: Segmenter, seen: SeenAs, dataset: Folder, out: Path | str) -> dict[str, tuple]:
    """The rows of `predict_folder`."""
    out = checks.path(out, "out").expanduser()
    targets = _targets(dataset, out)
    weights = fingerprint_of(net.state_dict())
    digests = [file_digest(item.image)[:32] for item in dataset.items]
    marks = [{"segmenter": weights, "image": digest} for digest in digests]
    kept = [_is_kept(path, mark) for path, mark in zip(targets, marks)]
    rows = {}
    for i in progress(range(len(dataset)), f"finding {seen.structure}", len(dataset)):
        image = dataset.items[i].image.relative_to(dataset.root)
        rows[printable(image)] = _found(net, seen, dataset, i, targets[i], marks[i], kept[i])
    return rows


def _targets(dataset: Folder, out: Path) -> list[Path]:
    """Where the masks go, each below `out` as its image lies below its folder."""
    if out.exists() and not out.is_dir():
        raise DataError(f"{printable(out)} is a file: name a folder for the masks")
    root = dataset.root.resolve()
    if root == out.resolve() or root in out.resolve().parents:
        raise DataError(
            f"{printable(out)} lies in the folder of the images, where masks would count as "
            "images next time: choose a folder outside"
        )
    targets: dict[Path, Path] = {}
    for image in (item.image for item in dataset.items):
        below = image.relative_to(dataset.root)
        target = out / below.parent / f"{stem_of(image)}.png"
        if target in targets:
            raise DataError(
                f"{printable(targets[target])} and {printable(image)} would have one mask, "
                f"{printable(target)}. Rename one of them."
            )
        targets[target] = image
    return list(targets)


def _is_kept(path: Path, mark: dict[str, str]) -> bool:
    """Whether a mask is there already; a file that is something else is not touched."""
    if not path.exists():
        return False
    try:
        with Image.open(path) as image:
            made_by = {name: image.info.get(name) for name in mark}
    except (OSError, ValueError):
        made_by = {}
    if made_by != mark:
        raise DataError(
            f"{printable(path)} is there already and was not made by this segmenter from this "
            "image. Choose another folder, or move what is there."
        )
    return True


def _found(net, seen: SeenAs, dataset: Folder, i: int, path: Path, mark: dict, kept: bool) -> tuple:
    """A row of `predict_folder`; writes the mask unless it is kept."""
    if kept:
        return path, float(np.mean(np.asarray(Image.open(path)) > 0)), "kept"
    image = dataset.items[i].image
    try:
        found = segment(net, dataset[i], seen.size, seen.modality) > 0.5
    except DataError as error:
        where = printable(image)
        return None, None, str(error) if where in str(error) else f"{where}: {error}"
    text = PngImagePlugin.PngInfo()
    for name, value in mark.items():
        text.add_text(name, value)
    with atomic_write(path) as temporary:
        Image.fromarray(np.uint8(255) * found).save(temporary, "PNG", pnginfo=text)
    return path, float(found.mean()), "new"


def said(table: pd.DataFrame, out: Path) -> str:
    """What `predict_folder` has done, in a few lines.

    Args:
        table: As it returns it.
        out: Folder of the masks.
    """
    written = table[table["mask"].notna()]
    nothing = written.index[written["share"] == 0]
    lines = [f"{len(written)} masks in {printable(out)}"]
    if kept := (written["state"] == "kept").sum():
        lines.append(f"{kept} of them were there from an earlier call")
    if len(nothing):
        lines.append(f"nothing was found in {len(nothing)}: {listed(nothing)}")
    problems = table["state"][table["mask"].isna()]
    return "\n".join([*lines, *(f"PROBLEM  {problem}" for problem in problems)])
