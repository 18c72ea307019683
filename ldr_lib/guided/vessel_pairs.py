"""Drawing vessels of a prior into real photographs: pictures and the masks that they were drawn
from, whole batches at once.
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
)
from ..data.geometry import uniform
from .priors import MaskBank


def remove_vessels(images: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Photographs of the retina without their vessels: the median of the surroundings, 1/20 of the
    side wide.

    Args:
        images: (N, S, S, C) uint8.
        inside: (N, S, S) bool, the field of view.

    Returns:
        (N, S/2, S/2, C) uint8, black outside the field of view.

    Taught in notebook 04, section 3.
    """
    footprint = disk(max(2, images.shape[1] // 80))
    out = np.zeros(
        (len(images), images.shape[1] // 2, images.shape[2] // 2, images.shape[3]), np.uint8
    )
    for i in range(len(images)):
        seen = np.ascontiguousarray(inside[i][::2, ::2])
        for channel in range(images.shape[3]):
            grey = np.ascontiguousarray(images[i][::2, ::2, channel])
            out[i, ..., channel] = rank.median(grey, footprint, mask=seen) * seen
    return out


def texture_residual(images: np.ndarray, inside: np.ndarray, free: np.ndarray) -> np.ndarray:
    """What the median took away, cut off at twice the median: the texture of tissue and camera,
    hardly any vessel.

    Args:
        images: (N, S, S, C) uint8.
        inside: (N, S, S) bool, the field of view.
        free: (N, S/2, S/2, C) from `remove_vessels`.

    Returns:
        (N, S, S, C) int8, in levels of the images.
    """
    out = np.zeros(images.shape, np.int8)
    for i in range(len(images)):
        ground = free[i].repeat(2, 0).repeat(2, 1)[: images.shape[1], : images.shape[2]]
        rest = images[i].astype(np.int16) - ground
        limit = np.maximum(1, 2 * np.median(np.abs(rest[inside[i]]), axis=0))
        out[i] = np.clip(rest, -limit, limit).clip(-127, 127) * inside[i][..., None]
    return out


class VesselPairs:
    """Draws vessels of a prior as dark lines on real photographs from which the vessels were taken
    out.

    Also drawn, and not vessels: choroidal texture, bright and dark blobs, discs with sharp rims.
    The rim of the field of view is that of the photograph.

    Args:
        images: (N, S, S, 3) uint8 photographs in their own light; no mask of theirs is used.
        inside: (N, S, S) bool, their field of view.
        prior: Vessel masks.
        size: Side of the pairs.
        distractors: Whether these are drawn.
        shuffled: Give every picture the mask of another, a negative control.

    Taught in notebook 04, section 3.
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
        self.backgrounds, self.inside, self.prior = (
            remove_vessels(images, inside),
            np.asarray(inside),
            prior,
        )
        self.grain = texture_residual(np.asarray(images), self.inside, self.backgrounds)
        each = [
            colour_statistics(image[None], seen[None])
            for image, seen in zip(np.asarray(images), self.inside)
        ]  # floats of one at a time
        self.statistics = [torch.from_numpy(np.concatenate(x)) for x in zip(*each)]
        self.size, self.distractors, self.shuffled = size, distractors, shuffled

    def __call__(self, n: int, device: torch.device | str = "cpu") -> Pairs:
        """Makes n pairs; random numbers come from torch's generator."""
        size = self.size
        draw = partial(uniform, n, device)
        chosen = torch.randint(len(self.backgrounds), (n,))
        ground = (
            torch.from_numpy(self.backgrounds[chosen.numpy()])
            .to(device)
            .permute(0, 3, 1, 2)
            .float()
            / 255
        )
        seen = torch.from_numpy(self.inside[chosen.numpy()]).to(device)[:, None].float()
        ground, seen = crops([ground, seen], size, (0.16, 0.32), turn=True)
        seen = (seen > 0.5).float()

        cover = torch.zeros(n, 1, size, size, device=device)
        light = torch.zeros_like(cover)
        for layer in range(2):
            drawn = self.prior.sample(n, size, (2.2, 7.5), device)
            drawn = drawn * (draw(0, 1, 1, 1, 1) < (1.0, 0.4)[layer])
            thick = blur(drawn, 2.0)
            depth = (
                drawn
                * (draw(0.25, 1.0, 1, 1, 1) + thick)
                * (1 + 0.3 * smooth_noise(n, size, 4, device)).clamp(0.3, 1.6)
            )
            light = torch.maximum(light, depth * draw(0.6, 1.0, 1, 1, 1))
            light = light - draw(0, 3.0, 1, 1, 1) * (thick - 0.6).clamp(min=0) * drawn * (
                draw(0, 1, 1, 1, 1) < 0.5
            )
            cover = torch.maximum(cover, drawn)

        quarter = [
            slice(start, start + self.grain.shape[1] // 2)
            for start in torch.randint(self.grain.shape[1] // 4, (2,)).tolist()
        ]
        grain = self.grain[torch.randint(len(self.grain), (n,)).numpy()][:, quarter[0], quarter[1]]
        grain = torch.from_numpy(grain).to(device).permute(0, 3, 1, 2).float() / 255
        ground = ground + draw(0.0, 1.2, 1, 1, 1) * crops([grain], size, (0.32, 0.64), turn=True)[0]
        ground = ground * (
            1 + 0.03 * smooth_noise(n, size, 8, device) + 0.02 * smooth_noise(n, size, 24, device)
        )
        if self.distractors:
            ground = self._distract(ground, n, device)
        colour = torch.stack([draw(0.1, 0.4), draw(0.85, 1.0), draw(0.4, 1.0)], 1)[..., None, None]
        light = blur(light, float(torch.empty(1).uniform_(0.4, 1.2)))
        image = ground * torch.exp(-draw(0.22, 0.65, 1, 1, 1) * light * colour)
        mean, spread = (x[chosen].to(device)[..., None, None] for x in self.statistics)
        image = camera_augment(0.4 + 0.15 * (image - mean) / spread, seen)
        return Pairs(image, (cover * seen)[torch.randperm(n) if self.shuffled else slice(None)])

    def _distract(self, ground: torch.Tensor, n: int, device) -> torch.Tensor:
        """Draws what could be taken for vessels and is not."""
        size = self.size
        draw = partial(uniform, n, device)

        def sometimes(probability: float) -> torch.Tensor:
            return (draw(0, 1, 1, 1, 1) < probability).float()

        # Choroid: broad ridges, brighter or darker.
        for cells in (10, 18):
            ridge = (1 - 1.6 * smooth_noise(n, size, cells, device).abs()).clamp(min=0)
            ground = ground * (1 + sometimes(0.6) * draw(-0.12, 0.16, 1, 1, 1) * ridge)
        # Nerve fibres and grain.
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
        reach = torch.hypot((columns - at[:, 0]) * draw(0.85, 1.15, 1, 1), rows - at[:, 1])[
            :, None
        ] / draw(0.35, 0.9, 1, 1, 1)
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
