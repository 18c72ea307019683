from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ldr_lib import DataError, Settings, TwoBranchNet, open_dataset, prepare
from ldr_lib.evaluation import anatomy_of, prototypes, typical_pixels
from ldr_lib.explore.probes import (
    _top_1,
    alignment_and_uniformity,
    filter_bank,
    health,
    health_table,
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
            for w in ("retrieval", "linear", "neighbours")
        ),
    ]
    assert (table.loc["anatomy"] > [0.95, *[0.99] * 9]).all()
    assert (
        abs(table.loc["noise", [column for column in table if column != "NMI"]] - 0.5).max() < 0.1
        and table.loc["noise", "NMI"] < 0.02
    )


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


def test_filters_respond_to_edges_at_several_scales():
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


def test_neighbours_share_a_label_that_the_features_hold_and_no_other():
    rng = np.random.default_rng(0)
    kind, image = rng.integers(0, 3, 600), rng.integers(0, 4, 600)
    vectors = np.eye(3)[kind] * 10 + rng.normal(size=(600, 3))
    table = neighbourhoods(vectors, {"kind": kind, "image": image})
    assert table.loc["kind", "own kind"] > 0.98 and table.loc["kind", "by chance"] == pytest.approx(
        1 / 3
    )
    assert abs(table.loc["image", "own kind"] - 0.25) < 0.03


class Fixed(TwoBranchNet):
    """A network whose answers are given."""

    def embed(self, x):
        return self(x)[0]

    def forward(self, x):
        return self.answer(x)


def shares(x, *values):
    """The same cluster assignments for every pixel of x."""
    return torch.tensor(values)[None, :, None, None].expand(len(x), -1, *x.shape[-2:])


def test_alignment_and_uniformity_have_their_known_values(prepared):
    settings = Settings.for_tier("smoke", "fundus", 0)
    net = Fixed(3)
    net.answer = lambda x: (F.normalize(torch.ones(len(x), 32, *x.shape[-2:]), dim=1), None)
    assert alignment_and_uniformity(net, prepared[0].images, settings) == pytest.approx(
        (0, 0), abs=1e-5
    )
    torch.manual_seed(0)
    net.answer = lambda x: (F.normalize(torch.randn(len(x), 32, 8, 8), dim=1), None)
    alignment, uniformity = alignment_and_uniformity(net, prepared[0].images, settings)
    assert alignment == pytest.approx(2, abs=0.1) and uniformity == pytest.approx(-3.75, abs=0.1)
    with pytest.raises(DataError, match="at least one image is needed"):
        alignment_and_uniformity(net, prepared[0].images[:0], settings)


def test_prototypes_are_mean_directions_and_typical_pixels_lie_nearest(unit):
    v = unit(2, 6, 40, 40).permute(0, 2, 3, 1).numpy()
    clusters = np.random.default_rng(0).integers(0, 3, (2, 40, 40))
    inside = np.ones((2, 40, 40), bool)
    centres = prototypes(v, clusters, inside, 4)
    mean = v[clusters == 1].astype(np.float64).mean(0)
    np.testing.assert_allclose(centres[1], mean / np.linalg.norm(mean), atol=1e-5)
    assert (centres[3] == 0).all()
    found = typical_pixels(v, clusters, inside, 4, n=1, margin=5)
    assert set(found) == {0, 1, 2}
    ((i, row, column),) = found[1]
    allowed = (clusters == 1)[:, 5:-5, 5:-5]
    assert clusters[i, row, column] == 1 and (v @ centres[1])[i, row, column] == pytest.approx(
        (v @ centres[1])[:, 5:-5, 5:-5][allowed].max()
    )


def test_health_of_a_network_that_knows_every_patch_and_of_one_that_has_collapsed(prepared):
    settings = Settings.for_tier("smoke", "fundus", 0)
    images, net = prepared[0].images, Fixed(3)
    same = F.normalize(torch.ones(1, 32, 1, 1), dim=1)
    net.answer = lambda x: (same.expand(len(x), -1, *x.shape[-2:]), shares(x, 0.25, 0.25, 0.5))
    collapsed = health(net, images, settings)
    assert collapsed["top-1 patch match"] < 0.05 and collapsed["uniformity"] == pytest.approx(0)
    assert collapsed["alignment"] == pytest.approx(0, abs=1e-6)
    assert collapsed["cosine after a half turn"] == pytest.approx(1)
    assert collapsed["largest share"] == 0.5 and collapsed["decided pixels"] == 0

    directions = torch.randn(32, 3, generator=torch.Generator().manual_seed(0))

    def colours(x):
        waves = torch.einsum("dc,nchw->ndhw", 9 * directions, x)
        return F.normalize(waves.cos(), dim=1), shares(x, 0.9, 0.1)

    net.answer = colours
    knowing = health(net, images, replace(settings, view_size=64))
    assert knowing["decided pixels"] == 1 and knowing["largest share"] == pytest.approx(0.9)
    assert knowing["cosine after a half turn"] == pytest.approx(1, abs=1e-4)
    assert knowing["top-1 patch match"] > collapsed["top-1 patch match"]


def test_health_sees_an_embedding_that_depends_on_position(prepared):
    settings, net = Settings.for_tier("smoke", "fundus", 0), Fixed(3)

    def rows(x):
        height = torch.linspace(-1, 1, x.shape[-2])[None, None, :, None]
        angle = (torch.pi / 2 * height).expand(len(x), 1, -1, x.shape[-1])
        return torch.cat([angle.cos(), angle.sin()], 1), shares(x, 1.0)

    net.answer = rows
    assert health(net, prepared[0].images, settings)["cosine after a half turn"] < 0.7


def test_partners_are_found_among_the_patches_of_one_training_step():
    v = F.normalize(torch.randn(4, 9, 16), dim=2)
    assert _top_1(v, v, 4) == 1
    assert _top_1(v, v.flip(0), 4) == 0
    repeated = v[:2].repeat(2, 1, 1)
    assert _top_1(repeated, repeated, 2) == 1


def test_health_of_an_untrained_network_and_of_one_without_clusters(prepared):
    settings = Settings.for_tier("smoke", "fundus", 0)
    torch.manual_seed(0)
    untrained, flat = TwoBranchNet(3, n_clusters=8), TwoBranchNet(3)
    flat.clustering_branch = None
    untrained.train()
    table = health_table({"untrained": untrained, "flat": flat}, prepared[0].images, settings)
    assert list(table.index) == ["untrained", "flat"] and untrained.training
    row = table.loc["untrained"]
    assert row["decided pixels"] < 0.01 and 1 / 8 < row["largest share"] < 0.3
    assert row["top-1 patch match"] < 0.3 and row["cosine after a half turn"] > 0.8
    assert table.loc["flat", ["largest share", "decided pixels"]].isna().all()
    alignment, uniformity = alignment_and_uniformity(untrained, prepared[0].images, settings)
    assert row["alignment"] == alignment and row["uniformity"] == uniformity
    with pytest.raises(DataError, match="at least one image is needed"):
        health(untrained, prepared[0].images[:0], settings)
    one = health(untrained, prepared[0].images[:1], settings)
    assert one["cosine after a half turn"] > 0.8
