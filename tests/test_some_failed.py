"""Verbs of the command line that do several things: what fails is named, stops nothing, and shows
in the status.
"""

import json

import numpy as np
import pytest
from one_process import in_this_process
from PIL import Image
from runs import tiny
from typer.testing import CliRunner

from ldr_lib import DataError, reproduce
from ldr_lib.__main__ import app
from ldr_lib.landmarks import study as landmarks
from ldr_lib.runs import confirm as short_runs
from ldr_lib.runs import notebooks
from ldr_lib.transfer import experiment, own_training

BAD = "unlucky"


def sweep(folder, patch):
    patch.setenv("LDR_RUNS", str(folder / "runs"))
    notebook = tiny.write(folder / "tiny.ipynb")
    yield ["sweep", notebook, "--grid", "seed=0,13"]
    assert len(list((folder / "runs").rglob("seed=0*/values.json"))) == 1


def records(folder, patch):
    def make(options, data_dir):
        if options["first"] == BAD:
            raise DataError("not today")
        (folder / "lucky.json").write_text("{}", encoding="utf-8")

    runner = reproduce.Runner(lambda options: folder / f"{options['first']}.json", make)
    plan = folder / "runs.yaml"
    plan.write_text(f"group: [first: [{BAD}, lucky]]", encoding="utf-8")
    patch.setattr(reproduce, "RUNNERS", {"first": runner})
    patch.setattr(reproduce.declared_runs, "__defaults__", (plan,))
    patch.setattr(reproduce, "in_own_processes", in_this_process)
    patch.setenv("LDR_RUNS", str(folder / "runs"))
    yield ["records", "group"]
    assert (folder / "lucky.json").exists()


def tasks(folder, patch):
    measured = []

    def cell(name, init, labels, seed, data_dir, tier):
        if seed == 13:
            raise DataError("not today")
        measured.append(seed)
        return folder / "x.json"

    patch.setattr(experiment, "cell", cell)
    patch.setattr(experiment, "_is_measured", lambda *_: False)
    patch.setattr(experiment, "in_own_processes", in_this_process)
    seeds = ["--seed", 13, "--seed", 0]
    yield ["transfer", "disc_simulated_fundus", "--init", "random", *seeds, "--tier", "smoke"]
    assert measured == [0]


def own_images(folder, patch):
    """Six images; the first of two folds cannot be measured, as when the memory is full."""
    draw = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir()
    for number in range(6):
        mask = np.zeros((64, 64), np.uint8)
        mask[20:40, 20:40] = 255
        noise = draw.integers(60, 200, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(mask).save(folder / "masks" / f"{number}.png")
        Image.fromarray(noise).save(folder / "images" / f"{number}.png")

    def measure(study, labels, seed, init, fold):
        if fold == "1":
            raise RuntimeError("out of memory")
        return {"weights": {}, "scores": {}}

    patch.setattr(own_training, "_measure", measure)
    places = ["--masks", folder / "masks", "--out", folder / "out"]
    yield ["transfer", folder / "images", *places, "--init", "random", "--folds", 2]
    assert len(list((folder / "out" / "cells").iterdir())) == 1


def execute(folder, patch):
    done = []

    def run(path):
        if path.stem == BAD:
            raise DataError("stopped in its second cell")
        done.append(path.stem)

    patch.setattr(notebooks, "execute_in_place", run)
    patch.setattr(notebooks, "keep_figures", lambda name: folder / name)
    yield ["execute", *(tiny.write(folder / f"{name}.ipynb") for name in (BAD, "lucky"))]
    assert done == ["lucky"]


def localise(folder, patch):
    measured = []

    def study(names, data_dir):
        if names == ["disc_drions"]:
            raise DataError("DRIONS-DB is not there")
        measured.extend(names)
        return [folder / "x.json"]

    patch.setattr(landmarks, "study", study)
    yield ["localise", "disc_drions", "fovea_simulated"]
    assert measured == ["fovea_simulated"]


def confirm(folder, patch):
    made, compared = [], []
    patch.setattr(short_runs, "present_runs", lambda *_: made.append("present") or {})

    def one(revision, data_dir, jobs, present, group):
        compared.append(revision)
        return {"learning seed=0": ["metrics, AP"] if revision == BAD else []}

    patch.setattr(short_runs, "confirm", one)
    yield ["confirm", BAD, "abc123"]
    assert (made, compared) == (["present"], [BAD, "abc123"])


def check(folder, patch):
    (folder / f"{BAD}.png").write_text("no picture", encoding="utf-8")
    Image.fromarray(np.full((64, 64, 3), 120, np.uint8)).save(folder / "lucky.png")
    yield ["check", folder, "--out", folder / "sheet.jpg"]
    assert (folder / "sheet.jpg").exists()


NAMED = {
    sweep: "seed=13",
    records: f"first {BAD}: not today",
    tasks: "disc_simulated_fundus_random_1_smoke_13: not today",
    own_images: "random, all labels, seed 0, fold 1: out of memory",
    execute: f"{BAD}.ipynb: stopped in its second cell",
    localise: "disc_drions: DRIONS-DB is not there",
    check: f"{BAD}.png",
    confirm: f"{BAD}: other numbers\nlearning seed=0: metrics, AP",
}
"""Each verb, and how it names what fails. What `predict` does is tested beside its networks."""


@pytest.mark.parametrize("verb", NAMED, ids=lambda verb: verb.__name__)
def test_what_fails_is_named_and_stops_nothing(verb, tmp_path, monkeypatch):
    steps = verb(tmp_path, monkeypatch)
    done = CliRunner().invoke(app, [str(word) for word in next(steps)])
    assert done.exit_code == 1, done.output
    assert NAMED[verb] in done.output and "Traceback" not in done.output
    assert next(steps, None) is None  # what the others gave is there


def test_a_single_thing_that_fails_says_nothing_of_others(tmp_path, monkeypatch):
    monkeypatch.setenv("LDR_RUNS", str(tmp_path / "runs"))
    notebook = tiny.write(tmp_path / "tiny.ipynb")
    done = CliRunner().invoke(app, ["sweep", str(notebook), "-p", "seed=13"])
    assert done.exit_code == 1 and "1 of 1 runs failed:\n" in done.output
    assert json.loads(next(tmp_path.rglob("values.json")).read_text(encoding="utf-8"))["seed"] == 13
