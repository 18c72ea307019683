"""Putting guided networks of the study into the package: weights, card, and the picture of what
they find.
"""

import json
from pathlib import Path

import numpy as np

from ..checkpoint import load_model, save_model
from ..data.datasets import DATASETS, open_dataset
from ..data.files import atomic_write
from ..explore.colours import overlay
from ..explore.figures import representation_sheet
from ..pretrained import WEIGHTS, GuidedNets, load_pretrained
from ..runs.cards import card_head
from ..runs.paths import record_path, runs_folder
from .predict import predict_structure
from .priors import simulated_shapes, vessel_prior
from .study import NAME, TESTED, UNLABELLED

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


def ship(guided: str) -> Path:
    """Puts the network of a committed run into the package, at half precision, with its card.

    Args:
        guided: "vessel", "disc" or "chest"; the name of the files.

    Returns:
        Path of the weights.
    """
    label = SHIPPED_RUNS[guided]
    record = json.loads(record_path(NAME, label).read_text())
    net = load_model(runs_folder() / "records" / NAME / label / "model.safetensors", "cpu")
    save_model(net.half(), WEIGHTS / f"{guided}.safetensors")
    with atomic_write(WEIGHTS / f"{guided}.md") as temporary:
        temporary.write_text(card(guided, record, label))
    return WEIGHTS / f"{guided}.safetensors"


def card(guided: str, record: dict, label: str) -> str:
    """The card of a shipped network, Markdown with a YAML head.

    Args:
        guided: "vessel", "disc" or "chest".
        record: Of the run that trained it.
        label: Of that record.
    """
    from ..structures import guide_for

    guide, parameters, settings = (
        guide_for(guided),
        record["parameters"],
        record["metrics"]["settings"],
    )
    epochs = list(settings["epochs"])
    if parameters["method"] == "combined":
        rendered = json.loads(record_path(NAME, label.replace("combined", "rendered")).read_text())
        epochs = rendered["metrics"]["settings"]["epochs"] + epochs
    sets = [DATASETS[name] for name in UNLABELLED[guide.modality]]
    priors = {
        "vessel": f"vessel masks of the {parameters['prior']} prior",
        "disc": "simulated eyes",
        "chest": "simulated chests",
    }
    from_representation = parameters["control"] == "from representation"
    representation = f'`load_representation("{guide.modality}")`, itself trained without labels'
    start = representation if from_representation else "random weights"
    command = (
        f"python -m ldr_lib guided {guided} --prior {parameters['prior']} --method {parameters['method']} "
        f"--tier {parameters['tier']} --seed {parameters['seed']}"
    )
    if from_representation:
        command += f' --control "{parameters["control"]}"'
    scores = {
        name: value["Dice"]
        for name, value in record["metrics"].items()
        if isinstance(value, dict) and "Dice" in value
    }
    rows = "\n".join(f"| {name} | {value:.3f} |" for name, value in scores.items())
    tests = sorted({DATASETS[TESTED[name][0]].title for name in guide.names if name in TESTED})
    clusters = {structure.name: structure.clusters for structure in guide.structures}
    head = card_head(
        f"ldr_lib {guided}", sets, {f"Dice, {name}": value for name, value in scores.items()}
    )
    return f"""{head}
# Pretrained network: {guided}

- **Finds** {", ".join(guide.names)}. Clusters of the clustering branch: {clusters}.
- **Data** training splits of {", ".join(kind.title for kind in sets)}, without any label; {priors[guided]}.
- **Terms** {"; ".join(f"{kind.title}: {kind.terms}" for kind in sets)}.
- **Start** {start}.
- **Steps** {settings["steps"]} x {epochs} in the stages of method "{parameters["method"]}". Each step has {settings["rendered"]} rendered images (in the third stage half of them are real ones); in the second stage {5 * settings["pairs"]} views of real images are added.
- **Seed** {parameters["seed"]}; not chosen among seeds. Weights rounded to half precision.
- **Made by** `{command}`

Dice on the test splits of {", ".join(tests)}, at the images' own size, threshold 0.5 (record of the run: figures/{NAME}/records/{label}.json):

| structure and reading | Dice |
|---|---|
{rows}

For research and teaching, not for diagnosis.
"""


def real_figure(data_dir: str) -> Path:
    """Draws the priors, and what the shipped networks find in test photographs and X-rays (CC BY
    4.0).

    Returns:
        Path of the picture.
    """
    n, eye, body = 6, load_pretrained("fundus"), load_pretrained("chest")
    photographs, xrays = (
        _evenly(open_dataset(name, data_dir, "test"), n) for name in ("hrf", "kermany")
    )
    rows = {
        "prior: OCTA vessels": vessel_prior("octa", data_dir).masks[:n],
        "prior: disc, fovea": simulated_shapes("fundus", n),
        "photographs": _small(photographs),
        "found in photographs": _small([_painted(eye, image) for image in photographs]),
        "prior: lungs, heart": simulated_shapes("chest", n),
        "X-rays": _small(xrays),
        "found in X-rays": _small([_painted(body, image) for image in xrays]),
    }
    path = record_path(NAME, "found_real").with_suffix(".png")
    with atomic_write(path) as temporary:
        representation_sheet(rows).savefig(temporary, format="png", dpi=75)
    return path


def _evenly(dataset, n: int) -> list[np.ndarray]:
    return [dataset[i * len(dataset) // n].image for i in range(n)]


def _small(images: list[np.ndarray]) -> list[np.ndarray]:
    return [image[:: max(1, len(image) // 256), :: max(1, len(image) // 256)] for image in images]


def _painted(nets: GuidedNets, image: np.ndarray) -> np.ndarray:
    for structure in nets.structures:
        mask = predict_structure(nets, image, structure) > 0.5
        image = (255 * overlay(image, mask, COLOURS[structure])).astype(np.uint8)
    return image
