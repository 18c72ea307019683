"""Linear and k-NN probes of frozen features, and nearest neighbours."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from ..data import checks
from ..data.checks import array, finite, mask, named, whole
from ..data.errors import DataError
from ..data.prepare import Prepared
from ..evaluation import Comparison, anatomy_of
from ..metrics import mutual_information
from ..representation import k_means
from ..similarity import moments, retrieval, standardised

NEIGHBOURS = 15
MEASURES = {"AUC": roc_auc_score, "AP": average_precision_score}


def pixels(inside: np.ndarray, n: int, seed: int = 0) -> np.ndarray:
    """Draws pixels of the field of view.

    Args:
        inside: bool of any shape.
        n: How many at most.
        seed: Fixes the draw.

    Returns:
        Flat indices, sorted.

    Raises:
        ValueError: The field of view is no mask or empty, or n or the seed make no sense.
    """
    all_, n, seed = np.flatnonzero(mask(inside, "inside")), whole(n, "n", 1), checks.seed(seed)
    if not len(all_):
        raise ValueError("inside holds no pixel: there is none to draw")
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
        Values image by image, and in `.table` their means; nan where an image lacks the structure.
        Columns: "NMI" of k-means with the anatomy; for each structure "<structure> retrieval AUC",
        "... AP" and "... AP across" (see `ldr_lib.similarity.retrieval`), and of logistic
        regression ("linear") and the 15 nearest labelled pixels ("neighbours") the area under the
        ROC curve, "AUC", and average precision, "AP". All features are compared by one distance,
        the cosine after they are brought to mean 0 and deviation 1 inside the field of view.

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
        found = k_means(of_held_out, inside, n_clusters, seed)
        columns = {"NMI": [mutual_information(*maps) for maps in zip(found, truth, inside)]}
        for number, structure in enumerate(names, 1):
            ranked = retrieval(of_held_out, truth == number, inside, seed=seed)
            for measure in ("AUC", "AP", "AP across"):
                columns[f"{structure} retrieval {measure}"] = ranked[measure].to_numpy()
        scale = moments(of_held_out, inside)
        x = _compared(of_example.reshape(-1, of_example.shape[-1])[labelled], *scale)
        z = _compared(of_held_out.reshape(-1, of_held_out.shape[-1])[judged], *scale)
        for way, model in _probes().items():
            probability = model.fit(x, labels).predict_proba(z)  # (P, classes)
            for number, structure in enumerate(names, 1):
                scores = probability[:, list(model.classes_).index(number)]
                for measure, of in MEASURES.items():
                    columns[f"{structure} {way} {measure}"] = _by_image(
                        of, true == number, scores, image_of, len(inside)
                    )
        rows[name] = pd.DataFrame(columns, index=held_out.names)
    ways = [f"retrieval {m}" for m in ("AUC", "AP", "AP across")]
    ways += [f"{way} {m}" for way in _probes() for m in MEASURES]
    order = [f"{structure} {way}" for structure in names for way in ways]
    return Comparison({name: table[["NMI", *order]] for name, table in rows.items()})


def _compared(features: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Features (P, D) as unit vectors; a single one, which has no direction, keeps its size."""
    if features.shape[-1] == 1:
        return ((features - mean) / deviation).astype(np.float32)
    return standardised(features, mean, deviation)


def _probes() -> dict:
    """The classifiers of a probe, as fresh ones."""
    return {
        "linear": LogisticRegression(max_iter=500),
        "neighbours": KNeighborsClassifier(NEIGHBOURS),  # of unit vectors: ranks as the cosine
    }


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


def _by_image(
    measure, true: np.ndarray, scores: np.ndarray, image_of: np.ndarray, n: int
) -> np.ndarray:
    """A measure of scores for each of n images, nan where an image has one class only."""
    values = np.full(n, np.nan)
    for i in range(n):
        here = image_of == i
        if true[here].any() and not true[here].all():
            values[i] = measure(true[here], scores[here])
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
