"""Segmentation of the user's own images: cross-validation of several starts, and a segmenter of
each to keep.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from ..data import checks
from ..data.checks import several, whole
from ..data.checksums import sealed, unsealed
from ..data.errors import DataError
from ..data.files import atomic_write
from ..data.names import safe_name, safe_text
from ..data.own_images import MODALITIES
from ..pretrained import SHIPPED
from ..runs.processes import SomeFailed
from .experiment import ONE_LABEL_STEPS, budget, cell_label, segmenters
from .own_masks import LabelledFolder
from .own_plan import OwnStudy, keep_plan, open_study, plan_of, require_masks, results_folder, start
from .own_table import results, summary
from .saved import SeenAs, origin_of, save_segmenter
from .segmenter import score
from .settings import TransferSettings
from .starts import own_weights


@dataclass
class _Part:
    """Some of the prepared images."""

    images: np.ndarray
    masks: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.images)


def own_study(
    images: Path | str,
    masks: Path | str,
    out: Path | str,
    inits: tuple[str, ...] = ("ldr",),
    labels: tuple[int, ...] = (0,),
    seeds: tuple[int, ...] = (0,),
    folds: int = 5,
    split: Path | str | None = None,
    structure: str = "structure",
    values: tuple[int, ...] = (),
    modality: str | None = None,
    fine: bool | None = None,
    allow_empty: bool = False,
    tier: str = "study",
    steps: int | None = None,
    device: str = "auto",
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Measures how well a structure is segmented in your own images, start by start, and keeps a
    segmenter of each start for `predict_folder`.

    Each image is tested once, by networks that were trained without it. What is finished stays in
    `out`: the same call goes on where it was interrupted, and a call with more starts, labels or
    seeds adds them. `out` then holds `images.csv` (a row for each image), `summary.csv`,
    `split.csv` (the folds, which can be given again as `split`), and a segmenter of each start,
    trained on all images or on those of the fold "train".

    Args:
        images: Folder of the images.
        masks: Folder of their masks, named like their images; 0 and 1 or 0 and 255.
        out: Folder of the results; new, or of an earlier call with the same images and settings.
        inits: Starts as in `initial_encoder`; "ldr" and others that come with the package are those
            of the modality.
        labels: Labelled images in each fold; 0 takes all.
        seeds: Of the labelled images, the decoder and the crops.
        folds: Number of folds, where no split is given.
        split: A table with the columns "image" and "fold", as in `folds_of`.
        structure: What the masks show; "vessel" is measured by its centre lines, too, all others by
            the distance of borders.
        values: Values of the structure in the masks, where they are others than 1 or 255.
        modality: "fundus", "chest" or "other"; None decides by the majority of images.
        fine: Whether the structure is fine, such as vessels and small lesions: images are then seen
            at 384 pixels in crops, otherwise at 128 as a whole. None decides by the masks.
        allow_empty: Whether a mask may be empty, because the image does not show the structure.
            Such images are tested, not trained on.
        tier: As in `TransferSettings.for_tier`.
        steps: Of each of the two stages, frozen and fine-tuned; None takes the tier's.
        device: As in `pick_device`.
        say: Is given each line about what is done.

    Returns:
        The table of `summary`.

    Raises:
        DataError: Images, masks, starts or `out` cannot be used; the message says why.
        SomeFailed: Trainings failed; the others are kept, and the same call tries these again.
        ValueError: An argument makes no sense.

    Taught in notebook 05, section 6.
    """
    inits = tuple(dict.fromkeys(map(str, several(inits, "inits", "starts"))))
    labels = sorted({whole(n, "labels") for n in several(labels, "labels", "numbers of images")})
    seeds = sorted({checks.seed(seed) for seed in several(seeds, "seeds", "seeds")})
    settings = TransferSettings.for_tier(tier, **({} if steps is None else {"steps": steps}))
    out = results_folder(out)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # `_introduce` says each doubt once
        dataset = LabelledFolder(images, masks, structure, values, modality)
        study = open_study(dataset, fine, split, folds, settings, out, device)
    require_masks(study, max(labels), checks.flag(allow_empty, "allow_empty"))
    for init in inits:
        start(init, study, seeds[0])
    keep_plan(study)
    _introduce(study, inits, say)
    _measure_all(study, list(product(labels, seeds, inits, study.tested_folds())), say)
    table = _write_tables(study)
    for init in inits:
        _keep_segmenter(study, init, seeds[0], say)
    return table


def _introduce(study: OwnStudy, inits: tuple[str, ...], say: Callable[[str], None]) -> None:
    """Says what was decided, and by which option it is decided otherwise."""
    dataset, task = study.dataset, study.task
    for line in dataset.report():
        say(line)
    seen = "fine, seen in crops at" if task.turn else "large, seen as a whole at"
    say(f"{len(dataset)} images with masks, taken for {MODALITIES[dataset.modality]} (--modality)")
    say(f"{task.structure}: {seen} {task.size} pixels (--fine, --no-fine)")
    counts = ", ".join(f"{fold}: {len(study.rows(fold))}" for fold in study.tested_folds())
    say(f"images tested in fold {counts}; all folds are in {study.out / 'split.csv'}")
    say(f"each network: {study.settings.steps} steps frozen, as many fine-tuned (--steps)")
    if study.settings.patience:
        say("or fewer: training ends when a fifth of the images, set aside, is found no better;")
        say(f"with one label the looks decide nothing, and it ends after {ONE_LABEL_STEPS} steps")
    if dataset.modality == "other" and set(inits) & set(SHIPPED):
        say("the encoders of the package saw no images of this kind: compare with --init random")


def _cell_path(study: OwnStudy, labels: int, seed: int, init: str, fold: str) -> Path:
    name = cell_label(f"fold-{safe_text(fold)}", init, labels, seed, study.settings.tier)
    return study.out / "cells" / f"{name}.json"


def _read_cell(path: Path) -> dict | None:
    """A finished cell; None where there is none, or a damaged one."""
    try:
        return unsealed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _measure_all(study: OwnStudy, cells: list[tuple], say: Callable[[str], None]) -> None:
    """Measures the cells that are not there yet, and says what each has given."""
    todo = []
    for cell in cells:
        kept = _read_cell(_cell_path(study, *cell))
        if kept is None or kept["weights"] != own_weights(cell[2]):
            todo.append(cell)
            if kept is not None:
                say(f"{cell[2]} has changed since it was measured: fold {cell[3]} is repeated")
    done = f", {len(cells) - len(todo)} of them done before" if len(todo) < len(cells) else ""
    say(f"{len(cells)} trainings{done}")
    began, failed = time.monotonic(), {}
    for i, cell in enumerate(todo, 1):
        try:
            found = _measure(study, *cell)
        except (DataError, OSError, RuntimeError, MemoryError) as error:
            failed[_words(*cell)] = str(error) or type(error).__name__
            say(f"{i} of {len(todo)}: failed: {_words(*cell)}")
            continue
        left = (time.monotonic() - began) / i * (len(todo) - i) / 60
        dice = ", ".join(
            f"{np.mean([row['Dice'] for row in rows.values()]):.3f} {protocol}"
            for protocol, rows in found["scores"].items()
        )
        say(f"{i} of {len(todo)}: {_words(*cell)}: Dice {dice}; {left:.0f} min left")
        path = _cell_path(study, *cell)
        with atomic_write(path) as temporary:
            temporary.write_text(sealed(found), encoding="utf-8")
    if failed:
        raise SomeFailed(failed, len(todo), "trainings")


def _words(labels: int, seed: int, init: str, fold: str) -> str:
    return f"{init}, {labels or 'all'} labels, seed {seed}, fold {fold}"


def _measure(study: OwnStudy, labels: int, seed: int, init: str, fold: str) -> dict:
    """Trains on the other folds and tests on this one, frozen and fine-tuned."""
    test = study.dataset.part(study.rows(fold))
    shown, number = study.shown_rows(fold), study.tested_folds().index(fold)
    draw = np.random.default_rng([seed, labels, number])
    chosen = np.sort(draw.choice(shown, labels, replace=False)) if labels else shown
    found = {
        "start": init,
        "labels": labels,
        "seed": seed,
        "fold": fold,
        "labelled": [study.folds.index[row] for row in chosen],
        "weights": own_weights(init),
        "scores": {},
    }
    label = _words(labels, seed, init, fold)
    for protocol, net in _trained(study, init, seed, fold, chosen, label):
        found["scores"][protocol] = score(net, study.task, test).to_dict("index")
    return found


def _trained(
    study: OwnStudy, init: str, seed: int, fold: str | None, chosen: np.ndarray, label: str
) -> Iterator:
    """The networks of a fold as `segmenters` trains them; test images play no part."""
    rows = study.training_rows(fold)
    masks = {name: study.prepared.masks[name][rows] for name in study.prepared.masks}
    part = _Part(study.prepared.images[rows], masks)
    settings = budget(replace(study.settings, seed=seed), len(chosen))
    own, watched = (np.searchsorted(rows, some) for some in (chosen, study.watched_rows(fold)))
    encoder = start(init, study, seed)
    return segmenters(
        *(encoder, study.task, part, own, settings, init == "scratch", study.device, label),
        looked_at=watched,
    )


def _write_tables(study: OwnStudy) -> pd.DataFrame:
    cells = [_read_cell(path) for path in sorted((study.out / "cells").glob("*.json"))]
    images = results([cell for cell in cells if cell])
    table = summary(images)
    for name, written in (("images", images), ("summary", table)):
        with atomic_write(study.out / f"{name}.csv") as temporary:
            written.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")
    return table


def _keep_segmenter(study: OwnStudy, init: str, seed: int, say: Callable[[str], None]) -> None:
    """Trains the segmenter of a start on all images, unless it is there."""
    path = study.out / f"segmenter_{safe_name(init)}.safetensors"
    about = {"plan": plan_of(study), "start": own_weights(init)}
    earlier = origin_of(path)
    if earlier == about:
        return
    if earlier is not None:
        say(f"{init} has changed since {path.name} was trained: it is replaced")
    shown = study.shown_rows(None)
    say(f"{path.name}: trained on {len(shown)} images")
    *_, (_, net) = _trained(study, init, seed, None, shown, path.stem)
    dataset = study.dataset
    ranges = {kind: list(one) for kind, one in dataset.ranges.items()}
    seen = SeenAs(study.task.structure, dataset.modality, dataset.channels, study.task.size, ranges)
    save_segmenter(net, seen, path, about)
