"""The statistics behind `confidence`, from training images, and how well it refuses what does not
belong: wrong pictures caught and right ones refused.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy import ndimage

from ..data.adapter import ImageDataset
from ..data.datasets import open_dataset
from ..data.errors import DataError
from ..data.files import atomic_write, progress
from ..data.own_images import Folder
from ..data.read import read_image
from ..data.simulate import chest, fundus
from ..pretrained import GuidedNets, load_pretrained
from ..runs.paths import figures_folder
from ..tensor_files import save_tensors
from .confidence import KINDS
from .familiar import (
    FILE,
    Familiar,
    description,
    encoder_fingerprint,
    fit_familiar,
    load_familiar,
    strangeness,
)
from .predict import found_in, predict_structure, upright_of
from .study import NAME, UNLABELLED

TABLE = figures_folder(NAME) / "confidence.csv"
"""Where the measurements are kept."""
SIMULATORS = {"fundus": fundus, "chest": chest}
DESCRIBED = 300
"""Most images of a training collection that are described."""
JUDGED = {"vessel": 3, "disc": 4, "fovea": 4, "lungs": 20, "heart": 20}
"""Images of each training collection from which a structure's bound is taken."""
SHARE, OF_IMAGES = 0.8, 5
"""A bound is this share of the agreement that all but so many per cent of training images reach."""
LOOKED_AT = {"yes": 300, "no": 40}
"""Most images of a test collection whose kind is decided, by whether they belong."""
MEASURED = {"vessel": 8, "disc": 40, "fovea": 20, "lungs": 300, "heart": 300}
"""Most of these in which a structure is searched."""
NO_PICTURES = {"retina", "microaneurysms", "multipage", "multipage_rgb"}
"""Of scikit-image's pictures those that show a retina, or one picture again."""

Images = Iterator[np.ndarray]


def fit(data_dir: str, judged: dict[str, int] | None = None) -> Path:
    """Takes the statistics from training images and puts them into the package.

    Args:
        data_dir: Folder of the datasets.
        judged: As `JUDGED`; None takes that.

    Returns:
        Path of the file.

    Raises:
        DataError: The images cannot be opened, or the file not written.
    """
    tensors, about = {}, {}
    for modality in UNLABELLED:
        sets = _training(modality, data_dir)
        described = [
            np.stack([description(image, modality) for image in _taken(images, DESCRIBED, name)])
            for name, images in sets.items()
        ]
        tensors |= _as_tensors(modality, fit_familiar(described))
        about[modality] = encoder_fingerprint(modality)
        nets = load_pretrained(modality, "cpu")
        for structure in nets.structures:
            bound = _bound(nets, structure, sets, (judged or JUDGED)[structure])
            tensors[f"{modality}.agreement.{structure}"] = torch.tensor(bound)
    save_tensors(tensors, FILE, about)
    load_familiar.cache_clear()
    return FILE


def _training(modality: str, data_dir: str) -> dict[str, Callable[[int], Images]]:
    """Training collections: name to a function that gives at most n images, evenly from all."""
    sets = {
        name: partial(_of_dataset, open_dataset(name, data_dir, "train"))
        for name in UNLABELLED[modality]
    }
    return sets | {"simulated": partial(_simulated, modality, 500_000, 40)}


def _of_dataset(dataset: ImageDataset, n: int) -> Images:
    for i in np.linspace(0, len(dataset) - 1, min(n, len(dataset))).round().astype(int):
        yield dataset[int(i)].image


def _simulated(modality: str, first: int, most: int, n: int) -> Images:
    for i in range(min(most, n)):
        yield SIMULATORS[modality](256, first + i).image


def _taken(images: Callable[[int], Images], n: int, label: str) -> list[np.ndarray]:
    return list(progress(images(n), label, n))


def _as_tensors(modality: str, familiar: Familiar) -> dict[str, torch.Tensor]:
    return {
        f"{modality}.{name}": torch.as_tensor(np.asarray(value), dtype=torch.float32)
        for name, value in vars(familiar).items()
    }


def _bound(nets: GuidedNets, structure: str, sets: dict, n: int) -> float:
    """The smallest agreement at which a structure counts as found."""
    agreements = [
        found_in(nets.network(structure), image, structure).agreement
        for name, images in sets.items()
        for image in _taken(images, n, f"{structure}, {name}")
    ]
    found = [agreement for agreement in agreements if agreement > 0]
    return float(SHARE * np.percentile(found, OF_IMAGES))


def measure(data_dir: str, measured: dict[str, int] | None = None) -> Path:
    """Measures on images that the design has not used, and keeps the counts with the project.

    Args:
        data_dir: Folder of the datasets.
        measured: As `MEASURED`; None takes that.

    Returns:
        Path of the table, a csv. Its rows count the images of one collection: "stopped" with a
        sentence before anything is searched, of "another kind", "not found", and "accepted". Rows
        of "any" structure look at the kind of image only.

    Raises:
        DataError: The images cannot be opened.
    """
    rows = []
    for modality in UNLABELLED:
        nets = load_pretrained(modality, "cpu")
        for (belongs, name), images in _tested(modality, data_dir).items():
            given = (modality, belongs, name)
            looked_at = _taken(images, LOOKED_AT[belongs], name)
            rows.append(_row(*given, "any", looked_at, partial(_kind, modality)))
            for structure in nets.structures:
                few = _evenly(looked_at, (measured or MEASURED)[structure])
                rows.append(_row(*given, structure, few, partial(_outcome, nets, structure)))
        if modality == "fundus":
            for name, images in _without_structure(data_dir).items():
                structure, _, how = name.partition(": ")
                given = (modality, "without it", how, structure)
                few = _evenly(list(images), (measured or MEASURED)[structure])
                rows.append(_row(*given, few, partial(_outcome, nets, structure)))
    with atomic_write(TABLE) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    return TABLE


OUTCOMES = ("stopped", "another kind", "not found", "accepted")
"""What can happen to an image."""


def _row(modality, belongs, name, structure, images, outcome) -> dict:
    counts = Counter(outcome(image) for image in images)
    about = dict(networks=modality, belongs=belongs, images_of=name, structure=structure)
    return about | {"images": len(images)} | {one: counts[one] for one in OUTCOMES}


def _kind(modality: str, image: np.ndarray) -> str:
    """Whether an image is of the modality's kind; no structure is searched."""
    try:
        strange = strangeness(upright_of(image, modality)[0], modality)
    except DataError:
        return "stopped"
    return "another kind" if strange > 1 else "accepted"


def _outcome(nets: GuidedNets, structure: str, image: np.ndarray) -> str:
    modality = nets.network(structure).guide.modality
    try:
        _, judged = predict_structure(nets, image, structure, confidence=True)
    except DataError:
        return "stopped"
    if judged.found:
        return "accepted"
    return "another kind" if judged.words == KINDS[modality] else "not found"


def _tested(modality: str, data_dir: str) -> dict[tuple[str, str], Callable[[int], Images]]:
    """Test collections by whether they belong and by name."""
    eyes = {
        "CHASE_DB1, test": _of(open_dataset("chase_db1", data_dir, "test")),
        "DRIONS-DB, test": _of(open_dataset("drions", data_dir, "test")),
        "DR_10_classes": _of(Folder(Path(data_dir) / "DR_10_classes", "all", "fundus")),
    }
    xrays = {
        "COVID19_CXR_SEG, test": _of(open_dataset("covid19_cxr_seg", data_dir, "test")),
        "NIH_sample": _of(Folder(Path(data_dir) / "NIH_sample", "all", "chest")),
    }
    right, others = (eyes, xrays) if modality == "fundus" else (xrays, eyes)
    right["simulated"] = partial(_simulated, modality, 700_000, 20)
    as_asked = as_colours if modality == "fundus" else as_greys
    wrong = {name: partial(_converted, images, as_asked) for name, images in others.items()}
    wrong["scikit-image"] = partial(_converted, _pictures, as_asked)
    wrong["noise, flat, ramps"] = partial(_converted, _patterns, as_asked)
    return {("yes", name): images for name, images in right.items()} | {
        ("no", name): images for name, images in wrong.items()
    }


def _of(dataset: ImageDataset) -> Callable[[int], Images]:
    return partial(_of_dataset, dataset)


def _evenly(images: list[np.ndarray], n: int) -> list[np.ndarray]:
    """At most n of the images, evenly from all."""
    return [images[i] for i in np.linspace(0, len(images) - 1, min(n, len(images))).astype(int)]


def _converted(images: Callable[[int], Images], convert: Callable, n: int) -> Images:
    return map(convert, images(n))


def as_colours(image: np.ndarray) -> np.ndarray:
    """A picture as one in colours, (H, W, 3): a grey one as many programs save it."""
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def as_greys(image: np.ndarray) -> np.ndarray:
    """A picture as a grey one, (H, W), the mean of its channels."""
    return image if image.ndim == 2 else image.mean(2).round().astype(np.uint8)


def _pictures(n: int) -> Images:
    """The pictures that come with scikit-image: tissue, faces, coins, the moon and so on."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    found = [path for path in sorted(folder.iterdir()) if path.suffix in (".png", ".jpg")]
    for path in [path for path in found if path.stem not in NO_PICTURES][:n]:
        yield as_colours(read_image(path))


def _patterns(n: int) -> Images:
    """Noise of four grains, flat and shaded areas; each as a square, and as a disc on black."""
    rng, side = np.random.default_rng(0), 300
    rows, columns = np.mgrid[:side, :side]
    round_ = np.hypot(rows - side / 2, columns - side / 2) < 0.47 * side
    fills = []
    for grain in (0, 1, 3, 10):
        noise = ndimage.gaussian_filter(rng.normal(size=(side, side, 3)), (grain, grain, 0))
        fills.append((noise - noise.min()) / np.ptp(noise))
    for colour in ((0.8, 0.45, 0.25), (0.5, 0.5, 0.5), (0.25, 0.4, 0.8)):
        fills.append(np.broadcast_to(colour, (side, side, 3)))
        fills.append(np.linspace(0.3, 1, side)[:, None, None] * fills[-1])
    for i, fill in enumerate(fills * 2):
        if i < n:
            shown = fill if i < len(fills) else fill * round_[..., None]
            yield (255 * shown).round().astype(np.uint8)


def _without_structure(data_dir: str) -> dict[str, Images]:
    """Photographs from which a structure is gone, by structure and how."""
    discs = open_dataset("drions", data_dir, "test")
    eyes = open_dataset("chase_db1", data_dir, "test")
    samples = [discs[i] for i in range(len(discs))]
    return {
        "disc: DRIONS-DB, test, disc outside": (_cut(sample, 1.1) for sample in samples),
        "disc: DRIONS-DB, test, cut through the disc": (_cut(sample, 0.5) for sample in samples),
        "vessel: CHASE_DB1, test, blurred": (_blurred(eyes[i].image) for i in range(len(eyes))),
    }


def _cut(sample, share: float) -> np.ndarray:
    """A photograph without the columns up to a share of the disc, on the narrower side of it."""
    columns = np.flatnonzero(sample.masks["disc"].any(0))
    left, right = int(columns[0]), int(columns[-1]) + 1
    image, width = sample.image.copy(), sample.image.shape[1]
    if left + right > width:  # the wider side is kept
        image[:, max(0, right - round(share * (right - left))) :] = 0
    else:
        image[:, : left + round(share * (right - left))] = 0
    return image


def _blurred(image: np.ndarray) -> np.ndarray:
    """A photograph that is out of focus: no vessel can be told."""
    grey = Image.fromarray(image)
    small = grey.resize((24, 24 * image.shape[0] // image.shape[1]), Image.Resampling.BOX)
    return np.asarray(small.resize(grey.size, Image.Resampling.BICUBIC))
