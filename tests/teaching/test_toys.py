"""Toys have the known answer, and losses that differ are told apart."""

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
    assert first == second and f"{losses.info_nce(*F.normalize(x, dim=2)):.4f}" in first
    for other in (losses.patch_discrimination, steeper):
        with pytest.raises(AssertionError):
            teaching.compare_losses(losses.info_nce, other, vectors=x)
    with pytest.raises(ValueError, match="functions"):
        teaching.compare_losses(vectors=x)
    with pytest.raises(ValueError, match="2, N, D"):
        teaching.compare_losses(losses.info_nce, vectors=x[0])
