"""Own images, trained until set-aside images get no better, also from ImageNet."""

import numpy as np
import pytest
from transfer.own import SIDE, blob, study

from ldr_lib.data.checksums import unsealed
from ldr_lib.data.errors import DataError
from ldr_lib.data.read import read_image
from ldr_lib.transfer import experiment, load_segmenter, predict_folder, settings
from ldr_lib.transfer.imagenet import ImageNetEncoder
from ldr_lib.transfer.own_plan import OwnStudy

TINY = dict(steps=6, batch=2, side=32, learning_rate=1e-3, check_every=2, patience=1)


@pytest.fixture
def own(tmp_path, photograph, save, monkeypatch):
    """Eight photographs and their masks, and a tier of six steps."""
    monkeypatch.setitem(settings.BUDGETS["segmentation"], "converged", TINY)
    monkeypatch.setattr(experiment, "ONE_LABEL_STEPS", 4)
    for i in range(8):
        save(tmp_path / "images" / f"eye{i}.png", photograph(i, SIDE, SIDE))
        save(tmp_path / "masks" / f"eye{i}.png", np.uint8(255) * blob(i))
    return tmp_path


def test_set_aside_images_are_neither_labelled_nor_tested(own, monkeypatch):
    looked_at, original = [], OwnStudy.watched_rows

    def watched_rows(self, fold):
        rows = original(self, fold)
        looked_at.append((fold, {self.folds.index[row] for row in rows}))
        return rows

    monkeypatch.setattr(OwnStudy, "watched_rows", watched_rows)
    table, said = study(own, tier="converged", inits=("random", "scratch"), labels=(0, 1))
    assert any("set aside, is found no better" in line for line in said)
    cells = [
        unsealed(path.read_text(encoding="utf-8"))
        for path in (own / "result" / "cells").glob("*.json")
    ]
    assert len(cells) == 8 and len(table)
    for cell in cells:
        aside = [names for fold, names in looked_at if fold == cell["fold"]]
        assert len(set(map(frozenset, aside))) == 1 and len(aside[0]) == 1
        tested = set(cell["scores"]["fine-tuned"])
        assert not aside[0] & {*cell["labelled"], *tested} and len(tested) == 4
        assert len(cell["labelled"]) == (cell["labels"] or 3)


def test_a_segmenter_from_imagenet_is_kept_and_finds_the_same_again(own):
    study(own, tier="converged", inits=("imagenet doubled",))
    (path,) = (own / "result").glob("segmenter_*.safetensors")
    net, seen = load_segmenter(path, "cpu")
    assert isinstance(net.encoder, ImageNetEncoder) and net.encoder.doubled
    assert net.encoder.in_channels == seen.channels == 3
    found = []
    for out in (own / "found", own / "again"):
        predict_folder(path, own / "images", out, device="cpu", say=str)
        found.append([read_image(mask) for mask in sorted(out.glob("*.png"))])
    assert len(found[0]) == 8
    assert all(np.array_equal(*pair) for pair in zip(*found))


def test_too_few_images_for_looks_says_so(own):
    with pytest.raises(DataError, match="there are 3: .* less a fifth to look at while training"):
        study(own, tier="converged", labels=(4,))
