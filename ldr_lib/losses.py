"""The five losses of local discrimination, written as matrix products over whole batches."""

import math

import torch
import torch.nn.functional as F


def patch_grid(embeddings: torch.Tensor, grid: int = 8) -> torch.Tensor:
    """Patch vectors z_r: the normalised mean embedding of every cell of a grid.

    Args:
        embeddings: (B, D, H, W) unit vectors.
        grid: Cells G along each side.

    Returns:
        (B, D, G, G) unit vectors.

    Source: Chen et al. 2021, section 3.2. Taught in notebook 02, section 3.
    """
    return F.normalize(F.adaptive_avg_pool2d(embeddings, grid), dim=1)


def patch_discrimination(anchors: torch.Tensor, positives: torch.Tensor, temperature: float = 0.1) -> torch.Tensor:
    """Pulls the two views of a patch together and pushes all other patches apart.

    Every one of the 2N rows is an anchor once. Its probability of picking row j among all others is
    P_ij = exp(z_i . sg z_j / t) / sum_{k != i} exp(z_i . sg z_k / t), with sg the stop-gradient, and the loss is
    -(1/2N) sum_i [log P_{i,p(i)} + sum_{j != i,p(i)} log(1 - P_ij)].

    Args:
        anchors: (N, D) unit vectors.
        positives: (N, D) unit vectors; row i shows the same patch as row i of `anchors`.
        temperature: t above.

    Returns:
        Scalar loss. For 1024 rows in all: 7.93 when all vectors are equal, about 9.31 for random ones.

    Raises:
        ValueError: The two sets differ in shape, or hold fewer than two patches together with their pairs.

    Source: Ye et al., CVPR 2019, used in Chen et al. 2021, section 3.2. Taught in notebook 02, section 3.
    """
    if anchors.ndim != 2 or anchors.shape != positives.shape:
        raise ValueError(
            f"anchors and positives must both be (N, D), not {tuple(anchors.shape)} and {tuple(positives.shape)}"
        )
    if len(anchors) < 2:
        raise ValueError("patch discrimination needs at least two patches: with one there is nothing to discriminate")
    vectors = torch.cat([anchors, positives])
    rows = torch.arange(len(vectors), device=vectors.device)
    partner = rows.roll(len(anchors))
    logits = vectors @ vectors.detach().T / temperature
    logits = logits.masked_fill(rows[:, None] == rows, -torch.inf)
    log_p = logits.log_softmax(1)
    log_not_p = torch.log1p(-log_p.exp().clamp(max=1 - 1e-6))
    negatives = log_not_p.sum(1) - log_not_p[rows, partner]
    return -(log_p[rows, partner] + negatives).mean()


def hypersphere_mixup(
    mixed: torch.Tensor, first: torch.Tensor, second: torch.Tensor, lam: torch.Tensor, temperature: float = 0.1
) -> torch.Tensor:
    """Asks that the patches of a mixed image lie between those of its two sources on the sphere.

    The target of patch r is t_r = sg L2(lam z_r(first) + (1 - lam) z_r(second)); the loss is
    `patch_discrimination` of the mixed patches and their targets.

    Args:
        mixed: (B, D, G, G) patch vectors of lam * first image + (1 - lam) * second image.
        first: (B, D, G, G) patch vectors of the first image.
        second: (B, D, G, G) patch vectors of the second image.
        lam: Share of the first image in [0, 1], one number or (B,).
        temperature: As in `patch_discrimination`.

    Returns:
        Scalar loss.

    Raises:
        ValueError: The three grids differ in shape.

    Source: Chen et al. 2021, section 3.2 (hypersphere mixup). Taught in notebook 02, section 4.
    """
    if not mixed.shape == first.shape == second.shape or mixed.ndim != 4:
        raise ValueError(
            "mixed, first and second must be patch grids (B, D, G, G) of one shape, not "
            f"{tuple(mixed.shape)}, {tuple(first.shape)} and {tuple(second.shape)}"
        )
    lam = torch.as_tensor(lam, dtype=first.dtype, device=first.device).reshape(-1, 1, 1, 1)
    target = F.normalize(lam * first + (1 - lam) * second, dim=1).detach()
    rows = lambda grid: grid.permute(0, 2, 3, 1).flatten(0, 2)
    return patch_discrimination(rows(mixed), rows(target), temperature)


def region_vectors(embeddings: torch.Tensor, clusters: torch.Tensor) -> torch.Tensor:
    """Region embeddings r_nk: the normalised mean of image n's embeddings, weighted by its k-th cluster map.

    Args:
        embeddings: (N, D, H, W) unit vectors.
        clusters: (N, K, H, W) cluster assignments.

    Returns:
        (N, K, D) unit vectors.

    Raises:
        ValueError: The two differ in number of images or in size.

    Source: Chen et al. 2021, section 3.3. Taught in notebook 02, section 5.
    """
    if embeddings.shape[0] != clusters.shape[0] or embeddings.shape[2:] != clusters.shape[2:]:
        raise ValueError(
            f"embeddings {tuple(embeddings.shape)} and clusters {tuple(clusters.shape)} must agree in N, H and W"
        )
    sums = torch.einsum("ndp,nkp->nkd", embeddings.flatten(2), clusters.flatten(2))
    return F.normalize(sums / embeddings[0, 0].numel(), dim=2)


def region_discrimination(
    embeddings: torch.Tensor, clusters: torch.Tensor, temperature: float = 0.2
) -> torch.Tensor:
    """Asks that region k of every image lies near prototype k and far from the other prototypes.

    With r_nk from `region_vectors` and prototypes c_k = L2(mean_n r_nk), which keep their gradient, the loss is the
    cross-entropy of picking c_k for r_nk under softmax(r_nk . c_j / t).

    Args:
        embeddings: (N, D, H, W) unit vectors.
        clusters: (N, K, H, W) cluster assignments.
        temperature: t above.

    Returns:
        Scalar loss; ln K when all regions coincide.

    Raises:
        ValueError: The two differ in number of images or in size.

    Source: Chen et al. 2021, section 3.3 (local discrimination). Taught in notebook 02, section 5.
    """
    regions = region_vectors(embeddings, clusters)
    prototypes = F.normalize(regions.mean(0), dim=1)
    logits = regions @ prototypes.T / temperature
    return -logits.log_softmax(2).diagonal(dim1=1, dim2=2).mean()


def cluster_entropy(clusters: torch.Tensor) -> torch.Tensor:
    """Mean binary entropy of the cluster assignments in bits: low when every pixel is decided.

    Args:
        clusters: (N, K, H, W) assignments in [0, 1].

    Returns:
        Scalar in [0, 1] bits.

    Source: Chen et al. 2021, section 3.3. Taught in notebook 02, section 5.
    """
    a = clusters.clamp(1e-7, 1 - 1e-7)
    return (torch.special.entr(a) + torch.special.entr(1 - a)).mean() / math.log(2)


def cluster_area(clusters: torch.Tensor) -> torch.Tensor:
    """How far the cluster areas of each image are from equal: mean over n and k of (mean_p a_k(p) - 1/K)^2.

    Region discrimination hardly notices a cluster that has shrunk to almost nothing; this term does.

    Args:
        clusters: (N, K, H, W) assignments.

    Returns:
        Scalar, 0 for equal areas, (K - 1)/K^2 when one cluster takes everything.

    Source: Chen et al. 2021 (conference version's area term). Taught in notebook 02, section 5.
    """
    areas = clusters.mean((2, 3))
    return (areas - 1 / clusters.shape[1]).square().mean()
