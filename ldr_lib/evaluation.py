"""How embeddings and clusters compare with the anatomy and with simple baselines, and which pixels
are worth a look.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import ndimage

from .data import checks
from .data.checks import array, finite, instance, mask, named, one_shape, whole
from .data.errors import DataError, one_of
from .data.prepare import Prepared
from .metrics import (
    best_match_dice,
    dice,
    matched_iou,
    mutual_information,
    structure_information,
)
from .network import TwoBranchNet
from .representation import k_means, pixel_features, represent
from .similarity import retrieval

ANATOMY = {
    "fundus": ("disc", "fovea", "vessel"),
    "chest": ("lungs", "heart", "clavicles"),
    "other": (),
}
"""Modality to the structures that count; of images of another kind none is known."""


def anatomy_of(prepared: Prepared, modality: str) -> tuple[np.ndarray, list[str]]:
    """One label map per image from the structure masks.

    Args:
        prepared: Prepared images with masks.
        modality: "fundus", "chest" or "other"; which structures count.

    Returns:
        (N, S, S) int64, 0 for pixels of no structure, and the names of structures 1, 2, ...
        Without masks all labels are 0 and there are no names. Where masks overlap the later
        structure counts.

    Raises:
        ValueError: Unknown modality, or no prepared images.

    Taught in notebook 00, section 3.
    """
    instance(prepared, Prepared, "prepared", "images as `prepare` returns them")
    known = ANATOMY[one_of(modality, ANATOMY, "modality")]
    names = [name for name in known if name in prepared.masks]
    labels = np.zeros(prepared.images.shape[:3], np.int64)
    for number, name in enumerate(names, start=1):
        labels[prepared.masks[name]] = number
    return labels, names


def query_pixel(prepared: Prepared, modality: str) -> tuple[int, int, int, str]:
    """Chooses a query pixel by a fixed rule, for the search for similar pixels.

    With masks it is the middle of the thickest piece of a structure (vessel outside the disc, else
    the first structure). Without masks it is the pixel in the field of view that is darkest
    compared with its surroundings.

    Args:
        prepared: Prepared images.
        modality: "fundus", "chest" or "other".

    Returns:
        Number of the image, row, column, and what was chosen in words.

    Raises:
        DataError: No image has a pixel to choose.
        ValueError: Unknown modality, or no prepared images.

    Taught in notebook 00, section 5.
    """
    names = anatomy_of(prepared, modality)[1]
    for i in range(len(prepared)):
        if names:
            name = "vessel" if "vessel" in names else names[0]
            target = np.array(prepared.masks[name][i])
            if "disc" in names and name != "disc":
                target &= ~ndimage.binary_dilation(prepared.masks["disc"][i], iterations=4)
            depth = ndimage.distance_transform_edt(target)  # (S, S) distance to the border
            what = f"middle of the thickest piece of {name}"
        else:
            grey = np.asarray(prepared.originals[i], dtype=np.float32).mean(2)
            well_inside = ndimage.binary_erosion(
                prepared.masks["field_of_view"][i], iterations=len(grey) // 10
            )
            spread = len(grey) / 32
            surroundings = ndimage.gaussian_filter(grey, spread)
            depth = (surroundings - ndimage.gaussian_filter(grey, spread / 4)) * well_inside
            what = "darkest pixel compared with its surroundings"
        if depth.max() > 0:
            row, column = np.unravel_index(depth.argmax(), depth.shape)
            return i, int(row), int(column), f"{what} in {prepared.names[i]}"
    raise DataError("no image has a pixel to choose: masks are empty, or images uniform")


def prototypes(
    embeddings: np.ndarray, clusters: np.ndarray, inside: np.ndarray, n_clusters: int
) -> np.ndarray:
    """The mean direction of every cluster.

    Args:
        embeddings: (N, H, W, D) unit vectors.
        clusters: (N, H, W) cluster of every pixel.
        inside: (N, H, W) bool, pixels that count.
        n_clusters: Number K of clusters.

    Returns:
        (K, D) unit vectors; zeros for a cluster without pixels.

    Raises:
        ValueError: The shapes do not fit, or a cluster is not one of 0 to K - 1.

    Source: c_k in Chen et al. 2021, section 3.3, with each pixel wholly in one cluster.
    """
    embeddings, inside = pixel_features(embeddings, inside, "embeddings")
    n_clusters = whole(n_clusters, "n_clusters", 1, 10**5)
    clusters = checks.labels(clusters, "clusters", n_clusters, "NHW")
    one_shape(clusters=clusters, inside=inside)
    finite(embeddings[inside], "embeddings")
    belongs = np.eye(n_clusters, dtype=np.float32)[clusters[inside]]  # (P, K) one-hot
    sums = belongs.T @ embeddings[inside]  # (K, P) (P, D) -> (K, D)
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def typical_pixels(
    embeddings: np.ndarray,
    clusters: np.ndarray,
    inside: np.ndarray,
    n_clusters: int,
    n: int = 5,
    margin: int = 12,
) -> dict[int, list[tuple[int, int, int]]]:
    """Most typical pixels of each cluster: in every image the pixel nearest to the cluster's
    prototype, nearest images first.

    Args:
        embeddings: (N, H, W, D) unit vectors.
        clusters: (N, H, W) cluster of every pixel.
        inside: (N, H, W) bool, pixels that count.
        n_clusters: Number K of clusters.
        n: Pixels for each cluster, each in another image.
        margin: Pixels this near to the image's border are not taken.

    Returns:
        Cluster to (image, row, column) of its pixels; clusters without a pixel are left out.
        Largest cluster first.

    Raises:
        ValueError: The shapes do not fit, a cluster is not one of 0 to K - 1, or the margin leaves
            no pixel.

    Taught in notebook 03, section 4.
    """
    n, inside = whole(n, "n", 1), mask(inside, "inside", "NHW")
    margin = whole(margin, "margin", 0, (min(inside.shape[1:]) - 1) // 2)
    embeddings = array(embeddings, "embeddings", "NHWD")
    clusters = array(clusters, "clusters", "NHW")
    centres = prototypes(embeddings, clusters, inside, n_clusters)
    allowed = np.zeros_like(inside)
    height, width = inside.shape[1:]
    middle = np.s_[:, margin : height - margin, margin : width - margin]
    allowed[middle] = inside[middle]
    areas = np.bincount(clusters[inside], minlength=n_clusters)
    pixels = {}
    for k in np.argsort(-areas, kind="stable"):
        nearness = np.where(allowed & (clusters == k), embeddings @ centres[k], -np.inf)
        nearness = nearness.reshape(len(inside), -1)  # (N, H * W)
        nearest, value = nearness.argmax(1), nearness.max(1)  # one pixel of each image
        images = [i for i in np.argsort(-value, kind="stable") if np.isfinite(value[i])][:n]
        if images:
            rows, columns = np.unravel_index(nearest, inside.shape[1:])
            pixels[int(k)] = [(int(i), int(rows[i]), int(columns[i])) for i in images]
    return pixels


def agreement(
    features: np.ndarray, labels: np.ndarray, prepared: Prepared, modality: str, seed: int = 0
) -> pd.DataFrame:
    """Compares features and label maps with the anatomy, image by image.

    Args:
        features: (N, S, S, D) pixel features, for `retrieval`.
        labels: (N, S, S) cluster of every pixel.
        prepared: The images' masks.
        modality: "fundus", "chest" or "other".
        seed: Fixes the query pixels.

    Returns:
        A row for each image, nan where an image lacks the structure. Of the clusters: "clusters"
        (how many are in use over all images), "largest area" (share of the field of view), "NMI",
        "NMI of structures" and "matched IoU". For each structure: "Dice <structure>" (of the
        cluster that matches it best over all images), and by `retrieval` "AUC <structure>", "AP
        <structure>", and with queries in other images "AUC <structure> across" and "AP <structure>
        across".

    Raises:
        ValueError: The shapes do not fit, or the modality is unknown.

    Taught in notebook 00, section 4.
    """
    anatomy, names = anatomy_of(prepared, modality)
    features, inside = pixel_features(features, prepared.masks["field_of_view"], "features")
    labels = checks.labels(labels, "labels", dims="NHW")
    one_shape(labels=labels, **{"the prepared images": anatomy})
    maps = list(zip(labels, anatomy, inside))
    columns = {
        "clusters": len(np.unique(labels[inside])),
        "largest area": [np.bincount(k[i]).max() / max(i.sum(), 1) for k, _, i in maps],
        "NMI": [
            mutual_information(k, a, i) if a[i].any() else np.nan  # nothing to be told apart
            for k, a, i in maps
        ],
        "NMI of structures": [structure_information(*one) for one in maps],
        "matched IoU": matched_iou(labels, anatomy, inside),
    }
    for name in names:
        truth = np.asarray(prepared.masks[name]) & inside
        best = best_match_dice(labels, truth, inside)[1]
        matched = (labels == best) & inside  # (N, S, S)
        columns[f"Dice {name}"] = [
            dice(m, t) if t.any() else np.nan for m, t in zip(matched, truth)
        ]
        for measure, values in retrieval(features, truth, inside, seed=seed).items():
            kind, _, where = measure.partition(" ")
            columns[f"{kind} {name} {where}".strip()] = values.to_numpy()
    return pd.DataFrame(columns, index=prepared.names)


@dataclass(frozen=True)
class Comparison:
    """Measures of several networks and baselines, image by image.

    Attributes:
        images: Name of a row, for example "trained, clusters", to its table as `agreement` returns
            it: a line for each test image.

    Taught in notebook 00, section 4.
    """

    images: dict[str, pd.DataFrame]

    @property
    def table(self) -> pd.DataFrame:
        """Mean over images, one line for each row."""
        return pd.DataFrame({name: rows.mean() for name, rows in self.images.items()}).T

    def best(self, name: str, column: str) -> np.ndarray:
        """The values of one column, image by image, of the better of a row's two ways of
        clustering.

        Args:
            name: Of the network or baseline, for example "trained" or "raw intensities".
            column: For example "NMI".

        Returns:
            (images,) values of the row whose mean is larger; nan where an image lacks the
            structure.

        Raises:
            ValueError: No row has this name, no such column, or no image has the structure.

        Taught in notebook 00, section 6.
        """
        checks.text(name, "name")
        ways = [rows for row, rows in self.images.items() if row.rpartition(", ")[0] == name]
        if not ways:
            raise ValueError(f'no row "{name}"; there are {", ".join(self.images)}')
        for rows in ways:
            one_of(column, rows.columns, "column")
        ways = [rows[column].to_numpy() for rows in ways]
        if np.isnan(ways).all():
            raise ValueError(f'"{column}" was measured in no image: none has the structure')
        return max(ways, key=np.nanmean)


def compare(
    nets: dict[str, TwoBranchNet], prepared: Prepared, modality: str, seed: int = 0
) -> Comparison:
    """Measures intensities and networks with `agreement`; each network's embeddings are also
    clustered by k-means. Every k-means makes as many clusters as the first network has.

    Args:
        nets: Row name to network.
        prepared: Held-out images with masks.
        modality: "fundus", "chest" or "other".
        seed: Fixes k-means and the query pixels.

    Returns:
        Rows "raw intensities, k-means", for photographs of the retina also "locally normalised
        intensities, k-means" (see `ldr_lib.data.prepare.local_normalize`), then for each network
        "<name>, clusters" and "<name>, k-means".

    Raises:
        ValueError: No network, one without clusters, no prepared images, or an unknown modality.
        DataError: A network takes another number of channels.

    Taught in notebook 00, section 4 and notebook 02, section 9.
    """
    for name, net in named(nets, "nets", "its network").items():
        instance(net, TwoBranchNet, f"nets[{name!r}]", "a TwoBranchNet")
    anatomy_of(prepared, modality)
    inside = np.asarray(prepared.masks["field_of_view"])
    n_clusters = next(iter(nets.values())).n_clusters
    intensities = {"raw intensities": prepared.originals}
    if modality == "fundus":
        intensities["locally normalised intensities"] = prepared.images
    rows = {}
    for name, images in intensities.items():
        values = np.asarray(images, dtype=np.float32) / 255  # (N, S, S, C)
        labels = k_means(values, inside, n_clusters, seed)
        rows[f"{name}, k-means"] = agreement(values, labels, prepared, modality, seed)
    for name, net in nets.items():
        embeddings, labels = represent(net, prepared.images)
        rows[f"{name}, clusters"] = agreement(embeddings, labels, prepared, modality, seed)
        by_k_means = k_means(embeddings, inside, n_clusters, seed)
        rows[f"{name}, k-means"] = agreement(embeddings, by_k_means, prepared, modality, seed)
    return Comparison(rows)
