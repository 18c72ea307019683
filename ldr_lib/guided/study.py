"""The study behind notebook 04c: guided trainings over seeds, priors, methods and controls, tested
on real images.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from ..checkpoint import begin_anew_if_finished, identity, load_model, origin_of
from ..data.augment import LabelledPairs, PairMaker, standardise
from ..data.checksums import array_fingerprint
from ..data.datasets import open_dataset
from ..data.errors import one_of
from ..data.names import safe_name
from ..data.prepare import joint_fingerprint, prepare
from ..distributed import is_first, n_launched
from ..pretrained import load_representation
from ..runs.paths import record_path, runs_folder
from ..runs.run import Run
from ..structures import GUIDES, Guide, guide_for
from .predict import READINGS
from .priors import disc_prior, vessel_prior
from .settings import TRAINING, GuidedSettings
from .simulated_pairs import SimulatedPairs
from .start_cluster import begun_like_prior
from .tested import best_cluster, learning_curve, scores_for_record
from .training import train_guided
from .vessel_pairs import VesselPairs

NAME = "guided"
PRIORS = ("simulated", "octa", "dsa")
"""Priors of `vessel_prior` that have a name; all others are folders."""
LOOK_EVERY = 500
"""Steps between two networks that a run of the tier "long" keeps, and measures on training images.
"""
UNLABELLED = {"fundus": ("chase_db1", "hrf", "drions"), "chest": ("covid19_cxr_seg", "kermany")}
"""Datasets whose training splits are used without labels."""


@dataclass(frozen=True)
class RealImages:
    """Unlabelled images of the training splits.

    Attributes:
        images: (N, S, S, C) uint8, raw intensities.
        inside: (N, S, S) bool, their fields of view.
        few: Indices of at most 25 images of each dataset, for the teacher's pseudo-labels.
        fingerprint: Of all images.
    """

    images: np.ndarray
    inside: np.ndarray
    few: np.ndarray
    fingerprint: str


def real_images(modality: str, data_dir: str, size: int) -> RealImages:
    """All unlabelled images of a modality, prepared at a side of `size` pixels."""
    parts = [prepare(open_dataset(name, data_dir, "train"), size) for name in UNLABELLED[modality]]
    few, first = [], 0
    for part in parts:
        last = first + len(part) - 1
        few.append(np.linspace(first, last, min(25, len(part))).round().astype(int))
        first = last + 1
    return RealImages(
        np.concatenate([part.originals for part in parts]),
        np.concatenate([part.masks["field_of_view"] for part in parts]),
        np.concatenate(few),
        joint_fingerprint(parts),
    )


@dataclass(frozen=True)
class Conditions:
    """What the training pairs of a run are made from.

    Attributes:
        guide: The guided structures.
        prior: Name of the vessel prior.
        real: Unlabelled images.
        settings: Settings of the training.
        data_dir: Folder of the datasets.
    """

    guide: Guide
    prior: str
    real: RealImages
    settings: GuidedSettings
    data_dir: str


def rendered_pairs(given: Conditions, discs_for_vessels: bool = False, **changes) -> PairMaker:
    """Pairs rendered from the prior; for vessels `changes` are arguments of `VesselPairs`."""
    guide, settings = given.guide, given.settings
    if guide.names != ["vessel"]:
        return SimulatedPairs(
            guide.modality, guide.names, settings.simulated, settings.seed, settings.view_size
        )
    if discs_for_vessels:
        bank = disc_prior(seed=settings.seed)
    else:
        bank = vessel_prior(given.prior, given.data_dir, settings.seed)
    return VesselPairs(given.real.images, given.real.inside, bank, settings.view_size, **changes)


def one_labelled_image(given: Conditions) -> PairMaker:
    """Crops of one labelled training image of CHASE_DB1; the seed chooses which."""
    labelled = prepare(
        open_dataset("chase_db1", given.data_dir, "train"), given.settings.image_size
    )
    number = 6 * given.settings.seed % len(labelled)
    one = slice(number, number + 1)
    inside = np.asarray(labelled.masks["field_of_view"][one])
    vessels = np.asarray(labelled.masks["vessel"][one])[:, None]
    return LabelledPairs(
        standardise(labelled.originals[one], inside), vessels, inside, given.settings.view_size
    )


@dataclass(frozen=True)
class Control:
    """How a comparison differs from the method itself.

    Attributes:
        pairs: Makes the training pairs from `Conditions`.
        pair_changes: Further arguments of `pairs`.
        changes: Settings that differ; only for the method "rendered".
        from_representation: Initialises from the shipped representation, which was trained without
            labels, instead of random weights.
        vessels_only: Whether it makes sense for the vessel network alone.
        any_cluster: Whether the score is that of the one cluster that matches the structure best,
            which nobody knows without its masks, instead of the guided one.
    """

    pairs: Callable[..., PairMaker] = rendered_pairs
    pair_changes: dict = field(default_factory=dict)
    changes: dict = field(default_factory=dict)
    from_representation: bool = False
    vessels_only: bool = False
    any_cluster: bool = False


CONTROLS = {
    "none": Control(),
    "shuffled": Control(pair_changes={"shuffled": True}, vessels_only=True),
    "other structure": Control(pair_changes={"discs_for_vessels": True}, vessels_only=True),
    "shuffled, from representation": Control(
        pair_changes={"shuffled": True}, from_representation=True, vessels_only=True
    ),
    "other structure, from representation": Control(
        pair_changes={"discs_for_vessels": True}, from_representation=True, vessels_only=True
    ),
    "representation alone": Control(
        changes={"epochs": (0, 0)},
        from_representation=True,
        any_cluster=True,
        vessels_only=True,
    ),
    "no region": Control(changes={"stages": ({"guided": 1.0}, {"guided": 1.0})}),
    "no distractors": Control(pair_changes={"distractors": False}, vessels_only=True),
    "untrained": Control(changes={"epochs": (0, 0)}),
    "one label": Control(
        one_labelled_image,
        changes={"stages": ({"guided": 1.0}, {"calibrate": 1.0})},
        vessels_only=True,
    ),
    "from representation": Control(from_representation=True),
}
"""Comparisons by name; "none" is the method itself."""


def _control(name: str, guided: str, prior: str, method: str) -> Control:
    """A control, or a ValueError where it does not go together with the rest of the run."""
    control = CONTROLS[one_of(name, CONTROLS, "control")]
    one_of(guided, GUIDES, "guided network")
    if control.vessels_only and guided != "vessel":
        raise ValueError(f'the control "{name}" is for the network "vessel", not "{guided}"')
    if guided != "vessel" and prior != "simulated":
        raise ValueError(f'"{guided}" is guided by simulated shapes only, not by "{prior}"')
    if method == "steadied" and guided != "vessel":
        raise ValueError(f'the method "steadied" guides one cluster, not those of "{guided}"')
    if control.changes and method != "rendered":
        raise ValueError(
            f'the control "{name}" changes the stages of "rendered", not of "{method}"'
        )
    return control


def _require_shares(settings: GuidedSettings, guided: str) -> None:
    """Makes sure that the processes can share a step's images equally.

    Raises:
        ValueError: They cannot; the tiers that they can share are named.
    """
    processes = n_launched()

    def is_shared(pairs: int, rendered: int) -> bool:  # half of the rendered are the teacher's
        return not (pairs % processes or rendered // 2 % processes or rendered % processes)

    if processes == 1 or is_shared(settings.pairs, settings.rendered):
        return
    fitting = [
        f"--tier {tier}"
        for tier, values in TRAINING[guided].items()
        if is_shared(values["pairs"], values["rendered"])
    ]
    advice = " or ".join([*fitting, "one process, without torchrun"])
    raise ValueError(
        f'a step of the tier "{settings.tier}" has pairs = {settings.pairs} and rendered = '
        f"{settings.rendered}, which {processes} processes cannot share equally; take {advice}"
    )


def _fingerprint(real: RealImages, make_pairs: PairMaker) -> str:
    """Of the unlabelled images, and of a prior's masks where the pairs have one that is read from
    files.
    """
    prior = getattr(make_pairs, "prior", None)
    if prior is None:
        return real.fingerprint
    return f"{real.fingerprint} {array_fingerprint(prior.masks)}"


def run_label(guided: str, prior: str, method: str, control: str, tier: str, seed: int) -> str:
    """The name of a run's record and folder."""
    parts = [guided, prior_name(prior), method, control.replace(" ", "-"), tier, str(seed)]
    return "_".join(parts)


def prior_name(prior: str) -> str:
    """A prior's name; of a folder of masks one that no other folder has."""
    return prior if prior in PRIORS else safe_name(str(Path(prior).expanduser().resolve()))


def study(
    guided: str,
    prior: str = "simulated",
    method: str = "rendered",
    control: str = "none",
    seed: int = 0,
    data_dir: str = "",
    tier: str = "study",
) -> Path:
    """Trains one network, tests it on real images and keeps its record with the project. A run that
    was interrupted goes on from its last epoch; one that has ended is made again.

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
        ValueError: Unknown network, method, control or tier, some that do not go together, or more
            processes than can share a step.
        DataError: The images or the prior cannot be used, or an interrupted run had others.

    Taught in notebook 04c, section 8.
    """
    chosen = _control(control, guided, prior, method)
    from_representation = chosen.from_representation or method == "steadied"
    settings = GuidedSettings.for_tier(tier, guided, seed, method, **chosen.changes)
    _require_shares(settings, guided)
    label = run_label(guided, prior, method, control, tier, seed)
    parameters = dict(
        guided=guided,
        prior=prior_name(prior),
        method=method,
        control=control,
        tier=tier,
        seed=seed,
    )
    run = Run(NAME, parameters, str(runs_folder() / "records" / NAME / label))
    begin_anew_if_finished(run.folder)

    guide = guide_for(guided)
    real = real_images(guide.modality, data_dir, settings.image_size)
    given = Conditions(guide, prior, real, settings, data_dir)
    make_pairs = chosen.pairs(given, **chosen.pair_changes)
    fingerprint = _fingerprint(real, make_pairs)
    start = None
    if from_representation:
        start = load_representation(guide.modality, "cpu")
        settings = replace(settings, n_clusters=start.n_clusters)
    images, snapshots = standardise(real.images, real.inside), []
    if method == "steadied":
        start = begun_like_prior(start, images, real.inside, make_pairs, settings)
    if tier == "long" and settings.epochs[0]:
        snapshots = list(range(0, settings.steps * settings.epochs[0] + 1, LOOK_EVERY))
    if method == "combined":  # its third stage continues from the rendered run
        rendered = run_label(guided, prior, "rendered", control, tier, seed)
        weights = run.folder.with_name(rendered) / "model.safetensors"
        before = GuidedSettings.for_tier(tier, guided, seed, "rendered", **chosen.changes)
        before = replace(before, n_clusters=settings.n_clusters)
        if not _is_trained(weights, before, fingerprint, real.fingerprint):
            study(guided, prior, "rendered", control, seed, data_dir, tier)
        start = load_model(weights, "cpu")
        settings = replace(settings, stages=settings.stages[2:], epochs=settings.epochs[2:])

    net, rows = train_guided(
        images,
        make_pairs,
        guide,
        settings,
        run.folder,
        data=fingerprint,
        start=start,
        teacher_images=images[real.few],
        resume=True,
        snapshots=snapshots,
    )
    if not is_first():
        return record_path(NAME, label)
    last_epoch = {name: round(value, 4) for name, value in rows[-1].items()} if rows else {}
    run.data(train=real.fingerprint)
    run.metrics(settings=json.loads(json.dumps(asdict(settings))), last_epoch=last_epoch)
    if snapshots:
        run.metrics(looks=learning_curve(run.folder, snapshots, guide.names[0], data_dir))
    for structure in guide.structures:
        if chosen.any_cluster:
            number, table = best_cluster(net, structure, data_dir)
            name = f"{structure.name} by {structure.by}"
            run.metrics(**{name: table.mean().round(4).to_dict(), f"{name}, images": table})
            run.metrics(**{f"{structure.name}, best cluster": number})
            continue
        readings = READINGS if tier == "study" else (structure.by,)
        run.metrics(**scores_for_record(net, structure.name, data_dir, readings))
    return run.keep(label)


def _is_trained(weights: Path, settings: GuidedSettings, data: str, images: str) -> bool:
    """Whether a file holds the network that these settings and data give. Those of earlier
    revisions, which note nothing or the unlabelled images alone, are trusted.
    """
    if not weights.exists():
        return False
    origin, expected = origin_of(weights), identity(settings, data)
    return origin.get("data", data) in (data, images) and all(
        origin.get(name, expected[name]) == expected[name] for name in vars(settings)
    )
