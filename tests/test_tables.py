"""The committed tables are those of the records."""

import json
import re

import pandas as pd
from conftest import ROOT

from ldr_lib import guided, readme, runs, tables, transfer
from ldr_lib.runs import records


def test_the_committed_page_is_that_of_the_records():
    page = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    assert page == tables.all_tables(), "run: python -m ldr_lib tables"


def test_the_page_holds_every_table_and_links_that_exist():
    page = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    notebooks = [("00_quickstart", dataset) for dataset in tables.QUICKSTART_TITLES]
    for name, dataset in [*notebooks, ("02_two_branch_training", "simulated_fundus")]:
        of = dict(dataset=dataset, tier="class")
        recorded = len(runs.committed_records(name, **of)) >= 3
        assert (runs.summary(name, **of) if recorded else tables.PENDING) in page
    assert guided.study_markdown() in page
    every = transfer.transfer_table(transfer.transfer_records())
    for row in every.index:
        assert "| " + " | ".join([*row, *every.loc[row]]) + " |" in page
    sections = page.split("\n## ")[1:]
    assert all("Made by `" in section for section in sections[:-1])
    assert sections[-1].startswith("What these numbers do not say")
    linked = re.findall(r"\]\(((?!http)[^)#]+)\)", page)
    assert linked and all((ROOT / "figures" / path).exists() for path in linked)


def test_probes_are_shown_by_structure_and_features(monkeypatch):
    def record(shift):
        cells = {"NMI": 0.1, "disc retrieval AP": 0.2, "vessel retrieval AP": 0.4 + shift}
        return {"metrics": {"probes": {"trained": cells, "raw ImageNet": cells}}}

    monkeypatch.setattr(
        tables, "committed_records", lambda *_, **__: list(map(record, [0, 0.1, 0.2]))
    )
    clusters, structures = tables._probe_markdown("03", "any").split("\n\n")
    assert "| trained | 0.10 ± 0.00 |" in clusters.splitlines()
    rows = structures.splitlines()
    assert rows[0] == "| structure | features | retrieval AP |"
    assert rows[2:] == [
        "| disc | trained | 0.20 ± 0.00 |",
        "| disc | raw ImageNet | 0.20 ± 0.00 |",
        "| vessel | trained | 0.50 ± 0.10 |",
        "| vessel | raw ImageNet | 0.50 ± 0.10 |",
    ]


def test_shorter_runs_are_not_tabulated(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "figures_folder", lambda name: tmp_path)
    (tmp_path / "records").mkdir()
    for seed, tier in enumerate(["class", "class", "smoke", "class"]):
        assert not tables.recorded("any", "drions")
        of = {"dataset": "drions", "tier": tier}
        record = {"name": "any", "seed": seed, "parameters": of, "claims": {}}
        (tmp_path / "records" / f"{seed}.json").write_text(json.dumps(record), encoding="utf-8")
    assert tables.recorded("any", "drions")


def test_a_table_without_three_runs_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "committed_records", lambda *_, **__: [])
    monkeypatch.setattr(tables, "learning_records", lambda modality: [])
    monkeypatch.setattr(readme, "learning_records", lambda modality: [])
    monkeypatch.setattr(tables, "switch_table", lambda modality: pd.DataFrame())
    assert readme.expected() == f"- {tables.PENDING}"
    assert len(readme.results().splitlines()) == 2 + 4  # those of notebooks 04c and 05
    assert tables.all_tables().count(tables.PENDING) == 4 + 2 + 5 + 1 + 3
