"""Own images: what belongs together, and cross-validation that goes on."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from transfer.own import SIDE, SMOKE, blob, study
from typer.testing import CliRunner

from ldr_lib.__main__ import app
from ldr_lib.checkpoint import save_model
from ldr_lib.data.errors import DataError
from ldr_lib.data.read import read_image
from ldr_lib.metrics import dice
from ldr_lib.network import TwoBranchNet
from ldr_lib.pretrained import random_encoder
from ldr_lib.transfer import own_study, predict_folder
from ldr_lib.transfer.pretraining import save_encoder


@pytest.fixture
def own(tmp_path, photograph, save):
    """Six photographs and their masks."""
    for i in range(6):
        save(tmp_path / "images" / f"eye{i}.png", photograph(i, SIDE, SIDE))
        save(tmp_path / "masks" / f"eye{i}_mask.png", np.uint8(255) * blob(i))
    return tmp_path


def new_mask(own, name: str, values: np.ndarray) -> None:
    """Puts another mask, or anything else, in the place of eye0's."""
    (own / "masks" / "eye0_mask.png").unlink()
    Image.fromarray(values).save(own / "masks" / name)


def without(path) -> None:
    path.unlink()


def as_array(path, suffix: str = ".npy") -> None:
    """Puts a file of another kind in the place of an image file."""
    path.unlink()
    with path.with_suffix(suffix).open("wb") as file:
        np.save(file, blob(0))


LABELS = np.uint8([0, 60, 120])[np.arange(SIDE)[:, None] // 22 + np.zeros((1, SIDE), int)]


COLOURS = np.uint8([[255, 0, 0], [0, 255, 0], [0, 0, 0]])[LABELS // 60]


BAD = {
    "an image without mask": (
        lambda own: without(own / "masks" / "eye3_mask.png"),
        {},
        "1 of 6 images have no mask: eye3.png. In this kit a mask is called as its image",
    ),
    "a mask without image": (
        lambda own: without(own / "images" / "eye2.png"),
        {},
        "1 of 6 masks have no image: eye2_mask.png",
    ),
    "both": (
        lambda own: (own / "masks" / "eye3_mask.png").rename(own / "masks" / "other.png"),
        {},
        "1 of 6 images have no mask: eye3.png; 1 of 6 masks have no image: other.png",
    ),
    "two masks": (
        lambda own: shutil.copy(own / "masks" / "eye3_mask.png", own / "masks" / "eye3.png"),
        {},
        "eye3.png has 2 masks: eye3.png, eye3_mask.png. Keep one",
    ),
    "two images of one name": (
        lambda own: Image.open(own / "images" / "eye1.png").save(own / "images" / "EYE1.jpg"),
        {},
        "two images have one name, .*EYE1.jpg and .*eye1.png",
    ),
    "an empty mask": (
        lambda own: new_mask(own, "eye0.png", np.zeros((SIDE, SIDE), np.uint8)),
        {},
        r"1 of 6 masks are empty \(seen at 128 pixels\): eye0. Remove these",
    ),
    "only empty masks": (
        lambda own: None,
        {"values": (7,), "allow_empty": True},
        "1 labelled images are asked for, and in fold 1 there are 0",
    ),
    "another size": (
        lambda own: new_mask(own, "eye0.png", np.uint8(255) * blob(0, side=40)),
        {},
        "measures 40 x 40 pixels but its image .*eye0.png 64 x 64",
    ),
    "other values": (
        lambda own: new_mask(own, "eye0.png", LABELS),
        {},
        "eye0.png holds the values 0, 60, 120, and a mask holds 0 and 1, or 0 and 255.* --value",
    ),
    "several colours": (
        lambda own: new_mask(own, "eye0.png", COLOURS),
        {},
        "is in 3 colours: #000000, #00ff00, #ff0000. Export the structure as white on black",
    ),
    "fewer images than labels": (
        lambda own: None,
        {"labels": (2, 9)},
        "9 labelled images are asked for, and in fold 1 there are 3",
    ),
    "fewer images than folds": (lambda own: None, {"folds": 7}, "7 folds need at least 7 images"),
    "an unreadable image": (
        lambda own: (own / "images" / "eye1.png").write_bytes(b"\x89PNG\r\n\x1a\n broken"),
        {},
        "1 of 6 images cannot be used, and a study takes all that are there. .*eye1.png cannot",
    ),
    "an unreadable mask": (
        lambda own: (own / "masks" / "eye1_mask.png").write_text("no mask", encoding="utf-8"),
        {},
        "eye1_mask.png cannot be read as an image",
    ),
    "a mask that is no image file": (
        lambda own: as_array(own / "masks" / "eye3_mask.png", ".nii.gz"),
        {},
        r"images have no mask: eye3.png. Left out, though the names fit: eye3_mask.nii.gz; images",
    ),
    "an image that is no image file": (
        lambda own: as_array(own / "images" / "eye2.png"),
        {},
        "masks have no image: eye2_mask.png. Left out, though the names fit: eye2.npy; images",
    ),
    "masks that are no image files": (
        lambda own: [as_array(path) for path in list((own / "masks").iterdir())],
        {},
        "masks holds no mask: no image file is in it .* found: eye0_mask.npy, eye1_mask.npy",
    ),
    "no folder of images": (
        lambda own: shutil.rmtree(own / "images"),
        {},
        "^images .*images does not exist or is no folder",
    ),
    "no mask at all": (
        lambda own: [path.unlink() for path in (own / "masks").iterdir()],
        {},
        "masks holds no mask: no image file is in it",
    ),
    "no folder of masks": (
        lambda own: shutil.rmtree(own / "masks"),
        {},
        "masks .*masks does not exist or is no folder",
    ),
    "an output folder that is a file": (
        lambda own: (own / "result").write_text("", encoding="utf-8"),
        {},
        "result is a file: name a folder for the results",
    ),
    "an output folder of something else": (
        lambda own: (
            (own / "result").mkdir(),
            (own / "result" / "thesis.txt").write_text("", encoding="utf-8"),
        ),
        {},
        "holds other files and no results of an earlier call",
    ),
    "a start of another channel count": (
        lambda own: save_encoder(random_encoder(1, 3), own / "grey.safetensors"),
        {"inits": ("{own}/grey.safetensors",)},
        r"grey.safetensors takes images of 1 channel \(grey\), and yours have 3 channels",
    ),
    "a start that is no network": (
        lambda own: (own / "x.safetensors").write_text("no network", encoding="utf-8"),
        {"inits": ("{own}/x.safetensors",)},
        "x.safetensors cannot be read as a safetensors file",
    ),
    "an unknown start": (
        lambda own: None,
        {"inits": ("radimagenet",)},
        'unknown initialisation "radimagenet"; known are random, scratch, ldr',
    ),
    "an unknown modality": (lambda own: None, {"modality": "ct"}, 'unknown modality "ct"'),
    "no labels": (lambda own: None, {"labels": (-1,)}, "labels must be a whole number"),
    "a value beyond a byte": (lambda own: None, {"values": (300,)}, "a value must be .* 255"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_used_is_said_before_anything_is_trained(own, what, monkeypatch):
    spoil, changes, words = BAD[what]
    spoil(own)
    if "inits" in changes:
        changes = {"inits": tuple(init.format(own=own) for init in changes["inits"])}
    monkeypatch.setattr("ldr_lib.transfer.own_training.segmenters", None)
    before = sorted((own / "result").rglob("*")) if (own / "result").is_dir() else None
    with pytest.raises((DataError, ValueError), match=words):
        study(own, **changes)
    if before is not None:
        assert sorted((own / "result").rglob("*")) == before


def test_each_image_is_tested_once_by_networks_that_did_not_see_it(own):
    table, said = study(own, inits=("random", "ldr"), labels=(1, 0))
    images = pd.read_csv(own / "result" / "images.csv")
    assert set(images.groupby(["start", "labels", "protocol"]).image.nunique()) == {6}
    assert len(images) == 2 * 6 * (2 + 2) and not images["image"].isna().any()
    split = pd.read_csv(own / "result" / "split.csv", dtype=str).set_index("image")["fold"]
    for path in (own / "result" / "cells").glob("*.json"):
        cell = json.loads(path.read_text(encoding="utf-8"))["content"]
        tested = {name for rows in cell["scores"].values() for name in rows}
        assert tested == set(split.index[split == cell["fold"]])
        assert not tested & set(cell["labelled"])
        assert len(cell["labelled"]) == (cell["labels"] or 3)
    row = table.set_index(["start", "labels", "protocol"]).loc["ldr", "all", "frozen"]
    own_rows = images.query("start == 'ldr' and labels == 'all' and protocol == 'frozen'")
    assert row["Dice"] == pytest.approx(own_rows["Dice"].mean()) and row["images"] == 6
    assert row["Dice sd"] == pytest.approx(own_rows["Dice"].std())
    assert row["Dice low"] <= row["Dice"] <= row["Dice high"] and row["HD95"] > 0
    other = images.query("start == 'random' and labels == 'all' and protocol == 'frozen'")
    gain = own_rows["Dice"].mean() - other["Dice"].mean()
    assert row["over random"] == pytest.approx(gain) and row["over low"] <= gain
    assert len(list((own / "result").glob("segmenter_*.safetensors"))) == 2
    assert any("--no-fine" in line for line in said)


def test_what_is_finished_is_kept_and_not_trained_again(own, monkeypatch):
    trained = []

    def watched(*arguments, **options):
        trained.append(arguments[-1])
        if len(trained) == 2:
            raise KeyboardInterrupt
        return segmenters(*arguments, **options)

    from ldr_lib.transfer.own_training import segmenters

    monkeypatch.setattr("ldr_lib.transfer.own_training.segmenters", watched)
    with pytest.raises(KeyboardInterrupt):
        study(own)
    table, said = study(own)
    assert "2 trainings, 1 of them done before" in said
    assert len(trained) == 4  # fold 1, fold 2 interrupted, fold 2, the segmenter to keep
    again, said = study(own)
    assert len(trained) == 4 and again.equals(table)
    monkeypatch.setattr("ldr_lib.transfer.own_training.segmenters", segmenters)
    whole, _ = study(own, out=own / "at_once")
    assert whole.equals(table)
    more, _ = study(own, inits=("scratch",))
    assert set(more["start"]) == {"random", "scratch"}


def test_results_of_other_settings_or_images_are_not_mixed_in(own, save):
    study(own)
    before = {path: path.read_bytes() for path in (own / "result").rglob("*.*")}
    for changes, words in [
        ({"steps": 3}, "steps was 2 and is 3"),
        ({"folds": 3}, "folds were others"),
        ({"fine": True}, "size was 128 and is 384"),
        ({"structure": "disc"}, "structure was structure and is disc"),
    ]:
        with pytest.raises(DataError, match=f"holds results of another call: .*{words}"):
            study(own, **changes)
    save(own / "masks" / "eye0_mask.png", np.uint8(255) * blob(3))
    with pytest.raises(DataError, match="images or masks were others"):
        study(own)
    assert before == {path: path.read_bytes() for path in (own / "result").rglob("*.*")}


def test_a_given_split_tests_what_it_says_and_the_segmenter_is_the_measured_one(own, save):
    lines = [f"eye{i}.png,{'test' if i > 3 else 'train'}" for i in range(6)]
    (own / "split.csv").write_text("\n".join(["image,fold", *lines]), encoding="utf-8")
    study(own, split=own / "split.csv", steps=6)
    images = pd.read_csv(own / "result" / "images.csv").query("protocol == 'fine-tuned'")
    assert sorted(images["image"]) == ["eye4", "eye5"]
    for name in ("eye4", "eye5"):
        (own / "new").mkdir(exist_ok=True)
        shutil.copy(own / "images" / f"{name}.png", own / "new")
    found = predict_folder(own / "result", own / "new", own / "found", "cpu")
    for name, path in zip(("eye4", "eye5"), found["mask"]):
        mask = read_image(path)
        assert set(np.unique(mask)) <= {0, 255}
        measured = images.set_index("image").loc[name, "Dice"]
        assert dice(mask > 0, blob(int(name[3:]))) == pytest.approx(measured)


@pytest.mark.parametrize(
    "text, words",
    [
        ("image;fold\neye0;a\n", "does not say in which fold these images are: eye1, eye2"),
        ("image,fold\n" + "".join(f"eye{i},a\n" for i in range(6)), "one fold only, a"),
        ("image,fold\n" + "".join(f"eye{i % 6},{i}\n" for i in range(7)), "an image twice: eye0"),
        ("image,fold\n" + "".join(f"ear{i},{i}\n" for i in range(6)), "not there: ear0, ear1"),
        ("name,part\neye0,a\n", "has the columns name, part, and needs two: image and fold"),
        ("", "cannot be read as a csv table"),
    ],
)
def test_a_split_that_does_not_fit_is_explained(own, text, words):
    (own / "split.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=words):
        study(own, split=own / "split.csv")
    with pytest.raises(DataError, match="absent.csv cannot be read as a csv table"):
        study(own, split=own / "absent.csv")


def test_train_and_test_may_be_written_with_capitals(own):
    parts = ["Train", "TRAIN", "train", "Train", "Test", "test"]
    lines = [f"eye{i},{part}" for i, part in enumerate(parts)]
    (own / "split.csv").write_text("\n".join(["image,fold", *lines]), encoding="utf-8")
    _, said = study(own, split=own / "split.csv")
    images = pd.read_csv(own / "result" / "images.csv")
    assert set(images["image"]) == {"eye4", "eye5"} and set(images["fold"]) == {"Test"}
    assert "segmenter_random.safetensors: trained on 4 images" in said


@pytest.mark.filterwarnings("error:.*the mask:UserWarning")
def test_a_doubtful_mask_is_said_once_before_training_in_every_call(own, save):
    for i, radius in enumerate((200, 33)):
        save(own / "masks" / f"eye{i}_mask.png", np.uint8(255) * blob(i, radius))
    for out in ("first", "again"):
        _, said = study(own, out=own / out)
        (number,) = [i for i, line in enumerate(said) if "is it inverted, or no mask?" in line]
        assert "(and 1 more like it)" in said[number]
        assert number < said.index("2 trainings")


def test_seeds_that_drew_the_same_images_count_once(own):
    lines = [f"eye{i},{'train' if i < 2 else 'test'}" for i in range(6)]
    (own / "split.csv").write_text("\n".join(["image,fold", *lines]), encoding="utf-8")
    table, _ = study(own, split=own / "split.csv", labels=(1, 0), seeds=(0, 1, 2))
    images = pd.read_csv(own / "result" / "images.csv").query("protocol == 'frozen'")
    one = images[images["labels"] == "1"]
    drew = one.groupby("seed")["labelled"].first()
    assert set(drew) == {"eye0", "eye1"} and set(images["labelled"]) == {"eye0", "eye1", "all"}
    rows = table[table["protocol"] == "frozen"].set_index("labels")
    assert rows.loc[1, ["seeds", "draws"]].tolist() == [3, 2]
    assert rows.loc["all", ["seeds", "draws"]].tolist() == [3, 3]
    by_draw = one.groupby(["labelled", "seed"])["Dice"].mean().groupby("labelled").mean()
    assert rows.loc[1, "Dice"] == pytest.approx(by_draw.mean())


def test_masks_may_be_written_in_many_ways(own, save):
    zero = blob(0).astype(np.uint8)
    study(own, out=own / "plain")
    expected = json.loads((own / "plain" / "plan.json").read_text(encoding="utf-8"))["content"]
    ways = {
        "ones": zero,
        "two bytes": np.uint16(65535) * zero,
        "small two bytes": zero.astype(np.uint16),
        "colour": np.uint8(255) * zero[..., None] * np.uint8([1, 0, 0]),
    }
    table = {}
    for way, values in ways.items():
        save(own / "masks" / "eye0_mask.png", values)
        table[way], _ = study(own, out=own / way)
    assert all(one.equals(table["ones"]) for one in table.values())
    assert expected["images or masks"]
    save(own / "masks" / "eye0_mask.png", np.uint8(120) * zero)
    for i in range(1, 6):
        values = np.uint8(120) * blob(i) + np.uint8(60) * (blob(i, 25) & ~blob(i))
        save(own / "masks" / f"eye{i}_mask.png", values)
    chosen, _ = study(own, out=own / "chosen", values=(120,))
    assert chosen.equals(table["ones"])
    wider, _ = study(own, out=own / "wider", values=(60, 120))
    assert not wider.equals(chosen)  # no images of another choice came out of the cache


def test_images_without_the_structure_may_be_allowed(own, save):
    save(own / "masks" / "eye0_mask.png", np.zeros((SIDE, SIDE), np.uint8))
    study(own, allow_empty=True)
    images = pd.read_csv(own / "result" / "images.csv")
    assert "eye0" in set(images["image"])
    for path in (own / "result" / "cells").glob("*.json"):
        assert "eye0" not in json.loads(path.read_text(encoding="utf-8"))["content"]["labelled"]


def test_masks_may_lie_among_the_images_or_below_them(own):
    expected, _ = study(own)
    shutil.copytree(own / "masks", own / "images" / "drawn")
    below = own_study(
        own / "images", own / "images" / "drawn", own / "below", ("random",), folds=2, **SMOKE
    )
    shutil.rmtree(own / "images" / "drawn")
    for path in (own / "masks").iterdir():
        shutil.copy(path, own / "images")
    among = own_study(own / "images", own / "images", own / "among", ("random",), folds=2, **SMOKE)
    assert below.equals(expected) and among.equals(expected)


def test_fine_structures_are_told_from_large_ones(own, save):
    for i in range(6):
        line = np.zeros((SIDE, SIDE), np.uint8)
        line[20 + i : 22 + i, 10:50] = 255
        save(own / "masks" / f"eye{i}_mask.png", line)
    table, said = study(own, structure="vessel")
    assert any("vessel: fine, seen in crops at 384 pixels" in line for line in said)
    assert "clDice" in table and "HD95" not in table


def test_a_network_trained_here_is_a_start_and_a_changed_one_is_measured_again(own):
    save_model(TwoBranchNet(3, 8, 4), own / "net.safetensors")
    init = (str(own / "net.safetensors"),)
    study(own, inits=init)
    _, said = study(own, inits=init)
    assert "2 trainings, 2 of them done before" in said
    save_model(TwoBranchNet(3, 8, 4), own / "net.safetensors")
    _, said = study(own, inits=init)
    assert sum("has changed since it was measured" in line for line in said) == 2
    assert any("it is replaced" in line for line in said)


def test_the_command_line_takes_a_folder_from_images_to_masks(own):
    def run(*arguments):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert "Traceback" not in done.output, done.output
        return done.exit_code, done.output

    images, result, found = own / "images", own / "result", own / "found"
    given = ("--masks", own / "masks", "--out", result, "--folds", 2, "--tier", "smoke")
    status, said = run("transfer", images, *given, "--init", "random", "--init", "scratch")
    assert status == 0 and f"predict {result} NEW_IMAGES" in said
    assert "4 of 4: scratch, all labels, seed 0, fold 2: Dice" in said and "0 min left" in said
    assert said.count(" [") >= 6  # Dice and HD95 of three rows, each with its interval
    status, said = run("predict", result, images, "--out", found)
    assert status == 2 and "holds 2 segmenters" in said and not found.exists()
    scratch = result / "segmenter_scratch.safetensors"
    status, said = run("predict", scratch, images, "--out", found)
    assert status == 0 and "6 masks in" in said and len(list(found.iterdir())) >= 6
    (images / "eye9.png").write_text("no image", encoding="utf-8")
    status, said = run("predict", scratch, images, "--out", found)
    assert status == 1 and "6 of them were there" in said and "PROBLEM" in said
