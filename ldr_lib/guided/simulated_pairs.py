"""Crops of simulated images whose appearance is varied beyond what the simulation renders."""

import numpy as np
import torch
import torch.nn.functional as F
from joblib import Parallel, delayed

from ..data import checks
from ..data.augment import Pairs, blur, camera_augment, crops, smooth_noise, standardise
from ..data.checks import names as names_of
from ..data.checks import whole
from ..data.errors import DataError, one_of
from ..data.geometry import uniform
from ..data.simulate import chest, fundus
from ..data.tensor_checks import torch_device

WHOLE = {"lungs": "lungs_whole"}
"""Structure to the simulated mask that includes what other organs hide of it."""
VARIED = {"fundus": ("disc", "vessel"), "chest": ("lungs_whole",)}
"""Modality to the simulated masks whose appearance is varied."""


def repaint_disc(
    images: torch.Tensor, disc: torch.Tensor, vessel: torch.Tensor, inside: torch.Tensor
) -> torch.Tensor:
    """Renders the optic disc again, with an appearance that the simulation does not have.

    Real discs stand out less than simulated ones: a pale cup off the middle, a rim hardly paler
    than the surrounding retina, a darker side where the vessels leave, sometimes a bright or dark
    crescent next to it.

    Args:
        images: (B, 3, H, W) floats in [0, 1].
        disc, vessel, inside: (B, 1, H, W) floats in [0, 1], masks of disc, vessels and field of
            view.

    Returns:
        (B, 3, H, W) floats; equal to `images` where there is no disc and no crescent.

    Taught in notebook 04b, section 1.
    """
    n, _, height, width = images.shape

    def draw(low: float, high: float, channels: int = 1) -> torch.Tensor:
        return uniform(n, images.device, low, high, channels, 1, 1)

    rows, columns = torch.meshgrid(
        torch.arange(height, device=images.device),
        torch.arange(width, device=images.device),
        indexing="ij",
    )
    area = disc.sum((1, 2, 3), keepdim=True).clamp(min=1)
    y, x = (  # centre of the disc, (B, 1, 1, 1) each
        (disc * where).sum((1, 2, 3), keepdim=True) / area for where in (rows, columns)
    )
    radius = (area / torch.pi).sqrt().clamp(min=2)

    around = inside * (1 - F.max_pool2d(disc, 5, 1, 2))
    retina = blur(images * around, 7.0) / blur(around, 7.0).clamp(min=1e-3)
    pale = torch.cat([draw(0.05, 0.35), draw(0.1, 0.45), draw(0.05, 0.45)], 1)  # (B, 3, 1, 1)
    angle = draw(0, 2 * torch.pi)
    side = ((columns - x) * angle.cos() + (rows - y) * angle.sin()) / radius
    off = draw(0, 0.45) * radius  # of the cup from the middle
    from_cup = torch.hypot(  # (B, 1, H, W)
        (columns - x - off * angle.cos()) / draw(0.8, 1.2), rows - y - off * angle.sin()
    )
    cup = torch.sigmoid(draw(2, 12) * (1 - from_cup / (draw(0.3, 0.85) * radius)))
    rendered = retina + pale * (draw(-0.1, 0.6) + draw(0.3, 1.4) * cup + draw(0, 0.35) * side)
    rendered = rendered * (1 + 0.06 * smooth_noise(n, height, 16, images.device))
    red = torch.cat([draw(0.05, 0.3), draw(0.4, 1.0), draw(0.3, 0.9)], 1)
    trunk = (1.5 * blur(vessel, 3.0)).clamp(max=1)
    rendered = rendered * torch.exp(
        -red * (draw(0.2, 0.9) * blur(vessel, 0.7) + draw(0, 0.5) * trunk)
    )

    from_edge = torch.hypot(columns - x, rows - y) / radius - draw(1.05, 1.2)
    crescent = torch.exp(-((from_edge / draw(0.05, 0.15)) ** 2)) * torch.sigmoid(
        4 * (side * draw(-1, 1) + draw(-0.5, 1))
    )
    beside = images * (
        1
        + draw(-0.25, 0.25)
        * (draw(0, 1) < 0.4)
        * crescent
        * (disc.sum((1, 2, 3), keepdim=True) > 0)
    )
    cover = blur(disc, float(torch.empty(1).uniform_(0.5, 1.8)))
    return torch.where(draw(0, 1) < 0.75, beside + cover * (rendered - beside), images)


def _nerve_fibre_haze(images: torch.Tensor, disc: torch.Tensor) -> torch.Tensor:
    """Bright nerve fibres around the disc."""
    n, size = len(images), images.shape[-1]
    halo = blur(disc, float(torch.empty(1).uniform_(5, 14)))
    halo = (
        halo
        / halo.amax((2, 3), keepdim=True).clamp(min=0.1)
        * (1 + 0.5 * smooth_noise(n, size, 12, images.device)).clamp(0, 2)
    )
    return images + uniform(n, images.device, -0.05, 0.25, 1, 1, 1) * halo


def _lung_opacities(images: torch.Tensor, lungs: torch.Tensor) -> torch.Tensor:
    """Opacities in the lungs, from light haze to consolidation."""
    n, size = len(images), images.shape[-1]

    def draw(low: float, high: float) -> torch.Tensor:
        return uniform(n, images.device, low, high, 1, 1, 1)

    soft = blur(lungs, 2.0)
    for cells in (2, 5):
        opaque = (smooth_noise(n, size, cells, images.device) + draw(-1.0, 1.0)).clamp(0, 1.5)
        images = images + draw(0, 0.28) * (draw(0, 1) < 0.6) * opaque * soft
    return images


class SimulatedPairs:
    """Crops of simulated images with their exact masks; bent and hazy, with the optic disc rendered
    again or opacities in the lungs.

    Args:
        modality: "fundus" or "chest".
        structures: Guided structures in the guide's order.
        n_images: Number of simulated images from which the pairs are cropped.
        seed: Fixes them.
        size: Side of the pairs in pixels.

    Raises:
        ValueError: Unknown modality, no structure, or a number out of range.
        DataError: A structure that the simulation does not have.

    Taught in notebook 04b, section 1.
    """

    def __init__(
        self,
        modality: str,
        structures: list[str],
        n_images: int = 400,
        seed: int = 0,
        size: int = 128,
    ):
        structures = names_of(structures, "structures", "structures")
        n_images, seed = whole(n_images, "n_images", 1, 10**6), checks.seed(seed)
        size = whole(size, "size", 16, 4096)
        simulators = {"fundus": (fundus, 256), "chest": (chest, 192)}
        simulate, side = simulators[one_of(modality, simulators, "modality")]
        samples = Parallel(2)(
            delayed(simulate)(side, 100_000 * (seed + 1) + i) for i in range(n_images)
        )
        names = [
            "field_of_view",
            *VARIED[modality],
            *(WHOLE.get(name, name) for name in structures),
        ]
        if missing := set(names) - samples[0].masks.keys():
            raise DataError(
                f"the simulated {modality} has no {sorted(missing)}; "
                f"it has {', '.join(samples[0].masks)}"
            )
        self.masks = np.stack(  # (N, 1 + varied + n, S, S): field of view, varied, targets
            [np.stack([sample.masks[name] for name in names]) for sample in samples]
        )
        images = np.stack([np.atleast_3d(sample.image) for sample in samples])
        self.images, self.size, self.n_varied = (
            standardise(images, self.masks[:, 0]),
            size,
            len(VARIED[modality]),
        )
        self.scale, self.haze = {"fundus": ((0.4, 1.1), 0.12), "chest": ((0.75, 1.15), 0.15)}[
            modality
        ]
        self.grey = modality == "chest"

    def __call__(self, n: int, device: torch.device | str = "cpu") -> Pairs:
        """Makes n pairs; random numbers come from torch's generator."""
        n, device = whole(n, "n", 1, 10**5), torch_device(device)
        chosen = torch.randint(len(self.images), (n,)).numpy()
        images = torch.from_numpy(self.images[chosen]).to(device)
        images = images.permute(0, 3, 1, 2).float() / 255  # (n, C, S, S)
        masks = torch.from_numpy(self.masks[chosen]).to(device).float()
        images, masks = crops(  # both at side s from here
            [images, masks],
            self.size,
            self.scale,
            turn=False,
            mirror=not self.grey,
            bend=0.02 + 0.01 * self.grey,
        )
        n_targets = masks.shape[1] - 1 - self.n_varied
        inside, varied, targets = masks.split([1, self.n_varied, n_targets], 1)  # (n, ., s, s)
        if self.grey:
            inside = torch.ones_like(inside)
            images = _lung_opacities(images, varied)
        else:
            inside, (disc, vessel) = (inside > 0.5).float(), varied.split(1, 1)
            images = _nerve_fibre_haze(repaint_disc(images, disc, vessel, inside), disc)
        for cells in (2, 4, 8):
            haze = uniform(n, device, -0.03, self.haze, 1, 1, 1)
            images = images + haze * smooth_noise(n, self.size, cells, device).clamp(min=0) * inside
        return Pairs(camera_augment(images, inside), targets)
