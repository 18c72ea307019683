"""Makers of training pairs: one protocol, masks that fit their images."""

import numpy as np
import pytest
import torch

from ldr_lib.data.augment import LabelledPairs, PairMaker, Pairs, standardise
from ldr_lib.data.errors import DataError
from ldr_lib.data.simulate import fundus
from ldr_lib.guided.priors import mask_bank, vessel_trees
from ldr_lib.guided.simulated_pairs import SimulatedPairs, repaint_disc
from ldr_lib.guided.vessel_pairs import VesselPairs, remove_vessels


@pytest.fixture(scope="module")
def eyes():
    samples = [fundus(128, seed, lesions=False) for seed in range(3)]
    masks = {
        name: np.stack([sample.masks[name] for sample in samples])
        for name in ("field_of_view", "vessel", "disc")
    }
    return np.stack([sample.image for sample in samples]), masks


@pytest.fixture(scope="module")
def makers(eyes):
    images, masks = eyes
    inside = masks["field_of_view"]
    labelled = standardise(images, inside), masks["vessel"][:, None], inside
    return {
        "vessels": (VesselPairs(images, inside, vessel_trees(2, 0, 64), size=48), 3, 1),
        "simulated": (SimulatedPairs("chest", ["lungs", "heart"], 2, size=48), 1, 2),
        "labelled": (LabelledPairs(*labelled, size=48), 3, 1),
    }


@pytest.mark.parametrize("name", ["vessels", "simulated", "labelled"])
def test_every_maker_follows_the_protocol(makers, name):
    maker, channels, n_structures = makers[name]
    make_pairs: PairMaker = maker
    torch.manual_seed(0)
    pairs = make_pairs(4, "cpu")
    assert isinstance(pairs, Pairs)
    assert pairs.images.shape == (4, channels, 48, 48)
    assert pairs.targets.shape == (4, n_structures, 48, 48)
    for values in (pairs.images, pairs.targets):
        assert values.dtype == torch.float32 and 0 <= values.min() <= values.max() <= 1
    assert len(make_pairs(2).images) == 2, "the device has a default"
    torch.manual_seed(0)
    again = make_pairs(4, "cpu")
    assert torch.equal(pairs.images, again.images) and torch.equal(pairs.targets, again.targets)


def test_rendered_vessels_are_darker_than_their_surroundings(makers):
    make_pairs, _, _ = makers["vessels"]
    torch.manual_seed(0)
    pairs = make_pairs(24)
    green, vessel = pairs.images[:, 1], pairs.targets[:, 0] > 0.5
    lit = green > 0
    assert vessel.float().mean() > 0.02
    assert green[vessel & lit].mean() < green[~vessel & lit].mean() - 0.03


def test_distractors_change_the_image_and_not_the_mask(eyes):
    images, masks = eyes
    prior, made = vessel_trees(2, 0, 64), []
    for distractors in (False, True):
        make_pairs = VesselPairs(images, masks["field_of_view"], prior, 48, distractors)
        torch.manual_seed(0)
        made.append(make_pairs(4))
    without, with_them = made
    assert torch.equal(without.targets, with_them.targets)
    assert (without.images - with_them.images).abs().mean() > 0.01


def test_shuffled_masks_are_those_of_other_images(eyes):
    images, masks = eyes
    prior, made = vessel_trees(4, 0, 64), []
    for shuffled in (False, True):
        make_pairs = VesselPairs(images, masks["field_of_view"], prior, 48, shuffled=shuffled)
        torch.manual_seed(1)
        made.append(make_pairs(8))
    right, shuffled = made
    assert torch.equal(right.images, shuffled.images)
    partner = [
        next(j for j in range(8) if torch.equal(mask, right.targets[j]))
        for mask in shuffled.targets
    ]
    assert sorted(partner) == list(range(8)) and partner != list(range(8))


def test_removed_vessels_leave_the_field_of_view_and_the_brightness(eyes):
    images, masks = eyes
    inside, vessel = masks["field_of_view"], masks["vessel"] & ~masks["disc"]
    free = remove_vessels(images, inside)
    assert free.shape == (3, 64, 64, 3) and free.dtype == np.uint8
    assert not free[~inside[:, ::2, ::2]].any()
    green, without = images[..., 1][:, ::2, ::2].astype(int), free[..., 1].astype(int)
    darker = (without - green)[vessel[:, ::2, ::2]].mean()
    assert darker > 3, "vessels become as bright as their surroundings"
    assert abs((without - green)[inside[:, ::2, ::2] & ~vessel[:, ::2, ::2]].mean()) < darker / 2


def test_a_disc_is_rendered_only_where_there_is_one(eyes):
    images, masks = eyes
    tensors = [
        torch.from_numpy(masks[name])[:, None].float()
        for name in ("disc", "vessel", "field_of_view")
    ]
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    torch.manual_seed(4)
    changed = (repaint_disc(x, *tensors) - x).abs().sum(1, keepdim=True)
    far = torch.nn.functional.max_pool2d(tensors[0], 61, 1, 30) == 0
    assert changed.amax((1, 2, 3)).max() > 0.05 and changed[far].max() < 0.01
    assert torch.equal(repaint_disc(x, 0 * tensors[0], *tensors[1:]), x)


def test_mistakes_are_named():
    with pytest.raises(ValueError, match='unknown modality "knee"; known are fundus, chest'):
        SimulatedPairs("knee", ["disc"], 1)
    with pytest.raises(DataError, match="the simulated chest has no .'disc'."):
        SimulatedPairs("chest", ["disc"], 1)
    with pytest.raises(DataError, match="holds no mask"):
        mask_bank([], "nothing")
