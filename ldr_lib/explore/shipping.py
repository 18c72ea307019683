"""Putting the networks of the long trainings into the package: weights, the embeddings of four
photographs over the steps, and their card.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from ..callbacks import STEP_FILE
from ..checkpoint import load_model, save_model
from ..data.datasets import DATASETS
from ..data.files import atomic_write
from ..pretrained import REPRESENTATIONS, WEIGHTS, representation_file
from ..runs.cards import card_head
from ..runs.records import as_markdown
from ..tensor_files import save_tensors
from .kept_steps import CELL, MODALITY, SCALE, SIDE, photographs, steps_file
from .learning import UNLABELLED, WAYS, settings_of, training_folder
from .learning_table import ASKED, COMPARED, learning_records, learning_table
from .packing import downsample
from .steps import Steps, embed_steps, snapshots

SEED, LONGEST = 0, 10_000
"""Of the shipped trainings: their seed, and the last step of the slider."""
TERMS = {
    "DR_10_classes": "598 photographs collected for research; their source states no licence",
    "NIH_sample": "NIH Clinical Center, free to use, cite Wang et al. 2017 (ChestX-ray8)",
}
"""Folder of images of no adapter's own to their terms."""


def ship() -> Path:
    """Puts the networks of the declared ways and steps into the package, at half precision, with
    the embeddings of four photographs and one card.

    Returns:
        Path of the card.

    Raises:
        DataError: The networks are not on this machine: `python -m ldr_lib records learning` trains
            them.
    """
    for modality, ways in REPRESENTATIONS.items():
        for way, steps in ways.items():
            folder = training_folder(way, modality, SEED)
            for step in steps:
                net = load_model(folder / STEP_FILE.format(step), "cpu")
                save_model(net.half(), representation_file(modality, way, step))
    shown = photographs()
    for way in REPRESENTATIONS[MODALITY]:
        nets = snapshots(training_folder(way, MODALITY, SEED), "cpu")
        _save_steps(embed_steps({n: net for n, net in nets.items() if n <= LONGEST}, shown), way)
    with atomic_write(WEIGHTS / "representations.md") as temporary:
        temporary.write_text(card(), encoding="utf-8")
    return WEIGHTS / "representations.md"


def _save_steps(steps: Steps, way: str) -> None:
    """Embeddings of cells inside the field of view as signed bytes."""
    tensors = {}
    for step in steps.embeddings:
        small = downsample(steps.scene(step), SIDE // CELL)
        vectors = np.rint(SCALE * small.embeddings[small.inside]).astype(np.int8)
        tensors["inside"] = torch.from_numpy(small.inside.astype(np.uint8))
        tensors[f"{step} embeddings"] = torch.from_numpy(vectors)
        if way != "embedding only":
            tensors[f"{step} clusters"] = torch.from_numpy(small.clusters.astype(np.uint8))
    save_tensors(tensors, steps_file(way), {"way": way})


def card() -> str:
    """The card of the shipped representations: Markdown with a YAML head."""
    sources, lines = {}, []
    for modality, ways in REPRESENTATIONS.items():
        sets = [(source(name, folder), split) for name, split, folder in UNLABELLED[modality]]
        sources |= {images: None for images, _ in sets}
        settings = settings_of("both", modality, SEED)
        shipped = "; ".join(f"*{way}* after {_counted(steps)}" for way, steps in ways.items())
        lines += [
            f"## {modality.capitalize()}",
            "",
            f"- **Networks** {shipped} steps.",
            f"- **Data** {'; '.join(f'{images.title}, {split} images' for images, split in sets)}; "
            "no label of any of them.",
            f"- **Steps** of {5 * settings.pairs} views of {settings.view_size} px, "
            f"images of {settings.image_size} px.",
            "",
        ]
        step, table = learning_table(learning_records(modality), modality, ways["both"][0])
        kept = [row for row in table.index if row not in WAYS or row in COMPARED]
        lines += [
            f"On test images of {DATASETS[ASKED[modality][0]].title} after {step:,} steps, mean "
            "and spread of three seeds; the shipped networks are those of seed 0:",
            "",
            as_markdown(["", *table], table.loc[kept].reset_index().values.tolist()),
            "",
        ]
    terms = "; ".join(f"{images.title}: {images.terms}" for images in sources)
    return "\n".join(
        [
            card_head("ldr_lib representations", list(sources), {}),
            "# Representations trained without labels",
            "",
            "Networks of `ldr_lib.load_representation(modality, step=..., way=...)`, and "
            "embeddings of two real and two simulated photographs at each kept step, "
            "`ldr_lib.explore.shipped_steps(way)`.",
            "",
            *lines,
            "## Terms and making",
            "",
            f"- **Terms** {terms}. These are the terms of the training images; the code's "
            "licence does not cover the weights.",
            f"- **Seed** {SEED}, not chosen among seeds. The number of steps that is loaded if "
            "none is asked for is the one, of up to 3,000, after which similarity found vessels, "
            "or lungs, best in images of the training split, over three seeds (`python -m ldr_lib "
            "learn both --split train`). Weights rounded to half precision.",
            f"- **Made by** `python -m ldr_lib learn WAY --modality MODALITY --steps "
            f"{LONGEST}` and `python -m ldr_lib ship representations`.",
            "- **Second stage** of *both* is ours, not the paper's (notebook 02).",
            "",
            "For research and teaching, not for diagnosis.",
            "",
        ]
    )


class Source(NamedTuple):
    """Training images of a card."""

    title: str
    terms: str


def source(name: str, folder: str = "") -> Source:
    """The images of a dataset, or of a folder that has no adapter of its own."""
    if folder:
        return Source(folder, TERMS[folder])
    return Source(DATASETS[name].title, DATASETS[name].terms)


def _counted(steps: tuple[int, ...]) -> str:
    return " and ".join(f"{step:,}" for step in steps)
