"""Bad inputs. Losses."""

import torch

from ldr_lib.guided import Discriminator

from .inputs import GRID, NAN, ROWS, SOFT, A, V, row

LOSSES = [
    row(
        "patch_discrimination",
        "patch vectors in a grid",
        r"anchors must be a tensor of floats \(N, D\), not torch.float32 of shape \(2, 4, 2, 2\)",
        anchors=GRID,
    ),
    row(
        "patch_discrimination",
        "positives of other patches",
        r"anchors and positives must be of one shape, not \(6, 4\) and \(3, 4\)",
        positives=ROWS[:3],
    ),
    row(
        "patch_discrimination",
        "a single patch",
        "needs at least two patches",
        anchors=ROWS[:1],
        positives=ROWS[:1],
    ),
    row(
        "patch_discrimination",
        "a temperature of zero",
        "temperature must be a number above 0, not 0",
        temperature=0,
    ),
    row(
        "region_discrimination",
        "a negative temperature",
        "temperature must be a number above 0, not -0.2",
        temperature=-0.2,
    ),
    row(
        "info_nce",
        "a temperature of nan",
        "temperature must be a number above 0, not nan",
        temperature=NAN,
    ),
    row(
        "patch_grid",
        "an array for a tensor",
        r"embeddings must be a tensor of floats \(B, D, H, W\), not float32 of shape",
        embeddings=V.numpy(),
    ),
    row(
        "patch_grid",
        "a grid of no cell",
        "grid must be a whole number from 1 to 4096, not 0",
        grid=0,
    ),
    row(
        "hypersphere_mixup",
        "grids of two sizes",
        "mixed and first and second must be of one shape",
        mixed=torch.rand(2, 4, 3, 3),
    ),
    row("hypersphere_mixup", "a share of 2", "lam must be a number from 0 to 1, not 2.0", lam=2.0),
    row(
        "hypersphere_mixup",
        "shares of other images",
        "lam must be one share or 2, one an image, not 3",
        lam=torch.rand(3),
    ),
    row("region_vectors", "clusters of other images", "must agree in N, H and W", clusters=A[:1]),
    row(
        "cluster_entropy",
        "clusters as whole numbers",
        r"clusters must be a tensor of floats \(N, K, H, W\), not torch.int64",
        clusters=A.long(),
    ),
    row(
        "cluster_area",
        "clusters of one image",
        r"clusters must be a tensor of floats \(N, K, H, W\)",
        clusters=A[0],
    ),
    row(
        "soft_dice_loss",
        "masks of another size",
        "maps and targets must be of one shape",
        targets=SOFT[..., :4],
    ),
    row(
        "calibration_loss",
        "maps with nan",
        "maps and targets must lie in .0, 1.*lower the learning rate",
        maps=SOFT * NAN,
    ),
    row("guided_loss", "masks of 255", "maps and targets must lie in .0, 1.", targets=SOFT * 255),
    row(
        "confident_loss",
        "a confidence of 0.2",
        "confidence must be a number from 0.5 to 1, not 0.2",
        confidence=0.2,
    ),
    row(
        "adversarial_losses",
        "no discriminator",
        "discriminator must be a Discriminator, not None",
        discriminator=None,
    ),
    row(
        "dense_contrast",
        "positions as floats",
        "partners must be whole numbers, not torch.float32",
        partners=torch.rand(2, 64),
    ),
    row(
        "masked_reconstruction",
        "images of other channels",
        "filled and images must be of one shape",
        images=A,
    ),
    row(
        "patch_discrimination",
        "patches on another device",
        "anchors and positives must be of one device, not cpu and meta: move them",
        positives=ROWS.to("meta"),
    ),
    row(
        "patch_discrimination",
        "complex patches",
        r"anchors must be a tensor of floats \(N, D\), not torch.complex64",
        anchors=ROWS.to(torch.complex64),
    ),
    row(
        "patch_discrimination",
        "sparse patches",
        r"positives must be a tensor of floats \(N, D\)",
        positives=ROWS.to_sparse(),
    ),
    row(
        "patch_discrimination",
        "three temperatures",
        r"temperature must be one number above 0, not torch.float32 of shape \(3,\)",
        temperature=torch.rand(3),
    ),
    row(
        "info_nce",
        "keys in double precision",
        "queries and keys must be of one dtype, not torch.float32 and torch.float64: bring them",
        keys=ROWS.double(),
    ),
    row(
        "info_nce",
        "queries in half precision",
        "queries and keys must be of one dtype, not torch.float16 and torch.float32",
        queries=ROWS.half(),
    ),
    row(
        "dense_contrast",
        "keys in double precision",
        "queries and keys must be of one dtype, not torch.float32 and torch.float64",
        keys=V.flatten(2).double(),
    ),
    row(
        "dense_contrast",
        "positions that are not there",
        "partners must be positions from 0 to 63",
        partners=torch.full((2, 64), 64),
    ),
    row(
        "dense_contrast",
        "negative positions",
        "partners must be positions from 0 to 63",
        partners=torch.full((2, 64), -1),
    ),
    row(
        "region_vectors",
        "clusters in double precision",
        "embeddings and clusters must be of one dtype, not torch.float32 and torch.float64",
        clusters=A.double(),
    ),
    row(
        "region_vectors",
        "clusters on another device",
        "embeddings and clusters must be of one device, not cpu and meta",
        clusters=A.to("meta"),
    ),
    row(
        "region_discrimination",
        "embeddings in half precision",
        "embeddings and clusters must be of one dtype, not torch.float16 and torch.float32",
        embeddings=V.half(),
    ),
    row(
        "adversarial_losses",
        "maps in double precision",
        "maps and masks and the discriminator's weights must be of one dtype, not torch.float64",
        maps=torch.rand(2, 1, 32, 32).double(),
    ),
    row(
        "adversarial_losses",
        "a discriminator in double precision",
        "weights must be of one dtype, not torch.float32 and torch.float32 and torch.float64",
        discriminator=Discriminator(1, 4).double(),
    ),
    row(
        "adversarial_losses",
        "maps too small for the discriminator",
        r"maps must be \(B, 1, H, W\) with H and W of at least 32, not \(2, 1, 16, 16\)",
        maps=torch.rand(2, 1, 16, 16),
    ),
    row(
        "soft_dice_loss",
        "complex masks",
        r"targets must be a tensor \(B, n, H, W\), not torch.complex64",
        targets=SOFT.to(torch.complex64),
    ),
    row(
        "masked_reconstruction",
        "what is hidden on another device",
        "must be of one device, not meta and cpu",
        hidden=torch.ones(2, 1, 8, 8, device="meta"),
    ),
]
