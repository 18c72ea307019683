"""What an embedding knows: simple classifiers on frozen features, who neighbours whom, and how the
sphere is used.
"""

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..data.errors import DataError
from ..data.prepare import Prepared
from ..data.views import ViewMaker
from ..device import mixed_precision
from ..evaluation import anatomy_of, k_means
from ..losses import patch_grid, patch_rows
from ..metrics import mutual_information, retrieval_auc
from ..network import TwoBranchNet
from ..training import Settings

NEIGHBOURS = 15


def filter_bank(images: np.ndarray) -> np.ndarray:
    """What filters see that nobody trained: brightness, gradient and curvature at five scales of a
    Gaussian.

    Args:
        images: (N, H, W, C) uint8.

    Returns:
        (N, H, W, 20 C) float32, each feature with mean 0 and deviation 1 over all pixels.

    Taught in notebook 03, section 6.
    """
    from skimage.feature import multiscale_basic_features

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


def pixels(inside: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Draws pixels of the field of view.

    Args:
        inside: bool of any shape.
        n: How many at most.
        seed: Fixes the draw.

    Returns:
        Flat indices, sorted.
    """
    all_ = np.flatnonzero(inside)
    return np.sort(np.random.default_rng(seed).choice(all_, min(n, len(all_)), replace=False))


def labelled_example(training: Prepared, modality: str, seed: int = 0) -> int:
    """Draws a training image in which every structure is marked.

    Raises:
        DataError: There is none, or there are no masks.

    Taught in notebook 03, section 6.
    """
    anatomy, names = anatomy_of(training, modality)
    whole = [
        i
        for i in range(len(training))
        if set(np.unique(anatomy[i])) >= set(range(1, len(names) + 1))
    ]
    if not names or not whole:
        raise DataError(
            "a probe needs a training image in which every structure is marked; these images have none"
        )
    return int(np.random.default_rng(seed).choice(whole))


def probe(
    features: dict[str, tuple[np.ndarray, np.ndarray]],
    training: Prepared,
    example: int,
    held_out: Prepared,
    modality: str,
    n_clusters: int,
    seed: int = 0,
) -> pd.DataFrame:
    """How much of the anatomy can be read off frozen features when one training image is labelled.

    Args:
        features: Row name to the features of the example, (S, S, D), and of `held_out`, (n, S, S,
            D).
        training: Images with masks.
        example: Which of them is labelled, as `labelled_example` draws it; 8,000 of its pixels are
            the labels.
        held_out: Other images with masks; 20,000 of their pixels are judged.
        modality: "fundus" or "chest".
        n_clusters: Of the k-means behind "NMI".
        seed: Fixes the draws.

    Returns:
        For each structure "<structure> retrieval" (`retrieval_auc`), "<structure> linear" and
        "<structure> neighbours": area under the ROC curve of logistic regression and of the 15
        nearest neighbours; and "NMI" of k-means with anatomy.

    Taught in notebook 03, section 6.
    """
    (anatomy, names), (truth, _) = anatomy_of(training, modality), anatomy_of(held_out, modality)
    inside = np.asarray(held_out.masks["field_of_view"])
    labelled, judged = (
        pixels(training.masks["field_of_view"][example], 8_000, seed),
        pixels(inside, 20_000, seed),
    )
    taught, true = anatomy[example].ravel()[labelled], truth.ravel()[judged]
    rows = {}
    for name, (of_example, of_held_out) in features.items():
        x = of_example.reshape(-1, of_example.shape[-1])[labelled].astype(np.float32)
        z = of_held_out.reshape(-1, of_held_out.shape[-1])[judged].astype(np.float32)
        ways = {
            "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
            "neighbours": KNeighborsClassifier(NEIGHBOURS),
        }
        rows[name] = {
            "NMI": mutual_information(k_means(of_held_out, inside, n_clusters, seed), truth, inside)
        }
        for number, structure in enumerate(names, 1):
            rows[name][f"{structure} retrieval"] = np.nanmean(
                retrieval_auc(of_held_out, truth == number, inside, seed=seed)
            )
        for way, model in ways.items():
            model.fit(x, taught)
            sure = model.predict_proba(z)
            for number, structure in enumerate(names, 1):
                column = list(model.classes_).index(number)
                rows[name][f"{structure} {way}"] = roc_auc_score(true == number, sure[:, column])
    table = pd.DataFrame(rows).T
    return table[
        [
            "NMI",
            *(
                f"{structure} {way}"
                for structure in names
                for way in ("retrieval", "linear", "neighbours")
            ),
        ]
    ]


def neighbourhoods(
    vectors: np.ndarray, groups: dict[str, np.ndarray], n: int = NEIGHBOURS
) -> pd.DataFrame:
    """Are the nearest neighbours of a pixel of its own kind?

    Args:
        vectors: (P, D) features of pixels.
        groups: Name to (P,) labels, for example the structure or the image of each pixel.
        n: Number of neighbours.

    Returns:
        A row for each grouping: share of neighbours with the pixel's own label, averaged over
            labels so that a rare one
        counts as much as a common one, and the share that chance would give.

    Taught in notebook 03, section 2.
    """
    found = (
        NearestNeighbors(n_neighbors=n + 1)
        .fit(vectors)
        .kneighbors(vectors, return_distance=False)[:, 1:]
    )
    rows = {}
    for name, labels in groups.items():
        same = (labels[found] == labels[:, None]).mean(1)
        kinds, counts = np.unique(labels, return_counts=True)
        rows[name] = {
            "own kind": np.mean([same[labels == kind].mean() for kind in kinds]),
            "by chance": np.mean(counts / len(labels)),
        }
    return pd.DataFrame(rows).T


@torch.no_grad()
def alignment_and_uniformity(
    net: TwoBranchNet, images: np.ndarray, settings: Settings, seed: int = 0
) -> tuple[float, float]:
    """How near partners lie, and how evenly all lie on the sphere.

    Args:
        net: A network.
        images: (N, S, S, C) uint8; an even number of them is used, 16 at most.
        settings: Views and patch grid.
        seed: Of the views.

    Returns:
        Alignment, the mean squared distance of the vectors of one patch in two views, 0 (the same)
        to 4; and uniformity, the logarithm of the mean of exp(-2 d^2) over pairs of different
        patches: 0 when all coincide, about -3.75 when spread evenly in 32 dimensions.

    Raises:
        DataError: Fewer than two images.

    Source: Wang and Isola, ICML 2020. Taught in notebook 03, section 5.
    """
    n = min(len(images), 16) // 2 * 2
    if n < 2:
        raise DataError("two images at least are needed")
    device, was_training = next(net.parameters()).device, net.training
    net.eval()
    x = torch.from_numpy(np.array(images[:n])).to(device).permute(0, 3, 1, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        views = ViewMaker(settings.view_size, settings.crop_scale)(x)
        with mixed_precision(device):
            first, second = (
                patch_grid(net.embed(view), settings.grid) for view in (views.first, views.second)
            )
    one, other = patch_rows(first), patch_rows(views.realign(second))
    net.train(was_training)
    alignment = (one - other).square().sum(1).mean()
    uniformity = torch.pdist(one.float()).square().mul(-2).exp().mean().log()
    return float(alignment), float(uniformity)
