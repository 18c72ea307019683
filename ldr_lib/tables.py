"""All result tables, `figures/README.md`, from the committed records."""

from collections.abc import Callable

import pandas as pd

from .explore.learning import NAME as LONG
from .explore.learning import RAW
from .explore.learning_table import (
    ASKED,
    best_step,
    chosen_step,
    learning_records,
    learning_table,
)
from .explore.switches import STEPS as SWITCH_STEPS
from .explore.switches import SWITCHES, switch_table
from .guided import confidence_markdown, study_markdown
from .landmarks.table import study_markdown as landmarks_markdown
from .runs.paths import project_root
from .runs.records import as_markdown, committed_records, over_seeds, summary
from .transfer import gains, transfer_records, transfer_table

QUICKSTART = "00_quickstart"
SAMPLE = "sample_fundus"
"""What notebook 00 trains on unless another dataset is chosen."""
TIER = "class"
"""Runs of the notebooks that are tabulated; shorter and longer ones may be kept beside them."""
BRANCHES = "02_two_branch_training"
EXPLORE = "03_embedding_visualization"
DATA_TITLES = {
    "simulated_fundus": "Simulated photographs of the retina",
    "simulated_chest": "Simulated chest X-rays",
    "chase_db1": "CHASE_DB1, real photographs of the retina",
}
QUICKSTART_TITLES = {SAMPLE: "Real photographs of the retina, the included sample"} | DATA_TITLES
LONG_TRAININGS = {
    "chase_db1": ("fundus", "photographs of CHASE_DB1"),
    "drions raw": ("fundus", "photographs of DRIONS-DB in their own colours"),
    "simulated_fundus": ("fundus", "simulated photographs"),
    "covid19_cxr_seg": ("chest", "X-rays of COVID19_CXR_SEG"),
    "simulated_chest": ("chest", "simulated X-rays"),
}
"""Dataset on which long trainings were measured, to modality and title."""
PENDING = "Not measured with the present training yet: three runs of it are needed."


def _of_seeds(make: Callable[[str, str], str], name: str, dataset: str) -> str:
    """A table of a notebook's runs on one dataset, or the sentence that they are missing."""
    return make(name, dataset) if recorded(name, dataset) else PENDING


def recorded(name: str, dataset: str) -> bool:
    """Whether a notebook has three committed runs on a dataset."""
    return len(committed_records(name, dataset=dataset, tier=TIER)) >= 3


def _summary(name: str, dataset: str) -> str:
    return summary(name, dataset=dataset, tier=TIER)


HEAD = """# All result tables

`python -m ldr_lib tables` writes this page from the committed records; a test compares the two. All
numbers were measured with this kit on held-out images; none is taken from the paper. A spread is
the standard deviation over seeds, 0, 1 and 2 where nothing else is said. Each record beside a
notebook's figures says what was run, on what, with which versions, and how long it took. `make
records`, `make priors` and `make transfer` repeat the runs of which no current record exists. The
ledger of all claims is
[06_reproduction_report/report.html](06_reproduction_report/report.html).

- **NMI** (0 to 1): normalised mutual information of clusters and anatomy.
- **Dice** (0 to 1): overlap of a structure with the cluster that matches it best.
- **AUC** (0.5 is chance): how well similarity to one pixel of a structure ranks its pixels first.
- **AP** (chance is the structure's share of the pixels): average precision of the same ranking, low
  where much else ranks first too.
- **matched IoU** (0 to 1): mean intersection over union of each structure, the background left out,
  with the one cluster that Hungarian matching gives it.
- **clDice** (0 to 1): overlap of the centre lines of vessels.
- **HD95**: 95th percentile of the distance between two outlines, in pixels.
"""

LIMITS = """## What these numbers do not say

- The published schedule of 100,000 steps and the published tables are **not reproduced**. Runs of
  tier *class* train for a few hundred steps.
- Locally normalised intensities are the input of a trained network for photographs of the retina;
  while it trains, each view shows them or the raw ones. This step is ours, not the paper's. It
  helps k-means of the input as well, so the tables show that baseline.
- The network repeats the border pixels instead of padding with zeros. This is ours too: with zeros
  the network learns how far a pixel lies from the border (notebook 02).
- In tier *class* the second stage is ours, not the paper's: patches gather around the prototypes
  of the clusters (notebook 02).
- Rows *short* of the guided study train for 150 steps; compare them only with each other. At this
  length vessels gain nothing from distractors, and what region discrimination adds is within the
  spread.
- The adversary of the paper had 150 steps instead of 80,000 in the row *short*. Its map was still
  near uniform, where no pixel can reach the threshold 0.5. In the row *steadied, long* it had 5,000
  steps and some of what steadies such games (noise, a penalty on the discriminator's gradient, the
  masks' area); spectral normalisation, other discriminators and the adversary as a last stage were
  not tried. Neither row shows that the adversary fails.
- A Dice of 0 at threshold 0.5 does not mean that a map holds no information: shuffled priors and
  untrained networks give shares that stay below the threshold.
- The supervised row with one label trains with cross-entropy at its end, the guided rows do not.
- Working sizes, mirror averaging, cluster or prototype, ellipse fitting, filled hulls and the third
  stage were chosen on masks of training splits. Training itself used no mask.
- The transfer tables of *80 steps* compare initialisations under one budget, far from convergence.
  Their encoders were pretrained for 700 steps, *ldr* three times (*ldr*, *ldr-1*, *ldr-2*), the
  other methods once; the spread is that of labelled images and decoders.
- In the transfer tables *trained to the end* each encoder is one pretraining, too.
- We aimed at more than these tables hold: vessels with a Dice of 0.785 and a clDice of 0.83
  (reached 0.774 and 0.821), discs 0.90 (0.883), lungs 0.91 (0.904), hearts 0.82 (0.805). No
  collection at hand has masks that neither training nor a choice has used, so there is no second
  test set.
- Guided vessels miss fine vessels, and sometimes include choroidal vessels and streaks near the
  disc. Lungs are cut where dense opacities look white.
"""


def _section(title: str, about: str, command: str, table: str) -> str:
    return f"## {title}\n\n{about}\n\nMade by `{command}`.\n\n{table}\n"


def probes(name: str, dataset: str) -> pd.DataFrame:
    """Probes of notebook 03 on one dataset, mean ± standard deviation over seeds."""
    mean, spread = over_seeds(committed_records(name, dataset=dataset, tier=TIER), "probes")
    return mean.map("{:.2f}".format) + " ± " + spread.map("{:.2f}".format)


def _probe_markdown(name: str, dataset: str) -> str:
    """Two tables of these probes: NMI by features, and all else by structure and features."""
    shown = probes(name, dataset)
    of_structures = shown.drop(columns="NMI")
    of_structures.columns = of_structures.columns.str.split(" ", n=1, expand=True)
    ways = of_structures.columns.unique(1)
    body = [
        [structure, features, *of_structures.loc[features, structure][ways]]
        for structure in of_structures.columns.unique(0)
        for features in shown.index
    ]
    clusters = as_markdown(
        ["features", "NMI"], [[row, shown.loc[row, "NMI"]] for row in shown.index]
    )
    return f"{clusters}\n\n{as_markdown(['structure', 'features', *ways], body)}"


_TRANSFER = {
    "converged": (
        "trained to the end (notebook 05)",
        "With one label a stage has the same number of steps for all, chosen on images that were "
        "set aside. *ldr* is the representation of notebook 02; *imagenet* "
        "has three times the weights of the other encoders and no map at full size.",
    ),
    "study": (
        "80 steps a stage, earlier encoders (notebook 05)",
        "*instance* is image-level discrimination, *dense* is DenseCL, *patch* is patch "
        "discrimination alone and *patch_mixup* with mixed images. *whole* is *ldr* on nearly "
        "whole photographs, *simulated* on simulated images. *scratch* trains everything from "
        "random weights; *guided* starts from the network of notebook 04c. All cells have one "
        "network, the same batches and the same number of steps. *ldr* is an earlier encoder, "
        "pretrained as long as the others; `git checkout` of the revision that a record names "
        "brings it back.",
    ),
}
"""Of each tier of the transfer study: how it was trained, and what its rows are."""


def _transfer_sections() -> list[str]:
    """Dice, gains over a random encoder, clDice and HD95 of all initialisations, by tier."""
    return [section for tier in _TRANSFER for section in _transfer_tables(tier)]


def _transfer_tables(tier: str) -> list[str]:
    title, rows = _TRANSFER[tier]
    records = transfer_records(tier)
    tables = {
        "Dice": (transfer_table(records), "Mean Dice on the real test images"),
        "gain in Dice over a random encoder": (
            gains(records),
            "Difference to the random encoder with the same labelled images and seed",
        ),
        "clDice of vessels": (transfer_table(records, "clDice"), "Mean clDice"),
        "HD95 of organs": (transfer_table(records, "HD95"), "Mean HD95 in pixels, lower is better"),
    }
    sections = []
    for name, (table, about) in tables.items():
        body = [[*row, *table.loc[row]] for row in table.index]
        sections.append(
            _section(
                f"Segmentation with few labels: {name}, {title}",
                f"{about}, over draws of labelled images; seeds that drew the same ones are one "
                "draw, their mean, as brackets say (with one label seeds 0 and 1 are). A number "
                f"alone in brackets says that fewer than three seeds were run. {rows}",
                "make transfer",
                as_markdown(["task", "protocol", "initialisation", *table.columns], body),
            )
        )
    return sections


def all_tables() -> str:
    """The text of `figures/README.md`, from the committed records.

    Raises:
        ValueError: A table has fewer than three seeds.
        DataError: There is no record of the transfer study.
    """
    sections = [
        _section(
            f"{title} (notebook 00)",
            "Clusters and similarity against the anatomy. Each network counts with the better of "
            "its two clusterings: its clustering branch, or k-means of its embeddings. The other "
            "rows are k-means of intensities.",
            "make records",
            _of_seeds(_summary, QUICKSTART, dataset),
        )
        for dataset, title in QUICKSTART_TITLES.items()
    ]
    sections += [
        _section(
            f"What each branch gives the other: {DATA_TITLES[dataset]} (notebook 02)",
            "The same measures for networks with one branch and with both.",
            "make records",
            _of_seeds(_summary, BRANCHES, dataset),
        )
        for dataset in ("simulated_fundus", "chase_db1")
    ]
    sections += [
        _section(
            f"Longer trainings without labels, {images} (notebook 02)",
            "Ways of training and what needs no training, by one distance. Mean ± standard "
            "deviation over three seeds. *both* and *embedding only* are one training for 600 "
            "steps and then have the same learning rate. A network counts with the better of its "
            "two clusterings, a baseline with the better of its inputs; all have K = 16 clusters. "
            "*no jitter* is *both* with views that keep their colours, *half the jitter* lies "
            "between. *largest area* (share of the field of view) and *decided pixels* (an "
            "assignment above one half) are those of the clustering branch, also where no loss "
            "trains it and k-means gives the clusters.",
            "python -m ldr_lib records learning",
            _long_trainings(dataset, modality),
        )
        for dataset, (modality, images) in LONG_TRAININGS.items()
    ]
    sections.append(
        _section(
            "Our choices in both branches, one changed at a time (notebook 02)",
            f"*both* after {SWITCH_STEPS:,} steps, judged on images of the *training* split of "
            "CHASE_DB1, where choosing is allowed. A row with one seed is a hint. The switches "
            "were trained on a processor that computes in bfloat16; *nothing* is *both* as it is, "
            "trained there, too. Compare with that row. *both* and *no jitter* were trained on "
            "another processor.",
            "python -m ldr_lib records switches",
            _switches(),
        )
    )
    sections += [
        _section(
            f"Probes of the representation: {title} (notebook 03)",
            "NMI of k-means of the features; then how well structures are found by similarity to "
            "one pixel of them (*retrieval*; *across*: a pixel of another image), by a linear "
            "classifier and by the nearest labelled pixels, with the labels of one image. All "
            "features are compared by one cosine. *filter bank* and *ImageNet* are made of raw "
            "and, for photographs, of locally normalised images. *trained* is the run's own "
            "network; *shipped* comes with the kit and is the same in all seeds.",
            "make records",
            _of_seeds(_probe_markdown, EXPLORE, dataset),
        )
        for dataset, title in DATA_TITLES.items()
    ]
    sections.append(
        _section(
            "Structures found by a prior on real test images (notebook 04c)",
            "Dice at threshold 0.5 and at the images' own size: vessels on CHASE_DB1, discs on "
            "DRIONS-DB, lungs and heart on COVID19_CXR_SEG; the fovea on simulated photographs "
            "(*found*: its centre within half a disc diameter). *rendered* trains on rendered "
            "pairs; *combined* adds confident pseudo-labels in real images. *from representation* "
            "begins with an unlabelled representation (an earlier one of 700 steps; *steadied* "
            "with the present one), all others with random weights. *by prototype* reads the "
            "embedding instead of the cluster. The filters are those of scikit-image 0.26, whose "
            "Frangi filter does not normalise ridges by their width; a release that does will move "
            "its row.",
            "make priors",
            study_markdown(),
        )
    )
    sections.append(
        _section(
            "What belongs and what does not: the judgement of a guided network (notebook 04c)",
            "Numbers of images that training has not seen. *stopped*: refused with a sentence "
            "before anything is searched; *another kind*: judged not to be a retina or a chest "
            "X-ray; *not found*: of the right kind, but without the structure. The column "
            "*belongs* says what would be right. A structure is searched in some of the images "
            "only; *any* asks for the kind of image alone. Measured for X-rays so far.",
            "python -m ldr_lib confidence",
            confidence_markdown(),
        )
    )
    sections.append(
        _section(
            "One click finds a landmark in other images (notebook 07)",
            "Share of test images in which the place found lies near the landmark, over eight "
            "support images with one point each, and its 95 % interval over support and test "
            "images; median error in the unit named. *5 points* averages the points of five "
            "support images. *told apart* is the area under the ROC curve of the score between "
            "images and the same images without the landmark; *right decisions* is the share of "
            "both that the bound from the support image decides correctly. All features are "
            "compared by one cosine, with the kernel that training images chose for each row.",
            "python -m ldr_lib localise",
            landmarks_markdown(),
        )
    )
    sections += _transfer_sections()
    sections.append(
        _section(
            "Speed",
            "The kit's step against the same step written literally from the equations and against "
            "an earlier revision of the kit, and what a user waits for. The aim of 1.3 times that "
            "revision is not met: convolutions take most of a step.",
            "python -m ldr_lib benchmark > figures/benchmark.txt",
            _measured_text("benchmark.txt"),
        )
    )
    sections.append(
        _section(
            "From many small files to training batches",
            "A tree of small photographs is listed, prepared, opened again and read by a training.",
            "python -m ldr_lib benchmark-input > figures/input.txt",
            _measured_text("input.txt"),
        )
    )
    return "\n".join([HEAD, *sections, LIMITS])


def _long_trainings(dataset: str, modality: str) -> str:
    """The tables of long trainings on one dataset, after some numbers of steps."""
    records, parts = learning_records(modality), []
    for steps, why in sorted(_steps_shown(records, dataset, modality).items()):
        _, table = learning_table(records, modality, steps, dataset)
        rows = as_markdown(["way", *table.columns], [[n, *table.loc[n]] for n in table.index])
        parts.append(f"After {steps:,} steps, {why}:\n\n{rows}")
    return "\n\n".join(parts) or PENDING


def _steps_shown(records: list[dict], dataset: str, modality: str) -> dict[int, str]:
    """Numbers of steps after which a table is shown, and why."""
    last, _ = learning_table(records, modality)
    if not last:
        return {}
    if dataset.endswith(RAW):
        trained = committed_records(LONG, modality=modality, split="train")
        return {
            best_step(trained, dataset, f"{measure} disc", "no jitter"): "the step chosen on "
            f"training images for {measure} of the disc in *no jitter*"
            for measure in ("AUC", "AP")
        }
    shown = {last: "the last step of three seeds"}
    if dataset == ASKED[modality][0]:
        best = best_step(records, dataset, f"AP {ASKED[modality][1]}")
        shown[best] = "the best step of *embedding only* on these very test images"
    return shown | {chosen_step(modality): "the step chosen on training images"}


def _switches() -> str:
    """The table of single choices, where they were measured."""
    table = switch_table("fundus")
    if not set(table.index) & set(SWITCHES):
        return PENDING
    return as_markdown(["changed", *table.columns], [[n, *table.loc[n]] for n in table.index])


def _measured_text(name: str) -> str:
    """What a command printed, as it was kept under figures/."""
    text = (project_root() / "figures" / name).read_text(encoding="utf-8").strip()
    return f"```\n{text}\n```"
