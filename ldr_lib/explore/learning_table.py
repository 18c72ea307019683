"""Tables of the long trainings: ways of training and what needs no training, by one distance."""

from contextlib import suppress

import numpy as np
import pandas as pd

from ..runs.records import committed_records
from .learning import NAME, WAYS, image_values, last_common_step, rival_means

ASKED = {"fundus": ("chase_db1", "vessel"), "chest": ("covid19_cxr_seg", "lungs")}
"""Modality to the test images and their main structure."""
COMPARED = ("both", "embedding only")


def learning_records(modality: str) -> list[dict]:
    """The kept records of long trainings, measured on test images."""
    return committed_records(NAME, modality=modality, split="test")


def learning_table(
    records: list[dict], modality: str, steps: int | None = None
) -> tuple[int, pd.DataFrame]:
    """What was reached after n steps.

    Args:
        records: Of `learning_study`.
        modality: "fundus" or "chest".
        steps: Their number; None takes the largest that three seeds of *both* and of *embedding
            only* have.

    Returns:
        The number of steps, 0 where there is none; and a row for each way of training and each
        rival, with mean and standard deviation over seeds.

    Taught in notebook 02, section 10.
    """
    dataset, main = ASKED[modality]
    steps = last_common_step(records, COMPARED) if steps is None else steps
    columns = (f"AP {main}", f"AP {main} across", f"Dice {main}", "matched IoU", "NMI")
    trained = {record["parameters"]["way"] for record in records} & set(WAYS)
    rows = [way for way in WAYS if way in trained]
    rows += list(rival_means(records, dataset).index)
    found = {}
    for way in rows if steps else ():
        with suppress(ValueError):  # a way may have been trained for fewer steps
            values = {c: image_values(records, dataset, c, way, steps) for c in columns}
            found[way] = {c: _cell(v, way in WAYS) for c, v in values.items()}
    return steps, pd.DataFrame(found).T


def _cell(values: np.ndarray, trained: bool) -> str:
    """Mean over images and seeds, with the standard deviation over seeds where there are some."""
    by_seed = np.nanmean(values, axis=1)
    spread = f" ± {by_seed.std(ddof=1):.3f}" if trained and len(by_seed) > 1 else ""
    return f"{by_seed.mean():.3f}{spread}"
