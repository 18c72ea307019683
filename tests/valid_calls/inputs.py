"""Tiny inputs of the valid calls."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ldr_lib import TwoBranchNet, guided, save_model
from ldr_lib.data import augment
from ldr_lib.data.prepare import Prepared
from ldr_lib.structures import Guide, Structure

RNG = np.random.default_rng(0)


N, S, D, K = 2, 32, 4, 3


GUIDE = Guide("chest", (Structure("heart", (0,), sizes=(32,)),))


SMALL = dict(n_clusters=K, embedding_dim=D, pairs=1, view_size=32, grid=2, steps=1)


def images(channels: int = 3, n: int = N, side: int = S) -> np.ndarray:
    return RNG.integers(1, 255, (n, side, side, channels), dtype=np.uint8)


def network(channels: int = 3, guide: Guide | None = None) -> TwoBranchNet:
    net = TwoBranchNet(channels, D, K)
    net.guide = guide
    return net.eval()


def mask(side: int = S) -> np.ndarray:
    found = np.zeros((side, side), bool)
    found[8:24, 8:20] = True
    return found


def prepared() -> Prepared:
    pixels, structure = images(), np.stack([mask()] * N)
    masks = {"field_of_view": np.ones((N, S, S), bool), "disc": structure, "vessel": ~structure}
    boxes = np.array([[0, 0, S, S]] * N)
    return Prepared(pixels, pixels, masks, ["a", "b"], boxes, [], "0" * 32)


def unit_vectors(*shape: int) -> np.ndarray:
    values = RNG.normal(size=shape).astype(np.float32)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def photograph(side: int = 96) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    inside = np.hypot(rows - side / 2, columns - side / 2) < 0.45 * side
    texture = 120 + 20 * RNG.random((side, side))
    return (inside[..., None] * texture[..., None] * [1.0, 0.6, 0.4]).astype(np.uint8)


def bank() -> guided.MaskBank:
    return guided.mask_bank([mask()], "squares", 64)


def pairs_of(channels: int = 1) -> augment.LabelledPairs:
    inside = np.ones((N, S, S), bool)
    return augment.LabelledPairs(
        images(channels), np.stack([mask()[None]] * N), inside, 32, (0.5, 1.0)
    )


def transfer_rows() -> pd.DataFrame:
    scores = pd.Series([0.5, 0.6], ["a", "b"])
    cells = [
        dict(task=task, protocol=protocol, labels=labels, seed=seed, init=init, Dice=0.5)
        | {"labelled": f"image {seed}"}
        | {"images": scores, "between images": 0.1, "looks": {"40": 0.4, "80": 0.5}}
        for task in ("vessel_chase_db1", "disc_drions")
        for protocol in ("frozen", "fine-tuned")
        for seed in range(3)
        for init in ("random", "instance", "dense", "autoencoder", "ldr")
        for labels in (1, 0)
    ]
    return pd.DataFrame(cells)


def write_files(folder: Path) -> None:
    """Files that the calls read: network, photograph, mask, parameters and a graded course."""
    save_model(network(), folder / "net.safetensors")
    Image.fromarray(photograph()).save(folder / "image.png")
    (folder / "masks").mkdir()
    Image.fromarray(mask(64).astype(np.uint8) * 255).save(folder / "masks" / "one.png")
    (folder / "one.yaml").write_text("seed: 1", encoding="utf-8")
    graded = folder / "course" / "records" / "project"
    graded.mkdir(parents=True)
    (graded / "anna.json").write_text("{}", encoding="utf-8")
