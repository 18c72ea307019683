"""Evaluation, metrics and similarity."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import ldr_lib
from ldr_lib import evaluation, metrics, representation, similarity
from ldr_lib.evaluation import Comparison

from .inputs import RNG, D, K, N, S, images, mask, network, prepared, unit_vectors


def calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    net = network()
    x = images()
    inside = np.ones((N, S, S), bool)
    truth = np.stack([mask()] * N)
    labels = RNG.integers(0, K, (N, S, S))
    anatomy = truth.astype(int)
    vectors = unit_vectors(N, S, S, D)
    maps = [RNG.random((S, S)) for _ in range(N)]
    data = prepared()
    table = pd.DataFrame({"NMI": [0.1, 0.2]}, ["a", "b"])
    comparison = Comparison({"trained, clusters": table, "trained, k-means": table})
    return {
        "represent": (ldr_lib.represent, dict(net=net, images=x, batch=4)),
        "compare": (
            ldr_lib.compare,
            dict(nets={"trained": net}, prepared=data, modality="fundus", seed=0),
        ),
        "k_means": (
            representation.k_means,
            dict(features=vectors, inside=inside, n_clusters=3, seed=0),
        ),
        "anatomy_of": (evaluation.anatomy_of, dict(prepared=data, modality="fundus")),
        "query_pixel": (evaluation.query_pixel, dict(prepared=data, modality="fundus")),
        "prototypes": (
            evaluation.prototypes,
            dict(embeddings=vectors, clusters=labels, inside=inside, n_clusters=K),
        ),
        "typical_pixels": (
            evaluation.typical_pixels,
            dict(embeddings=vectors, clusters=labels, inside=inside, n_clusters=K, n=2, margin=4),
        ),
        "agreement": (
            evaluation.agreement,
            dict(features=vectors, labels=labels, prepared=data, modality="fundus", seed=0),
        ),
        "Comparison.best": (comparison.best, dict(name="trained", column="NMI")),
        "dice": (metrics.dice, dict(prediction=mask(), truth=~mask())),
        "mutual_information": (
            metrics.mutual_information,
            dict(labels=labels, anatomy=anatomy, inside=inside),
        ),
        "best_match_dice": (
            metrics.best_match_dice,
            dict(labels=labels, truth=truth, inside=inside),
        ),
        "retrieval": (
            similarity.retrieval,
            dict(features=vectors, truth=truth, inside=inside, queries=5, seed=0),
        ),
        "moments": (similarity.moments, dict(features=vectors, inside=inside)),
        "matched_iou": (
            metrics.matched_iou,
            dict(labels=labels, anatomy=anatomy, inside=inside),
        ),
        "structure_information": (
            metrics.structure_information,
            dict(labels=labels, anatomy=anatomy, inside=inside),
        ),
        "centreline_dice": (metrics.centreline_dice, dict(prediction=mask(), truth=mask())),
        "centre": (metrics.centre, dict(map_=maps[0])),
        "hausdorff95": (metrics.hausdorff95, dict(prediction=mask(), truth=mask())),
        "standardised": (
            similarity.standardised,
            dict(features=vectors, mean=np.zeros(D), deviation=np.ones(D)),
        ),
    }
