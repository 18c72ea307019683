import base64
import io
import json

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ldr_lib import DataError, Settings, runs
from ldr_lib.runs import fingerprints, notebooks, paths
from ldr_lib.runs import run as run_module
from ldr_lib.runs.pictures import encode


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Pretends that the project lies in an empty folder."""
    for module in (paths, run_module, fingerprints):
        monkeypatch.setattr(module, "project_root", lambda: tmp_path)
    monkeypatch.delenv("LDR_RUNS", raising=False)
    return tmp_path


def test_a_record_says_what_was_run_on_what_and_what_came_out(project, capsys):
    run = runs.Run("mine", dict(dataset="simulated_chest", tier="smoke", seed=4))
    run.data(train="abc")
    run.metrics(agreement=pd.DataFrame({"NMI": [0.123456]}, index=["raw"]), steps=3)
    assert run.claim("two is more than one", 2, 1).mean == 1
    assert run.claim("one is more than two", [1, 1], [2, 3]).state() == "not supported"
    figure, _ = plt.subplots()
    run.figure(figure, "picture", pd.DataFrame({"drawn": [1.0]}))
    plt.close(figure)
    record = json.loads(run.finish().read_text(encoding="utf-8"))
    assert run.folder == project / "runs" / "mine"
    assert (
        record["seed"] == 4
        and record["data"] == {"train": "abc"}
        and record["figures"] == ["picture.png"]
    )
    assert record["metrics"] == {"agreement": {"raw": {"NMI": 0.1235}}, "steps": 3}
    expected = {"state": "not supported", "better": [1, 1], "worse": [2, 3]}
    assert record["claims"]["one is more than two"] == expected
    assert record["claims"]["two is more than one"]["state"] == "undecided"  # a single number
    assert {"torch", "fastai", "python"} <= record["versions"].keys() and record[
        "wall_seconds"
    ] >= 0
    assert (
        record["peak_memory_mib"]["process"] > 50
        and "cpu" in record["device"]
        or "cuda" in record["device"]
    )
    assert (run.folder / "picture.png").stat().st_size > 500 and "drawn" in (
        run.folder / "picture.csv"
    ).read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert "not supported one is more than two: 1.000 against 2.500, difference -1.500 [" in printed


def test_runs_go_where_they_are_told(project, tmp_path, monkeypatch):
    assert runs.Run("x", {"seed": 0}, str(tmp_path / "here")).folder == tmp_path / "here"
    monkeypatch.setenv("LDR_RUNS", str(tmp_path / "elsewhere"))
    assert runs.Run("x", {"seed": 0}).folder == tmp_path / "elsewhere" / "x"


def test_figures_kept_with_the_project_replace_older_ones(project):
    old = project / "figures" / "nb" / "old.png"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"old")
    (old.parent / "records").mkdir()
    run = runs.Run("nb", {"seed": 0})
    figure, _ = plt.subplots()
    run.figure(figure, "new")
    plt.close(figure)
    run.finish()
    kept = notebooks.keep_figures("nb")
    assert {path.name for path in kept.iterdir()} == {"new.png", "record.json", "records"}


def keep(project, seed, value, tier="class"):
    folder = project / "figures" / "nb" / "records"
    folder.mkdir(parents=True, exist_ok=True)
    claim = {"state": "undecided", "better": [value, value], "worse": [0.25, 0.3]}
    record = {
        "name": "nb",
        "seed": seed,
        "parameters": {"tier": tier},
        "metrics": {"t": {"a": {"NMI": value}, "b": {"NMI": 1.0}}},
        "claims": {"good": claim},
    }
    (folder / f"{tier}{seed}.json").write_text(json.dumps(record), encoding="utf-8")


def test_means_over_seeds_come_from_matching_records_only(project):
    for seed, value in enumerate([0.2, 0.3, 0.4]):
        keep(project, seed, value)
    keep(project, 0, 99.0, tier="smoke")
    found = runs.committed_records("nb", tier="class")
    mean, spread = runs.over_seeds(found, "t")
    assert [record["seed"] for record in found] == [0, 1, 2]
    assert mean.loc["a", "NMI"] == pytest.approx(0.3) and spread.loc["a", "NMI"] == pytest.approx(
        0.1
    )
    assert spread.loc["b", "NMI"] == 0 and list(mean.index) == ["a", "b"]
    claims = runs.claims_over(found)
    assert claims.loc["good", "state"] == "undecided" and claims.loc["good", "better"] == 0.3
    assert claims.loc["good", "difference"].startswith("+0.025 [-0.223")
    for record in found:  # seeds that every run pools itself count once, not once a run
        record["claims"]["kept seeds"] = {
            "state": "",
            "better": [[1.0], [2.0]],
            "worse": [[0], [0]],
        }
    assert list(runs.claims_over(found).index) == ["good"]
    with pytest.raises(ValueError, match="at least three seeds; 2 records"):
        runs.over_seeds(found[:2], "t")
    assert runs.committed_records("absent") == []


def test_a_summary_takes_the_better_clustering_of_every_run(project):
    for seed, value in enumerate([0.2, 0.3, 0.4]):
        keep(project, seed, value)
        path = project / "figures" / "nb" / "records" / f"class{seed}.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        record["metrics"]["t"] = {
            "net, clusters": {"NMI": value},
            "net, k-means": {"NMI": 0.3},
            "raw, k-means": {"NMI": 0.1},
        }
        path.write_text(json.dumps(record), encoding="utf-8")
    lines = runs.summary("nb", "t").splitlines()
    assert lines == [
        "|  | NMI |",
        "| --- | --- |",
        "| net | 0.33 ± 0.06 |",
        "| raw | 0.10 ± 0.00 |",
    ]
    with pytest.raises(ValueError, match="three seeds; 0 records"):
        runs.summary("nb", "t", tier="full")


def test_a_summary_keeps_ways_with_a_comma_apart(project):
    for seed in range(3):
        keep(project, seed, 0.2)
        path = project / "figures" / "nb" / "records" / f"class{seed}.json"
        record = json.loads(path.read_text(encoding="utf-8"))
        rows = {"both, clusters": {"NMI": 0.2}, "both, no jitter, clusters": {"NMI": 0.5}}
        path.write_text(json.dumps(record | {"metrics": {"t": rows}}), encoding="utf-8")
    assert runs.summary("nb", "t").splitlines()[2:] == [
        "| both | 0.20 ± 0.00 |",
        "| both, no jitter | 0.50 ± 0.00 |",
    ]


@pytest.mark.slow
def test_a_notebook_executed_in_place_keeps_results_and_drops_noise(project, tmp_path):
    notebook = nbformat.v4.new_notebook()
    source = "import sys\nprint('result')\nprint('warning', file=sys.stderr)"
    parameters = nbformat.v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]})
    notebook.cells = [
        nbformat.v4.new_markdown_cell("# title"),
        nbformat.v4.new_code_cell(source),
        parameters,
    ]
    path = tmp_path / "small.ipynb"
    nbformat.write(notebook, path)
    notebooks.execute_in_place(path)
    once = path.read_text(encoding="utf-8")
    assert [output.text for output in nbformat.read(path, 4).cells[1].outputs] == ["result\n"]
    notebooks.execute_in_place(path)
    assert path.read_text(encoding="utf-8") == once


def test_a_notebook_that_fails_is_left_as_it_was(project, tmp_path):
    path = tmp_path / "broken.ipynb"
    parameters = nbformat.v4.new_code_cell("seed = 0", metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[parameters, nbformat.v4.new_code_cell("1 / 0")])
    nbformat.write(notebook, path)
    before = path.read_text(encoding="utf-8")
    with pytest.raises(DataError, match="is as before: ZeroDivisionError: division by zero"):
        notebooks.execute_in_place(path)
    assert path.read_text(encoding="utf-8") == before


def test_tiers_grow_and_the_environment_overrides_them(monkeypatch):
    sizes = [Settings.for_tier(tier, "fundus", 0) for tier in ("smoke", "class", "full")]
    steps = [settings.steps * sum(settings.epochs) for settings in sizes]
    assert (
        steps == sorted(steps)
        and steps[2] == 100_000
        and sizes[2].view_size == 448
        and sizes[2].n_clusters == 16
    )
    assert Settings.for_tier("class", "chest", 3).seed == 3
    monkeypatch.setenv("LDR_TIER", "smoke")
    assert Settings.for_tier("full", "fundus", 0).tier == "smoke"


def test_unknown_tiers_and_modalities_are_named(monkeypatch):
    monkeypatch.delenv("LDR_TIER", raising=False)
    with pytest.raises(ValueError, match='unknown tier "huge"; known are smoke, class, full'):
        Settings.for_tier("huge", "fundus", 0)
    with pytest.raises(ValueError, match='unknown modality "mask"; known are fundus, chest'):
        Settings.for_tier("class", "mask", 0)


def _noise(size):
    """A PNG of noise, twice as wide as high, as it stands in a notebook."""
    noise = np.random.default_rng(0).integers(0, 256, (size, 2 * size, 3), dtype=np.uint8)
    return base64.b64encode(encode(noise, "png")).decode()


def test_large_pictures_in_outputs_become_light_and_small_ones_stay():
    small, large = {"image/png": _noise(20)}, {"image/png": _noise(700)}
    before = dict(small)
    notebooks.lighten(small, 70)
    notebooks.lighten(large, 70)
    assert small == before and large.keys() == {"image/jpeg"}
    width, height = Image.open(io.BytesIO(base64.b64decode(large["image/jpeg"]))).size
    assert width == 2 * height and width == 1200


def test_a_notebook_full_of_figures_stays_below_its_limit(monkeypatch):
    output = nbformat.v4.new_output("display_data", {"image/png": _noise(200)})
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(outputs=[output] * 3)])
    full = len(nbformat.writes(notebooks._with_light_figures(notebook)))
    monkeypatch.setattr(notebooks, "LIMIT", full // 2)
    light = notebooks._with_light_figures(notebook)
    assert len(nbformat.writes(light)) < full // 2
    assert "image/png" in notebook.cells[0].outputs[0].data  # what was executed is left as it was
