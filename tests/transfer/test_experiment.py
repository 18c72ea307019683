"""The cells of the transfer table: what is labelled, where an initialisation comes from, what is
kept and what is still missing.
"""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from one_process import in_this_process

from ldr_lib.callbacks import STEP_FILE
from ldr_lib.checkpoint import save_model
from ldr_lib.data.datasets import DATASETS, open_dataset
from ldr_lib.data.errors import DataError
from ldr_lib.explore.learning import training_folder
from ldr_lib.network import TwoBranchNet
from ldr_lib.pretrained import REPRESENTATIONS, random_encoder
from ldr_lib.runs import paths
from ldr_lib.runs.processes import SomeFailed
from ldr_lib.transfer import experiment as transfer
from ldr_lib.transfer import starts
from ldr_lib.transfer.experiment import (
    cell,
    cell_label,
    cells,
    labelled_images,
    missing_cells,
)
from ldr_lib.transfer.figures import gains_forest, label_curves
from ldr_lib.transfer.pretraining import pretrained_folder, save_encoder
from ldr_lib.transfer.starts import fingerprint, initial_encoder
from ldr_lib.transfer.table import (
    _rank,
    gain_intervals,
    gains,
    paired_gains,
    paired_images,
    transfer_records,
    transfer_table,
)
from ldr_lib.transfer.tasks import TASKS, task


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of its own to keep records in."""
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    monkeypatch.setenv("LDR_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(DATASETS["simulated_fundus"], "n_train", 6)
    monkeypatch.setattr(DATASETS["simulated_fundus"], "n_test", 2)
    return tmp_path


def test_registry_names_known_datasets_and_structures():
    assert len(TASKS) == 21
    for name, one in TASKS.items():
        assert set(one.marked_by) <= set(DATASETS[one.dataset].structures), name
    with pytest.raises(ValueError, match='unknown task "liver"; known are vessel_rite'):
        task("liver")


def test_opacities_are_what_either_mask_marks_and_need_both(real_data):
    one = task("opacity_covid19_cxr_seg")
    sample = open_dataset("covid19_cxr_seg", real_data, "train")[0]
    ground_glass, consolidation = (sample.masks[name] for name in one.parts)
    assert one.parts == ("ground_glass", "consolidation")
    assert ground_glass.any() and consolidation.any()
    assert np.array_equal(one.mask(sample.masks), ground_glass | consolidation)
    assert one.is_marked(sample.masks) and not one.is_marked({"ground_glass": ground_glass})


def test_labelled_images_do_not_validate_and_are_not_empty():
    masks = np.ones((10, 4, 4), bool)
    masks[[4, 7]] = False
    prepared = _Sized({"disc": masks})
    one = TASKS["disc_drions"]
    assert labelled_images(one, prepared, 0, 0).tolist() == [2, 3, 5, 6, 8, 9]
    draws = [labelled_images(one, prepared, 2, seed).tolist() for seed in range(8)]
    assert (
        draws[0] == labelled_images(one, prepared, 2, 0).tolist()
        and len({tuple(d) for d in draws}) > 3
    )
    assert all(set(d) <= {2, 3, 5, 6, 8, 9} and len(d) == 2 for d in draws)
    with pytest.raises(DataError, match="7 labelled images of drions are asked for and 6 of 8"):
        labelled_images(one, prepared, 7, 0)
    with pytest.raises(DataError, match="has no masks of vessel"):
        labelled_images(TASKS["vessel_stare"], prepared, 1, 0)


class _Sized:
    """Prepared images of which only the masks matter."""

    def __init__(self, masks):
        self.masks = masks

    def __len__(self):
        return len(self.masks["disc"])


def test_a_cell_keeps_both_protocols_and_is_then_not_missing(project):
    grid = (["disc_simulated_fundus"], ["random", "scratch"], [1], [0])
    assert len(missing_cells(*grid, "smoke")) == 2
    record = json.loads(
        cell("disc_simulated_fundus", "random", 1, 0, "", "smoke").read_text(encoding="utf-8")
    )
    assert len(record["metrics"]["labelled"]) == 1
    for protocol in ("frozen", "fine-tuned"):
        images = [row["Dice"] for row in record["metrics"][f"{protocol}, images"].values()]
        assert len(images) == 2 and record["metrics"][protocol]["Dice"] == pytest.approx(
            np.mean(images), abs=1e-4
        )
    assert missing_cells(*grid, "smoke") == [("disc_simulated_fundus", "scratch", 1, 0)]


def test_a_file_of_your_own_is_never_taken_for_another_start(project, monkeypatch):
    monkeypatch.chdir(project)
    inits = ["ldr", "random", "ldr-1", "embedding only", "guided"]
    own = ["ldr.safetensors", "random.safetensors", "a/encoder", "b/encoder", "a/ldr", "ldr-x"]
    labels = [cell_label("disc_drions", init, 1, 0, "smoke") for init in (*inits, *own)]
    assert labels[:3] == [f"disc_drions_{init}_1_smoke_0" for init in inits[:3]]
    assert len(set(labels)) == len(labels) and not any("/" in label for label in labels)
    absolute = cell_label("disc_drions", str(project / "a" / "encoder"), 1, 0, "smoke")
    assert absolute == cell_label("disc_drions", "a/encoder", 1, 0, "smoke")


def test_a_cell_of_a_file_that_was_trained_again_is_measured_again(project, monkeypatch):
    path = project / "ldr.safetensors"
    save_encoder(random_encoder(3, 7), path)
    one = (["disc_simulated_fundus"], [str(path)], [1], [0], "smoke")
    assert len(missing_cells(*one)) == 1
    cell("disc_simulated_fundus", path, 1, 0, "", "smoke")
    assert not missing_cells(*one)
    save_encoder(random_encoder(3, 8), path)
    assert len(missing_cells(*one)) == 1


def test_a_cell_of_shipped_weights_that_were_renewed_is_measured_again(project, monkeypatch):
    one = (["disc_simulated_fundus"], ["dense"], [1], [0], "smoke")
    cell("disc_simulated_fundus", "dense", 1, 0, "", "smoke")
    assert not missing_cells(*one)
    renewed = project / "renewed.safetensors"
    save_encoder(random_encoder(3, 7), renewed)
    monkeypatch.setattr(starts, "shipped_file", lambda modality, method: renewed)
    assert len(missing_cells(*one)) == 1


def test_each_initialisation_is_told_by_the_file_that_it_is_read_from():
    vessel, disc = task("vessel_chase_db1"), task("disc_drions")
    read = ("ldr", "dense", "instance", "embedding only", "guided")
    found = [fingerprint(init, vessel)["weights"] for init in read]
    assert len(set(found)) == len(found) and fingerprint("dense", disc) == fingerprint(
        "dense", vessel
    )
    assert fingerprint("guided", disc) != fingerprint("guided", vessel)
    assert fingerprint("random", disc) == fingerprint("imagenet", disc) == {}


def test_the_same_cell_gives_the_same_numbers_and_scratch_has_no_frozen_one(project):
    first, again = (
        json.loads(
            cell("disc_simulated_fundus", "scratch", 2, 1, "", "smoke").read_text(encoding="utf-8")
        )["metrics"]
        for _ in range(2)
    )
    assert first == again and "frozen" not in first and "fine-tuned" in first


def test_a_grid_goes_on_after_a_cell_that_fails_and_names_it(project, monkeypatch, capsys):
    monkeypatch.setattr(transfer, "in_own_processes", in_this_process)
    with pytest.raises(SomeFailed, match="1 of 2 cells failed, what the others") as failed:
        cells(["disc_simulated_fundus"], ["ldr-7", "random"], [1], [0], "", "smoke", 1)
    assert "disc_simulated_fundus_ldr-7_1_smoke_0: " in str(failed.value)
    made_by = 'learn "both" --modality fundus --seed 7 --steps 1000 makes it'
    assert made_by in str(failed.value)
    assert "2  disc_simulated_fundus_random_1_smoke_0" in capsys.readouterr().out
    assert len(transfer_records("smoke")) == 2


def test_cells_are_measured_in_processes_of_their_own(tmp_path):
    """A start that is no file of weights fails in its process, before anything is trained."""
    broken = tmp_path / "broken.safetensors"
    broken.write_text("no weights", encoding="utf-8")
    with pytest.raises(SomeFailed, match="1 of 1 cells failed:\n.*broken.safetensors"):
        cells(["disc_simulated_fundus"], [str(broken)], [1], [0], "", "smoke", 1)


def test_the_table_shows_mean_and_spread_over_seeds(project):
    records = [
        {
            "name": transfer.NAME,
            "claims": {},
            "parameters": dict(task="disc_drions", init=init, labels=1, tier="study", seed=seed),
            "seed": seed,
            "metrics": {
                "labelled": [f"image_{seed}"],
                "frozen": {"Dice": dice},
                "frozen, images": {"a": {"Dice": dice}, "b": {"Dice": dice - 0.2}},
            },
        }
        for init, values in (("ldr", (0.5, 0.6, 0.7)), ("random", (0.4, 0.4)))
        for seed, dice in enumerate(values)
    ]
    folder = project / "figures" / transfer.NAME / "records"
    folder.mkdir(parents=True)
    for i, record in enumerate(records):
        (folder / f"{i}.json").write_text(json.dumps(record), encoding="utf-8")
    table = transfer_table(transfer_records())
    assert table.loc[("disc_drions", "frozen", "ldr"), "1 label"] == "0.600 ± 0.100"
    assert table.loc[("disc_drions", "frozen", "random"), "1 label"] == "0.400 ± 0.000 (2)"
    with pytest.raises(DataError, match="no cell of tier class"):
        transfer_records("class")
    paired = gains(transfer_records())
    assert (
        paired.loc[("disc_drions", "frozen", "ldr"), "1 label"] == "+0.150 ± 0.071 (2)"
        and len(paired) == 1
    )
    assert len(label_curves(transfer_records(), ("ldr",)).axes) == 2  # one for each protocol


def test_gains_are_paired_by_labelled_subset_and_test_image(project):
    folder = project / "figures" / transfer.NAME / "records"
    folder.mkdir(parents=True)
    dice = {"ldr": ((0.5, 0.6), (0.7, 0.6)), "random": ((0.4, 0.4), (0.5, 0.5))}
    for init, seeds in dice.items():
        for seed, values in enumerate(seeds):
            images = {name: {"Dice": value} for name, value in zip("ab", values)}
            record = {
                "name": transfer.NAME,
                "claims": {},
                "parameters": dict(
                    task="disc_drions", init=init, labels=1, tier="study", seed=seed
                ),
                "seed": seed,
                "metrics": {
                    "labelled": [f"image_{seed}"],
                    "frozen": {"Dice": sum(values) / 2},
                    "frozen, images": images,
                },
            }
            (folder / f"{init}{seed}.json").write_text(json.dumps(record), encoding="utf-8")
    records = transfer_records()
    ours, theirs = paired_images(records, "disc_drions", "frozen", "ldr")
    assert ours.tolist() == [[0.5, 0.6], [0.7, 0.6]] and theirs.tolist() == [[0.4, 0.4], [0.5, 0.5]]
    figure, table = gains_forest(records, ("ldr", "dense"))
    row = table.loc[("disc_drions", "frozen", "ldr")]
    assert len(table) == 1 and row["gain"] == pytest.approx(0.15) and row["state"] == "supported"
    assert [axis.get_xlim() for axis in figure.axes] == [figure.axes[0].get_xlim()] * 2
    with pytest.raises(
        DataError, match="no cell of disc_drions, frozen, has both dense and random"
    ):
        paired_images(records, "disc_drions", "frozen", "dense")


def drawn(dice: dict[str, list[float]], draws: str, labels: int = 1) -> pd.DataFrame:
    """Frozen cells of two test images, one for each initialisation and seed."""
    return pd.DataFrame(
        dict(task="disc_drions", protocol="frozen", labels=labels, seed=seed, init=init)
        | {"labelled": labelled, "Dice": value, "looks": {}}
        | {"images": pd.Series([value - 0.01, value + 0.01], ["a", "b"])}
        for init, values in dice.items()
        for seed, (labelled, value) in enumerate(zip(draws, values))
    )


DICE = {"ldr": [0.5, 0.7, 0.9, 0.6], "random": [0.4, 0.4, 0.5, 0.5]}


def test_seeds_that_drew_the_same_images_are_one_run_of_the_interval():
    records = drawn(DICE, "aabc")
    ours, theirs = paired_images(records, "disc_drions", "frozen", "ldr")
    assert ours.mean(1) == pytest.approx([0.6, 0.9, 0.6])
    assert theirs.mean(1) == pytest.approx([0.4, 0.5, 0.5])
    row = gain_intervals(records, ("ldr",)).loc[("disc_drions", "frozen", "ldr")]
    assert (row["draws"], row["seeds"], row["images"]) == (3, 4, 2)
    half = 4.303 * np.std([0.2, 0.4, 0.1], ddof=1) / np.sqrt(3)  # Student's of three draws
    mean = 0.7 / 3
    assert [row["gain"], row["low"], row["high"]] == pytest.approx(
        [mean, mean - half, mean + half], abs=1e-4
    )
    where = ("disc_drions", "frozen", "ldr"), "1 label"
    assert transfer_table(records).loc[where] == "0.700 ± 0.173 (3 draws, 4 runs)"
    assert gains(records).loc[where] == "+0.233 ± 0.153 (3 draws, 4 runs)"
    assert gains(drawn(DICE, "aaaa")).loc[where] == "+0.225 (1 draw, 4 runs)"
    shown = label_curves(records, ("ldr",)).axes[0].lines[0].get_ydata()
    assert list(shown) == pytest.approx([mean])


def test_where_all_images_are_labelled_each_seed_is_a_run():
    records = drawn(DICE, "aaaa", labels=0)
    row = gain_intervals(records, ("ldr",), labels=0).loc[("disc_drions", "frozen", "ldr")]
    assert (row["draws"], row["seeds"]) == (4, 4) and row["gain"] == pytest.approx(0.225)
    table = transfer_table(records)
    assert table.loc[("disc_drions", "frozen", "ldr"), "all labels"] == "0.675 ± 0.171"


def test_cells_with_other_labelled_images_are_not_compared():
    records = pd.concat([drawn({"ldr": [0.5, 0.6]}, "ab"), drawn({"random": [0.4, 0.4]}, "ac")])
    ours, _ = paired_images(records, "disc_drions", "frozen", "ldr")
    assert len(ours) == 1 and len(paired_gains(records)) == 1


def test_a_further_pretraining_stands_behind_its_method():
    names = ["guided", "ldr-2", "random", "ldr", "ldr-1", "dense", "own"]
    assert sorted(names, key=_rank) == ["random", "dense", "ldr", "ldr-1", "ldr-2", "guided", "own"]


def test_starts_are_what_they_are_called(tmp_path, monkeypatch):
    one = task("disc_drions")

    def weights(init, seed=0):
        return initial_encoder(init, one, seed).groups[3][0][0].weight

    assert torch.equal(weights("random", 4), weights("scratch", 4)) and not torch.equal(
        weights("random", 4), weights("random", 5)
    )
    assert torch.equal(weights("ldr", 4), weights("ldr", 5)) and not torch.equal(
        weights("ldr"), weights("dense")
    )
    assert not torch.equal(
        weights("guided"),
        initial_encoder("guided", task("vessel_chase_db1"), 0).groups[3][0][0].weight,
    )
    save_encoder(random_encoder(3, 8), tmp_path / "own.safetensors")
    assert torch.equal(
        weights(str(tmp_path / "own.safetensors")), random_encoder(3, 8).groups[3][0][0].weight
    )
    monkeypatch.setenv("LDR_RUNS", str(tmp_path))
    again = pretrained_folder("fundus", "dense", 2)
    again.mkdir(parents=True)
    save_encoder(random_encoder(3, 9), again / "encoder.safetensors")
    assert torch.equal(weights("dense-2"), random_encoder(3, 9).groups[3][0][0].weight)
    with pytest.raises(DataError, match="ldr_lib pretrain fundus --method dense --seed 3 makes it"):
        initial_encoder("dense-3", one, 0)
    (step, *_) = REPRESENTATIONS["fundus"]["both"]
    for init, way, number in (("ldr-2", "both", 2), ("no jitter", "no jitter", 0)):
        net, folder = TwoBranchNet(3), training_folder(way, "fundus", number)
        folder.mkdir(parents=True)
        save_model(net, folder / STEP_FILE.format(step))
        assert torch.equal(weights(init), net.encoder.groups[3][0][0].weight)
    save_model(TwoBranchNet(3), folder / STEP_FILE.format(30))
    early, late = (fingerprint(f"no jitter{after}", one)["weights"] for after in (" after 30", ""))
    assert early != late == fingerprint("no jitter-0", one)["weights"]
    with pytest.raises(DataError, match='learn "no jitter" --modality fundus --seed 1 --steps 100'):
        initial_encoder("no jitter-1 after 100", one, 0)
    with pytest.raises(ValueError, match='unknown initialisation "dense after 100"'):
        initial_encoder("dense after 100", one, 0)
    with pytest.raises(DataError, match='learn "both" --modality fundus --seed 3 --steps 1000 mak'):
        initial_encoder("ldr-3", one, 0)
    with pytest.raises(ValueError, match='unknown initialisation "magic"; known are random, scr'):
        initial_encoder("magic", one, 0)
    with pytest.raises(DataError, match="does not fit the encoder"):
        initial_encoder(str(tmp_path / "own.safetensors"), task("lungs_covid19_cxr_seg"), 0)


def test_fewer_labels_than_none_are_refused_before_anything_starts(capsys):
    with pytest.raises(ValueError, match="labels must be a whole number of at least 0, not -1"):
        cells(["disc_drions"], ["random"], [1, -1], [0], "", "smoke", 1)
    assert not capsys.readouterr().out
