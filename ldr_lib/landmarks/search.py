"""The same search by different features: this kit's embeddings and what they are compared with."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage

from ..data.checks import equally_many, instance, several, whole
from ..data.checks import seed as checked_seed
from ..data.checksums import array_fingerprint
from ..data.errors import one_of
from ..explore.rivals import filter_bank, has_imagenet, imagenet_maps
from ..network import TwoBranchNet, init_weights
from ..pretrained import CHANNELS, load_representation
from ..representation import represent
from ..template import (
    Described,
    Kernel,
    best_place,
    blurred,
    bounds,
    describe_cells,
    score_map,
    template,
)
from .gallery import SIZE, Gallery

KERNELS = tuple(
    Kernel(width, members)
    for width, members in ((1 / 64, 1), (1 / 32, 1), (1 / 16, 1), (1 / 32, 3), (1 / 16, 3))
)
"""Kernels among which the training split chooses, for every row and landmark."""
OWN = "this kit"
FEATURES = (OWN, "untrained network", "filter bank", "ImageNet")
INTENSITIES = "intensity template"
PLACES = ("image centre", "mean position")
ROWS = (*FEATURES, INTENSITIES, *PLACES)
"""What is compared: features under one search, normalised cross-correlation of raw intensities, and
two places that need no search."""


def available_rows() -> list[str]:
    """The rows that can be measured here: "ImageNet" needs the packages of the extra "rivals"."""
    return [row for row in ROWS if row != "ImageNet" or has_imagenet()]


def features_of(row: str, modality: str, seed: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    """A function from images (N, S, S, C) uint8 to features (N, S, S, D), of ImageNet (N, S / 2,
    S / 2, D).

    Args:
        row: One of the rows that are features.
        modality: "fundus" or "chest".
        seed: Of the weights of the untrained network.

    Raises:
        ValueError: No such row.
    """
    one_of(row, FEATURES, "kind of features")
    if row == "filter bank":
        return filter_bank
    if row == "ImageNet":
        return _imagenet_features
    if row == OWN:
        net = load_representation(modality)
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = init_weights(TwoBranchNet(CHANNELS[modality])).eval()

    def embeddings(images: np.ndarray) -> np.ndarray:
        return represent(net, images)[0]

    return embeddings


@torch.no_grad()
def _imagenet_features(images: np.ndarray) -> np.ndarray:
    """The maps of a network trained on ImageNet, of images doubled in size as in notebook 03, at
    half the images' size: (N, S, S, C) uint8 to (N, S / 2, S / 2, 192) float32.
    """
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255
    half = [side // 2 for side in x.shape[-2:]]
    doubled = F.interpolate(x, scale_factor=2.0, mode="bilinear")
    maps = [F.interpolate(m, half, mode="bilinear") for m in imagenet_maps(doubled)]
    return torch.cat(maps, 1).permute(0, 2, 3, 1).numpy()


A_GALLERY = "a Gallery, as open_gallery returns it"


def _numbers(values, name: str, gallery: Gallery) -> list[int]:
    """Numbers of images of a gallery."""
    found = several(values, name, "numbers of images")
    return [whole(one, f"each of {name}", 0, len(gallery) - 1) for one in found]


class Searches:
    """Searches by one row, in which a support image of one gallery is given and the images of
    another are searched.

    Args:
        row: One of `ROWS`.
        support: Gallery of the support images.
        searched: Gallery of the images to search; may be the same.
        modality: "fundus" or "chest".
        seed: Of the weights of the untrained network.
        described: Images that other searches have described; those of this one are added.

    Raises:
        ValueError: Unknown row or modality, or no galleries.

    Taught in notebook 07, section 3.
    """

    def __init__(
        self,
        row: str,
        support: Gallery,
        searched: Gallery,
        modality: str,
        seed: int = 0,
        described: dict | None = None,
    ):
        self.row, seed = one_of(row, ROWS, "row"), checked_seed(seed)
        self.support = instance(support, Gallery, "support", A_GALLERY)
        self.searched = instance(searched, Gallery, "searched", A_GALLERY)
        one_of(modality, CHANNELS, "modality")
        self._features = features_of(row, modality, seed) if row in FEATURES else None
        self.seed = seed
        described = {} if described is None else described
        self._described = instance(described, dict, "described", "a dictionary")
        self._blurred = {}

    def scores(
        self, numbers: list[int], kernel: Kernel, tests: list[int], seed: int = 0
    ) -> "Scores":
        """Score maps of the searched images.

        Args:
            numbers: Of the support images; their points are averaged.
            kernel: Which surroundings count.
            tests: Numbers of the images to search.
            seed: Chooses the point where a support image has several.

        Raises:
            ValueError: There are no such images, or no kernel.
        """
        numbers = _numbers(numbers, "numbers", self.support)
        tests = _numbers(tests, "tests", self.searched)
        instance(kernel, Kernel, "kernel", "a Kernel")
        rng = np.random.default_rng(checked_seed(seed))
        points = [tuple(rng.permutation(self.support.places[i])[0]) for i in numbers]
        search = self._by_intensities if self.row == INTENSITIES else self._by_features
        return search(numbers, points, kernel, tests)

    def place(self) -> np.ndarray:
        """The place that a row without a search always gives."""
        if self.row == "image centre":
            return np.full(2, (SIZE - 1) / 2)
        return np.mean([places[0] for places in self.support.places], 0)

    def _by_features(self, numbers, points, kernel, tests) -> "Scores":
        chosen = [self._looked_at(self.support, i, kernel.width) for i in numbers]
        wanted = template(chosen, points, kernel)
        side = len(chosen[0].inside)
        own = [score_map(one, wanted, kernel, side) for one in chosen]
        _, bound = bounds(own, points, kernel.reach * SIZE, chosen[0].cell)
        images = (self._looked_at(self.searched, j, kernel.width) for j in tests)
        maps = [score_map(image, wanted, kernel, side) for image in images]
        return Scores(maps, bound, chosen[0].cell)

    def _looked_at(self, gallery: Gallery, i: int, width: float) -> Described:
        """Image i of a gallery under a Gaussian; made once."""
        key = id(gallery), i, width
        if key not in self._blurred:
            image, inside = gallery.images[i], gallery.inside[i]
            known = self.row, self.seed, array_fingerprint(image)
            if known not in self._described:
                self._described[known] = describe_cells(self._features(image[None])[0], inside)
            self._blurred[key] = blurred(self._described[known], width * SIZE)
        return self._blurred[key]

    def _by_intensities(self, numbers, points, kernel, tests) -> "Scores":
        windows = [
            _window(self.support.originals[i], point, kernel.reach * SIZE)
            for i, point in zip(numbers, points)
        ]
        own = [_correlation(self.support, i, windows) for i in numbers]
        _, bound = bounds(own, points, kernel.reach * SIZE, HALF)
        maps = [_correlation(self.searched, j, windows) for j in tests]
        return Scores(maps, bound, HALF)


class Scores:
    """Score maps of several images.

    Args:
        maps: (h, w) each, -1 outside the field of view.
        bound: Score from which the landmark counts as found.
        cell: Pixels that a score stands for along each side.
    """

    def __init__(self, maps: list[np.ndarray], bound: float, cell: int):
        self.maps, self.bound, self.cell = maps, bound, cell

    def best(self) -> list[tuple[float, float, float]]:
        """Row, column and score of the best place in each image."""
        return [best_place(map_, self.cell) for map_ in self.maps]

    def without(self, gallery: Gallery, tests: list[int], near: float) -> list[float]:
        """The highest score in each image beyond a distance of its landmark, in its unit: what the
        search finds where the landmark is not in the image.
        """
        found = []
        for map_, j in zip(self.maps, tests):
            places = np.stack(np.indices(map_.shape), -1) * self.cell + (self.cell - 1) / 2
            gaps = places[..., None, :] - gallery.places[j]  # (h, w, k, 2)
            far = np.hypot(gaps[..., 0], gaps[..., 1]).min(-1) > near * gallery.units[j]
            found.append(float(map_[far].max()) if far.any() else -1.0)
        return found


def errors_of(searches: Searches, scores: Scores | None, tests: list[int]) -> np.ndarray:
    """Distance of the best place from the landmark in each image, in its unit.

    Args:
        searches: Of the row.
        scores: Of the images; None for a row without a search.
        tests: Numbers of the images.

    Raises:
        ValueError: There are no searches, no scores or no such images.
    """
    instance(searches, Searches, "searches", "Searches")
    tests = _numbers(tests, "tests", searches.searched)
    if scores is not None:
        maps = instance(scores, Scores, "scores", "Scores, as searches.scores returns them").maps
        equally_many(tests=tests, scores=maps)
    fixed = searches.place() if scores is None else None
    found = [fixed] * len(tests) if scores is None else [best[:2] for best in scores.best()]
    return np.array([searches.searched.error(j, place) for j, place in zip(tests, found)])


HALF = 2
"""Intensities are correlated at half the size."""


def _halved(image: np.ndarray) -> np.ndarray:
    """(S, S, C) uint8 at half its size, float32."""
    small = [
        np.asarray(Image.fromarray(channel).reduce(HALF))
        for channel in np.moveaxis(np.ascontiguousarray(image), -1, 0)
    ]
    return np.stack(small, -1).astype(np.float32)


def _window(image: np.ndarray, point: tuple[float, float], side: float) -> np.ndarray:
    """The square around a point, at half its size; borders are repeated."""
    reach = max(2, round(side / 2 / HALF))
    small = np.pad(_halved(image), ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    row, column = (int(at // HALF) for at in point)
    return small[row : row + 2 * reach + 1, column : column + 2 * reach + 1]


def _correlation(gallery: Gallery, number: int, windows: list[np.ndarray]) -> np.ndarray:
    """Normalised cross-correlation of an image with windows, mean over windows and channels."""
    from skimage.feature import match_template

    image = _halved(gallery.originals[number])
    maps = [
        match_template(image[..., c], window[..., c], pad_input=True, mode="edge")
        for window in windows
        for c in range(image.shape[-1])
    ]
    inside = ndimage.zoom(gallery.inside[number].astype(np.uint8), 1 / HALF, order=0) > 0
    return np.where(inside, np.mean(maps, 0), -1).astype(np.float32)
