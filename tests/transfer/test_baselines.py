"""Rival pretrainings: their losses against independent formulas, and that only the right views
lower them.
"""

import numpy as np
import pytest
import torch
from torch import nn

from ldr_lib.data.views import ViewMaker, Views
from ldr_lib.network import init_weights
from ldr_lib.transfer.baselines import BASELINES, Autoencoder, DenseContrast, InstanceDiscrimination


def views_of(first: torch.Tensor, second: torch.Tensor) -> Views:
    n = len(first)
    return Views(
        first, second, first[: n // 2], torch.full((n // 2,), 0.5), torch.zeros(n, dtype=torch.long)
    )


class Pixels(nn.Module):
    """An encoder whose last map is the image itself, 16 times smaller, in 128 channels."""

    def forward(self, x):
        x = torch.nn.functional.avg_pool2d(x, 16)
        return [
            x.repeat(1, 128 // x.shape[1] + 1, 1, 1)[:, :128]
            * torch.linspace(0.5, 1.5, 128).view(-1, 1, 1)
        ]


def unit(x, axis):
    return x / np.linalg.norm(x, axis=axis, keepdims=True)


def test_instance_discrimination_equals_its_formula():
    torch.manual_seed(0)
    net = InstanceDiscrimination(3)
    net.encoder = Pixels()
    first, second = torch.rand(4, 3, 32, 32), torch.rand(4, 3, 32, 32)
    pooled = [
        net.head(net.encoder(x)[-1].mean((2, 3))).detach().double().numpy() for x in (first, second)
    ]
    z = unit(np.concatenate(pooled), 1)
    e = np.exp(z @ z.T / 0.1)
    np.fill_diagonal(e, 0)
    p = e / e.sum(1, keepdims=True)
    expected = 0.0
    for i in range(8):
        partner = (i + 4) % 8
        expected -= np.log(p[i, partner]) + sum(
            np.log(1 - p[i, j]) for j in range(8) if j not in (i, partner)
        )
    assert net(views_of(first, second)).item() == pytest.approx(expected / 8, rel=1e-4)


def test_dense_contrast_equals_its_formula():
    torch.manual_seed(0)
    net = DenseContrast(3)
    net.encoder = Pixels()
    first, second = torch.rand(4, 3, 48, 32), torch.rand(4, 3, 48, 32)
    f, s = (net.encoder(x)[-1] for x in (first, second))

    def plain(x):
        return x.detach().double().numpy()

    def one_way(query, key):
        g, h = (unit(plain(net.image_head(x.mean((2, 3)))), 1) for x in (query, key))
        e = np.exp(g @ h.T / 0.2)
        images = -np.log(np.diag(e) / e.sum(1)).mean()
        a, b = (unit(plain(x.flatten(2)), 1) for x in (query, key))
        q, k = (unit(plain(net.dense_head(x).flatten(2)), 1) for x in (query, key))
        losses = []
        for n in range(4):
            for p in range(6):
                counterpart = max(range(6), key=lambda o: a[n, :, p] @ b[n, :, o])
                positive = np.exp(q[n, :, p] @ k[n, :, counterpart] / 0.2)
                negative = sum(
                    np.exp(q[n, :, p] @ unit(k[m].mean(1), 0) / 0.2) for m in range(4) if m != n
                )
                losses.append(-np.log(positive / (positive + negative)))
        return (images + np.mean(losses)) / 2

    assert net(views_of(first, second)).item() == pytest.approx(
        (one_way(f, s) + one_way(s, f)) / 2, rel=1e-4
    )


@pytest.mark.parametrize("method", ["instance", "dense"])
def test_views_of_the_same_images_cost_less_than_of_others(method):
    torch.manual_seed(1)
    net, images = (
        init_weights(BASELINES[method](3)),
        torch.rand(6, 3, 64, 64) * torch.rand(6, 3, 1, 1),
    )
    with torch.no_grad():
        assert net(views_of(images, images)) < net(views_of(images, images.roll(1, 0)))


def test_the_autoencoder_is_judged_only_by_what_was_hidden():
    torch.manual_seed(0)
    net = Autoencoder(1)
    seen = []
    net.encoder.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].clone()))
    net.head.register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))
    x = 0.9 * torch.ones(4, 1, 64, 64)
    x[:, :, :32] = 0.3
    loss = net(views_of(x, x))
    hidden = seen[0] == 0.5
    assert 0.3 < hidden.float().mean() < 0.7
    blocks = torch.nn.functional.avg_pool2d(hidden.float(), 16)
    assert ((blocks == 0) | (blocks == 1)).all()
    assert loss.item() == pytest.approx(torch.cat([x, x])[hidden].square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("method", BASELINES)
def test_every_weight_of_the_encoder_gets_a_gradient(method):
    torch.manual_seed(0)
    net = init_weights(BASELINES[method](1))
    net(ViewMaker(32)(torch.randint(0, 255, (4, 1, 40, 40), dtype=torch.uint8))).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.encoder.parameters())
    assert all(p.grad.abs().sum() > 0 for p in net.encoder.parameters() if p.ndim > 1)


def test_instance_discrimination_stays_finite_in_half_precision():
    torch.manual_seed(0)
    net, images = (
        init_weights(InstanceDiscrimination(3)),
        torch.eye(4)[:, :3, None, None] * torch.ones(4, 3, 64, 64),
    )
    with torch.no_grad():
        net.head[2].weight.mul_(30)
    with torch.autocast("cpu", torch.bfloat16):
        assert net(views_of(images, images)).isfinite()
