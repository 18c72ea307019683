"""Sweeps: what is run, skipped and kept; what a failure, a kill, a hang or a second sweep costs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest
from conftest import ROOT
from runs import tiny

from ldr_lib import DataError, runs
from ldr_lib.runs import sweep
from ldr_lib.runs.cell import cell_folder, is_finished, record_label, run_cell, sweep_folder
from ldr_lib.runs.cluster import Cluster
from ldr_lib.runs.parameters import grid_of
from ldr_lib.runs.sweep import keep_records, run_sweep


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A tiny notebook with runs of its own."""
    monkeypatch.setenv("LDR_RUNS", str(tmp_path / "runs"))
    return tiny.write(tmp_path / "tiny.ipynb")


def log_of(notebook) -> list[str]:
    """The seeds that were run, each as often as it was."""
    return sorted((sweep_folder(notebook) / "log.txt").read_text(encoding="utf-8").split())


def until(condition, seconds=60):
    """Waits for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.05)


def in_a_process(notebook, *arguments):
    """`python -m ldr_lib sweep`, as a user starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "ldr_lib", "sweep", str(notebook), *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def states(table) -> list[str]:
    return list(table["state"])


@pytest.mark.slow
def test_a_sweep_skips_what_is_finished_and_a_failure_stops_nothing(notebook):
    cells = grid_of(["seed=0,13,1"])
    table = run_sweep(notebook, cells)
    assert states(table) == ["finished", "failed", "finished"] and "bad luck" in table["error"][1]
    failed = cell_folder(notebook, cells[1])
    assert "bad luck" in (failed / "error.txt").read_text(encoding="utf-8")
    assert "bad luck" in (failed / "tiny.ipynb").read_text(encoding="utf-8")
    first = cell_folder(notebook, cells[0]) / "values.json"
    before = first.stat().st_mtime_ns
    assert states(run_sweep(notebook, cells)) == ["skipped", "failed", "skipped"]
    assert first.stat().st_mtime_ns == before
    written = pd.read_csv(sweep_folder(notebook) / "table.csv")
    assert states(written) == ["skipped", "failed", "skipped"]
    (cell_folder(notebook, cells[0]) / "record.json").write_text("{", encoding="utf-8")
    assert not is_finished(notebook, cells[0])  # what cannot be read is made again
    notebook.write_text(
        notebook.read_text(encoding="utf-8").replace("bad luck", "no luck"), encoding="utf-8"
    )
    assert not is_finished(notebook, cells[2])
    with pytest.raises(DataError, match="no parameter"):
        run_sweep(notebook, [{"q": 1}])


@pytest.mark.slow
def test_parameters_arrive_and_equal_cells_are_run_once(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    odd = {"name": "a\"b\\n'{x}$%\udce9 左", "data_dir": "here/../there", "sizes": [3], "k": 2}
    given = [{"seed": seed} | odd for seed in (0, 0.0, 0)]
    table = run_sweep(notebook, given)
    assert states(table) == ["finished"] and log_of(notebook) == ["0"]
    found = tiny.values(cell_folder(notebook, given[0]))
    assert found == odd | {
        "seed": 0,
        "k": 2.0,
        "option": None,
        "flag": True,
        "data_dir": str(tmp_path / "there"),
    }


DIFFERENT = [
    [{"data_dir": "/a"}, {"data_dir": "/b"}, {}],
    [{"name": "a/b"}, {"name": "a-b"}, {"name": "a b"}, {"name": "A/b"}],
    [{"option": 1}, {"option": "1"}, {"option": True}, {"option": None}, {"option": "None"}],
    [{"name": "../../x"}, {"name": "/tmp/x"}, {"name": ""}, {"name": "."}, {"name": ".."}],
    [{"name": "x" * 300}, {"name": "x" * 299 + "y"}, {"name": "x" * 301}],
    [{"name": "seed=1"}, {"seed": 1}, {"name": "x", "seed": 1}, {"name": "x,seed=1"}],
    [{"k": 0.1}, {"k": 0.1 + 1e-12}, {"k": 1e-3}, {"k": -0.001}],
    [{"sizes": [1]}, {"sizes": [1, 2]}, {"sizes": ["1"]}, {"sizes": []}],
    [{"name": "左"}, {"name": "右"}, {"name": "caf\udce9"}, {"name": "café"}],
    [{"name": "con"}, {"name": "a\n"}, {"name": "a"}, {"name": "a\0"}, {"name": "~"}],
]


@pytest.mark.parametrize("given", DIFFERENT, ids=lambda given: "-".join(given[0]) or "none")
def test_different_cells_have_different_folders_and_records_inside_theirs(notebook, given):
    folders = [cell_folder(notebook, one) for one in given]
    assert len({str(folder).lower() for folder in folders}) == len(given)
    assert {folder.parent for folder in folders} == {sweep_folder(notebook)}
    assert all(len(folder.name.encode()) <= 255 for folder in folders)
    labels = [record_label(one | {"seed": 0, "flag": True}) for one in given]
    records = [runs.record_path("nb", label) for label in labels]
    assert len(set(records)) == len(given)
    assert {record.parent for record in records} == {ROOT / "figures" / "nb" / "records"}


def test_notebooks_of_one_name_have_two_folders(notebook, tmp_path):
    other = tiny.write(tmp_path / "elsewhere" / "tiny.ipynb")
    assert sweep_folder(notebook) != sweep_folder(other)
    kept = sweep_folder(ROOT / "notebooks" / "00_quickstart.ipynb")
    assert kept.name == "00_quickstart"


def test_records_of_the_project_keep_their_names():
    plain = {"dataset": "chase_db1", "data_dir": "/data", "seed": 2}
    assert record_label(plain) == record_label(dict(reversed(plain.items()))) == "chase_db1_2"
    assert record_label({"seed": 1, "out_dir": "x"}) == "1"
    mine = [record_label({"dataset": "folder", "data_dir": d, "seed": 0}) for d in ("/a", "/b")]
    assert mine[0] != mine[1] != "folder_0"
    others = [{"dataset": "x_1"}, {"dataset": "x", "seed": 1}, {"name": "x", "seed": 1}, {"k": 1}]
    assert len({record_label(one) for one in others}) == 4


def test_what_a_sweep_cannot_use_is_said_before_it_starts(notebook):
    for cell, words in [
        ({"out_dir": "x"}, "out_dir of its own"),
        ({"seed": float("nan")}, "seed .* a whole number, and cannot be nan"),
        ({"k": float("inf")}, "a number, and cannot be inf"),
        ({"seed": True}, "cannot be True"),
        ({"seed": 0.5}, "cannot be 0.5"),
        ({"flag": 1}, "true or false, and cannot be 1"),
        ({"name": 5}, "a text, and cannot be 5; in a YAML file a text like this needs quotes"),
        ({"option": {1, 2}}, "cannot be"),
    ]:
        with pytest.raises(DataError, match=words):
            run_sweep(notebook, [cell])
    for options in ({"jobs": 0}, {"jobs": "2"}, {"timeout": 0}, {"timeout": float("nan")}):
        with pytest.raises(ValueError, match="must be a (whole )?number"):
            run_sweep(notebook, [{}], **options)
    assert not sweep_folder(notebook).exists()


@pytest.mark.slow
def test_a_killed_kernel_costs_its_cell_only(notebook):
    table = run_sweep(notebook, [{"seed": seed, "name": "die"} for seed in (1, 0, 2)])
    assert states(table) == ["failed", "finished", "failed"]
    assert "killed" in table["error"][0]
    assert "killed" in (cell_folder(notebook, {"seed": 1, "name": "die"}) / "error.txt").read_text(
        encoding="utf-8"
    )


@pytest.mark.slow
@pytest.mark.parametrize("own, jobs, each", [(6, 2, "3"), (1, 1, "1"), (1, 2, "1")])
def test_cells_share_the_threads_of_this_process(notebook, monkeypatch, own, jobs, each):
    """A sweep that is one of several jobs must not take all of the processor for each of its cells:
    threads that wait for each other make it many times slower.
    """
    monkeypatch.setattr(sweep.torch, "get_num_threads", lambda: own)
    cells = grid_of(["seed=0"])
    run_sweep(notebook, cells, jobs)
    assert (cell_folder(notebook, cells[0]) / "threads").read_text(encoding="utf-8") == each


@pytest.mark.slow
def test_a_cell_that_hangs_is_ended_with_its_children(notebook):
    cells = [{"seed": 0, "name": "sleep"}, {"seed": 1}]
    table = run_sweep(notebook, cells, jobs=1, timeout=0.1)
    assert (
        states(table) == ["failed", "finished"] and table["error"][0] == "stopped after 0.1 minutes"
    )
    assert (cell_folder(notebook, cells[0]) / "pids").exists()
    until(lambda: not tiny.left_running(sweep_folder(notebook)), 5)


@pytest.mark.slow
def test_a_kernel_that_does_not_start_or_is_frozen_is_ended_too(notebook, tmp_path, monkeypatch):
    (tmp_path / "frozen" / "ipykernel").mkdir(parents=True)
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"
    (tmp_path / "frozen" / "ipykernel" / "__init__.py").write_text(code, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "frozen"))
    outcome = run_cell(str(notebook), {}, tmp_path / "cell", 1, minutes=0.03)
    assert outcome.state == "failed" and outcome.error == "stopped after 0.03 minutes"
    assert outcome.seconds < 30


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_ends_its_processes_and_keeps_what_is_finished(notebook, number):
    process = in_a_process(notebook, "--grid", "seed=0,1,2", "-p", "name=sleep last", "--jobs", "2")
    place = sweep_folder(notebook)
    until(lambda: len(list(place.rglob("pids"))) == 2)
    process.send_signal(number)
    said, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + number and "finished runs are kept" in said
    assert not tiny.left_running(place) and "Traceback" not in said
    assert is_finished(notebook, {"seed": 0, "name": "sleep last"})
    assert states(pd.read_csv(place / "table.csv")) == ["finished", "not run", "not run"]
    assert not list(place.rglob("error.txt"))  # stopped is not failed


@pytest.mark.slow
def test_what_a_killed_sweep_leaves_is_ended_and_taken_over(notebook):
    place = sweep_folder(notebook)
    first = in_a_process(notebook, "--grid", "seed=1", "-p", "name=sleep")
    until(lambda: list(place.rglob("pids")))
    second = in_a_process(notebook, "--grid", "seed=1,0", "-p", "name=sleep", "--timeout", "0.05")
    waiting = second.stdout.readline() + second.stdout.readline()
    assert f"is run by process {first.pid} on" in waiting
    first.kill()
    first.wait()
    until(lambda: log_of(notebook) == ["0", "1", "1"])
    assert second.communicate(timeout=60) and second.returncode == 1
    until(lambda: not tiny.left_running(place), 5)


@pytest.mark.slow
def test_two_sweeps_at_once_run_each_cell_once(notebook):
    arguments = ["-p", "name=slow", "--jobs", "2"]
    both = [
        in_a_process(notebook, "--grid", grid, *arguments)
        for grid in ("seed=0,13,1", "seed=1,13,0,2")
    ]
    said = [process.communicate(timeout=90)[0] for process in both]
    assert [process.returncode for process in both] == [1, 1], said
    assert log_of(notebook) == ["0", "1", "13", "2"], said
    for seed in (0, 1, 2):
        assert is_finished(notebook, {"seed": seed, "name": "slow"})


@pytest.mark.slow
def test_a_second_sweep_runs_what_the_first_was_stopped_at(notebook, monkeypatch):
    cell = {"seed": 1, "name": "slow"}
    first, place = (
        in_a_process(notebook, "--grid", "seed=1", "-p", "name=slow"),
        sweep_folder(notebook),
    )
    until(lambda: list(place.rglob("values.json")))
    threading.Timer(0.5, first.terminate).start()
    assert states(run_sweep(notebook, [cell])) == ["finished"]
    assert first.communicate() and first.returncode == 143 and log_of(notebook) == ["1", "1"]


@pytest.mark.slow
def test_workers_of_a_cluster_that_are_killed_are_replaced(notebook):
    dask, distributed = pytest.importorskip("dask"), pytest.importorskip("distributed")
    workers = dict(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1")
    lost = {"distributed.scheduler.allowed-failures": 1}
    with dask.config.set(lost), distributed.LocalCluster(**workers) as cluster:
        address = cluster.scheduler_address
        cells = [{"seed": 0}, {"seed": 1, "name": "die once"}, {"seed": 13}]
        table = run_sweep(notebook, cells, cluster=address)
        assert states(table) == ["finished", "finished", "failed"]
        assert log_of(notebook) == ["0", "1", "1", "13"]
        table = run_sweep(
            notebook, [{"seed": 2, "name": "die always"}, {"seed": 2}], cluster=address
        )
        assert states(table) == ["failed", "finished"]
        assert "killed every worker" in table["error"][0]
        sleeping = in_a_process(
            notebook, "--grid", "seed=5,6", "-p", "name=sleep", "--cluster", address
        )
        until(lambda: list(sweep_folder(notebook).rglob("pids")))
        sleeping.terminate()
        assert sleeping.communicate(timeout=30) and sleeping.returncode == 143
        until(lambda: not tiny.left_running(sweep_folder(notebook)), 10)
    with pytest.raises(DataError, match="no Dask scheduler answers"):
        Cluster("tcp://127.0.0.1:9")


@pytest.mark.slow
def test_records_are_kept_under_names_of_their_own(notebook, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "record_path", lambda _, label: tmp_path / "kept" / label)
    cells = [
        {"seed": 0, "data_dir": d, "name": n} for d in ("/a", "/b") for n in ("../../../x", "/y")
    ]
    assert states(run_sweep(notebook, cells)) == 4 * ["finished"]
    kept = keep_records(notebook, [*cells, {"seed": 5}])
    assert len(set(kept)) == 4 and {path.parent for path in kept} == {tmp_path / "kept"}
    assert len(list((tmp_path / "kept").iterdir())) == 4


@pytest.fixture
def finished(notebook, tmp_path, monkeypatch):
    """Makes a finished cell whose record says which images it saw."""
    monkeypatch.setattr(sweep, "record_path", lambda _, label: tmp_path / "kept" / f"{label}.json")
    monkeypatch.setattr(sweep, "is_finished", lambda *_: True)
    monkeypatch.setattr(sweep, "record_label", lambda cell: f"hrf_{cell['seed']}")

    def make(data_dir: str, seed: int = 0, **data: str) -> dict:
        cell = {"data_dir": data_dir, "seed": seed}
        folder = cell_folder(notebook, cell)
        folder.mkdir(parents=True, exist_ok=True)
        record = {"name": "tiny", "parameters": {}, "claims": {}, "data": data}
        (folder / "record.json").write_text(json.dumps(record), encoding="utf-8")
        return cell

    return make


def kept_data(path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))["data"]


def test_a_record_of_other_images_is_not_replaced(notebook, finished, tmp_path):
    first = finished("/a", train="one", test="two")
    (kept,) = keep_records(notebook, [first])
    second = [finished("/b", seed=1, train="x"), finished("/b", train="one", test="three")]
    words = r"hrf_0.json holds a record of other images than those in /b \(test\).*Move or remove"
    with pytest.raises(DataError, match=words):
        keep_records(notebook, second)
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["hrf_0.json"]
    assert kept_data(kept) == {"train": "one", "test": "two"}
    both = keep_records(notebook, [first, second[1]])
    assert kept not in both and [kept_data(path)["test"] for path in both] == ["two", "three"]
    kept.unlink()
    assert kept_data(keep_records(notebook, second)[1]) == {"train": "one", "test": "three"}


def test_records_of_the_same_images_damaged_ones_and_those_of_the_package_are_replaced(
    notebook, finished
):
    (kept,) = keep_records(notebook, [finished("/a", train="one")])
    more = {"train": "one", "test": "two"}
    assert kept_data(keep_records(notebook, [finished("/b", **more)])[0]) == more
    kept.write_text("{half", encoding="utf-8")
    assert kept_data(keep_records(notebook, [finished("/b", train="x")])[0]) == {"train": "x"}
    simulated = finished("", train="changed with the code")
    assert kept_data(keep_records(notebook, [simulated])[0]) == {"train": "changed with the code"}


def test_a_folder_that_cannot_be_written_names_the_way_out(notebook, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("LDR_RUNS", str(tmp_path / "file" / "runs"))
    for attempt in (lambda: run_sweep(notebook, [{}]), lambda: runs.Run("x", {"seed": 0})):
        with pytest.raises(DataError, match="LDR_RUNS"):
            attempt()
