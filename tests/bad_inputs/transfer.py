"""Bad inputs. Room of notebook 05: tasks, segmenters, tables."""

import torch
from valid_calls.inputs import network, transfer_rows

from ldr_lib import DataError, Encoder
from ldr_lib.transfer import Task

from .inputs import MAP, MASK, SMALLER, A, X, row

TRANSFER = [
    row("task", "an unknown task", 'unknown task "liver"; known are vessel_rite', name="liver"),
    row("Task", "a task of 30 pixels", "size must be a multiple of 16, not 40", size=40),
    row(
        "Task", "a negative crop", "crop must be two numbers, smaller first, above 0", crop=(-1, 1)
    ),
    row(
        "Segmenter",
        "a network for an encoder",
        "encoder must be an Encoder, not a TwoBranchNet",
        encoder=network(1),
    ),
    row(
        "train_decoder",
        "images of other channels",
        "the encoder takes 3 channels and the labelled images have 1",
        encoder=Encoder(3),
    ),
    row(
        "train_decoder",
        "no labelled images",
        "labelled must be LabelledPairs, not None",
        labelled=None,
    ),
    row(
        "fine_tune",
        "an encoder to fine-tune",
        "net must be a Segmenter, not a Encoder",
        net=Encoder(1),
    ),
    row(
        "segment",
        "an image for a sample",
        "sample must be a Sample, not uint8 of shape",
        sample=X[0],
    ),
    row("segment", "a size of 30 pixels", "size must be a multiple of 16, not 30", size=30),
    row(
        "labelled_images",
        "more labels than images",
        "9 labelled images of drions are asked for and 1 of 1",
        DataError,
        n_labels=9,
    ),
    row(
        "initial_encoder",
        "an unknown start",
        'unknown initialisation "magic"; known are random',
        init="magic",
    ),
    row(
        "transfer_records",
        "an unknown tier of cells",
        "no cell of tier huge has a record",
        DataError,
        tier="huge",
    ),
    row(
        "transfer_table",
        "no records",
        "records must be a table, as transfer_records returns it, not None",
        records=None,
    ),
    row("gains", "an unknown measure", 'unknown measure "IoU"; known are Dice', measure="IoU"),
    row(
        "paired_gains",
        "an unknown opponent",
        'unknown initialisation of these records "magic"; known are random',
        over="magic",
    ),
    row(
        "gain_intervals",
        "a number of labels not measured",
        'unknown number of labels of these records "7"; known are 1',
        labels=7,
    ),
    row(
        "gains_forest",
        "starts not measured",
        "none of magic is measured in these records",
        inits=("magic",),
    ),
    row("segmentations", "truths of another size", "must be of one shape", truths=[SMALLER, MASK]),
    row("initial_encoder", "a task by its name", "one must be a Task, for example", one="heart"),
    row("initial_encoder", "a seed as text", "seed must be a whole number from 0", seed="1"),
    row("labelled_images", "no prepared images", "prepared must be images as", prepared=None),
    row("labelled_images", "a negative number", "n_labels must be a whole number", n_labels=-1),
    row(
        "segmenter",
        "an array for a segmenter",
        r"x must be a tensor of floats \(B, C, H, W\), not uint8 of shape",
        x=X,
    ),
    row(
        "segmenter",
        "an image of another size",
        "multiples of 16, not",
        x=torch.rand(1, 1, 30, 32),
    ),
    row(
        "label_curves",
        "no table",
        "records must be a table, as transfer_records returns it",
        records=None,
    ),
    row("label_curves", "a text for names", "inits must be a list of names", inits="ldr"),
    row(
        "paired_images",
        "records without images",
        "records must be .* lacks images",
        records=transfer_rows().drop(columns="images"),
    ),
    row(
        "segmentations",
        "texts for scores",
        "a score of a must be a number, not 'x'",
        scores={"a": ["x", "y"]},
    ),
    row(
        "segmentations",
        "one number for scores",
        r"scores.'a'. must be a list of Dice",
        scores={"a": 0.5},
    ),
    row(
        "score",
        "a list for a dataset",
        "dataset must be one that open_dataset returned, not ..x..",
        dataset=["x"],
    ),
    row("segmenters", "no encoder", "encoder must be an Encoder, not None", encoder=None),
    row(
        "segmenters",
        "a structure without masks",
        'unknown structure of the prepared images "heart"; known are field_of_view, disc, vessel',
        one=Task("scr", "heart", 32, (0.8, 1.1), False),
    ),
    row(
        "segmenters",
        "an image that is not there",
        "chosen must be from 0 to 1, not from 5 to 5",
        chosen=[5],
    ),
    row("segmenters", "no prepared images", "prepared must be images as", prepared=[MASK]),
    row("paired_images", "an array for a task", "task must be a text", task=MAP),
    row("paired_images", "a tensor for labels", "labels must be a whole number", labels=A),
    row("paired_images", "True for labels", "labels must be a whole number", labels=True),
    row("gain_intervals", "lists for names", "each of inits must be a text", inits=[["ldr"]]),
    row("gains_forest", "a name twice", "each once, and", inits=["ldr", "ldr"]),
    row("label_curves", "unknown names alone", "none of x is measured", inits=["x"]),
    row("step_curves", "unknown names alone", "none of x is measured", inits=["x"]),
    row("after_steps", "labels that nobody had", "no training with 3 labels looked", labels=3),
    row(
        "after_steps",
        "records without looks",
        "no training with 1 labels looked at set-aside images",
        records=transfer_rows().drop(columns="looks"),
    ),
    row("labels_to_reach", "more than all", "share must be", share=1.5),
    row(
        "labels_to_reach",
        "another one that was not measured",
        'unknown initialisation measured with all labels "magic"; known are random',
        over="magic",
    ),
]
