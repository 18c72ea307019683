"""Putting guided networks of the study into the package: weights, their cards, and the figure of
what they find.
"""

from pathlib import Path

import numpy as np

from ..checkpoint import load_model, save_model
from ..data.adapter import ImageDataset
from ..data.datasets import DATASETS, open_dataset
from ..data.errors import one_of
from ..data.files import atomic_write
from ..explore.colours import outline
from ..explore.figures import representation_sheet
from ..pretrained import WEIGHTS, GuidedNets, load_pretrained
from ..runs.cards import card_head
from ..runs.fingerprints import read_record
from ..runs.paths import record_path, runs_folder
from ..structures import guide_for
from .predict import predict_structure
from .priors import simulated_shapes, vessel_prior
from .study import NAME, UNLABELLED
from .tested import TESTED

SHIPPED_RUNS = {
    "vessel": "vessel_octa_combined_from-representation_study_0",
    "disc": "disc_simulated_combined_none_study_0",
    "chest": "chest_simulated_combined_none_study_0",
}
"""Network to the label of the run whose weights are shipped."""
COLOURS = {
    "vessel": (1.0, 1.0, 0.2),
    "disc": (0.2, 0.6, 1.0),
    "fovea": (0.2, 1.0, 0.2),
    "lungs": (0.0, 0.9, 1.0),
    "heart": (1.0, 0.4, 0.3),
}
"""Contour of each structure in figures, red, green and blue in [0, 1]."""


def ship(guided: str) -> Path:
    """Puts the network of a committed run into the package, at half precision, with its card.

    Args:
        guided: "vessel", "disc" or "chest"; the name of the files.

    Returns:
        Path of the weights.

    Raises:
        ValueError: Unknown network.
        DataError: The run's weights are not on this machine; its record is not enough.
    """
    label = SHIPPED_RUNS[one_of(guided, SHIPPED_RUNS, "guided network")]
    record = read_record(record_path(NAME, label))
    net = load_model(runs_folder() / "records" / NAME / label / "model.safetensors", "cpu")
    save_model(net.half(), WEIGHTS / f"{guided}.safetensors")
    with atomic_write(WEIGHTS / f"{guided}.md") as temporary:
        temporary.write_text(card(guided, record, label), encoding="utf-8")
    return WEIGHTS / f"{guided}.safetensors"


def card(guided: str, record: dict, label: str) -> str:
    """The card of a shipped network: Markdown with a YAML head.

    Args:
        guided: "vessel", "disc" or "chest".
        record: Of the run that trained it.
        label: Of that record.

    Returns:
        The text.
    """
    guide, parameters = guide_for(guided), record["parameters"]
    sets = [DATASETS[name] for name in UNLABELLED[guide.modality]]
    scores = {
        name: value["Dice"]
        for name, value in record["metrics"].items()
        if isinstance(value, dict) and "Dice" in value
    }
    tested = sorted({DATASETS[TESTED[name][0]].title for name in guide.names if name in TESTED})
    clusters = [
        f"{structure.name} is the sum of clusters {', '.join(map(str, structure.clusters))}"
        if len(structure.clusters) > 1
        else f"{structure.name} is cluster {structure.clusters[0]}"
        for structure in guide.structures
    ]
    shapes = {
        "vessel": f"vessel masks of the {parameters['prior']} prior",
        "disc": "simulated eyes",
        "chest": "simulated chests",
    }[guided]
    terms = [f"{kind.title}: {kind.terms}" for kind in sets]
    lines = [
        card_head(
            f"ldr_lib {guided}", sets, {f"Dice, {name}": dice for name, dice in scores.items()}
        ),
        f"# Pretrained network: {guided}",
        "",
        f"- **Finds** {', '.join(guide.names)}: {'; '.join(clusters)} of the clustering branch.",
        f"- **Data** training splits of {', '.join(kind.title for kind in sets)}, "
        f"without any label; {shapes}.",
        f"- **Terms** {'; '.join(terms)}.",
        f"- **Initialisation** {_initialisation(parameters)}.",
        f"- **Steps** {_steps(record, label)}",
        f"- **Seed** {parameters['seed']}; not chosen among seeds. "
        "Weights rounded to half precision.",
        f"- **Made by** `{_command(parameters)}`",
        "",
        f"Mean Dice on the test splits of {', '.join(tested)}, at the images' own size, threshold "
        f"0.5 (record of the run: figures/{NAME}/records/{label}.json):",
        "",
        "| structure and reading | Dice |",
        "|---|---|",
        *(f"| {name} | {dice:.3f} |" for name, dice in scores.items()),
        "",
    ]
    if "fovea" in record["metrics"]:
        found = record["metrics"]["fovea"]["within half a disc diameter"]
        lines += [
            f"The centre of the fovea is found within half a disc diameter in {found:.0%} of 50 "
            "simulated images; no dataset here marks it in photographs.",
            "",
        ]
    return "\n".join([*lines, "For research and teaching, not for diagnosis.", ""])


def _initialisation(parameters: dict) -> str:
    if parameters["control"] == "from representation":
        return "the representation that then came with the package, itself trained without labels"
    return "random weights"


def _steps(record: dict, label: str) -> str:
    """How long each stage was trained, and on what."""
    parameters, settings = record["parameters"], record["metrics"]["settings"]
    epochs = list(settings["epochs"])
    if parameters["method"] == "combined":  # its first two stages are a run of their own
        rendered = read_record(record_path(NAME, label.replace("combined", "rendered")))
        epochs = rendered["metrics"]["settings"]["epochs"] + epochs
    return (
        f'{settings["steps"]} x {epochs} in the stages of method "{parameters["method"]}". '
        f"Each step has {settings['rendered']} rendered images (in the third stage half of them "
        f"are real ones); in the second stage {5 * settings['pairs']} views of real images are "
        "added."
    )


def _command(parameters: dict) -> str:
    options = [
        f"--{name} {parameters[name]}"
        for name in ("prior", "method", "tier", "seed")
        if name != "prior" or parameters["guided"] == "vessel"
    ]
    if parameters["control"] != "none":
        options.append(f'--control "{parameters["control"]}"')
    return f"python -m ldr_lib guided {parameters['guided']} {' '.join(options)}"


def real_figure(data_dir: str) -> Path:
    """Draws the priors, and what the shipped networks find in test photographs and X-rays (CC BY
    4.0).

    Args:
        data_dir: Folder of the datasets.

    Returns:
        Path of the figure.

    Raises:
        DataError: The images cannot be used.
    """
    n, eye, body = 6, load_pretrained("fundus"), load_pretrained("chest")
    photographs, xrays = (
        _evenly(open_dataset(name, data_dir, "test"), n) for name in ("hrf", "kermany")
    )
    rows = {
        "prior: OCTA vessels": vessel_prior("octa", data_dir).masks[:n],
        "prior: vessels red, disc green, fovea blue": simulated_shapes("fundus", n),
        "photographs": _shrunk(photographs),
        "found: vessels yellow, disc blue, fovea green": [
            _outlined(eye, image) for image in photographs
        ],
        "prior: lungs red, heart blue-green, both white": simulated_shapes("chest", n),
        "X-rays": _shrunk(xrays),
        "found: lungs light blue, heart red": [_outlined(body, image) for image in xrays],
    }
    path = record_path(NAME, "found_real").with_suffix(".png")
    with atomic_write(path) as temporary:
        representation_sheet(rows).savefig(temporary, format="png", dpi=100)
    return path


def _evenly(dataset: ImageDataset, n: int) -> list[np.ndarray]:
    """n images that lie evenly over a dataset."""
    return [dataset[i * len(dataset) // n].image for i in range(n)]


def _shrunk(images: list[np.ndarray], side: int = 512) -> list[np.ndarray]:
    """Every k-th pixel, so that no side is longer than twice `side`."""
    steps = [max(1, max(image.shape[:2]) // side) for image in images]
    return [image[::step, ::step] for image, step in zip(images, steps)]


def _outlined(nets: GuidedNets, image: np.ndarray) -> np.ndarray:
    """An image, shrunk, with the contour of every structure that is found in it."""
    masks = [predict_structure(nets, image, structure) > 0.5 for structure in nets.structures]
    image, *masks = _shrunk([image, *masks])
    for structure, mask in zip(nets.structures, masks):
        image = outline(image, mask, COLOURS[structure])
    return image
