"""One valid call of every public function, on tiny inputs; the table of bad inputs changes one
argument of it at a time.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from PIL import Image

import ldr_lib
from ldr_lib import (
    Encoder,
    GuidedSettings,
    Run,
    Settings,
    TwoBranchNet,
    ViewMaker,
    evaluation,
    explore,
    guided,
    landmarks,
    losses,
    metrics,
    prototypes,
    runs,
    save_model,
    similarity,
    teaching,
    transfer,
)
from ldr_lib.data import augment, batches, crop
from ldr_lib.data.prepare import Prepared
from ldr_lib.data.simulate import Sample
from ldr_lib.evaluation import Comparison
from ldr_lib.explore import Point, Scene
from ldr_lib.guided import postprocess, predict, vessel_pairs
from ldr_lib.runs.ledger import COLUMNS
from ldr_lib.structures import Guide, Structure, guide_for
from ldr_lib.tiers import PATCH_STAGE, TRAINING, values_for

RNG = np.random.default_rng(0)
N, S, D, K = 2, 32, 4, 3
GUIDE = Guide("chest", (Structure("heart", (0,), sizes=(32,)),))
TASK = next(iter(teaching.stored_values()))
SMALL = dict(n_clusters=K, embedding_dim=D, pairs=1, view_size=32, grid=2, steps=1)


def images(channels: int = 3, n: int = N, side: int = S) -> np.ndarray:
    return RNG.integers(1, 255, (n, side, side, channels), dtype=np.uint8)


def network(channels: int = 3, guide: Guide | None = None) -> TwoBranchNet:
    net = TwoBranchNet(channels, D, K)
    net.guide = guide
    return net.eval()


def mask(side: int = S) -> np.ndarray:
    found = np.zeros((side, side), bool)
    found[8:24, 8:20] = True
    return found


def prepared() -> Prepared:
    pixels, structure = images(), np.stack([mask()] * N)
    masks = {"field_of_view": np.ones((N, S, S), bool), "disc": structure, "vessel": ~structure}
    boxes = np.array([[0, 0, S, S]] * N)
    return Prepared(pixels, pixels, masks, ["a", "b"], boxes, [], "0" * 32)


def unit_vectors(*shape: int) -> np.ndarray:
    values = RNG.normal(size=shape).astype(np.float32)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def scene() -> Scene:
    return Scene(
        ["a", "b"],
        images(),
        np.ones((N, S, S), bool),
        unit_vectors(N, S, S, D),
        RNG.integers(0, K, (N, S, S)),
        K,
    )


def photograph(side: int = 96) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side]
    inside = np.hypot(rows - side / 2, columns - side / 2) < 0.45 * side
    texture = 120 + 20 * RNG.random((side, side))
    return (inside[..., None] * texture[..., None] * [1.0, 0.6, 0.4]).astype(np.uint8)


def bank() -> guided.MaskBank:
    return guided.mask_bank([mask()], "squares", 64)


def pairs_of(channels: int = 1) -> augment.LabelledPairs:
    inside = np.ones((N, S, S), bool)
    return augment.LabelledPairs(
        images(channels), np.stack([mask()[None]] * N), inside, 32, (0.5, 1.0)
    )


def transfer_rows() -> pd.DataFrame:
    scores = pd.Series([0.5, 0.6], ["a", "b"])
    cells = [
        dict(task=task, protocol=protocol, labels=1, seed=seed, init=init, Dice=0.5 + 0.01 * seed)
        | {"images": scores, "between images": 0.1}
        for task in ("vessel_chase_db1", "disc_drions")
        for protocol in ("frozen", "fine-tuned")
        for seed in range(3)
        for init in ("random", "instance", "dense", "autoencoder", "ldr")
    ]
    return pd.DataFrame(cells)


def ledger_rows() -> pd.DataFrame:
    row = dict.fromkeys(COLUMNS, "") | dict(mechanism="ours", state="not run", low=np.nan, images=1)
    index = pd.MultiIndex.from_tuples([("a", "hrf")], names=["claim", "data"])
    return pd.DataFrame([row], index, COLUMNS, dtype=object)


class OneImage:
    """A test split of one X-ray with a heart."""

    name, split, modality = "one", "test", "chest"

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return Sample(images(1)[0, ..., 0], {"heart": mask()}, "one")


def gallery() -> landmarks.Gallery:
    pictures = images(3, N, 64)
    inside = np.ones((N, 64, 64), bool)
    places = [np.array([[30.0, 20.0]])] * N
    return landmarks.Gallery(pictures, pictures, inside, places, np.ones(N), ["a", "b"], "0" * 32)


def landmark_scores() -> pd.DataFrame:
    return pd.DataFrame(0.5, ["this kit"], landmarks.study.MEASURES)


def first_segmenter(**arguments) -> tuple[str, transfer.Segmenter]:
    return next(transfer.segmenters(**arguments))


def example_of(shape, **options) -> torch.Tensor:
    return teaching.example(*shape, **options)


def gradient_of(function, inputs, **options) -> torch.Tensor:
    return teaching.gradient(function, *inputs, **options)


def checked_value(task: str, tolerance: float) -> None:
    teaching.check_value(task, teaching.stored_values()[TASK]["value"], tolerance)


def line_of(power: int) -> Figure:
    figure = Figure()
    figure.subplots().plot([0, power])
    return figure


def shown_source(function) -> None:
    teaching.show_source(function)


def valid_calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    """Name to a function and arguments with which it works.

    Args:
        folder: Empty; calls that write do it below.
    """
    net, grey_net = network(), network(1, GUIDE)
    save_model(net, folder / "net.safetensors")
    x, y = images(), images(1)
    inside, truth = np.ones((N, S, S), bool), np.stack([mask()] * N)
    labels, anatomy = RNG.integers(0, K, (N, S, S)), truth.astype(int)
    vectors = unit_vectors(N, S, S, D)
    maps = [RNG.random((S, S)) for _ in range(N)]
    masks = [mask() for _ in range(N)]
    settings, data = Settings(**SMALL), prepared()
    guided_settings = GuidedSettings(
        **SMALL | dict(stages=({"guided": 1.0},), epochs=(1,), rendered=2)
    )
    v = torch.nn.functional.normalize(torch.rand(2, D, 8, 8), dim=1)
    a = torch.rand(2, K, 8, 8).softmax(1)
    grid = losses.patch_grid(v, 2)
    rows = torch.nn.functional.normalize(torch.rand(6, D), dim=1)
    soft = torch.rand(2, 1, 8, 8)
    log = [dict(stage=1, epoch=0, patch=5.0, mixup=5.0, seconds=1.0)]
    save = folder / "image.png"
    Image.fromarray(photograph()).save(save)
    (folder / "masks").mkdir()
    (folder / "one.yaml").write_text("seed: 1", encoding="utf-8")
    graded = folder / "course" / "records" / "project"
    graded.mkdir(parents=True)
    (graded / "anna.json").write_text("{}", encoding="utf-8")
    Image.fromarray(mask(64).astype(np.uint8) * 255).save(folder / "masks" / "one.png")
    views = ViewMaker(32, (0.5, 1.0))(torch.from_numpy(x).permute(0, 3, 1, 2))
    figure = explore.contact_sheet([x[0]])
    segmenter = transfer.Segmenter(Encoder(1)).eval()
    budget = transfer.TransferSettings(steps=1, batch=2, side=32)
    task = transfer.Task("scr", "heart", 32, (0.8, 1.1), False)
    grey = Sample(y[0, ..., 0], {"heart": mask()}, "one")
    records = [
        dict(
            name="n",
            seed=seed,
            parameters={},
            metrics={"agreement": {"a": {"NMI": 0.1 * seed}}},
            claims={"x": {"better": 1.0 + seed, "worse": 0.5}},
        )
        for seed in range(3)
    ]
    table = pd.DataFrame({"NMI": [0.1, 0.2]}, ["a", "b"])
    comparison = Comparison({"trained, clusters": table, "trained, k-means": table})
    bare = torch.rand(2, 1, 32, 32)
    searches = landmarks.Searches("filter bank", gallery(), gallery(), "fundus")
    found = ldr_lib.localise(net, x[0], (9, 9), list(x), ldr_lib.Kernel(1 / 16))
    return {
        "Encoder": (Encoder, dict(in_channels=3)),
        "TwoBranchNet": (TwoBranchNet, dict(in_channels=3, embedding_dim=4, n_clusters=3)),
        "net": (net, dict(x=torch.rand(1, 3, 32, 32))),
        "net.embed": (net.embed, dict(x=torch.rand(1, 3, 32, 32))),
        "Settings": (Settings, dict(SMALL)),
        "Settings.for_tier": (
            Settings.for_tier,
            dict(tier="class", modality="fundus", seed=0, steps=2),
        ),
        "GuidedSettings": (GuidedSettings, dict(SMALL, rendered=2, simulated=2, later_rate=0.3)),
        "GuidedSettings.for_tier": (
            GuidedSettings.for_tier,
            dict(tier="class", network="vessel", seed=0, method="rendered"),
        ),
        "PretrainingSettings.for_tier": (
            transfer.PretrainingSettings.for_tier,
            dict(tier="class", modality="fundus", seed=0),
        ),
        "TransferSettings": (
            transfer.TransferSettings,
            dict(steps=1, batch=2, side=32, learning_rate=1e-3, encoder_rate=1.0, seed=0),
        ),
        "TransferSettings.for_tier": (
            transfer.TransferSettings.for_tier,
            dict(tier="class", seed=0),
        ),
        "values_for": (
            values_for,
            dict(table=TRAINING, key="fundus", tier="class", what="modality"),
        ),
        "guide_for": (guide_for, dict(network="vessel")),
        "ViewMaker": (
            ViewMaker,
            dict(size=32, scale=(0.5, 1.0), rotation=180.0, wobble=2.0, colour=0.4, grey=0.2),
        ),
        "views": (
            ViewMaker(32, (0.5, 1.0)),
            dict(images=torch.from_numpy(x).permute(0, 3, 1, 2)),
        ),
        "open_dataset": (
            ldr_lib.open_dataset,
            dict(name="folder", data_dir=folder, split="all"),
        ),
        "read_image": (ldr_lib.read_image, dict(path=save)),
        "prepare": (
            ldr_lib.prepare,
            dict(
                dataset=ldr_lib.open_dataset("folder", folder / "masks", "all"),
                size=32,
                cache=folder / "cache",
            ),
        ),
        "load_model": (
            ldr_lib.load_model,
            dict(path=folder / "net.safetensors", device="cpu"),
        ),
        "save_model": (save_model, dict(net=net, path=folder / "again.safetensors")),
        "load_encoder": (
            ldr_lib.load_encoder,
            dict(modality="chest", method="ldr", device="cpu"),
        ),
        "load_representation": (
            ldr_lib.load_representation,
            dict(modality="fundus", device="cpu", step=10_000, way="embedding only"),
        ),
        "load_pretrained": (ldr_lib.load_pretrained, dict(name="chest", device="cpu")),
        "pick_device": (ldr_lib.pick_device, dict(name="cpu")),
        "to_device": (ldr_lib.to_device, dict(module=net, device=torch.device("cpu"))),
        "describe": (ldr_lib.describe, dict(device=torch.device("cpu"))),
        "train": (
            ldr_lib.train,
            dict(
                images=x,
                settings=Settings(**SMALL | dict(stages=(PATCH_STAGE,), epochs=(1,))),
                folder=folder / "train",
                device="cpu",
                start=None,
            ),
        ),
        "stage_learner": (
            ldr_lib.stage_learner,
            dict(net=network(), images=x, settings=settings, stage=0),
        ),
        "train_guided": (
            ldr_lib.train_guided,
            dict(
                images=y,
                make_pairs=pairs_of(),
                guide=GUIDE,
                settings=guided_settings,
                folder=folder / "guided",
                device="cpu",
                start=None,
            ),
        ),
        "guided_learner": (
            guided.guided_learner,
            dict(
                net=grey_net,
                discriminator=guided.Discriminator(1),
                images=y,
                make_pairs=pairs_of(),
                settings=guided_settings,
                stage=0,
            ),
        ),
        "pretrain": (
            transfer.pretrain,
            dict(
                method="patch",
                images=x,
                settings=settings,
                folder=folder / "pretrain",
                device="cpu",
            ),
        ),
        "image_batches": (batches.image_batches, dict(images=x, pairs=1, steps=1)),
        "represent": (ldr_lib.represent, dict(net=net, images=x, batch=4)),
        "compare": (
            ldr_lib.compare,
            dict(nets={"trained": net}, prepared=data, modality="fundus", seed=0),
        ),
        "k_means": (
            evaluation.k_means,
            dict(features=vectors, inside=inside, n_clusters=3, seed=0),
        ),
        "anatomy_of": (evaluation.anatomy_of, dict(prepared=data, modality="fundus")),
        "query_pixel": (evaluation.query_pixel, dict(prepared=data, modality="fundus")),
        "prototypes": (
            evaluation.prototypes,
            dict(embeddings=vectors, clusters=labels, inside=inside, n_clusters=K),
        ),
        "typical_pixels": (
            evaluation.typical_pixels,
            dict(embeddings=vectors, clusters=labels, inside=inside, n_clusters=K, n=2, margin=4),
        ),
        "agreement": (
            evaluation.agreement,
            dict(features=vectors, labels=labels, prepared=data, modality="fundus", seed=0),
        ),
        "Comparison.best": (comparison.best, dict(name="trained", column="NMI")),
        "dice": (metrics.dice, dict(prediction=mask(), truth=~mask())),
        "mutual_information": (
            metrics.mutual_information,
            dict(labels=labels, anatomy=anatomy, inside=inside),
        ),
        "best_match_dice": (
            metrics.best_match_dice,
            dict(labels=labels, truth=truth, inside=inside),
        ),
        "retrieval": (
            similarity.retrieval,
            dict(features=vectors, truth=truth, inside=inside, queries=5, seed=0),
        ),
        "moments": (similarity.moments, dict(features=vectors, inside=inside)),
        "matched_iou": (
            metrics.matched_iou,
            dict(labels=labels, anatomy=anatomy, inside=inside),
        ),
        "structure_information": (
            metrics.structure_information,
            dict(labels=labels, anatomy=anatomy, inside=inside),
        ),
        "centreline_dice": (metrics.centreline_dice, dict(prediction=mask(), truth=mask())),
        "centre": (metrics.centre, dict(map_=maps[0])),
        "hausdorff95": (metrics.hausdorff95, dict(prediction=mask(), truth=mask())),
        "field_of_view": (crop.field_of_view, dict(image=photograph(), threshold=20)),
        "local_normalize": (crop.local_normalize, dict(image=x[0], inside=mask())),
        "prepare_sample": (crop.prepare_sample, dict(sample=grey, size=32, modality="chest")),
        "colour_statistics": (augment.colour_statistics, dict(images=x, inside=inside)),
        "standardise": (augment.standardise, dict(images=x, inside=inside)),
        "blur": (augment.blur, dict(x=soft, sigma=1.0)),
        "crops": (
            augment.crops,
            dict(arrays=[soft], size=16, scale=(0.5, 1.0), turn=True, mirror=True, bend=0.0),
        ),
        "LabelledPairs": (
            augment.LabelledPairs,
            dict(
                images=x,
                targets=truth[:, None],
                inside=inside,
                size=32,
                scale=(0.5, 1.0),
                turn=True,
            ),
        ),
        "pairs": (pairs_of(), dict(n=2, device="cpu")),
        "predict_structure": (
            ldr_lib.predict_structure,
            dict(model=grey_net, image=y[0, ..., 0], structure="heart", by="cluster"),
        ),
        "predict_images": (
            guided.predict_images,
            dict(model=grey_net, images=list(y[..., 0]), structure="heart", by="cluster"),
        ),
        "structure_maps": (
            guided.structure_maps,
            dict(
                model=grey_net,
                x=torch.rand(1, 1, 32, 32),
                structure="heart",
                by="cluster",
                inside=torch.ones(1, 32, 32, dtype=torch.bool),
            ),
        ),
        "teacher_maps": (predict.teacher_maps, dict(net=grey_net, images=y)),
        "largest_components": (postprocess.largest_components, dict(map_=maps[0], n=2)),
        "fill_convex_hulls": (postprocess.fill_convex_hulls, dict(map_=maps[0])),
        "best_ellipse": (
            postprocess.best_ellipse,
            dict(map_=maps[0], smallest=0.1, largest=0.2),
        ),
        "vesselness": (guided.vesselness, dict(image=photograph(), kind="sato")),
        "brightest_blob": (guided.brightest_blob, dict(image=photograph(), radius=0.15)),
        "central_circle": (guided.central_circle, dict(image=photograph(), radius=0.08)),
        "otsu_lungs": (guided.otsu_lungs, dict(image=y[0, ..., 0])),
        "mean_mask": (guided.mean_mask, dict(structure="heart", n=1)),
        "resize_mask": (guided.resize_mask, dict(mask=mask(), shape=(20, 30))),
        "organ_baselines": (
            guided.organ_baselines,
            dict(images=[photograph()], structure="disc"),
        ),
        "vessel_baselines": (
            guided.vessel_baselines,
            dict(samples=[Sample(photograph(), {"vessel": mask(96)}, "a")]),
        ),
        "mask_bank": (guided.mask_bank, dict(masks=[mask()], name="mine", size=64)),
        "MaskBank": (
            guided.MaskBank,
            dict(
                masks=np.stack([mask().astype(np.uint8) * 255]),
                calibres=np.array([8.0]),
                name="mine",
            ),
        ),
        "MaskBank.sample": (
            bank().sample,
            dict(n=2, size=32, calibre=(2.0, 4.0), device="cpu"),
        ),
        "masks_in": (guided.masks_in, dict(folder=folder / "masks", size=64)),
        "vessel_prior": (
            guided.vessel_prior,
            dict(name=str(folder / "masks"), data_dir="", seed=0),
        ),
        "vessel_trees": (guided.vessel_trees, dict(n=1, seed=0, size=64)),
        "disc_prior": (guided.disc_prior, dict(n=1, seed=0)),
        "simulated_shapes": (
            guided.simulated_shapes,
            dict(modality="chest", n=1, seed=0),
        ),
        "dice_by_image": (guided.dice_by_image, dict(masks=masks, truths=masks)),
        "best_threshold": (
            guided.best_threshold,
            dict(maps=maps, truths=masks, thresholds=np.array([0.3, 0.6])),
        ),
        "threshold_free_scores": (
            guided.threshold_free_scores,
            dict(maps=maps, truths=masks, n_thresholds=10),
        ),
        "SimulatedPairs": (
            guided.SimulatedPairs,
            dict(modality="chest", structures=["heart"], n_images=1, seed=0, size=32),
        ),
        "VesselPairs": (
            guided.VesselPairs,
            dict(images=x, inside=inside, prior=bank(), size=32),
        ),
        "vessel pairs": (guided.VesselPairs(x, inside, bank(), 32), dict(n=1, device="cpu")),
        "simulated pairs": (
            guided.SimulatedPairs("chest", ["heart"], 1, 0, 32),
            dict(n=1, device="cpu"),
        ),
        "remove_vessels": (guided.remove_vessels, dict(images=x, inside=inside)),
        "texture_residual": (
            vessel_pairs.texture_residual,
            dict(images=x, inside=inside, free=vessel_pairs.remove_vessels(x, inside)),
        ),
        "thumbnails": (guided.thumbnails, dict(rows={"a": masks}, n=1, side=16)),
        "discriminator": (guided.Discriminator(1, 4), dict(maps=bare)),
        "Discriminator": (guided.Discriminator, dict(n_structures=1, width=4)),
        "soften": (guided.soften, dict(masks=soft)),
        "method_stages": (guided.method_stages, dict(method="rendered")),
        "anatomy_colours": (explore.anatomy_colours, dict(labels=anatomy, inside=inside)),
        "cluster_colours": (
            explore.cluster_colours,
            dict(labels=labels, anatomy=anatomy, n_clusters=K, inside=inside),
        ),
        "match_clusters": (
            explore.match_clusters,
            dict(labels=labels, anatomy=anatomy, n_clusters=K, inside=inside),
        ),
        "label_colours": (
            explore.label_colours,
            dict(labels=labels, n=K, inside=inside, palette="husl"),
        ),
        "embedding_colours": (
            explore.embedding_colours,
            dict(embeddings=vectors, inside=inside, seed=0),
        ),
        "overlay": (explore.overlay, dict(image=x[0], mask=mask(), colour=(0.0, 0.9, 1.0))),
        "outline": (
            explore.outline,
            dict(image=x[0], mask=mask(), colour=(0.0, 0.9, 1.0), width=1),
        ),
        "contact_sheet": (
            explore.contact_sheet,
            dict(images=list(x), titles=["a"], columns=2, scale=(0.0, 1.0)),
        ),
        "representation_sheet": (
            explore.representation_sheet,
            dict(rows={"a": maps}, scale=(0.0, 1.0), label="x"),
        ),
        "anatomy_legend": (
            explore.anatomy_legend,
            dict(figure=figure, structures=["disc"], clusters=True),
        ),
        "similarity_maps": (
            explore.similarity_maps,
            dict(embeddings=vectors, image=0, row=3, column=4),
        ),
        "similarity_sheet": (
            explore.similarity_sheet,
            dict(
                images=x,
                similarity=vectors[..., 0],
                inside=inside,
                row=3,
                column=4,
                truth=truth,
            ),
        ),
        "typical_patches": (
            explore.typical_patches,
            dict(images=x, pixels={0: [(0, 5, 5)]}, areas=np.array([1.0, 0, 0]), reach=4),
        ),
        "view_pairs": (explore.view_pairs, dict(views=views, grid=2, cell=(0, 1), n=1)),
        "explorer_figure": (
            explore.explorer_figure,
            dict(scene=scene(), points=[Point(0, 3, 3)], similarity=None),
        ),
        "failure_maps": (
            explore.failure_maps,
            dict(images=list(x), predictions=masks, truths=masks, zoom=3.0),
        ),
        "write_page": (
            explore.write_page,
            dict(
                scene=scene(),
                path=folder / "page.html",
                points=[Point(0, 3, 3)],
                threshold=0.7,
                side=32,
            ),
        ),
        "embed_scene": (explore.embed_scene, dict(model=net, images=x, limit=None)),
        "shipped_steps": (explore.shipped_steps, dict(way="embedding only")),
        "embed_steps": (explore.embed_steps, dict(steps={0: net, 10: net}, images=x, limit=None)),
        "SimilarityExplorer": (
            explore.SimilarityExplorer,
            dict(
                model=net,
                images=x,
                points=[Point(0, 3, 3)],
                threshold=0.7,
                folder=folder / "explorer",
                limit=2,
            ),
        ),
        "Scene.query": (scene().query, dict(points=[Point(0, 3, 3)])),
        "Scene.masks": (scene().masks, dict(points=[Point(0, 3, 3)], threshold=0.5)),
        "loss_curves": (explore.loss_curves, dict(log=log, settings=settings)),
        "loss_references": (explore.loss_references, dict(settings=settings)),
        "patch_references": (explore.patch_references, dict(n_rows=8, embedding_dim=4)),
        "sphere_map": (
            explore.sphere_map,
            dict(points=RNG.random((6, 2)), colourings={"a": (np.array([0, 1] * 3), ["x", "y"])}),
        ),
        "sphere_pairs": (explore.sphere_pairs, dict(states={"a": RNG.random((4, 3))})),
        "filter_bank": (explore.filter_bank, dict(images=x)),
        "pixels": (explore.pixels, dict(inside=inside, n=5, seed=0)),
        "labelled_example": (
            explore.labelled_example,
            dict(training=data, modality="fundus", seed=0),
        ),
        "probe": (
            explore.probe,
            dict(
                features={"a": (vectors[0], vectors)},
                training=data,
                example=0,
                held_out=data,
                modality="fundus",
                n_clusters=3,
                seed=0,
            ),
        ),
        "neighbourhoods": (
            explore.neighbourhoods,
            dict(vectors=unit_vectors(20, D), groups={"kind": np.array([0, 1] * 10)}, n=3),
        ),
        "alignment_and_uniformity": (
            explore.alignment_and_uniformity,
            dict(net=net, images=x, settings=settings, seed=0),
        ),
        "health": (explore.health, dict(net=net, images=x, settings=settings, seed=0)),
        "health_table": (
            explore.health_table,
            dict(nets={"a": net}, images=x, settings=settings, seed=0),
        ),
        "segmenter": (segmenter, dict(x=torch.rand(1, 1, 32, 32))),
        "Segmenter": (transfer.Segmenter, dict(encoder=Encoder(1))),
        "train_decoder": (
            transfer.train_decoder,
            dict(
                encoder=Encoder(1),
                labelled=pairs_of(),
                settings=budget,
                device="cpu",
                frozen=True,
            ),
        ),
        "fine_tune": (
            transfer.fine_tune,
            dict(net=segmenter, labelled=pairs_of(), settings=budget),
        ),
        "segment": (
            transfer.segment,
            dict(net=segmenter, sample=grey, size=32, modality="chest"),
        ),
        "task": (transfer.task, dict(name="vessel_chase_db1")),
        "labelled_images": (
            transfer.labelled_images,
            dict(
                task=transfer.Task("drions", "disc", 32, (0.8, 1.1), False),
                prepared=data,
                n_labels=1,
                seed=0,
            ),
        ),
        "initial_encoder": (
            transfer.initial_encoder,
            dict(init="random", one=task, seed=0),
        ),
        "Task": (
            transfer.Task,
            dict(dataset="scr", structure="heart", size=32, crop=(0.8, 1.1), turn=False),
        ),
        "transfer_records": (transfer.transfer_records, dict(tier="study")),
        "transfer_table": (
            transfer.transfer_table,
            dict(records=transfer_rows(), measure="Dice"),
        ),
        "gains": (
            transfer.gains,
            dict(records=transfer_rows(), over="random", measure="Dice"),
        ),
        "paired_gains": (
            transfer.paired_gains,
            dict(records=transfer_rows(), over="random", measure="Dice"),
        ),
        "paired_images": (
            transfer.paired_images,
            dict(
                records=transfer_rows(),
                task="disc_drions",
                protocol="frozen",
                init="ldr",
                over="random",
                labels=1,
            ),
        ),
        "gain_intervals": (
            transfer.gain_intervals,
            dict(records=transfer_rows(), inits=("ldr",), over="random", labels=1),
        ),
        "gains_forest": (
            transfer.gains_forest,
            dict(records=transfer_rows(), inits=("ldr",), over="random", labels=1),
        ),
        "label_curves": (transfer.label_curves, dict(records=transfer_rows(), inits=("ldr",))),
        "transfer_markdown": (transfer.transfer_markdown, dict(records=transfer_rows())),
        "segmenters": (
            first_segmenter,
            dict(
                encoder=Encoder(3),
                one=transfer.Task("drions", "disc", 32, (0.8, 1.1), False),
                prepared=data,
                chosen=[1],
                settings=budget,
            ),
        ),
        "score": (transfer.score, dict(net=segmenter, task=task, dataset=OneImage())),
        "segmentations": (
            transfer.segmentations,
            dict(images=list(x), truths=masks, found={"a": masks}, scores={"a": [0.5, 0.5]}),
        ),
        "Run": (
            Run,
            dict(name="x", parameters={"seed": 0}, out_dir=str(folder / "run")),
        ),
        "Run.claim": (
            Run("x", {"seed": 0}, str(folder / "run")).claim,
            dict(sentence="one", better=np.array([1.0, 2]), worse=np.array([0.5, 1])),
        ),
        "Run.metrics": (Run("x", {"seed": 0}, str(folder / "run")).metrics, dict(dice=0.5)),
        "Run.data": (Run("x", {"seed": 0}, str(folder / "run")).data, dict(train="abc")),
        "Run.figure": (
            Run("x", {"seed": 0}, str(folder / "run")).figure,
            dict(figure=figure, name="x", numbers=table),
        ),
        "read_parameters": (runs.read_parameters, dict(path=folder / "one.yaml")),
        "run_sweep": (
            runs.run_sweep,
            dict(notebook=Path("notebooks/00_quickstart.ipynb"), cells=[], jobs=1, timeout=1.0),
        ),
        "keep_records": (
            runs.keep_records,
            dict(notebook=Path("notebooks/00_quickstart.ipynb"), cells=[]),
        ),
        "all_claims": (runs.all_claims, dict(path=folder / "absent.yaml")),
        "compare_with_abstract": (runs.compare_with_abstract, dict(table=ledger_rows())),
        "write_report": (
            runs.write_report,
            dict(table=ledger_rows(), path=folder / "report.html"),
        ),
        "study_images": (
            guided.study_images,
            dict(structure="disc", guided="disc", method="rendered", tier="study"),
        ),
        "baseline_images": (
            guided.baseline_images,
            dict(structure="disc", name="brightest blob"),
        ),
        "show_source": (shown_source, dict(function=losses.cluster_area)),
        "leaderboard": (teaching.leaderboard, dict(course=folder / "course")),
        "record_path": (runs.record_path, dict(name="00_quickstart", label="x")),
        "as_markdown": (runs.as_markdown, dict(head=["a"], body=[["b"]])),
        "committed_records": (runs.committed_records, dict(name="00_quickstart")),
        "over_seeds": (runs.over_seeds, dict(records=records, table="agreement")),
        "claims_over": (runs.claims_over, dict(records=records)),
        "runs.compare": (
            runs.compare,
            dict(
                first=Path("figures/00_quickstart/record.json"),
                second=Path("figures/00_quickstart/record.json"),
            ),
        ),
        "earlier_run": (runs.earlier_run, dict(name="00_quickstart", fingerprint="x")),
        "grid_of": (runs.grid_of, dict(words=["seed=0,1"])),
        "parameters_of": (
            runs.parameters_of,
            dict(notebook=Path("notebooks/00_quickstart.ipynb")),
        ),
        "check_parameters": (
            runs.check_parameters,
            dict(notebook=Path("notebooks/00_quickstart.ipynb"), given={"seed": 1}),
        ),
        "cell_folder": (
            runs.cell_folder,
            dict(notebook=Path("notebooks/00_quickstart.ipynb"), parameters={"seed": 1}),
        ),
        "teaching.check": (teaching.check, dict(what="x", got=1.0, expected=1.0)),
        "patch_grid": (losses.patch_grid, dict(embeddings=v, grid=2)),
        "patch_rows": (losses.patch_rows, dict(grid=grid)),
        "patch_discrimination": (
            losses.patch_discrimination,
            dict(anchors=rows, positives=rows, temperature=0.1),
        ),
        "hypersphere_mixup": (
            losses.hypersphere_mixup,
            dict(mixed=grid, first=grid, second=grid, lam=torch.rand(2), temperature=0.1),
        ),
        "region_vectors": (losses.region_vectors, dict(embeddings=v, clusters=a)),
        "region_discrimination": (
            losses.region_discrimination,
            dict(embeddings=v, clusters=a, temperature=0.2),
        ),
        "cluster_entropy": (losses.cluster_entropy, dict(clusters=a)),
        "cluster_area": (losses.cluster_area, dict(clusters=a)),
        "soft_dice_loss": (losses.soft_dice_loss, dict(maps=soft, targets=soft)),
        "guided_loss": (losses.guided_loss, dict(maps=soft, targets=soft)),
        "calibration_loss": (losses.calibration_loss, dict(maps=soft, targets=soft)),
        "confident_loss": (
            losses.confident_loss,
            dict(maps=soft, teacher_maps=soft, confidence=0.8),
        ),
        "adversarial_losses": (
            losses.adversarial_losses,
            dict(discriminator=guided.Discriminator(1, 4), maps=bare, masks=bare),
        ),
        "info_nce": (losses.info_nce, dict(queries=rows, keys=rows, temperature=0.2)),
        "dense_contrast": (
            losses.dense_contrast,
            dict(
                queries=v.flatten(2),
                keys=v.flatten(2),
                partners=torch.zeros(2, 64, dtype=torch.int64),
                temperature=0.2,
            ),
        ),
        "cluster_prototypes": (
            prototypes.cluster_prototypes,
            dict(embeddings=v, clusters=a),
        ),
        "balanced_assignment": (
            prototypes.balanced_assignment,
            dict(similarity=rows[:, :3], sharpness=0.05, rounds=3, counted=None),
        ),
        "prototype_discrimination": (
            prototypes.prototype_discrimination,
            dict(
                first=rows,
                second=rows,
                prototypes=rows[:3],
                assigned=torch.rand(12, 3),
                temperature=0.1,
            ),
        ),
        "cluster_prediction": (
            prototypes.cluster_prediction,
            dict(first=rows, second=rows, assigned=torch.rand(12, D)),
        ),
        "standardised": (
            similarity.standardised,
            dict(features=vectors, mean=np.zeros(D), deviation=np.ones(D)),
        ),
        "ViewMaker.channels_of": (ViewMaker().channels_of, dict(channels=3)),
        "Structure": (
            Structure,
            dict(name="heart", clusters=(0,), sizes=(32,), pieces=1, flips=(3,)),
        ),
        "Guide": (
            Guide,
            dict(modality="chest", structures=(Structure("heart", (0,), (32,)),)),
        ),
        "Guide.maps": (GUIDE.maps, dict(assignments=a)),
        "Kernel": (ldr_lib.Kernel, dict(width=1 / 32, members=3)),
        "localise": (
            ldr_lib.localise,
            dict(
                net=net,
                support_image=x[0],
                point=(9, 9),
                images=list(x),
                kernel=ldr_lib.Kernel(1 / 16),
                mirrored=False,
                scales=(1.0,),
                least=0.5,
            ),
        ),
        "open_gallery": (
            landmarks.open_gallery,
            dict(name="fovea_simulated", data_dir="", split="test", limit=1),
        ),
        "choose": (
            landmarks.choose,
            dict(landmark="fovea_simulated", rows=["filter bank"], kernels=landmarks.KERNELS),
        ),
        "measure": (
            landmarks.measure,
            dict(
                landmark="fovea_simulated",
                chosen=pd.DataFrame(dict(width=[0.1], members=[1]), ["filter bank"]),
                rows=["filter bank"],
                seeds=(0,),
            ),
        ),
        "Searches": (
            landmarks.Searches,
            dict(
                row="filter bank",
                support=gallery(),
                searched=gallery(),
                modality="fundus",
                seed=0,
                described=None,
            ),
        ),
        "Searches.scores": (
            searches.scores,
            dict(numbers=[0], kernel=ldr_lib.Kernel(1 / 16), tests=[1], seed=0),
        ),
        "errors_of": (
            landmarks.errors_of,
            dict(
                searches=searches,
                scores=searches.scores([0], ldr_lib.Kernel(1 / 16), [1]),
                tests=[1],
            ),
        ),
        "measured": (landmarks.measured, dict(landmark="fovea_simulated", what="table")),
        "found_points": (
            landmarks.found_points,
            dict(
                support_image=x[0],
                point=(9, 9),
                images=list(x),
                found=found,
                truth=[np.ones((1, 2))] * N,
                titles=["a"],
            ),
        ),
        "hit_bars": (landmarks.hit_bars, dict(tables={"a": landmark_scores()})),
        "learning_curves": (
            explore.learning_curves,
            dict(
                panels={
                    "a": (
                        pd.DataFrame(dict(way=["both"], steps=[10], seed=[0], value=[0.5])),
                        {"filter bank": 0.4},
                    )
                },
                here={},
            ),
        ),
        "claim_of": (
            runs.claim_of,
            dict(notebook="no notebook", sentence="one"),
        ),
        "build_ledger": (runs.build_ledger, dict(tier="smoke")),
        "GuidedNets.network": (
            ldr_lib.GuidedNets([grey_net]).network,
            dict(structure="heart"),
        ),
        "teaching.example": (example_of, dict(shape=(2, 3), turn=1.7, unit=True)),
        "teaching.gradient": (
            gradient_of,
            dict(function=torch.square, inputs=[rows], of=0, at=(0, 0)),
        ),
        "check_value": (checked_value, dict(task=TASK, tolerance=1e-3)),
        "hard_photographs": (teaching.hard_photographs, dict(seeds=[1], size=32)),
        "own_work": (teaching.own_work, dict(function=mask)),
        "Quiz": (teaching.Quiz, dict(notebook="00")),
        "Sliders": (teaching.Sliders, dict(draw=line_of, start={"power": 2}, power=[1, 2])),
        "masked_reconstruction": (
            losses.masked_reconstruction,
            dict(filled=soft, images=soft, hidden=torch.ones_like(soft)),
        ),
    }
