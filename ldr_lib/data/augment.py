"""The parts of rendered images: smooth noise, random crops, standardised colours, the appearance of
other cameras.
"""

import functools
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F

from .checks import (
    as_bytes,
    flag,
    mask,
    number,
    one_shape,
    probabilities,
    several,
    span,
    whole,
)
from .errors import DataError
from .geometry import affine_grid, sample, smooth_displacement, uniform
from .tensor_checks import require, require_default_type, torch_device


@dataclass
class Pairs:
    """Images with the masks from which they were rendered.

    Attributes:
        images: (B, C, s, s) floats in [0, 1], standardised as the network's input (see
            `standardise`).
        targets: (B, n, s, s) floats in [0, 1], one mask for each of n guided structures.
    """

    images: torch.Tensor
    targets: torch.Tensor


class PairMaker(Protocol):
    """The protocol of all classes that make pairs of images and masks for training: `VesselPairs`,
    `SimulatedPairs`, `LabelledPairs`, or your own class.
    """

    def __call__(self, n: int, device: torch.device | str = "cpu") -> Pairs:
        """Makes n pairs on a device; random numbers come from torch's generator."""
        ...


def with_field_of_view(images: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Images as bytes and their fields of view as bool, which fit each other.

    Args:
        images: (N, H, W, C) uint8, or floats in [0, 1].
        inside: (N, H, W) bool.

    Raises:
        DataError: The images have another type, range or number of dimensions; there are none.
        ValueError: The fields of view have another shape, or one is empty.
    """
    images, inside = as_bytes(images, "images", "NHWC"), mask(inside, "inside", "NHW")
    one_shape(inside=inside, **{"the pixels of images": images[..., 0]})
    if not images.size:
        raise DataError(f"images hold no pixel, they are {images.shape}")
    empty = [i for i, fov in enumerate(inside) if not fov.any()]
    if empty:
        raise ValueError(f"inside is empty for image {empty[0]}: it has no field of view")
    return images, inside


def colour_statistics(images: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel of each image inside its field of view.

    Args:
        images: (N, H, W, C) uint8, or floats in [0, 1].
        inside: (N, H, W) bool, the field of view.

    Returns:
        Mean and standard deviation, both (N, C), in [0, 1]; deviations below 0.02 become 0.02.

    Raises:
        DataError: The images have another type or range.
        ValueError: The field of view does not fit, or one is empty.
    """
    images, inside = with_field_of_view(images, inside)
    weight = inside[..., None] / inside.sum((1, 2), keepdims=True)[..., None]
    x = images.astype(np.float32) / 255
    mean = (x * weight).sum((1, 2))
    spread = np.sqrt((np.square(x - mean[:, None, None]) * weight).sum((1, 2)))
    return mean.astype(np.float32), np.maximum(spread, 0.02).astype(np.float32)


def standardise(images: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Gives the images of all cameras one mean and one spread of colours.

    Each channel x becomes 0.4 + 0.15 (x - mean) / deviation inside the field of view, 0 outside.

    Args:
        images: (N, H, W, C) uint8, or floats in [0, 1].
        inside: (N, H, W) bool, the field of view.

    Returns:
        (N, H, W, C) uint8.

    Raises:
        DataError: The images have another type or range.
        ValueError: The field of view does not fit, or one is empty.

    Ours, not published. Taught in notebook 04a, section 3.
    """
    images, inside = with_field_of_view(images, inside)
    out = np.zeros(images.shape, np.uint8)
    for i, (image, fov) in enumerate(zip(images, inside)):
        mean, spread = colour_statistics(np.asarray(image)[None], np.asarray(fov)[None])
        value = 0.4 + 0.15 * (np.asarray(image, np.float32) / 255 - mean[0]) / spread[0]
        out[i] = (255 * value.clip(0, 1) * fov[..., None]).round()
    return out


@functools.cache
def _bicubic(cells: int, size: int, device: torch.device | str) -> torch.Tensor:
    """The weights of bicubic interpolation from `cells` cells, with a margin of two on each side,
    to the middle `size` pixels, (size, cells + 4).
    """
    margin = 2
    grown = round(size * (1 + 2 * margin / cells))
    cut = (grown - size) // 2
    one_axis = torch.eye(cells + 2 * margin)[None, None]
    return F.interpolate(one_axis, (grown, cells + 2 * margin), mode="bicubic")[
        0, 0, cut : cut + size
    ].to(device)


def smooth_noise(n: int, size: int, cells: int, device: torch.device | str) -> torch.Tensor:
    """Smooth noise of about unit spread, with blobs of size / cells pixels.

    Two matrix products interpolate bicubically, because on the processor they are many times faster
    than torch's own interpolation.

    Returns:
        (n, 1, size, size) floats.

    Raises:
        ValueError: A number is not positive.
    """
    for name, value in dict(n=n, size=size, cells=cells).items():
        whole(value, name, 1)
    weights = _bicubic(cells, size, device)
    return (
        weights @ torch.randn(n, 1, weights.shape[1], weights.shape[1], device=device) @ weights.T
    )


def directional_noise(n: int, size: int, cells: int, device: torch.device | str) -> torch.Tensor:
    """Smooth noise stretched to about six times its width, in one direction for each image.

    Returns:
        (n, 1, size, size) floats.
    """
    angle = uniform(n, device, 0, torch.pi)
    cos, sin = 0.7 * angle.cos(), 0.7 * angle.sin()
    grid = affine_grid(cos / 6, sin / 6, -sin, cos, torch.zeros(n, 2, device=device), size)
    return F.grid_sample(
        smooth_noise(n, size, cells, device), grid, padding_mode="reflection", align_corners=False
    )


def blur(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur of (B, C, H, W) with a standard deviation of sigma pixels; the border is
    repeated.

    Raises:
        ValueError: x has other dimensions, or sigma is not above 0.
    """
    require("BCHW", x=x)
    require_default_type(x=x)
    number(sigma, "sigma", 0, 1000, above=True)
    reach = max(1, int(3 * sigma))
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=x.device) / sigma) ** 2)
    weights = weights / weights.sum()
    n, channels = x.shape[:2]
    kernel = weights.expand(channels, 1, -1)
    x = F.conv2d(
        F.pad(x, (reach, reach, reach, reach), mode="replicate"),
        kernel[:, :, None],
        groups=channels,
    )
    return F.conv2d(x, kernel[..., None], groups=channels)


def crops(
    arrays: list[torch.Tensor],
    size: int,
    scale: tuple[float, float],
    turn: bool,
    mirror: bool = True,
    bend: float = 0.0,
) -> list[torch.Tensor]:
    """The same random square of every array, resampled.

    Args:
        arrays: (B, C_i, S_i, S_i) floats that show the same field.
        size: Side of the result.
        scale: Smallest and largest side as a share of the whole.
        turn: True rotates by any angle, False by up to 10 degrees.
        mirror: Exchange left and right with probability one half.
        bend: Standard deviation of a smooth displacement, as a share of half the side; crops are
            also stretched by up to six times that share.

    Returns:
        (B, C_i, size, size) floats; outside the first array's border its outermost pixels are
        repeated, all others get 0.

    Raises:
        ValueError: The scale is not two ordered numbers above 0, or arrays are of several batches.
    """
    for one in several(arrays, "arrays", "tensors (B, C, S, S)"):
        require("BCSS", **{"one of arrays": one})
        require_default_type(**{"one of arrays": one})
    if len({(len(one), one.device) for one in arrays}) != 1:
        shapes = [tuple(one.shape) for one in arrays]
        raise ValueError(f"arrays must be (B, C, S, S) of one batch on one device, not {shapes}")
    scale, size = span(scale, "scale"), whole(size, "size", 1, 4096)
    bend, turn, mirror = number(bend, "bend", 0, 1), flag(turn, "turn"), flag(mirror, "mirror")
    n, device = len(arrays[0]), arrays[0].device
    draw = partial(uniform, n, device)
    side = torch.exp(draw(np.log(scale[0]), np.log(scale[1])))
    angle = draw(-torch.pi, torch.pi) if turn else draw(-0.17, 0.17)
    flip = (
        2.0 * torch.randint(2, (n,), device=device) - 1 if mirror else torch.ones(n, device=device)
    )
    cos, sin = side * angle.cos(), side * angle.sin()
    centre = draw(-1, 1, 2) * (1 - side).abs()[:, None]
    stretch = 1 + 6 * bend * draw(-1, 1)
    grid = affine_grid(cos * flip * stretch, -sin, sin * flip * stretch, cos, centre, size)
    if bend:
        grid = grid + smooth_displacement(n, bend, size, device)
    padding = ["border"] + ["zeros"] * (len(arrays) - 1)
    return [sample(array, grid, outside) for array, outside in zip(arrays, padding)]


def camera_augment(images: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Imitates another camera: changes contrast, colour, illumination, focus and noise of
    standardised images.

    Args:
        images: (B, C, s, s) floats in [0, 1].
        inside: (B, 1, s, s) floats, 1 in the field of view, 0 outside.

    Returns:
        (B, C, s, s) floats in [0, 1].
    """
    n, channels, size, _ = images.shape
    draw = partial(uniform, n, images.device)
    gain, shift = draw(0.75, 1.3, channels, 1, 1), draw(-0.08, 0.08, channels, 1, 1)
    light = 0.06 * draw(0, 1, 1, 1, 1) * smooth_noise(n, size, 2, images.device)
    images = 0.4 + gain * (images - 0.4) + shift + light
    images = torch.where(
        draw(0, 1, 1, 1, 1) < 0.4, blur(images, float(torch.empty(1).uniform_(0.4, 1.2))), images
    )
    images = images + draw(0.0, 0.03, 1, 1, 1) * torch.randn_like(images)
    return images.clamp(0, 1) * inside


class LabelledPairs:
    """Makes pairs from images whose masks are known, from experts or from a teacher network.

    Args:
        images: (N, S, S, C) uint8, or floats in [0, 1].
        targets: (N, n, S, S) masks of n structures, bool or floats in [0, 1].
        inside: (N, S, S) bool, the field of view.
        size: Side of the crops.
        scale: Smallest and largest side of a crop as a share of the image.
        turn: True rotates crops by any angle and mirrors them.

    Raises:
        DataError: The images have another type or range.
        ValueError: Masks and images do not fit each other, or a value makes no sense.
    """

    def __init__(
        self,
        images: np.ndarray,
        targets: np.ndarray,
        inside: np.ndarray,
        size: int = 128,
        scale: tuple[float, float] = (0.16, 0.32),
        turn: bool = True,
    ):
        images, inside = as_bytes(images, "images", "NSSC"), mask(inside, "inside", "NSS")
        targets = probabilities(targets, "targets", "NnSS")
        one_shape(inside=inside, **{"the pixels of images": images[..., 0]})
        one_shape(inside=inside, **{"each of the targets": targets[:, 0]})
        if not len(images):
            raise DataError("images hold no image to make pairs of")
        self.images, self.masks = images, np.concatenate([inside[:, None], targets], 1)
        self.size, self.scale = whole(size, "size", 1, 4096), span(scale, "scale", 4)
        self.turn = flag(turn, "turn")

    def __call__(self, n: int, device: torch.device | str = "cpu") -> Pairs:
        """Makes n pairs; random numbers come from torch's generator."""
        device = torch_device(device)
        chosen = torch.randint(len(self.images), (whole(n, "n", 1, 10**5),)).numpy()
        images = torch.from_numpy(self.images[chosen]).to(device).permute(0, 3, 1, 2).float() / 255
        masks = torch.from_numpy(self.masks[chosen]).to(device).float()
        images, masks = crops([images, masks], self.size, self.scale, self.turn, mirror=self.turn)
        return Pairs(camera_augment(images, (masks[:, :1] > 0.5).float()), masks[:, 1:])
