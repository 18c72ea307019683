"""The segmentation tasks on which representations are compared: the paper's twelve, four on
further real images, one on those of the package, four on simulated ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..data import checks
from ..data.checks import flag, span, text
from ..data.datasets import DATASETS
from ..data.errors import one_of


@dataclass(frozen=True)
class Task:
    """One structure of one dataset.

    Attributes:
        dataset: As in `open_dataset`.
        structure: What is segmented, one of the dataset's masks unless it has parts.
        size: Side in pixels of the prepared images, a multiple of 16.
        crop: Smallest and largest side of a training crop as a share of the image.
        turn: Whether crops may be turned by any angle.
        parts: The dataset's masks whose union the structure is, where it is not one mask.

    Raises:
        ValueError: A value makes no sense; the message says which.
    """

    dataset: str
    structure: str
    size: int
    crop: tuple[float, float]
    turn: bool
    parts: tuple[str, ...] = ()

    def __post_init__(self):
        one_of(self.dataset, DATASETS, "dataset")
        text(self.structure, "structure")
        checks.multiple(self.size, "size", 16, 4096)
        span(self.crop, "crop", 4)
        flag(self.turn, "turn")
        if self.parts:
            checks.names(self.parts, "parts", "names of masks")

    @property
    def marked_by(self) -> tuple[str, ...]:
        """The dataset's masks whose union the structure is."""
        return self.parts or (self.structure,)

    def is_marked(self, masks: Mapping[str, np.ndarray]) -> bool:
        """Whether masks of an image or of many hold the structure."""
        return all(part in masks for part in self.marked_by)

    def mask(self, masks: Mapping[str, np.ndarray]) -> np.ndarray:
        """The structure among the masks of an image or of many.

        Args:
            masks: Bool, of one shape, by name; those of `marked_by` must be there.

        Returns:
            Bool of that shape.

        Example:
            >>> one = Task("chase_db1", "any", 128, (1, 1), True, parts=("vessel", "disc"))
            >>> one.mask({"vessel": np.array([True, False]), "disc": np.array([False, False])})
            array([ True, False])
        """
        return np.logical_or.reduce([masks[part] for part in self.marked_by])

    @property
    def is_thin(self) -> bool:
        """Vessels: overlap of centre lines says more than the distance of borders."""
        return self.structure == "vessel"


def _thin(dataset: str, structure: str) -> Task:
    return Task(dataset, structure, size=384, crop=(0.25, 0.5), turn=True)


def _organ(dataset: str, structure: str, *parts: str) -> Task:
    return Task(dataset, structure, size=128, crop=(0.8, 1.1), turn=False, parts=parts)


TASKS = {
    "vessel_rite": _thin("rite", "vessel"),
    "vessel_stare": _thin("stare", "vessel"),
    "vessel_chase_db1": _thin("chase_db1", "vessel"),
    "vessel_hrf": _thin("hrf", "vessel"),
    "disc_drishti_gs1": _organ("drishti_gs1", "disc"),
    "cup_drishti_gs1": _organ("drishti_gs1", "cup"),
    "disc_idrid": _organ("idrid", "disc"),
    "hard_exudate_idrid": _thin("idrid", "hard_exudate"),
    "heart_scr": _organ("scr", "heart"),
    "lungs_scr": _organ("scr", "lungs"),
    "clavicles_scr": _organ("scr", "clavicles"),
    "pneumothorax_siim_acr": _organ("siim_acr", "pneumothorax"),
    "disc_drions": _organ("drions", "disc"),
    "lungs_covid19_cxr_seg": _organ("covid19_cxr_seg", "lungs"),
    "heart_covid19_cxr_seg": _organ("covid19_cxr_seg", "heart"),
    "opacity_covid19_cxr_seg": _organ(
        "covid19_cxr_seg", "opacity", "ground_glass", "consolidation"
    ),
    "vessel_sample_fundus": _thin("sample_fundus", "vessel"),
    "vessel_simulated_fundus": _thin("simulated_fundus", "vessel"),
    "disc_simulated_fundus": _organ("simulated_fundus", "disc"),
    "lungs_simulated_chest": _organ("simulated_chest", "lungs"),
    "heart_simulated_chest": _organ("simulated_chest", "heart"),
}
REAL_TASKS = (
    "vessel_chase_db1",
    "disc_drions",
    "lungs_covid19_cxr_seg",
    "heart_covid19_cxr_seg",
    "opacity_covid19_cxr_seg",
)


def task(name: str) -> Task:
    """A task by its name, for example "vessel_chase_db1".

    Raises:
        ValueError: Unknown name; the message lists the known ones.

    Taught in notebook 05, section 1.
    """
    return TASKS[one_of(name, TASKS, "task")]
