"""One choice of *both* changed at a time, judged on training images."""

from dataclasses import fields, replace

import pytest

from ldr_lib.explore import learning, switches
from ldr_lib.explore.switches import (
    NOTHING,
    SWITCHES,
    label,
    switch_study,
    switch_table,
    switched,
)
from ldr_lib.runs.fingerprints import read_record

ELSEWHERE = {"crops to the whole image", "one appearance"}
"""What X-rays have already."""


def test_the_control_is_both_as_it_is():
    assert replace(switched(NOTHING, "chest", 2), tier="both") == learning.settings_of(
        "both", "chest", 2
    )


@pytest.mark.parametrize("switch", sorted(SWITCHES.keys() - {NOTHING}))
def test_a_switch_changes_one_choice_and_the_number_of_steps_stays(switch):
    both = learning.settings_of("both", "fundus", 4)
    other = switched(switch, "fundus", 4)
    changed = {
        field.name
        for field in fields(both)
        if getattr(both, field.name) != getattr(other, field.name)
    }
    rate = {"learning_rate"} if switch == "no start from k-means" else set()
    assert len(changed - {"tier"} - rate) == 1 and other.tier == switch
    assert other.steps_before(3) == both.steps_before(3) and other.seed == 4
    if switch in ELSEWHERE:
        with pytest.raises(ValueError, match=f'the switch "{switch}" changes nothing for chest'):
            switched(switch, "chest")
    else:
        assert replace(switched(switch, "chest"), tier="both") != learning.settings_of(
            "both", "chest"
        )


def test_unknown_switches_are_named():
    with pytest.raises(ValueError, match='unknown switch "K = 9"; known are nothing, K = 8'):
        switched("K = 9", "fundus")


@pytest.mark.parametrize("switch", ["K = 8", "one appearance", "outside counts"])
def test_a_switch_is_trained_and_stands_beside_both_in_the_table(small, monkeypatch, switch):
    monkeypatch.setattr(switches, "STEPS", 20)
    monkeypatch.setattr(learning, "AT", (10, 20))
    plan = tuple((losses, n and 10, rate) for losses, n, rate in learning.WAYS["both"])
    monkeypatch.setitem(learning.WAYS, "both", plan)
    monkeypatch.setattr(learning, "LONGEST", 40)
    monkeypatch.setitem(switches.ASKED, "fundus", ("simulated_fundus", "vessel"))
    if switch == "outside counts":
        views = dict(appearances=2, field_of_view=True)
        tier = learning.TRAINING["fundus"]["class"]
        monkeypatch.setitem(tier, "views", views)
    path = switch_study(switch, "fundus", 1, "")
    assert path.stem == label(switch, "fundus", 1)
    record = read_record(path)
    means = record["metrics"]["simulated_fundus means"]
    monkeypatch.setattr(
        switches, "committed_records", lambda name, **_: [record] if name == "switches" else []
    )
    row = switch_table("fundus").loc[switch]
    best = max(rows["AP vessel"] for rows in means.values())
    assert row["seeds"] == "1" and float(row["AP vessel"]) == pytest.approx(best, abs=1e-3)
