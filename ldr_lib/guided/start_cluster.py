"""Which cluster of a network that was trained without labels becomes the guided one."""

from copy import deepcopy

import numpy as np
import torch

from ..data import checks
from ..data.augment import LabelledPairs, PairMaker
from ..data.tensor_checks import require
from ..network import TwoBranchNet
from .settings import GuidedSettings

LOOKED_AT = 32
"""Crops of real images, and prior masks, that are compared."""


def shape_statistics(maps: torch.Tensor) -> torch.Tensor:
    """Two numbers of shape: logarithms of the mean area, and of the length of border per area.

    Args:
        maps: (B, K, H, W) in [0, 1].

    Returns:
        (K, 2), over all images. Maps that are grey everywhere have hardly any border.

    Raises:
        ValueError: The maps have other dimensions.
    """
    require("BKHW", maps=maps)
    area = maps.mean((0, 2, 3)).clamp(min=1e-6)  # (K,)
    border = sum(maps.diff(dim=axis).abs().mean((0, 2, 3)) for axis in (2, 3))  # (K,)
    return torch.stack([area, border.clamp(min=1e-6) / area], 1).log()


def most_like_prior(assignments: torch.Tensor, masks: torch.Tensor) -> int:
    """The cluster whose area and border come nearest to those of prior masks.

    Args:
        assignments: (B, K, H, W) cluster assignments of real images.
        masks: (M, 1, H, W) prior masks in [0, 1], at the same magnification.

    Returns:
        Its number.

    Example:
        >>> stripes = (torch.arange(32) % 8 < 2).float().expand(1, 1, 32, 32)
        >>> most_like_prior(torch.cat([1 - stripes, stripes], 1), stripes)
        1
    """
    distance = shape_statistics(assignments) - shape_statistics(masks)  # (K, 2)
    return int(distance.square().sum(1).argmin())


def with_first_cluster(net: TwoBranchNet, number: int) -> TwoBranchNet:
    """A copy of a network in which a cluster has changed places with cluster 0.

    Args:
        net: The network.
        number: Of the cluster.

    Raises:
        ValueError: There is no such cluster.
    """
    number = checks.whole(number, "number", 0, net.n_clusters - 1)
    net = deepcopy(net)
    order = list(range(net.n_clusters))
    order[0], order[number] = number, 0
    with torch.no_grad():
        for parameter in net.clustering_branch[-1].parameters():
            parameter.copy_(parameter[order].clone())
    return net


@torch.no_grad()
def begun_like_prior(
    net: TwoBranchNet,
    images: np.ndarray,
    inside: np.ndarray,
    make_pairs: PairMaker,
    settings: GuidedSettings,
) -> TwoBranchNet:
    """A copy of a network whose cluster 0 is the one most like the prior's masks.

    Args:
        net: A network that was trained without labels.
        images: (N, S, S, C) uint8 real images, `standardise`d.
        inside: (N, S, S) bool, their fields of view.
        make_pairs: Draws prior masks.
        settings: Of the guided training: size and scale of the crops, and seed.
    """
    nothing = np.zeros((len(images), 1, *images.shape[1:3]), bool)
    sizes = (settings.view_size, settings.crop_scale, not settings.upright)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        crops = LabelledPairs(images, nothing, inside, *sizes)(LOOKED_AT).images
        masks = make_pairs(LOOKED_AT).targets
    device, was_training = next(net.parameters()).device, net.training
    net.eval()
    assignments = torch.cat([net(part.to(device))[1].cpu() for part in crops.split(4)])
    net.train(was_training)
    return with_first_cluster(net, most_like_prior(assignments, masks.cpu()))
