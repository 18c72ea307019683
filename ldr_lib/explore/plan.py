"""A table of what an experiment trains."""

import pandas as pd

from ..data.checks import instance, named, whole

Stage = tuple[dict[str, float], int, float]
"""Weights of the losses, epochs, and learning rate."""


def plan_table(plan: dict[str, tuple[str | None, list[Stage]]], steps: int) -> pd.DataFrame:
    """What several ways of training do, one row for each of their stages.

    Args:
        plan: Way to the way it starts from (None draws random weights) and its stages: weights of
            the losses, epochs and learning rate.
        steps: Steps of an epoch.

    Returns:
        Columns "starts from", "steps", and the weight of each loss, "-" where it is not trained.

    Raises:
        ValueError: There is no way, or a way is not a start and its stages.

    Example:
        >>> stages = [({"patch": 1.0}, 3, 0.001), ({"patch": 1.0, "region": 10.0}, 2, 0.001)]
        >>> print(plan_table({"both": (None, stages)}, 50).reset_index().to_string(index=False))
         way    starts from steps patch region
        both random weights   150   1.0      -
        both random weights   100   1.0   10.0

    Taught in notebook 02, section 6.
    """
    steps, rows = whole(steps, "steps", 1), []
    for way, found in named(plan, "plan", "its start and its stages").items():
        pair = instance(found, (tuple, list), f"plan[{way!r}]", "a start and a list of stages")
        if len(pair) != 2 or not all(len(stage) == 3 for stage in pair[1]):
            raise ValueError(
                f"plan[{way!r}] must be a start and stages of losses, epochs and learning rate"
            )
        start, stages = pair
        for weights, epochs, _ in stages:
            of_stage = {"starts from": start or "random weights", "steps": epochs * steps}
            rows.append({"way": way} | of_stage | weights)
    table = pd.DataFrame(rows).set_index("way")
    return table.astype(object).where(table.notna(), "-")
