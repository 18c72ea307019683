"""Networks and unfinished trainings on disk, with plain JSON in the header of their files."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner

from .data import checks
from .data.checksums import array_fingerprint
from .data.errors import DataError
from .data.files import not_written
from .device import pick_device, to_device
from .distributed import is_first
from .network import TwoBranchNet
from .structures import Guide
from .tensor_files import fingerprint_of, read_tensors, save_tensors

REMOVE = "Remove it to start anew"
"""Advice about a checkpoint that cannot be used."""
NOTED_LATER = ("start", "make_pairs", "guide")
"""What earlier revisions did not note in an identity."""


def save_model(net: TwoBranchNet, path: Path | str, made_from: dict | None = None) -> None:
    """Writes weights, sizes and guide of a network to one safetensors file, completely or not at
    all.

    Args:
        net: The network; weights are written from the CPU in their own precision.
        path: The file; its folder is made if needed.
        made_from: What it was trained from, as in `identity`.

    Raises:
        ValueError: There is no network, or no path.
        DataError: The file cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_model(TwoBranchNet(n_clusters=4), f"{folder}/net.safetensors")
        ...     load_model(f"{folder}/net.safetensors", "cpu").n_clusters
        4

    Taught in notebook 02, section 6.
    """
    checks.instance(net, TwoBranchNet, "net", "a TwoBranchNet")
    about = {
        "in_channels": net.in_channels,
        "embedding_dim": net.embedding_dim,
        "n_clusters": net.n_clusters,
    }
    guide = asdict(net.guide) if net.guide else None
    origin = checks.plain({} if made_from is None else made_from, "made_from")
    checks.instance(origin, dict, "made_from", "a dictionary")
    header = {"network": about, "guide": guide, "made_from": origin}
    save_tensors(net.state_dict(), path, {key: json.dumps(value) for key, value in header.items()})


def load_model(path: Path | str, device: str = "auto") -> TwoBranchNet:
    """Builds the network that `save_model` wrote.

    Args:
        path: The safetensors file.
        device: As in `pick_device`.

    Returns:
        The network on that device, in training mode.

    Raises:
        DataError: The file is missing, damaged or not written by `save_model`.

    Taught in notebook 03, section 1.
    """
    tensors, about = read_tensors(path, "Copy it again, or train the network again")
    try:
        net = TwoBranchNet(**json.loads(about["network"]))
        guide = json.loads(about.get("guide", "null"))
        net.guide = Guide.from_dict(guide) if guide else None
        net.load_state_dict(tensors)
    except Exception as error:
        raise DataError(f"{path} is no network saved by this package ({error})") from error
    return to_device(net, pick_device(device))


def origin_of(path: Path | str) -> dict:
    """What a network was trained from, as `save_model` noted it; empty where it did not.

    Raises:
        DataError: The file is missing or damaged.
    """
    _, about = read_tensors(path, "Remove it to train the network again")
    return json.loads(about.get("made_from", "{}"))


def identity(settings, data: str, start: TwoBranchNet | None = None, **others) -> dict:
    """All that decides how a training ends, as plain values.

    Args:
        settings: Of the training, a dataclass.
        data: Fingerprint of the images.
        start: Network whose weights it starts from; None where the seed draws them.
        **others: What else decides it, by name, as JSON can hold it.
    """
    begin = "" if start is None else fingerprint_of(start.state_dict())
    return json.loads(json.dumps(asdict(settings) | {"data": data, "start": begin} | others))


def state_fingerprint(thing) -> str:
    """Hash of all that an object holds: arrays, tensors, plain values, and objects that hold these.

    Args:
        thing: The object, for example a `VesselPairs`.

    Raises:
        DataError: It holds nothing, like a function, which may use anything, or something whose
            content cannot be seen; the message says what.

    Example:
        >>> from ldr_lib.structures import guide_for
        >>> state_fingerprint(guide_for("disc")) == state_fingerprint(guide_for("vessel"))
        False
    """
    name = getattr(type(thing), "__name__", "object")
    try:
        held = json.dumps(_held(thing, name), sort_keys=True)
    except RecursionError as error:
        raise DataError(f"{name} holds itself: its content cannot be fingerprinted") from error
    return hashlib.blake2b(held.encode(), digest_size=16).hexdigest()


def _held(value, where: str):
    """What an object holds as JSON, arrays and tensors by their hashes."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, torch.Tensor):
        return fingerprint_of({"": value})
    if isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
        return array_fingerprint(np.asarray(value))
    if isinstance(value, list | tuple):
        return [_held(one, f"{where}[{i}]") for i, one in enumerate(value)]
    if isinstance(value, dict):
        return {str(key): _held(one, f"{where}[{key!r}]") for key, one in value.items()}
    parts = getattr(value, "__dict__", None)
    if not parts or isinstance(value, type):
        kind = type(value).__name__
        raise DataError(f"{where} is a {kind}, whose content cannot be fingerprinted")
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return [kind, {name: _held(one, f"{where}.{name}") for name, one in parts.items()}]


def differences(saved: dict, about: dict) -> list[str]:
    """Names of what is otherwise in two identities. What earlier revisions did not note counts as
    equal.

    Args:
        saved: As a file holds it.
        about: Of the run that continues.

    Example:
        >>> differences({"seed": 0}, {"seed": 1, "start": "a network's fingerprint"})
        ['seed']
    """
    saved = {name: about[name] for name in NOTED_LATER if name in about} | saved
    return [name for name in about if saved.get(name) != about[name]]


def begin_anew(folder: Path) -> None:
    """Removes from a folder what an earlier training left for its continuation: first the
    checkpoint, without which nothing else is looked at.

    Args:
        folder: Of the training; it need not exist.

    Raises:
        DataError: A file cannot be removed.
    """
    left = [folder / "checkpoint.safetensors", folder / "teacher.safetensors"]
    snapshots = (folder.glob(f"{kind}.safetensors") for kind in ("after_*_*", "step_*"))
    for path in [*left, *(path for found in snapshots for path in found)]:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise not_written(path, error) from error


def begin_anew_if_finished(folder: Path) -> None:
    """Makes a run that has its record begin anew, as the present code computes it. One that was
    interrupted has none, and keeps what it needs to go on. Of several processes the first does it.

    Args:
        folder: Of the run, with its `record.json` if it has ended.

    Raises:
        DataError: A file cannot be removed.
    """
    record = folder / "record.json"
    if not is_first() or not record.exists():
        return
    begin_anew(folder)
    try:
        record.unlink()
    except OSError as error:
        raise not_written(record, error) from error


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
        save_tensors(tensors, self.path, {"about": json.dumps(self.about | reached)})


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
        about: As in `identity`, of the run that continues; must equal that of the interrupted run.

    Returns:
        The state that was reached.

    Raises:
        DataError: The file is damaged, or belongs to a run with other settings, images or start, or
            with what else `identity` holds; the message lists them.
    """
    tensors, header = read_tensors(path, REMOVE)
    try:
        saved = json.loads(header["about"])
        reached = saved["stage"], saved["next_epoch"], saved["rows"]
    except (KeyError, ValueError, TypeError) as error:
        raise DataError(f"{path} is no checkpoint of this package ({error}). {REMOVE}") from error
    if changed := differences(saved, about):
        details = ", ".join(
            f"{name} was {saved.get(name)!r} and is {about[name]!r}" for name in changed
        )
        raise DataError(
            f"checkpoint {path} belongs to another run: {details}. "
            "Choose another folder, on the command line by LDR_RUNS, or remove the checkpoint or "
            "take resume=False to begin anew."
        )
    net, optimizer = (
        {name.removeprefix(kind): value for name, value in tensors.items() if name.startswith(kind)}
        for kind in ("net.", "optimizer.")
    )
    return TrainingState(net, optimizer, *reached)


def put_back(found: TrainingState, net: torch.nn.Module, path: Path) -> None:
    """Puts weights from a checkpoint back.

    Args:
        found: As `restore` returns it; nothing happens if the training has not begun.
        net: The module whose weights were saved.
        path: The checkpoint, for the message.

    Raises:
        DataError: They are those of another module.
    """
    if found.net:
        try:
            net.load_state_dict(found.net)
        except RuntimeError as error:
            raise DataError(f"{path} does not fit the network ({error}). {REMOVE}") from error


def restore_optimizer(learn: Learner, state: dict[str, torch.Tensor]) -> None:
    """Puts optimizer state from a checkpoint back, in the memory layout of each parameter.

    Args:
        learn: A Learner whose optimizer has been created.
        state: State tensors by "<number of the parameter>.<name>", as in `TrainingState`.

    Raises:
        DataError: The state is that of another network.
    """
    parameters = _parameters(learn)
    try:
        for name, value in state.items():
            number, key = name.split(".")
            parameter = parameters[int(number)]
            learn.opt.opt.state[parameter][key] = (
                torch.empty_like(parameter).copy_(value) if value.ndim else value
            )
    except (ValueError, IndexError, RuntimeError) as error:
        raise DataError(
            f"the checkpoint's optimizer state does not fit the network ({error}). {REMOVE}"
        ) from error
