"""The starts of a segmentation: encoders drawn at random, pretrained in several ways, or yours."""

from pathlib import Path

from ..callbacks import STEP_FILE
from ..checkpoint import load_model
from ..data import checks
from ..data.checks import instance
from ..data.checksums import file_digest
from ..data.datasets import DATASETS
from ..data.errors import DataError, one_of
from ..explore.learning import training_folder
from ..network import Encoder
from ..pretrained import (
    CHANNELS,
    REPRESENTATIONS,
    SHIPPED,
    WEIGHTS,
    load_encoder,
    load_representation,
    load_weights,
    random_encoder,
)
from .imagenet import IMAGENET, AnyEncoder, ImageNetEncoder
from .pretraining import pretrained_folder
from .tasks import Task

LONG = ("embedding only, no mixup", "embedding only", "no jitter")
"""Ways of the long trainings of notebook 02 whose networks are starts, too, beside *both* ("ldr").
"""
INITS = ("random", "scratch", *SHIPPED, *LONG, *IMAGENET, "guided")


def initial_encoder(init: str, one: Task, seed: int) -> AnyEncoder:
    """The encoder from which a cell starts.

    Args:
        init: "random" or "scratch" (drawn from the seed), one that comes with the package as in
            `load_encoder`, one of `LONG` (the long trainings of notebook 02), one of these with
            the seed of another pretraining as in "ldr-1", "imagenet" or "imagenet doubled"
            (`ImageNetEncoder`), "guided" (the network of notebook 04c for this structure), or the
            path of a safetensors file.
        one: What is segmented.
        seed: Of the cell.

    Returns:
        The encoder, on the processor.

    Raises:
        DataError: The weights of the initialisation are not there.
        ImportError: ImageNet's are not installed.
        ValueError: Unknown initialisation, no task, or no seed.
    """
    instance(one, Task, "one", "a Task, for example task(...)")
    init, seed = str(checks.path(init, "init")), checks.seed(seed)
    modality = DATASETS[one_of(one.dataset, DATASETS, "dataset")].modality
    if init in SHIPPED:
        return load_encoder(modality, init, "cpu")
    if init in IMAGENET:
        return ImageNetEncoder(CHANNELS[modality], IMAGENET[init]).eval()
    encoder = random_encoder(CHANNELS[modality], seed)
    if init in ("random", "scratch"):
        return encoder
    if init == "guided":
        network = "chest" if modality == "chest" else "vessel" if one.is_thin else "disc"
        return load_weights(encoder, WEIGHTS / f"{network}.safetensors")
    method, number = _pretraining(init)
    if method in ("ldr", *LONG):
        return long_training(modality, "both" if method == "ldr" else method, number)
    if method in SHIPPED:
        path = pretrained_folder(modality, method, number) / "encoder.safetensors"
        if not path.exists():
            raise DataError(
                f"{path} is not there; python -m ldr_lib pretrain {modality} --method {method} "
                f"--seed {number} makes it"
            )
        return load_weights(encoder, path)
    if Path(init).is_file():
        return load_weights(encoder, init)
    known = (*INITS, "or the path of a safetensors file")
    return one_of(init, known, "initialisation")


def long_training(modality: str, way: str, seed: int = 0) -> Encoder:
    """The encoder of a long training, after the number of steps with which "both" comes with the
    package; where it does not come with the package itself, as trained here.
    """
    (step, *_), shipped = REPRESENTATIONS[modality]["both"], REPRESENTATIONS[modality]
    if step in shipped.get(way, ()) and not seed:
        return load_representation(modality, "cpu", step, way).encoder
    path = training_folder(way, modality, seed) / STEP_FILE.format(step)
    if not path.exists():
        raise DataError(
            f'{path} is not there; python -m ldr_lib learn "{way}" --modality {modality} --seed '
            f"{seed} --steps {step} makes it"
        )
    return load_model(path, "cpu").encoder


def _pretraining(init: str) -> tuple[str, int]:
    """Method and seed of a pretraining such as "ldr-1"; "" where it is none."""
    method, dash, number = init.partition("-")
    if method not in (*SHIPPED, *LONG) or (dash and not number.isdecimal()):
        return "", 0
    return method, int(number or 0)


def is_known(init: str) -> bool:
    """Whether an initialisation is one of this project, not a file of the user's."""
    return init in INITS or bool(_pretraining(init)[0])


def own_weights(init: str) -> dict[str, str]:
    """The fingerprint of an initialisation that is a file of the user's, as "weights"; nothing for
    others.
    """
    if is_known(init) or not Path(init).is_file():
        return {}
    return {"weights": file_digest(init)[:32]}
