"""The command line on a folder of real photographs: from masks to a segmenter and its masks."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from ldr_lib.__main__ import app
from ldr_lib.data.datasets import open_dataset
from ldr_lib.data.read import read_image
from ldr_lib.metrics import dice

N = 6


@pytest.fixture
def eyes(real_data, tmp_path):
    """The first photographs of DRIONS-DB and masks of their discs, as someone would export them."""
    dataset = open_dataset("drions", real_data, "test")
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for i in range(N):
        Image.fromarray(dataset[i].image).save(tmp_path / "images" / f"eye{i}.jpg", quality=95)
        disc = np.uint8(255) * dataset[i].masks["disc"]
        Image.fromarray(disc).save(tmp_path / "masks" / f"eye{i}_disc.png")
    return tmp_path


def run(*arguments) -> str:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.output


@pytest.mark.slow
@pytest.mark.realdata
def test_discs_of_real_photographs_are_learned_and_found_again(eyes):
    result, found = eyes / "result", eyes / "found"
    (eyes / "split.csv").write_text(
        "image,fold\n" + "".join(f"eye{i},{'Train' if i < 4 else 'Test'}\n" for i in range(N)),
        encoding="utf-8",
    )
    given = ("--masks", eyes / "masks", "--out", result, "--split", eyes / "split.csv")
    given += ("--structure", "disc", "--steps", 25, "--init", "random")
    said = run("transfer", eyes / "images", *given)
    assert f"{N} images with masks, taken for photographs of the retina" in said
    assert "disc: large, seen as a whole at 128 pixels" in said and "inverted" not in said
    table = pd.read_csv(result / "summary.csv").set_index("protocol")
    assert list(table.index) == ["frozen", "fine-tuned"] and set(table["images"]) == {2}
    assert table.loc["fine-tuned", "Dice"] > 0.2  # a disc covers 2 % of a photograph
    images = pd.read_csv(result / "images.csv").query("protocol == 'fine-tuned'")
    assert sorted(images["image"]) == ["eye4", "eye5"]
    run("predict", result / "segmenter_random.safetensors", eyes / "images", "--out", found)
    for name, measured in images.set_index("image")["Dice"].items():
        mask = read_image(found / f"{name}.png")
        truth = read_image(eyes / "masks" / f"{name}_disc.png") > 0
        assert mask.shape == truth.shape and set(np.unique(mask)) <= {0, 255}
        assert dice(mask > 0, truth) == pytest.approx(measured)
