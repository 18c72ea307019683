"""Networks and unfinished trainings on disk: safetensors files with plain JSON in their header,
never a pickle.
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
    """Writes weights, sizes and guide of a network to one safetensors file, completely or not at
    all.

    Args:
        net: The network; weights are written from the CPU in their own precision.
        path: The file; its folder is made if needed.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_model(TwoBranchNet(n_clusters=4), f"{folder}/net.safetensors")
        ...     load_model(f"{folder}/net.safetensors", "cpu").n_clusters
        4

    Taught in notebook 02, section 6.
    """
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

    Returns:
        The network on that device, in training mode.

    Raises:
        DataError: The file is missing, damaged or not written by `save_model`.

    Taught in notebook 02, section 10.
    """
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata()
            net = TwoBranchNet(**json.loads(about["network"]))
            guide = json.loads(about.get("guide", "null"))
            net.guide = Guide.from_dict(guide) if guide else None
            names = file.keys()
            net.load_state_dict({name: file.get_tensor(name) for name in names})
    except Exception as error:
        raise DataError(f"{path} is no network saved by this package ({error})") from error
    return to_device(net, pick_device(device))


def _plain(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


class Checkpoint(Callback):
    """Saves, after every epoch, everything that an interrupted run needs to continue with the same
    result.

    One safetensors file: weights and optimizer state, and as plain JSON in its header the settings,
    the stage and epoch reached and the log.

    Args:
        net: The module whose weights are saved.
        path: The file.
        about: Settings and data of the run, plain values.
        stage: Number of the stage, from 0.
        rows: The log so far.
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
        reached = {"stage": self.stage, "next_epoch": self.epoch + 1, "rows": self.rows}
        with atomic_write(self.path) as temporary:
            save_file(_plain(tensors), temporary, {"about": json.dumps(self.about | reached)})


def _parameters(learn: Learner) -> list[torch.nn.Parameter]:
    return [parameter for group in learn.opt.opt.param_groups for parameter in group["params"]]


@dataclass
class TrainingState:
    """How far a training has come. The defaults describe a training that has not begun.

    Attributes:
        net: Weights, or empty.
        optimizer: State tensors by "<number of the parameter>.<name>".
        stage: Stage reached, from 0.
        next_epoch: First epoch of that stage that has not been trained.
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
        about: Settings and data of the run that continues; must equal those of the interrupted
            run.

    Returns:
        The state that was reached.

    Raises:
        DataError: The file is damaged, or belongs to a run with other settings or data; the message
            lists them.
    """
    try:
        with safe_open(path, "pt") as file:
            saved = json.loads(file.metadata()["about"])
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except Exception as error:
        raise DataError(
            f"checkpoint {path} cannot be read ({error}); remove it to start anew"
        ) from error
    changed = [name for name in about if saved.get(name) != about[name]]
    if changed:
        details = ", ".join(
            f"{name} was {saved.get(name)!r} and is {about[name]!r}" for name in changed
        )
        raise DataError(
            f"checkpoint {path} belongs to another run: {details}. "
            "Choose another folder or resume=False."
        )
    net, optimizer = (
        {name.removeprefix(kind): value for name, value in tensors.items() if name.startswith(kind)}
        for kind in ("net.", "optimizer.")
    )
    return TrainingState(net, optimizer, saved["stage"], saved["next_epoch"], saved["rows"])


def restore_optimizer(learn: Learner, state: dict[str, torch.Tensor]) -> None:
    """Puts optimizer state from a checkpoint back, in the memory layout of each parameter.

    Args:
        learn: A Learner whose optimizer has been created.
        state: State tensors by "<number of the parameter>.<name>", as in `TrainingState`.
    """
    parameters = _parameters(learn)
    for name, value in state.items():
        number, key = name.split(".")
        parameter = parameters[int(number)]
        learn.opt.opt.state[parameter][key] = (
            torch.empty_like(parameter).copy_(value) if value.ndim else value
        )
