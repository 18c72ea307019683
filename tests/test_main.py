"""The command line: one sentence for what is wrong, and help that names every command."""

import os
import subprocess
import sys

import pytest
from conftest import ROOT
from runs import tiny
from typer.testing import CliRunner

from ldr_lib import DataError
from ldr_lib.__main__ import app
from ldr_lib.commands import COMMANDS
from ldr_lib.transfer import own_training

SWEEP = ["sweep", "notebooks/00_quickstart.ipynb"]
TASK = ["transfer", "disc_drions"]
OWN = ["transfer", "notebooks", "--masks", "tests"]


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_every_command_has_help():
    said = run("--help").output
    for command in (function.__name__.replace("_", "-") for function in COMMANDS):
        assert f"\n  {command} " in said
        assert "Usage" in run(command, "--help").output


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["execute", "absent.ipynb"], "absent.ipynb cannot be read as a notebook"),
        (["sweep", "absent.ipynb"], "absent.ipynb cannot be read as a notebook"),
        (["sweep", "notebooks/00_quickstart.ipynb", "--grid", "sede=1"], 'no parameter "sede"'),
        (["sweep", "notebooks/00_quickstart.ipynb", "--grid", "seed"], "name=value,value"),
        ([*SWEEP, "--grid", "seed=[1"], "cannot be '[1'"),
        ([*SWEEP, "--grid", "seed=1,,2"], "no value may be empty"),
        ([*SWEEP, "--grid", 'dataset="a'], "stands in double quotes"),
        ([*SWEEP, "--grid", "seed=1", "--grid", "seed=2"], "each name once"),
        ([*SWEEP, "--grid", "seed=1", "-p", "seed=2"], "seed is given by -p and by --grid"),
        ([*SWEEP, "--grid", "seed=.nan"], "a whole number, and cannot be '.nan'"),
        ([*SWEEP, "-p", "seed=" + 300 * "x"], "cannot be 'xxx"),
        ([*SWEEP, "-p", "seed=1", "-p", "seed=1"], "each name once"),
        ([*SWEEP, "-p", "out_dir=/tmp/x"], "set LDR_RUNS"),
        ([*SWEEP, "-p", "=1"], "NAME=VALUE"),
        ([*SWEEP, "--timeout", "0"], "timeout must be a number above 0, not 0"),
        ([*SWEEP, "--timeout", "nan"], "timeout must be a number above 0, not nan"),
        ([*SWEEP, "--timeout", "soon"], "Invalid value for"),
        ([*SWEEP, "--cluster", "nowhere"], "no Dask scheduler answers at nowhere"),
        ([*SWEEP, "-f", "notebooks"], "notebooks cannot be read"),
        (["sweep", "notebooks"], "notebooks cannot be read as a notebook"),
        (["sweep", 300 * "x"], "longer than file systems allow"),
        (["summary", "notebooks/00_quickstart.ipynb", "-p", "sede=1"], 'no parameter "sede"'),
        (["compare", 300 * "x", "absent"], "longer than file systems allow"),
        (["sweep", "notebooks/00_quickstart.ipynb", "-p", "seed"], "NAME=VALUE"),
        ([*SWEEP, "-p", "seed=[1"], "cannot be '[1'"),
        (["summary", "absent.ipynb"], "absent.ipynb cannot be read as a notebook"),
        (["sweep", "notebooks/00_quickstart.ipynb", "-f", "absent.yaml"], "absent.yaml"),
        (["sweep", "notebooks/00_quickstart.ipynb", "--jobs", "0"], "greater than or equal to 1"),
        (["compare", "absent", "absent"], "absent is no run record"),
        (["summary", "notebooks/00_quickstart.ipynb", "-p", "dataset=none"], "three seeds"),
        (["learn", "nothing"], 'unknown way "nothing"; known are embedding only, both'),
        (["learn", "both", "--modality", "liver"], 'unknown modality "liver"'),
        (["pretrain", "liver"], 'unknown modality "liver"; known are fundus, chest'),
        (["pretrain", "chest", "--method", "magic"], 'unknown pretraining "magic"'),
        (["guided", "liver"], 'unknown guided network "liver"'),
        (["guided", "vessel", "--control", "magic"], 'unknown control "magic"'),
        (["transfer", "liver"], 'unknown task "liver"'),
        (["transfer", "notebooks"], "notebooks is a folder: say where the masks of your own"),
        ([*TASK, "--out", "x"], "disc_drions is given with --out: say where"),
        (
            [*TASK, "--folds", "3", "--steps", "9", "--value", "1", "--structure", "cup"],
            "disc_drions is given with --steps, --folds, --structure, --value: say where the masks",
        ),
        (
            [*TASK, "--split", "s.csv", "--modality", "chest"],
            "disc_drions is given with --split, --modality: say where",
        ),
        (
            [*TASK, "--no-fine", "--allow-empty"],
            "disc_drions is given with --fine/--no-fine, --allow-empty/--no-allow-empty: say",
        ),
        (
            [*OWN, "--out", "x", "--jobs", "2", "--data-dir", "y"],
            "--jobs, --data-dir: only tasks of the kit have this",
        ),
        (OWN, "with a folder for the results, as in"),
        (
            ["transfer", "absent", "--masks", "tests", "--out", "absent/result"],
            "images absent does not exist or is no folder",
        ),
        (["predict", "absent", "notebooks", "--out", "absent/found"], "absent does not exist. py"),
        (["predict", "absent", "--out", "x"], "a segmenter and a folder of images without, not 1"),
        (["predict", "a", "b", "--keep-doubtful", "--out", "x"], "--keep-doubtful needs --structu"),
        (["predict", "a", "b", "--structure", "disc", "--out", "x"], "not 2 paths with it"),
        (
            ["predict", "absent", "--structure", "liver", "--out", "x"],
            'unknown structure "liver"; known are vessel, disc, fovea, lungs, heart',
        ),
        (
            ["predict", "absent", "--structure", "lungs", "--out", "x", "--device", "cpu"],
            "the folder absent does not exist",
        ),
        (
            ["records", "all"],
            'unknown group of runs "all"; known are records, learning, switches, priors, transfer',
        ),
        (["page", "x.html", "--snapshots", "absent"], "absent is no folder of snapshots"),
        (["page", "x.html", "--modality", "liver"], 'unknown modality "liver"'),
        (["page", "x.html", "--dataset", "none"], 'unknown dataset "none"; known are'),
        (["ship", "liver"], 'unknown thing to ship "liver"'),
        (["leaderboard", "absent"], "holds no graded submission"),
        (["benchmark", "--device", "cuda:99"], 'device "cuda:99" is not available here'),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(arguments, words, monkeypatch):

    monkeypatch.chdir(ROOT)
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.output.split()) and "Traceback" not in done.output


def test_options_for_own_images_arrive_under_their_names(monkeypatch):
    given = {}

    def own_study(*places, **options):
        given.update(options, places=[str(place) for place in places])
        raise DataError("enough")

    monkeypatch.setattr(own_training, "own_study", own_study)
    places = ["images", "--masks", "masks", "--out", "out"]
    run("transfer", *places, "--value", "2", "--folds", "3", "--steps", "7", "--fine")
    assert given.pop("places") == ["images", "masks", "out"]
    expected = dict(inits=("ldr",), labels=(0,), seeds=(0,), values=(2,), folds=3, steps=7)
    expected |= dict(split=None, structure="structure", modality=None, tier="study")
    assert given.items() >= (expected | dict(fine=True, allow_empty=False)).items()


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "ldr_lib", "compare", "absent", "absent"],
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 2 and done.stderr.startswith("absent is no run record")


NOBODY = """
import os, pwd
os.environ.pop("HOME", None)
pwd.getpwuid = {}.__getitem__
"""


def test_without_a_home_or_a_place_to_write_the_way_out_is_named(tmp_path):
    (tmp_path / "nobody").mkdir()
    (tmp_path / "nobody" / "sitecustomize.py").write_text(NOBODY, encoding="utf-8")
    (tmp_path / "file").write_text("", encoding="utf-8")
    notebook = tiny.write(tmp_path / "tiny.ipynb")
    for changed, words in [
        ({"PYTHONPATH": f"{ROOT}:{tmp_path / 'nobody'}"}, "set HOME to a folder of your own"),
        ({"LDR_RUNS": str(tmp_path / "file" / "runs")}, "Set LDR_RUNS to a folder of your own"),
        ({"LDR_RUNS": "/proc/runs"}, "Set LDR_RUNS to a folder of your own"),
    ]:
        done = subprocess.run(
            [sys.executable, "-m", "ldr_lib", "sweep", str(notebook)],
            env=os.environ | changed,
            capture_output=True,
            encoding="utf-8",
        )
        assert done.returncode == 2 and words in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1
