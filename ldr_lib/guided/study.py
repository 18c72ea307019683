"""The study behind notebook 04: guided trainings over seeds, priors, methods and controls, tested
on real images.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..checkpoint import load_model
from ..data.augment import LabelledPairs, PairMaker, standardise
from ..data.datasets import open_dataset
from ..data.errors import one_of
from ..data.prepare import joint_fingerprint, prepare
from ..data.simulate import fundus
from ..metrics import centre, centreline_dice, dice
from ..network import TwoBranchNet
from ..pretrained import GuidedNets, load_representation
from ..runs.paths import runs_folder
from ..runs.run import Run
from ..structures import Guide, guide_for
from .classical import brightest_blob, fitted, mean_mask, otsu_lungs, vesselness
from .predict import READINGS, predict_structure
from .priors import disc_prior, vessel_prior
from .settings import GuidedSettings
from .simulated_pairs import SimulatedPairs
from .training import train_guided
from .vessel_pairs import VesselPairs

NAME = "04_prior_guided_clustering"
UNLABELLED = {"fundus": ("chase_db1", "hrf", "drions"), "chest": ("covid19_cxr_seg", "kermany")}
"""Datasets whose training splits are used without labels."""
TESTED = {
    "vessel": ("chase_db1", "vessel"),
    "disc": ("drions", "disc"),
    "lungs": ("covid19_cxr_seg", "lungs"),
    "heart": ("covid19_cxr_seg", "heart"),
}
"""Structure to the dataset and mask that it is tested on."""


@dataclass(frozen=True)
class RealImages:
    """Unlabelled images of the training splits.

    Attributes:
        images: (N, S, S, C) uint8, raw intensities.
        inside: (N, S, S) bool, their fields of view.
        few: Numbers of at most 25 images of each dataset, for the teacher.
        fingerprint: Of all of them.
    """

    images: np.ndarray
    inside: np.ndarray
    few: np.ndarray
    fingerprint: str


def real_images(modality: str, data_dir: str, size: int) -> RealImages:
    """All unlabelled images of a modality, prepared at a side of `size` pixels."""
    parts = [prepare(open_dataset(name, data_dir, "train"), size) for name in UNLABELLED[modality]]
    ends = np.cumsum([0, *map(len, parts)])
    few = [
        np.linspace(a, b - 1, min(25, b - a)).round().astype(int) for a, b in zip(ends, ends[1:])
    ]
    return RealImages(
        np.concatenate([part.originals for part in parts]),
        np.concatenate([part.masks["field_of_view"] for part in parts]),
        np.concatenate(few),
        joint_fingerprint(parts),
    )


@dataclass(frozen=True)
class Conditions:
    """What a maker of pairs may use.

    Attributes:
        guide: Which structures are guided.
        prior: Name of the vessel prior.
        real: Unlabelled images.
        settings: Of the training.
        data_dir: Folder of the datasets.
    """

    guide: Guide
    prior: str
    real: RealImages
    settings: GuidedSettings
    data_dir: str


def rendered_pairs(given: Conditions, discs_for_vessels: bool = False, **how) -> PairMaker:
    """Pairs rendered from the prior; `how` goes to `VesselPairs`."""
    seed, size = given.settings.seed, given.settings.view_size
    if given.guide.names != ["vessel"]:
        return SimulatedPairs(
            given.guide.modality, given.guide.names, given.settings.simulated, seed, size
        )
    bank = (
        disc_prior(seed=seed)
        if discs_for_vessels
        else vessel_prior(given.prior, given.data_dir, seed)
    )
    return VesselPairs(given.real.images, given.real.inside, bank, size, **how)


def one_labelled_image(given: Conditions) -> PairMaker:
    """Crops of one labelled training image of CHASE_DB1, another for each seed."""
    labelled = prepare(
        open_dataset("chase_db1", given.data_dir, "train"), given.settings.image_size
    )
    one = slice(6 * given.settings.seed, 6 * given.settings.seed + 1)
    inside = np.asarray(labelled.masks["field_of_view"][one])
    vessels = np.asarray(labelled.masks["vessel"][one])[:, None]
    return LabelledPairs(
        standardise(labelled.originals[one], inside), vessels, inside, given.settings.view_size
    )


@dataclass(frozen=True)
class Control:
    """What a comparison takes away or exchanges.

    Attributes:
        pairs: Makes the training pairs.
        how: Further arguments of `pairs`.
        changes: Settings that differ.
        from_representation: Starts from the shipped unlabelled representation instead of random
            weights.
    """

    pairs: Callable[..., PairMaker] = rendered_pairs
    how: dict = field(default_factory=dict)
    changes: dict = field(default_factory=dict)
    from_representation: bool = False


CONTROLS = {
    "none": Control(),
    "shuffled": Control(how={"shuffled": True}),
    "other structure": Control(how={"discs_for_vessels": True}),
    "no region": Control(changes={"stages": ({"guided": 1.0}, {"guided": 1.0})}),
    "no distractors": Control(how={"distractors": False}),
    "untrained": Control(changes={"epochs": (0, 0)}),
    "one label": Control(
        one_labelled_image, changes={"stages": ({"guided": 1.0}, {"calibrate": 1.0})}
    ),
    "from representation": Control(from_representation=True),
}
"""Comparisons by name; "none" is the method itself."""


def run_label(guided: str, prior: str, method: str, control: str, tier: str, seed: int) -> str:
    """The name of a run's record and folder."""
    return "_".join([guided, prior, method, control.replace(" ", "-"), tier, str(seed)])


def study(
    guided: str,
    prior: str = "simulated",
    method: str = "rendered",
    control: str = "none",
    seed: int = 0,
    data_dir: str = "",
    tier: str = "study",
) -> Path:
    """Trains one network, tests it on real images and keeps its record with the project.

    Args:
        guided: "vessel", "disc" or "chest", as in `guide_for`.
        prior: "octa", "dsa", "simulated" or a folder of masks for the vessels; the other structures
            always come from simulation.
        method: As in `method_stages`.
        control: One of `CONTROLS`.
        seed: Of everything random.
        data_dir: Folder of the datasets.
        tier: As in `GuidedSettings.for_tier`.

    Returns:
        Path of the record.

    Raises:
        ValueError: Unknown network, method, control or tier.
        DataError: The images or the prior cannot be used.

    Taught in notebook 04, section 9.
    """
    chosen = CONTROLS[one_of(control, CONTROLS, "control")]
    settings = GuidedSettings.for_tier(tier, guided, seed, method, **chosen.changes)
    label = run_label(guided, prior, method, control, tier, seed)
    parameters = dict(
        guided=guided, prior=prior, method=method, control=control, tier=tier, seed=seed
    )
    run = Run(NAME, parameters, str(runs_folder() / "records" / NAME / label))

    guide = guide_for(guided)
    real = real_images(guide.modality, data_dir, settings.image_size)
    make_pairs = chosen.pairs(Conditions(guide, prior, real, settings, data_dir), **chosen.how)
    start = load_representation(guide.modality, "cpu") if chosen.from_representation else None
    if start:
        settings = replace(settings, n_clusters=start.n_clusters)
    if method == "combined":  # its third stage goes on from the rendered run
        rendered = (
            run.folder.with_name(run_label(guided, prior, "rendered", control, tier, seed))
            / "model.safetensors"
        )
        if not rendered.exists():
            study(guided, prior, "rendered", control, seed, data_dir, tier)
        start = load_model(rendered, "cpu")
        settings = replace(settings, stages=settings.stages[2:], epochs=settings.epochs[2:])

    images = standardise(real.images, real.inside)
    net, rows = train_guided(
        images,
        make_pairs,
        guide,
        settings,
        run.folder,
        data=real.fingerprint,
        start=start,
        teacher_images=images[real.few],
    )
    last_epoch = {name: round(value, 4) for name, value in rows[-1].items()} if rows else {}
    run.data(train=real.fingerprint)
    run.metrics(settings=json.loads(json.dumps(asdict(settings))), last_epoch=last_epoch)
    for structure in guide.structures:
        run.metrics(
            **tested(
                net, structure.name, data_dir, READINGS if tier == "study" else (structure.by,)
            )
        )
    return run.keep(label)


def tested(net: TwoBranchNet, structure: str, data_dir: str, readings: tuple[str, ...]) -> dict:
    """Scores of a structure for the record: means, and tables image by image."""
    if structure == "fovea":
        found = fovea_localisation(net)
        means = dict(found.mean(numeric_only=True).drop("distance"))
        return {"fovea": means | {"median distance": float(found["distance"].median())}}
    scores = {}
    for by in readings:
        table = score_structure(net, structure, data_dir, by)
        scores |= {
            f"{structure} by {by}": table.mean().round(4).to_dict(),
            f"{structure} by {by}, images": table,
        }
    return scores


def score_structure(
    net: TwoBranchNet | GuidedNets,
    structure: str,
    data_dir: str,
    by: str = "cluster",
    split: str = "test",
) -> pd.DataFrame:
    """Overlap of a structure with its masks, image by image, at the images' own size and the fixed
    threshold 0.5.

    Returns:
        One row per image with "Dice", for vessels also "clDice".
    """
    name, mask = TESTED[structure]
    dataset, rows = open_dataset(name, data_dir, split), {}
    for sample in (dataset[i] for i in range(len(dataset))):
        rows[sample.name] = overlap(
            predict_structure(net, sample.image, structure, by) > 0.5, sample.masks[mask], structure
        )
    return pd.DataFrame(rows).T


def overlap(found: np.ndarray, truth: np.ndarray, structure: str) -> dict[str, float]:
    """ "Dice", and for vessels "clDice"."""
    return {"Dice": dice(found, truth)} | (
        {"clDice": centreline_dice(found, truth)} if structure == "vessel" else {}
    )


def fovea_localisation(net: TwoBranchNet | None, n: int = 50) -> pd.DataFrame:
    """How far from the simulated fovea its predicted centre lies, in disc diameters; without a
    network, the image's centre.

    Returns:
        One row per image: "distance" (infinite where nothing was found) and "within half a disc
            diameter".
    """
    rows, seed = {}, 2_000_000
    while len(rows) < n:
        sample = fundus(384, seed, lesions=False)
        seed += 1
        if sample.masks["fovea"].sum() < 0.15 * sample.masks["disc"].sum():
            continue  # the fovea lies beyond the rim
        at = centre(predict_structure(net, sample.image, "fovea")) if net else (191.5, 191.5)
        truth, diameter = (
            centre(sample.masks["fovea"]),
            2 * np.sqrt(sample.masks["disc"].sum() / np.pi),
        )
        distance = np.hypot(at[0] - truth[0], at[1] - truth[1]) / diameter if at else np.inf
        rows[sample.name] = {
            "distance": distance,
            "within half a disc diameter": float(distance <= 0.5),
        }
    return pd.DataFrame(rows).T


def baselines(data_dir: str) -> Path:
    """Measures what needs no training on the test images: filters, thresholds, mean masks, guesses,
    the second observer.

    Returns:
        Path of the record.
    """
    run = Run(
        NAME,
        {"modality": "baselines", "seed": 0},
        str(runs_folder() / "records" / NAME / "baselines"),
    )
    run.metrics(vessel=_vessel_baselines(_samples("chase_db1", data_dir)))

    discs = _samples("drions", data_dir)
    blobs = [dice(brightest_blob(sample.image), sample.masks["disc"]) for sample in discs]
    run.metrics(disc={"brightest blob": float(np.mean(blobs))})

    xrays = _samples("covid19_cxr_seg", data_dir)
    for structure in ("lungs", "heart"):
        mask = mean_mask(structure)
        mean = [dice(fitted(mask, sample.image.shape), sample.masks[structure]) for sample in xrays]
        scores = {"mean simulated mask": float(np.mean(mean))}
        if structure == "lungs":
            dark = [dice(otsu_lungs(sample.image), sample.masks["lungs"]) for sample in xrays]
            scores["Otsu inside the body"] = float(np.mean(dark))
        run.metrics(**{structure: scores})
    run.metrics(
        fovea={
            "image centre": float(fovea_localisation(None)["within half a disc diameter"].mean())
        }
    )
    return run.keep("baselines")


def _samples(name: str, data_dir: str) -> list:
    dataset = open_dataset(name, data_dir, "test")
    return [dataset[i] for i in range(len(dataset))]


def _vessel_baselines(samples: list) -> pd.DataFrame:
    """Ridge filters at two thresholds, and the second observer."""
    rows, quantiles = {}, np.arange(0.8, 0.97, 0.01)
    for kind in ("frangi", "sato"):
        responses = [vesselness(sample.image, kind) for sample in samples]
        curve = [
            np.mean([dice(r > q, s.masks["vessel"]) for r, s in zip(responses, samples)])
            for q in quantiles
        ]
        best = quantiles[int(np.argmax(curve))]
        for name, threshold in ((f"{kind}, top tenth", 0.9), (f"{kind}, oracle threshold", best)):
            scores = [
                overlap(r > threshold, s.masks["vessel"], "vessel")
                for r, s in zip(responses, samples)
            ]
            rows[name] = pd.DataFrame(scores).mean()
    second = [
        overlap(s.masks["vessel_second_observer"], s.masks["vessel"], "vessel") for s in samples
    ]
    return pd.DataFrame(rows | {"second observer": pd.DataFrame(second).mean()}).T
