import json

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
        told = {
            sentence: {"holds": gap > 0, "better": 0.5 + gap, "worse": 0.5}
            for sentence, gap in gaps.items()
        }
        parameters = dict(dataset=dataset, tier=tier, seed=seed, k=k)
        path.write_text(
            json.dumps(
                dict(
                    name="nb",
                    parameters=parameters,
                    seed=seed,
                    claims=told,
                    data={"train": data},
                    code=code or {},
                    cells=cells,
                    started=started,
                )
            )
        )

    return record


def test_three_seeds_that_agree_support_a_claim(project):
    for seed, gap in enumerate((0.1, 0.2, 0.3)):
        project(seed, {"vessel found": gap})
    row = ledger.build_ledger().loc[("found", "x")]
    assert (
        row["state"] == "supported"
        and row["held"] == "3 of 3"
        and row["stale"] == ""
        and row["runs"] == 3
    )
    assert row["difference"] == pytest.approx(0.2) and row["spread"] == pytest.approx(0.1)
    assert ledger.build_ledger().loc[("found", "y"), "state"] == "not run"
    assert (
        ledger.describe_row(row)
        == "supported: 0.700 against 0.500 (Dice), difference +0.200 ± 0.100, held in 3 of 3"
    )


def test_one_failure_or_too_few_runs_do_not_support(project):
    project(0, {"vessel found": 0.1})
    project(1, {"vessel found": 0.1})
    assert ledger.build_ledger().loc[("found", "x"), "state"] == "too few runs"
    project(2, {"vessel found": -0.1})
    assert ledger.build_ledger().loc[("found", "x"), "state"] == "not supported"
    project(0, {"all well": 1})
    assert ledger.build_ledger().loc[("whole", "x"), "state"] == "supported"


def test_runs_of_another_tier_or_of_other_parameters_do_not_count(project):
    project(0, {"vessel found": 0.1}, tier="smoke")
    project(1, {"vessel found": 0.1}, k=16)
    assert ledger.build_ledger().loc[("found", "x"), "state"] == "not run"
    assert ledger.build_ledger("smoke").loc[("found", "x"), "runs"] == 1


def test_the_newest_of_equal_runs_counts(project):
    project(0, {"vessel found": -0.1}, started="2025")
    project(0, {"vessel found": 0.3}, started="2026")
    assert ledger.build_ledger().loc[("found", "x"), "difference"] == pytest.approx(0.3)


def test_changed_code_and_other_images_make_a_result_stale(project):
    project(0, {"vessel found": 0.1}, code={"losses": "old"})
    project(1, {"vessel found": 0.1}, data="other")
    assert (
        ledger.build_ledger().loc[("found", "x"), "stale"]
        == "losses, the images differ between runs"
    )


def test_the_page_holds_every_claim_and_asks_nobody(project, tmp_path):
    for seed in range(3):
        project(seed, {"vessel found": 0.1 - seed})
    page = ledger.write_report(ledger.build_ledger(), tmp_path / "report.html").read_text()
    assert (
        "Vessels are found" in page
        and "not supported" in page
        and "not run" in page
        and "Vessels come out." in page
    )
    assert "http" not in page and 'src="/' not in page
    assert list(ledger.compare_with_abstract(ledger.build_ledger())["data"]) == ["x", "y"]


def test_the_abstract_is_tested_by_claims_that_exist():
    known = {claim.id for claim in claims.all_claims()}
    assert all(set(ids) <= known for ids in ledger.ABSTRACT.values())
