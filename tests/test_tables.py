"""The committed tables are those of the records, and the quickstart shows a run beside them."""

import json
import re

import pandas as pd
import pytest
from conftest import ROOT

from ldr_lib import guided, runs, tables, transfer
from ldr_lib.data.errors import DataError
from ldr_lib.runs.cell import Outcome


def test_the_committed_page_is_that_of_the_records():
    page = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    assert page == tables.all_tables(), "run: python -m ldr_lib tables"


def test_the_readme_is_that_of_the_records():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme == tables.readme_with_tables(readme), "run: python -m ldr_lib tables"


def test_the_page_holds_every_table_and_links_that_exist():
    page = (ROOT / "figures" / "README.md").read_text(encoding="utf-8")
    notebooks = [("00_quickstart", dataset) for dataset in tables.QUICKSTART_TITLES]
    for name, dataset in [*notebooks, ("02_two_branch_training", "simulated_fundus")]:
        recorded = len(runs.committed_records(name, dataset=dataset)) >= 3
        assert (runs.summary(name, dataset=dataset) if recorded else tables.PENDING) in page
    assert guided.study_markdown() in page
    every = transfer.transfer_table(transfer.transfer_records())
    for row in every.index:
        assert "| " + " | ".join([*row, *every.loc[row]]) + " |" in page
    sections = page.split("\n## ")[1:]
    assert all("Made by `" in section for section in sections[:-1])
    assert sections[-1].startswith("What these numbers do not say")
    linked = re.findall(r"\]\(((?!http)[^)#]+)\)", page)
    assert linked and all((ROOT / "figures" / path).exists() for path in linked)


def test_results_stand_beside_what_they_are_compared_with():
    head, _, *rows = tables.results().splitlines()
    assert head == "| measured | images | this kit | compared with |" and len(rows) <= 8
    for row in rows:
        _, images, ours, others = row.strip("| ").split(" | ")
        assert images and re.match(r"\d\.\d+ ± \d\.\d+$", ours) and re.search(r"\d\.\d", others)


def test_the_best_baseline_is_found_among_those_of_its_kind():
    table = pd.DataFrame(
        {"NMI": ["0.30 ± 0.01", "0.20 ± 0.10", "0.25 ± 0.01", "0.90 ± 0.01"]},
        index=["raw intensities", "locally normalised intensities", "raw filter bank", "trained"],
    )
    assert tables._best(table, "intensities", "NMI") == "0.30 ± 0.01"
    assert tables._best(table, "filter bank", "NMI") == "0.25 ± 0.01"


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


def test_a_table_without_three_runs_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(tables, "committed_records", lambda *_, **__: [])
    monkeypatch.setattr(tables, "learning_records", lambda modality: [])
    assert tables.expected() == f"- {tables.PENDING}"
    assert len(tables.results().splitlines()) == 2 + 4  # those of notebooks 04 and 05
    assert tables.all_tables().count(tables.PENDING) == 4 + 1 + 2 + 3


def test_a_readme_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="no part between <!-- expected -->"):
        tables.readme_with_tables("# A README\n")


def test_quickstart_numbers_are_those_of_the_run(tmp_path):
    rows = {
        "untrained, clusters": {"NMI": 0.01, "Dice vessel": 0.2},
        "untrained, k-means": {"NMI": 0.02, "Dice vessel": 0.1},
        "trained, clusters": {"NMI": 0.11, "Dice vessel": 0.5},
        "trained, k-means": {"NMI": 0.07, "Dice vessel": 0.61},
    }
    for name, row in rows.items():
        row["AP vessel"] = {"untrained": 0.12, "trained": 0.27}[name.partition(",")[0]]
    record = {"name": "00_quickstart", "parameters": {}, "claims": {}}
    record |= {"figures": ["images.png"], "metrics": {"agreement": rows}}
    (tmp_path / "record.json").write_text(json.dumps(record))
    shown = tables.quickstart_numbers(tmp_path).splitlines()
    assert str(tmp_path) in shown[0] and "images.png" in shown[1]
    precision, dice, nmi = shown[-3:]
    assert re.findall(r"\d\.\d\d", precision)[:2] == ["0.12", "0.27"]
    assert re.findall(r"\d\.\d\d", dice)[:2] == ["0.20", "0.61"]
    assert re.findall(r"\d\.\d\d", nmi)[:2] == ["0.02", "0.11"]


@pytest.mark.slow
def test_quickstart_is_quiet_and_says_where_the_figures_are(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("LDR_TIER", "smoke")
    shown = tables.quickstart(tmp_path / "run")
    assert capfd.readouterr() == ("", "")
    assert str(tmp_path / "run") in shown and (tmp_path / "run" / "00_quickstart.ipynb").exists()
    assert all((tmp_path / "run" / name).exists() for name in re.findall(r"\w+\.png", shown))


def test_the_quickstart_is_compared_with_runs_on_its_own_images():
    notebook = json.loads((ROOT / "notebooks" / "00_quickstart.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert any(cell.startswith(f'dataset = "{tables.SAMPLE}"') for cell in cells)
    record = json.loads((ROOT / "figures" / "00_quickstart" / "record.json").read_text())
    assert record["parameters"]["dataset"] == tables.SAMPLE


def test_a_quickstart_that_stops_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "run_cell", lambda *given: Outcome("MemoryError", 1.0, "failed"))
    with pytest.raises(DataError, match="notebook 00 stopped .MemoryError."):
        tables.quickstart(tmp_path)
