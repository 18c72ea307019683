"""Finding a named structure in an image of any size with a guided network."""

import warnings
from collections.abc import Sequence
from itertools import combinations
from os import PathLike
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from ..data import checks
from ..data.augment import standardise
from ..data.checks import as_bytes, flag, instance, several, shown
from ..data.crop import prepare_sample, to_original
from ..data.errors import DataError, one_of, printable
from ..data.files import progress
from ..data.read import as_colour, as_grey, read_image
from ..data.simulate import Sample
from ..data.xray import Pose, as_upright
from ..device import mixed_precision
from ..losses import region_vectors
from ..network import TwoBranchNet
from ..pretrained import GuidedNets
from ..structures import READINGS, Guide, Structure
from .confidence import Confidence, Found, judge
from .familiar import LIT, has_colour
from .postprocess import best_ellipse, fill_convex_hulls, largest_components

NEARLY_WHITE, NEARLY_FLAT = 250, 2
"""An image is saturated if hardly any value lies below, and flat if hardly any differ by more."""


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

    Source: Chen et al. 2021, section 3.4, prediction. Taught in notebook 04c, section 5.
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


def is_list_of_images(image) -> bool:
    """Whether a list holds images or paths. Rows of pixels make one image, also as a list.

    Args:
        image: What was given for an image.

    Example:
        >>> is_list_of_images(["a.png"]), is_list_of_images([[0, 1], [1, 0]])
        (True, False)
    """
    if not isinstance(image, list | tuple) or not image:
        return isinstance(image, list | tuple)
    first = image[0]
    if isinstance(first, str | PathLike | Image.Image):
        return True
    shape = np.shape(first) if hasattr(first, "shape") else ()
    return len(shape) == 3 or len(shape) == 2 and shape[1] not in (1, 3)


def opened(image: np.ndarray | str | PathLike) -> tuple[np.ndarray, str]:
    """An image as numbers, and how messages call it.

    Args:
        image: Pixels, or the path of an image file.

    Raises:
        DataError: The file is missing, cannot be read, or is a folder.
    """
    if not isinstance(image, str | PathLike):
        return image, "the image"
    path = checks.path(image, "image").expanduser()
    if path.is_dir():
        raise DataError(
            f"{printable(path)} is a folder. predict_folder goes through its images, and so does "
            "python -m ldr_lib predict FOLDER"
        )
    if not path.exists():
        raise DataError(f"{printable(path)} does not exist (looked for it from {Path.cwd()})")
    return read_image(path), printable(path)


def _checked(image: np.ndarray, name: str, channels: int) -> np.ndarray:
    """The image with the number of channels that the network takes, or an error that says what is
    wrong.
    """
    image = as_bytes(image, name)
    if not (image.ndim == 2 or image.ndim == 3 and image.shape[2] in (1, 3)):
        raise DataError(
            f"an image is a uint8 array (H, W, 3) or (H, W), not {image.dtype} {image.shape}; "
            "read_image makes one of any file"
        )
    if min(image.shape[:2]) < 32:
        raise DataError(
            f"{name} measures {image.shape[1]} x {image.shape[0]} pixels; at least 32 are needed"
        )
    image = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    image = (as_colour if channels == 3 else as_grey)(image, name)
    if image.max() == image.min():
        raise DataError(
            f"{name} is all of one value ({image.max()}): there is nothing to find in it"
        )
    step = max(1, min(image.shape[:2]) // 256)
    lit = image[::step, ::step].reshape(-1, channels)
    lit = lit[lit.max(1) > LIT] if (lit > LIT).any() else lit  # without what lies around an eye
    low, high = np.percentile(lit, (2.5, 99.5), 0)  # its rim is neither dark nor bright
    white = low >= NEARLY_WHITE
    if low.max() > 0 and (white | (high - low <= NEARLY_FLAT)).all():
        raise DataError(
            f"{name} is {'saturated' if white.any() else 'nearly flat'}: its values lie between "
            f"{_ranges(low, high)} of 255. Expose or export it again."
        )
    return image


def _ranges(low: np.ndarray, high: np.ndarray) -> str:
    """Lowest and highest values of channels in words, as one range where they are alike."""
    if np.ptp(low) <= NEARLY_FLAT and np.ptp(high) <= NEARLY_FLAT:
        return f"{low.min():g} and {high.max():g}"
    each = zip(low, high, ("red", "green", "blue"))
    return ", ".join(f"{start:g} and {end:g} ({colour})" for start, end, colour in each)


def predict_structure(
    model: TwoBranchNet | GuidedNets,
    image: np.ndarray | str | PathLike | Sequence,
    structure: str,
    by: str | None = None,
    confidence: bool = False,
) -> np.ndarray | tuple[np.ndarray, Confidence] | list:
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
            any size of 32 pixels and more; or the path of an image file; or a list of images and
            paths.
        structure: "vessel", "disc" or "fovea" in photographs, "lungs" or "heart" in X-rays. The
            lungs include what lies behind the heart.
        by: "cluster" or "prototype", as in `structure_maps`; None takes the guide's.
        confidence: Also say how far the map can be believed. A map in which nothing counts as
            found is empty then.

    Returns:
        (H, W) float32 in [0, 1], 0 outside the field of view; above 0.5 counts as structure. With
        `confidence` the map and its `Confidence`. Of a list of images, a list of these.

    Raises:
        ValueError: The network does not find this structure; unknown `by`; no network.
        DataError: The network has no guide; a file cannot be read; the image has another type,
            channel count or size, or no field of view.

    Warns:
        UserWarning: Without `confidence`, where the image is of another kind or nothing counts as
            found in it.

    Example:
        >>> photograph = open_dataset("simulated_fundus")[0].image
        >>> map_ = predict_structure(load_pretrained("fundus", "cpu"), photograph, "disc")
        >>> map_.shape == photograph.shape[:2]
        True

    Source: Chen et al. 2021, section 3.4, prediction. Taught in notebook 04c, section 1.
    """
    net = _guided(model).network(structure)
    flag(confidence, "confidence")
    if not is_list_of_images(image):
        return _predicted(net, image, structure, by, confidence)
    found = []
    for i, one in enumerate(several(image, "image", "images or paths")):
        where = f"image {i} of {len(image)}: "
        try:
            found.append(_predicted(net, one, structure, by, confidence, where))
        except DataError as error:
            raise DataError(f"{where}{error}") from error
    return found


def _predicted(
    net: TwoBranchNet,
    image: np.ndarray | str | PathLike,
    structure: str,
    by: str | None,
    confidence: bool,
    where: str = "",
) -> np.ndarray | tuple[np.ndarray, Confidence]:
    """The map of one image, with its confidence if that is asked for."""
    pixels, name = opened(image)
    found = found_in(net, pixels, structure, by, name)
    if confidence:
        judged = judge(found, net.guide, structure)
        return found.whole if judged.found else np.zeros_like(found.whole), judged
    require_colour(found, net.guide, name)
    if doubt := _doubt(found, net.guide, structure, f"the {structure} map of {name}"):
        warnings.warn(where + doubt, stacklevel=3)
    return found.whole


def map_in(
    net: TwoBranchNet | GuidedNets, image: np.ndarray, structure: str, by: str | None = None
) -> np.ndarray:
    """The map of `predict_structure` without any judgement of it, for many images.

    Args:
        net: A guided network, or several.
        image: As in `predict_structure`, pixels only.
        structure: One that it finds.
        by: As in `predict_structure`.

    Raises:
        DataError: The image cannot be used.
    """
    net = _guided(net).network(structure)
    found = found_in(net, image, structure, by)
    require_colour(found, net.guide, "the image")
    return found.whole


def require_colour(found: Found, guide: Guide, name: str) -> None:
    """Refuses grey images where photographs of the retina are needed.

    Raises:
        DataError: The image is grey.
    """
    if guide.modality == "fundus" and not has_colour(found.image):
        raise DataError(
            f"{name} is grey, an X-ray or a red-free photograph, and photographs in colour are "
            "needed: nothing that is found in it can be trusted. With confidence=True this is "
            "said instead of an error"
        )


def _doubt(found: Found, guide: Guide, structure: str, name: str) -> str:
    """Why a map is doubted, in a sentence; empty where it is not, or where nothing is known of the
    network, as of one that was trained here.
    """
    try:
        words = judge(found, guide, structure).words
    except DataError:
        return ""
    advice = "confidence=True returns this judgement with an empty map"
    return words and f"{name} cannot be trusted: {words}. {advice}"


def found_in(
    net: TwoBranchNet,
    image: np.ndarray,
    structure: str,
    by: str | None = None,
    name: str = "the image",
) -> Found:
    """What a network finds in one image, and the maps that led to it.

    Args:
        net: A guided network.
        image: As in `predict_structure`, pixels only.
        structure: One of its guide's.
        by: As in `predict_structure`.
        name: How messages call the image.

    Raises:
        DataError: The image cannot be used.
    """
    guided, modality = net.guide[structure], net.guide.modality
    by = guided.by if by is None or isinstance(by, str) and not by else by
    image, pose = upright_of(_checked(image, name, net.in_channels), modality)
    finest, maps, device = max(guided.sizes), [], next(net.parameters()).device
    prepared = {}
    for size in guided.sizes:
        small, masks, box = prepare_sample(Sample(image), size, modality)
        inside = masks["field_of_view"]  # (S, S)
        prepared[size] = small, inside
        x = torch.from_numpy(standardise(small[None], inside[None])).to(device)
        x = x.permute(0, 3, 1, 2).float() / 255  # (1, C, S, S)
        fov = torch.from_numpy(inside)[None].to(device)  # (1, S, S)
        map_ = structure_maps(net, x, structure, by, fov)[0].float().cpu().numpy()
        resizable = Image.fromarray(map_ * inside)  # (S, S)
        maps.append(np.asarray(resizable.resize((finest, finest), Image.Resampling.BILINEAR)))
    # Bilinear interpolation does not overshoot, so it keeps the shape of an organ.
    smooth = Image.Resampling.BICUBIC if guided.is_thin else Image.Resampling.BILINEAR
    mean = np.mean(maps, 0)  # (S, S)
    shaped = _constrained(mean, guided)  # (S, S)
    whole = pose.turn_back(to_original(shaped, box, image.shape[:2], smooth))  # (H, W)
    inside = np.asarray(Image.fromarray(inside).resize((finest, finest)))  # (S, S)
    return Found(whole, mean, shaped > 0.5, inside, image, prepared)


def upright_of(image: np.ndarray, modality: str) -> tuple[np.ndarray, Pose]:
    """An X-ray of the chest as `as_upright` gives it, a photograph as it is."""
    return as_upright(image) if modality == "chest" else (image, Pose())


def teacher_maps(net: TwoBranchNet, images: np.ndarray) -> np.ndarray:
    """What a guided network finds in prepared images, computed as `predict_structure` does.

    Args:
        net: A guided network.
        images: (N, S, S, C) uint8 or floats in [0, 1], `standardise`d.

    Returns:
        (N, n, S, S) float32 in [0, 1], one map for each structure of the guide.

    Raises:
        DataError: The images have another type, range or shape, or the network has no guide.

    Taught in notebook 04b, section 4.
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
