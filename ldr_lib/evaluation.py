"""From a trained network to label maps, and label maps held against anatomy and against simple
baselines.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy import ndimage
from sklearn.cluster import MiniBatchKMeans

from .data.errors import DataError
from .data.prepare import Prepared
from .device import mixed_precision
from .metrics import best_match_dice, dice, mutual_information, retrieval_auc
from .network import TwoBranchNet

ANATOMY = {"fundus": ("disc", "fovea", "vessel"), "chest": ("lungs", "heart", "clavicles")}


@torch.no_grad()
def represent(
    net: TwoBranchNet, images: np.ndarray, batch: int = 4
) -> tuple[np.ndarray, np.ndarray | None]:
    """Embeds and clusters whole images.

    Args:
        net: A network, trained or not; it is put back into the mode it was in.
        images: (N, H, W, C) uint8.
        batch: Images at a time.

    Returns:
        Embeddings (N, H, W, D) float32 unit vectors, and the most probable cluster of every pixel
        (N, H, W) int64, None where the network has no clustering branch.

    Raises:
        DataError: The images have another number of channels than the network takes.

    Taught in notebook 00, section 4.
    """
    if images.ndim != 4 or images.shape[-1] != net.in_channels:
        raise DataError(
            f"the network takes images (N, H, W, {net.in_channels}), not {images.shape}"
        )
    device, was_training = next(net.parameters()).device, net.training
    clusters = getattr(net, "clustering_branch", None) is not None
    net.eval()
    embeddings, labels = [], []
    for start in range(0, len(images), batch):
        x = (
            torch.from_numpy(np.array(images[start : start + batch]))
            .to(device)
            .permute(0, 3, 1, 2)
            .float()
            / 255
        )
        with mixed_precision(device):
            v, a = net(x) if clusters else (net.embed(x), None)
        embeddings.append(v.permute(0, 2, 3, 1).cpu().numpy())
        if clusters:
            labels.append(a.argmax(1).cpu().numpy())
    net.train(was_training)
    return np.concatenate(embeddings), np.concatenate(labels) if clusters else None


def k_means(features: np.ndarray, inside: np.ndarray, n_clusters: int, seed: int = 0) -> np.ndarray:
    """Clusters pixels by k-means of their features, the baseline for the clustering branch.

    Args:
        features: (N, H, W, D), for example colours or embeddings.
        inside: (N, H, W) bool, pixels that are clustered; the others get 0.
        n_clusters: Number of clusters.
        seed: Fixes the result.

    Returns:
        (N, H, W) int64 labels.
    """
    pixels = features[inside].astype(np.float32)
    sample = np.random.default_rng(seed).choice(
        len(pixels), min(len(pixels), 50_000), replace=False
    )
    model = MiniBatchKMeans(n_clusters, n_init=3, random_state=seed).fit(pixels[sample])
    labels = np.zeros(inside.shape, np.int64)
    labels[inside] = model.predict(pixels)
    return labels


def anatomy_of(prepared: Prepared, modality: str) -> tuple[np.ndarray, list[str]]:
    """One label map per image from the structure masks.

    Args:
        prepared: Prepared images with masks.
        modality: "fundus" or "chest"; which structures count.

    Returns:
        (N, S, S) int64, 0 for what is no structure, and the names of structures 1, 2, ... Both may
        be empty of structures when the dataset has no masks. Where masks overlap the later
        structure counts.
    """
    names = [name for name in ANATOMY.get(modality, ()) if name in prepared.masks]
    labels = np.zeros(prepared.images.shape[:3], np.int64)
    for number, name in enumerate(names, start=1):
        labels[prepared.masks[name]] = number
    return labels, names


def query_pixel(prepared: Prepared, modality: str) -> tuple[int, int, int, str]:
    """Chooses by rule a pixel whose likes are worth looking for.

    Where masks are known: the middle of the thickest piece of the structure (vessel outside the
    disc, else the first structure). Where not: the place in the field of view that is darkest
    against its surroundings.

    Args:
        prepared: Prepared images.
        modality: "fundus" or "chest".

    Returns:
        Number of the image, row, column, and what was chosen in words.

    Taught in notebook 00, section 5.
    """
    names = anatomy_of(prepared, modality)[1]
    for i in range(len(prepared)):
        if names:
            name = "vessel" if "vessel" in names else names[0]
            target = np.array(prepared.masks[name][i])
            if "disc" in names and name != "disc":
                target &= ~ndimage.binary_dilation(prepared.masks["disc"][i], iterations=4)
            depth, what = (
                ndimage.distance_transform_edt(target),
                f"middle of the largest piece of {name}",
            )
        else:
            grey = np.asarray(prepared.originals[i], dtype=np.float32).mean(2)
            well_inside = ndimage.binary_erosion(
                prepared.masks["field_of_view"][i], iterations=len(grey) // 10
            )
            spread = len(grey) / 32
            depth = (
                ndimage.gaussian_filter(grey, spread) - ndimage.gaussian_filter(grey, spread / 4)
            ) * well_inside
            what = "darkest place against its surroundings"
        if depth.max() > 0:
            row, column = np.unravel_index(depth.argmax(), depth.shape)
            return i, int(row), int(column), f"{what} in {prepared.names[i]}"
    raise DataError("no image shows anything to choose a pixel from")


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

    Taught in notebook 03, section 4.
    """
    belongs = np.eye(n_clusters, dtype=np.float32)[clusters[inside]]
    sums = belongs.T @ embeddings[inside]
    return sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-12)


def typical_pixels(
    embeddings: np.ndarray,
    clusters: np.ndarray,
    inside: np.ndarray,
    n_clusters: int,
    n: int = 5,
    margin: int = 12,
) -> dict[int, list[tuple[int, int, int]]]:
    """Where each cluster is most itself: in every image the pixel nearest to the cluster's
    prototype, the best images first.

    Args:
        embeddings: (N, H, W, D) unit vectors.
        clusters: (N, H, W) cluster of every pixel.
        inside: (N, H, W) bool, pixels that count.
        n_clusters: Number K of clusters.
        n: Places for each cluster, each in another image.
        margin: Pixels this near to the image's border are not taken.

    Returns:
        Cluster to (image, row, column) of its places; clusters without a pixel are left out.
        Largest cluster first.

    Taught in notebook 03, section 4.
    """
    centres = prototypes(embeddings, clusters, inside, n_clusters)
    allowed = np.zeros_like(inside)
    allowed[:, margin:-margin, margin:-margin] = inside[:, margin:-margin, margin:-margin]
    places = {}
    for k in np.argsort(-np.bincount(clusters[inside], minlength=n_clusters), kind="stable"):
        nearness = np.where(allowed & (clusters == k), embeddings @ centres[k], -np.inf).reshape(
            len(inside), -1
        )
        best, value = nearness.argmax(1), nearness.max(1)
        order = [i for i in np.argsort(-value, kind="stable") if np.isfinite(value[i])][:n]
        if order:
            places[int(k)] = [
                (int(i), *map(int, np.unravel_index(best[i], inside.shape[1:]))) for i in order
            ]
    return places


def agreement(
    features: np.ndarray, labels: np.ndarray, prepared: Prepared, modality: str, seed: int = 0
) -> pd.DataFrame:
    """Compares features and label maps with the anatomy, image by image.

    Args:
        features: (N, S, S, D) pixel features, ranked by nearness for the retrieval AUC.
        labels: (N, S, S) cluster of every pixel.
        prepared: The images' masks.
        modality: "fundus" or "chest".
        seed: Fixes the query pixels.

    Returns:
        A row for each image. Columns "NMI", and for each structure "Dice <structure>" (of the
        cluster that matches it best over all images) and "AUC <structure>" (retrieval); nan where
        an image lacks the structure.

    Taught in notebook 00, section 4.
    """
    inside = np.asarray(prepared.masks["field_of_view"])
    anatomy, names = anatomy_of(prepared, modality)
    columns = {"NMI": [mutual_information(*maps) for maps in zip(labels, anatomy, inside)]}
    for name in names:
        truth = np.asarray(prepared.masks[name]) & inside
        best = best_match_dice(labels, truth, inside)[1]
        matched = (labels == best) & inside
        columns[f"Dice {name}"] = [
            dice(m, t) if t.any() else np.nan for m, t in zip(matched, truth)
        ]
        columns[f"AUC {name}"] = retrieval_auc(features, truth, inside, seed=seed)
    return pd.DataFrame(columns, index=prepared.names)


@dataclass(frozen=True)
class Comparison:
    """What was measured of several rows, image by image.

    Attributes:
        images: Row name to its table, as `agreement` returns it.

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
            name: Start of the row's name, for example "trained".
            column: For example "NMI".
        """
        ways = [
            rows[column].to_numpy()
            for row, rows in self.images.items()
            if row.rpartition(", ")[0] == name
        ]
        if not ways:
            raise ValueError(f'no row "{name}"; there are {", ".join(self.images)}')
        return max(ways, key=np.nanmean)


def compare(
    nets: dict[str, TwoBranchNet], prepared: Prepared, modality: str, seed: int = 0
) -> Comparison:
    """Measures intensities and networks with `agreement`; each network's embeddings are also
    clustered by k-means.

    Args:
        nets: Row name to network.
        prepared: Held-out images with masks.
        modality: "fundus" or "chest".
        seed: Fixes k-means and the query pixels.

    Returns:
        Rows "raw intensities, k-means", for photographs of the retina also "locally normalised
        intensities, k-means" (see `ldr_lib.data.prepare.local_normalize`), then for each network
        "<name>, clusters" and "<name>, k-means".

    Taught in notebook 00, section 4 and notebook 02, section 6.
    """
    inside = np.asarray(prepared.masks["field_of_view"])
    n_clusters = next(iter(nets.values())).n_clusters
    intensities = {"raw intensities": prepared.originals}
    if modality == "fundus":
        intensities["locally normalised intensities"] = prepared.images
    rows = {}
    for name, pictures in intensities.items():
        colours = np.asarray(pictures, dtype=np.float32) / 255
        labels = k_means(colours, inside, n_clusters, seed)
        rows[f"{name}, k-means"] = agreement(colours, labels, prepared, modality, seed)
    for name, net in nets.items():
        embeddings, labels = represent(net, prepared.images)
        rows[f"{name}, clusters"] = agreement(embeddings, labels, prepared, modality, seed)
        by_k_means = k_means(embeddings, inside, n_clusters, seed)
        rows[f"{name}, k-means"] = agreement(embeddings, by_k_means, prepared, modality, seed)
    return Comparison(rows)
