"""Drawing a prior into an image: pairs of a picture and the mask that it was drawn from, made for whole batches."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from joblib import Parallel, delayed
from skimage.filters import rank
from skimage.morphology import disk

from .data.files import DataError
from .data.simulate import chest, fundus
from .guide import guide_for
from .priors import MaskBank

WHOLE = {"lungs": "lungs_whole"}


@dataclass
class Pairs:
    """Images with the masks that they were made from.

    Attributes:
        images: (B, C, s, s) floats in [0, 1], as the network sees them (`standardise`d).
        targets: (B, n, s, s) floats in [0, 1], one mask for each of n guided structures.
        known: (B, n) bool, which masks are known; the others may be anything.
    """

    images: torch.Tensor
    targets: torch.Tensor
    known: torch.Tensor

    @staticmethod
    def join(parts: list["Pairs"]) -> "Pairs":
        """One batch of several."""
        return Pairs(*(torch.cat([getattr(part, name) for part in parts]) for name in ("images", "targets", "known")))


def colour_statistics(images: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel of each image inside its field of view, both (N, C), in [0, 1]."""
    weight = inside[..., None] / inside.sum((1, 2), keepdims=True)[..., None]
    x = images.astype(np.float32) / 255
    mean = (x * weight).sum((1, 2))
    spread = np.sqrt((np.square(x - mean[:, None, None]) * weight).sum((1, 2)))
    return mean.astype(np.float32), np.maximum(spread, 0.02).astype(np.float32)


def standardise(images: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Brings images of all cameras to one colour balance: 0.4 + 0.15 (x - mean) / deviation in the field of view, 0 outside.

    Args:
        images: (N, H, W, C) uint8.
        inside: (N, H, W) bool, the field of view.

    Returns:
        (N, H, W, C) uint8.

    Ours, not published. Taught in notebook 04, section 3.
    """
    out = np.zeros(images.shape, np.uint8)
    for i, (image, seen) in enumerate(zip(images, inside)):
        mean, spread = colour_statistics(np.asarray(image)[None], np.asarray(seen)[None])
        value = 0.4 + 0.15 * (np.asarray(image, np.float32) / 255 - mean[0]) / spread[0]
        out[i] = (255 * value.clip(0, 1) * seen[..., None]).round()
    return out


def without_vessels(images: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Photographs of the retina without their vessels: the median of the surroundings, 1/20 of the side wide.

    Args:
        images: (N, S, S, C) uint8.
        inside: (N, S, S) bool, the field of view.

    Returns:
        (N, S/2, S/2, C) uint8, black outside the field of view.

    Taught in notebook 04, section 3.
    """
    footprint = disk(max(2, images.shape[1] // 80))
    out = np.zeros((len(images), images.shape[1] // 2, images.shape[2] // 2, images.shape[3]), np.uint8)
    for i in range(len(images)):
        seen = np.ascontiguousarray(inside[i][::2, ::2])
        for channel in range(images.shape[3]):
            grey = np.ascontiguousarray(images[i][::2, ::2, channel])
            out[i, ..., channel] = rank.median(grey, footprint, mask=seen) * seen
    return out


def grain_of(images: np.ndarray, inside: np.ndarray, free: np.ndarray) -> np.ndarray:
    """What the median took away, cut off at twice the median: the texture of tissue and camera, hardly any vessel.

    Args:
        images: (N, S, S, C) uint8.
        inside: (N, S, S) bool, the field of view.
        free: (N, S/2, S/2, C) from `without_vessels`.

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


def clouds(n: int, size: int, cells: int, device: torch.device | str) -> torch.Tensor:
    """Smooth noise of about unit spread, (n, 1, size, size), whose blobs measure size / cells."""
    margin = 2
    coarse = torch.randn(n, 1, cells + 2 * margin, cells + 2 * margin, device=device)
    grown = F.interpolate(coarse, (round(size * (1 + 2 * margin / cells)),) * 2, mode="bicubic")
    cut = (grown.shape[-1] - size) // 2
    return grown[..., cut : cut + size, cut : cut + size]


def streaks(n: int, size: int, cells: int, device: torch.device | str) -> torch.Tensor:
    """Smooth noise drawn out to about six times its width, in one direction for each image."""
    angle = torch.empty(n, device=device).uniform_(0, torch.pi)
    cos, sin = 0.7 * angle.cos(), 0.7 * angle.sin()
    theta = torch.stack([cos / 6, sin / 6, 0 * cos, -sin, cos, 0 * cos], 1).reshape(n, 2, 3)
    grid = F.affine_grid(theta, [n, 1, size, size], align_corners=False)
    return F.grid_sample(clouds(n, size, cells, device), grid, padding_mode="reflection", align_corners=False)


def _blur(x: torch.Tensor, sigma: float) -> torch.Tensor:
    reach = max(1, int(3 * sigma))
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=x.device) / sigma) ** 2)
    weights = weights / weights.sum()
    n, channels = x.shape[:2]
    kernel = weights.expand(channels, 1, -1)
    x = F.conv2d(F.pad(x, (reach, reach, reach, reach), mode="replicate"), kernel[:, :, None], groups=channels)
    return F.conv2d(x, kernel[..., None], groups=channels)


def crops(
    arrays: list[torch.Tensor], size: int, scale: tuple[float, float], turn: bool, mirror: bool = True, bend: float = 0.0
) -> list[torch.Tensor]:
    """The same random square of every array, resampled.

    Args:
        arrays: (B, C_i, S_i, S_i) floats that show the same field.
        size: Side of the result.
        scale: Smallest and largest side as a share of the whole.
        turn: Rotate by any angle; otherwise by up to 10 degrees.
        mirror: Exchange left and right in every second image.
        bend: Spread of a smooth displacement, as a share of half the side; also stretches by up to six times that share.

    Returns:
        (B, C_i, size, size) floats; outside the first array's border its outermost pixels are repeated, all others get 0.
    """
    n, device = len(arrays[0]), arrays[0].device
    uniform = lambda low, high, *shape: torch.empty(n, *shape, device=device).uniform_(low, high)
    side = torch.exp(uniform(np.log(scale[0]), np.log(scale[1])))
    angle = uniform(-torch.pi, torch.pi) if turn else uniform(-0.17, 0.17)
    flip = 2.0 * torch.randint(2, (n,), device=device) - 1 if mirror else torch.ones(n, device=device)
    cos, sin = side * angle.cos(), side * angle.sin()
    centre = uniform(-1, 1, 2) * (1 - side).abs()[:, None]
    stretch = 1 + 6 * bend * uniform(-1, 1)
    theta = torch.stack([cos * flip * stretch, -sin, centre[:, 0], sin * flip * stretch, cos, centre[:, 1]], 1).reshape(n, 2, 3)
    grid = F.affine_grid(theta, [n, 1, size, size], align_corners=False)
    if bend:
        moved = F.interpolate(bend * torch.randn(n, 2, 5, 5, device=device), (size, size), mode="bicubic")
        grid = grid + moved.permute(0, 2, 3, 1)
    padding = ["border"] + ["zeros"] * (len(arrays) - 1)
    return [F.grid_sample(array, grid, padding_mode=mode, align_corners=False) for array, mode in zip(arrays, padding)]


def other_camera(images: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Another camera: contrast, colour and light of the standardised image, focus and noise."""
    n, channels, size, _ = images.shape
    uniform = lambda low, high, *shape: torch.empty(n, *shape, device=images.device).uniform_(low, high)
    gain, shift = uniform(0.75, 1.3, channels, 1, 1), uniform(-0.08, 0.08, channels, 1, 1)
    light = 0.06 * uniform(0, 1, 1, 1, 1) * clouds(n, size, 2, images.device)
    images = 0.4 + gain * (images - 0.4) + shift + light
    images = torch.where(uniform(0, 1, 1, 1, 1) < 0.4, _blur(images, float(torch.empty(1).uniform_(0.4, 1.2))), images)
    images = images + uniform(0.0, 0.03, 1, 1, 1) * torch.randn_like(images)
    return images.clamp(0, 1) * inside


class VesselPairs:
    """Draws vessels of a prior as dark lines on real photographs from which the vessels were taken out.

    Also drawn, and not vessels: choroidal texture, bright and dark blobs, discs with sharp rims. The rim of the field of
    view is that of the photograph.

    Args:
        images: (N, S, S, 3) uint8 photographs in their own light; no mask of theirs is used.
        inside: (N, S, S) bool, their field of view.
        prior: Vessel masks.
        n_structures: Guided structures; vessels are number 0 and the only ones known.
        size: Side of the pairs.
        distractors: Whether these are drawn.
        shuffled: Give every picture the mask of another, a negative control.

    Taught in notebook 04, section 3.
    """

    def __init__(
        self, images: np.ndarray, inside: np.ndarray, prior: MaskBank, n_structures: int = 3, size: int = 128,
        distractors: bool = True, shuffled: bool = False,
    ):
        self.backgrounds, self.inside, self.prior = without_vessels(images, inside), np.asarray(inside), prior
        self.grain = grain_of(np.asarray(images), self.inside, self.backgrounds)
        self.statistics = [torch.from_numpy(x) for x in colour_statistics(np.asarray(images), self.inside)]
        self.n_structures, self.size, self.distractors, self.shuffled = n_structures, size, distractors, shuffled

    def __call__(self, n: int, device: torch.device | str = "cpu") -> Pairs:
        """Makes n pairs; random numbers come from torch's generator."""
        size = self.size
        uniform = lambda low, high, *shape: torch.empty(n, *shape, device=device).uniform_(low, high)
        chosen = torch.randint(len(self.backgrounds), (n,))
        ground = torch.from_numpy(self.backgrounds[chosen.numpy()]).to(device).permute(0, 3, 1, 2).float() / 255
        seen = torch.from_numpy(self.inside[chosen.numpy()]).to(device)[:, None].float()
        ground, seen = crops([ground, seen], size, (0.2, 0.4), turn=True)
        seen = (seen > 0.5).float()

        cover = torch.zeros(n, 1, size, size, device=device)
        light = torch.zeros_like(cover)
        for layer in range(2):
            drawn = self.prior.draw(n, size, (1.8, 6.0), device)
            drawn = drawn * (uniform(0, 1, 1, 1, 1) < (1.0, 0.4)[layer])
            thick = _blur(drawn, 2.0)
            depth = drawn * (uniform(0.25, 1.0, 1, 1, 1) + thick) * (1 + 0.3 * clouds(n, size, 4, device)).clamp(0.3, 1.6)
            light = torch.maximum(light, depth * uniform(0.6, 1.0, 1, 1, 1))
            light = light - uniform(0, 3.0, 1, 1, 1) * (thick - 0.6).clamp(min=0) * drawn * (uniform(0, 1, 1, 1, 1) < 0.5)
            cover = torch.maximum(cover, drawn)

        quarter = [slice(start, start + self.grain.shape[1] // 2) for start in torch.randint(self.grain.shape[1] // 4, (2,)).tolist()]
        grain = self.grain[torch.randint(len(self.grain), (n,)).numpy()][:, quarter[0], quarter[1]]
        grain = torch.from_numpy(grain).to(device).permute(0, 3, 1, 2).float() / 255
        ground = ground + uniform(0.0, 1.2, 1, 1, 1) * crops([grain], size, (0.4, 0.8), turn=True)[0]
        ground = ground * (1 + 0.03 * clouds(n, size, 8, device) + 0.02 * clouds(n, size, 24, device))
        if self.distractors:
            ground = self._distract(ground, n, device)
        colour = torch.stack([uniform(0.1, 0.4), uniform(0.85, 1.0), uniform(0.4, 1.0)], 1)[..., None, None]
        light = _blur(light, float(torch.empty(1).uniform_(0.4, 1.2)))
        image = ground * torch.exp(-uniform(0.22, 0.65, 1, 1, 1) * light * colour)
        mean, spread = (x[chosen].to(device)[..., None, None] for x in self.statistics)
        image = other_camera(0.4 + 0.15 * (image - mean) / spread, seen)
        targets = torch.zeros(n, self.n_structures, size, size, device=device)
        targets[:, :1] = (cover * seen)[torch.randperm(n) if self.shuffled else slice(None)]
        known = torch.zeros(n, self.n_structures, dtype=torch.bool, device=device)
        known[:, 0] = True
        return Pairs(image, targets, known)

    def _distract(self, ground: torch.Tensor, n: int, device) -> torch.Tensor:
        """Draws what could be taken for vessels and is not."""
        size = self.size
        uniform = lambda low, high, *shape: torch.empty(n, *shape, device=device).uniform_(low, high)
        sometimes = lambda p: (uniform(0, 1, 1, 1, 1) < p).float()
        # Choroid: broad ridges, brighter or darker.
        for cells in (10, 18):
            ridge = (1 - 1.6 * clouds(n, size, cells, device).abs()).clamp(min=0)
            ground = ground * (1 + sometimes(0.6) * uniform(-0.12, 0.16, 1, 1, 1) * ridge)
        # Nerve fibres and grain.
        ground = ground * (1 + sometimes(0.6) * uniform(0, 0.06, 1, 1, 1) * streaks(n, size, 40, device))
        ground = ground * (1 + sometimes(0.6) * uniform(0, 0.06, 1, 1, 1) * clouds(n, size, 50, device))
        # Lesions: blobs of any size, bright and yellow or dark and red.
        for cells, limit in ((8, 1.7), (20, 2.0), (36, 2.3)):
            bright = torch.sigmoid(12 * (clouds(n, size, cells, device) - limit)) * sometimes(0.35)
            ground = ground + bright * uniform(0.1, 0.6, 1, 1, 1) * (ground.new_tensor([1.0, 0.85, 0.4])[:, None, None] - ground)
            dark = torch.sigmoid(12 * (clouds(n, size, cells, device) - limit)) * sometimes(0.35)
            ground = ground * torch.exp(-dark * uniform(0.1, 0.6, 1, 1, 1) * ground.new_tensor([0.3, 1.0, 0.8])[:, None, None])
        # Disc: a bright ellipse with a sharp or a dark rim and a cup.
        at = uniform(-1.2, 1.2, 2, 1, 1)
        rows, columns = torch.meshgrid(*(2 * (torch.arange(size, device=device) + 0.5) / size - 1,) * 2, indexing="ij")
        reach = torch.hypot((columns - at[:, 0]) * uniform(0.85, 1.15, 1, 1), rows - at[:, 1])[:, None] / uniform(0.35, 0.9, 1, 1, 1)
        soft = uniform(6, 40, 1, 1, 1)
        disc = sometimes(0.3)
        inner = torch.sigmoid(soft * (1 - reach))
        ring = torch.exp(-(((reach - uniform(1.0, 1.15, 1, 1, 1)) / uniform(0.03, 0.12, 1, 1, 1)) ** 2)) * uniform(-0.3, 0.45, 1, 1, 1)
        cup = torch.sigmoid(0.6 * soft * (uniform(0.3, 0.7, 1, 1, 1) - reach))
        pale = ground.new_tensor([1.0, 0.75, 0.45])[:, None, None]
        ground = ground + disc * inner * uniform(0.15, 0.7, 1, 1, 1) * (pale - ground)
        ground = ground + disc * cup * uniform(0.0, 0.6, 1, 1, 1) * (pale - ground)
        return ground * torch.exp(-disc * ring)


class SimulatedPairs:
    """Crops of simulated images, whose masks are exact; bent, hazy, and for chest X-rays with clouded lungs.

    Args:
        modality: "fundus" or "chest".
        structures: Guided structures in the guide's order; those in `unknown` are drawn and their masks not given.
        n_images: Simulated images to draw from.
        seed: Fixes them.
        size: Side of the pairs.
        unknown: Structures whose mask shall come from another prior.

    Raises:
        DataError: A structure that the simulation does not have.

    Taught in notebook 04, section 3.
    """

    def __init__(
        self, modality: str, structures: list[str], n_images: int = 400, seed: int = 0, size: int = 128,
        unknown: tuple[str, ...] = (),
    ):
        simulate, side = {"fundus": (fundus, 256), "chest": (chest, 192)}[modality]
        samples = Parallel(2)(delayed(simulate)(side, 100_000 * (seed + 1) + i) for i in range(n_images))
        names = ["field_of_view", *(WHOLE.get(name, name) for name in structures)]
        if missing := set(names) - samples[0].masks.keys():
            raise DataError(f"the simulated {modality} has no {sorted(missing)}; it has {', '.join(samples[0].masks)}")
        self.masks = np.stack([np.stack([sample.masks[name] for name in names]) for sample in samples])
        images = np.stack([np.atleast_3d(sample.image) for sample in samples])
        self.images, self.size = standardise(images, self.masks[:, 0]), size
        self.known = torch.tensor([name not in unknown for name in structures])
        self.scale, self.haze = {"fundus": ((0.5, 1.1), 0.12), "chest": ((0.75, 1.15), 0.15)}[modality]
        self.grey = modality == "chest"
        self.clouded, self.pale = (structures.index(name) if name in structures else None for name in ("lungs", "disc"))

    def __call__(self, n: int, device: torch.device | str = "cpu") -> Pairs:
        """Makes n pairs; random numbers come from torch's generator."""
        chosen = torch.randint(len(self.images), (n,)).numpy()
        images = torch.from_numpy(self.images[chosen]).to(device).permute(0, 3, 1, 2).float() / 255
        masks = torch.from_numpy(self.masks[chosen]).to(device).float()
        images, masks = crops([images, masks], self.size, self.scale, turn=False, mirror=not self.grey, bend=0.02 + 0.01 * self.grey)
        inside = torch.ones_like(masks[:, :1]) if self.grey else (masks[:, :1] > 0.5).float()
        targets = masks[:, 1:]
        uniform = lambda low, high: torch.empty(n, 1, 1, 1, device=device).uniform_(low, high)
        if self.clouded is not None:
            lung = _blur(targets[:, self.clouded, None], 2.0)
            for cells in (2, 5):
                opaque = (clouds(n, self.size, cells, device) + uniform(-1.0, 1.0)).clamp(0, 1.5)
                images = images + uniform(0, 0.28) * (uniform(0, 1) < 0.6) * opaque * lung
        if self.pale is not None:
            # Bright nerve fibres around the disc, and a disc, above all its rim, that stands out less.
            disc = targets[:, self.pale, None]
            halo = _blur(disc, float(torch.empty(1).uniform_(5, 14)))
            halo = halo / halo.amax((2, 3), keepdim=True).clamp(min=0.1) * (1 + 0.5 * clouds(n, self.size, 12, device)).clamp(0, 2)
            core = _blur(disc, 4.0)
            rim = _blur(disc, 1.0) * (1 - core / core.amax((2, 3), keepdim=True).clamp(min=0.1))
            images = images + uniform(-0.05, 0.25) * halo - uniform(0, 0.12) * _blur(disc, 1.0) - uniform(0, 0.4) * rim
        for cells in (2, 4, 8):
            images = images + uniform(-0.03, self.haze) * clouds(n, self.size, cells, device).clamp(min=0) * inside
        return Pairs(other_camera(images, inside), targets, self.known.to(device).expand(n, -1))


def guided_sources(
    modality: str, images: np.ndarray, inside: np.ndarray, prior: MaskBank | None, n_images: int = 400, seed: int = 0,
    size: int = 128, distractors: bool = True, shuffled: bool = False,
) -> list:
    """The makers of rendered pairs of a training.

    Args:
        modality: "fundus": five sixths of the pairs hold vessels of the prior, one sixth simulated discs and foveas; with
            n_images = 0 all hold vessels. "chest": all are simulated X-rays.
        images: (N, S, S, C) uint8 real images in their own light, for the backgrounds.
        inside: (N, S, S) bool, their field of view.
        prior: Vessel masks; not used for the chest.
        n_images: Simulated images to draw from.
        seed: Fixes them.
        size: Side of the pairs.
        distractors: Whether also drawn is what could be taken for vessels.
        shuffled: Give every picture the mask of another: a negative control.

    Taught in notebook 04, section 4.
    """
    structures = guide_for(modality).structures
    if modality == "chest":
        return [SimulatedPairs("chest", structures, n_images, seed, size)]
    vessels = VesselPairs(images, inside, prior, len(structures), size, distractors, shuffled)
    eyes = [SimulatedPairs("fundus", structures, n_images, seed, size, unknown=("vessel",))] if n_images else []
    return [vessels] * 5 + eyes
