"""Topological priors: masks that show what a structure looks like, taken from elsewhere and paired
with no image.
"""

import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from joblib import Parallel, delayed
from PIL import Image
from scipy import ndimage
from skimage.morphology import skeletonize

from ..data import checks
from ..data.checks import array, instance, several, shown, span, text, whole
from ..data.errors import DataError, one_of, printable
from ..data.geometry import affine_grid, smooth_displacement, uniform
from ..data.read import IMAGE_SUFFIXES
from ..data.simulate import chest, fundus
from ..data.tensor_checks import torch_device
from ..data.vessel_tree import draw_vessels, grow_vessel_tree
from .prior_checks import check_shape, read_mask


@dataclass(frozen=True)
class MaskBank:
    """Masks of one structure, from which crops of any scale and direction are sampled.

    Attributes:
        masks: (M, S, S) uint8, 0 or 255.
        calibres: (M,) typical width of the structure in each mask, in pixels of `masks`.
        name: Where they come from, for messages and figures.

    Raises:
        ValueError: Masks and widths do not fit each other.

    Taught in notebook 04a, section 1.
    """

    masks: np.ndarray
    calibres: np.ndarray
    name: str

    def __post_init__(self):
        instance(self.name, str, "name", "a text")
        masks = array(self.masks, "masks", "MSS")
        calibres = checks.finite(array(self.calibres, "calibres", "M"), "calibres")
        if masks.dtype != np.uint8 or not masks.size or masks.shape[1] != masks.shape[2]:
            raise ValueError(f"masks must be square uint8, 0 or 255, not {shown(masks)}")
        if len(calibres) != len(masks) or not (calibres > 0).all():
            raise ValueError(f"calibres must be {len(masks)} widths above 0, not {calibres}")

    def __len__(self) -> int:
        return len(self.masks)

    def sample(
        self, n: int, size: int, calibre: tuple[float, float], device: torch.device | str = "cpu"
    ) -> torch.Tensor:
        """Random crops of random masks: rotated, flipped, scaled, bent, mirrored beyond the border.

        Args:
            n: Number of crops.
            size: Side of a crop in pixels.
            calibre: Smallest and largest typical width of the structure, in pixels of the crop.
            device: Where to compute.

        Returns:
            (n, 1, size, size) floats in [0, 1]; random numbers come from torch's generator.

        Raises:
            ValueError: A number is not positive, or the widths are not ordered.
        """
        n, size = whole(n, "n", 1, 10**5), whole(size, "size", 1, 4096)
        calibre, device = span(calibre, "calibre"), torch_device(device)
        draw = partial(uniform, n, device)
        chosen = torch.randint(len(self), (n,))
        source = torch.from_numpy(self.masks[chosen.numpy()]).to(device)[:, None]  # (n, 1, S, S)
        source = source.float() / 255
        width = torch.from_numpy(self.calibres[chosen.numpy()]).to(device).float()
        wanted = torch.exp(draw(np.log(calibre[0]), np.log(calibre[1])))
        zoom = (size * width / wanted / source.shape[-1]).clamp(max=1.5)
        angle, flip = draw(0, 2 * torch.pi), 2.0 * torch.randint(2, (n,), device=device) - 1
        stretch = draw(0.8, 1.25).sqrt()
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        centre = torch.stack([draw(-0.8, 0.8), draw(-0.8, 0.8)], 1)
        grid = affine_grid(
            cos * stretch * flip, -sin / stretch, sin * stretch * flip, cos / stretch, centre, size
        )
        grid = grid + zoom[:, None, None, None] * smooth_displacement(n, 0.05, size, device)
        return F.grid_sample(source, grid, padding_mode="reflection", align_corners=False).clamp(
            0, 1
        )


def _calibre(mask: np.ndarray) -> float:
    """Median width in pixels along the centre lines; 1 where there is none."""
    lines = skeletonize(mask)
    if not lines.any():
        return 1.0
    distance_to_edge = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    return float(2 * np.median(distance_to_edge[lines]))


def mask_bank(masks: list[np.ndarray], name: str, size: int = 512) -> MaskBank:
    """A bank from binary masks of any sizes.

    Args:
        masks: (H, W) bool arrays.
        name: Of the bank.
        size: Side S to which the longer side of every mask is brought; shorter sides are mirrored
            to fill the square.

    Raises:
        DataError: No masks, or one that is empty, full, inverted (structure in more than half of
            it), smaller than 32 pixels, or more than four times as long as wide.
        ValueError: They are no masks (H, W), or the size is out of range.

    Warns:
        UserWarning: A mask is at least twice as long as wide, so that mirror images fill its
            square.
    """
    if hasattr(masks, "__len__") and not len(masks):
        raise DataError(f"the prior {name} holds no mask")
    size, checked = whole(size, "size", 32, 4096), []
    for i, given in enumerate(several(masks, "masks", "masks (H, W)")):
        mask = checks.mask(given, f"mask {i} of the prior {name}", "HW")
        check_shape(mask, f"mask {i} of the prior {name}")
        checked.append(mask)
    return _bank(checked, name, size)


def _bank(masks: list[np.ndarray], name: str, size: int) -> MaskBank:
    """A bank of masks that were checked."""
    squares = []
    for mask in masks:
        scale = size / max(mask.shape)
        shape = [max(1, round(side * scale)) for side in mask.shape]
        small = Image.fromarray(mask.astype(np.uint8) * 255).resize(
            shape[::-1], Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
        )
        squares.append(
            np.pad(
                np.asarray(small), [(0, size - shape[0]), (0, size - shape[1])], mode="symmetric"
            )
        )
    squares = np.stack(squares)
    return MaskBank(squares, np.array([_calibre(square > 127) for square in squares]), name)


def masks_in(folder: Path | str, size: int = 512) -> MaskBank:
    """A bank from a folder of mask files: vessel masks of OCTA or angiography, masks of another
    dataset, your own.

    Args:
        folder: Folder of image files, white structure on black.
        size: Side of the bank's masks.

    Raises:
        DataError: The folder is missing or empty, or a mask is unreadable, grey, inverted, has text
            in it, or can otherwise not be used (see `mask_bank`); the file is named.
        ValueError: The size is out of range.

    Warns:
        UserWarning: The folder holds one mask only; parts of a mask at an edge look like letters,
            where text that touches the structure may be missed; or as in `mask_bank`.

    Taught in notebook 04a, section 1.
    """
    folder = checks.path(folder, "folder").expanduser()
    if folder.is_file():
        raise DataError(f"the prior {printable(folder)} is a file; put the masks into a folder")
    if not folder.is_dir():
        raise DataError(
            f"the prior folder {printable(folder)} does not exist (looked for it from {Path.cwd()})"
        )
    paths = sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and path.name[0] != "."
    )
    if not paths:
        raise DataError(
            f"the prior folder {printable(folder)} holds no image file; put binary masks there, "
            "white structure on black"
        )
    masks = [read_mask(path) for path in paths]
    if len(masks) == 1:
        warnings.warn(
            f"the prior folder {printable(folder)} holds one mask: all shapes are crops of it. "
            "Add masks, as far as you have some; the priors of notebook 04a hold ten.",
            stacklevel=2,
        )
    return _bank(masks, folder.name, size)


def _tree(seed: int, size: int) -> np.ndarray:
    rng = np.random.default_rng([seed, 3])
    side = rng.choice([-1.0, 1.0])
    disc_radius = rng.uniform(0.12, 0.2)
    disc = np.array([side * rng.uniform(0.0, 0.6), rng.uniform(-0.1, 0.1)])
    fovea = disc + disc_radius * np.array([-side * rng.uniform(4.4, 5.4), rng.uniform(0.2, 1.0)])
    tree = grow_vessel_tree(rng, disc, fovea, disc_radius, rng.uniform(0.2, 0.5))
    return draw_vessels(tree, size, size / 2, 2) > 0.4


def vessel_trees(n: int = 40, seed: int = 0, size: int = 512) -> MaskBank:
    """A bank of simulated vessel trees of left and right eyes: arcades around a fovea, with
    Murray's law at the forks.

    Args:
        n: Number of trees.
        seed: Fixes them.
        size: Side of the masks.

    Raises:
        ValueError: A number is out of range.

    Taught in notebook 04a, section 1.
    """
    n, seed, size = whole(n, "n", 1, 10**4), checks.seed(seed), whole(size, "size", 32, 4096)
    masks = Parallel(2)(delayed(_tree)(1000 * seed + i, size) for i in range(n))
    return mask_bank(masks, "simulated vessel trees", size)


def vessel_prior(name: str, data_dir: str = "", seed: int = 0) -> MaskBank:
    """A vessel prior by its source.

    Args:
        name: "octa" or "dsa" (masks in `data_dir`/priors: optical coherence tomography
            angiography of the retina, digital subtraction angiography of the coronary arteries),
            "simulated", or any folder of masks.
        data_dir: Folder of the datasets.
        seed: Of the simulated trees.

    Raises:
        DataError: It cannot be used; the message says why.
        ValueError: The name is empty, or the seed no seed.

    Taught in notebook 04a, section 1.
    """
    text(str(name), "name")
    seed = checks.seed(seed)
    if name == "simulated":
        return vessel_trees(40, seed)
    if name in ("octa", "dsa"):
        return masks_in(Path(data_dir or ".") / "priors" / f"{name}_vessel_masks")
    return masks_in(name)


def disc_prior(n: int = 40, seed: int = 0) -> MaskBank:
    """Optic discs in place of vessels: the prior of another structure, a negative control.

    Args:
        n: Number of discs.
        seed: Fixes them.

    Raises:
        ValueError: A number is out of range.
    """
    n, seed = whole(n, "n", 1, 10**4), checks.seed(seed)
    return mask_bank(
        [fundus(256, 10_000 + 100 * seed + i).masks["disc"] for i in range(n)], "simulated discs"
    )


def simulated_shapes(modality: str, n: int, seed: int = 0) -> np.ndarray:
    """Images of simulated masks, one colour for each structure.

    Args:
        modality: "fundus" (vessels red, disc green, fovea blue) or "chest" (lungs red, heart cyan,
            their overlap white).
        n: Number of images.
        seed: Fixes them.

    Returns:
        (n, 192, 192, 3) uint8.

    Raises:
        ValueError: Unknown modality, or a number out of range.

    Taught in notebook 04b, section 1.
    """
    n, seed = whole(n, "n", 1, 10**4), checks.seed(seed)
    simulators = {"fundus": fundus, "chest": chest}
    simulate = simulators[one_of(modality, simulators, "modality")]
    masks = [simulate(192, 300_000 + 100 * seed + i).masks for i in range(n)]
    first, second, third = {
        "fundus": ("vessel", "disc", "fovea"),
        "chest": ("lungs_whole", "heart", "heart"),
    }[modality]
    return np.stack(
        [
            np.stack([255 * m[name].astype(np.uint8) for name in (first, second, third)], -1)
            for m in masks
        ]
    )
