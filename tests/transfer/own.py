"""Own images for tests: discs, and a study of them that takes seconds."""

import numpy as np
import pandas as pd

from ldr_lib.transfer import own_study

SIDE = 64
SMOKE = dict(tier="smoke", device="cpu")


def blob(seed: int, radius: float = 14, side: int = SIDE) -> np.ndarray:
    """A disc whose place depends on the seed, (side, side) bool."""
    rows, columns = np.mgrid[:side, :side]
    return np.hypot(rows - 26 - seed % 7, columns - 34 + seed % 5) < radius


def study(own, **changes) -> tuple[pd.DataFrame, list[str]]:
    said = []
    given = dict(out=own / "result", folds=2, inits=("random",), say=said.append) | SMOKE
    return own_study(own / "images", own / "masks", **given | changes), said
