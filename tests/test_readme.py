"""Generated parts of the README are those of the records, and the quickstart shows a run beside
them.
"""

import json
import re

import pandas as pd
import pytest
from conftest import ROOT

from ldr_lib import readme, tables
from ldr_lib.data.errors import DataError
from ldr_lib.runs.cell import Outcome


def test_the_readme_is_that_of_the_records():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text == readme.readme_with_tables(text), "run: python -m ldr_lib tables"


def test_results_stand_beside_what_they_are_compared_with():
    head, _, *rows = readme.results().splitlines()
    assert head == "| measured | images | this kit | compared with |" and len(rows) <= 8
    for row in rows:
        _, images, ours, others = row.strip("| ").split(" | ")
        assert images and re.match(r"\d\.\d+ ± \d\.\d+$", ours) and re.search(r"\d\.\d", others)


def test_the_best_baseline_is_found_among_those_of_its_kind():
    table = pd.DataFrame(
        {"NMI": ["0.30 ± 0.01", "0.20 ± 0.10", "0.25 ± 0.01", "0.90 ± 0.01"]},
        index=["raw intensities", "locally normalised intensities", "raw filter bank", "trained"],
    )
    assert readme._best(table, "intensities", "NMI") == "0.30 ± 0.01"
    assert readme._best(table, "filter bank", "NMI") == "0.25 ± 0.01"


def test_a_readme_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="no part between <!-- expected -->"):
        readme.readme_with_tables("# A README\n")


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
    (tmp_path / "record.json").write_text(json.dumps(record), encoding="utf-8")
    shown = readme.quickstart_numbers(tmp_path).splitlines()
    assert str(tmp_path) in shown[0] and "images.png" in shown[1]
    precision, dice, nmi = shown[-3:]
    assert re.findall(r"\d\.\d\d", precision)[:2] == ["0.12", "0.27"]
    assert re.findall(r"\d\.\d\d", dice)[:2] == ["0.20", "0.61"]
    assert re.findall(r"\d\.\d\d", nmi)[:2] == ["0.02", "0.11"]


@pytest.mark.slow
def test_quickstart_is_quiet_and_says_where_the_figures_are(tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("LDR_TIER", "smoke")
    shown = readme.quickstart(tmp_path / "run")
    assert capfd.readouterr() == ("", "")
    assert str(tmp_path / "run") in shown and (tmp_path / "run" / "00_quickstart.ipynb").exists()
    assert all((tmp_path / "run" / name).exists() for name in re.findall(r"\w+\.png", shown))


def test_the_quickstart_is_compared_with_runs_on_its_own_images():
    notebook = json.loads((ROOT / "notebooks" / "00_quickstart.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert any(cell.startswith(f'dataset = "{tables.SAMPLE}"') for cell in cells)
    record = json.loads(
        (ROOT / "figures" / "00_quickstart" / "record.json").read_text(encoding="utf-8")
    )
    assert record["parameters"]["dataset"] == tables.SAMPLE


def test_a_quickstart_that_stops_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(readme, "run_cell", lambda *given: Outcome("MemoryError", 1.0, "failed"))
    with pytest.raises(DataError, match="notebook 00 stopped .MemoryError."):
        readme.quickstart(tmp_path)
