"""Landmarks and the search for them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

import ldr_lib
from ldr_lib import landmarks

from .inputs import N, images, network


def gallery() -> landmarks.Gallery:
    pictures = images(3, N, 64)
    inside = np.ones((N, 64, 64), bool)
    places = [np.array([[30.0, 20.0]])] * N
    return landmarks.Gallery(pictures, pictures, inside, places, np.ones(N), ["a", "b"], "0" * 32)


def landmark_scores() -> pd.DataFrame:
    return pd.DataFrame(0.5, ["this kit"], landmarks.study.MEASURES)


def calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    net = network()
    x = images()
    searches = landmarks.Searches("filter bank", gallery(), gallery(), "fundus")
    found = ldr_lib.localise(net, x[0], (9, 9), list(x), ldr_lib.Kernel(1 / 16))
    return {
        "Kernel": (ldr_lib.Kernel, dict(width=1 / 32, members=3)),
        "localise": (
            ldr_lib.localise,
            dict(
                net=net,
                support_image=x[0],
                point=(9, 9),
                images=list(x),
                kernel=ldr_lib.Kernel(1 / 16),
                mirrored=False,
                scales=(1.0,),
                least=0.5,
            ),
        ),
        "open_gallery": (
            landmarks.open_gallery,
            dict(name="fovea_simulated", data_dir="", split="test", limit=1),
        ),
        "choose": (
            landmarks.choose,
            dict(landmark="fovea_simulated", rows=["filter bank"], kernels=landmarks.KERNELS),
        ),
        "measure": (
            landmarks.measure,
            dict(
                landmark="fovea_simulated",
                chosen=pd.DataFrame(dict(width=[0.1], members=[1]), ["filter bank"]),
                rows=["filter bank"],
                seeds=(0,),
            ),
        ),
        "Searches": (
            landmarks.Searches,
            dict(
                row="filter bank",
                support=gallery(),
                searched=gallery(),
                modality="fundus",
                seed=0,
                described=None,
            ),
        ),
        "Searches.scores": (
            searches.scores,
            dict(numbers=[0], kernel=ldr_lib.Kernel(1 / 16), tests=[1], seed=0),
        ),
        "errors_of": (
            landmarks.errors_of,
            dict(
                searches=searches,
                scores=searches.scores([0], ldr_lib.Kernel(1 / 16), [1]),
                tests=[1],
            ),
        ),
        "measured": (landmarks.measured, dict(landmark="fovea_simulated", what="table")),
        "found_points": (
            landmarks.found_points,
            dict(
                support_image=x[0],
                point=(9, 9),
                images=list(x),
                found=found,
                truth=[np.ones((1, 2))] * N,
                titles=["a"],
            ),
        ),
        "hit_bars": (landmarks.hit_bars, dict(tables={"a": landmark_scores()})),
    }
