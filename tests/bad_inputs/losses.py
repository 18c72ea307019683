"""Bad inputs. Losses."""

import torch

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
]
