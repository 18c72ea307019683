"""The numbers of notebook 04: guided trainings over seeds, priors, methods and controls, tested on real photographs.

`python -m ldr_lib.prior_study vessel --prior octa --seed 0` trains one network, tests it and keeps its record with the project;
`python -m ldr_lib.prior_study baselines` measures what it is compared with; `make priors` runs all of them, `table` prints
them, `ship` puts the networks of the study into the package.
"""

import argparse
import json
import os
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from .classical import brightest_blob, dark_in_body, vesselness
from .checkpoint import load_model, save_model
from .data.datasets import DATASETS, open_dataset
from .data.files import DataError, written_whole
from .data.prepare import joint_fingerprint, prepare
from .data.simulate import chest, fundus
from .encoders import load_representation
from .explore import overlay, representation_sheet
from .guide import GUIDES, guide_for
from .guided import METHODS, train_guided
from .metrics import centre, centreline_dice, dice
from .network import TwoBranchNet
from .priors import MaskBank, mask_bank, vessel_prior
from .rendering import LabelledPairs, standardise
from .places import project_root, runs_folder
from .runs import Run, as_markdown, committed_records
from .simulated_pairs import WHOLE, SimulatedPairs
from .structures import WEIGHTS, GuidedNets, load_pretrained, predict_structure
from .tiers import guided_plan
from .vessel_pairs import VesselPairs

NAME = "04_prior_guided_clustering"
UNLABELLED = {"fundus": ("chase_db1", "hrf", "drions"), "chest": ("covid19_cxr_seg", "kermany")}
TESTED = {
    "vessel": ("chase_db1", "vessel"), "disc": ("drions", "disc"),
    "lungs": ("covid19_cxr_seg", "lungs"), "heart": ("covid19_cxr_seg", "heart"),
}
CONTROLS = ("none", "shuffled", "other structure", "no region", "no distractors", "untrained", "one label", "from representation")
IN_PACKAGE = (("vessel", "octa", "from-representation"), ("disc", "simulated", "none"), ("chest", "simulated", "none"))


def real_images(modality: str, data_dir: str, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """All unlabelled images of a modality, from the training splits.

    Returns:
        (N, S, S, C) uint8 images in their own light, (N, S, S) bool fields of view, the numbers of at most 25 images of each
        camera, and the fingerprint of all.
    """
    parts = [prepare(open_dataset(name, data_dir, "train"), size) for name in UNLABELLED[modality]]
    images = np.concatenate([part.originals for part in parts])
    ends = np.cumsum([0, *map(len, parts)])
    few = np.concatenate([np.linspace(a, b - 1, min(25, b - a)).round().astype(int) for a, b in zip(ends, ends[1:])])
    return images, np.concatenate([part.masks["field_of_view"] for part in parts]), few, joint_fingerprint(parts)


def disc_prior(n: int = 40, seed: int = 0) -> MaskBank:
    """Optic discs where vessels are asked for: the prior of another structure, a negative control."""
    return mask_bank([fundus(256, 10_000 + 100 * seed + i).masks["disc"] for i in range(n)], "simulated discs")


def test(net: TwoBranchNet, structure: str, data_dir: str, by: str = "cluster", split: str = "test") -> pd.DataFrame:
    """Overlap of a structure with its masks, image by image, at the images' own size and the fixed threshold 0.5.

    Returns:
        One row per image with "Dice", for vessels also "clDice".
    """
    name, mask = TESTED[structure]
    dataset, rows = open_dataset(name, data_dir, split), {}
    for sample in (dataset[i] for i in range(len(dataset))):
        rows[sample.name] = overlap(predict_structure(net, sample.image, structure, by) > 0.5, sample.masks[mask], structure)
    return pd.DataFrame(rows).T


def overlap(found: np.ndarray, truth: np.ndarray, structure: str) -> dict[str, float]:
    """"Dice", and for vessels "clDice"."""
    return {"Dice": dice(found, truth)} | ({"clDice": centreline_dice(found, truth)} if structure == "vessel" else {})


def fovea_found(net: TwoBranchNet | None, n: int = 50) -> pd.DataFrame:
    """How far from the simulated fovea its predicted centre lies, in disc diameters; without a network, the image's centre.

    Returns:
        One row per image: "distance" (infinite where nothing was found) and "within half a disc diameter".
    """
    rows, seed = {}, 2_000_000
    while len(rows) < n:
        sample = fundus(384, seed, lesions=False)
        seed += 1
        if sample.masks["fovea"].sum() < 0.15 * sample.masks["disc"].sum():
            continue  # the fovea lies beyond the rim
        at = centre(predict_structure(net, sample.image, "fovea")) if net else (191.5, 191.5)
        truth, diameter = centre(sample.masks["fovea"]), 2 * np.sqrt(sample.masks["disc"].sum() / np.pi)
        distance = np.hypot(at[0] - truth[0], at[1] - truth[1]) / diameter if at else np.inf
        rows[sample.name] = {"distance": distance, "within half a disc diameter": float(distance <= 0.5)}
    return pd.DataFrame(rows).T


def mean_mask(structure: str, n: int = 200) -> np.ndarray:
    """Pixels that belong to the structure in more than half of the simulated X-rays, (192, 192) bool."""
    name = WHOLE.get(structure, structure)
    return np.mean([chest(192, 500_000 + i).masks[name] for i in range(n)], axis=0) > 0.5


def fitted(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask stretched to an image's height and width."""
    return np.asarray(Image.fromarray(mask).resize(shape[1::-1], Image.Resampling.NEAREST))


def simulated_shapes(modality: str, n: int, seed: int = 0) -> np.ndarray:
    """Pictures of simulated priors, a colour for each structure, (n, 192, 192, 3) uint8.

    Taught in notebook 04, section 1.
    """
    simulate = {"fundus": fundus, "chest": chest}[modality]
    masks = [simulate(192, 300_000 + 100 * seed + i).masks for i in range(n)]
    first, second, third = {"fundus": ("vessel", "disc", "fovea"), "chest": ("lungs_whole", "heart", "heart")}[modality]
    return np.stack([np.stack([255 * m[name].astype(np.uint8) for name in (first, second, third)], -1) for m in masks])


def study(guided: str, prior: str, method: str, control: str, seed: int, data_dir: str, tier: str) -> Path:
    """Trains one network, tests it on real photographs and keeps its record with the project.

    Args:
        guided: "vessel", "disc" or "chest", as in `guide_for`.
        prior: "octa", "dsa" or "simulated" for the vessels; the other structures always come from simulation.
        method: As in `method_stages`.
        control: "none", or what is taken away or exchanged: one of `CONTROLS`.
        seed: Of everything random.
        data_dir: Folder of the datasets.
        tier: As in `guided_plan`.

    Returns:
        Path of the record.
    """
    if control not in CONTROLS:
        raise DataError(f'unknown control "{control}"; known are {", ".join(CONTROLS)}')
    label = "_".join([guided, prior, method, control.replace(" ", "-"), tier, str(seed)])
    parameters = dict(guided=guided, prior=prior, method=method, control=control, tier=tier, seed=seed)
    run = Run(NAME, parameters, str(runs_folder() / "records" / NAME / label))
    tier, size, n_images, settings = guided_plan(tier, guided, method, seed)
    guide = guide_for(guided)
    images, inside, few, fingerprint = real_images(guide.modality, data_dir, size)
    if control == "one label":
        labelled = prepare(open_dataset("chase_db1", data_dir, "train"), size)
        one = slice(6 * seed, 6 * seed + 1)
        seen = np.asarray(labelled.masks["field_of_view"][one])
        make_pairs = LabelledPairs(standardise(labelled.originals[one], seen), np.asarray(labelled.masks["vessel"][one])[:, None], seen, settings.view_size)
    elif guided == "vessel":
        bank = disc_prior(seed=seed) if control == "other structure" else vessel_prior(prior, data_dir, seed)
        make_pairs = VesselPairs(images, inside, bank, settings.view_size, control != "no distractors", control == "shuffled")
    else:
        make_pairs = SimulatedPairs(guide.modality, guide.structures, n_images, seed, settings.view_size)
    if control in ("no region", "one label"):
        last = {"guided": 1.0} if control == "no region" else {"calibrate": 1.0}
        settings = replace(settings, stages=({"guided": 1.0}, last))
    if control == "untrained":
        settings = replace(settings, epochs=(0, 0))
    start = load_representation(guide.modality, "cpu") if control == "from representation" else None
    if start:
        settings = replace(settings, n_clusters=start.n_clusters)
    if method == "combined":  # goes on from the rendered run
        begun = run.folder.with_name(label.replace(method, "rendered")) / "model.safetensors"
        if not begun.exists():
            study(guided, prior, "rendered", control, seed, data_dir, tier)
        start, settings = load_model(begun, "cpu"), replace(settings, stages=settings.stages[2:], epochs=settings.epochs[2:])
    images = standardise(images, inside)
    net, rows = train_guided(images, make_pairs, guide, settings, run.folder, data=fingerprint, start=start, teach=images[few])
    run.data(train=fingerprint)
    run.metrics(settings=json.loads(json.dumps(asdict(settings))), last_epoch={k: round(v, 4) for k, v in rows[-1].items()} if rows else {})
    for structure in guide.structures:
        if structure == "fovea":
            found = fovea_found(net)
            run.metrics(fovea=dict(found.mean(numeric_only=True).drop("distance")) | {"median distance": float(found["distance"].median())})
            continue
        for by in ("cluster", "prototype") if tier == "study" else (guide.by[structure],):
            table = test(net, structure, data_dir, by)
            run.metrics(**{f"{structure} by {by}": table.mean().round(4).to_dict(), f"{structure} by {by}, images": table})
    return run.keep(label)


def baselines(data_dir: str) -> Path:
    """What needs no training: filters, thresholds, mean masks, guesses and the second observer, on the test images."""
    run = Run(NAME, {"modality": "baselines", "seed": 0}, str(runs_folder() / "records" / NAME / "baselines"))
    chase = open_dataset("chase_db1", data_dir, "test")
    samples = [chase[i] for i in range(len(chase))]
    rows = {}
    for kind in ("frangi", "sato"):
        responses = [vesselness(sample.image, kind) for sample in samples]
        quantiles = np.arange(0.8, 0.97, 0.01)
        curve = [np.mean([dice(r > q, s.masks["vessel"]) for r, s in zip(responses, samples)]) for q in quantiles]
        for name, q in ((f"{kind}, top tenth", 0.9), (f"{kind}, oracle threshold", quantiles[int(np.argmax(curve))])):
            scores = [overlap(r > q, s.masks["vessel"], "vessel") for r, s in zip(responses, samples)]
            rows[name] = pd.DataFrame(scores).mean()
    rows["second observer"] = pd.DataFrame(
        [overlap(s.masks["vessel_second_observer"], s.masks["vessel"], "vessel") for s in samples]
    ).mean()
    run.metrics(vessel=pd.DataFrame(rows).T)
    drions = open_dataset("drions", data_dir, "test")
    run.metrics(disc={"brightest blob": float(np.mean([dice(brightest_blob(s.image), s.masks["disc"]) for s in map(drions.__getitem__, range(len(drions)))]))})
    xrays = open_dataset("covid19_cxr_seg", data_dir, "test")
    samples = [xrays[i] for i in range(len(xrays))]
    for structure in ("lungs", "heart"):
        mask = mean_mask(structure)
        scores = {"mean simulated mask": float(np.mean([dice(fitted(mask, s.image.shape), s.masks[structure]) for s in samples]))}
        if structure == "lungs":
            scores["Otsu inside the body"] = float(np.mean([dice(dark_in_body(s.image), s.masks["lungs"]) for s in samples]))
        run.metrics(**{structure: scores})
    run.metrics(fovea={"image centre": float(fovea_found(None)["within half a disc diameter"].mean())})
    return run.keep("baselines")


def ship(guided: str, label: str) -> Path:
    """Puts the network of a kept run into the package, at half precision, with a card of what it is.

    Args:
        guided: "vessel", "disc" or "chest"; the name of the files.
        label: Of the run's record.
    """
    record = json.loads((project_root() / "figures" / NAME / "records" / f"{label}.json").read_text())
    net = load_model(runs_folder() / "records" / NAME / label / "model.safetensors", "cpu")
    save_model(net.half(), WEIGHTS / f"{guided}.safetensors")
    parameters, settings = record["parameters"], record["metrics"]["settings"]
    epochs = list(settings["epochs"])
    if parameters["method"] == "combined":
        begun = json.loads((project_root() / "figures" / NAME / "records" / f"{label.replace('combined', 'rendered')}.json").read_text())
        epochs = begun["metrics"]["settings"]["epochs"] + epochs
    sets = [DATASETS[name] for name in UNLABELLED[net.guide.modality]]
    prior = {"vessel": f"vessel masks of the {parameters['prior']} prior", "disc": "simulated eyes", "chest": "simulated chests"}[guided]
    from_representation = parameters["control"] == "from representation"
    began = f"`load_representation(\"{net.guide.modality}\")`, itself trained without labels" if from_representation else "random weights"
    control = f' --control "{parameters["control"]}"' if from_representation else ""
    measured = [
        f"| {name} | {value['Dice']:.3f} |" for name, value in record["metrics"].items() if isinstance(value, dict) and "Dice" in value
    ]
    card = f"""# Pretrained network: {guided}

- **Finds** {", ".join(net.guide.structures)}. Clusters of the clustering branch: {net.guide.clusters}.
- **Data** training splits of {", ".join(kind.title for kind in sets)}, without any label; {prior}.
- **Terms** {"; ".join(f"{kind.title}: {kind.terms}" for kind in sets)}.
- **Begins** with {began}.
- **Steps** {settings["steps"]} x {epochs} in the stages of method "{parameters["method"]}", each of {settings["rendered"]} images, rendered ones or in a third stage half of them real; in the second {5 * settings["pairs"]} views of real ones beside them.
- **Seed** {parameters["seed"]}; not chosen among seeds. Weights rounded to half precision.
- **Made by** `python -m ldr_lib.prior_study {guided} --prior {parameters["prior"]} --method {parameters["method"]} --tier {parameters["tier"]} --seed {parameters["seed"]}{control}`

Dice on the test splits, at the images' own size, threshold 0.5 (the run's record: figures/{NAME}/records/{label}.json):

| way | Dice |
|---|---|
{chr(10).join(measured)}

For research and teaching, not for diagnosis.
"""
    with written_whole(WEIGHTS / f"{guided}.md") as temporary:
        temporary.write_text(card)
    return WEIGHTS / f"{guided}.safetensors"


def real_figure(data_dir: str) -> Path:
    """The picture of the README: priors above, below what the shipped networks find in test photographs and X-rays (CC BY 4.0)."""
    eye, body, n = load_pretrained("fundus"), load_pretrained("chest"), 6
    photographs, x_rays = (open_dataset(name, data_dir, "test") for name in ("hrf", "kermany"))
    photographs, x_rays = ([of[i * len(of) // n].image for i in range(n)] for of in (photographs, x_rays))
    colours = {"vessel": (1.0, 1.0, 0.2), "disc": (0.2, 0.6, 1.0), "fovea": (0.2, 1.0, 0.2), "lungs": (0.0, 0.9, 1.0), "heart": (1.0, 0.4, 0.3)}

    def found(nets: GuidedNets, image: np.ndarray) -> np.ndarray:
        painted = image
        for structure in nets.structures:
            mask = predict_structure(nets, image, structure) > 0.5
            painted = (255 * overlay(painted, mask, colours[structure])).astype(np.uint8)
        return painted

    small = lambda images: [image[:: max(1, len(image) // 256), :: max(1, len(image) // 256)] for image in images]
    rows = {
        "prior: OCTA vessels": vessel_prior("octa", data_dir).masks[:n], "prior: disc, fovea": simulated_shapes("fundus", n),
        "photographs": small(photographs), "found in photographs": small([found(eye, image) for image in photographs]),
        "prior: lungs, heart": simulated_shapes("chest", n), "X-rays": small(x_rays),
        "found in X-rays": small([found(body, image) for image in x_rays]),
    }
    path = project_root() / "figures" / NAME / "records" / "found_real.png"
    with written_whole(path) as temporary:
        representation_sheet(rows).savefig(temporary, format="png", dpi=75)
    return path


def study_table() -> pd.DataFrame:
    """What the committed runs measured: one row for each way, mean ± standard deviation over its seeds.

    Taught in notebook 04, section 9.
    """
    ways, rows = {}, {}
    for record in committed_records(NAME):
        if "control" in record["parameters"]:
            ways.setdefault(_way(record["parameters"]), []).append(record["metrics"])
    for (guided, name, tier), runs in ways.items():
        guide = guide_for(guided)
        for structure in guide.structures:
            for by in ("cluster", "prototype"):
                scores = [pd.Series(run[f"{structure} by {by}"]) for run in runs if f"{structure} by {by}" in run]
                if scores and by == guide.by[structure]:
                    rows[structure, name] = _spread(pd.DataFrame(scores))
                elif scores and tier == "study":
                    rows[structure, f"{name}, by {by}"] = _spread(pd.DataFrame(scores))
            scores = [{"found": run[structure]["within half a disc diameter"]} for run in runs if structure in run]
            if scores:
                rows[structure, name] = _spread(pd.DataFrame(scores))
    for record in (r for r in committed_records(NAME) if r["parameters"].get("modality") == "baselines"):
        for structure, table in record["metrics"].items():
            for name, value in table.items():
                value = value if isinstance(value, dict) else {"found" if structure == "fovea" else "Dice": value}
                rows[structure, name] = {key: f"{number:.3f}" for key, number in value.items()} | {"seeds": ""}
    table = pd.DataFrame(rows).T.fillna("")
    order = ("vessel", "disc", "fovea", "lungs", "heart")
    return table.loc[[key for structure in order for key in table.index if key[0] == structure]]


def study_markdown() -> str:
    """`study_table` as the README shows it."""
    table = study_table()
    body = [[structure, way, *values] for (structure, way), values in zip(table.index, table.values)]
    return as_markdown(["structure", "way", *table.columns], body)


def _way(parameters: dict) -> tuple[str, str, str]:
    """Guide, what was done in words, and tier of a record."""
    guided, control, tier = (parameters[key] for key in ("guided", "control", "tier"))
    words = []
    if control not in ("untrained", "one label"):
        words = [parameters["method"]] if guided != "vessel" else [f"{parameters['prior']} prior", parameters["method"]]
    words += [{"one label": "supervised with one label"}.get(control, control)] if control != "none" else []
    return guided, ", ".join(words + ([tier] if tier != "study" else [])), tier


def _spread(scores: pd.DataFrame) -> dict[str, str]:
    spread = scores.std() if len(scores) > 1 else scores.mean() * np.nan
    return {name: f"{scores[name].mean():.3f} ± {spread[name]:.3f}" for name in scores} | {"seeds": str(len(scores))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=[*GUIDES, "baselines", "ship", "figure", "table"])
    parser.add_argument("--prior", default="simulated", help="vessels: octa, dsa, simulated, or a folder of masks")
    parser.add_argument("--method", default="rendered", choices=METHODS)
    parser.add_argument("--control", default="none", choices=CONTROLS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tier", default="study", help="smoke, short, class, study or full")
    parser.add_argument("--data-dir", default=os.environ.get("LDR_DATA", ""))
    chosen = parser.parse_args()
    try:
        if chosen.what == "baselines":
            print(baselines(chosen.data_dir))
        elif chosen.what == "figure":
            print(real_figure(chosen.data_dir))
        elif chosen.what == "table":
            print(study_markdown())
        elif chosen.what == "ship":
            for guided, prior, control in IN_PACKAGE:
                print(ship(guided, f"{guided}_{prior}_{chosen.method}_{control}_{chosen.tier}_{chosen.seed}"))
        else:
            print(study(chosen.what, chosen.prior, chosen.method, chosen.control, chosen.seed, chosen.data_dir, chosen.tier))
    except DataError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
