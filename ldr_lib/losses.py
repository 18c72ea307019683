"""All losses: local discrimination (notebook 02), guided clusters (notebook 04a), segmentation and
the other pretrainings that it is compared with (notebook 05).

Shapes in comments: B images, D embedding dimensions, K clusters, G grid cells along a side, N
patches (or images, where a docstring says so), n structures, P pixels.

Where several processes train together (`ldr_lib.distributed`), each calls a loss with its share of
the batch; the mean of what they get is the loss of the whole batch. `gather`, `average` and `total`
bring what a share must know of the others.
"""

import math

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from .data.checks import instance, number
from .data.tensor_checks import bools as _bools
from .data.tensor_checks import require as _require
from .data.tensor_checks import require_one_type as _require_one_type
from .data.tensor_checks import require_temperature as _require_temperature
from .distributed import average, gather, own_share, total
from .vectors import patch_grid as patch_grid
from .vectors import patch_rows, region_vectors


def patch_discrimination(
    anchors: torch.Tensor,
    positives: torch.Tensor,
    temperature: float = 0.1,
    counted: torch.Tensor | None = None,
) -> torch.Tensor:
    """Patch discrimination L_pd: pulls the two views of a patch together and pushes all other
    patches apart.

    Every one of the 2N rows is an anchor once. Its probability of picking row j among all others is
    P_ij = exp(z_i . sg z_j / t) / sum_{k != i} exp(z_i . sg z_k / t), with sg the stop-gradient,
    and the loss is -(1/2N) sum_i [log P_{i,p(i)} + sum_{j != i,p(i)} log(1 - P_ij)].

    Args:
        anchors: (N, D) unit vectors, N >= 2.
        positives: (N, D) unit vectors; row i shows the same patch as row i of `anchors`.
        temperature: t > 0 above; the smaller, the more the nearest patches dominate.
        counted: (N,) bool, which patches take part, for example those in the field of view; by
            default all do.

    Returns:
        Scalar loss. For 1024 rows in all: 7.93 when all vectors are equal, about 9.3 for random
        ones.

    Raises:
        ValueError: The two sets differ in shape, or hold fewer than two patches together with their
            pairs; `counted` is not one bool a patch; the temperature is not above 0.

    Example:
        >>> equal = torch.ones(512, 1)  # all 1024 rows are one and the same unit vector
        >>> round(patch_discrimination(equal, equal).item(), 2)
        7.93

    Source: Ye et al., CVPR 2019, used in Chen et al. 2021, section 3.2 (equations of P_ij and
    L_pd). Taught in notebook 02, section 3.
    """
    _require("ND", anchors=anchors, positives=positives)
    _require_temperature(temperature)
    if len(anchors) < 2:
        raise ValueError(
            "patch discrimination needs at least two patches: "
            "with one there is nothing to discriminate"
        )
    vectors = torch.cat([anchors, positives])  # (2N, D)
    counts = _bools(counted, "counted", anchors[:, 0]).repeat(2)  # (2N,)
    others = gather(vectors.detach())  # (M, D), M = 2N * processes; detach is the stop-gradient
    all_count = gather(counts)  # (M,)
    place = all_count.cumsum(0) - 1  # of a row among those that count
    first = own_share().number * len(vectors)  # row i is row first + i of `others`
    itself = place[first : first + len(vectors)]
    partner = itself.roll(len(anchors))  # row of `others` that shows the same patch as row i
    rows = vectors[counts], others[all_count], itself[counts], partner[counts]
    return _Discrimination.apply(*rows, temperature) / average(counts.sum() * 1.0).clamp(min=1)


class _Discrimination(torch.autograd.Function):
    """The sum over rows i of -log P_ip - sum_{j != i, p} log(1 - P_ij), p the partner of i.

    Its derivative by the similarity l_ik = z_i . z_k / t is w_k + P_ik (1 - sum_j w_j) - [k = p]
    with w_j = P_ij / (1 - P_ij) for j other than i and p. It is known as soon as P is, so that the
    rows are taken in blocks which stay in the processor's cache, and no (2N, M) table is kept.
    """

    @staticmethod
    def forward(context, vectors, others, itself, partner, temperature):
        total, gradient = vectors.new_zeros(()), torch.empty_like(vectors)
        by_temperature = vectors.new_zeros(())
        block = max(1, BLOCKS[vectors.device.type == "cuda"] // max(1, len(others)))
        parts = (part.split(block) for part in (vectors, itself, partner, gradient))
        for z, i, p, found in zip(*parts):
            rows = torch.arange(len(z), device=z.device)
            logits = z @ others.T / temperature  # (R, M), R rows of a block
            logits[rows, i] = -torch.inf  # a row never picks itself
            log_p = logits.log_softmax(1)[rows, p]  # (R,)
            share = logits.softmax(1)
            rest = (1 - share).clamp_(min=1e-6)
            odds = (share / rest).masked_fill_(share > 1 - 1e-6, 0.0)
            rest[rows, p] = 1.0
            odds[rows, p] = 0.0
            total -= log_p.sum() + rest.log_().sum()
            share.mul_(1 - odds.sum(1, keepdim=True)).add_(odds)
            share[rows, p] -= 1.0  # now the derivative by the similarities
            found[:] = share @ others / temperature
            logits[rows, i] = 0.0
            by_temperature -= (share * logits).sum() / temperature
        context.save_for_backward(gradient, by_temperature)
        return total

    @staticmethod
    @once_differentiable
    def backward(context, upstream):
        gradient, by_temperature = context.saved_tensors
        learned = upstream * by_temperature if context.needs_input_grad[4] else None
        return upstream * gradient, None, None, None, learned


BLOCKS = (2**18, 2**26)
"""Similarities in a block of rows, of a processor (1 MiB fits into a cache) and of a GPU."""


def hypersphere_mixup(
    mixed: torch.Tensor,
    first: torch.Tensor,
    second: torch.Tensor,
    lam: torch.Tensor,
    temperature: float = 0.1,
    counted: torch.Tensor | None = None,
) -> torch.Tensor:
    """Hypersphere mixup L_mix: the patches of a mixed image must lie between those of its two
    sources on the sphere.

    The target of patch r is t_r = sg L2(lam z_r(first) + (1 - lam) z_r(second)); the loss is
    `patch_discrimination` of the mixed patches and their targets.

    Args:
        mixed: (B, D, G, G) patch vectors of lam * first image + (1 - lam) * second image.
        first: (B, D, G, G) patch vectors of the first image.
        second: (B, D, G, G) patch vectors of the second image.
        lam: Share of the first image in [0, 1], one number or (B,).
        temperature: As in `patch_discrimination`.
        counted: (B, G, G) bool, which patches take part; by default all do.

    Returns:
        Scalar loss.

    Raises:
        ValueError: The three grids differ in shape, the shares are not one number or one for each
            image, or the temperature is not above 0.

    Example:
        >>> z = torch.eye(4).reshape(1, 4, 2, 2)  # four patches, at right angles to each other
        >>> right = hypersphere_mixup(z, z, z.flip(2), lam=1.0)
        >>> wrong = hypersphere_mixup(z, z, z.flip(2), lam=0.0)
        >>> right.item() < wrong.item()
        True

    Source: Chen et al. 2021, section 3.2 (equations of t_r and L_mix). Taught in notebook 02,
    section 4.
    """
    _require("BDGG", mixed=mixed, first=first, second=second)
    if not isinstance(lam, torch.Tensor):
        lam = torch.tensor(number(lam, "lam", 0, 1), dtype=torch.float64)
    _require("B", lam=lam.reshape(-1))
    lam = torch.as_tensor(lam, dtype=first.dtype, device=first.device).reshape(-1, 1, 1, 1)
    if len(lam) not in (1, len(first)):
        raise ValueError(f"lam must be one share or {len(first)}, one an image, not {len(lam)}")
    target = F.normalize(lam * first + (1 - lam) * second, dim=1).detach()  # (B, D, G, G)
    counted = _bools(counted, "counted", mixed[:, 0]).flatten()  # (B * G * G,)
    return patch_discrimination(patch_rows(mixed), patch_rows(target), temperature, counted)


def region_discrimination(
    embeddings: torch.Tensor, clusters: torch.Tensor, temperature: float = 0.2
) -> torch.Tensor:
    """Region discrimination L_ld: region k of every image must lie near prototype k and far from
    the other prototypes.

    With r_nk from `region_vectors` and prototypes c_k = L2(mean_n r_nk), which keep their gradient,
    the loss is the cross-entropy of picking c_k for r_nk,
    -(1/NK) sum_{n,k} log [exp(r_nk . c_k / t) / sum_j exp(r_nk . c_j / t)].

    Args:
        embeddings: (N, D, H, W) unit vectors of N images.
        clusters: (N, K, H, W) cluster assignments in [0, 1].
        temperature: t > 0 above.

    Returns:
        Scalar loss; ln K when all regions coincide. Each pair of clusters that share one prototype
        adds about (2 / K) ln 2.

    Raises:
        ValueError: The two differ in number of images or in size, or the temperature is not above
            0.

    Example:
        >>> v = torch.eye(4).reshape(1, 4, 2, 2).expand(3, -1, -1, -1)  # 3 images of 4 kinds
        >>> round(region_discrimination(v, v).item(), 3)  # each kind has its own cluster
        0.02
        >>> round(region_discrimination(v, torch.full_like(v, 0.25)).item(), 3)  # ln 4
        1.386

    Source: Chen et al. 2021, section 3.3 (equations of c_k and L_ld). Taught in notebook 02,
    section 5.
    """
    _require_temperature(temperature)
    regions = region_vectors(embeddings, clusters)  # (N, K, D)
    prototypes = F.normalize(average(regions.mean(0)), dim=1)  # (K, D); no stop-gradient
    logits = regions @ prototypes.T / temperature  # (N, K, K): region k against prototype j
    return -logits.log_softmax(2).diagonal(dim1=1, dim2=2).mean()  # diagonal: (N, K)


def cluster_entropy(clusters: torch.Tensor, inside: torch.Tensor | None = None) -> torch.Tensor:
    """Entropy term L_ent: mean binary entropy of the cluster assignments in bits, low when every
    pixel is decided.

    Mean over n, k and p of -a log2 a - (1 - a) log2(1 - a) with a = a_k(p) of image n.

    Args:
        clusters: (N, K, H, W) assignments in [0, 1].
        inside: (N, 1, H, W) 1 where a pixel counts, else 0; by default all do.

    Returns:
        Scalar in [0, 1] bits: 0 where every pixel belongs to one cluster. Where every pixel is
        undecided (a = 1/K) it is 1 for K = 2 and only 0.544 for K = 8.

    Raises:
        ValueError: The assignments, or what counts of them, have other dimensions.

    Example:
        >>> [round(cluster_entropy(torch.full((1, k, 2, 2), 1 / k)).item(), 3) for k in (2, 8, 16)]
        [1.0, 0.544, 0.337]

    Source: Chen et al. 2021, section 3.3 (equation of L_ent). Taught in notebook 02, section 5.
    """
    _require("NKHW", clusters=clusters)
    a = clusters.clamp(1e-7, 1 - 1e-7)  # the logarithm of 0 has no gradient
    bits = (torch.special.entr(a) + torch.special.entr(1 - a)) / math.log(2)
    if inside is None:
        return bits.mean()
    _require("NKHW", inside=inside, **{"a map of clusters": clusters[:, :1]})
    return (bits.mean(1, keepdim=True) * inside).sum() / average(inside.sum()).clamp(min=1)


def cluster_area(clusters: torch.Tensor, inside: torch.Tensor | None = None) -> torch.Tensor:
    """Area term: how far the cluster areas of each image are from equal.

    Mean over n and k of (mean_p a_k(p) - 1/K)^2. Region discrimination hardly notices a cluster
    that has shrunk to almost nothing, because region vectors are normalised; this term does. It
    also pulls all clusters to equal areas, whatever the areas of the anatomy are.

    Where the weights of stage 2 come from: region 10 and entropy 0.1 are the published ones. The
    area term is described for the conference version; the loss of the authors' released program is
    L_pd + L_mix + 10 L_ld + 0.1 L_ent and computes no area. The short trainings of this kit
    (`ldr_lib.tiers.SHORT_BOTH_BRANCHES`) use area 50 and entropy 1, which are ours.

    Args:
        clusters: (N, K, H, W) assignments in [0, 1].
        inside: (N, 1, H, W) 1 where a pixel counts, else 0; by default all do.

    Returns:
        Scalar, 0 for equal areas, (K - 1)/K^2 when one cluster takes everything.

    Raises:
        ValueError: The assignments, or what counts of them, have other dimensions.

    Example:
        >>> everything = torch.zeros(1, 4, 2, 2)
        >>> everything[:, 0] = 1.0
        >>> cluster_area(everything).item() == 3 / 16
        True

    Source: Chen et al. 2021, conference version (area term). Taught in notebook 02, section 5.
    """
    _require("NKHW", clusters=clusters)
    areas = clusters.mean((2, 3))  # (N, K)
    if inside is not None:
        _require("NKHW", inside=inside, **{"a map of clusters": clusters[:, :1]})
        areas = (clusters * inside).mean((2, 3)) / inside.mean((2, 3)).clamp(min=1e-6)
    return (areas - 1 / clusters.shape[1]).square().mean()


def soft_dice_loss(maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Soft Dice loss 1 - (2 sum(p t) + 1) / (sum(p) + sum(t) + 1), sums over the whole batch, mean
    over structures.

    Args:
        maps: (B, n, H, W) probabilities p in [0, 1].
        targets: (B, n, H, W) masks t in [0, 1].

    Returns:
        Scalar in [0, 1]. Equal to MONAI's `DiceLoss(batch=True, smooth_nr=1, smooth_dr=1)`.

    Raises:
        ValueError: Maps and masks have other dimensions, or differ in shape.

    Example:
        >>> mask = torch.ones(2, 1, 8, 8)
        >>> [round(soft_dice_loss(maps, mask).item(), 3) for maps in (mask, 0 * mask)]
        [0.0, 0.992]

    Source: Chen et al. 2021, section 4 (downstream segmentation). Taught in notebook 05, section 2.
    """
    _require("BnHW", maps=maps, targets=targets)
    p, over_images = maps.float(), (0, 2, 3)  # all dimensions but that of the structures
    intersection = total((p * targets).sum(over_images))  # (n,)
    both = total(p.sum(over_images) + targets.sum(over_images))  # (n,)
    return (1 - (2 * intersection + 1) / (both + 1)).mean()


def guided_loss(maps: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus soft Dice of the structure maps against the masks that the images were
    rendered from.

    Args:
        maps: (B, n, H, W) structure maps in [0, 1].
        targets: (B, n, H, W) masks in [0, 1].

    Returns:
        Scalar.

    Raises:
        ValueError: Maps and masks have other dimensions, or differ in shape.

    Example:
        >>> mask = torch.ones(2, 1, 8, 8)
        >>> guided_loss(mask, mask).item() < guided_loss(0.5 * mask, mask).item()
        True

    Ours, not published. Taught in notebook 04a, section 4.
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

    Raises:
        ValueError: Maps and masks have other dimensions, or differ in shape.

    Example:
        >>> round(calibration_loss(torch.full((1, 1, 4, 4), 0.5), torch.ones(1, 1, 4, 4)).item(), 3)
        0.693

    Ours, not published. Taught in notebook 04b, section 4.
    """
    _require("BnHW", maps=maps, targets=targets)
    return _cross_entropy(maps, targets, "mean")


def _cross_entropy(maps: torch.Tensor, targets: torch.Tensor, reduction: str) -> torch.Tensor:
    """Binary cross-entropy of maps that stay away from 0 and 1."""
    p = maps.float().clamp(1e-5, 1 - 1e-5)
    try:
        return F.binary_cross_entropy(p, targets.to(p.dtype), reduction=reduction)
    except RuntimeError as error:
        raise ValueError(
            "maps and targets must lie in [0, 1], and one of them holds nan or other values; if it "
            "happens in a training, lower the learning rate"
        ) from error


def confident_loss(
    maps: torch.Tensor, teacher_maps: torch.Tensor, confidence: float = 0.8
) -> torch.Tensor:
    """Cross-entropy against confident pseudo-labels.

    Args:
        maps: (B, n, H, W) structure maps in [0, 1].
        teacher_maps: (B, n, H, W) maps of the teacher in [0, 1].
        confidence: In [0.5, 1]. Pixels count where the teacher's map lies above this value or
            below one minus it; above one half the pseudo-label is 1, else 0.

    Returns:
        Scalar; 0 where no pixel is confident.

    Raises:
        ValueError: The maps have other dimensions or differ in shape, or the confidence lies
            outside [0.5, 1].

    Example:
        >>> teacher = torch.tensor([0.9, 0.5]).reshape(1, 1, 1, 2)
        >>> round(confident_loss(torch.tensor([0.5, 0.1]).reshape(1, 1, 1, 2), teacher).item(), 3)
        0.693

    Source: the refinement stage of the extension (Chen et al. 2021b), simplified.
    Taught in notebook 04b, section 4.
    """
    _require("BnHW", maps=maps, teacher_maps=teacher_maps)
    confidence = number(confidence, "confidence", 0.5, 1)
    confident = ((teacher_maps > confidence) | (teacher_maps < 1 - confidence)).float()
    pseudo_labels = (teacher_maps > 0.5).float()  # (B, n, H, W), like `confident`
    entropy = _cross_entropy(maps, pseudo_labels, "none")  # (B, n, H, W)
    return total((entropy * confident).sum()) / total(confident.sum()).clamp(min=1)


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

    Raises:
        ValueError: Maps or masks have other dimensions, or another number of structures.

    Example:
        >>> discriminator = torch.nn.Conv2d(1, 1, 3)
        >>> maps, masks = torch.rand(2, 1, 8, 8), torch.rand(2, 1, 8, 8)
        >>> network_loss, discriminator_loss = adversarial_losses(discriminator, maps, masks)
        >>> network_loss.ndim, discriminator_loss.ndim
        (0, 0)

    Source: Chen et al. 2021, section 3.4 (topological priors). Taught in notebook 04a, section 2.
    """
    _require("BnHW", maps=maps)
    _require("MnHW", masks=masks)
    instance(discriminator, torch.nn.Module, "discriminator", "a Discriminator")
    weights = next(discriminator.parameters(), maps)
    _require_one_type(maps=maps, masks=masks, **{"the discriminator's weights": weights})
    if maps.shape[1] != masks.shape[1]:
        raise ValueError(
            f"maps and masks must be of as many structures, not {maps.shape[1]} and "
            f"{masks.shape[1]}"
        )
    fixed = {name: weight.detach() for name, weight in discriminator.named_parameters()}
    fooled = torch.func.functional_call(discriminator, fixed, (maps,))
    real, fake = discriminator(masks), discriminator(maps.detach())
    bce = F.binary_cross_entropy_with_logits
    network_loss = bce(fooled, torch.ones_like(fooled))
    discriminator_loss = (bce(real, torch.ones_like(real)) + bce(fake, torch.zeros_like(fake))) / 2
    return network_loss, discriminator_loss


def gradient_penalty(discriminator: torch.nn.Module, masks: torch.Tensor) -> torch.Tensor:
    """How steeply a discriminator rises at prior masks: mean over masks of |grad D(mask)|^2 / 2.

    A discriminator that is steep there pulls maps past the masks, and the game swings.

    Args:
        discriminator: D; its logits are averaged over each mask.
        masks: (M, n, H, W) prior masks in [0, 1].

    Returns:
        Scalar, whose gradient reaches D's weights.

    Raises:
        ValueError: The masks have other dimensions.

    Example:
        >>> steep = torch.nn.Conv2d(1, 1, 1)
        >>> with torch.no_grad():
        ...     _ = steep.weight.fill_(3.0)
        >>> round(gradient_penalty(steep, torch.rand(2, 1, 1, 1)).item(), 3)
        4.5

    Source: Mescheder et al., ICML 2018 (R1).
    """
    _require("MnHW", masks=masks)
    instance(discriminator, torch.nn.Module, "discriminator", "a Discriminator")
    masks = masks if masks.requires_grad else masks.detach().requires_grad_(True)
    score = discriminator(masks).flatten(1).mean(1).sum()
    (gradient,) = torch.autograd.grad(score, masks, create_graph=True)
    return gradient.square().flatten(1).sum(1).mean() / 2


def prior_area_loss(maps: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Squared relative difference of the mean areas of structure maps and of prior masks, mean over
    structures.

    Args:
        maps: (B, n, H, W) structure maps in [0, 1].
        masks: (M, n, H, W) prior masks in [0, 1].

    Returns:
        Scalar; 0 where the areas are equal in the mean over the batch, 1 for empty maps.

    Raises:
        ValueError: Maps or masks have other dimensions, or another number of structures.

    Example:
        >>> masks = torch.full((3, 1, 4, 4), 0.2)
        >>> round(prior_area_loss(0 * masks, masks).item(), 3)
        1.0

    Ours.
    """
    _require("BnHW", maps=maps)
    _require("MnHW", masks=masks)
    if maps.shape[1] != masks.shape[1]:
        raise ValueError(
            f"maps and masks must be of as many structures, not {maps.shape[1]} and "
            f"{masks.shape[1]}"
        )
    wanted = average(masks.mean((0, 2, 3))).clamp(min=1e-6)  # (n,)
    return ((average(maps.mean((0, 2, 3))) - wanted) / wanted).square().mean()


def info_nce(queries: torch.Tensor, keys: torch.Tensor, temperature: float = 0.2) -> torch.Tensor:
    """Cross-entropy of picking one's own key among all keys of the batch.

    -(1/N) sum_i log [exp(q_i . k_i / t) / sum_j exp(q_i . k_j / t)].

    Args:
        queries: (N, D) unit vectors q_i.
        keys: (N, D) unit vectors k_j; row i is the key of row i of `queries`.
        temperature: t > 0, divides the scalar products.

    Returns:
        Scalar; ln N when all vectors are equal.

    Raises:
        ValueError: The two have other dimensions or differ in shape, or the temperature is not
            above 0.

    Example:
        >>> round(info_nce(torch.ones(8, 1), torch.ones(8, 1)).item(), 3)
        2.079

    Source: van den Oord et al. 2018, equation 4. Taught in notebook 02, section 3 and notebook 05,
    section 3.
    """
    _require("ND", queries=queries, keys=keys)
    _require_one_type(queries=queries, keys=keys)
    _require_temperature(temperature)
    own_keys = torch.arange(len(queries), device=queries.device) + own_share().number * len(keys)
    logits = queries @ gather(keys).T / temperature  # (N, N * processes)
    return F.cross_entropy(logits, own_keys)


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

    Raises:
        ValueError: The three have other dimensions or do not fit each other, or the temperature is
            not above 0.

    Example:
        >>> v = F.normalize(torch.randn(3, 8, 4), dim=1)
        >>> dense_contrast(v, v, torch.arange(4).expand(3, -1)).ndim
        0

    Source: Wang et al., CVPR 2021 (DenseCL), dense contrastive loss with negatives from the batch.
    Taught in notebook 05, section 3.
    """
    _require("NDP", queries=queries, keys=keys)
    _require_one_type(queries=queries, keys=keys)
    _require("NP", **{"partners": partners, "positions of queries": queries[:, 0]})
    if partners.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"partners must be whole numbers, not {partners.dtype}")
    _require_temperature(temperature)
    positions = partners.long()[:, None].expand(-1, keys.shape[1], -1)  # (N, D, P)
    try:
        partner = keys.gather(2, positions)  # (N, D, P)
    except RuntimeError as error:
        raise ValueError(f"partners must be positions from 0 to {keys.shape[2] - 1}") from error
    positive = (queries * partner).sum(1)  # (N, P)
    pooled = gather(F.normalize(keys.mean(2).float(), dim=1))  # (M, D), M = N * processes
    negative = torch.einsum("ndp,md->nmp", queries, pooled)  # (N, M, P)
    images = torch.arange(len(pooled), device=queries.device)  # (M,)
    own = own_share().number * len(queries) + images[: len(queries), None] == images  # (N, M)
    others = negative.masked_fill(own[..., None], -torch.inf)  # the own image is no negative
    logits = torch.cat([positive[:, None], others], 1) / temperature  # (N, 1 + M, P)
    return -logits.log_softmax(1)[:, 0].mean()


def masked_reconstruction(
    filled: torch.Tensor, images: torch.Tensor, hidden: torch.Tensor
) -> torch.Tensor:
    """Mean squared error of the hidden pixels.

    Args:
        filled: (B, C, H, W) reconstruction.
        images: (B, C, H, W) in [0, 1].
        hidden: (B, 1, H, W), 1 where a pixel was hidden.

    Returns:
        Scalar; 0 where nothing was hidden.

    Raises:
        ValueError: The three have other dimensions, or do not fit each other.

    Example:
        >>> x = torch.zeros(1, 3, 4, 4)
        >>> masked_reconstruction(x + 0.5, x, torch.ones(1, 1, 4, 4)).item()
        0.25

    Source: Vincent et al., JMLR 2010 (denoising); Pathak et al., CVPR 2016 (hidden regions).
    Taught in notebook 05, section 3.
    """
    _require("BCHW", filled=filled, images=images)
    _require("B1HW", **{"hidden": hidden, "one channel of images": images[:, :1]})
    errors = (filled.float() - images).square() * hidden  # (B, C, H, W)
    return total(errors.sum()) / total(hidden.sum() * images.shape[1]).clamp(min=1)
