"""Have clusters and prototypes parted? Signs that need no masks."""

import numpy as np
import pandas as pd
import torch

from ..data.checks import as_bytes, instance, mask, one_shape
from ..network import TwoBranchNet
from ..prototypes import cluster_prototypes


@torch.no_grad()
def cluster_signs(net: TwoBranchNet, images: np.ndarray, inside: np.ndarray) -> pd.Series:
    """How decided the clusters are, and how similar their prototypes.

    Args:
        net: A network; it is put back into the mode it was in.
        images: (N, S, S, C) uint8 or floats in [0, 1], all of which are looked at together.
        inside: (N, S, S) bool, pixels that count for the largest share.

    Returns:
        "mean largest share", the mean over pixels of the largest assignment, and "1/K", what it is
        where every pixel is undecided; "mean cosine of two prototypes" and "largest", over all
        pairs of prototypes, 1 where two are one and the same.

    Raises:
        DataError: The images are neither uint8 nor floats in [0, 1].
        ValueError: The network has no clusters or only one, the shapes do not fit, or no
            pixel lies inside.

    Taught in notebook 02, section 7.
    """
    instance(net, TwoBranchNet, "net", "a TwoBranchNet")
    if net.n_clusters < 2:
        raise ValueError("net must have at least two clusters, so that two can be compared")
    images, inside = as_bytes(images, "images", "NSSC"), mask(inside, "inside", "NSS")
    one_shape(inside=inside, **{"the pixels of images": images[..., 0]})
    if not inside.any():
        raise ValueError("inside holds no pixel")
    device, was_training = next(net.parameters()).device, net.training
    x = torch.tensor(images, device=device).permute(0, 3, 1, 2) / 255  # (N, C, S, S)
    net.eval()
    try:
        v, a = net(x)  # (N, D, S, S) and (N, K, S, S)
    finally:
        net.train(was_training)
    c = cluster_prototypes(v, a).cpu()  # (K, D)
    similar = (c @ c.T)[np.triu_indices(len(c), 1)]  # (K (K - 1) / 2,)
    return pd.Series(
        {
            "mean largest share": float(a.amax(1).cpu().numpy()[inside].mean()),
            "1/K": 1 / len(c),
            "mean cosine of two prototypes": similar.mean().item(),
            "largest": similar.max().item(),
        }
    )
