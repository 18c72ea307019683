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

from ldr_lib import Settings, runs
from ldr_lib.runs.notebooks import COLAB

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
    return json.loads((folder / "record.json").read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["sample_fundus", "simulated_fundus", "simulated_chest"])
def test_quickstart_runs_on_images_of_the_package(tmp_path, dataset):
    record = run("00_quickstart", tmp_path, dataset=dataset, seed=3)
    assert (
        record["parameters"]["dataset"] == dataset
        and record["seed"] == 3
        and record["parameters"]["tier"] == "smoke"
    )
    names = ("images", "losses", "representation", "similarity", "similarity_typical")
    if runs.committed_records("learning", modality=dataset.partition("_")[2], split="test"):
        names += ("long_runs",)
    assert {f"{name}.png" for name in names} == set(record["figures"])
    assert all((tmp_path / name).stat().st_size > 5000 for name in record["figures"])
    rows = record["metrics"]["agreement"]
    assert {
        "raw intensities, k-means",
        "untrained, k-means",
        "trained, clusters",
        "trained, k-means",
    } <= rows.keys()
    counts = [row.pop("clusters") for row in rows.values()]
    assert all(count >= 1 for count in counts)
    unknown = {name for row in rows.values() for name, value in row.items() if value is None}
    one_structure = dataset == "sample_fundus"
    assert unknown == ({"NMI of structures"} if one_structure else set())
    known = [value for row in rows.values() for value in row.values() if value is not None]
    assert all(0 <= value <= 1 for value in known)
    main = "lungs" if dataset == "simulated_chest" else "vessel"
    baselines = {"raw intensities", "untrained"}
    if dataset.endswith("fundus"):
        baselines.add("locally normalised intensities")
    for words in (f"average precision for {main}", f"similarity finds {main}"):
        assert {f"{words} better than {other}" for other in baselines} <= record["claims"].keys()


@pytest.mark.slow
def test_quickstart_shows_x_rays_without_masks(tmp_path):
    record = run("00_quickstart", tmp_path, dataset="sample_chest")
    assert record["metrics"].keys() == {"health"} and not record["claims"]
    names = ("images", "losses", "representation", "similarity")
    assert {f"{name}.png" for name in names} == set(record["figures"])


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize("dataset, measured", [("chase_db1", True), ("kermany", False)])
def test_quickstart_runs_on_real_images(tmp_path, real_data, dataset, measured):
    record = run("00_quickstart", tmp_path, dataset=dataset, data_dir=str(real_data))
    assert ("agreement" in record["metrics"]) == measured == bool(record["claims"])
    assert (tmp_path / "representation.png").stat().st_size > 5000


@pytest.mark.slow
def test_quickstart_runs_on_anyones_folder(tmp_path, photograph, save):
    for i in range(6):
        save(tmp_path / "mine" / f"{i}.jpg", photograph(i, 120, 160))
    record = run("00_quickstart", tmp_path, dataset="folder", data_dir=str(tmp_path / "mine"))
    assert record["data"].keys() == {"train", "test"} and record["metrics"].keys() == {"health"}


@pytest.mark.slow
def test_data_loading_runs_on_few_images_of_another_kind(tmp_path, save):
    rng = np.random.default_rng(0)
    for i in range(6):  # five of them are for training, and views are made in pairs
        tile = np.kron(rng.integers(0, 255, (16, 16, 3)), np.ones((8, 8, 1)))
        save(tmp_path / "mine" / f"{i}.png", tile.astype(np.uint8))
    folder = dict(dataset="folder_other", data_dir=str(tmp_path / "mine"))
    record = run("01_data_loading", tmp_path, **folder)
    assert 0 < record["metrics"]["partners_by_colour"]["all, as in training"] <= 1


@pytest.mark.slow
def test_two_branches_are_compared_on_x_rays(tmp_path):
    record = run("02_two_branch_training", tmp_path, dataset="simulated_chest", seed=1)
    ways = {"embedding only", "both", "clustering only", "no k-means start", "published"}
    assert record["metrics"]["health"].keys() == {"untrained", "stage 1", *ways}
    assert "you_are_here.png" in record["figures"]
    rows = record["metrics"]["agreement"]
    assert {f"{way}, k-means" for way in ways} <= rows.keys()
    assert all(0 <= rows["both, k-means"][column] <= 1 for column in ("matched IoU", "AP lungs"))
    for other in ("stage 1", "embedding only"):
        assert f"AP lungs: both better than {other}" in record["claims"]
    assert not any("locally normalised" in sentence for sentence in record["claims"])


@pytest.mark.slow
@pytest.mark.realdata
def test_priors_of_another_modality_guide_real_images(tmp_path, real_data):
    given = dict(dataset="chase_db1", prior="octa", data_dir=str(real_data))
    record = run("04a_guided_vessels", tmp_path, **given)
    names = ("priors", "histograms", "adversarial", "game", "rendered")
    names += ("growth", "found", "controls")
    assert {f"{name}.png" for name in names} == set(record["figures"])
    rows = {"guided cluster", "frangi, oracle threshold", "sato, oracle threshold"}
    assert rows | {"second observer"} <= record["metrics"]["fundus"].keys()


@pytest.mark.slow
@pytest.mark.realdata
def test_organs_are_guided_in_real_images(tmp_path, real_data):
    given = dict(dataset="drions", chest_dataset="covid19_cxr_seg", data_dir=str(real_data))
    record = run("04b_guided_organs", tmp_path, **given)
    names = {"priors", "rendered", "growth", "found", "chest"}
    assert {f"{name}.png" for name in names} == set(record["figures"])
    assert record["metrics"]["fundus"].keys() == {"guided cluster", "brightest blob"}
    assert record["metrics"]["chest"]["guided cluster"].keys() == {"lungs", "heart"}
    ways = {"before", "stage 1 again", "calibrate alone", "third stage"}
    assert record["metrics"]["third_stage_disc"].keys() == ways


@pytest.mark.slow
def test_a_folder_of_masks_guides_a_folder_of_photographs(tmp_path, photograph, save):
    for i in range(6):
        save(tmp_path / "mine" / f"{i}.jpg", photograph(i, 120, 160))
    lines = np.zeros((80, 80), np.uint8)
    lines[20:24] = lines[50:53] = 255
    save(tmp_path / "masks" / "lines.png", lines)
    mine = dict(dataset="folder", data_dir=str(tmp_path / "mine"))
    record = run("04a_guided_vessels", tmp_path, prior=str(tmp_path / "masks"), **mine)
    assert record["metrics"]["fundus"] == {} and "found.png" in record["figures"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["04b_guided_organs", "04c_real_images_and_limits"])
def test_photographs_without_masks_are_looked_at(tmp_path, photograph, save, name):
    for i in range(6):
        save(tmp_path / "mine" / f"{i}.jpg", photograph(i, 120, 160))
    record = run(name, tmp_path, dataset="folder", data_dir=str(tmp_path / "mine"))
    assert "found.png" in record["figures"]
    assert not any(sentence.startswith(("disc:", "fovea:")) for sentence in record["claims"])


@pytest.mark.slow
@pytest.mark.realdata
def test_transfer_runs_on_real_x_rays(tmp_path, real_data):
    record = run(
        "05_downstream_transfer", tmp_path, dataset="covid19_cxr_seg", data_dir=str(real_data)
    )
    names = ("labelled", "baselines", "gains", "gains_short", "steps", "disc_steps", "labels")
    structures = ("lungs", "heart", "opacity")
    names += tuple(f"segmentations_{one}_covid19_cxr_seg" for one in structures)
    assert {f"{name}.png" for name in names} == set(record["figures"])
    rows = record["metrics"]["one_label"]
    assert len(rows) == 6  # three tasks, frozen and fine-tuned
    assert all(row.keys() == {"random", "ldr", "imagenet"} for row in rows.values())


def own_cells(path):
    """All cells of a notebook but the one for Google Colab, which tests/site covers."""
    cells = nbformat.read(path, 4).cells
    return [cell for cell in cells if COLAB not in cell.metadata.get("tags", [])]


@each
def test_parameters_are_plain_and_complete(path):
    cells = [cell for cell in own_cells(path) if cell.cell_type == "code"]
    assert cells[0].metadata["tags"] == ["parameters"]
    names = {
        node.targets[0].id: ast.literal_eval(node.value) for node in ast.parse(cells[0].source).body
    }
    assert {"dataset", "data_dir", "tier", "seed", "out_dir"} <= names.keys()
    assert names["data_dir"] == names["out_dir"] == "" and names["tier"] == "class"


@each
def test_notebooks_stay_short_and_light(path):
    notebook = nbformat.read(path, 4)
    assert len(own_cells(path)) <= 40 and path.stat().st_size <= 1_000_000
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    long = {source.splitlines()[0]: n for source in code if (n := len(source.splitlines())) > 25}
    assert not long and "widgets" not in notebook.metadata


@each
def test_notebooks_import_from_the_library_and_at_most_two_rooms(path):
    code = [cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    nodes = [node for source in code for node in ast.walk(ast.parse(source))]
    modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    deeper = {module for module in modules if module.startswith("ldr_lib.")}
    assert len(deeper) <= 2, deeper


@each
def test_exercises_have_folded_solutions(path):
    text = markdown_of(path, "Exercises")
    solutions = text.count("<details>")
    assert solutions >= 2 and solutions == text.count("</details>")
    assert text.count("<summary>Solution") == solutions


def section_of(path, title):
    """Cells of the section whose heading ends with the title; its first and last cell are cut at
    the headings.
    """
    found, inside = [], False
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            found += [cell] if inside else []
            continue
        kept = []
        for line in cell.source.splitlines():
            if line.startswith("## "):
                inside = line.rstrip().endswith(title)
            kept += [line] if inside else []
        found += [nbformat.v4.new_markdown_cell("\n".join(kept))] if kept else []
    return found


def markdown_of(path, title):
    cells = section_of(path, title)
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def numbers_in(value):
    """All numbers of nested tables and lists, and the mean of each list of numbers."""
    if value is None or isinstance(value, (bool, str)):
        return []
    if isinstance(value, (int, float)):
        return [float(value)]
    parts = list(value.values()) if isinstance(value, dict) else value
    found = [number for part in parts for number in numbers_in(part)]
    plain = [part for part in parts if isinstance(part, (int, float))]
    return found + ([float(np.mean(plain))] if plain and isinstance(value, list) else [])


def quoted(text):
    """Results that a text quotes: numbers with decimals, and percentages but for "95 %", the level
    of the intervals.
    """
    text = re.sub(r"`[^`]*`|\$[^$]*\$", "", text)
    decimals = re.findall(r"(?<![\d.])\d+\.\d+(?![\d.])", text)
    shares = [share for share in re.findall(r"(\d+(?:\.\d+)?) %", text) if share != "95"]
    return [(word, 1) for word in decimals if word not in shares] + [(w, 100) for w in shares]


def printed(cells):
    """What the code cells of a section printed and displayed."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return "\n".join(
        output.get("text", "") + output.get("data", {}).get("text/plain", "") for output in outputs
    )


def unsupported(text, record, output):
    """Numbers of a text that neither the record nor the output holds, rounded to the digits that
    the text gives.
    """
    known = numbers_in([record["metrics"], record["claims"]])
    shown = [float(word) for word in re.findall(r"\d+(?:\.\d+)?", output)]
    missing = []
    for word, scale in quoted(text):
        digits = len(word.partition(".")[2])
        candidates = [abs(scale * number) for number in known] + shown
        if not any(f"{number:.{digits}f}" == word for number in candidates):
            missing.append(word)
    return missing


@each
def test_what_we_found_quotes_the_record(path):
    cells = section_of(path, "What we found")
    assert cells, "no section called What we found"
    record = json.loads((ROOT / "figures" / path.stem / "record.json").read_text(encoding="utf-8"))
    text = markdown_of(path, "What we found")
    assert not unsupported(text, record, printed(cells))


def test_quoted_numbers_are_compared_with_their_rounding():
    record = {
        "metrics": {"table": {"row": {"AUC": 0.847}}},
        "claims": {"c": {"better": [0.1, 0.3]}},
    }
    text = "AUC 0.85, mean 0.20, 85 % of it, a 95 % interval, `0.99`; wrong are 0.86 and 12 %."
    assert unsupported(text, record, "") == ["0.86", "12"]
    assert unsupported(text, record, "areas 12 %, 0.861") == []


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
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    assert record["name"] == path.stem and record["git_revision"] and record["figures"]
    assert all((folder / name).exists() for name in record["figures"])
    assert {p.name for p in folder.glob("*.png")} == set(record["figures"])


def test_parameter_files_name_their_tier():
    files = sorted((ROOT / "notebooks" / "params").glob("*.yaml"))
    assert {path.stem for path in files} == {"smoke", "class", "full"}
    for path in files:
        parameters = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert (
            parameters["tier"]
            == path.stem
            == Settings.for_tier(parameters["tier"], "fundus", parameters["seed"]).tier
        )
