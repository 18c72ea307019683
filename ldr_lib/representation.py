"""What a trained network makes of images, and the clusters that k-means makes of features."""

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans

from .data import checks
from .data.checks import array, as_unit_floats, finite, mask, one_shape, whole
from .data.errors import DataError
from .device import mixed_precision
from .network import TwoBranchNet, require_embedding


@torch.no_grad()
def represent(
    net: TwoBranchNet, images: np.ndarray, batch: int = 4
) -> tuple[np.ndarray, np.ndarray | None]:
    """Embeds and clusters whole images.

    Args:
        net: A network, trained or not; it is put back into the mode it was in.
        images: (N, H, W, C) uint8, or floats in [0, 1].
        batch: Images at a time.

    Returns:
        Embeddings (N, H, W, D) float32 unit vectors, and the most probable cluster of every pixel
        (N, H, W) int64, None where the network has no clustering branch.

    Raises:
        DataError: The images are neither uint8 nor floats in [0, 1], or have another number of
            channels than the network takes; there are none.
        ValueError: The network does not embed pixels.

    Taught in notebook 00, section 3.
    """
    require_embedding(net)
    images = array(images, "images", error=DataError)
    if images.ndim != 4 or images.shape[-1] != net.in_channels or not images.size:
        raise DataError(
            f"the network takes images (N, H, W, {net.in_channels}), not {images.shape}"
        )
    batch = whole(batch, "batch", 1)
    device, was_training = next(net.parameters()).device, net.training
    has_clusters = getattr(net, "clustering_branch", None) is not None
    net.eval()
    embeddings, labels = [], []
    try:
        for first in range(0, len(images), batch):
            x = _network_input(images[first : first + batch]).to(device)  # (B, C, H, W)
            with mixed_precision(device, net):
                v, a = net(x) if has_clusters else (net.embed(x), None)  # (B, D | K, H, W)
            embeddings.append(v.permute(0, 2, 3, 1).cpu().numpy())  # (B, H, W, D)
            if has_clusters:
                labels.append(a.argmax(1).cpu().numpy())  # (B, H, W)
    finally:
        net.train(was_training)
    return np.concatenate(embeddings), np.concatenate(labels) if has_clusters else None


def _network_input(images: np.ndarray) -> torch.Tensor:
    """Images as the network takes them: (B, H, W, C) uint8 or floats in [0, 1] to (B, C, H, W)
    float32 in [0, 1].
    """
    images = np.array(images)
    if images.dtype == np.uint8:
        return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return torch.from_numpy(as_unit_floats(images).astype(np.float32)).permute(0, 3, 1, 2)


def pixel_features(values: np.ndarray, inside: np.ndarray, name: str) -> tuple:
    """Features of pixels and the mask of those that count, which fit each other.

    Args:
        values: (N, H, W, D).
        inside: (N, H, W) bool.
        name: Of the features, for messages.

    Raises:
        ValueError: The shapes do not fit, or no pixel lies inside.
    """
    values, inside = array(values, name, "NHWD"), mask(inside, "inside", "NHW")
    one_shape(inside=inside, **{f"the pixels of {name}": values[..., 0]})
    if not inside.any():
        raise ValueError("inside holds no pixel")
    return values, inside


def k_means(features: np.ndarray, inside: np.ndarray, n_clusters: int, seed: int = 0) -> np.ndarray:
    """Clusters pixels by k-means of their features, the baseline for the clustering branch.

    Args:
        features: (N, H, W, D), for example intensities or embeddings.
        inside: (N, H, W) bool, pixels that are clustered; the others get 0.
        n_clusters: Number of clusters.
        seed: Fixes the result.

    Returns:
        (N, H, W) int64 labels.

    Raises:
        ValueError: The shapes do not fit, a feature is not finite, or there are fewer pixels than
            clusters.

    Taught in notebook 00, section 4.
    """
    features, inside = pixel_features(features, inside, "features")
    pixels = finite(features[inside].astype(np.float32), "features")  # (P, D), of all images
    n_clusters, seed = whole(n_clusters, "n_clusters", 1, len(pixels)), checks.seed(seed)
    sample = np.random.default_rng(seed).choice(
        len(pixels), min(len(pixels), 50_000), replace=False
    )
    model = MiniBatchKMeans(n_clusters, n_init=3, random_state=seed).fit(pixels[sample])
    labels = np.zeros(inside.shape, np.int64)
    labels[inside] = model.predict(pixels)
    return labels
