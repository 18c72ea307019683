"""The real images in the box: they open offline, with their official split, masks and licence."""

import re
from pathlib import Path

import numpy as np
import pytest

from ldr_lib import open_dataset, prepare
from ldr_lib.data.datasets import PackagedSample
from ldr_lib.metrics import dice

MIB = 2**20


@pytest.mark.parametrize(
    "name, numbers", [("sample_fundus", (20 + 45, 8, 73)), ("sample_chest", (90, 30, 120))]
)
def test_samples_open_without_a_folder(name, numbers):
    found = [open_dataset(name, split=split) for split in ("train", "test", "all")]
    assert tuple(map(len, found)) == numbers
    train, test = ({item.image for item in split.items} for split in found[:2])
    assert not train & test


def test_no_child_is_in_both_splits():
    train, test = (
        {item.name[6:8] for item in open_dataset("sample_fundus", split=split).items[:20]}
        for split in ("train", "test")
    )
    assert max(train & {f"{n:02d}" for n in range(15)}) == "10" and min(test) == "11"


def test_both_observers_marked_the_vessels_of_the_test_photographs():
    eyes = open_dataset("sample_fundus", split="test")
    agreed = [
        dice(eye.masks["vessel"], eye.masks["vessel_second_observer"])
        for eye in (eyes[i] for i in range(len(eyes)))
    ]
    assert 0.65 < np.mean(agreed) < 0.85
    image = eyes[0].image
    assert min(image.shape[:2]) == 384 and image.shape[2] == 3


def test_masks_are_those_of_the_originals(real_data):
    small = open_dataset("sample_fundus", split="test")
    whole = open_dataset("chase_db1", real_data, "test")
    for ours, original in zip(small, whole):
        assert ours.name == original.name
        assert abs(ours.masks["vessel"].mean() - original.masks["vessel"].mean()) < 0.01


def test_samples_can_be_prepared(cache):
    eyes = prepare(open_dataset("sample_fundus", split="test"), 64, cache)
    assert eyes.images.shape == (8, 64, 64, 3) and {"vessel", "field_of_view"} <= eyes.masks.keys()
    chests = prepare(open_dataset("sample_chest", split="test"), 64, cache)
    assert chests.images.shape == (30, 64, 64, 1) and not chests.skipped


def test_every_collection_is_small_and_names_its_licence():
    folders = [path for path in PackagedSample.root.iterdir() if path.is_dir()]
    assert sorted(path.name for path in folders) == ["CHASE_DB1", "HRF", "Kermany"]
    for folder in folders:
        words = (folder / "LICENCE.md").read_text(encoding="utf-8")
        assert "CC BY 4.0" in words and "Cite" in words and "Changes made here" in words
    size = sum(path.stat().st_size for path in PackagedSample.root.rglob("*") if path.is_file())
    assert size < 6 * MIB


def test_samples_are_installed_with_the_package():
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    package = PackagedSample.root.parent
    patterns = re.findall(r'"(samples/[*/]+)"', project.read_text(encoding="utf-8"))
    found = {path for pattern in patterns for path in package.glob(pattern)}
    assert not [p for p in PackagedSample.root.rglob("*") if p.is_file() and p not in found]
