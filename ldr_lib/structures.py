"""Finding a named structure in an image of any size with a guided network, and the networks that come with the package."""

from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from skimage.morphology import convex_hull_image

from .checkpoint import load_model
from .data.files import DataError
from .data.prepare import prepare_sample
from .data.read import as_colour, as_grey
from .data.simulate import Sample
from .device import mixed_precision
from .losses import region_vectors
from .network import TwoBranchNet
from .rendering import standardise

WEIGHTS = Path(__file__).with_name("weights")


def load_pretrained(name: str, device: str = "auto") -> TwoBranchNet:
    """A guided network that comes with the package; `weights/<name>.md` says how it was made and what was measured.

    Args:
        name: "fundus" (vessel, disc, fovea) or "chest" (lungs, heart).
        device: As in `pick_device`.

    Returns:
        The network in evaluation mode, ready for `predict_structure`.

    Raises:
        DataError: Unknown name.

    Taught in notebook 04, section 6.
    """
    known = sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))
    if name not in known:
        raise DataError(f'no pretrained network "{name}"; there are {", ".join(known)}')
    return load_model(WEIGHTS / f"{name}.safetensors", device).eval()


def _largest(map_: np.ndarray, pieces: int) -> np.ndarray:
    """Keeps the connected pieces above one half that hold most of the map; p becomes min(p, 1 - p) in the others."""
    labels, n = ndimage.label(map_ > 0.5)
    if n <= pieces:
        return map_
    weights = ndimage.sum(map_, labels, range(1, n + 1))
    kept = np.isin(labels, 1 + np.argsort(weights)[n - pieces :])
    return np.where(kept, map_, np.minimum(map_, 1 - map_)).astype(np.float32)


@torch.no_grad()
def structure_maps(
    model: TwoBranchNet, x: torch.Tensor, structure: str, by: str = "cluster", inside: torch.Tensor | None = None
) -> torch.Tensor:
    """Probability maps of a structure for a batch of `standardise`d images.

    Args:
        model: A network with a guide.
        x: (B, C, H, W) floats in [0, 1] on the model's device.
        structure: One of the guide's.
        by: "cluster" takes the sum a(p) of the structure's clusters; "prototype" the share of its clusters in
            softmax_k(r_k . v(p) / 0.2), with r_k the region vectors of the same image.
        inside: (B, H, W) bool field of view over which r_k is taken; None takes all.

    Returns:
        (B, H, W) floats in [0, 1].

    Source: Chen et al. 2021, section 3.4, prediction. Taught in notebook 04, section 6.
    """
    if by not in ("cluster", "prototype"):
        raise DataError(f'a structure is found by "cluster" or by "prototype", not by {by!r}')
    was_training = model.training
    model.eval()
    axes = model.guide.flips[structure]
    mirrored = [flips for n in range(len(axes) + 1) for flips in combinations(axes, n)]
    found = 0.0
    for flips in mirrored:
        with mixed_precision(x.device):
            v, a = model(x.flip(flips).contiguous(memory_format=torch.channels_last))
        if by == "prototype":
            seen = a if inside is None else a * inside[:, None].flip(flips)
            a = (torch.einsum("nkd,ndhw->nkhw", region_vectors(v, seen), v) / 0.2).softmax(1)
        found = found + a[:, list(model.guide.clusters[structure])].sum(1, keepdim=True).flip(flips)[:, 0] / len(mirrored)
    model.train(was_training)
    return found.clamp(0, 1)


def predict_structure(model: TwoBranchNet, image: np.ndarray, structure: str, by: str = "") -> np.ndarray:
    """Finds a structure in an image, at the image's own size.

    The field of view is cut out, shown to the network at the size the guide names, and the map brought back; of a
    structure that has a fixed number of pieces (one disc, two lungs) only the largest pieces are kept, and dents of one
    that has none are filled.

    Args:
        model: A guided network, for example from `load_pretrained`.
        image: uint8, (H, W, 3) photograph of the retina or (H, W) X-ray, of any size of 32 pixels and more.
        structure: "vessel", "disc" or "fovea" in photographs, "lungs" or "heart" in X-rays. The lungs include what lies
            behind the heart.
        by: "cluster" or "prototype", as in `structure_maps`; "" takes the guide's.

    Returns:
        (H, W) float32 in [0, 1], 0 outside the field of view; above 0.5 counts as structure.

    Raises:
        DataError: The network has no guide or not this structure; the image has another type, channel count or size, or
            no field of view.

    Example:
        >>> vessels = predict_structure(load_pretrained("fundus"), photograph, "vessel") > 0.5

    Source: Chen et al. 2021, section 3.4, prediction. Taught in notebook 04, section 6.
    """
    guide = model.guide
    if guide is None:
        raise DataError("this network was not guided: no cluster stands for a structure. Use train_guided or load_pretrained.")
    if structure not in guide.clusters:
        raise DataError(f'this network does not know "{structure}"; it knows {", ".join(guide.structures)}')
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.ndim == 3 and image.shape[2] not in (1, 3):
        raise DataError(f"an image is a uint8 array (H, W, 3) or (H, W), not {image.dtype} {image.shape}; read_image makes one of any file")
    if min(image.shape[:2]) < 32:
        raise DataError(f"the image measures {image.shape[1]} x {image.shape[0]} pixels; at least 32 are needed")
    image = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    image = (as_colour if model.in_channels == 3 else as_grey)(image, "the image")
    if image.max() == image.min():
        raise DataError(f"the image is all of one value ({image.max()}): there is nothing to find in it")

    height, width = image.shape[:2]
    small, masks, (top, left, side, _) = prepare_sample(Sample(image), guide.sizes[structure], guide.modality == "fundus")
    inside = masks["field_of_view"]
    x = torch.from_numpy(standardise(small[None], inside[None])).to(next(model.parameters()).device)
    x = x.permute(0, 3, 1, 2).float() / 255
    seen = torch.from_numpy(inside)[None].to(x.device)
    found = structure_maps(model, x, structure, by or guide.by[structure], seen)[0].float().cpu().numpy() * inside
    smooth = Image.Resampling.BICUBIC
    if structure in guide.pieces:
        found, smooth = _largest(found, guide.pieces[structure]), Image.Resampling.BILINEAR  # which cannot overshoot one half
    if structure in guide.convex and (found > 0.5).any():
        found = np.where(convex_hull_image(found > 0.5), np.maximum(found, 1 - found), found)
    grown = np.asarray(Image.fromarray(found).resize((side, side), smooth)).clip(0, 1)
    whole = np.zeros((height, width), np.float32)
    rows, columns = slice(max(0, top), min(height, top + side)), slice(max(0, left), min(width, left + side))
    whole[rows, columns] = grown[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return whole
