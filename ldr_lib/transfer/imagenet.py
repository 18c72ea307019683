"""The start that people would really take: a network of ImageNet, under the same decoder."""

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import nn

from ..data.checks import flag, whole
from ..explore.rivals import imagenet_network, maps_of
from ..network import Encoder


class ImageNetEncoder(nn.Module):
    """EfficientNet-Lite0 with the weights of ImageNet, as an encoder to segment with.

    It has three times the weights of `Encoder` and no map at full size: calling it on
    (B, in_channels, H, W), with H and W multiples of 32, returns five maps of 16, 24, 40, 112 and
    320 channels at 1/2 to 1/32 of the size. Doubled, it enlarges its images first, so that its
    maps lie at 1/1 to 1/16 of the size, as those of `Encoder` do.

    Args:
        in_channels: 3, or 1 for grey images, which are given to all three colours.
        doubled: Whether images are enlarged first.

    Raises:
        ValueError: Another number of channels.
        ImportError: The extra "rivals" is not installed.

    Taught in notebook 05, section 8.
    """

    widths = (16, 24, 40, 112, 320)

    def __init__(self, in_channels: int = 3, doubled: bool = False):
        super().__init__()
        self.in_channels = whole(in_channels, "in_channels", 1, 3)
        if in_channels == 2:
            raise ValueError("a network of ImageNet takes images of 1 or 3 channels, not of 2")
        self.doubled, self.net = flag(doubled, "doubled"), deepcopy(imagenet_network())
        self.net._conv_head = self.net._bn1 = self.net._fc = nn.Identity()  # for classes only
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.1  # statistics follow as fast as those of `Encoder`

    @property
    def name(self) -> str:
        """Of this start."""
        return next(name for name, doubled in IMAGENET.items() if doubled == self.doubled)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        if self.doubled:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear")
        return maps_of(self.net, x)


IMAGENET = {"imagenet": False, "imagenet doubled": True}
"""Names of these starts, to whether images are doubled in size."""
AnyEncoder = Encoder | ImageNetEncoder
"""What a segmenter can stand on: `widths` and `in_channels`, and five maps, finest first."""
