"""Segmenters, tasks, their records and figures."""

from collections.abc import Callable
from pathlib import Path

import torch

from ldr_lib import Encoder, Settings, transfer
from ldr_lib.data.simulate import Sample

from .inputs import SMALL, N, images, mask, pairs_of, prepared, transfer_rows


class OneImage:
    """A test split of one X-ray with a heart."""

    name, split, modality = "one", "test", "chest"

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return Sample(images(1)[0, ..., 0], {"heart": mask()}, "one")


def first_segmenter(**arguments) -> tuple[str, transfer.Segmenter]:
    return next(transfer.segmenters(**arguments))


def calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    x = images()
    y = images(1)
    masks = [mask() for _ in range(N)]
    settings = Settings(**SMALL)
    data = prepared()
    segmenter = transfer.Segmenter(Encoder(1)).eval()
    budget = transfer.TransferSettings(steps=1, batch=2, side=32)
    task = transfer.Task("scr", "heart", 32, (0.8, 1.1), False)
    grey = Sample(y[0, ..., 0], {"heart": mask()}, "one")
    return {
        "PretrainingSettings.for_tier": (
            transfer.PretrainingSettings.for_tier,
            dict(tier="class", modality="fundus", seed=0),
        ),
        "TransferSettings": (
            transfer.TransferSettings,
            dict(steps=1, batch=2, side=32, learning_rate=1e-3, encoder_rate=1.0, seed=0),
        ),
        "TransferSettings.for_tier": (
            transfer.TransferSettings.for_tier,
            dict(tier="class", seed=0),
        ),
        "pretrain": (
            transfer.pretrain,
            dict(
                method="patch",
                images=x,
                settings=settings,
                folder=folder / "pretrain",
                device="cpu",
            ),
        ),
        "segmenter": (segmenter, dict(x=torch.rand(1, 1, 32, 32))),
        "Segmenter": (transfer.Segmenter, dict(encoder=Encoder(1))),
        "train_decoder": (
            transfer.train_decoder,
            dict(
                encoder=Encoder(1),
                labelled=pairs_of(),
                settings=budget,
                device="cpu",
                frozen=True,
            ),
        ),
        "fine_tune": (
            transfer.fine_tune,
            dict(net=segmenter, labelled=pairs_of(), settings=budget),
        ),
        "segment": (
            transfer.segment,
            dict(net=segmenter, sample=grey, size=32, modality="chest"),
        ),
        "task": (transfer.task, dict(name="vessel_chase_db1")),
        "labelled_images": (
            transfer.labelled_images,
            dict(
                task=transfer.Task("drions", "disc", 32, (0.8, 1.1), False),
                prepared=data,
                n_labels=1,
                seed=0,
            ),
        ),
        "initial_encoder": (
            transfer.initial_encoder,
            dict(init="random", one=task, seed=0),
        ),
        "Task": (
            transfer.Task,
            dict(dataset="scr", structure="heart", size=32, crop=(0.8, 1.1), turn=False),
        ),
        "transfer_records": (transfer.transfer_records, dict(tier="study")),
        "transfer_table": (
            transfer.transfer_table,
            dict(records=transfer_rows(), measure="Dice"),
        ),
        "gains": (
            transfer.gains,
            dict(records=transfer_rows(), over="random", measure="Dice"),
        ),
        "paired_gains": (
            transfer.paired_gains,
            dict(records=transfer_rows(), over="random", measure="Dice"),
        ),
        "paired_images": (
            transfer.paired_images,
            dict(
                records=transfer_rows(),
                task="disc_drions",
                protocol="frozen",
                init="ldr",
                over="random",
                labels=1,
            ),
        ),
        "gain_intervals": (
            transfer.gain_intervals,
            dict(records=transfer_rows(), inits=("ldr",), over="random", labels=1),
        ),
        "gains_forest": (
            transfer.gains_forest,
            dict(records=transfer_rows(), inits=("ldr",), over="random", labels=1),
        ),
        "label_curves": (transfer.label_curves, dict(records=transfer_rows(), inits=("ldr",))),
        "after_steps": (transfer.after_steps, dict(records=transfer_rows(), labels=1)),
        "step_curves": (
            transfer.step_curves,
            dict(records=transfer_rows(), inits=("ldr",), labels=1),
        ),
        "labels_to_reach": (
            transfer.labels_to_reach,
            dict(records=transfer_rows(), share=0.9, over="random"),
        ),
        "segmenters": (
            first_segmenter,
            dict(
                encoder=Encoder(3),
                one=transfer.Task("drions", "disc", 32, (0.8, 1.1), False),
                prepared=data,
                chosen=[1],
                settings=budget,
            ),
        ),
        "score": (transfer.score, dict(net=segmenter, task=task, dataset=OneImage())),
        "segmentations": (
            transfer.segmentations,
            dict(images=list(x), truths=masks, found={"a": masks}, scores={"a": [0.5, 0.5]}),
        ),
    }
