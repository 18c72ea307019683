import json
import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from conftest import ROOT

from ldr_lib import DataError, runs
from ldr_lib.runs import notebooks, sweep

BODY = """
from ldr_lib import runs
import pathlib
run = runs.Run("tiny", dict(seed=seed, k=k, tier="smoke"), out_dir)
pathlib.Path(out_dir, "started").touch()
assert k != 13, "thirteen brings bad luck"
run.metrics(value=seed + k)
run.finish();
"""


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A notebook of a second, with runs of its own."""
    monkeypatch.setenv("LDR_RUNS", str(tmp_path / "runs"))
    cells = [
        nbformat.v4.new_code_cell(
            'seed = 0\nk = 1\nout_dir = ""\ndata_dir = ""', metadata={"tags": ["parameters"]}
        ),
        nbformat.v4.new_code_cell(BODY),
    ]
    path = tmp_path / "tiny.ipynb"
    nbformat.write(
        nbformat.v4.new_notebook(
            cells=cells,
            metadata={
                "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}
            },
        ),
        path,
    )
    return path


def test_grids_are_all_combinations():
    assert sweep.grid_of(["seed=0,1", "dataset=a,b"]) == [
        dict(seed=s, dataset=d) for s in (0, 1) for d in "ab"
    ]
    assert sweep.grid_of([]) == [{}]
    for wrong in (["seed"], ["seed="], ["seed=1", "seed=2"]):
        with pytest.raises(DataError, match="name=value,value"):
            sweep.grid_of(wrong)


def test_parameters_are_held_against_the_notebook(tiny):
    notebooks.check_parameters(tiny, {"seed": 3})
    for given, needed, words in [
        ({"sed": 1}, (), 'no parameter "sed"; it has seed, k'),
        ({"seed": "x"}, (), "seed .* cannot be 'x'"),
        ({"k": 1}, ("seed",), "parameter seed is missing"),
    ]:
        with pytest.raises(DataError, match=words):
            notebooks.check_parameters(tiny, given, needed)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "notebooks").glob("0*.ipynb")), ids=lambda path: path.stem
)
@pytest.mark.parametrize("tier", ["smoke", "class", "full"])
def test_parameter_files_fit_every_notebook(path, tier):
    notebooks.check_parameters(
        path,
        notebooks.read_parameters(ROOT / "notebooks" / "params" / f"{tier}.yaml"),
        ("tier", "seed"),
    )


def test_unreadable_parameter_files_and_notebooks_are_named(tmp_path):
    (tmp_path / "a.yaml").write_text("- 1\n- 2\n")
    with pytest.raises(DataError, match="a.yaml must hold lines"):
        notebooks.read_parameters(tmp_path / "a.yaml")
    with pytest.raises(DataError, match="b.yaml cannot be read"):
        notebooks.read_parameters(tmp_path / "b.yaml")
    (tmp_path / "c.ipynb").write_text("{}")
    with pytest.raises(DataError, match="c.ipynb cannot be read"):
        notebooks.parameters_of(tmp_path / "c.ipynb")


@pytest.mark.slow
def test_a_sweep_skips_what_is_finished_and_a_failure_stops_nothing(tiny, tmp_path):
    cells = sweep.grid_of(["seed=0,1", "k=2,13"])
    table = sweep.run_sweep(tiny, cells, jobs=2)
    assert (
        list(table["state"]) == ["finished", "failed", "finished", "failed"]
        and "bad luck" in table["error"][1]
    )
    failed = sweep.cell_folder(tiny, cells[1])
    assert (failed / "started").exists() and "bad luck" in (failed / "error.txt").read_text()
    assert any(
        "bad luck" in str(cell.get("outputs"))
        for cell in nbformat.read(failed / "tiny.ipynb", 4).cells
    )
    assert json.loads((sweep.cell_folder(tiny, cells[2]) / "record.json").read_text())[
        "metrics"
    ] == {"value": 3}
    first = (sweep.cell_folder(tiny, cells[0]) / "record.json").stat().st_mtime_ns
    again = sweep.run_sweep(tiny, cells, jobs=2)
    assert list(again["state"]) == ["skipped", "failed", "skipped", "failed"]
    assert (sweep.cell_folder(tiny, cells[0]) / "record.json").stat().st_mtime_ns == first
    tiny.write_text(tiny.read_text().replace("seed + k", "seed * k"))
    assert not sweep.is_finished(tiny, cells[0])
    with pytest.raises(DataError, match="no parameter"):
        sweep.run_sweep(tiny, [{"q": 1}])


@pytest.mark.slow
def test_a_sweep_runs_on_a_cluster_of_two_workers(tiny):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        table = sweep.run_sweep(
            tiny, sweep.grid_of(["seed=0,1"]), cluster=cluster.scheduler_address
        )
    assert list(table["state"]) == ["finished", "finished"]
    with pytest.raises(DataError, match="no Dask scheduler answers"):
        sweep._connect("tcp://127.0.0.1:9")


@pytest.mark.slow
def test_a_stopped_sweep_keeps_what_is_finished(tiny, tmp_path):
    tiny.write_text(
        tiny.read_text().replace(
            "run.finish();",
            'run.finish();\\n",\n    "import time; time.sleep(0 if seed == 0 else 600)',
        )
    )
    command = [
        sys.executable,
        "-m",
        "ldr_lib",
        "sweep",
        str(tiny),
        "--grid",
        "seed=0,1",
        "--jobs",
        "1",
    ]

    def listen():
        """In a background job SIGINT is ignored."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    environment = os.environ | {"LDR_RUNS": str(tmp_path / "runs"), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=listen
    )
    started = sweep.cell_folder(tiny, {"seed": 1}) / "started"
    for _ in range(240):
        if started.exists():
            break
        time.sleep(0.25)
    process.send_signal(2)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and "finished runs are kept" in said
    assert sweep.is_finished(tiny, {"seed": 0}) and not sweep.is_finished(tiny, {"seed": 1})


def test_what_differs_between_two_runs_is_listed(tmp_path):
    folders = []
    for seed in (0, 1):
        run = runs.Run("nb", {"seed": seed, "k": 8}, str(tmp_path / str(seed)))
        run.data(train=f"images {seed}")
        run.metrics(table={"a": {"Dice": 0.5}, "b": {"Dice": 0.6 + seed}})
        run.finish()
        folders.append(run.folder)
    table = runs.compare(*folders)
    assert set(table.index) == {
        "parameters, seed",
        "seed",
        "data, train",
        "metrics, table, b, Dice",
    }
    assert (
        list(table.loc["metrics, table, b, Dice"]) == [0.6, 1.6]
        and runs.compare(folders[0], folders[0]).empty
    )
    with pytest.raises(DataError, match="is no run record"):
        runs.compare(folders[0], tmp_path)
