"""A structure in all images of a folder: masks, overlays, a table; nothing is overwritten."""

import csv

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ldr_lib import load_pretrained, predict_structure
from ldr_lib.__main__ import app
from ldr_lib.data.errors import DataError
from ldr_lib.data.simulate import chest
from ldr_lib.guided import folder as module
from ldr_lib.guided.folder import predict_folder

SEEDS = {"a.png": 1, "b/a.png": 2, "b/c d.jpg": 3, "左 $x$.png": 4}


@pytest.fixture(scope="module")
def body():
    return load_pretrained("chest", "cpu")


@pytest.fixture
def images(tmp_path, save):
    for name, seed in SEEDS.items():
        save(tmp_path / "images" / name, chest(96 + seed, 600_000 + seed).image)
    return tmp_path / "images"


def table(out):
    with open(out / "areas.csv", newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_every_image_has_mask_overlay_and_line(images, tmp_path, body):
    out = tmp_path / "new" / "out"
    report = predict_folder(images, "lungs", out, body)
    rows = table(out)
    assert rows.keys() == SEEDS.keys() and report.kept == 0
    for name, row in rows.items():
        pixels = np.asarray(Image.open(images / name))
        mask = np.asarray(Image.open(out / row["mask"]))
        assert mask.shape == pixels.shape == (int(row["height"]), int(row["width"]))
        assert Image.open(out / row["overlay"]).size == pixels.shape[::-1]
        assert set(np.unique(mask)) == {0, 255} and row["remark"] == ""
        assert int(row["area"]) == (mask > 0).sum()
        share = int(row["area"]) / int(row["field_of_view"])
        assert 0.1 < float(row["share"]) < 0.6 and float(row["share"]) == pytest.approx(share, 1e-4)
        assert np.array_equal(mask > 0, predict_structure(body, pixels, "lungs") > 0.5)
    assert "lungs: found in 4 of 4 images; 0 without it, 0 unusable" in str(report)


def test_one_bad_file_does_not_stop_the_rest_and_is_named(images, tmp_path, body, save):
    (images / "a b.png").write_bytes(b"no picture")
    save(images / "white.png", np.full((96, 96), 255, np.uint8))
    noise = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    save(images / "noise.png", noise)
    report = predict_folder(images, "lungs", tmp_path / "out", body)
    rows = table(tmp_path / "out")
    assert len(rows) == 7 and [row.file for row in report.unusable] == ["a b.png", "white.png"]
    assert "a b.png cannot be read as an image" in rows["a b.png"]["remark"]
    assert "all of one value" in rows["white.png"]["remark"] and not rows["white.png"]["mask"]
    assert rows["noise.png"]["remark"] == "not a chest X-ray" and rows["noise.png"]["area"] == "0"
    assert "found in 4 of 7 images; 1 without it, 2 unusable" in str(report)
    assert "noise.png: not a chest X-ray" in str(report) and "a b.png: unusable" in str(report)
    again = predict_folder(images, "lungs", tmp_path / "out", body)  # unusable ones are tried again
    assert again.kept == 5 and len(again.unusable) == 2


def test_an_interrupted_run_goes_on(images, tmp_path, body, monkeypatch):
    out, calls, search = tmp_path / "out", [], module.found_in

    def interrupted(*given, **named):
        calls.append(named["name"])
        if len(calls) == 3:
            raise KeyboardInterrupt
        return search(*given, **named)

    monkeypatch.setattr(module, "found_in", interrupted)
    with pytest.raises(KeyboardInterrupt):
        predict_folder(images, "lungs", out, body)
    assert len(table(out)) == 2
    with open(out / "areas.csv", "a", encoding="utf-8") as file:
        file.write('b/c d.jpg,99,"9')  # a line that was cut off
    report = predict_folder(images, "lungs", out, body)
    assert report.kept == 2 and len(calls) == 5 and table(out).keys() == SEEDS.keys()


def test_new_and_changed_images_are_searched_and_no_others(images, tmp_path, body, save):
    out = tmp_path / "out"
    predict_folder(images, "lungs", out, body)
    before = (out / "masks" / "b" / "c d.png").read_bytes()
    first = table(out)["a.png"]
    save(images / "a.png", chest(120, 600_009).image)
    save(images / "new.png", chest(96, 600_010).image)
    assert predict_folder(images, "lungs", out, body).kept == 3
    assert table(out)["a.png"] != first and len(table(out)) == 5
    assert (out / "masks" / "b" / "c d.png").read_bytes() == before
    (images / "new.png").unlink()  # its line and mask stay
    assert predict_folder(images, "lungs", out, body).kept == 4
    assert "new.png" in table(out) and (out / "masks" / "new.png").is_file()


@pytest.mark.parametrize(
    "change",
    [
        lambda line: {**line, "share": line["share"].replace(".", ",")},
        lambda line: {**line, "area": f"{line['area']} px"},
        lambda line: {**line, "remark": "gr\xf6\xdfer"},
    ],
    ids=["comma", "unit", "encoding"],
)
def test_a_line_that_another_program_wrote_in_its_own_way_is_not_done(
    images, tmp_path, body, change
):
    out = tmp_path / "out"
    predict_folder(images, "lungs", out, body)
    before = table(out)
    with open(out / "areas.csv", "w", newline="", encoding="latin-1", errors="replace") as file:
        writer = csv.DictWriter(file, module.COLUMNS)
        writer.writeheader()
        writer.writerows([change(before["a.png"]), before["b/a.png"]])
    assert predict_folder(images, "lungs", out, body).kept == 1
    assert table(out) == before


def test_nothing_else_is_overwritten(images, tmp_path, body):
    other = tmp_path / "other"
    other.mkdir()
    (other / "areas.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match="other holds other files, and nothing there is overwr"):
        predict_folder(images, "lungs", other, body)
    assert (other / "areas.csv").read_text(encoding="utf-8") == "mine"
    predict_folder(images, "lungs", tmp_path / "out", body)
    with pytest.raises(DataError, match=r"results of another call \(structure lungs\)"):
        predict_folder(images, "heart", tmp_path / "out", body)
    (other / "file").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match="file is a file; choose a folder for the results"):
        predict_folder(images, "lungs", other / "file", body)


def test_results_among_the_images_are_no_images_and_names_do_not_collide(tmp_path, body, save):
    for name, seed in (("x.png", 1), ("x.jpg", 2), ("X.tif", 3)):
        save(tmp_path / name, chest(96, 600_000 + seed).image)
    out = tmp_path / "out"
    assert len(predict_folder(tmp_path, "lungs", out, body).rows) == 3
    assert len({row["mask"].lower() for row in table(out).values()}) == 3
    assert predict_folder(tmp_path, "lungs", out, body).kept == 3


def test_doubtful_masks_are_kept_on_demand(tmp_path, body, save):
    tilted = np.rot90(chest(96, 600_001).image[:, :48]).copy()
    save(tmp_path / "images" / "odd.png", tilted)
    kept = predict_folder(tmp_path / "images", "lungs", tmp_path / "out", body, keep_doubtful=True)
    expected = int((predict_structure(body, tilted, "lungs") > 0.5).sum())
    assert kept.rows[0].area == expected


def test_the_command_does_the_same_and_says_by_its_status_that_one_was_unusable(images, tmp_path):
    given = ["predict", str(images), "--structure", "lungs", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*given, "--device", "cpu"])
    assert done.exit_code == 0, done.output
    assert "lungs: found in 4 of 4 images" in done.output and len(table(tmp_path / "out")) == 4
    (images / "text.png").write_text("no picture", encoding="utf-8")
    done = CliRunner().invoke(app, [*given, "--device", "cpu"])
    assert done.exit_code == 1 and "5 images, 4 of them by an earlier run" in done.output
    assert "text.png: unusable: " in done.output


def test_what_is_wrong_is_said(images, tmp_path, body):
    with pytest.raises(ValueError, match='unknown structure "liver"; known are vessel, disc, fov'):
        predict_folder(images, "liver", tmp_path / "out")
    with pytest.raises(DataError, match="folder .*nowhere does not exist .looked for it from"):
        predict_folder(tmp_path / "nowhere", "lungs", tmp_path / "out", body)
    with pytest.raises(DataError, match="a.png is a file. Give the folder that holds it"):
        predict_folder(images / "a.png", "lungs", tmp_path / "out", body)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["", "notes.txt", "below/notes.txt"])
def test_a_folder_without_images_is_named_with_what_it_holds(tmp_path, name):
    folder = tmp_path / "images"
    (folder / name).parent.mkdir(parents=True) if name else folder.mkdir()
    if name:
        (folder / name).write_text("no picture", encoding="utf-8")
    result = CliRunner().invoke(
        app, ["predict", str(folder), "--structure", "lungs", "--out", str(tmp_path / "out")]
    )
    held = name.partition("/")[0] + "/" * ("/" in name) or "nothing"
    said = f"{folder} holds no image, also not in its subfolders; found: {held}"
    assert result.exit_code == 2 and said in result.output and "split" not in result.output
    assert not (tmp_path / "out").exists()


def test_a_missing_folder_is_named_as_a_folder(tmp_path):
    command = ["predict", str(tmp_path / "nowhere"), "--structure", "lungs", "--out"]
    result = CliRunner().invoke(app, [*command, str(tmp_path / "out")])
    assert result.exit_code == 2 and "data_dir" not in result.output
    assert f"the folder {tmp_path / 'nowhere'} does not exist" in result.output
