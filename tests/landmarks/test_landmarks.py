import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ldr_lib import DataError, Kernel, landmarks
from ldr_lib.__main__ import app
from ldr_lib.data.simulate import fundus
from ldr_lib.landmarks import gallery, search, study, table
from ldr_lib.landmarks.gallery import Gallery, is_left_eye


@pytest.fixture
def marked():
    """A gallery of noise, (n, 256, 256, 3), with one dark spot each, in its place."""

    def make(n=6, seed=0):
        rng = np.random.default_rng(seed)
        images = rng.integers(120, 136, (n, 256, 256, 3)).astype(np.uint8)
        places = [rng.integers(60, 200, (1, 2)).astype(float) for _ in range(n)]
        rows, columns = np.indices((256, 256))
        for image, ((row, column),) in zip(images, places):
            image[np.hypot(rows - row, columns - column) < 12] = (40, 20, 20)
        inside = np.ones((n, 256, 256), bool)
        names = [f"image {i}" for i in range(n)]
        return Gallery(images, images, inside, places, np.full(n, 40.0), names, str(seed))

    return make


def test_landmarks_of_simulated_photographs_lie_where_their_masks_are():
    sample = fundus(256, 3, eye="right", lesions=False)
    for name in ("disc", "fovea"):
        row, column = gallery.centre_of(name)(sample.masks)[0]
        assert sample.masks[name][round(row), round(column)]
    found = gallery.crossings(sample.masks)
    common = sample.masks["artery"] & sample.masks["vein"]
    near = [common[int(r) - 3 : int(r) + 4, int(c) - 3 : int(c) + 4].any() for r, c in found]
    assert len(near) > 3 and all(near)
    assert not any(sample.masks["disc"][int(r), int(c)] for r, c in found)


def test_left_eyes_are_told_by_their_names():
    for seed in range(6):
        masks = fundus(128, seed).masks
        if masks["fovea"].any():
            disc, fovea = (np.argwhere(masks[name])[:, 1].mean() for name in ("disc", "fovea"))
            assert is_left_eye(f"fundus_{seed:05d}") == (disc < fovea)


def test_the_apex_is_the_top_of_a_lung():
    mask = np.zeros((64, 64), bool)
    mask[10:50, 20:30] = True
    assert gallery.apex_of("lung")({"lung": mask})[0].tolist() == pytest.approx([10, 23.5], abs=0.6)
    assert not len(gallery.apex_of("lung")({"lung": mask & False}))


def test_windows_hold_their_landmark():
    for seed in range(5):
        top, left, side = gallery._window(np.array([100.0, 200.0]), 0.6, seed)
        assert top <= 100 < top + side and left <= 200 < left + side
        assert 0 <= top <= 256 - side and 0 <= left <= 256 - side


@pytest.mark.parametrize("row", ["filter bank", "untrained network", search.INTENSITIES])
def test_every_search_finds_what_is_plain_to_see(marked, row):
    support, tests = marked(2), marked(3, seed=1)
    searches = search.Searches(row, support, tests, "fundus")
    scores = searches.scores([0], Kernel(1 / 16, 1), [0, 1, 2])
    assert search.errors_of(searches, scores, [0, 1, 2]).max() < 0.25
    gone = scores.without(tests, [0, 1, 2], 1.0)
    assert all(without < best[2] for without, best in zip(gone, scores.best()))


def test_fixed_places_need_no_search(marked):
    support, tests = marked(4), marked(2, seed=1)
    centre = search.Searches("image centre", support, tests, "fundus")
    expected = [np.hypot(*(tests.places[i][0] - 127.5)) / 40 for i in range(2)]
    assert search.errors_of(centre, None, [0, 1]) == pytest.approx(expected)
    mean = search.Searches("mean position", support, tests, "fundus").place()
    assert mean == pytest.approx(np.mean([place[0] for place in support.places], 0))
    with pytest.raises(ValueError, match="unknown row"):
        search.Searches("magic", support, tests, "fundus")


def test_kernels_are_chosen_on_training_images_and_test_images_are_searched_once(
    marked, monkeypatch
):
    opened = []

    def open_gallery(name, data_dir="", split="test", limit=0):
        opened.append(split)
        return marked(4, seed={"train": 0, "test": 1}[split])

    monkeypatch.setattr(study, "open_gallery", open_gallery)
    kernels, rows = (Kernel(1 / 64, 1), Kernel(1 / 16, 1)), [search.INTENSITIES, "image centre"]
    chosen = study.choose("disc_simulated", rows=rows, kernels=kernels)
    assert opened == ["train"] and list(chosen.index) == [search.INTENSITIES]
    assert chosen.loc[search.INTENSITIES, "hit rate"] == 1
    found = study.measure("disc_simulated", chosen, rows=rows, seeds=(0, 1))
    assert found["table"].loc[search.INTENSITIES, "hit rate"] == 1
    assert found["table"].loc[search.INTENSITIES, "told apart"] > 0.9
    assert np.isnan(found["table"].loc["image centre", "told apart"])
    assert found[f"errors, {search.INTENSITIES}"].shape == (2, 4)
    with pytest.raises(ValueError, match="unknown landmark"):
        study.choose("nose")


def test_the_imagenet_row_is_left_out_where_it_is_not_installed(monkeypatch):
    monkeypatch.setattr(search, "has_imagenet", lambda: False)
    assert "ImageNet" not in search.available_rows() and search.OWN in search.available_rows()


def test_tables_come_from_the_records(monkeypatch):
    monkeypatch.setattr(table, "read_record", lambda path: {"metrics": RECORD})
    monkeypatch.setattr(table, "LANDMARKS", {"apex_left": landmarks.LANDMARKS["apex_left"]})
    lines = table.study_markdown().splitlines()
    assert "apex of the left lung" in lines[2] and "50 % [30, 70]" in lines[2]
    assert "0.80" in lines[2] and "60 %" in lines[2] and len(lines) == 4
    with pytest.raises(DataError, match='no "errors, x"'):
        landmarks.measured("apex_left", "errors, x")


MEASURED = [0.5, 0.3, 0.7, 4.2, 0.8, 0.6]
RECORD = {
    "unit": "percent of the width",
    "near": 5.0,
    "table": {
        "this kit": dict(zip(study.MEASURES, MEASURED)),
        "image centre": dict(zip(study.MEASURES, [0.1, 0, 0.2, 9, None, None])),
    },
}


def test_figures_show_all_landmarks_and_images(marked):
    one = pd.DataFrame(RECORD["table"]).T
    panels = landmarks.hit_bars({"disc_drions": one, "b": one}).axes
    titles = [panel.get_title(loc="left") for panel in panels]
    assert titles == ["centre of the disc\nDRIONS-DB", "b"]
    with pytest.raises(ValueError, match="at least one entry"):
        landmarks.hit_bars({})


def test_the_command_names_an_unknown_landmark():
    done = CliRunner().invoke(app, ["localise", "nose"])
    assert done.exit_code == 2 and 'unknown landmark "nose"' in done.output


def test_the_command_measures_what_is_named_and_prints_the_record(monkeypatch, tmp_path):
    monkeypatch.setattr(study, "choose", lambda name, *a, **k: pd.DataFrame({"width": {"x": 0.1}}))
    monkeypatch.setattr(
        study, "measure", lambda *a, **k: {"table": pd.DataFrame(RECORD["table"]).T}
    )
    small = Gallery(*[np.zeros((1, 8, 8, 3))] * 3, [np.zeros((1, 2))], np.ones(1), ["a"], "print")
    monkeypatch.setattr(study, "open_gallery", lambda *a, **k: small)
    monkeypatch.setattr(study.Run, "keep", lambda run, label: run.finish().parent / label)
    done = CliRunner().invoke(app, ["localise", "apex_left"])
    assert done.exit_code == 0 and done.output.strip().endswith("apex_left")
    record = json.loads(
        next(study.runs_folder().rglob("apex_left/record.json")).read_text(encoding="utf-8")
    )
    assert record["metrics"]["near"] == 5 and record["data"] == {"train": "print", "test": "print"}
