"""The adversarial game: its losses, and who gets which gradient."""

import numpy as np
import pytest
import torch

from ldr_lib.guided.adversary import Discriminator, soften
from ldr_lib.losses import adversarial_losses


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
