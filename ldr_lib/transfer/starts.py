"""The starts of a segmentation: encoders drawn at random, pretrained in several ways, or yours."""

import re
from pathlib import Path

from ..callbacks import STEP_FILE
from ..data import checks
from ..data.checks import instance
from ..data.checksums import file_digest
from ..data.datasets import DATASETS
from ..data.errors import DataError, one_of
from ..explore.learning import training_folder
from ..pretrained import (
    CHANNELS,
    REPRESENTATIONS,
    SHIPPED,
    WEIGHTS,
    load_weights,
    random_encoder,
    representation_file,
    shipped_file,
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
            the seed of another pretraining as in "ldr-1" or a number of steps as in "no jitter
            after 100", "imagenet" or "imagenet doubled" (`ImageNetEncoder`), "guided" (the network
            of notebook 04c for this structure), or the path of a safetensors file.
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
    if init in IMAGENET:
        return ImageNetEncoder(CHANNELS[modality], IMAGENET[init]).eval()
    encoder = random_encoder(CHANNELS[modality], seed)
    path, command = _weights(init, one, modality)
    if path is None:
        return encoder
    if not path.is_file():
        raise DataError(f"{path} is not there; python -m ldr_lib {command} makes it")
    return load_weights(encoder, path).eval()


def fingerprint(init: str, one: Task) -> dict[str, str]:
    """What tells whether an initialisation is still the same: of the file that it is read from, as
    "weights"; nothing where it is drawn, comes with another package, or is not there.
    """
    path, _ = _weights(init, one, DATASETS[one.dataset].modality)
    return {"weights": file_digest(path)[:32]} if path and path.is_file() else {}


def _weights(init: str, one: Task, modality: str) -> tuple[Path | None, str]:
    """The file from which an initialisation is read, None where there is none, and the command
    that makes it.
    """
    if init in ("random", "scratch", *IMAGENET):
        return None, ""
    if init == "guided":
        network = "chest" if modality == "chest" else "vessel" if one.is_thin else "disc"
        return WEIGHTS / f"{network}.safetensors", f"guided {network}"
    method, number, step = _pretraining(init)
    if method in ("ldr", *LONG):
        return _long_training(modality, "both" if method == "ldr" else method, number, step)
    if method == init:
        return shipped_file(modality, method), f"pretrain {modality} --method {method}"
    if method:
        path = pretrained_folder(modality, method, number) / "encoder.safetensors"
        return path, f"pretrain {modality} --method {method} --seed {number}"
    if Path(init).is_file():
        return Path(init), ""
    return one_of(init, (*INITS, "or the path of a safetensors file"), "initialisation")


def _long_training(modality: str, way: str, seed: int, step: int) -> tuple[Path, str]:
    """The network of a long training, after the number of steps with which "both" comes with the
    package where none is given; where it does not come with the package itself, as trained here.
    """
    shipped = REPRESENTATIONS[modality]
    step = step or shipped["both"][0]
    command = f'learn "{way}" --modality {modality} --seed {seed} --steps {step}'
    if step in shipped.get(way, ()) and not seed:
        return representation_file(modality, way, step), command
    return training_folder(way, modality, seed) / STEP_FILE.format(step), command


def _pretraining(init: str) -> tuple[str, int, int]:
    """Method, seed and number of steps of a pretraining such as "ldr-1" or "no jitter after 100";
    "" where it is none, 0 where there is no number.
    """
    found = re.fullmatch(r"(.+?)(?:-(\d+))?(?: after (\d+))?", init)
    method, seed, step = found.groups() if found else ("", None, None)
    if method not in (*SHIPPED, *LONG) or step and method not in ("ldr", *LONG):
        return "", 0, 0
    return method, int(seed or 0), int(step or 0)


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
