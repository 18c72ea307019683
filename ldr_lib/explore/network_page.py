"""The explorer's page for networks and a dataset by name: what the command `page` does."""

from pathlib import Path

from ..data.datasets import DATASETS, open_dataset
from ..data.errors import DataError, one_of
from ..data.prepare import prepare
from ..pretrained import CHANNELS, load_representation
from ..settings import Settings
from .page import write_page
from .scene import embed_scene
from .steps import embed_steps, snapshots

SAMPLES = {"fundus": "sample_fundus", "chest": "sample_chest", "other": "immunohistochemistry"}
"""Modality to the dataset that comes with the package."""


def network_page(
    path: Path | str,
    folder: Path | str | None = None,
    modality: str = "",
    dataset: str = "",
    data_dir: str = "",
    split: str = "test",
    limit: int = 4,
    side: int | None = None,
) -> Path:
    """Writes an explorer's page of real images.

    Args:
        path: The file.
        folder: Of a training with snapshots, over which the page gets a slider; None shows the
            network that comes with the package.
        modality: "fundus", "chest" or "other"; "" takes that of the snapshots, or "fundus", or
            "other" where the dataset is of other images.
        dataset: Name of a dataset; "" takes the small sample of real images that comes with the
            package.
        data_dir: Its folder, or the folder that holds it.
        split: Part of the dataset.
        limit: Number of images, the first ones are taken.
        side: As in `write_page`.

    Returns:
        The path.

    Raises:
        DataError: The snapshots or the images cannot be used, or do not belong to each other; or
            there are no snapshots, and no network comes with the package.
        ValueError: Unknown modality, dataset or split.
    """
    nets = {} if folder is None else snapshots(folder)
    if not modality and getattr(DATASETS.get(dataset), "modality", "") == "other":
        modality = "other"
    modality = modality and one_of(modality, SAMPLES, "modality")
    if modality == "other" and not nets:
        raise DataError(
            "no network for images of another kind comes with the kit: train one, and give its "
            "snapshots (--snapshots)"
        )
    if nets and modality != "other":
        modality = _modality_of(folder, next(iter(nets.values())).in_channels, modality)
    modality = modality or "fundus"
    size = Settings.for_tier("class", modality, seed=0).image_size
    own = modality if dataset == "folder" else None
    opened = open_dataset(dataset or SAMPLES[modality], data_dir or None, split, own)
    images = prepare(opened, size)
    if nets:
        return write_page(embed_steps(nets, images, limit), path, side=side)
    return write_page(embed_scene(load_representation(modality), images, limit), path, side=side)


def _modality_of(folder: Path | str, channels: int, modality: str) -> str:
    """The modality of networks by their channels, which one that was named must fit."""
    found = next((name for name, taken in CHANNELS.items() if taken == channels), None)
    if found is None or modality and modality != found:
        kind = f"{found} images" if found else f"images of {channels} channels"
        raise DataError(
            f"the networks of {folder} take {kind}, not {modality or ' or '.join(CHANNELS)} images"
        )
    return found
