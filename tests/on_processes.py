"""What the tests of several processes run, in one process or under torchrun: everything in double
precision, so that only the order of sums may differ.

Usage: python on_processes.py PROGRAM FOLDER, alone or after torchrun.
"""

import os
import sys
import time
import warnings
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback, CancelFitException

from ldr_lib import Settings, TwoBranchNet, losses, train
from ldr_lib.callbacks import LossLog
from ldr_lib.checkpoint import Checkpoint
from ldr_lib.data.augment import LabelledPairs
from ldr_lib.data.batches import image_batches
from ldr_lib.distributed import (
    average,
    gather,
    is_first,
    n_processes,
    own_share,
    process_group,
)
from ldr_lib.guided.adversary import Discriminator, soften
from ldr_lib.guided.settings import GuidedSettings
from ldr_lib.guided.training import train_guided
from ldr_lib.prototypes import balanced_assignment, prototype_discrimination
from ldr_lib.stage import stage_learner
from ldr_lib.structures import guide_for
from ldr_lib.tiers import OURS, PATCH_STAGE, SHORT_BOTH_BRANCHES
from ldr_lib.transfer.pretraining import pretrain

CPU = torch.device("cpu")
SETTINGS = Settings(
    n_clusters=3,
    pairs=2,
    view_size=32,
    crop_scale=(0.5, 0.7),
    stages=(PATCH_STAGE, SHORT_BOTH_BRANCHES),
    epochs=(2, 2),
    steps=2,
    seed=5,
)


@contextmanager
def doubles():
    """Makes everything compute in double precision."""
    single, default = torch.Tensor.float, torch.get_default_dtype()
    capability = torch.cpu._is_avx512_bf16_supported, torch.cpu._is_amx_tile_supported
    torch.Tensor.float = torch.Tensor.double
    torch.set_default_dtype(torch.float64)
    torch.cpu._is_avx512_bf16_supported = torch.cpu._is_amx_tile_supported = bool
    try:
        yield
    finally:
        torch.Tensor.float = single
        torch.set_default_dtype(default)
        torch.cpu._is_avx512_bf16_supported, torch.cpu._is_amx_tile_supported = capability


def images() -> np.ndarray:
    """Twelve coloured mosaics."""
    coarse = np.random.default_rng(0).integers(0, 256, (12, 12, 12, 3))
    return coarse.repeat(4, 1).repeat(4, 2).astype(np.uint8)


def with_field_of_view() -> np.ndarray:
    """The same with a disc as their field of view, as a last channel."""
    rows, columns = np.mgrid[:48, :48] - 23.5
    disc = np.hypot(rows, columns) < 20
    return np.concatenate([images(), np.broadcast_to(disc[None, ..., None], (12, 48, 48, 1))], -1)


def _unit(*shape: int) -> torch.Tensor:
    return F.normalize(torch.randn(*shape), dim=1)


def _maps(*shape: int) -> torch.Tensor:
    return F.normalize(torch.rand(*shape), p=1, dim=1)


def _discriminate(maps: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(1)
    network_loss, own_loss = losses.adversarial_losses(Discriminator(2), maps, masks)
    return network_loss + own_loss


def _steep(masks: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(1)
    curved = torch.nn.Sequential(Discriminator(2), torch.nn.Softplus())  # its slope changes
    return losses.gradient_penalty(curved, masks)


def _soften(masks: torch.Tensor) -> torch.Tensor:
    torch.manual_seed(1)
    return (soften(masks) ** 3).mean()


def _some_patches(anchors: torch.Tensor, positives: torch.Tensor, seen: torch.Tensor):
    return losses.patch_discrimination(anchors, positives, counted=seen)


def _gathered(first: torch.Tensor, second: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    prototypes = torch.eye(5, first.shape[1])
    similarity = torch.cat([first, second]) @ prototypes.T
    assigned = balanced_assignment(similarity, counted=seen.repeat(2))
    return prototype_discrimination(first, second, prototypes, assigned)


def _entropy(clusters: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    return losses.cluster_entropy(clusters, inside.double())


def loss_calls() -> dict:
    """Each loss with arguments of a whole batch of four; all are shared, the last as it is."""
    torch.manual_seed(0)
    blocks = (torch.rand(4, 1, 4, 4) < 0.5).double()
    dense = losses.dense_contrast
    partners = torch.randint(16, (4, 16))
    seen, inside = torch.arange(12) % 4 != 3, torch.rand(4, 1, 6, 6) < 0.5
    return {
        "patch": (losses.patch_discrimination, _unit(12, 8), _unit(12, 8)),
        "mixup": (
            losses.hypersphere_mixup,
            *(_unit(4, 8, 3, 3) for _ in range(3)),
            torch.rand(4),
        ),
        "patch in the field of view": (_some_patches, _unit(12, 8), _unit(12, 8), seen),
        "assignment": (_gathered, _unit(12, 8), _unit(12, 8), seen),
        "region": (losses.region_discrimination, _unit(4, 8, 6, 6), _maps(4, 5, 6, 6)),
        "entropy": (losses.cluster_entropy, _maps(4, 5, 6, 6)),
        "area": (losses.cluster_area, _maps(4, 5, 6, 6)),
        "entropy in the field of view": (_entropy, _maps(4, 5, 6, 6), inside),
        "dice": (losses.soft_dice_loss, torch.rand(4, 2, 6, 6), _maps(4, 2, 6, 6)),
        "guided": (losses.guided_loss, torch.rand(4, 2, 6, 6), _maps(4, 2, 6, 6)),
        "calibrate": (losses.calibration_loss, torch.rand(4, 2, 6, 6), _maps(4, 2, 6, 6)),
        "confident": (losses.confident_loss, torch.rand(4, 2, 6, 6), torch.rand(4, 2, 6, 6)),
        "adversary": (_discriminate, torch.rand(4, 2, 32, 32), torch.rand(4, 2, 32, 32)),
        "penalty": (_steep, torch.rand(4, 2, 32, 32)),
        "prior area": (losses.prior_area_loss, torch.rand(4, 2, 6, 6), torch.rand(4, 2, 6, 6)),
        "soft masks": (_soften, torch.rand(4, 2, 6, 6)),
        "info_nce": (losses.info_nce, _unit(4, 8), _unit(4, 8)),
        "dense": (dense, _unit(4, 8, 16), _unit(4, 8, 16), partners),
        "reconstruction": (
            losses.masked_reconstruction,
            torch.rand(4, 3, 4, 4),
            torch.rand(4, 3, 4, 4),
            blocks,
        ),
    }


def losses_and_gradients() -> dict[str, torch.Tensor]:
    """Of every loss the value for the whole batch, and its gradient by each argument."""
    found = {}
    with process_group(CPU):
        for name, (loss, *arguments) in loss_calls().items():
            own = [own_share().take(argument).clone() for argument in arguments]
            variable = [
                argument.requires_grad_() for argument in own if argument.dtype.is_floating_point
            ]
            value = loss(*own)
            value.backward()
            found[f"loss {name}"] = average(value.detach())
            for i, argument in enumerate(variable):
                if argument.grad is not None:
                    found[f"loss {name}, gradient {i}"] = gather(argument.grad / n_processes())
    return found


class _KeepGradients(Callback):
    order = 1000  # after they are averaged

    def __init__(self):
        self.kept = []

    def before_step(self):
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        self.kept.append(torch.cat([gradient.flatten() for gradient in gradients]))


def network_gradients() -> dict[str, torch.Tensor]:
    """Gradients of the network at the first step of each stage."""
    found = {}
    with process_group(CPU):
        for stage in range(2):
            torch.manual_seed(3)
            keep = _KeepGradients()
            learn = stage_learner(TwoBranchNet(n_clusters=3), images(), SETTINGS, stage)
            learn.add_cb(keep).fit(1)
            found[f"stage {stage + 1}"] = keep.kept[0]
    return found


def pairs() -> LabelledPairs:
    """Mosaics with discs as their masks."""
    rows, columns = np.mgrid[:48, :48]
    discs = np.stack([np.hypot(rows - 2 * i - 12, columns - 24) < 10 for i in range(12)])
    inside = np.ones((12, 48, 48), bool)
    masks = np.stack([discs, discs[::-1]], 1)  # disc and fovea
    return LabelledPairs(images(), masks, inside, 32, (0.5, 0.9))


def trainings(folder: Path) -> dict[str, torch.Tensor]:
    """The weights after short trainings of every kind."""
    seen = dict(field_of_view=True)
    gathered = replace(SETTINGS, stages=OURS, epochs=(1, 1, 1), views=seen)
    nets = {
        "ldr": train(images(), SETTINGS, folder / "ldr", "cpu")[0],
        "prototypes": train(with_field_of_view(), gathered, folder / "prototypes", "cpu")[0],
    }
    short = replace(SETTINGS, epochs=(1, 1), steps=1)
    for method in ("instance", "dense", "autoencoder"):
        nets[method] = pretrain(method, images(), short, folder / method, "cpu")[0]
    small = dict(pairs=2, view_size=32, steps=1, n_clusters=4)
    for method in ("adversarial", "combined"):
        settings = GuidedSettings.for_tier("smoke", "disc", 1, method, **small)
        nets[method], _ = train_guided(
            images(),
            pairs(),
            guide_for("disc"),
            settings,
            folder / method,
            "cpu",
            teacher_images=images()[:1],
            after_epoch=_predict,
        )
    return {
        f"{method}: {name}": value.detach().clone()
        for method, net in nets.items()
        for name, value in net.state_dict().items()
    }


def _predict(net) -> None:
    """A function for the first process alone may use losses; nothing waits for the others."""
    assert is_first() and n_processes() == 1
    losses.soft_dice_loss(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2))


def order_of_images() -> torch.Tensor:
    """Which images are in the batches of two epochs, in the order of one process."""
    marked = images()
    marked[:, 0, 0, 0] = range(12)
    with process_group(CPU):
        torch.manual_seed(0)
        loader = image_batches(marked, pairs=2, steps=6, share=own_share())
        halves = [batch[:, 0, 0, 0].reshape(2, -1) for (batch,) in loader]
        return torch.stack([torch.cat(list(gather(h.T.contiguous()).T)) for h in halves])


class _StopOnOne(Callback):
    """Stops the fit in the last process only."""

    order = 50

    def after_batch(self):
        if own_share().number == own_share().of - 1 and self.iter == 1:
            raise CancelFitException


def uneven_end() -> torch.Tensor:
    """Steps that were taken when one process stopped after two of six."""
    rows, settings = [], replace(SETTINGS, steps=6)
    with process_group(CPU):
        torch.manual_seed(3)
        learn = stage_learner(TwoBranchNet(n_clusters=3), images(), settings, 0, rows)
        learn.add_cb(_StopOnOne()).fit(1)
        return torch.tensor(learn.iter)


def stop_after_first_epoch(folder: Path) -> None:
    """A training that ends with a checkpoint of its first epoch."""

    def stop(self):
        write(self)
        raise KeyboardInterrupt

    write, Checkpoint.after_train = Checkpoint.after_train, stop
    try:
        train(images(), SETTINGS, folder, "cpu")
    except KeyboardInterrupt:
        pass
    finally:
        Checkpoint.after_train = write


def unequal_shares(folder: Path) -> str:
    """What is said of a batch that two processes cannot share."""
    try:
        train(images(), replace(SETTINGS, pairs=3), folder, "cpu")
    except ValueError as error:
        return str(error)


def everything(folder: Path) -> None:
    """Results of one process, or of several together, into `results.pt`."""
    found = losses_and_gradients() | network_gradients() | trainings(folder)
    found["order"] = order_of_images()
    alone = int(os.environ.get("WORLD_SIZE", 1)) == 1
    if not alone:
        found["stopped"] = uneven_end()
        found["refused"] = unequal_shares(folder / "refused")
        resumed, _ = train(images(), SETTINGS, folder.parent / "begun", "cpu", resume=True)
        found |= {f"resumed: {name}": value for name, value in resumed.state_dict().items()}
    if is_first():
        torch.save(found, folder / "results.pt")
    if alone:
        stop_after_first_epoch(folder.parent / "begun")


def slow_training(folder: Path) -> None:
    """A training that says when it has taken a step, with its process."""
    step = LossLog.after_batch

    def slow_step(self):
        step(self)
        process = os.environ.get("RANK", 0), os.getpid()
        sys.stdout.write(f"step {self.stage} {self.epoch} {process[0]} {process[1]}\n")  # at once
        sys.stdout.flush()
        time.sleep(0.2)

    LossLog.after_batch = slow_step
    train(images(), SETTINGS, folder, "cpu", resume=True)


def bad_images(folder: Path) -> None:
    """A training that only the last process cannot do."""
    bad = images()[:1] if not is_first() else images()
    train(bad, SETTINGS, folder, "cpu")


PROGRAMS = {
    program.__name__: program for program in (everything, slow_training, bad_images, unequal_shares)
}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    with doubles():
        PROGRAMS[sys.argv[1]](Path(sys.argv[2]))
