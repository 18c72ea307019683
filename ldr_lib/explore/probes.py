"""Linear and k-NN probes of frozen features, nearest neighbours, and signs of a healthy network."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ..data import checks
from ..data.checks import array, as_bytes, finite, instance, mask, named, whole
from ..data.errors import DataError
from ..data.prepare import Prepared
from ..data.views import ViewMaker
from ..device import mixed_precision
from ..evaluation import Comparison, anatomy_of, k_means
from ..losses import patch_grid, patch_rows
from ..metrics import mutual_information, retrieval_auc
from ..network import TwoBranchNet, require_embedding
from ..settings import Settings

NEIGHBOURS = 15


def filter_bank(images: np.ndarray) -> np.ndarray:
    """Features that need no training: brightness, gradient and curvature at five scales of a
    Gaussian.

    Args:
        images: (N, H, W, C) uint8, or floats in [0, 1].

    Returns:
        (N, H, W, 20 C) float32, each feature with mean 0 and deviation 1 over all pixels.

    Raises:
        DataError: The images have another type, range or shape, or there are none.

    Taught in notebook 03, section 6.
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


def pixels(inside: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Draws pixels of the field of view.

    Args:
        inside: bool of any shape.
        n: How many at most.
        seed: Fixes the draw.

    Returns:
        Flat indices, sorted.

    Raises:
        ValueError: The field of view is no mask, or n or the seed make no sense.
    """
    all_, n, seed = np.flatnonzero(mask(inside, "inside")), whole(n, "n", 1), checks.seed(seed)
    return np.sort(np.random.default_rng(seed).choice(all_, min(n, len(all_)), replace=False))


def labelled_example(training: Prepared, modality: str, seed: int = 0) -> int:
    """Draws a training image in which every structure is marked.

    Args:
        training: Prepared images with masks.
        modality: "fundus" or "chest".
        seed: Fixes the draw.

    Raises:
        DataError: There is none, or there are no masks.
        ValueError: No prepared images, or an unknown modality.

    Taught in notebook 03, section 6.
    """
    seed = checks.seed(seed)
    anatomy, names = anatomy_of(training, modality)
    whole = [
        i
        for i in range(len(training))
        if set(np.unique(anatomy[i])) >= set(range(1, len(names) + 1))
    ]
    if not names or not whole:
        raise DataError(
            "a probe needs a training image in which every structure is marked; "
            "these images have none"
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
) -> Comparison:
    """How much anatomy simple classifiers find in frozen features when one training image is
    labelled.

    Args:
        features: Row name to the features of the example, (S, S, D), and of `held_out`, (n, S, S,
            D).
        training: Images with masks.
        example: Which of them is labelled, as `labelled_example` draws it; 8,000 of its pixels are
            the labels.
        held_out: Other images with masks; 20,000 of their pixels are judged.
        modality: "fundus" or "chest".
        n_clusters: Number of clusters of the k-means behind "NMI".
        seed: Fixes the draws.

    Returns:
        Values image by image, and in `.table` their means. Columns: "NMI" of k-means with the
        anatomy, and for each structure "<structure> retrieval" (`retrieval_auc`), "<structure>
        linear" and "<structure> neighbours", the area under the ROC curve of logistic regression
        and of the 15 nearest labelled pixels; nan where an image lacks the structure.

    Raises:
        ValueError: Features do not fit the images, or a value makes no sense.
        DataError: The images have no masks.

    Taught in notebook 03, section 6.
    """
    (anatomy, names), (truth, _) = anatomy_of(training, modality), anatomy_of(held_out, modality)
    if not names:
        raise DataError("a probe needs training images in which structures are marked")
    example = whole(example, "example", 0, len(training) - 1)
    features = _fitting(features, anatomy[example].shape, truth.shape)
    inside = np.asarray(held_out.masks["field_of_view"])
    labelled = pixels(training.masks["field_of_view"][example], 8_000, seed)
    judged = pixels(inside, 20_000, seed)
    image_of = judged // inside[0].size  # (P,) image of each judged pixel
    labels, true = anatomy[example].ravel()[labelled], truth.ravel()[judged]
    rows = {}
    for name, (of_example, of_held_out) in features.items():
        x = of_example.reshape(-1, of_example.shape[-1])[labelled].astype(np.float32)  # (8000, D)
        z = of_held_out.reshape(-1, of_held_out.shape[-1])[judged].astype(np.float32)  # (P, D)
        ways = {
            "linear": make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)),
            "neighbours": KNeighborsClassifier(NEIGHBOURS),
        }
        found = k_means(of_held_out, inside, n_clusters, seed)
        columns = {"NMI": [mutual_information(*maps) for maps in zip(found, truth, inside)]}
        for number, structure in enumerate(names, 1):
            columns[f"{structure} retrieval"] = retrieval_auc(
                of_held_out, truth == number, inside, seed=seed
            )
        for way, model in ways.items():
            probability = model.fit(x, labels).predict_proba(z)  # (P, classes)
            for number, structure in enumerate(names, 1):
                scores = probability[:, list(model.classes_).index(number)]
                columns[f"{structure} {way}"] = _auc_by_image(
                    true == number, scores, image_of, len(inside)
                )
        rows[name] = pd.DataFrame(columns, index=held_out.names)
    order = [f"{s} {way}" for s in names for way in ("retrieval", "linear", "neighbours")]
    return Comparison({name: table[["NMI", *order]] for name, table in rows.items()})


def _fitting(features: dict, example: tuple, held_out: tuple) -> dict:
    """Features of the example and of the held-out images, which have a vector for each pixel."""
    found = {}
    for name, pair in named(features, "features", "a pair of arrays").items():
        what = f"features[{name!r}]"
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"{what} must be a pair, of the example and of the held-out images")
        one, others = (
            finite(array(part, what, dims), what) for part, dims in zip(pair, ("SSD", "NSSD"))
        )
        if one.shape[:2] != example or others.shape[:3] != held_out:
            raise ValueError(
                f"{what} must be features of pixels {example} and {held_out}, not of "
                f"{one.shape[:2]} and {others.shape[:3]}"
            )
        if one.shape[2] != others.shape[3]:
            raise ValueError(
                f"{what} must have one number of dimensions, not {one.shape[2]} and "
                f"{others.shape[3]}"
            )
        found[name] = (one, others)
    return found


def _auc_by_image(true: np.ndarray, scores: np.ndarray, image_of: np.ndarray, n: int) -> np.ndarray:
    """Area under the ROC curve for each of n images, nan where an image has one class only."""
    values = np.full(n, np.nan)
    for i in range(n):
        here = image_of == i
        if true[here].any() and not true[here].all():
            values[i] = roc_auc_score(true[here], scores[here])
    return values


def neighbourhoods(
    vectors: np.ndarray, groups: dict[str, np.ndarray], n: int = NEIGHBOURS
) -> pd.DataFrame:
    """Are the nearest neighbours of a pixel of its own kind?

    Args:
        vectors: (P, D) features of pixels.
        groups: Name to (P,) labels, for example the structure or the image of each pixel.
        n: Number of neighbours.

    Returns:
        A row for each grouping. "own kind": share of neighbours with the pixel's own label,
        averaged over labels, so that a rare label counts as much as a common one. "by chance": the
        share expected if labels were independent of the features, averaged in the same way; for L
        labels it is 1/L.

    Raises:
        ValueError: Vectors and labels do not fit, a vector is not finite, or there are not more
            pixels than neighbours.

    Taught in notebook 03, section 2.
    """
    vectors = finite(array(vectors, "vectors", "PD"), "vectors")
    if len(vectors) < 2:
        raise ValueError(f"vectors must be of at least 2 pixels, not {len(vectors)}")
    n = whole(n, "n", 1, len(vectors) - 1)
    found = (
        NearestNeighbors(n_neighbors=n + 1)
        .fit(vectors)
        .kneighbors(vectors, return_distance=False)[:, 1:]
    )
    rows = {}
    for name, given in named(groups, "groups", "labels (P,)").items():
        labels = np.asarray(given)
        if labels.shape != (len(vectors),):
            raise ValueError(
                f"groups[{name!r}] must be {len(vectors)} labels, one for each vector, "
                f"not {checks.shown(labels)}"
            )
        same = (labels[found] == labels[:, None]).mean(1)
        kinds, counts = np.unique(labels, return_counts=True)
        rows[name] = {
            "own kind": np.mean([same[labels == kind].mean() for kind in kinds]),
            "by chance": np.mean(counts / len(labels)),
        }
    return pd.DataFrame(rows).T


def _seen_by(net: TwoBranchNet, images: np.ndarray, settings: Settings) -> np.ndarray:
    """Images as bytes, which a network with these settings can look at."""
    require_embedding(net)
    instance(settings, Settings, "settings", "Settings")
    images = as_bytes(images, "images", "NSSC")
    if images.shape[1] != images.shape[2] or images.shape[3] != net.in_channels:
        raise DataError(
            f"the network takes square images (N, S, S, {net.in_channels}), not {images.shape}"
        )
    return images


@torch.no_grad()
def _patches_of_two_views(
    net: TwoBranchNet, images: np.ndarray, settings: Settings, seed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Patch vectors of the first and of the second views, both (n, G * G, D), partners in one
    position.
    """
    if len(images) == 1:
        images = np.repeat(images, 2, axis=0)  # a small folder holds out one
    n = min(len(images), 16) // 2 * 2
    if n < 2:
        raise DataError("at least one image is needed, not 0")
    device = next(net.parameters()).device
    x = torch.from_numpy(np.array(images[:n])).to(device).permute(0, 3, 1, 2)  # (n, C, S, S)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(checks.seed(seed))
        views = ViewMaker(settings.view_size, settings.crop_scale)(x)
        with mixed_precision(device, net):
            first, second = (
                patch_grid(net.embed(view), settings.grid) for view in (views.first, views.second)
            )  # (n, D, G, G) each
    one, other = patch_rows(first), patch_rows(views.realign(second))  # (n * G * G, D) each
    return one.float().unflatten(0, (n, -1)), other.float().unflatten(0, (n, -1))


def alignment_and_uniformity(
    net: TwoBranchNet, images: np.ndarray, settings: Settings, seed: int = 0
) -> tuple[float, float]:
    """How near partners lie, and how evenly all lie on the sphere.

    Args:
        net: A network; it is put back into the mode it was in.
        images: (N, S, S, C) uint8 or floats in [0, 1]; an even number of them is used, 16 at
            most, and a single one twice.
        settings: Views and patch grid.
        seed: Fixes the views.

    Returns:
        Alignment, the mean squared distance of the vectors of one patch in two views, 0 (the same)
        to 4; and uniformity, the logarithm of the mean of exp(-2 d^2) over pairs of different
        patches: 0 when all coincide, about -3.75 when spread evenly in 32 dimensions.

    Raises:
        DataError: No images, or of another type, range or shape.
        ValueError: The network embeds no pixels, or there are no settings.

    Source: Wang and Isola, ICML 2020. Taught in notebook 03, section 5.
    """
    images = _seen_by(net, images, settings)
    with _evaluating(net):
        one, other = _patches_of_two_views(net, images, settings, seed)
    return _alignment(one, other), _uniformity(one)


def _alignment(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).square().sum(2).mean())


def _uniformity(one: torch.Tensor) -> float:
    distances = torch.pdist(one.flatten(0, 1))
    return float(distances.square().mul(-2).exp().mean().log())


def _top_1(one: torch.Tensor, other: torch.Tensor, images_per_step: int) -> float:
    """Share of patches whose most similar patch, among all others of a training step, is their
    partner.
    """
    hits = []
    for first, second in zip(one.split(images_per_step), other.split(images_per_step)):
        vectors = torch.cat([first.flatten(0, 1), second.flatten(0, 1)])  # (M, D)
        similarity = (vectors @ vectors.T).fill_diagonal_(-torch.inf)  # (M, M)
        partner = torch.arange(len(vectors), device=vectors.device).roll(len(vectors) // 2)
        hits.append(similarity.argmax(1) == partner)
    return float(torch.cat(hits).float().mean())


@contextmanager
def _evaluating(net: TwoBranchNet) -> Iterator[None]:
    """Puts a network into evaluation mode, and back into the mode it was in."""
    was_training = net.training
    net.eval()
    try:
        yield
    finally:
        net.train(was_training)


@torch.no_grad()
def health(net: TwoBranchNet, images: np.ndarray, settings: Settings, seed: int = 0) -> pd.Series:
    """Signs of a healthy network that need no masks.

    Args:
        net: A network; it is put back into the mode it was in.
        images: (N, S, S, C) uint8 or floats in [0, 1], with S a multiple of 16; an even number of
            them is used, 16 at most. Black pixels are taken to lie outside the field of view.
        settings: Views, patch grid and images per step.
        seed: Fixes the views.

    Returns:
        A value for each sign:

        - "top-1 patch match": share of patches whose most similar patch, among all others of one
          training step, is their partner in the other view; 1 is perfect.
        - "largest share": mean over pixels of the largest cluster assignment; 1/K when every pixel
          is undecided, 1 when every pixel is decided.
        - "decided pixels": share of pixels with one assignment above one half.
        - "cosine after a half turn": mean cosine between a pixel's embedding and its embedding in
          the image turned by 180 degrees; 1 when orientation is ignored, and also when all
          embeddings coincide.
        - "alignment" and "uniformity": see `alignment_and_uniformity`.

        The two signs of clusters are nan where the network has no clustering branch.

    Raises:
        DataError: No images, black ones, or of another type, range or shape.
        ValueError: The network embeds no pixels, or there are no settings.

    Taught in notebook 02, section 7.
    """
    images = _seen_by(net, images, settings)
    if len(images) and not images[:2].any():
        raise DataError("the first images are black: there is no field of view to look at")
    with _evaluating(net):
        one, other = _patches_of_two_views(net, images, settings, seed)
        upright, turned, largest = [], [], []
        for image in images[: len(one)]:
            v, share = _embed_one(net, image)
            w, _ = _embed_one(net, np.rot90(image, 2).copy())
            inside = torch.from_numpy(image.any(-1)).to(v.device)  # (S, S)
            upright.append(v[:, inside])  # (D, P)
            turned.append(w.rot90(2, (1, 2))[:, inside])
            largest.append(
                torch.full_like(v[0], torch.nan)[inside] if share is None else share.amax(0)[inside]
            )
    cosines = (torch.cat(upright, 1) * torch.cat(turned, 1)).sum(0)
    shares = torch.cat(largest)
    decided = (shares > 0.5).float().mean() if not shares.isnan().any() else torch.nan
    return pd.Series(
        {
            "top-1 patch match": _top_1(one, other, 2 * settings.pairs),
            "largest share": float(shares.mean()),
            "decided pixels": float(decided),
            "cosine after a half turn": float(cosines.mean()),
            "alignment": _alignment(one, other),
            "uniformity": _uniformity(one),
        }
    )


def _embed_one(net: TwoBranchNet, image: np.ndarray) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Embeddings (D, S, S) and cluster assignments (K, S, S) of one image."""
    device = next(net.parameters()).device
    x = torch.from_numpy(np.array(image)).to(device).permute(2, 0, 1)[None].float() / 255
    with mixed_precision(device, net):
        if getattr(net, "clustering_branch", None) is None:
            return net.embed(x)[0], None
        v, a = net(x)
    return v[0], a[0]


def health_table(
    nets: dict[str, TwoBranchNet], images: np.ndarray, settings: Settings, seed: int = 0
) -> pd.DataFrame:
    """The `health` of several networks on the same views, one row for each.

    Args:
        nets: Row name to network.
        images: As in `health`.
        settings: As in `health`.
        seed: Fixes the views.

    Returns:
        One column for each sign.

    Raises:
        DataError: As in `health`.
        ValueError: As in `health`, or there is no network.

    Taught in notebook 02, section 7.
    """
    nets = named(nets, "nets", "its network")
    return pd.DataFrame({name: health(net, images, settings, seed) for name, net in nets.items()}).T
