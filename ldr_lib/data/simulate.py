"""Seeded phantoms with exact masks: photographs of the retina and X-rays of the chest."""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import splev, splprep
from scipy.ndimage import binary_fill_holes, gaussian_filter, zoom

from .vessel_tree import draw_vessels, grow_vessel_tree


@dataclass
class Sample:
    """One image and what is known about it.

    Attributes:
        image: uint8 array, (H, W, 3) colour or (H, W) grey.
        masks: Structure name to boolean array (H, W). Empty for unlabelled images.
        name: What the image is called in messages and figures.
    """

    image: np.ndarray
    masks: dict[str, np.ndarray] = field(default_factory=dict)
    name: str = ""


def _size(size: int) -> int:
    if not 32 <= size <= 4096:
        raise ValueError(f"size must lie between 32 and 4096 pixels, not {size}")
    return size


def _texture(rng: np.random.Generator, size: int, scale: float) -> np.ndarray:
    """Smooth noise of unit spread whose blobs measure about `scale` of the image."""
    n = max(4, int(np.ceil(2.5 / scale)))
    coarse = rng.standard_normal((n, n)).astype(np.float32)
    return zoom(coarse, size / n, order=3 if size / n > 2 else 1, mode="nearest", grid_mode=True)[:size, :size]


def _blobs(rng, size: int, centres: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Share of each pixel covered by irregular spots; centres and radii in pixels."""
    canvas = Image.new("L", (4 * size, 4 * size))
    draw = ImageDraw.Draw(canvas)
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    for centre, radius in zip(centres, radii):
        reach = radius * rng.uniform(0.65, 1.3, 12)
        points = 4 * (centre + np.stack([reach * np.cos(angles), reach * np.sin(angles)], 1))
        draw.polygon([tuple(p) for p in points], fill=255)
    return np.asarray(canvas.reduce(4), dtype=np.float32) / 255


def fundus(size: int = 256, seed: int = 0, eye: str | None = None, lesions: bool | None = None) -> Sample:
    """Simulates a photograph of the retina.

    Args:
        size: Height and width in pixels, 32 to 4096.
        seed: The same seed gives the same image.
        eye: "left" or "right" (in a right eye the disc lies right of the fovea); None draws one.
        lesions: Whether bright exudates and dark haemorrhages are present; None draws (one in three).

    Returns:
        Sample with a uint8 (size, size, 3) image and masks `field_of_view`, `vessel`, `artery`, `vein`, `disc`, `cup`,
        `fovea`, `bright_lesion` and `dark_lesion`.

    Raises:
        ValueError: Size out of range or an unknown eye.

    Taught in notebook 01, section 2.
    """
    size = _size(size)
    if eye not in (None, "left", "right"):
        raise ValueError(f'eye must be "left", "right" or None, not {eye!r}')
    rng = np.random.default_rng([seed, 1])
    drawn_eye = rng.choice(["left", "right"])
    side = 1.0 if (eye or drawn_eye) == "right" else -1.0
    has_lesions = rng.random() < 1 / 3 if lesions is None else lesions

    # Geometry in units of the field-of-view radius, origin at its centre.
    disc_centred = rng.random() < 0.4
    disc_radius = rng.uniform(0.16, 0.2) if disc_centred else rng.uniform(0.115, 0.16)
    disc = np.array([side * (rng.uniform(-0.08, 0.15) if disc_centred else rng.uniform(0.45, 0.66)), rng.uniform(-0.1, 0.1)])
    fovea = disc + disc_radius * np.array([-side * rng.uniform(4.4, 5.4), rng.uniform(0.2, 1.0)])
    field_radius = size * rng.uniform(0.47, 0.495)
    rows, columns = np.mgrid[:size, :size].astype(np.float32) + 0.5
    x, y = (columns - size / 2) / field_radius, (rows - size / 2) / field_radius
    from_disc = np.hypot(x - disc[0], y - disc[1])
    from_fovea = np.hypot(x - fovea[0], y - fovea[1])
    truncation = 1.0 if rng.random() < 0.6 else rng.uniform(0.72, 0.95)
    rim = np.clip(((1 - np.hypot(x, y)) * field_radius) / 1.5, 0, 1) * (np.abs(y) < truncation)
    field_of_view = rim > 0.5

    # Background: pigment, choroid, uneven light, macula and nerve fibres.
    hue = rng.uniform(0, 1)
    base = np.array([rng.uniform(0.62, 0.9), 0.24 + 0.17 * hue, 0.05 + 0.11 * hue * rng.uniform(0.3, 1)], np.float32)
    light_at = rng.normal(0, 0.25, 2)
    light = 1.05 - rng.uniform(0.15, 0.4) * ((x - light_at[0]) ** 2 + (y - light_at[1]) ** 2)
    light += 0.05 * _texture(rng, size, 0.35) + 0.02 * _texture(rng, size, 0.06)
    choroid = _texture(rng, size, 0.07) + 0.7 * _texture(rng, size, 0.03)
    choroid = rng.uniform(0.01, 0.07) * np.maximum(0, 1 - np.abs(choroid) * 1.6) * np.clip(from_fovea * 1.5, 0, 1)
    macula = rng.uniform(0.2, 0.45) * np.exp(-((from_fovea / (disc_radius * rng.uniform(1.1, 1.8))) ** 2))
    macula += rng.uniform(0.1, 0.3) * np.exp(-((from_fovea / (0.3 * disc_radius)) ** 2))
    fibres = rng.uniform(0.0, 0.22) * np.exp(-((from_disc / (3.2 * disc_radius)) ** 2))
    shade = (light + fibres - macula).clip(0.06)
    image = base * shade[..., None] + choroid[..., None] * np.array([1.0, 0.45, 0.15], np.float32)

    # Disc with its cup, slightly oval.
    angle = rng.uniform(0, np.pi)
    u = (x - disc[0]) * np.cos(angle) + (y - disc[1]) * np.sin(angle)
    v = (y - disc[1]) * np.cos(angle) - (x - disc[0]) * np.sin(angle)
    reach = np.hypot(u * rng.uniform(1.0, 1.12), v / rng.uniform(1.0, 1.08)) / disc_radius
    cup_size = rng.uniform(0.3, 0.65)
    cup_reach = np.hypot(x - disc[0] + 0.12 * side * disc_radius, y - disc[1]) / (cup_size * disc_radius)
    soft = disc_radius * field_radius / rng.uniform(1.5, 4)
    paint = lambda image, share, colour: image + share[..., None] * (np.asarray(colour, np.float32) - image)
    red = min(1.0, base[0] * 1.2)
    rim_colour = [red, min(red * rng.uniform(0.55, 0.72), base[1] * 2.2), min(red * 0.4, base[2] * rng.uniform(1.6, 2.8))]
    ring = rng.uniform(0, 0.5) * np.exp(-(((reach - 1.12) / 0.13) ** 2))
    image *= 1 - 0.35 * ring[..., None] if rng.random() < 0.3 else 1 + 0.25 * ring[..., None]
    image = paint(image, np.clip((1 - reach) * soft + 0.5, 0, 1) * 0.92, rim_colour)
    cup_colour = [1.0, rng.uniform(0.8, 0.95), rng.uniform(0.4, 0.75)]
    image = paint(image, np.clip((1 - cup_reach) * soft * 0.35 + 0.4, 0, 1) * 0.8, cup_colour)

    # Vessels absorb green and blue; arteries carry a light reflex.
    tree = grow_vessel_tree(rng, disc, fovea, disc_radius, rng.uniform(0.2, 0.5))
    kinds = {"vein": [t for t in tree if t.is_vein], "artery": [t for t in tree if not t.is_vein]}
    supersample = 4 if size <= 512 else 2
    cover = {name: draw_vessels(vessels, size, field_radius, supersample) for name, vessels in kinds.items()}
    strength, faint = rng.uniform(0.5, 1.05), 0.35 + 0.65 * np.exp(-((np.hypot(x, y) / 1.4) ** 2))
    for name, density in (("artery", 0.62), ("vein", 0.95)):
        absorbed = np.array([rng.uniform(0.15, 0.35), 0.85, 0.8], np.float32)
        image *= np.exp(-strength * density * (cover[name] * (0.6 + 0.4 * faint))[..., None] * absorbed)
        if name == "artery":
            core = np.maximum(0, gaussian_filter(cover[name], size / 260) - 0.55)
            image += 0.25 * core[..., None] * base

    # Lesions.
    bright = dark = np.zeros((size, size), np.float32)
    if has_lesions:
        spots = lambda n, spread: rng.normal(0, spread, (n, 2))
        nest = rng.uniform(-0.6, 0.6, 2)
        at = np.concatenate([nest + spots(rng.integers(6, 30), 0.1), rng.uniform(-0.75, 0.75, (rng.integers(2, 12), 2))])
        bright = _blobs(rng, size, at * field_radius + size / 2, rng.gamma(2, 0.006, len(at)) * field_radius)
        bright *= from_disc > 1.4 * disc_radius
        at = rng.uniform(-0.8, 0.8, (rng.integers(3, 16), 2))
        dark = _blobs(rng, size, at * field_radius + size / 2, rng.gamma(2, 0.008, len(at)) * field_radius)
        dark *= from_disc > 1.2 * disc_radius
        image *= np.exp(-gaussian_filter(dark, size / 700)[..., None] * np.array([0.3, 0.85, 0.6], np.float32))
        image = paint(image, 0.8 * gaussian_filter(bright, size / 700), [0.98, 0.85, 0.45])

    # Camera: focus, tone, noise, black surround.
    image = gaussian_filter(image, (size / 256 * rng.uniform(0.2, 0.55),) * 2 + (0,))
    image = rng.uniform(0.75, 1.05) * image.clip(0) ** rng.uniform(0.9, 1.2) * rim[..., None]
    image += rng.normal(0, rng.uniform(0.004, 0.014), image.shape).astype(np.float32)
    image += rng.uniform(0, 0.03) * (1 - rim[..., None])

    covered = {name: (share > 0.4) & field_of_view for name, share in cover.items()}
    masks = {
        "field_of_view": field_of_view,
        "vessel": covered["artery"] | covered["vein"],
        **covered,
        "disc": (reach <= 1) & field_of_view,
        "cup": (cup_reach <= 1) & (reach <= 1) & field_of_view,
        "fovea": (from_fovea <= 0.5 * disc_radius) & field_of_view,
        "bright_lesion": (bright > 0.4) & field_of_view,
        "dark_lesion": (dark > 0.4) & field_of_view,
    }
    return Sample((255 * image.clip(0, 1)).round().astype(np.uint8), masks, f"fundus_{seed:05d}")


def _closed_curve(points, n: int = 80) -> np.ndarray:
    """A smooth closed curve through the given points."""
    points = np.asarray(points, float)
    spline, _ = splprep(np.vstack([points, points[:1]]).T, s=0, per=True)
    return np.stack(splev(np.linspace(0, 1, n), spline), 1)


class _Film:
    """Draws shapes given in image fractions as shares of covered pixels, four sub-pixels to a pixel."""

    def __init__(self, size: int):
        self.size = size
        self.fine = 2 * size if size >= 256 else 512

    def _shares(self, canvas: Image.Image) -> np.ndarray:
        small = canvas.resize((self.size, self.size), Image.Resampling.BOX)
        return np.asarray(small, dtype=np.float32) / 255

    def area(self, *curves: np.ndarray) -> np.ndarray:
        canvas = Image.new("L", (self.fine, self.fine))
        for curve in curves:
            ImageDraw.Draw(canvas).polygon([tuple(p) for p in curve * self.fine], fill=255)
        return self._shares(canvas)

    def bands(self, curves: list[np.ndarray], width: float) -> np.ndarray:
        canvas = Image.new("L", (self.fine, self.fine))
        pixels = max(1, round(width * self.fine))
        for curve in curves:
            ImageDraw.Draw(canvas).line([tuple(p) for p in curve * self.fine], fill=255, width=pixels, joint="curve")
        return self._shares(canvas)

    def blur(self, share: np.ndarray, width: float) -> np.ndarray:
        return gaussian_filter(share, width * self.size)


def chest(size: int = 256, seed: int = 0) -> Sample:
    """Simulates a frontal X-ray of the chest as the sum of what each tissue absorbs.

    The patient's right lung is on the left of the image, as radiologists look at it.

    Args:
        size: Height and width in pixels, 32 to 4096.
        seed: The same seed gives the same image.

    Returns:
        Sample with a uint8 (size, size) image and masks `field_of_view` (all of it), `body`, `lungs`, `lungs_whole` (with
        what lies behind the heart), `left_lung`, `right_lung`, `heart`, `clavicles` and `ribs`.

    Raises:
        ValueError: Size out of range.

    Taught in notebook 01, section 2.
    """
    size = _size(size)
    rng = np.random.default_rng([seed, 2])
    film = _Film(size)
    jitter = lambda spread, *shape: rng.normal(0, spread, shape or None)
    middle, top, bottom = 0.5 + jitter(0.012), rng.uniform(0.1, 0.17), rng.uniform(0.68, 0.82)
    width = rng.uniform(0.3, 0.39)
    height = bottom - top
    at = lambda side, across, down: (middle + side * width * across, top + height * down)

    def lung(side: int) -> np.ndarray:
        """side -1: the patient's right lung; +1: the left one, which makes room for the heart."""
        notch = rng.uniform(0.1, 0.3) if side > 0 else rng.uniform(0.0, 0.08)
        dome = rng.uniform(0.02, 0.07) + (0.03 if side < 0 else 0.0)
        outline = [
            (0.24, 0.1), (0.42, 0.0), (0.66, 0.1), (0.84, 0.32), (0.96, 0.62), (1.0, 0.9), (0.97, 1.03),
            (0.8, 0.97 - dome), (0.55, 0.9 - dome), (0.34 + notch / 2, 0.92 - dome), (0.24 + notch, 0.8),
            (0.2 + 0.7 * notch, 0.58), (0.2, 0.42), (0.17, 0.25),
        ]
        return _closed_curve([at(side, a + jitter(0.012), d + jitter(0.01)) for a, d in outline])

    right, left = lung(-1), lung(+1)
    apex = 0.5 + jitter(0.02)
    heart = _closed_curve([
        at(1, -0.2, 0.48), at(1, -0.3 + jitter(0.03), 0.62), at(1, -0.34 + jitter(0.03), 0.77), at(1, -0.26, 0.91),
        at(1, 0.05, 0.99), at(1, 0.4 + jitter(0.03), 0.98), at(1, apex + 0.08, 0.89), at(1, apex - 0.02, 0.74),
        at(1, 0.36, 0.57), at(1, 0.25, 0.46), at(1, 0.1, 0.4), at(1, -0.1, 0.41),
    ])
    shoulder = rng.uniform(0.08, 0.2)
    flank = rng.uniform(1.2, 1.5)
    body = np.array(
        [at(-1, 0.34, -0.5), at(-1, 0.36, -0.12), at(-1, 1.35, shoulder - 0.12), at(-1, 1.75, shoulder + 0.12),
         at(-1, flank + 0.12, 0.36), at(-1, flank, 0.8), at(-1, flank + 0.03, 1.6), at(1, flank + 0.03, 1.6),
         at(1, flank, 0.8), at(1, flank + 0.12, 0.36), at(1, 1.75, shoulder + 0.12), at(1, 1.35, shoulder - 0.12),
         at(1, 0.36, -0.12), at(1, 0.34, -0.5)]
    )

    # Ribs: behind they fall away from the spine, in front they rise towards it; clavicles above.
    s = np.linspace(0, 1, 24)
    behind, front = [], []
    slope, count = rng.uniform(0.10, 0.18), int(rng.integers(9, 11))
    for side in (-1, 1):
        for i in range(count):
            down = -0.03 + 1.12 * i / count
            reach = 1.02 * min(1.0, 0.55 + 0.9 * (down + 0.12)) + 0.02
            across = 0.1 + (reach - 0.1) * np.sin(s * np.pi / 2)
            drop = down - 0.035 * np.sin(np.pi * s) + slope * s**2 * 1.2
            behind.append(np.stack(at(side, across, drop), 1))
            if 0 < i < 7:
                across = reach - (reach - rng.uniform(0.35, 0.45)) * s
                front.append(np.stack(at(side, across, drop[-1] + 0.02 + 0.16 * s - 0.05 * np.sin(np.pi * s)), 1))
    lift = rng.uniform(-0.04, 0.05)
    clavicle = []
    for side in (-1, 1):
        across = 0.12 + 1.0 * s
        clavicle.append(np.stack(at(side, across, 0.1 - lift - 0.13 * s + 0.03 * np.sin(2 * np.pi * s)), 1))

    share = {
        "body": film.area(body), "left_lung": film.area(left), "right_lung": film.area(right),
        "heart": film.area(heart), "clavicles": film.bands(clavicle, width * 0.085),
        "behind": film.bands(behind, width * 0.075), "front": film.bands(front, width * 0.085),
    }
    lungs = np.maximum(share["left_lung"], share["right_lung"])
    rows, columns = np.mgrid[:size, :size].astype(np.float32) / size
    x = (columns - middle) / width
    down = (rows - top) / height

    # What the beam meets: soft tissue, air, heart and great vessels, spine, bone with dense rims.
    round_trunk = np.sqrt(np.clip(1 - (x / (flank + 0.25)) ** 2, 0, 1))
    thickness = film.blur(share["body"], 0.006) * (0.35 + 0.65 * round_trunk)
    air = film.blur(lungs * (1 - 0.75 * share["heart"]), 0.004)
    bowel = np.clip((down - 0.93) / 0.14, 0, 1) * (1 - air)
    absorbed = thickness * (0.7 + rng.uniform(0.24, 0.36) * bowel) - rng.uniform(0.3, 0.46) * air * (0.75 + 0.25 * np.clip(down, 0, 1.1))
    absorbed += rng.uniform(0.12, 0.2) * film.blur(share["heart"], 0.01)
    mediastinum = np.exp(-((x / rng.uniform(0.21, 0.27)) ** 4)) * share["body"] * np.clip((down + 0.5) / 0.3, 0, 1)
    trachea = np.exp(-(((x + 0.01) / 0.065) ** 4)) * np.clip(1 - (down - 0.3) / 0.1, 0, 1) * np.clip((down + 0.4) / 0.3, 0, 1)
    absorbed += 0.2 * mediastinum - 0.1 * trachea
    spacing = height / rng.uniform(11, 13)
    discs = 0.5 + 0.5 * np.cos(2 * np.pi * (rows - top) / spacing)
    absorbed += (0.05 + 0.04 * discs) * np.exp(-((x / 0.105) ** 6)) * share["body"]
    bone = rng.uniform(0.9, 1.7)
    cortex = lambda band, blur: film.blur(band, blur) + 1.4 * np.maximum(0, band - film.blur(band, 3 * blur))
    absorbed += bone * thickness * (
        0.065 * cortex(share["behind"], 0.004) + 0.03 * film.blur(share["front"], 0.006)
        + 0.11 * cortex(share["clavicles"], 0.004)
    )
    # Lung vessels fan out from the hila; a gas bubble lies under the left dome.
    texture = np.maximum(0, _texture(rng, size, 0.025)) * 0.028 + np.maximum(0, _texture(rng, size, 0.06)) * 0.03
    hila = sum(np.exp(-(((x - side * 0.3) / 0.17) ** 2 + ((down - 0.5) / 0.16) ** 2)) for side in (-1, 1))
    absorbed += air * (texture * (1 + 2 * hila) + 0.11 * hila)
    if rng.random() < 0.6:
        gas = ((x - rng.uniform(0.45, 0.7)) / rng.uniform(0.15, 0.3)) ** 2 + ((down - rng.uniform(1.08, 1.15)) / 0.07) ** 2
        absorbed -= 0.12 * film.blur((gas < 1).astype(np.float32), 0.008) * (1 - air)
    if rng.random() < 0.3:
        haze = rng.uniform(0.06, 0.2) * np.clip(_texture(rng, size, 0.2), 0, 2)
        absorbed += air * haze

    # Film: exposure, tone, scatter, noise, a letter.
    absorbed = film.blur(absorbed, rng.uniform(0.0012, 0.003)) + 0.02 * _texture(rng, size, 0.5)
    low, high = np.percentile(absorbed, 1), np.percentile(absorbed, 99.5)
    image = ((absorbed - low) / (high - low)).clip(0, 1) ** rng.uniform(0.85, 1.35) * rng.uniform(0.82, 0.97)
    image += rng.normal(0, rng.uniform(0.006, 0.02), image.shape) + rng.uniform(0, 0.04)
    if rng.random() < 0.5:
        label = Image.new("L", (size, size))
        ImageDraw.Draw(label).text((size * 0.08, size * 0.08), "R", fill=255, font_size=max(8, size // 14))
        image = np.maximum(image, np.asarray(label) / 255 * 0.95)

    # Lung behind the heart: from the inner border of each lung to the heart's outline, above the diaphragm.
    behind_heart = np.zeros((size, size), np.float32)
    for side, inner, floor in ((-1, 0.2, 0.84), (1, 0.16, 0.9)):
        column = [at(side, inner, 0.3), at(side, 1.2, 0.3), at(side, 1.2, 1.02), at(side, 0.55, floor), at(side, inner, floor - 0.03)]
        behind_heart = np.maximum(behind_heart, film.area(np.array(column)))
    covered = {name: value > 0.5 for name, value in share.items()}
    masks = {
        "field_of_view": np.ones((size, size), bool),
        "body": covered["body"],
        "lungs_whole": binary_fill_holes(covered["left_lung"] | covered["right_lung"] | (behind_heart > 0.5) & covered["heart"]),
        "lungs": (covered["left_lung"] | covered["right_lung"]) & ~covered["heart"],
        "left_lung": covered["left_lung"] & ~covered["heart"],
        "right_lung": covered["right_lung"] & ~covered["heart"],
        "heart": covered["heart"],
        "clavicles": covered["clavicles"],
        "ribs": (covered["behind"] | covered["front"]) & covered["body"],
    }
    return Sample((255 * image.clip(0, 1)).round().astype(np.uint8), masks, f"chest_{seed:05d}")
