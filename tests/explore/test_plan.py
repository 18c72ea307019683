"""The plan of an experiment as a table."""

import pytest

from ldr_lib import explore

PLAN = {
    "stage 1": (None, [({"patch": 1.0}, 3, 0.001)]),
    "both": ("stage 1", [({"patch": 1.0}, 1, 0.001), ({"region": 10.0}, 2, 0.001)]),
}


def test_each_stage_has_a_row_with_its_steps_and_losses():
    table = explore.plan_table(PLAN, steps=50)
    assert list(table.index) == ["stage 1", "both", "both"]
    assert list(table["starts from"]) == ["random weights", "stage 1", "stage 1"]
    assert list(table["steps"]) == [150, 50, 100]
    assert list(table["patch"]) == [1.0, 1.0, "-"] and list(table["region"]) == ["-", "-", 10.0]


@pytest.mark.parametrize("plan", [{}, {"both": "stage 1"}, {"both": (None, [({}, 3)])}])
def test_what_is_no_plan_is_refused(plan):
    with pytest.raises(ValueError, match="plan"):
        explore.plan_table(plan, steps=50)
