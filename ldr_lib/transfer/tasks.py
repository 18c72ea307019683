"""The segmentation tasks on which representations are compared: the paper's twelve, three on
further real images, four on simulated ones.
"""

from dataclasses import dataclass

from ..data import checks
from ..data.checks import flag, span, text
from ..data.datasets import DATASETS
from ..data.errors import one_of


@dataclass(frozen=True)
class Task:
    """One structure of one dataset.

    Attributes:
        dataset: As in `open_dataset`.
        structure: One of the dataset's masks.
        size: Side in pixels of the prepared images, a multiple of 16.
        crop: Smallest and largest side of a training crop as a share of the image.
        turn: Whether crops may be turned by any angle.

    Raises:
        ValueError: A value makes no sense; the message says which.
    """

    dataset: str
    structure: str
    size: int
    crop: tuple[float, float]
    turn: bool

    def __post_init__(self):
        one_of(self.dataset, DATASETS, "dataset")
        text(self.structure, "structure")
        checks.multiple(self.size, "size", 16, 4096)
        span(self.crop, "crop", 4)
        flag(self.turn, "turn")

    @property
    def is_thin(self) -> bool:
        """Vessels: overlap of centre lines says more than the distance of borders."""
        return self.structure == "vessel"


def _thin(dataset: str, structure: str) -> Task:
    return Task(dataset, structure, size=384, crop=(0.25, 0.5), turn=True)


def _organ(dataset: str, structure: str) -> Task:
    return Task(dataset, structure, size=128, crop=(0.8, 1.1), turn=False)


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
    "vessel_simulated_fundus": _thin("simulated_fundus", "vessel"),
    "disc_simulated_fundus": _organ("simulated_fundus", "disc"),
    "lungs_simulated_chest": _organ("simulated_chest", "lungs"),
    "heart_simulated_chest": _organ("simulated_chest", "heart"),
}
REAL_TASKS = ("vessel_chase_db1", "disc_drions", "lungs_covid19_cxr_seg", "heart_covid19_cxr_seg")


def task(name: str) -> Task:
    """A task by its name, for example "vessel_chase_db1".

    Raises:
        ValueError: Unknown name; the message lists the known ones.

    Taught in notebook 05, section 1.
    """
    return TASKS[one_of(name, TASKS, "task")]
