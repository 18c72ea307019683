"""Figures, the explorer, probes and health."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ldr_lib import Settings, ViewMaker, explore
from ldr_lib.explore import Point, Scene

from .inputs import RNG, SMALL, D, K, N, S, images, mask, network, prepared, unit_vectors


def scene() -> Scene:
    return Scene(
        ["a", "b"],
        images(),
        np.ones((N, S, S), bool),
        unit_vectors(N, S, S, D),
        RNG.integers(0, K, (N, S, S)),
        K,
    )


def calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    net = network()
    x = images()
    inside = np.ones((N, S, S), bool)
    truth = np.stack([mask()] * N)
    labels = RNG.integers(0, K, (N, S, S))
    anatomy = truth.astype(int)
    vectors = unit_vectors(N, S, S, D)
    maps = [RNG.random((S, S)) for _ in range(N)]
    masks = [mask() for _ in range(N)]
    settings = Settings(**SMALL)
    data = prepared()
    log = [dict(stage=1, epoch=0, patch=5.0, mixup=5.0, seconds=1.0)]
    views = ViewMaker(32, (0.5, 1.0))(torch.from_numpy(x).permute(0, 3, 1, 2))
    figure = explore.contact_sheet([x[0]])
    return {
        "anatomy_colours": (explore.anatomy_colours, dict(labels=anatomy, inside=inside)),
        "cluster_colours": (
            explore.cluster_colours,
            dict(labels=labels, anatomy=anatomy, n_clusters=K, inside=inside),
        ),
        "match_clusters": (
            explore.match_clusters,
            dict(labels=labels, anatomy=anatomy, n_clusters=K, inside=inside),
        ),
        "label_colours": (
            explore.label_colours,
            dict(labels=labels, n=K, inside=inside, palette="husl"),
        ),
        "embedding_colours": (
            explore.embedding_colours,
            dict(embeddings=vectors, inside=inside, seed=0),
        ),
        "overlay": (explore.overlay, dict(image=x[0], mask=mask(), colour=(0.0, 0.9, 1.0))),
        "outline": (
            explore.outline,
            dict(image=x[0], mask=mask(), colour=(0.0, 0.9, 1.0), width=1),
        ),
        "contact_sheet": (
            explore.contact_sheet,
            dict(images=list(x), titles=["a"], columns=2, scale=(0.0, 1.0)),
        ),
        "representation_sheet": (
            explore.representation_sheet,
            dict(rows={"a": maps}, scale=(0.0, 1.0), label="x"),
        ),
        "anatomy_legend": (
            explore.anatomy_legend,
            dict(figure=figure, structures=["disc"], clusters=True),
        ),
        "similarity_maps": (
            explore.similarity_maps,
            dict(embeddings=vectors, image=0, row=3, column=4),
        ),
        "similarity_sheet": (
            explore.similarity_sheet,
            dict(
                images=x,
                similarity=vectors[..., 0],
                inside=inside,
                row=3,
                column=4,
                truth=truth,
            ),
        ),
        "typical_patches": (
            explore.typical_patches,
            dict(images=x, pixels={0: [(0, 5, 5)]}, areas=np.array([1.0, 0, 0]), reach=4),
        ),
        "view_pairs": (explore.view_pairs, dict(views=views, grid=2, cell=(0, 1), n=1)),
        "explorer_figure": (
            explore.explorer_figure,
            dict(scene=scene(), points=[Point(0, 3, 3)], similarity=None, found=[]),
        ),
        "failure_maps": (
            explore.failure_maps,
            dict(images=list(x), predictions=masks, truths=masks, zoom=3.0),
        ),
        "write_page": (
            explore.write_page,
            dict(
                scene=scene(),
                path=folder / "page.html",
                points=[Point(0, 3, 3)],
                threshold=0.7,
                side=32,
            ),
        ),
        "embed_scene": (explore.embed_scene, dict(model=net, images=x, limit=None)),
        "shipped_steps": (explore.shipped_steps, dict(way="embedding only")),
        "embed_steps": (explore.embed_steps, dict(steps={0: net, 10: net}, images=x, limit=None)),
        "SimilarityExplorer": (
            explore.SimilarityExplorer,
            dict(
                model=net,
                images=x,
                points=[Point(0, 3, 3)],
                threshold=0.7,
                folder=folder / "explorer",
                limit=2,
            ),
        ),
        "Scene.query": (scene().query, dict(points=[Point(0, 3, 3)])),
        "Scene.masks": (scene().masks, dict(points=[Point(0, 3, 3)], threshold=0.5)),
        "loss_curves": (explore.loss_curves, dict(log=log, settings=settings)),
        "loss_references": (explore.loss_references, dict(settings=settings)),
        "patch_references": (explore.patch_references, dict(n_rows=8, embedding_dim=4)),
        "sphere_map": (
            explore.sphere_map,
            dict(points=RNG.random((6, 2)), colourings={"a": (np.array([0, 1] * 3), ["x", "y"])}),
        ),
        "sphere_pairs": (explore.sphere_pairs, dict(states={"a": RNG.random((4, 3))})),
        "filter_bank": (explore.filter_bank, dict(images=x)),
        "pixels": (explore.pixels, dict(inside=inside, n=5, seed=0)),
        "labelled_example": (
            explore.labelled_example,
            dict(training=data, modality="fundus", seed=0),
        ),
        "probe": (
            explore.probe,
            dict(
                features={"a": (vectors[0], vectors)},
                training=data,
                example=0,
                held_out=data,
                modality="fundus",
                n_clusters=3,
                seed=0,
            ),
        ),
        "neighbourhoods": (
            explore.neighbourhoods,
            dict(vectors=unit_vectors(20, D), groups={"kind": np.array([0, 1] * 10)}, n=3),
        ),
        "alignment_and_uniformity": (
            explore.alignment_and_uniformity,
            dict(net=net, images=x, settings=settings, seed=0),
        ),
        "health": (explore.health, dict(net=net, images=x, settings=settings, seed=0)),
        "health_table": (
            explore.health_table,
            dict(nets={"a": net}, images=x, settings=settings, seed=0),
        ),
        "learning_curves": (
            explore.learning_curves,
            dict(
                panels={
                    "a": (
                        pd.DataFrame(dict(way=["both"], steps=[10], seed=[0], value=[0.5])),
                        {"filter bank": 0.4},
                    )
                },
                here={},
            ),
        ),
    }
