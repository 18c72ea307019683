"""Finding a named structure in an image of any size with a guided network, and the networks that come with the package."""

from itertools import combinations
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from .checkpoint import load_model
from .data.files import DataError, tracked
from .data.prepare import prepare_sample, to_original
from .data.read import as_colour, as_grey
from .data.simulate import Sample
from .device import mixed_precision
from .guide import Guide
from .losses import region_vectors
from .network import TwoBranchNet
from .rendering import standardise
from .shapes import as_ellipse, largest_pieces, without_dents

WEIGHTS = Path(__file__).with_name("weights")
PRETRAINED = {"fundus": ("vessel", "disc"), "chest": ("chest",)}


class GuidedNets(torch.nn.ModuleList):
    """Guided networks that are used as one: each structure is found by the network that was guided to it.

    Taught in notebook 04, section 9.
    """

    @property
    def structures(self) -> list[str]:
        """All structures that these networks find."""
        return [name for net in self for name in net.guide.structures]

    def network(self, structure: str) -> TwoBranchNet:
        """The network that finds a structure.

        Raises:
            DataError: None of them does, or one was not guided.
        """
        if any(net.guide is None for net in self):
            raise DataError("this network was not guided: no cluster stands for a structure. Use train_guided or load_pretrained.")
        for net in self:
            if structure in net.guide.structures:
                return net
        raise DataError(f'this network does not know "{structure}"; it knows {", ".join(self.structures)}')


def load_pretrained(name: str, device: str = "auto") -> GuidedNets:
    """Guided networks that come with the package; `weights/*.md` say how they were made and what was measured.

    Args:
        name: "fundus" (vessel, disc, fovea) or "chest" (lungs, heart).
        device: As in `pick_device`.

    Returns:
        The networks in evaluation mode, ready for `predict_structure`.

    Raises:
        DataError: Unknown name.

    Taught in notebook 04, section 9.
    """
    if name not in PRETRAINED:
        raise DataError(f'no pretrained network "{name}"; there are {", ".join(PRETRAINED)}')
    return GuidedNets(load_model(WEIGHTS / f"{guided}.safetensors", device) for guided in PRETRAINED[name]).eval()


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


def _shaped(map_: np.ndarray, structure: str, guide: Guide) -> np.ndarray:
    """A map brought into the shape that the guide says the structure has."""
    if structure in guide.pieces:
        map_ = largest_pieces(map_, guide.pieces[structure])
    if structure in guide.convex:
        map_ = without_dents(map_)
    return as_ellipse(map_) if structure in guide.ellipses else map_


def _checked(image: np.ndarray, channels: int) -> np.ndarray:
    """The image as the network's channels want it, or an error that says what is wrong."""
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or image.ndim == 3 and image.shape[2] not in (1, 3):
        raise DataError(f"an image is a uint8 array (H, W, 3) or (H, W), not {image.dtype} {image.shape}; read_image makes one of any file")
    if min(image.shape[:2]) < 32:
        raise DataError(f"the image measures {image.shape[1]} x {image.shape[0]} pixels; at least 32 are needed")
    image = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    image = (as_colour if channels == 3 else as_grey)(image, "the image")
    if image.max() == image.min():
        raise DataError(f"the image is all of one value ({image.max()}): there is nothing to find in it")
    return image


def predict_structure(model: TwoBranchNet | GuidedNets, image: np.ndarray, structure: str, by: str = "") -> np.ndarray:
    """Finds a structure in an image, at the image's own size.

    The field of view is cut out, shown to the network at the sizes the guide names, and the mean map brought back; of a
    structure that has a fixed number of pieces (one fovea, two lungs) only the largest pieces are kept, dents of one whose pieces
    have none are filled, and of the disc the ellipse is taken that overlaps its map most.

    Args:
        model: A guided network, or several, for example from `load_pretrained`.
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
    net = (model if isinstance(model, GuidedNets) else GuidedNets([model])).network(structure)
    guide, image = net.guide, _checked(image, net.in_channels)
    finest, maps = max(guide.sizes[structure]), []
    for size in guide.sizes[structure]:
        small, masks, box = prepare_sample(Sample(image), size, guide.modality == "fundus")
        inside = masks["field_of_view"]
        x = torch.from_numpy(standardise(small[None], inside[None])).to(next(net.parameters()).device)
        seen = torch.from_numpy(inside)[None].to(x.device)
        found = structure_maps(net, x.permute(0, 3, 1, 2).float() / 255, structure, by or guide.by[structure], seen)
        found = Image.fromarray(found[0].float().cpu().numpy() * inside)
        maps.append(np.asarray(found.resize((finest, finest), Image.Resampling.BILINEAR)))
    thin = structure not in (*guide.pieces, *guide.convex, *guide.ellipses)
    smooth = Image.Resampling.BICUBIC if thin else Image.Resampling.BILINEAR  # the second cannot overshoot one half
    return to_original(_shaped(np.mean(maps, 0), structure, guide), box, image.shape[:2], smooth)


def taught_maps(net: TwoBranchNet, images: np.ndarray) -> np.ndarray:
    """What a guided network finds in prepared images, the way `predict_structure` does.

    Args:
        net: A guided network.
        images: (N, S, S, C) uint8, `standardise`d.

    Returns:
        (N, n, S, S) float32 in [0, 1], one map for each structure of the guide.

    Taught in notebook 04, section 4.
    """
    guide, side, device = net.guide, images.shape[1], next(net.parameters()).device
    found = np.zeros((len(images), len(guide.structures), side, side), np.float32)
    for image, maps in zip(tracked(images, "teacher", len(images)), found):
        x = torch.from_numpy(np.array(image)).to(device).permute(2, 0, 1)[None].float() / 255
        for i, structure in enumerate(guide.structures):
            for size in guide.sizes[structure]:
                seen = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
                map_ = structure_maps(net, seen, structure)[:, None]
                maps[i] += F.interpolate(map_, (side, side), mode="bilinear", antialias=True)[0, 0].cpu().numpy()
            maps[i] = _shaped(maps[i] / len(guide.sizes[structure]), structure, guide) * image.any(-1)
    return found
