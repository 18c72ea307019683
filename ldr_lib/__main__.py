"""The command line: `python -m ldr_lib --help`."""

import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="Notebooks, sweeps, trainings and tables of the kit. Every command has its own --help.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

DataDir = Annotated[str, typer.Option(help="Folder of the datasets; default $LDR_DATA.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Tier = Annotated[str, typer.Option(help="smoke, short, class, study or full: how long it trains.")]
Parameter = Annotated[
    list[str],
    typer.Option(
        "-p", metavar="NAME=VALUE", help="Sets a parameter, as -p seed=1; may be repeated."
    ),
]
DATA = os.environ.get("LDR_DATA", "")
PLACES = "LDR_RUNS names a folder for runs, LDR_CACHE one for prepared images, LDR_DATA your images"


TOGETHER = ("pretrain", "guided")
"""Commands of which several processes, started by torchrun, do one."""
RESUMED = (*TOGETHER, "learn")
"""Commands that train: one that was stopped goes on."""
STOPPED = "stopped; finished runs are kept and are skipped next time"
GOES_ON = "stopped; the same command goes on after the last whole epoch"
NEXT_IMAGE = "stopped; the same command goes on with the next image"


def _say_once(text: str, err: bool = True) -> None:
    """Prints a text; of several processes the first that comes to it does."""
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        from .distributed import first_to_say

        if not first_to_say(text):
            return
    typer.echo(text, err=err)


def _one_process_unless(together: bool) -> None:
    if not together and int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise ValueError(
            f"torchrun starts several processes, and only {' and '.join(TOGETHER)} work on "
            "several together; start this command without it"
        )


def command(function: Callable) -> Callable:
    """Registers a command. Wrong arguments and unusable files end it with one sentence and status
    2; where some of several things failed, they are named and the status is 1.
    """

    @wraps(function)
    def guarded(*arguments, **options):
        from .data.errors import DataError
        from .runs.processes import Ended, SomeFailed

        for stream in (sys.stdout, sys.stderr):  # a name that the terminal cannot show is escaped
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        try:
            _one_process_unless(function.__name__ in TOGETHER)
            return function(*arguments, **options)
        except (DataError, ValueError) as error:
            _say_once(str(error))
            raise typer.Exit(1 if isinstance(error, SomeFailed) else 2) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            _say_once(f"{where}{error.strerror or error}. {PLACES}")
            raise typer.Exit(2) from error
        except (KeyboardInterrupt, Ended) as stop:
            said = {"predict": NEXT_IMAGE} | dict.fromkeys(RESUMED, GOES_ON)
            _say_once(said.get(function.__name__, STOPPED))
            raise typer.Exit(getattr(stop, "code", 130)) from None

    return app.command()(guarded)


def _one_by_one(work: Callable, items: list, what: str) -> None:
    """Does a piece of work for each item and prints what it gives; one that fails stops none."""
    from .data.errors import DataError
    from .runs.processes import SomeFailed

    failed = {}
    for item in items:
        try:
            typer.echo(work(item))
        except DataError as error:
            failed[str(item)] = str(error)
            typer.echo(f"failed: {item}", err=True)
    if failed:
        raise SomeFailed(failed, len(items), what)


@command
def execute(notebooks: Annotated[list[Path], typer.Argument(help="Notebooks to run.")]) -> None:
    """Run notebooks in place: their outputs are rewritten and figures/ is redrawn. One that fails
    stays as it was and does not stop the others; the status is then 1.
    """
    from .runs.notebooks import execute_in_place, keep_figures
    from .runs.parameters import parameters_of

    for notebook in notebooks:
        parameters_of(notebook)

    def execute_one(notebook: Path) -> Path:
        execute_in_place(notebook)
        return keep_figures(notebook.stem)

    _one_by_one(execute_one, notebooks, "notebooks")


@command
def sweep(
    notebook: Annotated[Path, typer.Argument(help="The notebook.")],
    grid: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE,VALUE",
            help="Values of a parameter, as --grid seed=0,1,2; all combinations are run. A value "
            "with a comma stands in double quotes, as in --grid 'data_dir=\"/a,b\",/c'.",
        ),
    ] = (),
    p: Parameter = (),
    f: Annotated[Path | None, typer.Option("-f", help="A YAML file of parameters.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once.")] = 2,
    cluster: Annotated[
        str, typer.Option(help="Address of a Dask scheduler; default: this machine.")
    ] = "",
    timeout: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Time that one run may take.")
    ] = None,
    keep: Annotated[
        bool, typer.Option(help="Keep the records with the project, under figures/.")
    ] = False,
) -> None:
    """Run a notebook over a grid of parameters; finished runs are skipped, failed ones run again.

    Values are of the kind that the notebook has: a text arrives letter by letter.
    The status is 1 where a run failed.

    Example: python -m ldr_lib sweep notebooks/02_two_branch_training.ipynb --grid seed=0,1,2
    """
    from .runs.cell import sweep_folder
    from .runs.parameters import given_parameters, grid_of, read_parameters
    from .runs.processes import SomeFailed
    from .runs.sweep import keep_records, run_sweep

    given, axes = given_parameters(p, notebook), grid_of(grid, notebook)
    if twice := given.keys() & axes[0].keys():
        raise ValueError(f"{', '.join(sorted(twice))} is given by -p and by --grid: choose one")
    fixed = (read_parameters(f) if f else {}) | given
    cells = [fixed | cell for cell in axes]
    table = run_sweep(notebook, cells, jobs, cluster, timeout)
    typer.echo(table.to_string(index=False))
    typer.echo(f"this table and the runs: {sweep_folder(notebook)}")
    if keep:
        typer.echo(f"{len(keep_records(notebook, cells))} records kept")
    failed = table[table["state"] == "failed"]
    if len(failed):
        raise SomeFailed(dict(zip(failed["folder"], failed["error"])), len(table), "runs")


@command
def compare(
    first: Annotated[Path, typer.Argument(help="Folder of a run, or its record.json.")],
    second: Annotated[Path, typer.Argument(help="Another one.")],
) -> None:
    """Say what differs between two runs: parameters, versions, code, images and results."""
    from .runs.records import compare as differences

    typer.echo(differences(first, second).to_string() or "nothing differs")


@command
def summary(
    notebook: Annotated[Path, typer.Argument(help="The notebook.")], p: Parameter = ()
) -> None:
    """Print means and standard deviations over a notebook's committed records, in Markdown.

    Example: python -m ldr_lib summary notebooks/00_quickstart.ipynb -p dataset=chase_db1
    """
    from .runs.parameters import check_parameters, given_parameters
    from .runs.records import summary as table

    chosen = check_parameters(notebook, given_parameters(p, notebook))
    typer.echo(table(notebook.stem, **chosen))


@command
def learn(
    way: Annotated[
        str,
        typer.Argument(
            help='"both", "embedding only", "clustering only", "published", or "rivals" for what '
            "needs no training."
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
    from .explore.learning import learning_study

    _say_once(str(learning_study(way, modality, steps, seed, data_dir, split)), err=False)


@command
def pretrain(
    modality: Annotated[str, typer.Argument(help="fundus or chest.")],
    method: Annotated[
        str,
        typer.Option(
            help="ldr, patch, patch_mixup, instance, dense, autoencoder, simulated (ldr on "
            "simulated images) or whole (ldr on whole images)."
        ),
    ] = "ldr",
    seed: Seed = 0,
    tier: Tier = "study",
    data_dir: DataDir = DATA,
) -> None:
    """Pretrain an encoder without labels (notebook 05); goes on where it was interrupted.

    Several GPUs: torchrun --nproc-per-node 4 -m ldr_lib pretrain fundus
    """
    from .transfer.pretraining import pretraining_study

    _say_once(str(pretraining_study(modality, method, seed, data_dir, tier)), err=False)


@command
def guided(
    network: Annotated[str, typer.Argument(help="vessel, disc or chest.")],
    prior: Annotated[
        str, typer.Option(help="Of vessels: octa, dsa, simulated, or a folder of masks.")
    ] = "simulated",
    method: Annotated[str, typer.Option(help="rendered, combined or adversarial.")] = "rendered",
    control: Annotated[
        str,
        typer.Option(
            help="What a comparison exchanges: none, shuffled, other structure, no region, "
            "no distractors, untrained, one label or from representation."
        ),
    ] = "none",
    seed: Seed = 0,
    tier: Tier = "study",
    data_dir: DataDir = DATA,
) -> None:
    """Train a network guided by a prior, test it on real images, keep its record (notebook 04);
    goes on where it was interrupted.

    Example: python -m ldr_lib guided vessel --prior octa --tier short

    Several GPUs: torchrun --nproc-per-node 4 -m ldr_lib guided vessel --tier full
    """
    from .guided.study import study

    _say_once(str(study(network, prior, method, control, seed, data_dir, tier)), err=False)


@command
def confidence(
    fit: Annotated[
        bool, typer.Option(help="First take the statistics from training images again.")
    ] = False,
    data_dir: DataDir = DATA,
) -> None:
    """Measure which wrong images the confidence of `predict` refuses, and which right ones."""
    from .guided import confidence_study

    if fit:
        typer.echo(confidence_study.fit(data_dir))
    typer.echo(confidence_study.measure(data_dir))


@command
def transfer(
    what: Annotated[
        list[str],
        typer.Argument(
            help="Folder of your own images, with --masks; or tasks of the kit, as disc_drions, "
            "where real takes the four on real images."
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
        from .transfer.experiment import cells

        _require_tasks(what, out or split)
        cells(list(what), list(init), list(labels or [1]), list(seed), data_dir, tier, jobs)
        return
    from .transfer.own_table import shown
    from .transfer.own_training import own_study

    if len(what) > 1 or out is None:
        raise ValueError(
            "own images are one folder, with a folder for the results, as in python -m ldr_lib "
            "transfer my_images --masks my_masks --out my_result"
        )
    table = own_study(
        *(what[0], masks, out, tuple(init), tuple(labels or [0]), tuple(seed), folds, split),
        *(structure, tuple(value or ()), modality or None, fine, allow_empty, tier, steps),
        say=typer.echo,
    )
    typer.echo(shown(table))
    typer.echo(f"mean ± sd between images [95 % interval]; each image and all segmenters: {out}")
    typer.echo(f"new images: python -m ldr_lib predict {out} NEW_IMAGES --out found")


def _require_tasks(tasks: list[str], of_own_images: Path | None) -> None:
    """A folder without its masks is no task, and tasks have no folder of results."""
    for name in tasks:
        if of_own_images or Path(name).is_dir():
            raise ValueError(
                f"{name} is {'a folder' if Path(name).is_dir() else 'given with --out or --split'}"
                ": say where the masks of your own images are, as in python -m ldr_lib transfer "
                "my_images --masks my_masks --out my_result"
            )


@command
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
    if structure:
        from .guided.folder import predict_folder

        report = predict_folder(what[0], structure, out, None, device, keep_doubtful)
        typer.echo(str(report))
        raise typer.Exit(int(bool(report.unusable)))
    from .transfer.saved import predict_folder, said

    table = predict_folder(*what, out, device, typer.echo)
    typer.echo(said(table, out))
    raise typer.Exit(int(table["mask"].isna().any()))


@command
def records(
    group: Annotated[
        str, typer.Argument(help="records, priors or transfer: a list in notebooks/runs.yaml.")
    ] = "records",
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once.")] = 2,
    dry_run: Annotated[bool, typer.Option(help="Only say what would run.")] = False,
    data_dir: DataDir = DATA,
) -> None:
    """Make the records of a declared list of runs; those with a current record are skipped. The
    status is 1 where a run failed.
    """
    from .reproduce import run_group

    run_group(group, data_dir, jobs, dry_run)


@command
def confirm(
    revision: Annotated[str, typer.Argument(help="Revision that made the records.")],
    jobs: Annotated[int, typer.Option(min=1, help="Runs at once.")] = 2,
    data_dir: DataDir = DATA,
) -> None:
    """Compare short runs of an earlier revision with the present code; where all numbers are equal,
    the records of that revision count as current.
    """
    from .runs.confirm import confirm as compare_runs

    outcome = compare_runs(revision, data_dir, jobs)
    for name, different in outcome.items():
        typer.echo(f"{name}: {', '.join(different[:5]) + ' differ' if different else 'equal'}")
    raise typer.Exit(int(any(outcome.values())))


@command
def baselines(data_dir: DataDir = DATA) -> None:
    """Measure filters, thresholds and mean masks on the test images of notebook 04."""
    from .guided.baselines import baselines as measure

    typer.echo(measure(data_dir))


@command
def page(
    out: Annotated[Path, typer.Argument(help="The HTML file that is written.")],
    snapshots: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a training with snapshots at several steps: the page gets a slider "
            "over them. Default: the network that comes with the kit."
        ),
    ] = None,
    modality: Annotated[
        str, typer.Option(help="fundus, chest or other; default: what the snapshots take.")
    ] = "",
    dataset: Annotated[
        str, typer.Option(help="Images that are shown; default: real ones that come with the kit.")
    ] = "",
    data_dir: DataDir = DATA,
    split: Annotated[str, typer.Option(help="Part of the dataset.")] = "test",
    images: Annotated[int, typer.Option(min=1, help="Number of images.")] = 4,
    side: Annotated[
        int | None,
        typer.Option(help="Pixels along a side; default: as many as fit in a page of 6 MB."),
    ] = None,
) -> None:
    """Write the explorer of notebook 03 as a page that needs no kernel.

    Example: python -m ldr_lib page learning.html --snapshots runs/my_training
    """
    from .explore.network_page import network_page

    typer.echo(network_page(out, snapshots, modality, dataset, data_dir, split, images, side))


@command
def localise(
    landmark: Annotated[
        list[str] | None,
        typer.Argument(help="Landmarks, as fovea_simulated; default: all of notebook 07."),
    ] = None,
    data_dir: DataDir = DATA,
) -> None:
    """Measure how well one chosen point finds a landmark in other images, beside what else could
    find it, and keep the records (notebook 07). The status is 1 where one could not be measured.

    Example: python -m ldr_lib localise fovea_simulated disc_drions
    """
    from .data.errors import one_of
    from .landmarks import LANDMARKS
    from .landmarks.study import study

    names = [one_of(name, LANDMARKS, "landmark") for name in landmark or LANDMARKS]
    _one_by_one(lambda name: study([name], data_dir)[0], names, "landmarks")


@command
def ship(
    what: Annotated[
        str, typer.Argument(help="encoders, representations, vessel, disc, chest, or figure.")
    ],
    data_dir: DataDir = DATA,
) -> None:
    """Put trained weights and their cards into the package, or draw what they find (figure)."""
    from .data.errors import one_of
    from .explore.shipping import ship as ship_representations
    from .guided.shipping import SHIPPED_RUNS, real_figure
    from .guided.shipping import ship as ship_guided
    from .transfer.pretraining import ship as ship_encoders

    one_of(what, ("encoders", "representations", "figure", *SHIPPED_RUNS), "thing to ship")
    if what == "encoders":
        typer.echo(ship_encoders())
    elif what == "representations":
        typer.echo(ship_representations())
    elif what == "figure":
        typer.echo(real_figure(data_dir))
    else:
        typer.echo(ship_guided(what))


@command
def tables() -> None:
    """Write figures/README.md: all result tables, from the committed records."""
    from .tables import write_tables

    typer.echo(write_tables())


@command
def benchmark(
    device: Annotated[
        str, typer.Option(help="cpu, cuda, ...; default: a GPU where there is one.")
    ] = "auto",
    steps: Annotated[
        int, typer.Option(min=1, help="Timed steps each, after two untimed ones.")
    ] = 5,
) -> None:
    """Time one training step of the kit against the same step written literally."""
    from .benchmark import measure

    typer.echo(measure(device, steps))


@command
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
    from .data.check import check as check_folder

    report = check_folder(folder, masks, modality or None, out)
    typer.echo(str(report))
    raise typer.Exit(int(report.problems > 0))


@command
def benchmark_input(
    n: Annotated[int, typer.Option(help="Number of small files.")] = 100_000,
    folder: Annotated[
        str, typer.Option(help="Keeps files and cache; default: a temporary folder.")
    ] = "",
    size: Annotated[int, typer.Option(help="Side of the prepared images in pixels.")] = 64,
    workers: Annotated[int, typer.Option(min=1, help="Most processes that read ahead.")] = 4,
) -> None:
    """Time the way from many small files to training batches."""
    from .benchmark_input import measure_input

    typer.echo(measure_input(n, folder, size, workers))


@command
def leaderboard(
    course: Annotated[Path, typer.Argument(help="Folder of the course, after autograding.")],
) -> None:
    """Print the scores of the graded project, best student first."""
    from .teaching import leaderboard as scores

    typer.echo(scores(course).to_string())


if __name__ == "__main__":
    sys.exit(app())
