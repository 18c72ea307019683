"""Rendered pairs: structures lie where the mask says, and nothing else changes."""

import numpy as np
import pytest
import torch

from ldr_lib import DataError
from ldr_lib.data.simulate import fundus
from ldr_lib.guided.priors import vessel_trees
from ldr_lib.guided.simulated_pairs import SimulatedPairs, repaint_disc
from ldr_lib.guided.vessel_pairs import VesselPairs, remove_vessels


@pytest.fixture(scope="module")
def eyes():
    samples = [fundus(256, seed) for seed in range(3)]
    return (
        np.stack([s.image for s in samples]),
        np.stack([s.masks["field_of_view"] for s in samples]),
        samples,
    )


@pytest.fixture(scope="module")
def bank():
    return vessel_trees(3, 0, 256)


def test_median_removes_vessels_and_keeps_the_illumination(eyes):
    images, inside, samples = eyes
    free = remove_vessels(images, inside)
    for image, ground, sample in zip(images, free, samples):
        vessel, tissue = (
            mask[::2, ::2]
            & sample.masks["field_of_view"][::2, ::2]
            & ~sample.masks["disc"][::2, ::2]
            for mask in (sample.masks["vessel"], ~sample.masks["vessel"])
        )
        contrasts = [
            green[tissue].mean() - green[vessel].mean()
            for green in (ground[..., 1].astype(float), image[::2, ::2, 1].astype(float))
        ]
        assert contrasts[0] < 0.5 * contrasts[1]
        assert abs(ground[tissue].mean() - image[::2, ::2][tissue].mean()) < 8


def contrast_of(pairs, structure=0):
    green, target = pairs.images[:, 1], pairs.targets[:, structure]
    fov = pairs.images.amax(1) > 0.02
    return [
        float(g[f & (t < 0.1)].mean() - g[f & (t > 0.9)].mean())
        for g, t, f in zip(green, target, fov)
        if (t > 0.9).sum() > 50
    ]


def test_vessels_are_dark_where_their_mask_is(eyes, bank):
    images, inside, _ = eyes
    torch.manual_seed(0)
    pairs = VesselPairs(images, inside, bank)(24)
    contrasts = np.array(contrast_of(pairs))
    assert np.mean(contrasts > 0) > 0.8 and contrasts.mean() > 0.03
    assert (
        pairs.targets.shape == (24, 1, 128, 128)
        and pairs.images.min() >= 0
        and pairs.images.max() <= 1
    )


def test_shuffled_masks_do_not_fit_their_images(eyes, bank):
    images, inside, _ = eyes
    torch.manual_seed(0)
    right = np.mean(contrast_of(VesselPairs(images, inside, bank)(24)))
    torch.manual_seed(0)
    shuffled = np.mean(contrast_of(VesselPairs(images, inside, bank, shuffled=True)(24)))
    assert abs(shuffled) < 0.4 * right


def test_pairs_are_repeatable(eyes, bank):
    images, inside, _ = eyes
    make = VesselPairs(images, inside, bank)
    torch.manual_seed(4)
    first = make(3)
    torch.manual_seed(4)
    again = make(3)
    assert torch.equal(first.images, again.images) and torch.equal(first.targets, again.targets)


def test_simulated_pairs_keep_image_and_masks_together():
    torch.manual_seed(0)
    pairs = SimulatedPairs("fundus", ["vessel", "disc", "fovea"], 6)(16)
    assert np.mean(np.array(contrast_of(pairs, 1)) < 0) > 0.8
    assert np.mean(np.array(contrast_of(pairs, 0)) > 0) > 0.8


def test_another_disc_changes_nothing_but_the_disc_and_its_crescent(eyes):
    images, _, samples = eyes

    def mask(name):
        return torch.from_numpy(np.stack([s.masks[name] for s in samples]))[:, None].float()

    x, disc = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255, mask("disc")
    torch.manual_seed(0)
    painted = torch.stack(
        [repaint_disc(x, disc, mask("vessel"), mask("field_of_view")) for _ in range(6)]
    )
    changed = (painted - x).abs().mean((0, 2))
    far = torch.nn.functional.max_pool2d(disc, 61, 1, 30)[:, 0] == 0
    assert changed[far].max() < 1e-4 < 0.02 < changed[disc[:, 0] > 0].mean()
    none = torch.zeros_like(disc)
    assert torch.allclose(repaint_disc(x, none, none, mask("field_of_view")), x, atol=1e-6)


def test_chest_pairs_are_upright_and_lungs_are_darker():
    torch.manual_seed(0)
    pairs = SimulatedPairs("chest", ["lungs", "heart"], 6)(24)
    lungs, heart = pairs.targets[:, 0], pairs.targets[:, 1]
    columns = torch.arange(128.0)
    whole = [i for i in range(24) if heart[i].sum() > 300 and lungs[i].sum() > 2000]
    offset = [
        float(
            (heart[i].sum(0) * columns).sum() / heart[i].sum()
            - (lungs[i].sum(0) * columns).sum() / lungs[i].sum()
        )
        for i in whole
    ]
    assert np.mean(np.array(offset) > 0) > 0.8, "the heart lies right of the middle of the image"
    with pytest.raises(DataError, match="has no"):
        SimulatedPairs("chest", ["liver"], 1)
