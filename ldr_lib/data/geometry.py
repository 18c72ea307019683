"""Random numbers and affine sampling for whole batches, shared by views, rendered images and prior
masks.
"""

import torch
import torch.nn.functional as F


def uniform(
    n: int, device: torch.device | str, low: float, high: float, *shape: int
) -> torch.Tensor:
    """Uniform random numbers from torch's generator.

    Returns:
        (n, *shape) floats between `low` and `high`.
    """
    return torch.empty(n, *shape, device=device).uniform_(low, high)


def affine_grid(
    a: torch.Tensor,
    b: torch.Tensor,
    c: torch.Tensor,
    d: torch.Tensor,
    centre: torch.Tensor,
    size: int,
) -> torch.Tensor:
    """The position in the image of each pixel of a square crop.

    An output position (x, y) in [-1, 1] shows the input position (a x + b y, c x + d y) + centre.

    Args:
        a, b, c, d: (B,) elements of the linear map, row by row: scale, rotation and flips.
        centre: (B, 2) x and y of the crop's centre.
        size: Side of the crop in pixels.

    Returns:
        (B, size, size, 2) input positions, as `torch.nn.functional.grid_sample` takes them.
    """
    theta = torch.stack([a, b, centre[:, 0], c, d, centre[:, 1]], 1).reshape(-1, 2, 3)  # (B, 2, 3)
    return F.affine_grid(theta, [len(theta), 1, size, size], align_corners=False)


def sample(
    images: torch.Tensor, grid: torch.Tensor, outside: str = "zeros", clamp: bool | None = None
) -> torch.Tensor:
    """Samples images bilinearly at given positions.

    Args:
        images: (B, C, H, W) floats.
        grid: (B, h, w, 2) positions x and y, as `affine_grid` makes them.
        outside: "zeros", or "border" to repeat the outermost pixels.
        clamp: Move positions outside to the outermost pixels before sampling, which repeats them
            too; None does so on Apple's GPU, which does not know "border".

    Returns:
        (B, C, h, w).
    """
    if outside == "border" and (images.device.type == "mps" if clamp is None else clamp):
        middle = 1 - 1 / grid.new_tensor([images.shape[-1], images.shape[-2]])  # of the last pixels
        grid, outside = torch.minimum(torch.maximum(grid, -middle), middle), "zeros"
    return F.grid_sample(images, grid, padding_mode=outside, align_corners=False)


def smooth_displacement(
    n: int, spread: float, size: int, device: torch.device | str
) -> torch.Tensor:
    """Smooth random displacements to add to an `affine_grid`.

    Args:
        n: Number of crops B.
        spread: Standard deviation at 5 x 5 points, as a share of half the image's side; the
            displacements between them are interpolated.
        size: Side of the crop in pixels.
        device: Where the displacements are made.

    Returns:
        (B, size, size, 2).
    """
    coarse = spread * torch.randn(n, 2, 5, 5, device=device)
    return F.interpolate(coarse, (size, size), mode="bicubic").permute(0, 2, 3, 1)
