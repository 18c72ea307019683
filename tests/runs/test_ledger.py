import json
import re

import numpy as np
import pytest

from ldr_lib.runs import claims, ledger
from ldr_lib.runs.claims import Claim

OWN = (
    Claim(
        "found",
        "Vessels are found",
        "{structure} found",
        "Dice",
        ("x", "y"),
        "nb",
        "f.png",
        source="method",
    ),
    Claim("whole", "All is well", "all well", "tasks", ("x",), "nb", "f.png", inside=True),
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one notebook, two claims and no records."""
    (tmp_path / "notebooks").mkdir()
    source = 'dataset = "x"\nk = 8\ntier = "class"\nseed = 0'
    (tmp_path / "notebooks" / "nb.ipynb").write_text(
        json.dumps(
            {
                "cells": [
                    {"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": [source]}
                ]
            }
        )
    )
    monkeypatch.setattr(ledger, "all_claims", lambda: OWN)
    monkeypatch.setattr(ledger, "project_root", lambda: tmp_path)
    monkeypatch.setattr(ledger, "runs_folder", lambda: tmp_path / "runs")
    monkeypatch.setattr(ledger, "ABSTRACT", {"Vessels come out.": ("found",)})
    cells = ledger.changes_since.__globals__["cells_of"](tmp_path / "notebooks" / "nb.ipynb")[0]

    def record(
        seed,
        gaps,
        dataset="x",
        tier="class",
        folder="figures/nb/records",
        k=8,
        code=None,
        data="d",
        started="2026",
    ):
        path = tmp_path / folder / f"{dataset}_{seed}_{k}_{tier}_{started}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        outcomes = {
            sentence: {
                "state": "undecided",
                "better": (0.5 + np.asarray(gap)).tolist(),
                "worse": np.full(np.shape(gap), 0.5).tolist(),
            }
            for sentence, gap in gaps.items()
        }
        parameters = dict(dataset=dataset, tier=tier, seed=seed, k=k)
        path.write_text(
            json.dumps(
                dict(
                    name="nb",
                    parameters=parameters,
                    seed=seed,
                    claims=outcomes,
                    data={"train": data},
                    code=code or {},
                    cells=cells,
                    started=started,
                )
            )
        )

    return record


IMAGES = [0.1, 0.2, 0.3, 0.2]  # gaps of four test images


def test_three_seeds_whose_interval_lies_above_zero_support_a_claim(project):
    for seed in range(3):
        project(seed, {"vessel found": IMAGES})
    row = ledger.build_ledger().loc[("found", "x")]
    assert (row["state"], row["stale"], row["runs"], row["images"]) == ("supported", "", 3, 4)
    assert row["difference"] == pytest.approx(0.2) and 0.1 <= row["low"] < 0.2 < row["high"] <= 0.3
    assert row["abstract"] == "Vessels come out." and row["mechanism"] == "published"
    assert ledger.build_ledger().loc[("found", "y"), "state"] == "not run"
    words = ledger.describe_row(row)
    assert words.startswith("supported: 0.700 against 0.500 (Dice), difference +0.200 [+0.1")
    assert words.endswith("3 runs, 4 test images")


def test_an_interval_across_zero_is_undecided_and_one_below_is_not_supported(project):
    for seed in range(3):
        project(seed, {"vessel found": [0.3, -0.3, 0.2, -0.1]})
        project(seed, {"vessel found": [-0.3, -0.3, -0.2, -0.1]}, dataset="y")
    states = ledger.build_ledger()["state"]
    assert states[("found", "x")] == "undecided" and states[("found", "y")] == "not supported"


def test_fewer_than_three_seeds_are_too_few_unless_the_run_compares_seeds_itself(project):
    for seed in (0, 1):
        project(seed, {"vessel found": IMAGES})
    assert ledger.build_ledger().loc[("found", "x"), "state"] == "too few runs"
    project(0, {"all well": [IMAGES, IMAGES, IMAGES]}, dataset="z")
    row = ledger.build_ledger().loc[("whole", "x")]
    assert row["state"] == "supported" and row["runs"] == 3


def test_a_run_that_compares_seeds_itself_needs_three_of_them_too(project):
    project(0, {"all well": [IMAGES, IMAGES]})
    assert ledger.build_ledger().loc[("whole", "x"), "state"] == "too few runs"


def test_records_of_other_numbers_of_images_are_pooled_as_one_number_a_run(project):
    for seed, gaps in enumerate(([0.1, 0.3], 0.1, [0.2, 0.3, 0.4])):
        project(seed, {"vessel found": gaps})
    row = ledger.build_ledger().loc[("found", "x")]
    assert (row["runs"], row["images"]) == (3, 1)
    assert row["difference"] == pytest.approx((0.2 + 0.1 + 0.3) / 3)


def test_a_claim_of_several_things_has_a_row_for_each(project):
    for seed in range(3):
        project(seed, {"vessel found": IMAGES, "disc found": [-0.1, -0.2, -0.1, -0.1]})
    states = ledger.build_ledger().loc["found"]["state"]
    assert states["x: vessel"] == "supported" and states["x: disc"] == "not supported"


def test_old_records_that_say_holds_do_not_stop_the_ledger(project, tmp_path):
    for seed in range(3):
        project(seed, {"vessel found": 0.1})
    for path in (tmp_path / "figures" / "nb" / "records").glob("*.json"):
        record = json.loads(path.read_text())
        del record["code"]
        record["claims"]["vessel found"]["holds"] = True
        del record["claims"]["vessel found"]["state"]
        path.write_text(json.dumps(record))
    row = ledger.build_ledger().loc[("found", "x")]
    assert row["runs"] == 3 and row["stale"] == "recorded before code was fingerprinted"


def test_how_many_successes_chance_explains_is_said(project):
    for seed in range(3):
        project(seed, {"vessel found": IMAGES})
    words = ledger.chance_of(ledger.build_ledger())
    assert words.startswith("1 differences have an interval.") and words.endswith(
        "claims were true."
    )


def test_single_numbers_get_the_interval_over_runs(project):
    for seed, gap in enumerate((0.1, 0.2, 0.3)):
        project(seed, {"vessel found": gap})
    row = ledger.build_ledger().loc[("found", "x")]
    assert row["images"] == 1 and row["low"] == pytest.approx(0.2 - 4.303 * 0.1 / 3**0.5, abs=1e-3)


def test_runs_of_another_tier_or_of_other_parameters_do_not_count(project):
    project(0, {"vessel found": IMAGES}, tier="smoke")
    project(1, {"vessel found": IMAGES}, k=16)
    assert ledger.build_ledger().loc[("found", "x"), "state"] == "not run"
    assert ledger.build_ledger("smoke").loc[("found", "x"), "runs"] == 1


def test_the_newest_of_equal_runs_counts(project):
    project(0, {"vessel found": -0.1}, started="2025")
    project(0, {"vessel found": 0.3}, started="2026")
    assert ledger.build_ledger().loc[("found", "x"), "difference"] == pytest.approx(0.3)


def test_changed_code_and_other_images_make_a_result_stale(project):
    project(0, {"vessel found": 0.1}, code={"losses": "old"})
    project(1, {"vessel found": 0.1}, data="other")
    stale = ledger.build_ledger().loc[("found", "x"), "stale"]
    assert stale == "losses, the images differ between runs"


def test_the_page_holds_every_claim_and_asks_nobody(project, tmp_path):
    for seed in range(3):
        project(seed, {"vessel found": [-0.1, -0.2, -0.1]})
    page = ledger.write_report(ledger.build_ledger(), tmp_path / "report.html").read_text()
    for words in ("Vessels are found", "not supported", "not run", "Vessels come out."):
        assert words in page
    assert "http" not in page and 'src="/' not in page
    beside = ledger.compare_with_abstract(ledger.build_ledger())
    assert list(beside["data"]) == ["x", "y"] and set(beside["whose method"]) == {"the paper's"}
    assert set(beside["paper"]) == {""}  # for the reader's page references


def test_what_a_claim_names_is_escaped_on_the_page(project, tmp_path, monkeypatch):
    nasty = Claim("<b>", "<script>alert(1)</script>", "s", "<i>", ('"><x',), "nb", "<f>.png")
    monkeypatch.setattr(ledger, "all_claims", lambda: (nasty,))
    page = ledger.write_report(ledger.build_ledger(), tmp_path / "report.html").read_text()
    assert not re.search("<script|<i>|<b>|<x|<f>", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_abstract_is_tested_by_claims_that_exist():
    known = {claim.id for claim in claims.all_claims()}
    assert all(set(ids) <= known for ids in ledger.ABSTRACT.values())
