"""Networks and unfinished trainings on disk: safetensors with plain JSON beside the weights, never
a pickle.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from safetensors import safe_open
from safetensors.torch import save_file

from .data.errors import DataError
from .data.files import atomic_write
from .device import pick_device, to_device
from .network import TwoBranchNet
from .structures import Guide


def save_model(net: TwoBranchNet, path: Path | str) -> None:
    """Writes weights and sizes of a network to one safetensors file, whole or not at all."""
    about = {
        "in_channels": net.in_channels,
        "embedding_dim": net.embedding_dim,
        "n_clusters": net.n_clusters,
    }
    guide = asdict(net.guide) if net.guide else None
    with atomic_write(Path(path)) as temporary:
        save_file(
            _plain(net.state_dict()),
            temporary,
            {"network": json.dumps(about), "guide": json.dumps(guide)},
        )


def load_model(path: Path | str, device: str = "auto") -> TwoBranchNet:
    """Builds the network that `save_model` wrote.

    Args:
        path: The safetensors file.
        device: As in `pick_device`.

    Raises:
        DataError: The file is missing, damaged or not written by `save_model`.
    """
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata()
            net = TwoBranchNet(**json.loads(about["network"]))
            guide = json.loads(about.get("guide", "null"))
            net.guide = Guide.from_dict(guide) if guide else None
            net.load_state_dict({name: file.get_tensor(name) for name in file.keys()})
    except Exception as error:
        raise DataError(f"{path} is no network saved by this package ({error})") from error
    return to_device(net, pick_device(device))


def _plain(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


class Checkpoint(Callback):
    """Keeps, after every epoch, all that an interrupted run needs to go on as if nothing had
    happened.

    One safetensors file: weights, optimizer state, and as plain JSON in its header the settings,
    the place reached and the log.
    """

    order = 10

    def __init__(self, net: TwoBranchNet, path: Path, about: dict, stage: int, rows: list[dict]):
        self.net, self.path, self.about, self.stage, self.rows = net, path, about, stage, rows

    def after_train(self):
        tensors = {f"net.{name}": tensor for name, tensor in self.net.state_dict().items()}
        for i, parameter in enumerate(_parameters(self.learn)):
            state = self.opt.opt.state[parameter]
            tensors |= {
                f"optimizer.{i}.{key}": value
                for key, value in state.items()
                if torch.is_tensor(value)
            }
        place = {"stage": self.stage, "next_epoch": self.epoch + 1, "rows": self.rows}
        with atomic_write(self.path) as temporary:
            save_file(_plain(tensors), temporary, {"about": json.dumps(self.about | place)})


def _parameters(learn: Learner) -> list[torch.nn.Parameter]:
    return [parameter for group in learn.opt.opt.param_groups for parameter in group["params"]]


@dataclass
class TrainingState:
    """How far a training has come; as it is here, not at all.

    Attributes:
        net: Weights, or empty.
        optimizer: State tensors by "<number of the parameter>.<name>".
        stage: Stage reached, from 0.
        next_epoch: First epoch of that stage that is still to do.
        rows: The log so far.
    """

    net: dict[str, torch.Tensor] = field(default_factory=dict)
    optimizer: dict[str, torch.Tensor] = field(default_factory=dict)
    stage: int = 0
    next_epoch: int = 0
    rows: list[dict] = field(default_factory=list)


def restore(path: Path, about: dict) -> TrainingState:
    """Reads what `Checkpoint` wrote.

    Args:
        path: The checkpoint.
        about: What the run that goes on computes; must be what the interrupted one did.

    Raises:
        DataError: The file is damaged, or belongs to a run with other settings or data; the message
            lists them.
    """
    try:
        with safe_open(path, "pt") as file:
            place = json.loads(file.metadata()["about"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except Exception as error:
        raise DataError(
            f"checkpoint {path} cannot be read ({error}); remove it to start anew"
        ) from error
    changed = [name for name in about if place.get(name) != about[name]]
    if changed:
        details = ", ".join(
            f"{name} was {place.get(name)!r} and is {about[name]!r}" for name in changed
        )
        raise DataError(
            f"checkpoint {path} belongs to another run: {details}. Choose another folder or resume=False."
        )
    net, optimizer = (
        {name.removeprefix(kind): value for name, value in tensors.items() if name.startswith(kind)}
        for kind in ("net.", "optimizer.")
    )
    return TrainingState(net, optimizer, place["stage"], place["next_epoch"], place["rows"])


def restore_optimizer(learn: Learner, state: dict[str, torch.Tensor]) -> None:
    """Puts optimizer state from a checkpoint back, in the memory layout of each parameter."""
    parameters = _parameters(learn)
    for name, value in state.items():
        number, key = name.split(".")
        parameter = parameters[int(number)]
        learn.opt.opt.state[parameter][key] = (
            torch.empty_like(parameter).copy_(value) if value.ndim else value
        )
