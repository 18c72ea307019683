"""The head of a weights' card, what a model hub reads, and the images it names."""

from typing import NamedTuple

import yaml

from ..data.datasets import DATASETS

TERMS = {
    "DR_10_classes": "598 photographs collected for research; their source states no licence",
    "NIH_sample": "NIH Clinical Center, free to use, cite Wang et al. 2017 (ChestX-ray8)",
}
"""Folder of images of no adapter's own to their terms."""


class Source(NamedTuple):
    """Training images of a card."""

    title: str
    terms: str


def source(name: str, folder: str = "") -> Source:
    """The images of a dataset, or of a folder that has no adapter of its own."""
    if folder:
        return Source(folder, TERMS[folder])
    return Source(DATASETS[name].title, DATASETS[name].terms)


def card_head(name: str, datasets: list, metrics: dict[str, float]) -> str:
    """YAML between two lines of dashes.

    Args:
        name: Of the weights.
        datasets: What was trained on: adapters of datasets, or `Source`s; their terms are those of
            the weights.
        metrics: Name to value of what was measured.
    """
    about = {
        "license": "other",
        "license_name": "terms of the training images",
        "license_details": {kind.title: kind.terms for kind in datasets},
        "library_name": "ldr_lib",
        "model_name": name,
        "datasets": [kind.title for kind in datasets],
        "metrics": {key: round(value, 3) for key, value in metrics.items()},
    }
    return (
        "---\n" + yaml.safe_dump(about, sort_keys=False, allow_unicode=True, width=1000) + "---\n"
    )
