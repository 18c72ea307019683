import pytest

from ldr_lib.explore.learning_table import ASKED, learning_records, learning_table


def record(way, seed, value, steps=1000, rows=("clusters", "k-means")):
    columns = {c: value for c in ("AP vessel", "AP vessel across", "Dice vessel", "NMI")}
    images = {str(i): columns | {"matched IoU": value} for i in range(2)}
    metrics = {f"chase_db1 {row}, images": images for row in rows}
    metrics["chase_db1 means"] = {row: images["0"] for row in rows}
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


def test_without_three_seeds_there_is_no_table():
    steps, table = learning_table([record("both", 0, 0.3)], "fundus")
    assert steps == 0 and table.empty


@pytest.mark.parametrize("modality", ASKED)
def test_kept_records_are_of_one_modality_and_of_test_images(modality):
    for one in learning_records(modality):
        assert (one["parameters"]["modality"], one["parameters"]["split"]) == (modality, "test")
