"""Losses and prototypes."""

from collections.abc import Callable
from pathlib import Path

import torch

from ldr_lib import guided, losses, prototypes

from .inputs import D, K


def calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    v = torch.nn.functional.normalize(torch.rand(2, D, 8, 8), dim=1)
    a = torch.rand(2, K, 8, 8).softmax(1)
    grid = losses.patch_grid(v, 2)
    rows = torch.nn.functional.normalize(torch.rand(6, D), dim=1)
    soft = torch.rand(2, 1, 8, 8)
    bare = torch.rand(2, 1, 32, 32)
    return {
        "patch_grid": (losses.patch_grid, dict(embeddings=v, grid=2)),
        "patch_rows": (losses.patch_rows, dict(grid=grid)),
        "patch_discrimination": (
            losses.patch_discrimination,
            dict(anchors=rows, positives=rows, temperature=0.1),
        ),
        "hypersphere_mixup": (
            losses.hypersphere_mixup,
            dict(mixed=grid, first=grid, second=grid, lam=torch.rand(2), temperature=0.1),
        ),
        "region_vectors": (losses.region_vectors, dict(embeddings=v, clusters=a)),
        "region_discrimination": (
            losses.region_discrimination,
            dict(embeddings=v, clusters=a, temperature=0.2),
        ),
        "cluster_entropy": (losses.cluster_entropy, dict(clusters=a)),
        "cluster_area": (losses.cluster_area, dict(clusters=a)),
        "soft_dice_loss": (losses.soft_dice_loss, dict(maps=soft, targets=soft)),
        "guided_loss": (losses.guided_loss, dict(maps=soft, targets=soft)),
        "calibration_loss": (losses.calibration_loss, dict(maps=soft, targets=soft)),
        "confident_loss": (
            losses.confident_loss,
            dict(maps=soft, teacher_maps=soft, confidence=0.8),
        ),
        "adversarial_losses": (
            losses.adversarial_losses,
            dict(discriminator=guided.Discriminator(1, 4), maps=bare, masks=bare),
        ),
        "gradient_penalty": (
            losses.gradient_penalty,
            dict(discriminator=guided.Discriminator(1, 4), masks=bare),
        ),
        "prior_area_loss": (losses.prior_area_loss, dict(maps=soft, masks=soft)),
        "info_nce": (losses.info_nce, dict(queries=rows, keys=rows, temperature=0.2)),
        "dense_contrast": (
            losses.dense_contrast,
            dict(
                queries=v.flatten(2),
                keys=v.flatten(2),
                partners=torch.zeros(2, 64, dtype=torch.int64),
                temperature=0.2,
            ),
        ),
        "cluster_prototypes": (
            prototypes.cluster_prototypes,
            dict(embeddings=v, clusters=a),
        ),
        "balanced_assignment": (
            prototypes.balanced_assignment,
            dict(similarity=rows[:, :3], sharpness=0.05, rounds=3, counted=None),
        ),
        "prototype_discrimination": (
            prototypes.prototype_discrimination,
            dict(
                first=rows,
                second=rows,
                prototypes=rows[:3],
                assigned=torch.rand(12, 3),
                temperature=0.1,
            ),
        ),
        "cluster_prediction": (
            prototypes.cluster_prediction,
            dict(first=rows, second=rows, assigned=torch.rand(12, D)),
        ),
        "masked_reconstruction": (
            losses.masked_reconstruction,
            dict(filled=soft, images=soft, hidden=torch.ones_like(soft)),
        ),
    }
