"""Pretrained encoders: putting weights into one, making sure they arrived, and those that come with
the package.
"""

from pathlib import Path

import torch
from torch import nn

from .checkpoint import load_model
from .data.errors import DataError, one_of
from .device import pick_device, to_device
from .network import Encoder, TwoBranchNet, init_weights
from .tensor_files import read_tensors

CHANNELS = {"fundus": 3, "chest": 1}
"""Channels of the images of each modality for which weights come with the package; for images of
another kind ("other") none do.
"""
WEIGHTS = Path(__file__).with_name("weights")
PRETRAINED = {"fundus": ("vessel", "disc"), "chest": ("chest",)}
"""Modality to the names of its guided networks."""
SHIPPED = ("ldr", "instance", "dense", "autoencoder")
REPRESENTATIONS = {
    "fundus": {"both": (1_000, 10_000), "embedding only": (1_000, 10_000)},
    "chest": {"both": (3_000,)},
}
"""Modality to way of training to the steps after which its network comes with the package. The
first step of "both" is the one after which similarity found the main structure best on images with
masks of the training splits.
"""


def random_encoder(in_channels: int, seed: int = 0) -> Encoder:
    """An encoder as training starts with it, drawn from a seed; torch's own random numbers are left
    as they were.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return init_weights(Encoder(in_channels)).eval()


def load_encoder(modality: str, method: str = "ldr", device: str = "auto") -> Encoder:
    """A pretrained encoder that comes with the package.

    Args:
        modality: "fundus" (3 channels) or "chest" (1 channel).
        method: "ldr" (local discrimination: the encoder of `load_representation`), or one of its
            baselines, "instance", "dense" or "autoencoder"; `weights/encoders.md` says how long and
            on which unlabelled images these were trained.
        device: As in `pick_device`.

    Returns:
        The encoder in evaluation mode. Calling it on (B, C, H, W) floats in [0, 1], photographs
        locally normalised (`ldr_lib.data.prepare`), H and W multiples of 16, returns five maps of
        16, 32, 64, 128 and 128 channels at 1/1 to 1/16 of the size.

    Raises:
        ValueError: Unknown modality or method.

    Example:
        >>> [feature.shape[1] for feature in load_encoder("fundus")(torch.rand(1, 3, 128, 128))]
        [16, 32, 64, 128, 128]

    Taught in notebook 05, section 6.
    """
    one_of(modality, CHANNELS, "modality")
    if one_of(method, SHIPPED, "pretraining") == "ldr":
        return load_representation(modality, device).encoder
    encoder = load_weights(random_encoder(CHANNELS[modality]), shipped_file(modality, method))
    return to_device(encoder, pick_device(device)).eval()


def shipped_file(modality: str, method: str) -> Path:
    """Where the weights of an encoder lie in the package."""
    return WEIGHTS / f"encoder_{modality}_{method}.safetensors"


def representation_file(modality: str, way: str, step: int) -> Path:
    """Where a two-branch network trained without labels lies in the package."""
    return WEIGHTS / f"representation_{modality}_{way.replace(' ', '-')}_{step}.safetensors"


def load_representation(
    modality: str, device: str = "auto", step: int | None = None, way: str = "both"
) -> TwoBranchNet:
    """A two-branch network that comes with the package, trained by local discrimination on
    unlabelled images.

    Args:
        modality: "fundus" (3 channels) or "chest" (1 channel).
        device: As in `pick_device`.
        step: Number of training steps, 1,000 or 10,000 for photographs; None takes the number
            after which similarity found structures best on training images.
        way: "both" branches, or "embedding only", whose clustering branch was never trained.

    Returns:
        The network in evaluation mode; `weights/representations.md` says how it was made.

    Raises:
        ValueError: Unknown modality, or no such way or step comes with the package; the message
            lists those that do.
        DataError: The file is damaged, or holds a network for other images.

    Example:
        >>> load_representation("fundus").n_clusters
        16
        >>> load_representation("fundus", step=1_000, way="embedding only").embedding_dim
        32

    Taught in notebook 03, section 1.
    """
    ways = REPRESENTATIONS[one_of(modality, REPRESENTATIONS, "modality")]
    steps = ways[one_of(way, ways, f'way of training of a network for "{modality}"')]
    step = steps[0] if step is None else step
    step = int(one_of(step, steps, f'step of the way "{way}" for "{modality}"'))
    path = representation_file(modality, way, step)
    net = load_model(path, device).eval()
    if net.in_channels != CHANNELS[modality]:
        raise DataError(
            f"{path} holds a network for images of {net.in_channels} channels, not for "
            f"{modality} images: install the package again"
        )
    return net


def load_weights(encoder: Encoder, path: Path | str) -> Encoder:
    """Puts pretrained weights into an encoder, and makes sure that they arrived.

    Args:
        encoder: Freshly drawn; changed in place.
        path: A safetensors file of a `TwoBranchNet`, a guided network or an encoder alone.

    Returns:
        The encoder.

    Raises:
        DataError: The file cannot be read, lacks weights of the encoder, has others of another
            shape, or holds just what the encoder had before.

    Taught in notebook 05, section 2.
    """
    found, _ = read_tensors(path, "Weights are safetensors files; pickles are never opened")
    inside = {
        name.removeprefix("encoder."): value.float()
        for name, value in found.items()
        if name.startswith("encoder.")
    }
    found, before = (
        inside or found,
        {name: value.clone() for name, value in encoder.state_dict().items()},
    )
    missing = before.keys() - found.keys()
    if missing:
        raise DataError(
            f"{path} lacks {len(missing)} of {len(before)} weights of the encoder, for example "
            f"{min(missing)}; is it of another network?"
        )
    other = [name for name in before if found[name].shape != before[name].shape]
    if other:
        name = other[0]
        raise DataError(
            f"{path} does not fit the encoder: {name} has shape {tuple(found[name].shape)} and "
            f"{tuple(before[name].shape)} is "
            f"needed ({encoder.in_channels} image channels)"
        )
    encoder.load_state_dict({name: found[name].to(value.dtype) for name, value in before.items()})
    weights = dict(encoder.named_parameters())
    same = [
        name
        for name, value in weights.items()
        if value.ndim > 1 and torch.equal(value.detach().cpu(), before[name].cpu())
    ]
    if same:
        raise DataError(
            f"{len(same)} weights of {path} equal those that the encoder had before, for example "
            f"{same[0]}: nothing was transferred"
        )
    return encoder


def as_sequential(encoder: Encoder) -> nn.Sequential:
    """The same encoder, sharing its weights, as a chain of five modules: what fastai's
    `DynamicUnet` takes.

    Args:
        encoder: Any.

    Example:
        >>> len(as_sequential(load_encoder("fundus")))
        5

    Taught in notebook 05, section 6.
    """
    first, *others = encoder.groups
    return nn.Sequential(first, *(nn.Sequential(nn.MaxPool2d(2), group) for group in others))


@torch.no_grad()
def set_statistics(encoder: Encoder, images: torch.Tensor, batch: int = 16) -> None:
    """Gives BatchNorm the statistics of these images; without them a frozen random encoder is at a
    loss.

    Args:
        encoder: Changed in place.
        images: (N, C, H, W) floats in [0, 1].
        batch: Images at a time.

    Taught in notebook 05, section 2.
    """
    norms = [module for module in encoder.modules() if isinstance(module, nn.BatchNorm2d)]
    kept = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # plain average
    encoder.train()
    for part in images.split(batch):
        encoder(part.contiguous(memory_format=torch.channels_last))
    for norm, momentum in zip(norms, kept):
        norm.momentum = momentum
    encoder.eval()


class GuidedNets(torch.nn.ModuleList):
    """Guided networks that are used as one: each structure is found by the network that was guided
    to it.

    Taught in notebook 04c, section 1.
    """

    @property
    def structures(self) -> list[str]:
        """All structures that these networks find."""
        return [name for net in self for name in net.guide.names]

    def network(self, structure: str) -> TwoBranchNet:
        """The network that finds a structure.

        Raises:
            DataError: None of them does, or one was not guided.
        """
        if any(getattr(net, "guide", None) is None for net in self):
            raise DataError(
                "this network was not guided: no cluster stands for a structure. Use "
                "train_guided or load_pretrained."
            )
        one_of(structure, self.structures, "structure of this network")
        return next(net for net in self if structure in net.guide.names)


def load_pretrained(name: str, device: str = "auto") -> GuidedNets:
    """Guided networks that come with the package; `weights/*.md` say how they were made and what
    was measured.

    Args:
        name: "fundus" (vessel, disc, fovea) or "chest" (lungs, heart).
        device: As in `pick_device`.

    Returns:
        The networks in evaluation mode, ready for `predict_structure`.

    Raises:
        ValueError: Unknown name.

    Taught in notebook 04c, section 1.
    """
    names = PRETRAINED[one_of(name, PRETRAINED, "pretrained network")]
    return GuidedNets(
        load_model(WEIGHTS / f"{guided}.safetensors", device) for guided in names
    ).eval()
