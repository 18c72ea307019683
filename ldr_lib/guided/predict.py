"""Finding a named structure in an image of any size with a guided network."""

from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..data.augment import standardise
from ..data.checks import as_bytes, instance, shown
from ..data.crop import prepare_sample, to_original
from ..data.errors import DataError, one_of
from ..data.files import progress
from ..data.read import as_colour, as_grey
from ..data.simulate import Sample
from ..data.xray import Pose, as_upright
from ..device import mixed_precision
from ..losses import region_vectors
from ..network import TwoBranchNet
from ..pretrained import GuidedNets
from ..structures import READINGS, Structure
from .postprocess import best_ellipse, fill_convex_hulls, largest_components


@torch.no_grad()
def structure_maps(
    model: TwoBranchNet,
    x: torch.Tensor,
    structure: str,
    by: str = "cluster",
    inside: torch.Tensor | None = None,
) -> torch.Tensor:
    """Probability maps of a structure for a batch of `standardise`d images.

    Args:
        model: A network with a guide.
        x: (B, C, H, W) floats in [0, 1] on the model's device.
        structure: One of the guide's.
        by: "cluster" takes the sum of a_k(p) over the structure's clusters; "prototype" the sum of
            softmax_k(r_k . v(p) / 0.2) over them, with r_k the region vectors of the same image.
        inside: (B, H, W) bool field of view over which r_k is taken; None takes all.

    Returns:
        (B, H, W) floats in [0, 1].

    Raises:
        ValueError: Unknown structure or reading, no tensor of images, or a field of view of another
            shape.
        DataError: The network has no guide.

    Source: Chen et al. 2021, section 3.4, prediction. Taught in notebook 04, section 6.
    """
    one_of(by, READINGS, "reading of a map")
    if not torch.is_tensor(x) or x.ndim != 4 or not x.is_floating_point() or not x.numel():
        raise ValueError(f"x must be a tensor of floats (B, C, H, W), not {shown(x)}")
    guided, was_training = _guided(model).network(structure).guide[structure], model.training
    if inside is not None and (not torch.is_tensor(inside) or inside.dtype != torch.bool):
        raise ValueError(f"inside must be a tensor of bool, not {shown(inside)}")
    if inside is not None and (inside.shape, inside.device) != (x[:, 0].shape, x.device):
        raise ValueError(
            f"inside must be {tuple(x[:, 0].shape)} on {x.device}, not {tuple(inside.shape)} on "
            f"{inside.device}"
        )
    model.eval()
    mirrors = [axes for n in range(len(guided.flips) + 1) for axes in combinations(guided.flips, n)]
    total = 0.0
    for axes in mirrors:
        with mixed_precision(x.device, model):
            # (B, D, H, W) and (B, K, H, W)
            v, a = model(x.flip(axes).contiguous(memory_format=torch.channels_last))
        if by == "prototype":
            weights = a if inside is None else a * inside[:, None].flip(axes)  # (B, K, H, W)
            similarity = torch.einsum("nkd,ndhw->nkhw", region_vectors(v, weights), v)
            a = (similarity / 0.2).softmax(1)  # (B, K, H, W)
        map_ = a[:, list(guided.clusters)].sum(1, keepdim=True)  # (B, 1, H, W)
        total = total + map_.flip(axes)[:, 0] / len(mirrors)  # (B, H, W)
    model.train(was_training)
    return total.clamp(0, 1)


def _guided(model: TwoBranchNet | GuidedNets) -> GuidedNets:
    """One or several guided networks as several."""
    if isinstance(model, GuidedNets):
        return model
    expected = "a guided TwoBranchNet, or several as load_pretrained gives them"
    return GuidedNets([instance(model, TwoBranchNet, "model", expected)])


def _constrained(map_: np.ndarray, structure: Structure) -> np.ndarray:
    """A map with the shape that the structure is known to have."""
    if structure.pieces is not None:
        map_ = largest_components(map_, structure.pieces)
    if structure.convex:
        map_ = fill_convex_hulls(map_)
    return best_ellipse(map_) if structure.ellipse else map_


def _checked(image: np.ndarray, channels: int) -> np.ndarray:
    """The image with the number of channels that the network takes, or an error that says what is
    wrong.
    """
    image = as_bytes(image, "the image")
    if not (image.ndim == 2 or image.ndim == 3 and image.shape[2] in (1, 3)):
        raise DataError(
            f"an image is a uint8 array (H, W, 3) or (H, W), not {image.dtype} {image.shape}; "
            "read_image makes one of any file"
        )
    if min(image.shape[:2]) < 32:
        raise DataError(
            f"the image measures {image.shape[1]} x {image.shape[0]} pixels; at least 32 are needed"
        )
    image = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    image = (as_colour if channels == 3 else as_grey)(image, "the image")
    if image.max() == image.min():
        raise DataError(
            f"the image is all of one value ({image.max()}): there is nothing to find in it"
        )
    return image


def predict_structure(
    model: TwoBranchNet | GuidedNets, image: np.ndarray, structure: str, by: str | None = None
) -> np.ndarray:
    """Finds a structure in an image, at the image's own size.

    An X-ray that is certainly turned or inverted is put right first, and borders are left out.
    The field of view is cut out and resized to each of the guide's sizes. The maps of all sizes
    are averaged, because a vessel that is too fine or too wide at one size is found at another.
    Then the structure's known shape is applied: only the largest components are kept where their
    number is known (one fovea, two lungs), convex ones become their convex hull, and the disc
    becomes the ellipse that overlaps its map most. The map is resized to the image at last.

    Args:
        model: A guided network, or several, for example from `load_pretrained`.
        image: (H, W, 3) photograph of the retina or (H, W) X-ray, uint8 or floats in [0, 1], of
            any size of 32 pixels and more.
        structure: "vessel", "disc" or "fovea" in photographs, "lungs" or "heart" in X-rays. The
            lungs include what lies behind the heart.
        by: "cluster" or "prototype", as in `structure_maps`; None takes the guide's.

    Returns:
        (H, W) float32 in [0, 1], 0 outside the field of view; above 0.5 counts as structure.

    Raises:
        ValueError: The network does not find this structure; unknown `by`; no network.
        DataError: The network has no guide; the image has another type, channel count or size, or
            no field of view.

    Example:
        >>> photograph = open_dataset("simulated_fundus")[0].image
        >>> map_ = predict_structure(load_pretrained("fundus", "cpu"), photograph, "disc")
        >>> map_.shape == photograph.shape[:2]
        True

    Source: Chen et al. 2021, section 3.4, prediction. Taught in notebook 04, section 6.
    """
    net = _guided(model).network(structure)
    image, guided = _checked(image, net.in_channels), net.guide[structure]
    image, pose = as_upright(image) if net.guide.modality == "chest" else (image, Pose())
    finest, maps, device = max(guided.sizes), [], next(net.parameters()).device
    for size in guided.sizes:
        small, masks, box = prepare_sample(Sample(image), size, net.guide.modality)
        inside = masks["field_of_view"]  # (S, S)
        x = torch.from_numpy(standardise(small[None], inside[None])).to(device)
        x = x.permute(0, 3, 1, 2).float() / 255  # (1, C, S, S)
        fov = torch.from_numpy(inside)[None].to(device)  # (1, S, S)
        map_ = structure_maps(net, x, structure, by or guided.by, fov)[0].float().cpu().numpy()
        resizable = Image.fromarray(map_ * inside)  # (S, S)
        maps.append(np.asarray(resizable.resize((finest, finest), Image.Resampling.BILINEAR)))
    # Bilinear interpolation does not overshoot, so it keeps the shape of an organ.
    smooth = Image.Resampling.BICUBIC if guided.is_thin else Image.Resampling.BILINEAR
    map_ = to_original(_constrained(np.mean(maps, 0), guided), box, image.shape[:2], smooth)
    return pose.turn_back(map_)


def teacher_maps(net: TwoBranchNet, images: np.ndarray) -> np.ndarray:
    """What a guided network finds in prepared images, computed as `predict_structure` does.

    Args:
        net: A guided network.
        images: (N, S, S, C) uint8 or floats in [0, 1], `standardise`d.

    Returns:
        (N, n, S, S) float32 in [0, 1], one map for each structure of the guide.

    Raises:
        DataError: The images have another type, range or shape, or the network has no guide.

    Taught in notebook 04, section 4.
    """
    _guided(net).network(*(net.guide.names[:1] if net.guide else [""]))
    images = as_bytes(images, "images", "NSSC")
    if not len(images) or images.shape[1] != images.shape[2]:
        raise DataError(f"images must be square, (N, S, S, C), not {images.shape}")
    guide, side, device = net.guide, images.shape[1], next(net.parameters()).device
    found = np.zeros((len(images), len(guide.structures), side, side), np.float32)
    for image, maps in zip(progress(images, "teacher", len(images)), found):
        x = torch.from_numpy(np.array(image)).to(device)  # (S, S, C)
        x = x.permute(2, 0, 1)[None].float() / 255  # (1, C, S, S)
        for i, structure in enumerate(guide.structures):
            for size in structure.sizes:
                resized = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
                map_ = structure_maps(net, resized, structure.name)[:, None]  # (1, 1, size, size)
                map_ = F.interpolate(map_, (side, side), mode="bilinear", antialias=True)
                maps[i] += map_[0, 0].cpu().numpy()
            maps[i] = _constrained(maps[i] / len(structure.sizes), structure) * image.any(-1)
    return found
