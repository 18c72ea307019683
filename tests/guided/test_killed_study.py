"""A study that was killed goes on and ends as if it had not been."""

from dataclasses import replace

import pytest
import torch
from small_study import small_real_images

from ldr_lib import DataError
from ldr_lib.checkpoint import load_model
from ldr_lib.guided import study
from ldr_lib.runs.fingerprints import read_record


class Killed(Exception):
    pass


@pytest.fixture
def real_runs(monkeypatch, tmp_path):
    """Runs of the study that train, on few images; `kill_after(n)` stops them after n epochs."""
    epochs, last = [], [0]

    def after_epoch(net):
        epochs.append(net)
        if len(epochs) == last[0]:
            raise Killed("the power went")

    def kill_after(n):
        epochs.clear()
        last[0] = n
        return epochs

    train = study.train_guided
    monkeypatch.setattr(study, "real_images", small_real_images)
    monkeypatch.setattr(study, "scores_for_record", lambda *_: {})
    monkeypatch.setattr(study.Run, "keep", lambda run, label: run.finish())
    monkeypatch.setattr(
        study, "train_guided", lambda *a, **o: train(*a, **o, device="cpu", after_epoch=after_epoch)
    )
    return kill_after


@pytest.mark.parametrize("method, epochs", [("rendered", 2), ("adversarial", 2), ("combined", 3)])
def test_a_killed_run_goes_on_and_ends_as_an_uninterrupted_one(
    real_runs, monkeypatch, tmp_path, method, epochs
):
    def run(folder):
        monkeypatch.setenv("LDR_RUNS", str(tmp_path / folder))
        record = study.study("chest", method=method, tier="smoke")
        found = read_record(record)["metrics"]["last_epoch"]
        return load_model(record.parent / "model.safetensors", "cpu").state_dict(), found

    trained = real_runs(0)
    whole, row = run("whole")
    assert len(trained) == epochs
    for kill in range(1, epochs + 1):  # the epoch in which it is killed is lost
        trained = real_runs(kill)
        with pytest.raises(Killed):
            run(str(kill))
        assert len(trained) == kill
        trained = real_runs(0)
        resumed, again = run(str(kill))
        assert len(trained) == epochs - kill + 1
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
        assert {**row, "seconds": 0} == {**again, "seconds": 0}


def test_a_finished_run_is_made_again_and_one_of_other_images_is_refused(
    real_runs, monkeypatch, tmp_path
):
    monkeypatch.setenv("LDR_RUNS", str(tmp_path))
    for _ in range(2):
        trained = real_runs(0)
        study.study("chest", tier="smoke")
        assert len(trained) == 2
    real_runs(2)
    with pytest.raises(Killed):
        study.study("chest", tier="smoke")
    others = small_real_images("chest", "", 64)
    monkeypatch.setattr(study, "real_images", lambda *_: replace(others, fingerprint="other"))
    with pytest.raises(DataError, match="data was 'fingerprint' and is 'other'.*LDR_RUNS.*remove"):
        study.study("chest", tier="smoke")
