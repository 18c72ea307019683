"""What to do with images of your own: check, train on, predict."""

from pathlib import Path
from typing import Annotated

import typer

from .options import DATA, DataDir, Tier

OF_OWN_IMAGES = ("out", "steps", "folds", "split", "structure", "value", "modality", "fine")
OF_OWN_IMAGES += ("allow_empty",)
"""Options of `transfer` that tasks of the kit do not have."""
OF_TASKS = ("jobs", "data_dir")
"""Its options that own images do not have."""


def check(
    folder: Annotated[Path, typer.Argument(help="Folder of images.")],
    masks: Annotated[Path | None, typer.Option(help="Folder of their masks.")] = None,
    modality: Annotated[
        str, typer.Option(help="fundus, chest or other; default: what most images look like.")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Write a contact sheet with contours here, a png.")
    ] = None,
) -> None:
    """Read a folder as a training would and list what was done to each image, problems first.

    Example: python -m ldr_lib check my_images --masks my_masks --out sheet.png
    """
    from ..data.check import check as check_folder

    report = check_folder(folder, masks, modality or None, out)
    typer.echo(str(report))
    raise typer.Exit(int(report.problems > 0))


def transfer(
    context: typer.Context,
    what: Annotated[
        list[str],
        typer.Argument(
            help="Folder of your own images, with --masks; or tasks of the kit, as disc_drions, "
            "where real takes the five on real images."
        ),
    ],
    masks: Annotated[
        Path | None, typer.Option(help="Folder of the masks of your own images.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results on them.")] = None,
    init: Annotated[
        list[str],
        typer.Option(
            help="Initialisation: random, scratch, ldr, instance, dense, autoencoder ... or the "
            "path of a safetensors file; may be repeated."
        ),
    ] = ("ldr",),
    labels: Annotated[
        list[int] | None,
        typer.Option(
            help="Labelled images, 0 takes all; may be repeated. Default: all of your own, 1 in a "
            "task."
        ),
    ] = None,
    seed: Annotated[list[int], typer.Option(help="Seed; may be repeated.")] = (0,),
    tier: Tier = "study",
    jobs: Annotated[int, typer.Option(min=1, help="Tasks: cells at once.")] = 1,
    data_dir: DataDir = DATA,
    steps: Annotated[
        int | None,
        typer.Option(help="Own images: steps of each stage; default: those of the tier."),
    ] = None,
    folds: Annotated[int, typer.Option(help="Own images: folds of the cross-validation.")] = 5,
    split: Annotated[
        Path | None,
        typer.Option(
            help="Own images: a csv table of image and fold instead, where train is never tested."
        ),
    ] = None,
    structure: Annotated[
        str, typer.Option(help="Own images: what the masks show; vessel measures centre lines.")
    ] = "structure",
    value: Annotated[
        list[int] | None,
        typer.Option(
            help="Own images: the structure's value in masks of several; may be repeated."
        ),
    ] = None,
    modality: Annotated[
        str, typer.Option(help="Own images: fundus, chest or other; default: what most look like.")
    ] = "",
    fine: Annotated[
        bool | None,
        typer.Option(
            "--fine/--no-fine",
            help="Own images: fine structures, as vessels and small lesions, are seen in crops of "
            "larger images; default: decided by the masks.",
        ),
    ] = None,
    allow_empty: Annotated[
        bool, typer.Option(help="Own images: an empty mask says that the structure is not there.")
    ] = False,
) -> None:
    """Measure segmentation with few labels: of your own images, or of the kit's tasks (notebook
    05). What is measured already is not measured again. The status is 1 where some of it failed.

    Own images: python -m ldr_lib transfer my_images --masks my_masks --out my_result

    Tasks: python -m ldr_lib transfer disc_drions --init random --init ldr --labels 1
    """
    if masks is None:
        from ..transfer.experiment import cells

        _require_tasks(what, _given(context, OF_OWN_IMAGES))
        cells(list(what), list(init), list(labels or [1]), list(seed), data_dir, tier, jobs)
        return
    from ..transfer.own_table import shown
    from ..transfer.own_training import own_study

    if len(what) > 1 or out is None:
        raise ValueError(
            "own images are one folder, with a folder for the results, as in python -m ldr_lib "
            "transfer my_images --masks my_masks --out my_result"
        )
    if unused := _given(context, OF_TASKS):
        raise ValueError(
            f"{unused}: only tasks of the kit have this, own images with --masks do not"
        )
    table = own_study(
        what[0],
        masks,
        out,
        inits=tuple(init),
        labels=tuple(labels or [0]),
        seeds=tuple(seed),
        folds=folds,
        split=split,
        structure=structure,
        values=tuple(value or ()),
        modality=modality or None,
        fine=fine,
        allow_empty=allow_empty,
        tier=tier,
        steps=steps,
        say=typer.echo,
    )
    typer.echo(shown(table))
    typer.echo(f"mean ± sd between images [95 % interval]; each image and all segmenters: {out}")
    typer.echo(f"new images: python -m ldr_lib predict {out} NEW_IMAGES --out found")


def _given(context: typer.Context, names: tuple[str, ...]) -> str:
    """Those of some options that stand on the command line, as it spells them."""
    options = {
        one.name: "/".join([*one.opts, *one.secondary_opts]) for one in context.command.params
    }
    sources = {name: context.get_parameter_source(name) for name in names}
    return ", ".join(options[name] for name in names if sources[name].name == "COMMANDLINE")


def _require_tasks(tasks: list[str], of_own_images: str) -> None:
    """A folder without its masks is no task, and tasks do not have the options of own images."""
    for name in tasks:
        if of_own_images or Path(name).is_dir():
            raise ValueError(
                f"{name} is {'a folder' if Path(name).is_dir() else f'given with {of_own_images}'}"
                ": say where the masks of your own images are, as in python -m ldr_lib transfer "
                "my_images --masks my_masks --out my_result"
            )


def predict(
    what: Annotated[
        list[Path],
        typer.Argument(
            metavar="[SEGMENTER] FOLDER",
            help="Folder of images; before it a segmenter that transfer has trained, file or "
            "folder, if there is no --structure.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results: new, or of the same command.")],
    structure: Annotated[
        str,
        typer.Option(
            help="What the networks of the package find: vessel, disc or fovea in photographs, "
            "lungs or heart in X-rays."
        ),
    ] = "",
    device: Annotated[
        str, typer.Option(help="cpu, cuda, ...; default: a GPU where there is one.")
    ] = "auto",
    keep_doubtful: Annotated[
        bool, typer.Option(help="With --structure: masks also where nothing counts as found.")
    ] = False,
) -> None:
    """Find a structure in a folder of images: one mask for each, at its own size. Masks that are
    there already are kept. The status is 1 where an image could not be used.

    With --structure there are also overlays, and areas.csv with areas and a confidence.

    Example: python -m ldr_lib predict my_images --structure vessel --out my_vessels

    Example: python -m ldr_lib predict my_result new_images --out found
    """
    if len(what) != (1 if structure else 2):
        raise ValueError(
            "predict takes a folder of images with --structure, or a segmenter and a folder of "
            f"images without, not {len(what)} paths {'with' if structure else 'without'} it"
        )
    if keep_doubtful and not structure:
        raise ValueError("--keep-doubtful needs --structure: a segmenter of yours doubts no mask")
    if structure:
        from ..guided.folder import predict_folder

        report = predict_folder(what[0], structure, out, None, device, keep_doubtful)
        typer.echo(str(report))
        raise typer.Exit(int(bool(report.unusable)))
    from ..transfer.saved import predict_folder, said

    table = predict_folder(*what, out, device, typer.echo)
    typer.echo(said(table, out))
    raise typer.Exit(int(table["mask"].isna().any()))
