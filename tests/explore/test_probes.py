from dataclasses import replace

import numpy as np
import pytest

from ldr_lib import DataError, open_dataset, prepare
from ldr_lib.evaluation import anatomy_of
from ldr_lib.explore.probes import (
    labelled_example,
    neighbourhoods,
    pixels,
    probe,
)


@pytest.fixture(scope="module")
def prepared():
    return tuple(
        prepare(open_dataset("simulated_fundus", "", split), 64) for split in ("train", "test")
    )


def test_a_probe_finds_anatomy_in_features_of_anatomy_and_none_in_noise(prepared):
    training, held_out = prepared
    example = labelled_example(training, "fundus")

    def perfect(part):
        return np.eye(4, dtype=np.float32)[anatomy_of(part, "fundus")[0]]

    def noise(part):
        rng = np.random.default_rng(len(part))
        return rng.normal(size=(*part.images.shape[:3], 4)).astype(np.float32)

    features = {
        name: (make(training)[example], make(held_out))
        for name, make in {"anatomy": perfect, "noise": noise}.items()
    }
    probes = probe(features, training, example, held_out, "fundus", 4)
    table = probes.table
    assert len(probes.images["noise"]) == len(held_out)
    assert list(table.columns) == [
        "NMI",
        *(
            f"{s} {w}"
            for s in ("disc", "fovea", "vessel")
            for w in (
                *("retrieval AUC", "retrieval AP", "retrieval AP across"),
                *("linear AUC", "linear AP", "neighbours AUC", "neighbours AP"),
            )
        ),
    ]
    assert (table.loc["anatomy"] > 0.95).all()
    noise = table.loc["noise"]
    assert abs(noise.filter(like="AUC") - 0.5).max() < 0.1 and noise["NMI"] < 0.02
    assert noise.filter(like="AP").max() < 0.25


def test_a_single_feature_keeps_its_size_in_a_probe(prepared):
    training, held_out = prepared
    example = labelled_example(training, "fundus")

    def number(part):
        return anatomy_of(part, "fundus")[0][..., None].astype(np.float32)  # (N, S, S, 1)

    features = {"number of the structure": (number(training)[example], number(held_out))}
    table = probe(features, training, example, held_out, "fundus", 4).table
    assert (table.filter(like="neighbours") > 0.99).all(axis=None)


def test_a_probe_without_masks_is_refused(prepared):
    bare = replace(prepared[0], masks={"field_of_view": prepared[0].masks["field_of_view"]})
    with pytest.raises(DataError, match="every structure is marked"):
        labelled_example(bare, "fundus")
    with pytest.raises(ValueError, match='unknown modality "fundu"; known are fundus, chest'):
        labelled_example(prepared[0], "fundu")
    example = labelled_example(prepared[0], "fundus", 3)
    assert all(
        prepared[0].masks[name][example].any() for name in ("disc", "fovea", "vessel")
    ) and example == labelled_example(prepared[0], "fundus", 3)


def test_pixels_are_drawn_inside_and_repeat():
    inside = np.random.default_rng(0).random((3, 9, 9)) < 0.5
    drawn = pixels(inside, 20, 1)
    assert (
        inside.ravel()[drawn].all()
        and len(set(drawn)) == 20
        and (drawn == pixels(inside, 20, 1)).all()
    )
    assert len(pixels(inside, 10_000)) == inside.sum()


def test_neighbours_share_a_label_that_the_features_hold_and_no_other():
    rng = np.random.default_rng(0)
    kind, image = rng.integers(0, 3, 600), rng.integers(0, 4, 600)
    vectors = np.eye(3)[kind] * 10 + rng.normal(size=(600, 3))
    table = neighbourhoods(vectors, {"kind": kind, "image": image})
    assert table.loc["kind", "own kind"] > 0.98 and table.loc["kind", "by chance"] == pytest.approx(
        1 / 3
    )
    assert abs(table.loc["image", "own kind"] - 0.25) < 0.03
