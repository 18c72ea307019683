"""Vectors that the losses compare, and that need no label: those of patches, and those of regions.

Shapes in comments: B images, D embedding dimensions, K clusters, G grid cells along a side, N
images, P pixels.
"""

import torch
import torch.nn.functional as F

from .data.checks import whole
from .data.tensor_checks import require as _require
from .data.tensor_checks import require_one_type as _require_one_type


def patch_grid(embeddings: torch.Tensor, grid: int = 8) -> torch.Tensor:
    """Patch vectors: the normalised mean embedding of every cell of a grid.

    z_r = L2(mean over p in cell r of v(p)), where L2 divides a vector by its length.

    Args:
        embeddings: (B, D, H, W) unit vectors v(p).
        grid: Cells G along each side, at least 1.

    Returns:
        (B, D, G, G) unit vectors.

    Raises:
        ValueError: The embeddings have other dimensions, or G is no whole number of at least 1.

    Example:
        >>> patch_grid(torch.rand(2, 32, 64, 64), grid=8).shape
        torch.Size([2, 32, 8, 8])

    Source: Chen et al. 2021, section 3.2 (definition of z_r). Taught in notebook 02, section 3.
    """
    _require("BDHW", embeddings=embeddings)
    grid = whole(grid, "grid", 1, 4096)
    means = F.adaptive_avg_pool2d(embeddings, grid)  # (B, D, H, W) to (B, D, G, G)
    return F.normalize(means, dim=1)


def patch_rows(grid: torch.Tensor) -> torch.Tensor:
    """The vectors of all cells as rows.

    Args:
        grid: (B, D, G, G) patch vectors.

    Returns:
        (B * G * G, D), image by image, row by row of the grid.

    Raises:
        ValueError: The grid has other dimensions.

    Example:
        >>> patch_rows(torch.rand(2, 32, 8, 8)).shape
        torch.Size([128, 32])

    Taught in notebook 02, section 3.
    """
    _require("BDGG", grid=grid)
    cells_last = grid.permute(0, 2, 3, 1)  # (B, G, G, D)
    return cells_last.flatten(0, 2)  # (B * G * G, D)


def region_vectors(embeddings: torch.Tensor, clusters: torch.Tensor) -> torch.Tensor:
    """Region vectors: the normalised mean of image n's embeddings, weighted by its k-th cluster
    map.

    r_nk = L2(mean over p of a_k(p) v(p)), written as a matrix product: the literal product over
    images, clusters, dimensions and pixels takes K * D times the memory of an image.

    Args:
        embeddings: (N, D, H, W) unit vectors v(p) of N images.
        clusters: (N, K, H, W) cluster assignments a_k(p) in [0, 1].

    Returns:
        (N, K, D) unit vectors.

    Raises:
        ValueError: The two differ in number of images, in size or in type.

    Example:
        >>> region_vectors(torch.rand(4, 32, 16, 16), torch.rand(4, 8, 16, 16)).shape
        torch.Size([4, 8, 32])

    Source: Chen et al. 2021, section 3.3 (definition of r_nk). Taught in notebook 02, section 5.
    """
    _require("NDHW", embeddings=embeddings)
    _require("NKHW", clusters=clusters)
    if embeddings.shape[0] != clusters.shape[0] or embeddings.shape[2:] != clusters.shape[2:]:
        raise ValueError(
            f"embeddings {tuple(embeddings.shape)} and clusters {tuple(clusters.shape)} "
            "must agree in N, H and W"
        )
    _require_one_type(embeddings=embeddings, clusters=clusters)
    v, a = embeddings.flatten(2), clusters.flatten(2)  # (N, D, P) and (N, K, P), P = H * W
    sums = torch.einsum("ndp,nkp->nkd", v, a)  # (N, K, D)
    return F.normalize(sums / embeddings[0, 0].numel(), dim=2)
