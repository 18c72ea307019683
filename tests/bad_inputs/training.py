"""Bad inputs. Trainings and their batches."""

import torch
from valid_calls.inputs import SMALL, network, pairs_of

from ldr_lib import DataError, GuidedSettings, Settings, TwoBranchNet
from ldr_lib.structures import Guide, Structure
from ldr_lib.tiers import PATCH_STAGE

from .inputs import FOLDER, GREY, X, row

CONFIDENT = dict(stages=({"confident": 1.0},), epochs=(1,), rendered=2)

TRAINING = [
    row("train", "a single image", "needs at least 2, not 1", DataError, images=X[:1]),
    row(
        "train",
        "images that are not square",
        r"training takes square uint8 images \(N, S, S, C\), not uint8 \(2, 20, 32, 3\)",
        DataError,
        images=X[:, :20],
    ),
    row(
        "train",
        "floats from 0 to 255",
        "images of floats must lie in .0, 1.*divide by 255",
        DataError,
        images=X * 1.0,
    ),
    row(
        "train",
        "None for images",
        "images must be an array of numbers, not None",
        DataError,
        images=None,
    ),
    row("train", "a dictionary for settings", "settings must be Settings, not {}", settings={}),
    row(
        "train",
        "a step that no memory holds",
        "a step needs .* GiB at least and cpu has .* choose fewer pairs",
        settings=Settings(**SMALL | dict(pairs=22000, stages=(PATCH_STAGE,), epochs=(1,))),
    ),
    row(
        "train",
        "a stage without losses",
        "stage 0 must name losses of patch, mixup.*names none",
        settings=Settings(**SMALL, stages=({},), epochs=(1,)),
    ),
    row(
        "train",
        "a start of another size",
        "start has n_clusters=9 and the training needs n_clusters=3",
        start=TwoBranchNet(3, 4, 9),
    ),
    row(
        "train",
        "a start that is no network",
        "start must be a TwoBranchNet or None, not 'net'",
        start="net",
    ),
    row(
        "train", "a folder below a file", "text.txt", DataError, folder=FOLDER / "text.txt" / "run"
    ),
    row("train", "no folder", "folder must be a path, not ''", folder=""),
    row(
        "train", "a folder of 400 letters", "folder has a part of 400 characters", folder="x" * 400
    ),
    row(
        "stage_learner",
        "a third stage of two",
        "stage must be a whole number from 0 to 1, not 2",
        stage=2,
    ),
    row(
        "stage_learner",
        "images of another network",
        "takes 3 channels and the images have 1; build TwoBranchNet.in_channels=1",
        DataError,
        images=GREY,
    ),
    row(
        "pretrain",
        "an unknown pretraining",
        'unknown pretraining "magic"; known are patch',
        method="magic",
    ),
    row(
        "image_batches",
        "no batches",
        "steps must be a whole number from 1 to 1000000, not 0",
        steps=0,
    ),
    row(
        "train_guided", "no pair maker", "make_pairs must be a PairMaker, not None", make_pairs=None
    ),
    row(
        "train_guided",
        "a guide as text",
        "guide must be a Guide, for example guide_for.* not 'heart'",
        guide="heart",
    ),
    row(
        "train_guided",
        "a guide of more clusters",
        "the guide needs 8 clusters and n_clusters is 3",
        guide=Guide("chest", (Structure("heart", (7,), (32,)),)),
    ),
    row(
        "train_guided",
        "plain settings of a guided training",
        "settings must be GuidedSettings",
        settings=Settings(**SMALL),
    ),
    row(
        "guided_learner",
        "pairs of another size",
        "give both the same channels and size",
        DataError,
        make_pairs=pairs_of(3),
    ),
    row(
        "guided_learner",
        "a network without a guide",
        "the network has no guide: set net.guide",
        DataError,
        net=network(1),
    ),
    row(
        "guided_learner",
        "no maker of the teacher's pairs",
        "make_teacher_pairs must be a PairMaker, not None",
        settings=GuidedSettings(**SMALL | CONFIDENT),
    ),
    row(
        "guided_learner",
        "a maker of something else",
        "make_pairs must return Pairs, not None",
        make_pairs=print,
    ),
    row(
        "train_guided",
        "teacher's images of other channels",
        "teacher_images have 3 channels and the images 1",
        DataError,
        teacher_images=X,
    ),
    row(
        "train_guided",
        "a text to call after every epoch",
        "after_epoch must be a function of the network, not 'save'",
        after_epoch="save",
    ),
    row(
        "image_batches",
        "a negative number of processes",
        "workers must be a whole number from 0 to 1024, not -1",
        workers=-1,
    ),
    row("image_batches", "a number for a share", "share must be a Share, not 2", share=2),
    row("stage_learner", "a text for rows", "rows must be a list that receives", rows="x"),
    row("stage_learner", "a number for a log", "log must be a path, not 3", log=3),
    row("guided_learner", "a text for rows", "rows must be a list that receives", rows="x"),
    row(
        "guided_learner",
        "a tensor for a maker of pairs",
        "make_teacher_pairs must be a PairMaker, not torch.float32",
        make_teacher_pairs=torch.rand(2, 3),
    ),
]
