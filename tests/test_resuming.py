"""A training that was stopped ends as one that was not; files that are not its own are refused."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from small_training import TINY, WITH_PROTOTYPES, same

from ldr_lib import DataError, TwoBranchNet, load_model, save_model, train
from ldr_lib.callbacks import SeedEpoch
from ldr_lib.checkpoint import origin_of
from ldr_lib.tensor_files import read_tensors, save_tensors

pytestmark = pytest.mark.filterwarnings("ignore::ldr_lib.callbacks.CollapseWarning")

PROGRAM = """
    import sys, time, numpy as np
    from ldr_lib import Settings, train
    from ldr_lib.callbacks import LossLog
    images = np.load(sys.argv[1])
    settings = Settings(
        n_clusters=3, pairs=2, view_size=32, crop_scale=(0.5, 0.7), epochs=(2, 2), steps=3, seed=5,
        schedule=sys.argv[3],
    )
    if sys.argv[4] == "slow":
        step = LossLog.after_batch
        def slow_step(self):
            step(self)
            print("step", self.stage, self.epoch, flush=True)
            time.sleep(0.3)
        LossLog.after_batch = slow_step
    train(images, settings, sys.argv[2], device="cpu", resume=True)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="kills a process by POSIX signal")
@pytest.mark.parametrize(
    "schedule, killed_in", [("one_cycle", "step 2 1"), ("published", "step 1 1")]
)
def test_a_run_killed_in_mid_epoch_ends_like_any_other(images, tmp_path, schedule, killed_in):
    np.save(tmp_path / "images.npy", images)
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(PROGRAM), encoding="utf-8")

    def call(folder, pace):
        program = [sys.executable, "-W", "ignore", script]
        return [*program, tmp_path / "images.npy", folder, schedule, pace]

    def columns(folder):
        lines = (tmp_path / folder / "log.csv").read_text(encoding="utf-8").splitlines()
        return [line.split(",")[:4] for line in lines]  # all but areas and seconds

    with subprocess.Popen(
        call(tmp_path / "killed", "slow"), stdout=subprocess.PIPE, encoding="utf-8"
    ) as process:
        for line in process.stdout:
            if line.startswith(killed_in):
                process.send_signal(signal.SIGKILL)
                break
    assert (
        process.returncode == -signal.SIGKILL
        and not (tmp_path / "killed" / "model.safetensors").exists()
    )
    for folder in ("killed", "alone"):
        subprocess.run(call(tmp_path / folder, "fast"), check=True)
    killed, alone = (
        load_file(tmp_path / folder / "model.safetensors") for folder in ("killed", "alone")
    )
    assert same(killed, alone)
    assert columns("killed") == columns("alone")


@pytest.mark.parametrize("schedule", ["flat", "one_cycle", "published"])
def test_a_training_that_is_stopped_after_some_steps_goes_on_to_the_same_end(
    images, tmp_path, schedule
):
    settings = replace(TINY, schedule=schedule)
    whole, log = train(images, settings, tmp_path / "whole", device="cpu")
    for until, rows in ((4, 2), (6, 2), (7, 3), (100, 4)):  # epochs have three steps
        part, found = train(
            images, settings, tmp_path / "parts", device="cpu", resume=True, until=until
        )
        assert len(found) == rows
        saved = load_model(tmp_path / "parts" / "model.safetensors", "cpu")
        assert same(saved.state_dict(), part.state_dict())
    assert same(part.state_dict(), whole.state_dict())
    with pytest.raises(ValueError, match="until must be a whole number of at least 1"):
        train(images, settings, tmp_path / "parts", until=0)


def test_a_checkpoint_of_another_run_is_refused(images, tmp_path):
    train(images, TINY, tmp_path, device="cpu", data="these")
    with pytest.raises(DataError, match="belongs to another run: seed was 5 and is 7"):
        train(images, replace(TINY, seed=7), tmp_path, device="cpu", data="these", resume=True)
    with pytest.raises(DataError, match="data was 'these' and is 'those'"):
        train(images, TINY, tmp_path, device="cpu", data="those", resume=True)


def test_damaged_files_are_named(images, tmp_path):
    (tmp_path / "checkpoint.safetensors").write_bytes(b"torn")
    with pytest.raises(
        DataError, match="checkpoint.safetensors cannot be read.*Remove it to start anew"
    ):
        train(images, TINY, tmp_path, device="cpu", resume=True)
    with pytest.raises(
        DataError, match="checkpoint.safetensors cannot be read.*Copy it again, or train"
    ):
        load_model(tmp_path / "checkpoint.safetensors", "cpu")
    with pytest.raises(DataError, match="absent.safetensors does not exist"):
        load_model(tmp_path / "absent.safetensors", "cpu")


def test_files_of_another_kind_are_named(images, tmp_path):
    save_file({"x": torch.zeros(1)}, tmp_path / "checkpoint.safetensors")
    with pytest.raises(DataError, match="checkpoint.safetensors is no checkpoint .*Remove it"):
        train(images, TINY, tmp_path, device="cpu", resume=True)
    with pytest.raises(DataError, match="checkpoint.safetensors is no network saved by this"):
        load_model(tmp_path / "checkpoint.safetensors", "cpu")


def test_a_checkpoint_of_another_network_is_named(images, tmp_path, monkeypatch):
    train(images, TINY, tmp_path, device="cpu")
    tensors, about = read_tensors(tmp_path / "checkpoint.safetensors", "")
    renamed = {name.replace("encoder", "coder"): value for name, value in tensors.items()}
    save_tensors(renamed, tmp_path / "checkpoint.safetensors", about)
    with pytest.raises(DataError, match="(?s)checkpoint.safetensors does not fit.*Remove it"):
        train(images, TINY, tmp_path, device="cpu", resume=True)


def test_images_are_told_apart_without_a_fingerprint(images, tmp_path):
    train(images, TINY, tmp_path, device="cpu")
    train(images.copy(), TINY, tmp_path, device="cpu", resume=True)
    other = images.copy()
    other[-1, -1, -1, -1] ^= 1
    with pytest.raises(DataError, match="belongs to another run: data was"):
        train(other, TINY, tmp_path, device="cpu", resume=True)


def test_a_run_with_another_start_is_refused(images, tmp_path):
    starts = [TwoBranchNet(n_clusters=3) for _ in range(2)]
    train(images, TINY, tmp_path, device="cpu", start=starts[0])
    train(images, TINY, tmp_path, device="cpu", start=starts[0], resume=True)
    for other in (starts[1], None):
        with pytest.raises(DataError, match="belongs to another run: start was"):
            train(images, TINY, tmp_path, device="cpu", start=other, resume=True)


def test_checkpoints_of_earlier_revisions_still_serve(images, tmp_path):
    settings = replace(TINY, schedule="published")
    net, _ = train(images, settings, tmp_path / "alone", device="cpu", data="these")
    train(images, replace(settings, epochs=(2, 1)), tmp_path / "old", device="cpu", data="these")
    path = tmp_path / "old" / "checkpoint.safetensors"
    tensors, header = read_tensors(path, "")
    about = json.loads(header["about"]) | {"epochs": [2, 2]}
    assert about.pop("start") == ""
    save_file(tensors, path, {"about": json.dumps(about)})
    again, _ = train(images, settings, tmp_path / "old", device="cpu", data="these", resume=True)
    assert same(net.state_dict(), again.state_dict())


def test_what_a_network_was_trained_from_is_kept_with_it(images, tmp_path):
    train(images, TINY, tmp_path, device="cpu", data="these")
    origin = origin_of(tmp_path / "model.safetensors")
    assert (origin["data"], origin["seed"], origin["start"]) == ("these", 5, "")


def test_beginning_anew_removes_what_an_earlier_run_left(images, tmp_path, monkeypatch):
    train(images, TINY, tmp_path, device="cpu", snapshots=True)
    assert len(list(tmp_path.glob("after_*"))) == 4

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ldr_lib.callbacks.LossLog.after_batch", stop)
    with pytest.raises(KeyboardInterrupt):
        train(images, TINY, tmp_path, device="cpu", snapshots=True)
    assert not list(tmp_path.glob("after_*")) and not list(tmp_path.glob("checkpoint*"))


def test_a_full_disk_while_saving_names_the_file(images, tmp_path, monkeypatch):
    def full(*_, **__):
        raise SafetensorError("Error while serializing: I/O error: No space left (os error 28)")

    monkeypatch.setattr("ldr_lib.tensor_files.save_file", full)
    with pytest.raises(DataError, match="could not write .*checkpoint.safetensors.*Free some"):
        train(images, TINY, tmp_path, device="cpu")
    with pytest.raises(DataError, match="could not write .*net.safetensors.*Free some"):
        save_model(TwoBranchNet(), tmp_path / "net.safetensors")
    assert not list(tmp_path.glob(".*.part*"))


def test_saved_networks_keep_their_sizes(tmp_path):
    save_model(TwoBranchNet(1, 8, 5), tmp_path / "net.safetensors")
    net = load_model(tmp_path / "net.safetensors", "cpu")
    assert (net.in_channels, net.embedding_dim, net.n_clusters) == (1, 8, 5)


def test_a_run_with_prototypes_resumes_as_if_uninterrupted_and_keeps_the_asked_steps(
    images, tmp_path, monkeypatch
):
    whole, _ = train(
        images, WITH_PROTOTYPES, tmp_path / "whole", device="cpu", snapshots=(0, 2, 6, 99)
    )
    kept = sorted(path.name for path in (tmp_path / "whole").glob("step_*"))
    assert kept == [f"step_{n:06d}.safetensors" for n in (0, 6)]  # an epoch ends at 6, not at 2
    for stop in (1, 2, 3):

        class Stop(Exception):
            pass

        seen = []

        def stopping(self, *_, stop=stop, seen=seen, Stop=Stop):
            if len(seen) == stop:
                raise Stop("stopped")
            seen.append(1)

        with monkeypatch.context() as patch:
            patch.setattr(SeedEpoch, "before_epoch", _and(SeedEpoch.before_epoch, stopping))
            with pytest.raises(Stop):
                train(images, WITH_PROTOTYPES, tmp_path / f"{stop}", device="cpu")
        resumed, _ = train(images, WITH_PROTOTYPES, tmp_path / f"{stop}", device="cpu", resume=True)
        assert same(whole.state_dict(), resumed.state_dict())


def _and(one, other):
    def both(self):
        other(self)
        one(self)

    return both
