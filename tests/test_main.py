"""The command line: one sentence for what is wrong, and help that names every command."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from ldr_lib.__main__ import app

COMMANDS = [
    "execute",
    "sweep",
    "compare",
    "summary",
    "pretrain",
    "guided",
    "transfer",
    "records",
    "confirm",
    "baselines",
    "ship",
    "tables",
    "benchmark",
    "leaderboard",
]


def run(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_every_command_has_help():
    said = run("--help").output
    for command in COMMANDS:
        assert f"\n  {command} " in said
        assert "Usage" in run(command, "--help").output


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["execute", "absent.ipynb"], "absent.ipynb cannot be read as a notebook"),
        (["sweep", "absent.ipynb"], "absent.ipynb cannot be read as a notebook"),
        (["sweep", "notebooks/00_quickstart.ipynb", "--grid", "sede=1"], 'no parameter "sede"'),
        (["sweep", "notebooks/00_quickstart.ipynb", "--grid", "seed"], "name=value,value"),
        (["sweep", "notebooks/00_quickstart.ipynb", "--grid", "seed=[1"], "cannot be read"),
        (["sweep", "notebooks/00_quickstart.ipynb", "-p", "seed"], "NAME=VALUE"),
        (["sweep", "notebooks/00_quickstart.ipynb", "-p", "seed=[1"], "cannot be read"),
        (["summary", "absent.ipynb"], "absent.ipynb cannot be read as a notebook"),
        (["sweep", "notebooks/00_quickstart.ipynb", "-f", "absent.yaml"], "absent.yaml"),
        (["sweep", "notebooks/00_quickstart.ipynb", "--jobs", "0"], "greater than or equal to 1"),
        (["compare", "absent", "absent"], "absent is no run record"),
        (["summary", "notebooks/00_quickstart.ipynb", "-p", "dataset=none"], "three seeds"),
        (["pretrain", "liver"], 'unknown modality "liver"; known are fundus, chest'),
        (["pretrain", "chest", "--method", "magic"], 'unknown pretraining "magic"'),
        (["guided", "liver"], 'unknown guided network "liver"'),
        (["guided", "vessel", "--control", "magic"], 'unknown control "magic"'),
        (["transfer", "liver"], 'unknown task "liver"'),
        (["records", "all"], 'unknown group of runs "all"; known are records, priors, transfer'),
        (["ship", "liver"], 'unknown thing to ship "liver"'),
        (["leaderboard", "absent"], "holds no graded submission"),
        (["benchmark", "--device", "cuda:99"], 'device "cuda:99" is not available here'),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(arguments, words, monkeypatch):
    from conftest import ROOT

    monkeypatch.chdir(ROOT)
    done = run(*arguments)
    assert done.exit_code == 2, done.output
    assert words in " ".join(done.output.split()) and "Traceback" not in done.output


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "ldr_lib", "compare", "absent", "absent"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and done.stderr.startswith("absent is no run record")
