"""Signs of a healthy network that need no masks."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from ..data import checks
from ..data.checks import as_bytes, instance, named
from ..data.errors import DataError
from ..device import mixed_precision
from ..losses import patch_grid, patch_rows
from ..network import TwoBranchNet, require_embedding
from ..settings import Settings

AT_MOST = 16
"""Images that are looked at."""


def _seen_by(net: TwoBranchNet, images: np.ndarray, settings: Settings) -> np.ndarray:
    """Images as bytes, which a network with these settings can look at."""
    require_embedding(net)
    instance(settings, Settings, "settings", "Settings")
    images = as_bytes(images, "images", "NSSC")
    if images.shape[1] != images.shape[2] or images.shape[3] != net.in_channels:
        raise DataError(
            f"the network takes square images (N, S, S, {net.in_channels}), not {images.shape}"
        )
    return images


@torch.no_grad()
def _patches_of_two_views(
    net: TwoBranchNet, images: np.ndarray, settings: Settings, seed: int
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Of each training step's images, the vectors of patches in the first and in the second views,
    (P, D) each, partners in one row. Patches with black pixels are left out.
    """
    if len(images) == 1:
        images = np.repeat(images, 2, axis=0)  # a small folder holds out one
    n = min(len(images), AT_MOST) // 2 * 2
    if n < 2:
        raise DataError("at least one image is needed, not 0")
    device = next(net.parameters()).device
    x = torch.from_numpy(np.array(images[:n])).to(device).permute(0, 3, 1, 2)  # (n, C, S, S)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(checks.seed(seed))
        seen = (x.amax(1, keepdim=True) > 0).to(x.dtype)  # (n, 1, S, S)
        maker = replace(settings.view_maker, appearances=1, field_of_view=True)
        views = maker(torch.cat([x, seen], 1))
        with mixed_precision(device, net):
            first, second = (
                patch_grid(net.embed(view), settings.grid) for view in (views.first, views.second)
            )  # (n, D, G, G) each
    counted = views.cells_inside(settings.grid)  # (n, G, G)
    steps = zip(
        *(part.split(2 * settings.pairs) for part in (first, views.realign(second), counted))
    )
    return [
        (patch_rows(one)[inside.flatten()].float(), patch_rows(other)[inside.flatten()].float())
        for one, other, inside in steps
    ]


def alignment_and_uniformity(
    net: TwoBranchNet, images: np.ndarray, settings: Settings, seed: int = 0
) -> tuple[float, float]:
    """How near partners lie, and how evenly all lie on the sphere.

    Args:
        net: A network; it is put back into the mode it was in.
        images: (N, S, S, C) uint8 or floats in [0, 1]; an even number of them is used, 16 at
            most, and a single one twice.
        settings: Views and patch grid.
        seed: Fixes the views.

    Returns:
        Alignment, the mean squared distance of the vectors of one patch in two views, 0 (the same)
        to 4; and uniformity, the logarithm of the mean of exp(-2 d^2) over pairs of different
        patches: 0 when all coincide, about -3.75 when spread evenly in 32 dimensions.

    Raises:
        DataError: No images, or of another type, range or shape.
        ValueError: The network embeds no pixels, or there are no settings.

    Source: Wang and Isola, ICML 2020. Taught in notebook 03, section 5.
    """
    images = _seen_by(net, images, settings)
    with _evaluating(net):
        steps = _patches_of_two_views(net, images, settings, seed)
    return _alignment(steps), _uniformity(steps)


def _alignment(steps: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    return float(torch.cat([(one - other).square().sum(1) for one, other in steps]).mean())


def _uniformity(steps: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    distances = torch.pdist(torch.cat([one for one, _ in steps]))
    return float(distances.square().mul(-2).exp().mean().log())


def _effective_rank(vectors: torch.Tensor) -> float:
    """Exponential of the entropy of the variance's shares along the principal axes of vectors
    (D, P); 1 where all coincide (Roy and Vetterli 2007).
    """
    variances = torch.linalg.eigvalsh(torch.cov(vectors.double())).clamp(min=0)
    shares = variances / variances.sum().clamp(min=1e-12)
    return float(torch.special.entr(shares).sum().exp())


def _top_1(steps: list[tuple[torch.Tensor, torch.Tensor]]) -> float:
    """Share of patches whose most similar patch, among all others of a training step, is their
    partner.
    """
    hits = []
    for pair in steps:
        vectors = torch.cat(pair)  # (M, D)
        if not len(vectors):
            continue
        similarity = (vectors @ vectors.T).fill_diagonal_(-torch.inf)  # (M, M)
        partner = torch.arange(len(vectors), device=vectors.device).roll(len(vectors) // 2)
        hits.append(similarity.argmax(1) == partner)
    return float(torch.cat(hits).float().mean()) if hits else float("nan")


@contextmanager
def _evaluating(net: TwoBranchNet) -> Iterator[None]:
    """Puts a network into evaluation mode, and back into the mode it was in."""
    was_training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(was_training)


@torch.no_grad()
def health(net: TwoBranchNet, images: np.ndarray, settings: Settings, seed: int = 0) -> pd.Series:
    """Signs of a healthy network that need no masks.

    Args:
        net: A network; it is put back into the mode it was in.
        images: (N, S, S, C) uint8 or floats in [0, 1], with S a multiple of 16; an even number of
            them is used, 16 at most. Black pixels are taken to lie outside the field of view.
        settings: Views, patch grid and images per step.
        seed: Fixes the views.

    Returns:
        A value for each sign:

        - "top-1 patch match": share of patches in the field of view whose most similar patch, among
          all others of one training step, is their partner in the other view; 1 is perfect.
        - "largest share": mean over pixels of the largest cluster assignment; 1/K when every pixel
          is undecided, 1 when every pixel is decided.
        - "decided pixels": share of pixels with one assignment above one half.
        - "cosine after a half turn", "cosine after a flip": mean cosine between a pixel's embedding
          and its embedding in the image turned by 180 degrees, or mirrored left to right; 1 when
          orientation is ignored, and also when all embeddings coincide.
        - "effective rank": how many dimensions the embeddings use, the exponential of the entropy
          of their variance's share along each principal axis; 1 to D.
        - "alignment" and "uniformity": see `alignment_and_uniformity`.

        The two signs of clusters are nan where the network has no clustering branch.

    Raises:
        DataError: No images, black ones, or of another type, range or shape.
        ValueError: The network embeds no pixels, or there are no settings.

    Taught in notebook 02, section 7.
    """
    images = _seen_by(net, images, settings)
    if len(images) and not images[:2].any():
        raise DataError("the first images are black: there is no field of view to look at")
    with _evaluating(net):
        steps = _patches_of_two_views(net, images, settings, seed)
        upright, turned, flipped, largest = [], [], [], []
        for image in images[:AT_MOST]:
            v, share = _embed_one(net, image)
            half_turn, _ = _embed_one(net, np.rot90(image, 2))
            mirrored, _ = _embed_one(net, np.fliplr(image))
            inside = torch.from_numpy(image.any(-1)).to(v.device)  # (S, S)
            upright.append(v[:, inside])  # (D, P)
            turned.append(half_turn.rot90(2, (1, 2))[:, inside])
            flipped.append(mirrored.flip(2)[:, inside])
            largest.append(
                torch.full_like(v[0], torch.nan)[inside] if share is None else share.amax(0)[inside]
            )
    upright, turned, flipped = (torch.cat(parts, 1) for parts in (upright, turned, flipped))
    shares = torch.cat(largest)
    decided = (shares > 0.5).float().mean() if not shares.isnan().any() else torch.nan
    return pd.Series(
        {
            "top-1 patch match": _top_1(steps),
            "largest share": float(shares.mean()),
            "decided pixels": float(decided),
            "cosine after a half turn": float((upright * turned).sum(0).mean()),
            "cosine after a flip": float((upright * flipped).sum(0).mean()),
            "alignment": _alignment(steps),
            "uniformity": _uniformity(steps),
            "effective rank": _effective_rank(upright),
        }
    )


def _embed_one(net: TwoBranchNet, image: np.ndarray) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Embeddings (D, S, S) and cluster assignments (K, S, S) of one image."""
    device = next(net.parameters()).device
    x = torch.from_numpy(np.array(image)).to(device).permute(2, 0, 1)[None].float() / 255
    with mixed_precision(device, net):
        if getattr(net, "clustering_branch", None) is None:
            return net.embed(x)[0], None
        v, a = net(x)
    return v[0], a[0]


def health_table(
    nets: dict[str, TwoBranchNet], images: np.ndarray, settings: Settings, seed: int = 0
) -> pd.DataFrame:
    """The `health` of several networks on the same views, one row for each.

    Args:
        nets: Row name to network.
        images: As in `health`.
        settings: As in `health`.
        seed: Fixes the views.

    Returns:
        One column for each sign.

    Raises:
        DataError: As in `health`.
        ValueError: As in `health`, or there is no network.

    Taught in notebook 02, section 7.
    """
    nets = named(nets, "nets", "its network")
    return pd.DataFrame({name: health(net, images, settings, seed) for name, net in nets.items()}).T
