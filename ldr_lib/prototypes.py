"""Clusters as prototypes on the sphere: a second stage that is ours, beside the paper's region
discrimination.

Each branch teaches the other. The clustering branch says where the prototypes lie. Which prototype
a patch is assigned to, in one view, is what both branches must answer for the same patch in the
other view.

Shapes in comments: N patches of all images, D embedding dimensions, K clusters.
"""

import torch
import torch.nn.functional as F

from .data.checks import number, whole
from .data.tensor_checks import bools, require, require_one_type, require_temperature
from .distributed import average, gather, own_share
from .vectors import region_vectors


def cluster_prototypes(embeddings: torch.Tensor, clusters: torch.Tensor) -> torch.Tensor:
    """The prototypes c_k of a batch, as region discrimination defines them, without gradient.

    c_k = L2(mean over images n of r_nk), where r_nk is the normalised mean of image n's embeddings
    weighted by its k-th cluster map, and L2 divides a vector by its length.

    Args:
        embeddings: (B, D, H, W) unit vectors v(p).
        clusters: (B, K, H, W) cluster assignments a_k(p) in [0, 1].

    Returns:
        (K, D) unit vectors.

    Raises:
        ValueError: The two differ in number of images or in size.

    Example:
        >>> cluster_prototypes(torch.rand(4, 32, 16, 16), torch.rand(4, 8, 16, 16)).shape
        torch.Size([8, 32])

    Source: Chen et al. 2021, section 3.3 (definition of c_k). Taught in notebook 02, section 5.
    """
    with torch.no_grad():
        regions = region_vectors(embeddings, clusters)  # (B, K, D)
        return F.normalize(average(regions.mean(0)), dim=1)


def balanced_assignment(
    similarity: torch.Tensor,
    sharpness: float = 0.05,
    rounds: int = 3,
    counted: torch.Tensor | None = None,
) -> torch.Tensor:
    """Assigns patches to prototypes so that all prototypes are used about equally in a batch.

    Sinkhorn's iteration: exp(similarity / sharpness) is scaled in turns until every column sums to
    N / K and every row to 1. No gradient passes.

    Args:
        similarity: (N, K) cosines of N patches and K prototypes.
        sharpness: Above 0; the smaller, the more decided.
        rounds: Of scaling, at least 1.
        counted: (N,) bool, which patches take part; by default all do.

    Returns:
        (N, K) shares, which sum to 1 over K, or are 0 for patches that take no part.

    Raises:
        ValueError: The similarities have other dimensions, or a number is out of range.

    Example:
        >>> everything_like_the_first = torch.tensor([[0.9, 0.1], [0.5, 0.1]])
        >>> balanced_assignment(everything_like_the_first, rounds=50).round(decimals=1).tolist()
        [[1.0, 0.0], [0.0, 1.0]]

    Source: Caron et al., NeurIPS 2020. Taught in notebook 02, section 5.
    """
    require("NK", similarity=similarity)
    number(sharpness, "sharpness", 0, 1e6, above=True)
    rounds = whole(rounds, "rounds", 1, 1000)
    everywhere = gather(similarity.detach().float())  # (M, K), the patches of all processes
    shares = (everywhere / sharpness - everywhere.max() / sharpness).exp()
    shares = shares * gather(bools(counted, "counted", similarity[:, 0]))[:, None]
    for _ in range(rounds):
        shares = shares / shares.sum(0).clamp(min=1e-12)  # all prototypes equally
        shares = shares / shares.sum(1, keepdim=True).clamp(min=1e-12)  # each patch wholly
    first = own_share().number * len(similarity)
    return shares[first : first + len(similarity)].to(similarity.dtype)


def _cross_entropy(shares: torch.Tensor, log_p: torch.Tensor) -> torch.Tensor:
    """The mean over patches that take part."""
    takes_part = shares.sum(1) > 0  # (N,)
    return -(shares * log_p).sum() / average(takes_part.sum() * 1.0).clamp(min=1)


def prototype_discrimination(
    first: torch.Tensor,
    second: torch.Tensor,
    prototypes: torch.Tensor,
    assigned: torch.Tensor,
    temperature: float = 0.1,
) -> torch.Tensor:
    """Prototype discrimination: a patch picks, among all prototypes, the one that its other view is
    assigned to.

    The mean of both directions of -sum_k q_k(other view) log P_k(this view), with
    P_k = exp(z . c_k / t) / sum_j exp(z . c_j / t). Patches of one cluster gather around its
    prototype, wherever they lie; patch discrimination pushes them apart.

    Args:
        first: (N, D) unit vectors z of the first views.
        second: (N, D) unit vectors; row i shows the same patch as row i of `first`.
        prototypes: (K, D) unit vectors c_k.
        assigned: (2N, K) shares q of both views, first views first, as `balanced_assignment`
            returns them.
        temperature: t > 0 above.

    Returns:
        Scalar loss.

    Raises:
        ValueError: The sizes do not fit, or the temperature is not above 0.

    Example:
        >>> z = torch.eye(4)  # four patches, each at its own prototype
        >>> right = prototype_discrimination(z, z, z, assigned=z.repeat(2, 1))
        >>> wrong = prototype_discrimination(z, z, z, assigned=z.flip(0).repeat(2, 1))
        >>> right.item() < 0.01 < wrong.item()
        True

    Source: swapped prediction, Caron et al., NeurIPS 2020, with the prototypes of Chen et al. 2021.
    Taught in notebook 02, section 5.
    """
    require("ND", first=first, second=second)
    require("KD", prototypes=prototypes)
    require_one_type(first=first, second=second, prototypes=prototypes)
    if prototypes.shape[1] != first.shape[1]:
        raise ValueError(
            f"prototypes must have the {first.shape[1]} dimensions of the patches, not "
            f"{prototypes.shape[1]}"
        )
    require_temperature(temperature)
    _require_assigned(assigned, len(first), len(prototypes))
    vectors = torch.cat([second, first])  # (2N, D): each row beside what its other view is
    return _cross_entropy(assigned, (vectors @ prototypes.T / temperature).log_softmax(1))


def cluster_prediction(
    first: torch.Tensor, second: torch.Tensor, assigned: torch.Tensor
) -> torch.Tensor:
    """The clustering branch answers, for each patch, what its other view is assigned to.

    Args:
        first: (N, K) cluster assignments of the patches of the first views, which sum to 1.
        second: (N, K) of the same patches in the second views.
        assigned: (2N, K) as in `prototype_discrimination`.

    Returns:
        Scalar loss, the mean of -sum_k q_k(other view) log a_k(this view).

    Raises:
        ValueError: The sizes do not fit.

    Example:
        >>> sure = torch.eye(4)
        >>> cluster_prediction(sure, sure, sure.repeat(2, 1)).item() == 0
        True

    Ours. Taught in notebook 02, section 5.
    """
    require("NK", first=first, second=second)
    _require_assigned(assigned, *first.shape)
    return _cross_entropy(assigned, torch.cat([second, first]).clamp(min=1e-6).log())


def _require_assigned(assigned: torch.Tensor, patches: int, clusters: int) -> None:
    require("NK", assigned=assigned)
    if assigned.shape != (2 * patches, clusters):
        raise ValueError(
            f"assigned must be shares of {2 * patches} patches, those of both views, in "
            f"{clusters} clusters, not {tuple(assigned.shape)}"
        )
