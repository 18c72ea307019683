"""The published way of guiding a cluster: a discriminator that tells prior masks from cluster
maps.
"""

import torch
import torch.nn.functional as F
from torch import nn

from ..data.checks import number, whole
from ..data.geometry import uniform
from ..data.tensor_checks import require, require_one_type
from ..distributed import own_share


class Discriminator(nn.Module):
    """Small convolutional network that scores how much a map looks like a prior mask.

    Five strided 4x4 convolutions with leaky ReLUs of slope 0.2 and one 3x3 convolution; one logit
    for each patch of the map.

    Args:
        n_structures: Channels of the maps it judges together.
        width: Channels of the first layer.

    Calling it on (B, n_structures, H, W) in [0, 1] with H, W >= 32 returns (B, 1, H / 32, W / 32)
    logits.

    Source: Chen et al. 2021, section 3.4 (topological priors). Taught in notebook 04a, section 2.
    """

    def __init__(self, n_structures: int = 1, width: int = 16):
        super().__init__()
        self.n_structures = n_structures = whole(n_structures, "n_structures", 1, 4096)
        width = whole(width, "width", 1, 4096)
        widths = [n_structures, width, 2 * width, 4 * width, 4 * width, 4 * width]
        layers = []
        for channels_in, channels_out in zip(widths, widths[1:]):
            layers += [nn.Conv2d(channels_in, channels_out, 4, 2, 1), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, 1, 1))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        require("BnHW", maps=maps)
        if maps.shape[1] != self.n_structures or min(maps.shape[2:]) < 32:
            raise ValueError(
                f"maps must be (B, {self.n_structures}, H, W) with H and W of at least 32, not "
                f"{tuple(maps.shape)}"
            )
        require_one_type(maps=maps, **{"the discriminator": self.layers[0].weight})
        return self.layers(maps)


def noisy(maps: torch.Tensor, deviation: float) -> torch.Tensor:
    """Adds noise to what a discriminator sees, so that maps and masks are never told apart by their
    finest detail alone.

    Args:
        maps: (B, n, H, W) maps or masks in [0, 1].
        deviation: Standard deviation of the noise; 0 gives the maps themselves.

    Returns:
        Of the same shape.

    Raises:
        ValueError: The maps have other dimensions, or the deviation is negative.

    Source: Sonderby et al., ICLR 2017 (instance noise).
    """
    require("BnHW", maps=maps)
    deviation = number(deviation, "deviation", 0)
    if not deviation:
        return maps
    mine = own_share()
    noise = torch.randn(mine.of * len(maps), *maps.shape[1:], device=maps.device)
    return maps + deviation * mine.take(noise)


def soften(masks: torch.Tensor) -> torch.Tensor:
    """Makes binary masks as soft as cluster maps, because otherwise their histogram alone would
    tell the two apart.

    Args:
        masks: (B, n, H, W) in [0, 1].

    Returns:
        Values of about 0.02 to 0.98 with smooth edges, of the same shape.

    Raises:
        ValueError: The masks have other dimensions or another type.

    Ours; the paper does not say. Taught in notebook 04a, section 2.
    """
    require("BnHW", masks=masks)
    mine = own_share()
    n = mine.of * len(masks)

    def draw(low: float, high: float) -> torch.Tensor:
        return mine.take(uniform(n, masks.device, low, high, 1, 1, 1))

    smooth = F.avg_pool2d(F.pad(masks, (1, 1, 1, 1), mode="replicate"), 3, 1)
    share = draw(0, 1)
    low, high = draw(0.0, 0.1), draw(0.85, 1.0)
    return low + (high - low) * (share * masks + (1 - share) * smooth)
