"""Retinal vessel trees grown by rule: arcades around the fovea, Murray's law at every fork, tortuous paths."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw


@dataclass
class Vessel:
    """One unbranched piece of vessel.

    Attributes:
        points: (n, 2) x, y positions in units of the field-of-view radius, origin at its centre, y downwards.
        radii: (n,) half widths in the same unit.
        is_vein: True for a vein, False for an artery.
    """

    points: np.ndarray
    radii: np.ndarray
    is_vein: bool


def _wobble(rng: np.random.Generator, n: int, tortuosity: float) -> np.ndarray:
    """A smooth random change of direction along n steps, in radians."""
    s = np.linspace(0, 1, n)[:, None]
    frequency, phase = rng.uniform(1, 9, 4), rng.uniform(0, 2 * np.pi, 4)
    return tortuosity * (np.sin(2 * np.pi * frequency * s + phase) - np.sin(phase)).mean(1)


def _walk(start: np.ndarray, headings: np.ndarray, step: float) -> np.ndarray:
    moves = step * np.stack([np.cos(headings), np.sin(headings)], 1)
    return start + np.concatenate([np.zeros((1, 2)), moves.cumsum(0)[:-1]])


def _murray(radius: float, ratio: float) -> tuple[float, float]:
    """Radii of the two daughters with r0^3 = r1^3 + r2^3 and r2 = ratio * r1."""
    larger = radius / (1 + ratio**3) ** (1 / 3)
    return larger, ratio * larger


def _branches(rng, parent: Vessel, fovea, avascular, step, min_radius, depth) -> list[Vessel]:
    """Grows side branches along a vessel, thinning it at each fork by Murray's law, and branches of those in turn."""
    grown, side = [], rng.choice([-1, 1])
    gap = 6 if depth == 0 else 5
    position = int(rng.integers(gap, 2 * gap))
    while position < len(parent.points) - 2:
        ratio = rng.uniform(0.35, 0.85)
        trunk, twig = _murray(parent.radii[position], ratio)
        if twig < min_radius:
            break
        parent.radii[position:] *= trunk / parent.radii[position]
        along = parent.points[position + 1] - parent.points[position - 1]
        n = max(6, int(rng.uniform(10, 24) * (twig / min_radius) ** 0.7))
        heading = np.arctan2(along[1], along[0]) + side * np.deg2rad(rng.uniform(30, 70))
        bend = -side * rng.uniform(0.0, 0.9) * np.linspace(0, 1, n)
        points = _walk(parent.points[position], heading + bend + _wobble(rng, n, 0.5), step)
        outside = (np.hypot(*(points - fovea).T) < avascular) | (np.hypot(*points.T) > 1.05)
        points = points[: np.argmax(outside) if outside.any() else n]
        if len(points) > 4:
            branch = Vessel(points, twig * np.linspace(1, 0.75, len(points)), parent.is_vein)
            grown.append(branch)
            if depth < 3:
                grown += _branches(rng, branch, fovea, avascular, step, min_radius, depth + 1)
        side = -side
        position += int(rng.integers(gap, 3 * gap))
    return grown


def grow_vessel_tree(
    rng: np.random.Generator, disc: np.ndarray, fovea: np.ndarray, disc_radius: float, tortuosity: float = 0.35
) -> list[Vessel]:
    """Grows arteries and veins out of an optic disc.

    Four arcades leave the disc, each with a vein and an artery; the two temporal ones bend around the fovea, and no
    vessel enters the avascular zone around it.

    Args:
        rng: Source of randomness; the same state gives the same tree.
        disc: (2,) x, y of the disc centre, in units of the field-of-view radius.
        fovea: (2,) x, y of the fovea.
        disc_radius: In the same unit; sets calibre and step length.
        tortuosity: Amplitude in radians of the smooth change of direction along the trunks.

    Returns:
        Vessels, trunks before their branches.

    Taught in notebook 01, section 2.
    """
    temporal = 1.0 if fovea[0] > disc[0] else -1.0
    step = 0.16 * disc_radius
    avascular = 0.9 * disc_radius
    min_radius = 0.018 * disc_radius + 0.0008
    vessels = []
    for vertical in (-1, 1):
        for direction in (temporal, -temporal):
            for is_vein in (True, False):
                start = disc + disc_radius * rng.uniform(-0.25, 0.25, 2)
                radius = disc_radius * (rng.uniform(0.10, 0.135) if is_vein else rng.uniform(0.075, 0.105))
                radius *= 1.0 if direction == temporal else 0.75
                n = 110
                s = np.linspace(0, 1, n)
                if direction == temporal:
                    lean, turn, rate = rng.uniform(-0.15, 0.25), rng.uniform(1.5, 1.95), rng.uniform(3.0, 5.0)
                else:
                    lean, turn, rate = rng.uniform(0.2, 0.9), rng.uniform(-0.2, 0.5), 1.5
                tilt = lean + turn * (1 - np.exp(-rate * s)) + _wobble(rng, n, tortuosity)
                headings = np.arctan2(vertical * np.cos(tilt), direction * np.sin(tilt))
                points = _walk(start, headings, step)
                outside = np.hypot(*points.T) > 1.05
                points = points[: np.argmax(outside) if outside.any() else n]
                trunk = Vessel(points, radius * np.linspace(1, 0.85, len(points)), is_vein)
                vessels.append(trunk)
                vessels += _branches(rng, trunk, fovea, avascular, step, min_radius, 0)
    return vessels


def draw_vessels(vessels: list[Vessel], size: int, field_radius: float, supersample: int = 4) -> np.ndarray:
    """Share of each pixel that vessels cover.

    Args:
        vessels: As grown by `grow_vessel_tree`.
        size: Height and width of the image.
        field_radius: Radius of the field of view in pixels; its centre is the image centre.
        supersample: Sub-pixels along each side of a pixel.

    Returns:
        (size, size) float32 in [0, 1].

    Taught in notebook 01, section 2.
    """
    canvas = Image.new("L", (size * supersample,) * 2)
    draw = ImageDraw.Draw(canvas)
    scale, centre = field_radius * supersample, size * supersample / 2
    for vessel in vessels:
        points = vessel.points * scale + centre
        widths = np.maximum(1, np.rint(2 * vessel.radii * scale)).astype(int)
        start = 0
        for stop in [*np.flatnonzero(np.diff(widths)) + 1, len(widths)]:
            piece = points[start : stop + 1]
            if len(piece) > 1:
                draw.line([tuple(p) for p in piece], fill=255, width=int(widths[start]), joint="curve")
            start = stop
    return np.asarray(canvas.reduce(supersample), dtype=np.float32) / 255
