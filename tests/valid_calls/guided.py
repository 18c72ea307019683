"""Priors, guided trainings and what is read from them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import ldr_lib
from ldr_lib import GuidedSettings, guided
from ldr_lib.data.simulate import Sample
from ldr_lib.guided import postprocess, predict, vessel_pairs
from ldr_lib.structures import Guide, Structure, guide_for

from .inputs import GUIDE, RNG, SMALL, K, N, S, bank, images, mask, network, pairs_of, photograph


def calls(folder: Path) -> dict[str, tuple[Callable, dict]]:
    grey_net = network(1, GUIDE)
    x = images()
    y = images(1)
    inside = np.ones((N, S, S), bool)
    maps = [RNG.random((S, S)) for _ in range(N)]
    masks = [mask() for _ in range(N)]
    guided_settings = GuidedSettings(
        **SMALL | dict(stages=({"guided": 1.0},), epochs=(1,), rendered=2)
    )
    a = torch.rand(2, K, 8, 8).softmax(1)
    soft = torch.rand(2, 1, 8, 8)
    bare = torch.rand(2, 1, 32, 32)
    return {
        "GuidedSettings": (GuidedSettings, dict(SMALL, rendered=2, simulated=2, later_rate=0.3)),
        "GuidedSettings.for_tier": (
            GuidedSettings.for_tier,
            dict(tier="class", network="vessel", seed=0, method="rendered"),
        ),
        "guide_for": (guide_for, dict(network="vessel")),
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
        "study_images": (
            guided.study_images,
            dict(structure="disc", guided="disc", method="rendered", tier="study"),
        ),
        "baseline_images": (
            guided.baseline_images,
            dict(structure="disc", name="brightest blob"),
        ),
        "Structure": (
            Structure,
            dict(name="heart", clusters=(0,), sizes=(32,), pieces=1, flips=(3,)),
        ),
        "Guide": (
            Guide,
            dict(modality="chest", structures=(Structure("heart", (0,), (32,)),)),
        ),
        "Guide.maps": (GUIDE.maps, dict(assignments=a)),
        "GuidedNets.network": (
            ldr_lib.GuidedNets([grey_net]).network,
            dict(structure="heart"),
        ),
    }
