"""Declared runs: which are made, which are skipped, and what happens when one fails."""

import json
import os

import pytest
import yaml
from one_process import in_this_process

from ldr_lib import DataError, reproduce
from ldr_lib.pretrained import random_encoder
from ldr_lib.reproduce import Runner
from ldr_lib.runs.locks import claimed
from ldr_lib.transfer import experiment
from ldr_lib.transfer.pretraining import save_encoder
from ldr_lib.transfer.starts import own_weights


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """A plan with two commands that note what they make; `made` lists it."""
    made = []

    def record(options):
        return tmp_path / ("_".join(map(str, options.values())) + ".json")

    def make(options, data_dir):
        if options.get("seed") == 13:
            raise DataError("unlucky")
        made.append((*options.values(), data_dir))
        record(options).write_text(json.dumps({"code": {}}), encoding="utf-8")

    runners = {"first": Runner(record, make), "second": Runner(record, make)}
    monkeypatch.setattr(reproduce, "RUNNERS", runners)
    monkeypatch.setattr(reproduce, "is_current", lambda path: path.exists())
    monkeypatch.setattr(reproduce, "in_own_processes", in_this_process)
    monkeypatch.setenv("LDR_RUNS", str(tmp_path / "runs"))
    path = tmp_path / "runs.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "group": [
                    {"first": ["a", "b"], "seed": [0, 1]},
                    {"second": "c", "seed": 0},
                ],
                "bad": [{"first": "x", "seed": [13, 0]}],
                "wrong": [{"third": "x"}],
            }
        ),
        encoding="utf-8",
    )
    monkeypatch.setattr(reproduce.declared_runs, "__defaults__", (path,))
    return made


def test_lists_are_combined_and_everything_missing_is_made_in_order(plan):
    reproduce.run_group("group", "data", 1)
    assert plan == [
        ("a", 0, "data"),
        ("a", 1, "data"),
        ("b", 0, "data"),
        ("b", 1, "data"),
        ("c", 0, "data"),
    ]


def test_what_has_a_current_record_is_skipped(plan, capsys):
    reproduce.run_group("group", "", 1)
    plan.clear()
    assert reproduce.run_group("group", "", 1) == [] and plan == []
    assert "5 of 5 records of group are current" in capsys.readouterr().out


def test_a_dry_run_makes_nothing(plan, capsys):
    assert len(reproduce.run_group("group", "", dry_run=True)) == 5 and plan == []
    assert "would run: first a seed=0" in capsys.readouterr().out


def test_one_failure_does_not_stop_the_others(plan):
    with pytest.raises(DataError, match="1 of 2 runs failed"):
        reproduce.run_group("bad", "", 1)
    assert plan == [("x", 0, "")]


def test_what_started_from_other_weights_is_made_again_also_by_this_call(
    plan, monkeypatch, capsys, tmp_path
):
    """The second command starts from what the first has made last."""
    first, second = reproduce.RUNNERS["first"], reproduce.RUNNERS["second"]
    weights = []

    def remake(options, data_dir):
        first.make(options, data_dir)
        weights.append(options["seed"])

    def same_start(options):
        return json.loads(second.record(options).read_text(encoding="utf-8"))["from"] == weights

    def start(options, data_dir):
        second.make(options, data_dir)
        second.record(options).write_text(json.dumps({"from": weights}), encoding="utf-8")

    runners = {
        "first": Runner(first.record, remake),
        "second": Runner(second.record, start, same_start),
    }
    monkeypatch.setattr(reproduce, "RUNNERS", runners)
    reproduce.run_group("group", "", 1)
    assert reproduce.run_group("group", "", 1) == []
    weights.append("renewed by hand")
    capsys.readouterr()
    (stale,) = reproduce.run_group("group", "", dry_run=True)
    said = capsys.readouterr().out
    assert stale.command == "second" and "would run: second c seed=0" in said
    assert "4 of 5 records of group are current" in said
    assert reproduce.run_group("group", "", 1) == [stale] and plan[-1] == ("c", 0, "")
    (tmp_path / "a_0.json").unlink()
    done = reproduce.run_group("group", "", 1)
    assert [run.command for run in done] == ["first", "second"]


def test_unknown_groups_and_commands_are_named(plan):
    with pytest.raises(ValueError, match='unknown group of runs "all"; known are bad, group'):
        reproduce.declared_runs("all")
    with pytest.raises(ValueError, match='unknown command "third"; known are first, second'):
        reproduce.declared_runs("wrong")


def test_the_committed_plan_names_records_by_its_options():
    runs = [*reproduce.declared_runs("priors"), *reproduce.declared_runs("transfer")]
    names = {run.record.stem for run in runs}
    assert "vessel_octa_combined_from-representation_study_0" in names
    assert "pretraining_fundus_dense_study_0" in names
    assert "disc_drions_ldr_all_converged_2" in names
    notebooks = reproduce.declared_runs("records")
    notebooks = {(run.record.parents[1].name, run.record.stem) for run in notebooks}
    assert ("00_quickstart", "chase_db1_2") in notebooks
    assert ("04b_guided_organs", "1") in notebooks


def test_a_cell_whose_start_has_changed_is_stale(tmp_path, monkeypatch):
    path = tmp_path / "start.safetensors"
    save_encoder(random_encoder(3, 7), path)
    monkeypatch.setattr(experiment, "is_current", lambda record: True)
    monkeypatch.setattr(reproduce, "is_current", lambda record: True)
    used = {"data": own_weights(str(path))}
    monkeypatch.setattr(experiment, "read_record", lambda record: used)
    one = reproduce.DeclaredRun("transfer", {"transfer": "disc_drions", "init": str(path)})
    assert one.is_made
    save_encoder(random_encoder(3, 8), path)
    assert not one.is_made


def test_a_run_that_another_process_makes_is_left_to_it(plan, capsys, tmp_path):
    path = reproduce.declared_runs("group")[0].record
    with claimed(tmp_path / "runs" / "records" / f"{path.parents[1].name}-{path.stem}"):
        reproduce.run_group("group", "", 1)
    assert len(plan) == 4 and f"left to process {os.getpid()}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text, words",
    [
        ("group: [", "cannot be read"),
        ("[1, 2]", "must hold groups"),
        ("", "must hold groups"),
        ("group:", "must hold groups"),
        ("group: text", "must hold groups"),
        ("group: [text]", "runs.yaml, group, entry 1 must be a command"),
        ("group: [{first: a}, [1]]", "runs.yaml, group, entry 2 must be a command"),
        ("group: [{1: a}]", "entry 1 must be a command"),
        ("\udce9", "cannot be read"),
    ],
)
def test_a_plan_that_is_none_is_named(plan, tmp_path, text, words):
    (tmp_path / "runs.yaml").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(DataError, match=words):
        reproduce.declared_runs("group")


@pytest.mark.parametrize(
    "entry, words",
    [
        ({"guided": "vessel", "priorr": "octa"}, "entry 1 .* is no run: .*priorr"),
        ({"sweep": "00_quickstart", "sede": 0}, 'no parameter "sede"'),
        ({"sweep": "absent", "seed": 0}, "absent.ipynb cannot be read"),
        ({"transfer": "disc_drions", "label": 1}, "is no run: .*label"),
    ],
)
def test_options_that_a_command_does_not_have_are_named(tmp_path, entry, words):
    (tmp_path / "runs.yaml").write_text(
        yaml.safe_dump({"group": [entry]}, sort_keys=False), encoding="utf-8"
    )
    with pytest.raises(DataError, match=words):
        reproduce.declared_runs("group", tmp_path / "runs.yaml")
