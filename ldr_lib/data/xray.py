"""Where an X-ray lies in its picture, and whether it is upright and not inverted."""

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

BORDER = 0.10
"""Share of the picture from which on borders are cut off. Thinner ones change little."""
SAME = 8
"""Grey levels within which the pixels of a border agree."""
STEP = 12
"""Grey levels by which a border and the X-ray differ at least where they meet."""


def exposed_area(image: np.ndarray, least: float = BORDER) -> tuple[slice, slice]:
    """The part of a picture that the X-ray fills, without black sides, letterbox, frames and the
    text that is burnt into them.

    A border is a stripe along a side whose outermost line is of one value and that ends in a step.
    Lines with text count if another whole line of the border follows. Borders within borders are
    found in turn.

    Args:
        image: (H, W) uint8.
        least: Smallest share of the picture that is cut off; below it the whole picture is
            returned.

    Returns:
        Rows and columns.

    Ours, not published.
    """
    height, width = image.shape
    top, bottom, left, right = 0, height, 0, width
    while min(bottom - top, right - left) >= 16:
        inner = image[top:bottom, left:right]
        up, down = _border(inner), _border(inner[::-1])
        before, behind = _border(inner.T), _border(inner.T[::-1])
        if not any((up, down, before, behind)):
            break
        if up + down >= bottom - top or before + behind >= right - left:
            break
        top, bottom, left, right = top + up, bottom - down, left + before, right - behind
    kept = (bottom - top) * (right - left)
    if kept > (1 - least) * height * width or min(bottom - top, right - left) < 32:
        return slice(0, height), slice(0, width)
    return slice(top, bottom), slice(left, right)


def _border(lines: np.ndarray) -> int:
    """How many lines, from the first, are border."""
    value = int(np.median(lines[0]))
    if np.mean(np.abs(lines[0].astype(np.int16) - value) <= SAME) < 0.97:
        return 0
    shares = np.mean(np.abs(lines.astype(np.int16) - value) <= SAME, axis=1)
    interrupted = np.flatnonzero(shares < 0.65)
    end = interrupted[0] if len(interrupted) else len(lines)
    count = int(np.flatnonzero(shares[:end] >= 0.97)[-1]) + 1
    if count < 0.01 * len(lines) or count > len(lines) - 8:
        return 0
    beyond = lines[count + 3].astype(np.int16)
    return count if np.median(np.abs(beyond - value)) >= STEP else 0


SIDE = 16
SURE, ALIKE = 2.0, 0.4
"""How much better the best pose must fit than the second, and how like a mean chest it must look,
before a picture is changed.
"""


@dataclass(frozen=True)
class Pose:
    """How an X-ray of the chest lies in its picture.

    Attributes:
        turns: Quarter turns against the clock that make it upright, 0 to 3.
        inverted: True if bones are dark.
        sure: False if the picture should be looked at before it is changed.
    """

    turns: int = 0
    inverted: bool = False
    sure: bool = True

    def __str__(self) -> str:
        turned = ("", "turned right by 90 degrees", "upside down", "turned left by 90 degrees")
        words = [turned[self.turns], "inverted" if self.inverted else ""]
        return " and ".join(filter(None, words)) or "upright"

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The picture upright and not inverted."""
        image = np.rot90(image, self.turns)
        return np.ascontiguousarray(255 - image if self.inverted else image)

    def turn(self, mask: np.ndarray) -> np.ndarray:
        """A mask of the picture as it is, for the picture upright."""
        return np.ascontiguousarray(np.rot90(mask, self.turns))

    def turn_back(self, mask: np.ndarray) -> np.ndarray:
        """A mask of the picture upright, for the picture as it is."""
        return np.ascontiguousarray(np.rot90(mask, -self.turns))


def pose(image: np.ndarray) -> Pose:
    """Decides which of eight poses, four turns with and without inversion, an X-ray has.

    A linear classifier sees the exposed area at 16 x 16 pixels in all eight poses; its weights
    come from `fit_pose`.

    Args:
        image: (H, W) uint8 X-ray of the chest from the front. Of other pictures nothing sensible
            can be said.

    Ours, not published.
    """
    weights, mean = _classifier()
    poses = _poses(_thumbnail(image)[None])[0]  # (8, 16, 16)
    scores = (poses * weights).sum((1, 2))
    best = int(scores.argmax())
    margin = float(scores[best] - np.sort(scores)[-2])
    sure = margin > SURE and float((poses[best] * mean).mean()) > ALIKE
    return Pose(best % 4, best >= 4, sure)


def as_upright(image: np.ndarray) -> tuple[np.ndarray, Pose]:
    """An X-ray of the chest upright and not inverted, if its pose is sure; else as it is.

    Args:
        image: (H, W) uint8.

    Returns:
        The picture, and the pose that it had: a default `Pose` if nothing was changed.
    """
    found = pose(image)
    if not found.sure or (found.turns == 0 and not found.inverted):
        return image, Pose()
    return found.apply(image), found


def fit_pose(images: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Fits the classifier of `pose` on upright X-rays; their seven other poses are the negatives.

    Args:
        images: (H, W) uint8 each.

    Returns:
        Weights and mean X-ray, both (16, 16) float32.
    """
    from sklearn.linear_model import LogisticRegression

    upright = np.stack([_thumbnail(image) for image in images])
    upright = np.concatenate([upright, upright[..., ::-1]])
    poses = _poses(upright).reshape(len(upright), 8, -1)
    better = (poses[:, :1] - poses[:, 1:]).reshape(-1, SIDE * SIDE)
    pairs = np.concatenate([better, -better])
    right = np.repeat([1, 0], len(better))
    model = LogisticRegression(C=1e-3, fit_intercept=False, max_iter=300).fit(pairs, right)
    return model.coef_.reshape(SIDE, SIDE).astype(np.float32), _normed(upright.mean(0))


@functools.cache
def _classifier() -> np.ndarray:
    """Weights and mean X-ray from 1,200 X-rays of Kermany et al. 2018 (CC BY 4.0), 999 of NIH
    ChestX-ray8 (Wang et al. 2017) and 300 simulated ones.
    """
    return np.load(Path(__file__).parents[1] / "weights" / "pose_chest.npy")


def _normed(array: np.ndarray) -> np.ndarray:
    centred = array - array.mean((-2, -1), keepdims=True)
    return (centred / np.maximum(array.std((-2, -1), keepdims=True), 1e-6)).astype(np.float32)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    rows, columns = exposed_area(image, 0.0)
    exposed = Image.fromarray(np.ascontiguousarray(image[rows, columns]))
    small = exposed.resize((SIDE, SIDE), Image.Resampling.BOX)
    return _normed(np.asarray(small, np.float32))


def _poses(thumbnails: np.ndarray) -> np.ndarray:
    """(N, 16, 16) in all poses, (N, 8, 16, 16): turned 0 to 3 times, then the same inverted."""
    turned = np.stack([np.rot90(thumbnails, turns, (1, 2)) for turns in range(4)], 1)
    return np.concatenate([turned, -turned], 1)
