from importlib import import_module

import pytest

from ldr_lib.explore.learning_table import (
    ASKED,
    QUICK_AP,
    SHOWN,
    best_step,
    chosen_step,
    comparisons,
    learning_records,
    learning_table,
    long_run_panels,
    short_runs,
    without_jitter,
)
from ldr_lib.pretrained import load_representation


def record(way, seed, value, steps=1000, rows=("clusters", "k-means")):
    measures = ("AP vessel", "AP vessel across", "AUC vessel", "Dice vessel", "NMI")
    columns = dict.fromkeys(measures, value)
    images = {str(i): columns | {"matched IoU": value} for i in range(2)}
    metrics = {f"chase_db1 {row}, images": images for row in rows}
    signs = {"clusters": {"largest area": value}, "k-means": {"largest area": 9.0}}
    metrics["chase_db1 means"] = {row: images["0"] | signs.get(row, {}) for row in rows}
    metrics["chase_db1 health"] = {"decided pixels": value / 2}
    return {"parameters": dict(way=way, seed=seed, steps=steps), "metrics": metrics}


def test_the_table_holds_ways_with_their_spread_and_rivals_without():
    records = [record("both", seed, 0.3 + seed / 10) for seed in range(3)]
    records += [record("embedding only", seed, 0.2) for seed in range(3)]
    records += [record("both", 0, 0.9, steps=3000)]  # one seed alone
    records += [record("rivals", 0, 0.25, 0, ("raw filter bank", "raw intensities"))]
    steps, table = learning_table(records, "fundus")
    assert steps == 1000 and list(table.index) == [
        *("embedding only", "both", "intensities", "filter bank")
    ]
    assert table.loc["both", "AP vessel"] == "0.400 ± 0.100"
    assert table.loc["embedding only", "NMI"] == "0.200 ± 0.000"
    assert table.loc["filter bank", "AP vessel"] == "0.250"
    assert table.loc["both", "largest area"] == "0.40" and table.loc["both"].iloc[-1] == "0.20"
    assert table.loc["filter bank", "largest area"] == ""
    assert "NMI of structures" not in table  # of one structure there is none


def test_the_untrained_network_has_a_row_of_its_own():
    records = [record(way, s, 0.3) for way in ("both", "embedding only") for s in range(3)]
    records += [record("both", s, 0.1, steps=0) for s in range(3)]
    _, table = learning_table(records, "fundus")
    assert table.index[0] == "untrained" and table.loc["untrained", "AP vessel"] == "0.100 ± 0.000"


@pytest.mark.parametrize("modality", ASKED)
def test_every_dataset_that_was_measured_has_its_table(modality):
    records = learning_records(modality)
    measured = {
        name.removesuffix(" means")
        for one in records
        for name in one["metrics"]
        if name.endswith(" means")
    }
    assert measured and measured <= SHOWN.keys()
    for dataset in measured:
        _, table = learning_table(records, modality, chosen_step(modality), dataset)
        assert {"untrained", "both", "ImageNet"} <= set(table.index)
        assert table.loc[["untrained", "ImageNet"], list(SHOWN[dataset])].ne("").all(axis=None)


def test_without_three_seeds_there_is_no_table():
    steps, table = learning_table([record("both", 0, 0.3)], "fundus")
    assert steps == 0 and table.empty


def test_both_is_compared_at_the_chosen_and_the_last_step_with_the_strongest_opponent():
    reached = {
        "both": {1000: 0.4, 3000: 0.3},
        "embedding only": {300: 0.25, 1000: 0.2, 3000: 0.1},
        "clustering only": {100: 0.15, 1000: 0.1, 3000: 0.05},
    }
    records = [
        record(way, seed, value, steps)
        for way, values in reached.items()
        for steps, value in values.items()
        for seed in range(3)
    ]
    records += [record("rivals", 0, 0.35, 0, ("raw filter bank",))]
    found = {claim: (a.mean(), b.mean()) for claim, a, b in comparisons(records, "fundus")}
    columns = ("AP vessel", "AP vessel across", "matched IoU", "NMI")
    expected = {}
    for alone in ("embedding only", "clustering only"):
        for which, steps in (("chosen", 1000), ("last", 3000)):
            pair = reached["both"][steps], reached[alone][steps]
            for column in columns:
                expected[f"{column}, {which} step: both better than {alone}"] = pair
    ap = "AP vessel, chosen step: both better than "
    at_best = "{}, chosen step: both better than embedding only at its best step"
    expected |= {at_best.format(column): (0.4, 0.25) for column in columns}
    expected |= {
        ap + "clustering only at its best step": (0.4, 0.15),
        ap + "filter bank": (0.4, 0.35),
    }
    assert {name.removeprefix("long runs, chase_db1, ") for name in found} == set(expected)
    for name, pair in expected.items():
        assert found[f"long runs, chase_db1, {name}"] == pytest.approx(pair)


def test_a_way_without_three_seeds_is_not_compared():
    ways = [("both", 3), ("embedding only", 3), ("clustering only", 1)]
    records = [record(way, seed, 0.3) for way, seeds in ways for seed in range(seeds)]
    assert not any("clustering only" in claim for claim, *_ in comparisons(records, "fundus"))


def test_nothing_is_claimed_before_three_seeds_reach_the_chosen_step():
    ways = ("both", "embedding only")
    records = [record(way, seed, 0.3, 300) for way in ways for seed in range(3)]
    assert not list(comparisons(records, "fundus"))


def test_without_jitter_each_measure_is_taken_where_training_images_chose(monkeypatch):
    def kept(split):
        values = {"no jitter": {100: 0.5, 300: 0.4}, "both": {100: 0.1, 300: 0.2}}
        values["embedding only, no jitter"] = {100: 0.25, 300: 0.35}
        records = [
            record(way, seed, value + seed / 100 + (split == "test") / 10, steps)
            for way, reached in values.items()
            for steps, value in reached.items()
            for seed in range(3)
        ]
        return records + [record("rivals", 0, 0.3, 0, ("raw filter bank",))]

    chosen = []
    module = import_module("ldr_lib.explore.learning_table")
    monkeypatch.setattr(
        module,
        "committed_records",
        lambda *_, **which: chosen.append(which) or kept("train"),
    )
    found = {claim: (a.mean(), b.mean()) for claim, a, b in without_jitter(kept("test"))}
    assert chosen == [{"modality": "fundus", "split": "train"}]
    vessels = "long runs, chase_db1, AP vessel: no jitter better than "
    alone = vessels + "embedding only, no jitter"
    later = alone + " after as many steps"
    assert set(found) == {vessels + "both", vessels + "filter bank", alone, later}
    assert found[alone] == pytest.approx((0.61, 0.46))
    assert found[later] == pytest.approx((0.61, 0.36))
    assert found[vessels + "both"] == pytest.approx((0.61, 0.31))
    assert found[vessels + "filter bank"] == pytest.approx((0.61, 0.3))


def test_short_runs_are_judged_by_seeds_with_which_nothing_was_noticed(monkeypatch):
    def run(seed, value):
        return {"seed": seed, "claims": {QUICK_AP: {"better": [value, value], "worse": [0, 0]}}}

    module = import_module("ldr_lib.explore.learning_table")
    kept = [run(seed, 0.9) for seed in range(3)] + [run(seed, 0.4) for seed in (3, 4)]
    monkeypatch.setattr(module, "committed_records", lambda *_, **__: kept)
    rivals = [record("rivals", 0, 0.3, 0, ("raw filter bank", "raw ImageNet"))]
    rivals += [record("both", 0, 0.5)]
    assert not list(short_runs(rivals))  # two fresh seeds are too few
    kept.append(run(5, 0.4))
    found = {claim: (a.tolist(), b.tolist()) for claim, a, b in short_runs(rivals)}
    pair = [[0.4, 0.4]] * 3, [[0.3, 0.3]] * 3
    claim = "short runs, chase_db1, AP vessel: better than {}"
    assert found == {claim.format(rival): pair for rival in ("filter bank", "ImageNet")}


def test_the_best_step_of_what_was_not_measured_is_refused():
    with pytest.raises(ValueError, match="no record holds AP disc of both on drions raw"):
        best_step([record("both", 0, 0.3)], "drions raw", "AP disc", "both")
    with pytest.raises(ValueError, match="no record holds AP disc of both on chase_db1"):
        best_step([record("both", 0, 0.3)], "chase_db1", "AP disc", "both")


def test_the_chosen_step_is_that_of_the_shipped_network():
    assert chosen_step("fundus") == 1_000
    shipped = load_representation("fundus", "cpu").state_dict()
    again = load_representation("fundus", "cpu", step=chosen_step("fundus")).state_dict()
    assert all((value == again[name]).all() for name, value in shipped.items())


@pytest.mark.parametrize("modality", ASKED)
def test_kept_records_are_of_one_modality_and_of_test_images(modality):
    for one in learning_records(modality):
        assert (one["parameters"]["modality"], one["parameters"]["split"]) == (modality, "test")


def test_panels_hold_what_records_hold_and_what_needs_no_training():
    measured = [("chase_db1", "AP vessel"), ("drions raw", "AP disc"), ("mine", "AP vessel")]
    panels = long_run_panels("fundus", measured)
    assert list(panels) == ["AP vessel, chase_db1", "AP disc, drions raw"]
    for table, baselines in panels.values():
        assert {"both", "no jitter"} <= set(table["way"])
        assert baselines.keys() == {"intensities", "filter bank", "ImageNet"}
    assert not long_run_panels("other", measured)
    assert not long_run_panels("fundus", [("chase_db1", "AP disc")])  # it has no mask of discs
