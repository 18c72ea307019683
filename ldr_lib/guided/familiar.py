"""Whether an image is of the kind that the networks were trained on: a retina, a chest X-ray."""

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from ..checkpoint import load_model
from ..data.augment import standardise
from ..data.crop import prepare_sample
from ..data.errors import DataError
from ..data.read import is_plain_grey
from ..data.simulate import Sample
from ..network import Encoder
from ..pretrained import WEIGHTS
from ..tensor_files import fingerprint_of, read_tensors

ENCODERS = {"fundus": "disc", "chest": "chest"}
"""Modality to the shipped network whose encoder describes an image of it."""
FILE = WEIGHTS / "confidence.safetensors"
"""The statistics, and the bounds of `confidence`; `ldr_lib.guided.confidence_study` makes it."""
SIDE = 128
"""Side in pixels to which the field of view is resized."""
AXES = 8
"""Principal axes along which training images differ; in all other directions they differ alike."""
LIT = 20
"""Grey level above which a pixel of a photograph is lit, as in `field_of_view`."""
MARGIN = 2.0
"""How much stranger than 99 % of the training images a picture is before it counts as another kind.
"""

Prepared = tuple[np.ndarray, np.ndarray]
"""An image (S, S, C) uint8 and its field of view (S, S) bool, prepared for a network."""


@dataclass(frozen=True)
class Familiar:
    """Where the descriptions of training images lie: a Gaussian with a few long axes.

    Attributes:
        mean: (F,) of the descriptions.
        scale: (F,) standard deviations, by which descriptions are divided first.
        axes: (A, F) unit vectors, the principal axes.
        variances: (A,) along the axes.
        rest: Variance in each of the other F - A directions.
        bound: Distance from which a picture is of another kind.
    """

    mean: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    rest: float
    bound: float

    def distances(self, descriptions: np.ndarray) -> np.ndarray:
        """Squared Mahalanobis distances from the mean, divided by the number of directions.

        Args:
            descriptions: (N, F) as `description` gives them.

        Returns:
            (N,) distances, about 1 for images like those of the training.
        """
        z = (descriptions - self.mean) / self.scale  # (N, F)
        along = z @ self.axes.T  # (N, A)
        beside = (z**2).sum(1) - (along**2).sum(1)  # (N,)
        return ((along**2 / self.variances).sum(1) + beside / self.rest) / len(self.mean)


def fit_familiar(sets: Iterable[np.ndarray], axes: int = AXES) -> Familiar:
    """The Gaussian of training images, each collection with equal weight.

    Args:
        sets: (n, F) descriptions, one array for each collection.
        axes: Number of principal axes.

    Returns:
        The Gaussian; its bound is twice the distance below which 99 % of the images lie.

    Source: Tipping and Bishop 1999, probabilistic principal components.
    """
    sets = [np.asarray(one, np.float64) for one in sets]
    rows = np.concatenate(sets)  # (N, F)
    weights = np.concatenate([np.full(len(one), 1 / len(one) / len(sets)) for one in sets])
    mean = weights @ rows
    scale = np.sqrt(weights @ (rows - mean) ** 2) + 1e-4
    z = (rows - mean) / scale * np.sqrt(weights)[:, None]
    _, lengths, directions = np.linalg.svd(z, full_matrices=False)
    variances = lengths**2
    rest = variances[axes:].sum() / (rows.shape[1] - axes)
    found = Familiar(mean, scale, directions[:axes], variances[:axes], rest, 0.0)
    bound = MARGIN * np.percentile(found.distances(rows), 99)
    return Familiar(mean, scale, directions[:axes], variances[:axes], rest, float(bound))


def strangeness(image: np.ndarray, modality: str, prepared: Prepared | None = None) -> float:
    """How unlike the training images an image is.

    Args:
        image, modality, prepared: As in `description`.

    Returns:
        Its distance from them as a share of the bound: above 1 it is of another kind. Infinite for
        a photograph without colour.

    Raises:
        DataError: There is no field of view, or the statistics do not fit.
    """
    if modality == "fundus" and not has_colour(image):
        return math.inf
    familiar, _ = load_familiar(modality)
    described = description(image, modality, prepared)[None]  # (1, F)
    return float(familiar.distances(described)[0] / familiar.bound)


def has_colour(image: np.ndarray) -> bool:
    """Whether the lit pixels of a photograph have a colour."""
    step = max(1, min(image.shape[:2]) // 512)
    small = image[::step, ::step]
    lit = small[small.max(2) > LIT]  # (n, 3)
    return bool(len(lit)) and not is_plain_grey(lit[None])


@torch.no_grad()
def description(image: np.ndarray, modality: str, prepared: Prepared | None = None) -> np.ndarray:
    """What the encoder makes of an image: mean and standard deviation of each channel of its
    deepest map, inside the field of view.

    Args:
        image: (H, W, 3) photograph or (H, W) X-ray, uint8, upright.
        modality: "fundus" or "chest".
        prepared: Image and field of view as `prepare_sample` gives them at `SIDE`, where they were
            made already.

    Returns:
        (2 C,) float32.

    Raises:
        DataError: There is no field of view.
    """
    if prepared is None:
        small, masks, _ = prepare_sample(Sample(image), SIDE, modality)
        prepared = small, masks["field_of_view"]
    small, inside = prepared  # (S, S, C), (S, S)
    if not inside.any():
        raise DataError("the image has no field of view")
    x = torch.from_numpy(standardise(small[None], inside[None]))
    x = x.permute(0, 3, 1, 2).float() / 255  # (1, C, S, S)
    deepest = _encoder(modality)(x)[-1]  # (1, 128, S / 16, S / 16)
    fov = torch.from_numpy(inside)[None, None].float()
    weights = F.adaptive_avg_pool2d(fov, deepest.shape[-2:])
    weights = weights / weights.sum()
    mean = (deepest * weights).sum((2, 3))  # (1, 128)
    spread = ((deepest - mean[..., None, None]) ** 2 * weights).sum((2, 3)).sqrt()
    return torch.cat([mean, spread], 1)[0].numpy()


@functools.cache
def _encoder(modality: str) -> Encoder:
    with torch.random.fork_rng(devices=[]):  # whoever asks draws the same numbers as without
        return load_model(_weights(modality), "cpu").float().eval().encoder


def _weights(modality: str) -> Path:
    return WEIGHTS / f"{ENCODERS[modality]}.safetensors"


@functools.cache
def encoder_fingerprint(modality: str) -> str:
    """Which weights describe images of a modality."""
    return fingerprint_of(read_tensors(_weights(modality), "Install the package again")[0])


@functools.cache
def load_familiar(modality: str) -> tuple[Familiar, dict[str, float]]:
    """The Gaussian of a modality that comes with the package, and bounds of its structures.

    Args:
        modality: "fundus" or "chest".

    Returns:
        The Gaussian, and the name of each structure to its smallest agreement.

    Raises:
        DataError: The file is missing or damaged, or was made with other weights of the encoder.
    """
    again = "Make it again with: python -m ldr_lib confidence --fit"
    tensors, about = read_tensors(FILE, again)
    if about.get(modality) != encoder_fingerprint(modality):
        raise DataError(
            f"{FILE} was made with other weights than {_weights(modality).name} holds. {again}"
        )
    own = {
        name.removeprefix(f"{modality}."): value.numpy()
        for name, value in tensors.items()
        if name.startswith(f"{modality}.")
    }
    bounds = {
        name.removeprefix("agreement."): float(own.pop(name))
        for name in list(own)
        if name.startswith("agreement.")
    }
    rest, bound = float(own.pop("rest")), float(own.pop("bound"))
    return Familiar(**own, rest=rest, bound=bound), bounds
