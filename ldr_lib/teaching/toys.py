"""Small inputs whose right answer is known, and a comparison of two ways to write one loss."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from ..data.checks import shown, whole


def compare_losses(*losses: Callable, vectors: torch.Tensor) -> None:
    """Prints the value of each loss and the length of its gradient, and makes sure that all agree.

    Args:
        losses: Functions of the unit vectors of first and second views, (N, D) each.
        vectors: (2, N, D) first and second views; they are divided by their lengths, and the
            gradient is taken with respect to what they were before.

    Raises:
        ValueError: There is no function, or no vectors of this shape.
        AssertionError: Two losses differ in value or gradient.

    Example:
        >>> from ldr_lib.losses import info_nce
        >>> _ = torch.manual_seed(0)
        >>> compare_losses(info_nce, vectors=torch.randn(2, 8, 4))
        info_nce             loss 4.1382, length of its gradient 1.6658

    Taught in notebook 02, section 3.
    """
    if not losses or not all(map(callable, losses)):
        raise ValueError(f"losses must be functions, not {shown(losses)}")
    if not torch.is_tensor(vectors) or vectors.ndim != 3 or len(vectors) != 2:
        raise ValueError(f"vectors must be a tensor (2, N, D), not {shown(vectors)}")
    x = vectors.detach().clone().requires_grad_()
    results = []
    for loss in losses:
        value = loss(*F.normalize(x, dim=2))
        (gradient,) = torch.autograd.grad(value, x)
        name = _name(loss)
        print(f"{name:20s} loss {value:.4f}, length of its gradient {gradient.norm():.4f}")
        results.append((value, gradient))
    for other in results[1:]:
        torch.testing.assert_close(other, results[0])


def _name(loss: Callable) -> str:
    """What a loss is called: a partial as its function, an object as its class."""
    function = loss.func if isinstance(loss, partial) else loss
    return getattr(function, "__name__", type(function).__name__)


def patch_states(n: int = 512) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Vectors of n patches in both views, in six states that a training may be in.

    Args:
        n: Number of patches, even, 2 to 4096.

    Returns:
        Name to the unit vectors (n, 32) of first and second views, at random from torch's
        generator: "collapse: all equal"; "random: partners unrelated"; "partners similar";
        "perfect: partners equal"; "each patch has a copy", where two patches share one vector;
        "wrong partner wins", where another patch's vector is the most similar.

    Raises:
        ValueError: n is no such number.

    Example:
        >>> first, second = patch_states(4)["perfect: partners equal"]
        >>> (first == second).all().item()
        True

    Taught in notebook 02, section 3.
    """
    if whole(n, "n", 2, 4096) % 2:
        raise ValueError(f"n must be even, so that each patch can have a copy, not {n}")
    z, other = F.normalize(torch.randn(2, n, 32), dim=2)  # (n, 32) each
    equal, copies = z[:1].expand(n, 32), z[: n // 2].repeat(2, 1)
    return {
        "collapse: all equal": (equal, equal),
        "random: partners unrelated": (z, other),
        "partners similar": (z, F.normalize(z + 0.3 * other, dim=1)),
        "perfect: partners equal": (z, z),
        "each patch has a copy": (copies, copies),
        "wrong partner wins": (z, z.roll(1, 0)),
    }


def cluster_maps(k: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Four images in k stripes, one for each kind of pixel, and four ways to cluster them.

    Args:
        k: Number of kinds and of clusters, 2 to 16.

    Returns:
        The kind of every pixel (4, 16, 16), and the cluster maps (4, k, 16, 16) by name: "right";
        "swapped in two images", whose clusters mean other kinds in the last two images;
        "undecided", all shares equal; "last only a spot", in which the first cluster takes all of
        the last one but for four pixels.

    Raises:
        ValueError: k is no such number.

    Example:
        >>> kinds, maps = cluster_maps(2)
        >>> maps["right"].sum((2, 3))[0], maps["last only a spot"].sum((2, 3))[0]
        (tensor([128., 128.]), tensor([252.,   4.]))

    Taught in notebook 02, section 5.
    """
    k = whole(k, "k", 2, 16)
    kinds = (torch.arange(16) * k // 16).expand(4, 16, 16)
    right = F.one_hot(kinds, k).permute(0, 3, 1, 2).float()  # (4, k, 16, 16)
    spot = right.clone()
    spot[:, 0] += spot[:, -1]
    spot[:, -1] = 0
    spot[:, :, :2, -2:] = torch.eye(k)[-1][:, None, None]
    return kinds, {
        "right": right,
        "swapped in two images": torch.cat([right[:2], right[2:].flip(1)]),
        "undecided": torch.full_like(right, 1 / k),
        "last only a spot": spot,
    }
