"""Notebooks run on every kind of data, and the committed ones keep the rules for their readers."""

import ast
import json
import re

import nbformat
import numpy as np
import papermill
import pytest
import yaml
from conftest import ROOT

from ldr_lib import Settings

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def run(name, folder, **parameters):
    path = ROOT / "notebooks" / f"{name}.ipynb"
    papermill.execute_notebook(
        str(path),
        str(folder / "out.ipynb"),
        {"tier": "smoke", "out_dir": str(folder), **parameters},
        cwd=str(path.parent),
        progress_bar=False,
    )
    return json.loads((folder / "record.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["simulated_fundus", "simulated_chest"])
def test_quickstart_runs_on_simulated_images(tmp_path, dataset):
    record = run("00_quickstart", tmp_path, dataset=dataset, seed=3)
    assert (
        record["parameters"]["dataset"] == dataset
        and record["seed"] == 3
        and record["parameters"]["tier"] == "smoke"
    )
    assert {"images.png", "losses.png", "representation.png", "similarity.png"} == set(
        record["figures"]
    )
    assert all((tmp_path / name).stat().st_size > 5000 for name in record["figures"])
    rows = record["metrics"]["agreement"]
    assert {
        "colour, k-means",
        "untrained, k-means",
        "trained, clusters",
        "trained, k-means",
    } <= rows.keys()
    assert all(0 <= value <= 1 for row in rows.values() for value in row.values())


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("dataset, measured", [("chase_db1", True), ("kermany", False)])
def test_quickstart_runs_on_real_images(tmp_path, real_data, dataset, measured):
    record = run("00_quickstart", tmp_path, dataset=dataset, data_dir=str(real_data))
    assert bool(record["metrics"]) == measured == bool(record["claims"])
    assert (tmp_path / "representation.png").stat().st_size > 5000


@pytest.mark.slow
def test_quickstart_runs_on_anyones_folder(tmp_path, photograph, save):
    for i in range(6):
        save(tmp_path / "mine" / f"{i}.jpg", photograph(i, 120, 160))
    record = run("00_quickstart", tmp_path, dataset="folder", data_dir=str(tmp_path / "mine"))
    assert record["data"].keys() == {"train", "test"} and record["metrics"] == {}


@pytest.mark.slow
@pytest.mark.realdata
def test_priors_of_another_modality_guide_real_images(tmp_path, real_data):
    record = run(
        "04_prior_guided_clustering",
        tmp_path,
        dataset="chase_db1",
        chest_dataset="covid19_cxr_seg",
        prior="octa",
        data_dir=str(real_data),
    )
    assert {
        "priors.png",
        "rendered.png",
        "growth.png",
        "found.png",
        "failures.png",
        "chest.png",
    } <= set(record["figures"])
    assert {"guided cluster", "frangi, oracle", "sato, oracle", "second observer"} <= record[
        "metrics"
    ]["fundus"]["vessel"].keys()
    assert record["metrics"]["chest"].keys() == {"lungs", "heart"}


@pytest.mark.slow
def test_a_folder_of_masks_guides_a_folder_of_photographs(tmp_path, photograph, save):
    for i in range(6):
        save(tmp_path / "mine" / f"{i}.jpg", photograph(i, 120, 160))
    lines = np.zeros((80, 80), np.uint8)
    lines[20:24] = lines[50:53] = 255
    save(tmp_path / "masks" / "lines.png", lines)
    record = run(
        "04_prior_guided_clustering",
        tmp_path,
        dataset="folder",
        data_dir=str(tmp_path / "mine"),
        prior=str(tmp_path / "masks"),
    )
    assert record["metrics"]["fundus"] == {} and "found.png" in record["figures"]


@pytest.mark.slow
@pytest.mark.realdata
def test_transfer_runs_on_real_x_rays(tmp_path, real_data):
    record = run(
        "05_downstream_transfer", tmp_path, dataset="covid19_cxr_seg", data_dir=str(real_data)
    )
    assert {"labelled.png", "rivals.png", "side_by_side.png", "starts.png", "curves.png"} == set(
        record["figures"]
    )
    columns = {
        f"{task}_covid19_cxr_seg, {protocol}"
        for task in ("lungs", "heart")
        for protocol in ("frozen", "fine-tuned")
    }
    assert set(record["metrics"]["one_label"]["ldr"]) == columns and record["metrics"][
        "one_label"
    ].keys() == {"random", "autoencoder", "instance", "dense", "ldr"}


@each
def test_parameters_are_plain_and_complete(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert cells[0].metadata["tags"] == ["parameters"]
    names = {
        node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cells[0].source).body
    }
    assert {"dataset", "data_dir", "tier", "seed", "out_dir"} <= names.keys()
    assert names["data_dir"] == names["out_dir"] == "" and names["tier"] == "class"


@each
def test_notebooks_stay_short_and_light(path):
    notebook = nbformat.read(path, 4)
    assert len(notebook.cells) <= 35 and path.stat().st_size < 400_000
    assert (
        max(len(cell.source.splitlines()) for cell in notebook.cells if cell.cell_type == "code")
        <= 25
    )
    assert "widgets" not in notebook.metadata


@each
def test_committed_outputs_are_whole_and_clean(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert (
        sum(bool({"image/png", "image/jpeg"} & output.get("data", {}).keys()) for output in outputs)
        >= 4
    )
    assert all(
        output.output_type != "error" and output.get("name") != "stderr" for output in outputs
    )
    text = "".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs
    )
    assert not re.search(r"(?<![\w.}*])/(?:[\w.-]+/)+", text), "an absolute path"


@each
def test_figures_come_with_the_run_that_drew_them(path):
    folder = ROOT / "figures" / path.stem
    record = json.loads((folder / "record.json").read_text())
    assert record["name"] == path.stem and record["git_revision"] and record["figures"]
    assert all((folder / name).exists() for name in record["figures"])
    assert {p.name for p in folder.glob("*.png")} == set(record["figures"])


def test_parameter_files_name_their_tier():
    files = sorted((ROOT / "notebooks" / "params").glob("*.yaml"))
    assert {path.stem for path in files} == {"smoke", "class", "full"}
    for path in files:
        parameters = yaml.safe_load(path.read_text())
        assert (
            parameters["tier"]
            == path.stem
            == Settings.for_tier(parameters["tier"], "fundus", parameters["seed"]).tier
        )
