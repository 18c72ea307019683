"""Rendering vessels of a prior into real photographs: images with exact masks, whole batches at
once.
"""

from functools import partial

import numpy as np
import torch
from skimage.filters import rank
from skimage.morphology import disk

from ..data.augment import (
    Pairs,
    blur,
    camera_augment,
    colour_statistics,
    crops,
    directional_noise,
    smooth_noise,
    with_field_of_view,
)
from ..data.checks import as_bytes, flag, instance, whole
from ..data.errors import DataError
from ..data.geometry import uniform
from ..data.tensor_checks import torch_device
from .priors import MaskBank


def remove_vessels(images: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Photographs of the retina without their vessels: each pixel becomes the median of its
    surroundings, a disk 1/20 of the side across. The widest vessels leave a shadow.

    Args:
        images: (N, S, S, C) uint8, or floats in [0, 1].
        inside: (N, S, S) bool, the field of view.

    Returns:
        (N, S/2, S/2, C) uint8, black outside the field of view.

    Raises:
        DataError: The images have another type, range or shape.
        ValueError: The field of view does not fit, or one is empty.

    Taught in notebook 04a, section 3.
    """
    images, inside = with_field_of_view(images, inside)
    footprint = disk(max(2, images.shape[1] // 80))
    out = np.zeros(
        (len(images), images.shape[1] // 2, images.shape[2] // 2, images.shape[3]), np.uint8
    )
    for i in range(len(images)):
        fov = np.ascontiguousarray(inside[i][::2, ::2])  # (S/2, S/2)
        for channel in range(images.shape[3]):
            grey = np.ascontiguousarray(images[i][::2, ::2, channel])
            out[i, ..., channel] = rank.median(grey, footprint, mask=fov) * fov
    return out


def texture_residual(images: np.ndarray, inside: np.ndarray, free: np.ndarray) -> np.ndarray:
    """What `remove_vessels` took away, clipped at twice its median size: the texture of tissue and
    camera, hardly any vessel.

    Args:
        images: (N, S, S, C) uint8, or floats in [0, 1].
        inside: (N, S, S) bool, the field of view.
        free: (N, S/2, S/2, C) from `remove_vessels`.

    Returns:
        (N, S, S, C) int8, in levels of the images.

    Raises:
        DataError: The images have another type, range or shape.
        ValueError: The field of view or `free` does not fit.
    """
    images, inside = with_field_of_view(images, inside)
    free = as_bytes(free, "free")
    n, height, width, channels = images.shape
    if free.shape != (n, height // 2, width // 2, channels):
        raise ValueError(f"free must be {(n, height // 2, width // 2, channels)}, not {free.shape}")
    out = np.zeros(images.shape, np.int8)
    for i in range(len(images)):
        ground = free[i].repeat(2, 0).repeat(2, 1)  # (S, S, C) from (S/2, S/2, C)
        ground = ground[: images.shape[1], : images.shape[2]]
        rest = images[i].astype(np.int16) - ground
        limit = np.maximum(1, 2 * np.median(np.abs(rest[inside[i]]), axis=0))
        out[i] = np.clip(rest, -limit, limit).clip(-127, 127) * inside[i][..., None]
    return out


class VesselPairs:
    """Renders vessels of a prior as dark lines on real photographs whose own vessels were removed.

    Distractors are rendered too, without entering the mask: choroidal texture, bright and dark
    blobs, discs with sharp rims. The rim of the field of view is that of the photograph.

    Args:
        images: (N, S, S, 3) photographs of at least 32 pixels, uint8 or floats in [0, 1], raw
            intensities; no mask of theirs is used.
        inside: (N, S, S) bool, their field of view.
        prior: Vessel masks.
        size: Side of the pairs in pixels.
        distractors: Whether distractors are rendered.
        shuffled: Gives every image the mask of another one, a negative control.

    Raises:
        DataError: The images are no photographs, or have another type or range.
        ValueError: The field of view does not fit, or a value makes no sense.

    Taught in notebook 04a, section 3.
    """

    def __init__(
        self,
        images: np.ndarray,
        inside: np.ndarray,
        prior: MaskBank,
        size: int = 128,
        distractors: bool = True,
        shuffled: bool = False,
    ):
        images, self.inside = with_field_of_view(images, inside)
        if images.shape[1] != images.shape[2] or images.shape[3] != 3 or images.shape[1] < 32:
            raise DataError(
                "images must be square photographs (N, S, S, 3) of at least 32 pixels, not "
                f"{images.shape}"
            )
        self.prior = instance(prior, MaskBank, "prior", "a MaskBank, for example vessel_prior()")
        self.backgrounds = remove_vessels(images, self.inside)
        self.texture = texture_residual(images, self.inside, self.backgrounds)
        each = [  # one image at a time, because the statistics need it as floats
            colour_statistics(image[None], fov[None]) for image, fov in zip(images, self.inside)
        ]
        self.statistics = [torch.from_numpy(np.concatenate(x)) for x in zip(*each)]
        self.size = whole(size, "size", 16, 4096)
        self.distractors = flag(distractors, "distractors")
        self.shuffled = flag(shuffled, "shuffled")

    def __call__(self, n: int, device: torch.device | str = "cpu") -> Pairs:
        """Makes n pairs; random numbers come from torch's generator."""
        n, size, device = whole(n, "n", 1, 10**5), self.size, torch_device(device)
        draw = partial(uniform, n, device)
        chosen = torch.randint(len(self.backgrounds), (n,))
        ground = torch.from_numpy(self.backgrounds[chosen.numpy()]).to(device)
        ground = ground.permute(0, 3, 1, 2).float() / 255  # (n, 3, S/2, S/2)
        fov = torch.from_numpy(self.inside[chosen.numpy()]).to(device)[:, None].float()
        ground, fov = crops([ground, fov], size, (0.16, 0.32), turn=True)  # (n, 3 | 1, s, s)
        fov = (fov > 0.5).float()

        # Two layers of vessels; `mask` is what is marked, `depth` how strongly it absorbs.
        mask = torch.zeros(n, 1, size, size, device=device)
        depth = torch.zeros_like(mask)
        for layer in range(2):
            tree = self.prior.sample(n, size, (2.2, 7.5), device)  # (n, 1, s, s)
            tree = tree * (draw(0, 1, 1, 1, 1) < (1.0, 0.4)[layer])
            thick = blur(tree, 2.0)
            absorbed = (
                tree
                * (draw(0.25, 1.0, 1, 1, 1) + thick)
                * (1 + 0.3 * smooth_noise(n, size, 4, device)).clamp(0.3, 1.6)
            )
            depth = torch.maximum(depth, absorbed * draw(0.6, 1.0, 1, 1, 1))
            # The bright reflex along the middle of wide vessels.
            depth = depth - draw(0, 3.0, 1, 1, 1) * (thick - 0.6).clamp(min=0) * tree * (
                draw(0, 1, 1, 1, 1) < 0.5
            )
            mask = torch.maximum(mask, tree)

        # Texture of other photographs: one random window of half their side.
        rows, columns = (
            slice(start, start + self.texture.shape[1] // 2)
            for start in torch.randint(self.texture.shape[1] // 4, (2,)).tolist()
        )
        texture = self.texture[torch.randint(len(self.texture), (n,)).numpy()][:, rows, columns]
        texture = torch.from_numpy(texture).to(device).permute(0, 3, 1, 2).float() / 255
        strength = draw(0.0, 1.2, 1, 1, 1)
        ground = ground + strength * crops([texture], size, (0.32, 0.64), turn=True)[0]
        ground = ground * (
            1 + 0.03 * smooth_noise(n, size, 8, device) + 0.02 * smooth_noise(n, size, 24, device)
        )
        if self.distractors:
            ground = self._distract(ground, n, device)
        absorption = torch.stack([draw(0.1, 0.4), draw(0.85, 1.0), draw(0.4, 1.0)], 1)  # (n, 3)
        depth = blur(depth, float(torch.empty(1).uniform_(0.4, 1.2)))
        strength = draw(0.22, 0.65, 1, 1, 1)
        image = ground * torch.exp(-strength * depth * absorption[..., None, None])  # (n, 3, s, s)
        mean, spread = (x[chosen].to(device)[..., None, None] for x in self.statistics)
        image = camera_augment(0.4 + 0.15 * (image - mean) / spread, fov)
        mask = mask * fov
        return Pairs(image, mask[torch.randperm(n)] if self.shuffled else mask)

    def _distract(self, ground: torch.Tensor, n: int, device) -> torch.Tensor:
        """Renders what could be taken for vessels and is not, into (n, 3, s, s)."""
        size = self.size
        draw = partial(uniform, n, device)

        def sometimes(probability: float) -> torch.Tensor:
            return (draw(0, 1, 1, 1, 1) < probability).float()

        # Choroid: broad ridges, brighter or darker.
        for cells in (10, 18):
            ridge = (1 - 1.6 * smooth_noise(n, size, cells, device).abs()).clamp(min=0)
            ground = ground * (1 + sometimes(0.6) * draw(-0.12, 0.16, 1, 1, 1) * ridge)
        # Nerve fibres and fine texture.
        ground = ground * (
            1 + sometimes(0.6) * draw(0, 0.06, 1, 1, 1) * directional_noise(n, size, 40, device)
        )
        ground = ground * (
            1 + sometimes(0.6) * draw(0, 0.06, 1, 1, 1) * smooth_noise(n, size, 50, device)
        )
        # Lesions: blobs of any size, bright and yellow or dark and red.
        for cells, limit in ((8, 1.7), (20, 2.0), (36, 2.3)):
            bright = torch.sigmoid(12 * (smooth_noise(n, size, cells, device) - limit)) * sometimes(
                0.35
            )
            ground = ground + bright * draw(0.1, 0.6, 1, 1, 1) * (
                ground.new_tensor([1.0, 0.85, 0.4])[:, None, None] - ground
            )
            dark = torch.sigmoid(12 * (smooth_noise(n, size, cells, device) - limit)) * sometimes(
                0.35
            )
            ground = ground * torch.exp(
                -dark * draw(0.1, 0.6, 1, 1, 1) * ground.new_tensor([0.3, 1.0, 0.8])[:, None, None]
            )
        # Disc: a bright ellipse with a sharp or a dark rim and a cup.
        at = draw(-1.2, 1.2, 2, 1, 1)
        rows, columns = torch.meshgrid(
            *(2 * (torch.arange(size, device=device) + 0.5) / size - 1,) * 2, indexing="ij"
        )
        distance = torch.hypot((columns - at[:, 0]) * draw(0.85, 1.15, 1, 1), rows - at[:, 1])
        reach = distance[:, None] / draw(0.35, 0.9, 1, 1, 1)  # (n, 1, s, s), 1 on the disc's rim
        soft = draw(6, 40, 1, 1, 1)
        disc = sometimes(0.3)
        inner = torch.sigmoid(soft * (1 - reach))
        ring = torch.exp(
            -(((reach - draw(1.0, 1.15, 1, 1, 1)) / draw(0.03, 0.12, 1, 1, 1)) ** 2)
        ) * draw(-0.3, 0.45, 1, 1, 1)
        cup = torch.sigmoid(0.6 * soft * (draw(0.3, 0.7, 1, 1, 1) - reach))
        pale = ground.new_tensor([1.0, 0.75, 0.45])[:, None, None]
        ground = ground + disc * inner * draw(0.15, 0.7, 1, 1, 1) * (pale - ground)
        ground = ground + disc * cup * draw(0.0, 0.6, 1, 1, 1) * (pale - ground)
        return ground * torch.exp(-disc * ring)
