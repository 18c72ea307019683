"""All losses: local discrimination (notebook 02), guided clusters (notebook 04), segmentation and
its baselines (notebook 05).
"""

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


def patch_rows(grid: torch.Tensor) -> torch.Tensor:
    """The vectors of all cells as rows, (B, D, G, G) to (B * G * G, D).

    Taught in notebook 02, section 3.
    """
    return grid.permute(0, 2, 3, 1).flatten(0, 2)


def patch_discrimination(
    anchors: torch.Tensor, positives: torch.Tensor, temperature: float = 0.1
) -> torch.Tensor:
    """Pulls the two views of a patch together and pushes all other patches apart.

    Every one of the 2N rows is an anchor once. Its probability of picking row j among all others is
    P_ij = exp(z_i . sg z_j / t) / sum_{k != i} exp(z_i . sg z_k / t), with sg the stop-gradient,
    and the loss is -(1/2N) sum_i [log P_{i,p(i)} + sum_{j != i,p(i)} log(1 - P_ij)].

    Args:
        anchors: (N, D) unit vectors.
        positives: (N, D) unit vectors; row i shows the same patch as row i of `anchors`.
        temperature: t above.

    Returns:
        Scalar loss. For 1024 rows in all: 7.93 when all vectors are equal, about 9.31 for random
        ones.

    Raises:
        ValueError: The two sets differ in shape, or hold fewer than two patches together with their
            pairs.

    Source: Ye et al., CVPR 2019, used in Chen et al. 2021, section 3.2. Taught in notebook 02,
    section 3.
    """
    if anchors.ndim != 2 or anchors.shape != positives.shape:
        raise ValueError(
            f"anchors and positives must both be (N, D), not {tuple(anchors.shape)} and {tuple(positives.shape)}"
        )
    if len(anchors) < 2:
        raise ValueError(
            "patch discrimination needs at least two patches: with one there is nothing to discriminate"
        )
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
    mixed: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    lam: torch.Tensor,
    temperature: float = 0.1,
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
    return patch_discrimination(patch_rows(mixed), patch_rows(target), temperature)


def region_vectors(embeddings: torch.Tensor, clusters: torch.Tensor) -> torch.Tensor:
    """Region embeddings r_nk: the normalised mean of image n's embeddings, weighted by its k-th
    cluster map.

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

    With r_nk from `region_vectors` and prototypes c_k = L2(mean_n r_nk), which keep their gradient,
    the loss is the cross-entropy of picking c_k for r_nk under softmax(r_nk . c_j / t).

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
    """How far the cluster areas of each image are from equal: mean over n and k of (mean_p a_k(p) -
    1/K)^2.

    Region discrimination hardly notices a cluster that has shrunk to almost nothing; this term
    does.

    Args:
        clusters: (N, K, H, W) assignments.

    Returns:
        Scalar, 0 for equal areas, (K - 1)/K^2 when one cluster takes everything.

    Source: Chen et al. 2021 (conference version's area term). Taught in notebook 02, section 5.
    """
    areas = clusters.mean((2, 3))
    return (areas - 1 / clusters.shape[1]).square().mean()


def soft_dice_loss(maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Soft Dice loss 1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1), sums over the whole batch, mean
    over structures.

    Args:
        maps: (B, n, H, W) probabilities p in [0, 1].
        targets: (B, n, H, W) masks t in [0, 1].

    Returns:
        Scalar in [0, 1]. Equal to MONAI's `DiceLoss(batch=True, smooth_nr=1, smooth_dr=1)`.

    Example:
        >>> mask = torch.ones(2, 1, 8, 8)
        >>> round(soft_dice_loss(mask, mask).item(), 3), round(soft_dice_loss(0 * mask, mask).item(), 3)
        (0.0, 0.992)

    Source: Chen et al. 2021, section 4. Taught in notebook 05, section 2.
    """
    p, over_images = maps.float(), (0, 2, 3)
    intersection = (p * targets).sum(over_images)  # (n,)
    total = p.sum(over_images) + targets.sum(over_images)  # (n,)
    return (1 - (2 * intersection + 1) / (total + 1)).mean()


def guided_loss(maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice of the structure maps against the masks that the images were
    rendered from.

    Args:
        maps: (B, n, H, W) structure maps in [0, 1].
        targets: (B, n, H, W) masks in [0, 1].

    Returns:
        Scalar.

    Example:
        >>> mask = torch.ones(2, 1, 8, 8)
        >>> guided_loss(mask, mask).item() < guided_loss(0.5 * mask, mask).item()
        True

    Ours, not published. Taught in notebook 04, section 3.
    """
    return calibration_loss(maps, targets) + soft_dice_loss(maps, targets)


def calibration_loss(maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy alone: recalibrates over-confident maps to probabilities, so that one half is a
    fair threshold.

    Args:
        maps: (B, n, H, W) structure maps in [0, 1].
        targets: (B, n, H, W) masks in [0, 1].

    Returns:
        Scalar.

    Example:
        >>> round(calibration_loss(torch.full((1, 1, 4, 4), 0.5), torch.ones(1, 1, 4, 4)).item(), 3)
        0.693

    Ours, not published. Taught in notebook 04, section 4.
    """
    return F.binary_cross_entropy(maps.float().clamp(1e-5, 1 - 1e-5), targets)


def confident_loss(
    maps: torch.Tensor, teacher_maps: torch.Tensor, confidence: float = 0.8
) -> torch.Tensor:
    """Cross-entropy against confident pseudo-labels.

    Args:
        maps: (B, n, H, W) structure maps in [0, 1].
        teacher_maps: (B, n, H, W) maps of the teacher in [0, 1].
        confidence: Pixels count where the teacher's map lies above this value or below one minus
            it; above one half the pseudo-label is 1, else 0.

    Returns:
        Scalar.

    Example:
        >>> teacher = torch.tensor([0.9, 0.5]).reshape(1, 1, 1, 2)
        >>> round(confident_loss(torch.tensor([0.5, 0.1]).reshape(1, 1, 1, 2), teacher).item(), 3)
        0.693

    Source: the refinement stage of the extension (Chen et al. 2021b), simplified. Taught in
    notebook 04, section 4.
    """
    confident = ((teacher_maps > confidence) | (teacher_maps < 1 - confidence)).float()
    pseudo_labels = (teacher_maps > 0.5).float()
    p = maps.float().clamp(1e-5, 1 - 1e-5)
    entropy = F.binary_cross_entropy(p, pseudo_labels, reduction="none")  # (B, n, H, W)
    return (entropy * confident).sum() / confident.sum().clamp(min=1)


def adversarial_losses(
    discriminator: torch.nn.Module, maps: torch.Tensor, masks: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What both players of the adversarial game minimise, in one backward pass.

    The network minimises BCE(D(maps), 1) with D's weights held fixed; the discriminator minimises
    the mean of BCE(D(masks), 1) and BCE(D(sg maps), 0), with sg the stop-gradient.

    Args:
        discriminator: D, for example `ldr_lib.guided.adversary.Discriminator`.
        maps: (B, n, H, W) structure maps in [0, 1].
        masks: (M, n, H, W) prior masks in [0, 1], softened as `ldr_lib.guided.adversary.soften`
            does.

    Returns:
        The network's and the discriminator's loss; gradients of the first reach only the maps, of
        the second only D.

    Example:
        >>> judge = torch.nn.Conv2d(1, 1, 3)
        >>> network, game = adversarial_losses(judge, torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8))
        >>> network.ndim, game.ndim
        (0, 0)

    Source: Chen et al. 2021, section 3.4. Taught in notebook 04, section 2.
    """
    fixed = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    fooled = torch.func.functional_call(discriminator, fixed, (maps,))
    real, fake = discriminator(masks), discriminator(maps.detach())
    bce = F.binary_cross_entropy_with_logits
    network_loss = bce(fooled, torch.ones_like(fooled))
    discriminator_loss = (bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))) / 2
    return network_loss, discriminator_loss


def info_nce(queries: torch.Tensor, keys: torch.Tensor, temperature: float = 0.2) -> torch.Tensor:
    """Cross-entropy of picking one's own key among all keys of the batch.

    Args:
        queries: (N, D) unit vectors.
        keys: (N, D) unit vectors; row i is the key of row i of `queries`.
        temperature: Divides the scalar products.

    Returns:
        Scalar; ln N when all vectors are equal.

    Example:
        >>> round(info_nce(torch.ones(8, 1), torch.ones(8, 1)).item(), 3)
        2.079

    Source: van den Oord et al. 2018. Taught in notebook 02, section 3 and notebook 05, section 3.
    """
    rows = torch.arange(len(queries), device=queries.device)
    return F.cross_entropy(queries @ keys.T / temperature, rows)


def dense_contrast(
    queries: torch.Tensor, keys: torch.Tensor, partners: torch.Tensor, temperature: float = 0.2
) -> torch.Tensor:
    """Each position of a feature map picks its partner in the other view among the pooled vectors
    of other images.

    Args:
        queries: (N, D, P) unit vectors at P positions of N images.
        keys: (N, D, P) unit vectors of the other view.
        partners: (N, P) position of each query's partner.
        temperature: Divides the scalar products.

    Returns:
        Scalar.

    Example:
        >>> v = F.normalize(torch.randn(3, 8, 4), dim=1)
        >>> dense_contrast(v, v, torch.arange(4).expand(3, -1)).ndim
        0

    Source: Wang et al., CVPR 2021 (DenseCL), negatives from the batch. Taught in notebook 05,
    section 3.
    """
    partner = keys.gather(2, partners[:, None].expand(-1, keys.shape[1], -1))  # (N, D, P)
    positive = (queries * partner).sum(1)  # (N, P)
    pooled = F.normalize(keys.mean(2).float(), dim=1)  # (N, D)
    negative = torch.einsum("ndp,md->nmp", queries, pooled)  # (N, N, P)
    own = torch.eye(len(queries), dtype=torch.bool, device=queries.device)[..., None]
    logits = torch.cat([positive[:, None], negative.masked_fill(own, -torch.inf)], 1) / temperature
    return -logits.log_softmax(1)[:, 0].mean()


def masked_reconstruction(
    filled: torch.Tensor, images: torch.Tensor, hidden: torch.Tensor
) -> torch.Tensor:
    """Mean squared error of what was hidden.

    Args:
        filled: (B, C, H, W) reconstruction.
        images: (B, C, H, W) in [0, 1].
        hidden: (B, 1, H, W), 1 where a pixel was hidden.

    Returns:
        Scalar.

    Example:
        >>> x = torch.zeros(1, 3, 4, 4)
        >>> masked_reconstruction(x + 0.5, x, torch.ones(1, 1, 4, 4)).item()
        0.25

    Source: Vincent et al., JMLR 2010; Pathak et al., CVPR 2016. Taught in notebook 05, section 3.
    """
    errors = (filled.float() - images).square() * hidden
    return errors.sum() / (hidden.sum() * images.shape[1]).clamp(min=1)
