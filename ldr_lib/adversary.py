"""The published way of guiding a cluster: a discriminator that tells prior masks from cluster maps."""

import torch
import torch.nn.functional as F
from torch import nn


class Discriminator(nn.Module):
    """Small convolutional network that scores how much a map looks like a prior mask.

    Five strided 4x4 convolutions with leaky ReLUs of slope 0.2 and one 3x3 convolution; one logit for each piece of map.

    Args:
        n_structures: Channels of the maps it judges together.
        width: Channels of the first layer.

    Calling it on (B, n_structures, H, W) in [0, 1] with H, W >= 32 returns (B, 1, H / 32, W / 32) logits.

    Source: Chen et al. 2021, section 3.4 (topological priors). Taught in notebook 04, section 2.
    """

    def __init__(self, n_structures: int = 1, width: int = 16):
        super().__init__()
        widths = [n_structures, width, 2 * width, 4 * width, 4 * width, 4 * width]
        layers = []
        for channels_in, channels_out in zip(widths, widths[1:]):
            layers += [nn.Conv2d(channels_in, channels_out, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, 1, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.layers(maps)


def soften(masks: torch.Tensor) -> torch.Tensor:
    """Makes binary masks as soft as cluster maps are, lest their histogram alone give them away.

    Args:
        masks: (B, n, H, W) in [0, 1].

    Returns:
        Values of about 0.02 to 0.98 with smooth edges, of the same shape.

    Ours; the paper does not say. Taught in notebook 04, section 2.
    """
    n = len(masks)
    uniform = lambda low, high: torch.empty(n, 1, 1, 1, device=masks.device).uniform_(low, high)
    smooth = F.avg_pool2d(F.pad(masks, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = uniform(0, 1)
    low, high = uniform(0.0, 0.1), uniform(0.85, 1.0)
    return low + (high - low) * (share * masks + (1 - share) * smooth)


def adversarial_losses(
    discriminator: Discriminator, maps: torch.Tensor, masks: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What both players of the game minimise, in one backward pass.

    The network wants BCE(D(maps), 1), with D's weights held fixed; the discriminator wants BCE(D(masks), 1) +
    BCE(D(sg maps), 0), with sg the stop-gradient.

    Args:
        discriminator: D.
        maps: (B, n, H, W) structure maps in [0, 1].
        masks: (M, n, H, W) prior masks in [0, 1].

    Returns:
        The network's and the discriminator's loss; gradients of the first reach only the maps, of the second only D.

    Source: Chen et al. 2021, section 3.4. Taught in notebook 04, section 2.
    """
    held = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    fooled = torch.func.functional_call(discriminator, held, (maps,))
    real, fake = discriminator(soften(masks)), discriminator(maps.detach())
    one, zero = torch.ones_like, torch.zeros_like
    bce = F.binary_cross_entropy_with_logits
    return bce(fooled, one(fooled)), (bce(real, one(real)) + bce(fake, zero(fake))) / 2
