"""Toys have the known answer, and losses that differ are told apart."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from ldr_lib import losses, teaching


@pytest.mark.parametrize("k", [2, 3, 8, 16])
def test_each_way_to_cluster_is_what_its_name_says(k):
    kinds, maps = teaching.cluster_maps(k)
    assert all(a.shape == (4, k, 16, 16) for a in maps.values())
    assert all(torch.allclose(a.sum(1), torch.ones(4, 16, 16)) for a in maps.values())
    assert (maps["right"].argmax(1) == kinds).all() and len(kinds.unique()) == k
    swapped = maps["swapped in two images"].argmax(1)
    assert (swapped[:2] == kinds[:2]).all() and (swapped[2:] == k - 1 - kinds[2:]).all()
    assert (maps["undecided"] == 1 / k).all()
    assert (maps["last only a spot"][:, -1].sum((1, 2)) == 4).all()


@pytest.mark.parametrize("k", [1, 17, 2.5, "two"])
def test_a_number_of_kinds_that_makes_no_stripes_is_refused(k):
    with pytest.raises(ValueError, match="k must be"):
        teaching.cluster_maps(k)


def steeper(first, second):
    """The same value, with another gradient."""
    value = losses.info_nce(first, second)
    return value.detach() + 2 * (value - value.detach())


def test_two_losses_agree_in_value_and_gradient_or_are_told_apart(capsys):
    x = torch.randn(2, 8, 4, generator=torch.Generator().manual_seed(0))
    teaching.compare_losses(losses.info_nce, losses.info_nce, vectors=x)
    first, second = capsys.readouterr().out.splitlines()
    class_of_one = type("Loss", (), {"__call__": lambda self, *views: losses.info_nce(*views)})
    teaching.compare_losses(partial(losses.info_nce), class_of_one(), vectors=x)
    named = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert named == ["info_nce", "Loss"]
    assert first == second and f"{losses.info_nce(*F.normalize(x, dim=2)):.4f}" in first
    for other in (losses.patch_discrimination, steeper):
        with pytest.raises(AssertionError):
            teaching.compare_losses(losses.info_nce, other, vectors=x)
    with pytest.raises(ValueError, match="functions"):
        teaching.compare_losses(vectors=x)
    with pytest.raises(ValueError, match="2, N, D"):
        teaching.compare_losses(losses.info_nce, vectors=x[0])


def test_the_states_of_patches_are_what_their_names_say():
    torch.manual_seed(0)
    states = teaching.patch_states(64)
    for first, second in states.values():
        for vectors in (first, second):
            assert vectors.shape == (64, 32)
            torch.testing.assert_close(vectors.norm(dim=1), torch.ones(64))
    best = {name: (first @ second.T).argmax(1) for name, (first, second) in states.items()}
    right = {name: (found == torch.arange(64)).all().item() for name, found in best.items()}
    assert right["partners similar"] and right["perfect: partners equal"]
    assert not right["random: partners unrelated"] and not right["wrong partner wins"]
    first, _ = states["each patch has a copy"]
    assert torch.equal(first[:32], first[32:]) and len(first.unique(dim=0)) == 32
    assert len(states["collapse: all equal"][0].unique(dim=0)) == 1


@pytest.mark.parametrize("n", [3, 0, 5000, 2.5, "many"])
def test_numbers_of_patches_without_copies_are_named(n):
    with pytest.raises(ValueError, match="n must be"):
        teaching.patch_states(n)
