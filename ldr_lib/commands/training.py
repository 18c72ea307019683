"""Trainings with or without a prior."""

from typing import Annotated

import typer

from .guard import say_once
from .options import DATA, DataDir, Seed, Tier


def learn(
    way: Annotated[
        str,
        typer.Argument(
            help='"both", "embedding only", "clustering only", "published", "no jitter", '
            '"half the jitter", "embedding only, no jitter", "embedding only, no mixup", or '
            '"rivals" for what needs no training.'
        ),
    ],
    modality: Annotated[str, typer.Option(help="fundus or chest.")] = "fundus",
    steps: Annotated[int, typer.Option(min=0, help="Of all stages; 0 is untrained.")] = 10_000,
    seed: Seed = 0,
    split: Annotated[
        str, typer.Option(help="Measure on train while choosing something, on test once.")
    ] = "test",
    data_dir: DataDir = DATA,
) -> None:
    """Train without labels, measure what was learned after 0, 10, 30, 100, ... steps and keep a
    record of each (notebook 02); goes on where it was interrupted.

    Example: python -m ldr_lib learn both --steps 1000 --split train
    """
    from ..explore.learning import learning_study

    say_once(str(learning_study(way, modality, steps, seed, data_dir, split)), err=False)


def switch(
    name: Annotated[
        str, typer.Argument(help='What is changed, as "K = 8"; an unknown one lists all.')
    ],
    modality: Annotated[str, typer.Option(help="fundus or chest.")] = "fundus",
    seed: Seed = 0,
    data_dir: DataDir = DATA,
) -> None:
    """Train both branches with one choice of ours changed, 1,000 steps, and keep what images of the
    training splits then show (notebook 02); goes on where it was interrupted.

    Example: python -m ldr_lib switch "K = 8"
    """
    from ..explore.switches import switch_study

    say_once(str(switch_study(name, modality, seed, data_dir)), err=False)


def pretrain(
    modality: Annotated[str, typer.Argument(help="fundus or chest.")],
    method: Annotated[
        str,
        typer.Option(help="instance, dense, autoencoder, patch, patch_mixup or regions."),
    ] = "instance",
    seed: Seed = 0,
    tier: Tier = "study",
    data_dir: DataDir = DATA,
) -> None:
    """Pretrain an encoder without labels (notebook 05); goes on where it was interrupted.

    Several GPUs: torchrun --nproc-per-node 4 -m ldr_lib pretrain fundus
    """
    from ..transfer.pretraining import pretraining_study

    say_once(str(pretraining_study(modality, method, seed, data_dir, tier)), err=False)


def guided(
    network: Annotated[str, typer.Argument(help="vessel, disc or chest.")],
    prior: Annotated[
        str, typer.Option(help="Of vessels: octa, dsa, simulated, or a folder of masks.")
    ] = "simulated",
    method: Annotated[
        str,
        typer.Option(help="rendered, combined, adversarial, or steadied: the adversary helped."),
    ] = "rendered",
    control: Annotated[
        str,
        typer.Option(
            help="What a comparison exchanges: none, shuffled, other structure, no region, "
            "no distractors, untrained, one label, from representation, representation alone; "
            '"shuffled, from representation" or "other structure, from representation".'
        ),
    ] = "none",
    seed: Seed = 0,
    tier: Tier = "study",
    data_dir: DataDir = DATA,
) -> None:
    """Train a network guided by a prior, test it on real images, keep its record (notebook 04c);
    goes on where it was interrupted.

    Example: python -m ldr_lib guided vessel --prior octa --tier short

    Several GPUs: torchrun --nproc-per-node 4 -m ldr_lib guided vessel --tier full
    """
    from ..guided.study import study

    say_once(str(study(network, prior, method, control, seed, data_dir, tier)), err=False)
