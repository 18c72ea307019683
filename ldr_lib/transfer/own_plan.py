"""What a study of own images rests on: images and masks at one size, folds, starts, and a plan that
tells whether a folder of results is of the same.
"""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from ..data import checks
from ..data.checksums import sealed, unsealed
from ..data.crop import prepare_sample
from ..data.errors import DataError, printable
from ..data.files import atomic_write, progress
from ..data.prepare import Prepared, prepare
from ..network import Encoder
from ..pretrained import CHANNELS
from ..tensor_files import read_tensors
from .own_folds import TRAIN, folds_of, random_folds, save_folds
from .own_masks import LabelledFolder, listed
from .settings import TransferSettings
from .starts import initial_encoder, own_weights
from .tasks import TASKS, Task

LIKE = {True: TASKS["vessel_chase_db1"], False: TASKS["disc_drions"]}
"""Whether a structure is fine, to the task whose sizes and crops it takes."""
FINE = 5
"""Widest place of a fine structure in pixels of an image of 128."""
PLAN = "plan.json"
FAULTS = 3
"""Unusable images that a message explains."""


@dataclass
class OwnStudy:
    """Own images, ready to be measured.

    Attributes:
        dataset: Images and masks.
        prepared: The same, prepared.
        task: What is segmented, and at which size.
        folds: Name of an image to its fold.
        settings: The budget; its seed is replaced by that of a cell.
        out: Folder of the results.
        device: As in `pick_device`.
    """

    dataset: LabelledFolder
    prepared: Prepared
    task: Task
    folds: pd.Series
    settings: TransferSettings
    out: Path
    device: str

    @property
    def masks(self) -> np.ndarray:
        """(N, S, S) bool, those of the structure."""
        return self.prepared.masks[self.task.structure]

    def rows(self, *folds: str) -> np.ndarray:
        """Numbers of the images of some folds."""
        return np.flatnonzero(self.folds.isin(folds))

    def tested_folds(self) -> list[str]:
        """The folds whose images are tested."""
        return [fold for fold in sorted(self.folds.unique(), key=_numbers_first) if fold != TRAIN]

    def training_rows(self, fold: str | None) -> np.ndarray:
        """Numbers of the images on which a fold's network is trained; without a fold, on which the
        segmenter to keep is: all, or those of a given training part.
        """
        given_part = self.rows(TRAIN)
        everything = np.arange(len(self.folds))
        if fold is None:
            return given_part if len(given_part) else everything
        return np.setdiff1d(everything, self.rows(fold))

    def watched_rows(self, fold: str | None) -> np.ndarray:
        """Those set aside where the settings want looks while training: a fifth of the training
        images that show the structure, the same for all starts.
        """
        shown = self._showing(fold)
        n = math.ceil(len(shown) / 5) if self.settings.check_every else 0
        return np.sort(np.random.default_rng(0).choice(shown, n, replace=False))

    def shown_rows(self, fold: str | None) -> np.ndarray:
        """Those of `training_rows` that show the structure and are not set aside."""
        return np.setdiff1d(self._showing(fold), self.watched_rows(fold))

    def _showing(self, fold: str | None) -> np.ndarray:
        rows = self.training_rows(fold)
        return rows[[bool(self.masks[row].any()) for row in rows]]


def open_study(
    dataset: LabelledFolder,
    fine: bool | None,
    split: Path | str | None,
    folds: int,
    settings: TransferSettings,
    out: Path,
    device: str,
) -> OwnStudy:
    """Reads own images and masks, prepares them at the size that their structure needs, and puts
    them into folds. The dataset's `report` then has every doubt about them, also where the prepared
    images come from the cache.

    Args:
        dataset: Images and masks.
        fine: Whether the structure is fine; None decides by the masks.
        split: As in `folds_of`, or None for random folds.
        folds: Number of random folds.
        settings: The budget.
        out: Folder of the results.
        device: As in `pick_device`.

    Raises:
        DataError: An image or mask cannot be used, or the split does not fit the images.
    """
    _require_usable(dataset)
    (structure,) = dataset.structures
    fine = _is_fine(dataset) if fine is None else checks.flag(fine, "fine")
    task = replace(LIKE[fine], dataset="folder", structure=structure)
    prepared = prepare(dataset, task.size)
    names = [item.name for item in dataset.items]
    of_images = folds_of(split, names) if checks.given(split) else random_folds(names, folds)
    return OwnStudy(dataset, prepared, task, of_images, settings, out, device)


def _require_usable(dataset: LabelledFolder) -> None:
    """Reads all images as a training does; one that cannot be used stops the study."""
    with ThreadPoolExecutor() as pool:
        found = pool.map(partial(_fault, dataset), range(len(dataset)))
        faults = [fault for fault in progress(found, "reading", len(dataset)) if fault]
    if faults:
        more = f"; and {len(faults) - FAULTS} more" if len(faults) > FAULTS else ""
        raise DataError(
            f"{len(faults)} of {len(dataset)} images cannot be used, and a study takes all that "
            "are there. Mend them, or remove them with their masks: "
            + "; ".join(faults[:FAULTS])
            + more
        )


def _fault(dataset: LabelledFolder, i: int) -> str:
    """Why an image or its mask cannot be used, or ""."""
    try:
        prepare_sample(dataset[i], LIKE[False].size, dataset.modality)
    except DataError as error:
        where = printable(dataset.items[i].image)
        return str(error) if where in str(error) else f"{where}: {error}"
    return ""


def _is_fine(dataset: LabelledFolder) -> bool:
    """Whether a structure is too fine for whole images of 128 pixels."""
    masks = prepare(dataset, LIKE[False].size).masks[dataset.structures[0]]
    widths = [2 * ndimage.distance_transform_edt(np.pad(mask, 1)).max() for mask in masks]
    return float(np.median(widths)) < FINE


def require_masks(study: OwnStudy, n_labels: int, allow_empty: bool) -> None:
    """Makes sure that every fold has enough images to train on.

    Args:
        study: The study.
        n_labels: Labelled images that each fold must have.
        allow_empty: Whether a mask may be empty.

    Raises:
        DataError: A mask is empty and must not be, or a fold has too few images.
    """
    empty = [name for name, mask in zip(study.folds.index, study.masks) if not mask.any()]
    if empty and not allow_empty:
        raise DataError(
            f"{len(empty)} of {len(study.folds)} masks are empty (seen at {study.task.size} "
            f"pixels): {listed(empty)}. Remove these images and their masks, or say by "
            "--allow-empty that they do not show the structure."
        )
    aside = ", less a fifth to look at while training" if study.settings.check_every else ""
    for fold in (*study.tested_folds(), None):
        n, least = len(study.shown_rows(fold)), max(1, n_labels if fold else 1)
        if n < least:
            raise DataError(
                f"{least} labelled images are asked for, and "
                f"{f'in fold {fold}' if fold else 'for the segmenter to keep'} there are {n}: of "
                f"{len(study.folds)} images those count that are not tested there and whose mask "
                f"is not empty{aside}"
            )


def start(init: str, study: OwnStudy, seed: int) -> Encoder:
    """The encoder from which the networks of a study start.

    Args:
        init: As in `initial_encoder`.
        study: Says of which modality and how many channels the images are.
        seed: Of a random encoder.

    Raises:
        DataError: The weights are not there, or are of another number of channels.
        ValueError: Unknown initialisation.
    """
    channels = study.dataset.channels
    if own_weights(init):
        tensors, _ = read_tensors(init, "A start is a safetensors file of a network of this kit")
        takes = [
            value.shape[1]
            for name, value in tensors.items()
            if name.endswith("groups.0.0.0.weight")
        ]
        if takes and takes[0] != channels:
            raise DataError(
                f"the start {printable(init)} takes images of {_channels(takes[0])}, and yours "
                f"have {_channels(channels)}: choose another start"
            )
    kin = next(kind for kind, n in CHANNELS.items() if n == channels)
    return initial_encoder(init, replace(study.task, dataset=f"simulated_{kin}"), seed)


def _channels(n: int) -> str:
    return f"{n} channel (grey)" if n == 1 else f"{n} channels (colour)"


def results_folder(out: Path | str) -> Path:
    """A folder for results: new or empty, or that of an earlier call.

    Args:
        out: The folder.

    Raises:
        DataError: It is a file, or holds something else.
    """
    out = checks.path(out, "out").expanduser()
    if out.exists() and not out.is_dir():
        raise DataError(f"{printable(out)} is a file: name a folder for the results")
    others = [path for path in out.glob("*") if not path.name.startswith(".")]
    if others and not (out / PLAN).exists():
        raise DataError(
            f"{printable(out)} holds other files and no results of an earlier call: name a new "
            "folder for the results"
        )
    return out


def plan_of(study: OwnStudy) -> dict:
    """All that the trainings of a folder of results share, plain values.

    Args:
        study: The study.
    """
    budget = {name: value for name, value in asdict(study.settings).items() if name != "seed"}
    seen = {name: value for name, value in asdict(study.task).items() if name != "dataset"}
    images = {"images or masks": study.prepared.fingerprint, "folds": study.folds.to_dict()}
    seen["modality"] = study.dataset.modality
    return json.loads(json.dumps(budget | seen | images))


def keep_plan(study: OwnStudy) -> None:
    """Writes the plan, or makes sure that the folder's results are of the same.

    Args:
        study: The study.

    Raises:
        DataError: They are of other images, folds or settings; the message says which.
    """
    path, plan = study.out / PLAN, plan_of(study)
    if path.exists():
        try:
            earlier = unsealed(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{printable(path)} is damaged ({error}): name a new folder for the results"
            ) from error
        other = [name for name in plan if earlier.get(name) != plan[name]]
        if other:
            changed = [_change(name, earlier.get(name), plan[name]) for name in other]
            raise DataError(
                f"{printable(study.out)} holds results of another call: {'; '.join(changed)}. "
                "Name a new folder for the results, or call it as before."
            )
        return
    with atomic_write(path) as temporary:
        temporary.write_text(sealed(plan), encoding="utf-8")
    save_folds(study.folds, study.out / "split.csv")


def _change(name: str, before, now) -> str:
    """One difference of two plans in words."""
    if isinstance(now, dict) or name == "images or masks":
        return f"{name} were others"
    return f"{name} was {before} and is {now}"


def _numbers_first(fold: str) -> tuple:
    return (0, int(fold), "") if fold.isdecimal() else (1, 0, fold)
