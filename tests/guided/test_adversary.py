"""The adversarial game: its losses, and who gets which gradient."""

import numpy as np
import pytest
import torch

from ldr_lib.guided.adversary import Discriminator, noisy, soften
from ldr_lib.losses import adversarial_losses, gradient_penalty, prior_area_loss


@pytest.fixture
def game():
    torch.manual_seed(0)
    return (
        Discriminator(1),
        torch.rand(3, 1, 64, 64, requires_grad=True),
        (torch.rand(4, 1, 64, 64) > 0.8).float(),
    )


def test_losses_equal_their_formula(game):
    discriminator, maps, masks = game
    network, judge = adversarial_losses(discriminator, maps, masks)

    def p(x):
        return 1 / (1 + np.exp(-discriminator(x).detach().double().numpy()))

    real, fake = p(masks), p(maps)
    assert network.item() == pytest.approx(-np.log(fake).mean(), abs=1e-5)
    assert judge.item() == pytest.approx(
        -(np.log(real).mean() + np.log(1 - fake).mean()) / 2, abs=1e-5
    )


def test_each_player_gets_the_gradient_of_its_own_loss_only(game):
    discriminator, maps, masks = game
    network, judge = adversarial_losses(discriminator, maps, masks)
    network.backward(retain_graph=True)
    assert maps.grad.abs().sum() > 0 and all(p.grad is None for p in discriminator.parameters())
    maps.grad = None
    judge.backward()
    assert maps.grad is None and all(p.grad is not None for p in discriminator.parameters())


def test_discriminator_is_not_affine(game):
    discriminator, maps, _ = game
    a, b = maps.detach(), torch.rand_like(maps)
    gap = discriminator((a + b) / 2) - (discriminator(a) + discriminator(b)) / 2
    assert gap.abs().max() > 1e-5


def test_discriminator_learns_to_separate_lines_from_noise():
    torch.manual_seed(0)
    lines = torch.zeros(8, 1, 64, 64)
    lines[..., ::8, :] = 1
    discriminator = Discriminator(1)
    adam = torch.optim.Adam(discriminator.parameters(), 1e-3)
    for _ in range(40):
        _, judge = adversarial_losses(discriminator, torch.rand(8, 1, 64, 64), lines)
        adam.zero_grad()
        judge.backward()
        adam.step()
    assert judge < 0.3


def test_softened_masks_are_grey_and_keep_their_shape():
    torch.manual_seed(0)
    masks = (torch.rand(20, 1, 32, 32) > 0.5).float()
    masks[:, :, 8:24, 8:24] = 1
    soft = soften(masks)
    assert ((soft > 0.001) & (soft < 0.999)).float().mean() > 0.9
    assert soft[:, :, 10:22, 10:22].mean() > 0.8 and soft.min() >= 0 and soft.max() <= 1


def test_penalty_equals_finite_differences_of_the_logits():
    torch.manual_seed(0)
    discriminator, masks = Discriminator(1).double(), torch.rand(2, 1, 32, 32).double()
    squares = []
    with torch.no_grad():
        for mask in masks:
            slopes = []
            for row, column in ((3, 4), (17, 20), (31, 0)):
                up, down = mask.clone(), mask.clone()
                up[0, row, column] += 1e-6
                down[0, row, column] -= 1e-6
                gap = discriminator(up[None]).mean() - discriminator(down[None]).mean()
                slopes.append(gap / 2e-6)
            squares.append(torch.stack(slopes))
    masks.requires_grad_(True)
    gradient = torch.autograd.grad(discriminator(masks).flatten(1).mean(1).sum(), masks)[0]
    for one, slopes in zip(gradient, squares):
        at = torch.stack([one[0, 3, 4], one[0, 17, 20], one[0, 31, 0]])
        torch.testing.assert_close(at, slopes, rtol=1e-4, atol=1e-8)
    expected = gradient.square().flatten(1).sum(1).mean() / 2
    torch.testing.assert_close(gradient_penalty(discriminator, masks), expected)


def test_penalty_makes_a_discriminator_flat():
    torch.manual_seed(0)
    discriminator, masks = Discriminator(1), torch.rand(4, 1, 32, 32)
    adam = torch.optim.Adam(discriminator.parameters(), 1e-3)
    first = gradient_penalty(discriminator, masks).item()
    for _ in range(20):
        penalty = gradient_penalty(discriminator, masks)
        adam.zero_grad()
        penalty.backward()
        adam.step()
    assert penalty.item() < first / 2


def test_area_is_that_of_the_prior():
    rng = np.random.default_rng(0)
    maps, masks = rng.random((3, 2, 8, 8)), rng.random((5, 2, 8, 8)) * 0.3
    wanted, found = masks.mean((0, 2, 3)), maps.mean((0, 2, 3))
    loss = prior_area_loss(torch.from_numpy(maps), torch.from_numpy(masks))
    assert loss.item() == pytest.approx((((found - wanted) / wanted) ** 2).mean())
    scaled = maps * (wanted / found)[None, :, None, None]
    assert prior_area_loss(torch.from_numpy(scaled), torch.from_numpy(masks)).item() < 1e-12


def test_noise_has_the_stated_deviation_and_none_is_none():
    torch.manual_seed(0)
    maps = torch.rand(4, 1, 64, 64)
    added = noisy(maps, 0.1) - maps
    assert added.std().item() == pytest.approx(0.1, rel=0.05) and abs(added.mean()) < 0.01
    assert noisy(maps, 0.0) is maps
    with pytest.raises(ValueError, match="deviation must be"):
        noisy(maps, -0.1)
