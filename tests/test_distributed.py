"""Two processes on the processor (gloo) against one with the whole batch, in double precision."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from ldr_lib.network import TwoBranchNet
from ldr_lib.shared_norm import SharedBatchNorm, own_statistics, share_statistics

PROGRAMS = Path(__file__).with_name("on_processes.py")
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
LOST = "the training ends on all processes, because one of them ended or was told to"
POSIX = pytest.mark.skipif(os.name == "nt", reason="kills a process by POSIX signal")


def command(program: str, folder: Path, processes: int) -> list:
    start = [sys.executable] if processes == 1 else TORCHRUN
    return [*start, PROGRAMS, program, folder]


def environment() -> dict[str, str]:
    ours = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    return os.environ | ours


def run(program: str, folder: Path, processes: int) -> subprocess.CompletedProcess:
    folder.mkdir(parents=True, exist_ok=True)
    return subprocess.run(
        command(program, folder, processes),
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What one process and two processes computed."""
    folder = tmp_path_factory.mktemp("processes")
    found = []
    for processes, name in ((1, "one"), (2, "two")):
        done = run("everything", folder / name, processes)
        assert done.returncode == 0, done.stderr[-3000:]
        found.append(torch.load(folder / name / "results.pt"))
    return found


def assert_same(results, prefix: str, tolerance: float):
    one, two = results
    names = [name for name in one if name.startswith(prefix)]
    assert names and names == [name for name in two if name.startswith(prefix)]
    for name in names:
        torch.testing.assert_close(
            two[name], one[name], rtol=0, atol=tolerance, msg=lambda text, n=name: f"{n}: {text}"
        )


LOSSES = [
    "patch",
    "mixup",
    "region",
    "entropy",
    "area",
    "dice",
    "guided",
    "calibrate",
    "confident",
    "adversary",
    "penalty",
    "prior area",
    "soft masks",
    "info_nce",
    "dense",
    "reconstruction",
]


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_losses_and_gradients_are_those_of_the_whole_batch(results, loss):
    assert results[0][f"loss {loss}, gradient 0"].abs().max() > 0
    assert_same(results, f"loss {loss}", 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2])
def test_gradients_of_the_network_are_those_of_the_whole_batch(results, stage):
    gradient = results[0][f"stage {stage}"]
    assert len(gradient) > 1_000_000 and gradient.abs().max() > 1e-3
    assert_same(results, f"stage {stage}", 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize(
    "method", ["ldr", "prototypes", "instance", "dense", "autoencoder", "adversarial", "combined"]
)
def test_trainings_end_with_the_same_weights_and_statistics(results, method):
    """The gradient of a bias before BatchNorm is zero up to rounding, which Adam enlarges."""
    assert_same(results, f"{method}: ", 1e-5)


@pytest.mark.slow
def test_images_come_in_the_order_of_one_process_and_none_twice(results):
    one, two = (result["order"] for result in results)
    assert one.tolist() == two.tolist()
    assert sorted(one[:3].flatten().tolist()) == list(range(12))


@pytest.mark.slow
def test_a_checkpoint_of_one_process_goes_on_with_two(results):
    one, two = results
    resumed = [name for name in two if name.startswith("resumed: ")]
    assert resumed
    for name in resumed:
        expected = one[name.replace("resumed", "ldr")]
        torch.testing.assert_close(two[name], expected, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_all_stop_when_one_stops_between_steps(results):
    assert results[1]["stopped"] == 2  # the third of six steps is not taken


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_is_refused(results):
    assert results[1]["refused"] == (
        "pairs = 3 is the batch of all processes together, and 2 processes cannot share it "
        "equally; choose a multiple of 2, or another number of processes"
    )


@pytest.mark.slow
@POSIX
def test_a_killed_process_ends_all_and_one_process_goes_on(results, tmp_path):
    with subprocess.Popen(
        command("slow_training", tmp_path, 2),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as training:
        for line in training.stdout:
            if line.startswith("step 1 1 1 "):  # stage, epoch, process, its number
                os.kill(int(line.split()[-1]), signal.SIGKILL)
                break
        said = training.communicate(timeout=60)[1]
    assert training.returncode != 0 and said.count(LOST) == 1
    assert (tmp_path / "checkpoint.safetensors").exists()
    assert not (tmp_path / "model.safetensors").exists()

    alone = run("slow_training", tmp_path, 1)
    assert alone.returncode == 0, alone.stderr[-3000:]
    taken = [line.split()[1:3] for line in alone.stdout.splitlines() if line.startswith("step ")]
    assert taken[0] == ["1", "1"]  # the first epoch is not trained again
    for name, value in load_file(tmp_path / "model.safetensors").items():
        torch.testing.assert_close(value, results[0][f"ldr: {name}"], rtol=0, atol=1e-5)


@pytest.mark.slow
def test_an_error_in_one_process_ends_all(tmp_path):
    done = run("bad_images", tmp_path, 2)
    assert done.returncode != 0
    assert done.stderr.count("DataError: training compares images with each other") == 1
    assert not (tmp_path / "model.safetensors").exists()


def test_statistics_are_shared_and_own_again():
    net = TwoBranchNet(n_clusters=3)
    parameters = list(net.parameters())
    x = torch.rand(2, 3, 32, 32)
    before = net(x)
    share_statistics(net)
    assert sum(isinstance(module, SharedBatchNorm) for module in net.modules()) > 10
    assert all(torch.equal(a, b) for a, b in zip(net(x), before))  # one process
    own_statistics(net)
    assert not any(isinstance(module, SharedBatchNorm) for module in net.modules())
    assert all(a is b for a, b in zip(net.parameters(), parameters))
    pickle.dumps(net)
    assert net(x)[0].isfinite().all()
