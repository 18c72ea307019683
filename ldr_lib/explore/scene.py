"""Images with their embeddings, and queries to them: which pixels are similar to these, and
dissimilar to those?
"""

from dataclasses import asdict, dataclass

import numpy as np

from ..data.checks import array, as_bytes, flag, instance, number, whole
from ..data.errors import DataError
from ..data.names import numbered, unique_names
from ..data.prepare import Prepared
from ..network import TwoBranchNet
from ..representation import represent

DISSIMILAR_WEIGHT = 0.5
"""Weight of dissimilar points in a query; similar points have weight 1."""


@dataclass(frozen=True)
class Point:
    """A chosen pixel.

    Attributes:
        image: Number of the image.
        row: Row of the pixel.
        column: Its column.
        similar: True looks for similar pixels, False keeps similar pixels out.

    Taught in notebook 03, section 3.
    """

    image: int
    row: int
    column: int
    similar: bool = True


@dataclass(frozen=True)
class Scene:
    """What an explorer shows.

    Attributes:
        names: A name for each image, no two of them equal.
        shown: (N, H, W, 3) uint8, the images as they are shown.
        inside: (N, H, W) bool, the field of view.
        embeddings: (N, H, W, D) float32 unit vectors.
        clusters: (N, H, W) integers, or None where the network has no clustering branch.
        n_clusters: Number of clusters, 0 without a clustering branch.
    """

    names: list[str]
    shown: np.ndarray
    inside: np.ndarray
    embeddings: np.ndarray
    clusters: np.ndarray | None
    n_clusters: int

    def query(self, points: list[Point]) -> np.ndarray:
        """The vector on the hypersphere that all pixels are compared with.

        Args:
            points: Chosen pixels, at least one of them similar.

        Returns:
            (D,) unit vector L2(mean of v over similar pixels - half the mean over dissimilar ones).

        Raises:
            DataError: A pixel lies outside the images or the field of view, or none is similar.
        """
        chosen = {True: [], False: []}
        for point in instance(points, (list, tuple), "points", "a list of Point"):
            self._check(instance(point, Point, "points", "a list of Point"))
            chosen[point.similar].append(self.embeddings[point.image, point.row, point.column])
        if not chosen[True]:
            raise DataError("choose at least one pixel that the others should be similar to")
        vector = np.mean(chosen[True], 0)
        if chosen[False]:
            vector = vector - DISSIMILAR_WEIGHT * np.mean(chosen[False], 0)
        return vector / max(np.linalg.norm(vector), 1e-12)

    def similarity(self, points: list[Point]) -> np.ndarray:
        """Cosine similarity of every pixel to the query, (N, H, W) uint8: 0 for -1, 255 for 1, and
        0 outside the field of view.
        """
        cosine = self.embeddings @ self.query(points)
        return np.where(self.inside, np.rint((cosine + 1) * 127.5).clip(0, 255), 0).astype(np.uint8)

    def masks(self, points: list[Point], threshold: float) -> np.ndarray:
        """Pixels at least as similar as a threshold in [-1, 1], (N, H, W) bool.

        Raises:
            ValueError: The threshold lies outside.
        """
        threshold = number(threshold, "threshold", -1, 1)
        return (self.similarity(points) >= (threshold + 1) * 127.5) & self.inside

    def areas(self, masks: np.ndarray) -> list[float]:
        """Share of each image's field of view that its mask covers."""
        return [
            float(mask.sum() / max(1, inside.sum())) for mask, inside in zip(masks, self.inside)
        ]

    def described(self, points: list[Point], threshold: float) -> dict:
        """Points, threshold, areas and the files of masks as plain values, ready for JSON."""
        areas = self.areas(self.masks(points, threshold))
        return {
            "points": [asdict(p) | {"name": self.names[p.image]} for p in points],
            "threshold": threshold,
            "areas": {name: round(area, 5) for name, area in zip(self.names, areas)},
            "masks": dict(zip(self.names, self.mask_files())),
        }

    def mask_files(self) -> list[str]:
        """A file name for each image's mask, no two of them equal on any system."""
        without_spaces = [name.replace(" ", "_") for name in self.names]
        return [f"{name}_mask.png" for name in unique_names(without_spaces)]

    def cluster_bytes(self) -> bytes | None:
        """The clusters as unsigned little-endian integers, as wide as their number needs."""
        if self.clusters is None:
            return None
        width = np.min_scalar_type(max(0, self.n_clusters - 1)).newbyteorder("<")
        return self.clusters.astype(width).tobytes()

    def _check(self, point: Point) -> None:
        n, height, width = self.inside.shape
        for name in ("image", "row", "column"):
            whole(getattr(point, name), f"the {name} of a point", -(2**31))
        flag(point.similar, "similar of a point")
        if not (0 <= point.image < n and 0 <= point.row < height and 0 <= point.column < width):
            raise DataError(
                f"there is no pixel at row {point.row}, column {point.column} of image "
                f"{point.image + 1}: {n} images of {width} x {height} pixels are shown"
            )
        if not self.inside[point.image, point.row, point.column]:
            raise DataError(
                f"row {point.row}, column {point.column} of {self.names[point.image]} lies outside "
                "the field of view: choose a pixel inside it"
            )


def embed_scene(
    model: TwoBranchNet, images: Prepared | np.ndarray | list[np.ndarray], limit: int | None = None
) -> Scene:
    """Embeds images for the explorer.

    Args:
        model: A network; one without a clustering branch can be explored too, without clusters.
        images: As `prepare` returns them, or arrays (H, W, C) of one size, uint8 or floats in
            [0, 1], that are shown as they are given to the network.
        limit: Largest number of images, the first ones are taken; None takes all.

    Returns:
        The scene.

    Raises:
        DataError: No images, images of several sizes or with another number of channels than the
            network takes, or a model that embeds no pixels.
        ValueError: The limit is no positive number.

    Taught in notebook 03, section 3.
    """
    if isinstance(model, type) or not hasattr(model, "embed"):
        raise DataError(
            f"a {type(model).__name__} gives no embedding for every pixel; the explorer takes a "
            "TwoBranchNet, for example from load_representation"
        )
    x, shown, inside, names = pictures_to_explore(images, limit)
    channels = x.shape[-1]
    if channels != model.in_channels:
        kinds = {1: "grey images (X-rays)", 3: "colour images (photographs)"}
        taken = kinds.get(model.in_channels, f"{model.in_channels} channels")
        given = kinds.get(channels, f"{channels} channels")
        raise DataError(f"this network takes {taken} and was given {given}")
    embeddings, clusters = represent(model, np.asarray(x))
    n_clusters = 0 if clusters is None else model.n_clusters
    return Scene(names, shown, inside, embeddings, clusters, n_clusters)


def pictures_to_explore(
    images: Prepared | np.ndarray | list[np.ndarray], limit: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Images as the network takes them and as they are shown.

    Args:
        images: As in `embed_scene`.
        limit: As in `embed_scene`.

    Returns:
        The network's input (N, H, W, C) uint8, what is shown (N, H, W, 3) uint8, the field of view
        (N, H, W) bool, and a name for each image, no two of them equal.

    Raises:
        DataError: No images, images of several sizes, or images that cannot be shown.
        ValueError: The limit is no positive number.
    """
    is_list = hasattr(images, "__len__") and getattr(images, "shape", None) != ()
    if not is_list or isinstance(images, str | dict):
        found = type(images).__name__
        raise DataError(f"images must be Prepared or a list of arrays, not a {found}")
    if len(images) == 0:
        raise DataError("there are no images to explore")
    limit = None if limit is None else whole(limit, "limit", 1)
    if isinstance(images, Prepared):
        x, shown = images.images[:limit], images.originals[:limit]
        inside, names = images.masks["field_of_view"][:limit], list(images.names[:limit])
    else:
        arrays = [array(image, "each image", error=DataError) for image in images[:limit]]
        if min(image.ndim for image in arrays) < 2:
            raise DataError("each image must be an array (height, width, channels)")
        arrays = [image[..., None] if image.ndim == 2 else image for image in arrays]
        sizes = sorted({f"{image.shape[1]} x {image.shape[0]}" for image in arrays})
        if len(sizes) > 1:
            raise DataError(
                f"the images are of {len(sizes)} sizes ({', '.join(sizes)}): bring them to one "
                "size first, for example with prepare"
            )
        arrays = [as_bytes(image, "each image") for image in arrays]
        if len({image.shape for image in arrays}) > 1 or arrays[0].ndim != 3:
            raise DataError(
                "the images must all be arrays (height, width, channels) of one number of channels"
            )
        x = shown = np.stack(arrays)  # (N, H, W, C)
        inside, names = x.any(-1), [f"image {i}" for i in range(1, len(x) + 1)]
    if shown.shape[-1] not in (1, 3):
        raise DataError(f"images of 1 or 3 channels can be shown, these have {shown.shape[-1]}")
    names = numbered([name.encode(errors="replace").decode() for name in names])
    shown = np.ascontiguousarray(np.broadcast_to(shown, (*x.shape[:3], 3)))
    return x, shown, np.asarray(inside), names
