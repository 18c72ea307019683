import numpy as np
import pytest
import torch

from ldr_lib import DataError, Settings, TwoBranchNet, open_dataset, prepare
from ldr_lib.evaluation import anatomy_of, prototypes, typical_pixels
from ldr_lib.explore.probes import (
    alignment_and_uniformity,
    filter_bank,
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


def test_features_that_are_the_anatomy_are_read_off_and_noise_is_not(prepared):
    training, held_out = prepared
    perfect = lambda part: np.eye(4, dtype=np.float32)[anatomy_of(part, "fundus")[0]]
    noise = lambda part: (
        np.random.default_rng(len(part)).normal(size=(*part.images.shape[:3], 4)).astype(np.float32)
    )
    example = labelled_example(training, "fundus")
    features = {
        name: (make(training)[example], make(held_out))
        for name, make in {"anatomy": perfect, "noise": noise}.items()
    }
    table = probe(features, training, example, held_out, "fundus", 4)
    assert list(table.columns) == [
        "NMI",
        *(
            f"{s} {w}"
            for s in ("disc", "fovea", "vessel")
            for w in ("retrieval", "linear", "neighbours")
        ),
    ]
    assert (table.loc["anatomy"] > [0.95, *[0.99] * 9]).all()
    assert (
        abs(table.loc["noise", [column for column in table if column != "NMI"]] - 0.5).max() < 0.1
        and table.loc["noise", "NMI"] < 0.02
    )


def test_a_probe_without_masks_is_refused(prepared):
    with pytest.raises(DataError, match="every structure is marked"):
        labelled_example(prepared[0], "unknown")
    example = labelled_example(prepared[0], "fundus", 3)
    assert all(
        prepared[0].masks[name][example].any() for name in ("disc", "fovea", "vessel")
    ) and example == labelled_example(prepared[0], "fundus", 3)


def test_filters_see_brightness_and_edges_at_several_scales():
    image = np.zeros((1, 32, 32, 1), np.uint8)
    image[0, :, 16:] = 200
    found = filter_bank(image)
    assert found.shape[-1] == 20 and np.abs(found.mean((0, 1, 2))).max() < 1e-4
    edge = np.abs(found[0, 16, 14:18]).max(0)
    assert (edge > np.abs(found[0, 16, 4])).sum() >= 10


def test_pixels_are_drawn_inside_and_repeat():
    inside = np.random.default_rng(0).random((3, 9, 9)) < 0.5
    drawn = pixels(inside, 20, 1)
    assert (
        inside.ravel()[drawn].all()
        and len(set(drawn)) == 20
        and (drawn == pixels(inside, 20, 1)).all()
    )
    assert len(pixels(inside, 10_000)) == inside.sum()


def test_neighbourhoods_tell_order_from_chance():
    rng = np.random.default_rng(0)
    kind, image = rng.integers(0, 3, 600), rng.integers(0, 4, 600)
    vectors = np.eye(3)[kind] * 10 + rng.normal(size=(600, 3))
    table = neighbourhoods(vectors, {"kind": kind, "image": image})
    assert table.loc["kind", "own kind"] > 0.98 and table.loc["kind", "by chance"] == pytest.approx(
        1 / 3
    )
    assert abs(table.loc["image", "own kind"] - 0.25) < 0.03


def test_alignment_and_uniformity_have_their_known_values(prepared):
    settings = Settings.for_tier("smoke", "fundus", 0)

    class Fixed(TwoBranchNet):
        def embed(self, x):
            return self.answer(x)

    net = Fixed(3)
    net.answer = lambda x: torch.nn.functional.normalize(
        torch.ones(len(x), 32, *x.shape[-2:]), dim=1
    )
    assert alignment_and_uniformity(net, prepared[0].images, settings) == pytest.approx(
        (0, 0), abs=1e-5
    )
    torch.manual_seed(0)
    net.answer = lambda x: torch.nn.functional.normalize(torch.randn(len(x), 32, 8, 8), dim=1)
    alignment, uniformity = alignment_and_uniformity(net, prepared[0].images, settings)
    assert alignment == pytest.approx(2, abs=0.1) and uniformity == pytest.approx(-3.75, abs=0.1)
    with pytest.raises(DataError, match="two images"):
        alignment_and_uniformity(net, prepared[0].images[:1], settings)


def test_prototypes_are_mean_directions_and_typical_places_lie_nearest(unit):
    v = unit(2, 6, 40, 40).permute(0, 2, 3, 1).numpy()
    clusters = np.random.default_rng(0).integers(0, 3, (2, 40, 40))
    inside = np.ones((2, 40, 40), bool)
    centres = prototypes(v, clusters, inside, 4)
    mean = v[clusters == 1].astype(np.float64).mean(0)
    np.testing.assert_allclose(centres[1], mean / np.linalg.norm(mean), atol=1e-5)
    assert (centres[3] == 0).all()
    places = typical_pixels(v, clusters, inside, 4, n=1, margin=5)
    assert set(places) == {0, 1, 2}
    ((i, row, column),) = places[1]
    allowed = (clusters == 1)[:, 5:-5, 5:-5]
    assert clusters[i, row, column] == 1 and (v @ centres[1])[i, row, column] == pytest.approx(
        (v @ centres[1])[:, 5:-5, 5:-5][allowed].max()
    )
