"""The table of the study and its values image by image."""

import numpy as np
import pytest

from ldr_lib.guided import table as tables


@pytest.fixture
def records(monkeypatch):
    def record(control, seed, dice):
        images = {name: {"Dice": dice + gap} for name, gap in (("a", -0.1), ("b", 0.1))}
        metrics = {
            "vessel by cluster": {"Dice": dice, "clDice": dice},
            "vessel by prototype": {"Dice": dice / 2},
            "vessel by cluster, images": images,
        }
        parameters = dict(
            guided="vessel",
            prior="octa",
            method="rendered",
            control=control,
            tier="study",
            seed=seed,
        )
        return {"parameters": parameters, "seed": seed, "metrics": metrics}

    fovea = record("none", 0, 0.0) | {
        "parameters": dict(
            guided="disc",
            prior="simulated",
            method="rendered",
            control="none",
            tier="short",
            seed=0,
        ),
        "metrics": {
            "fovea": {"within half a disc diameter": 0.9},
            "disc by cluster": {"Dice": 0.8},
        },
    }
    baselines = {
        "parameters": {"modality": "baselines", "seed": 0},
        "seed": 0,
        "metrics": {
            "vessel": {"frangi": {"Dice": 0.6, "clDice": 0.7}},
            "vessel, images": {"frangi": {"a": 0.5, "b": 0.7}},
            "disc": {"brightest blob": 0.5},
            "fovea": {"image centre": 0.25},
        },
    }
    kept = [record("none", 0, 0.7), record("none", 1, 0.8), record("one label", 0, 0.6)]
    kept += [fovea, baselines]

    def committed(name, **parameters):
        return [r for r in kept if all(r["parameters"].get(k) == v for k, v in parameters.items())]

    monkeypatch.setattr(tables, "committed_records", committed)


def test_rows_are_ways_with_their_spread_over_seeds(records):
    table = tables.study_table()
    method = table.loc["vessel", "octa prior, rendered"]
    assert method["Dice"] == "0.750 ± 0.071" and method["seeds"] == "2"
    assert table.loc[("vessel", "octa prior, rendered, by prototype"), "Dice"] == "0.375 ± 0.035"
    assert table.loc[("vessel", "supervised with one label"), "Dice"] == "0.600"
    assert table.loc[("vessel", "frangi"), "clDice"] == "0.700"
    assert table.loc[("fovea", "rendered, short"), "found"] == "0.900"
    assert table.loc[("fovea", "image centre"), "found"] == "0.250"
    assert table.index.get_level_values(0).unique().tolist() == ["vessel", "disc", "fovea"]
    assert (table != "").any().all() and not table.isna().any().any()


def test_markdown_has_a_line_for_each_row(records):
    lines = tables.study_markdown().splitlines()
    assert len(lines) == len(tables.study_table()) + 2
    assert lines[0].startswith("| structure | way | ") and "0.750 ± 0.071" in lines[2]


def test_values_image_by_image(records):
    values = tables.study_images("vessel", control="none", guided="vessel")
    assert values.shape == (2, 2) and list(values.index) == [0, 1] and list(values) == ["a", "b"]
    assert np.allclose(values.to_numpy(), [[0.6, 0.8], [0.7, 0.9]])
    assert tables.baseline_images("vessel", "frangi").to_dict() == {"a": 0.5, "b": 0.7}
    with pytest.raises(ValueError, match="no committed guided training has the parameters"):
        tables.study_images("vessel", control="magic")
    with pytest.raises(ValueError, match='no committed baseline "sato" of the structure "vessel"'):
        tables.baseline_images("vessel", "sato")
