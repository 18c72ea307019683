"""Bad inputs. Room of notebook 04: predictions, priors, baselines, scores."""

import numpy as np
import torch
from valid_calls import network

from ldr_lib import DataError

from .inputs import FOLDER, GREY, MAP, MASK, NAN, X, row

GUIDED = [
    row(
        "predict_structure",
        "floats from 0 to 255",
        "the image of floats must lie in .0, 1.*divide by 255",
        DataError,
        image=GREY[0, ..., 0] * 1.0,
    ),
    row(
        "predict_structure",
        "an image of 16 pixels",
        "the image measures 16 x 16 pixels; at least 32 are needed",
        DataError,
        image=GREY[0, :16, :16, 0],
    ),
    row(
        "predict_structure",
        "an image of one value",
        "all of one value .7.: there is nothing to find",
        DataError,
        image=np.full((32, 32), 7, np.uint8),
    ),
    row(
        "predict_structure",
        "an image of seven channels",
        r"an image is a uint8 array \(H, W, 3\) or \(H, W\)",
        DataError,
        image=np.zeros((32, 32, 7), np.uint8),
    ),
    row(
        "predict_structure",
        "a text for an image",
        "the image must be an array of numbers, not 'photo.jpg'",
        DataError,
        image="photo.jpg",
    ),
    row(
        "predict_structure",
        "an unknown structure",
        'does not know "liver"; it knows heart',
        structure="liver",
    ),
    row(
        "predict_structure",
        "an unknown reading",
        'unknown reading of a map "magic"; known are cluster, prototype',
        by="magic",
    ),
    row(
        "predict_structure",
        "a network without a guide",
        "this network was not guided",
        DataError,
        model=network(1),
    ),
    row(
        "predict_structure",
        "a text for a network",
        "model must be a guided TwoBranchNet, or several as load_pretrained .*, not 'chest'",
        model="chest",
    ),
    row(
        "predict_images",
        "no images",
        r"images must be a list of images \(H, W, 3\) or \(H, W\) and holds none",
        images=[],
    ),
    row(
        "structure_maps",
        "a field of view as floats",
        "inside must be a tensor of bool",
        inside=torch.ones(1, 32, 32),
    ),
    row(
        "teacher_maps",
        "teacher images of nan",
        "images of floats must lie in .0, 1., these hold nan",
        DataError,
        images=GREY * NAN,
    ),
    row(
        "largest_components", "no components", "n must be a whole number of at least 1, not 0", n=0
    ),
    row(
        "fill_convex_hulls",
        "a map with nan",
        "map_ must hold values in .0, 1., not nan",
        map_=MAP * NAN,
    ),
    row(
        "best_ellipse",
        "bounds in the wrong order",
        "largest must be a number above 0.1 and at most 1, not 0.05",
        largest=0.05,
    ),
    row(
        "vesselness",
        "an unknown filter",
        'unknown ridge filter "canny"; known are frangi, sato',
        kind="canny",
    ),
    row(
        "vesselness",
        "a grey photograph",
        r"the image must be an array \(H, W, C\), not uint8 of shape \(32, 32\)",
        DataError,
        image=GREY[0, ..., 0],
    ),
    row(
        "brightest_blob",
        "a radius of zero",
        "radius must be a number above 0 and at most 1, not 0",
        radius=0,
    ),
    row("central_circle", "a radius of nan", "radius must be a number above 0", radius=NAN),
    row(
        "otsu_lungs",
        "a colour X-ray",
        r"the image must be an array \(H, W\)",
        DataError,
        image=X[0],
    ),
    row(
        "mean_mask",
        "an unknown organ",
        'unknown structure of simulated X-rays "liver"; known are',
        structure="liver",
    ),
    row(
        "resize_mask",
        "a shape of one side",
        r"shape must be height and width, not \(20,\)",
        shape=(20,),
    ),
    row(
        "organ_baselines",
        "an unknown baseline",
        'unknown structure "liver"; known are disc, fovea, lungs, heart',
        structure="liver",
    ),
    row("mask_bank", "no masks of a prior", "the prior mine holds no mask", DataError, masks=[]),
    row(
        "mask_bank",
        "an empty mask of a prior",
        "mask 0 of the prior mine is empty",
        DataError,
        masks=[MASK & False],
    ),
    row(
        "mask_bank",
        "a grey mask of a prior",
        "mask 0 of the prior mine must be a mask, bool or 0 and 1",
        masks=[MAP],
    ),
    row(
        "MaskBank",
        "widths of other masks",
        "calibres must be 1 widths above 0",
        calibres=np.ones(3),
    ),
    row(
        "MaskBank.sample",
        "widths in the wrong order",
        "calibre must be two numbers, smaller first, above 0, not .4, 2",
        calibre=(4, 2),
    ),
    row(
        "masks_in",
        "a prior that is not there",
        "absent does not exist",
        DataError,
        folder=FOLDER / "absent",
    ),
    row(
        "masks_in",
        "a prior without images",
        "empty holds no image file",
        DataError,
        folder=FOLDER / "empty",
    ),
    row("vessel_prior", "a prior without a name", "name must be a text that is not empty", name=""),
    row("vessel_trees", "no trees", "n must be a whole number from 1 to 10000, not 0", n=0),
    row("disc_prior", "a negative seed", "seed must be a whole number from 0", seed=-1),
    row(
        "simulated_shapes",
        "an unknown modality",
        'unknown modality "knee"; known are fundus, chest',
        modality="knee",
    ),
    row(
        "SimulatedPairs",
        "a structure that is not simulated",
        r"the simulated chest has no \['liver'\]",
        DataError,
        structures=["liver"],
    ),
    row(
        "SimulatedPairs",
        "no structures",
        "structures must be a list of names of structures and holds none",
        structures=[],
    ),
    row(
        "VesselPairs",
        "grey photographs",
        r"images must be square photographs \(N, S, S, 3\)",
        DataError,
        images=GREY,
    ),
    row(
        "VesselPairs",
        "a text for a prior",
        "prior must be a MaskBank, for example vessel_prior.., not 'octa'",
        prior="octa",
    ),
    row(
        "dice_by_image",
        "more masks than truths",
        "masks and truths must be equally many, not 2 masks and 1 truths",
        truths=[MASK],
    ),
    row("best_threshold", "thresholds of nan", "thresholds must be finite", thresholds=[NAN]),
    row(
        "best_threshold",
        "no thresholds",
        "thresholds must hold at least one candidate",
        thresholds=[],
    ),
    row(
        "threshold_free_scores",
        "maps of another size",
        r"maps.0. and truths.0. must be of one shape, not \(20, 32\)",
        maps=[MAP[:20], MAP],
    ),
    row(
        "threshold_free_scores",
        "maps above 1",
        "maps.0. must hold values in .0, 1., not values from 2.7",
        maps=[MAP * 9, MAP],
    ),
    row(
        "thumbnails",
        "no rows of thumbnails",
        "rows must be a dictionary of a name to images",
        rows={},
    ),
    row(
        "Discriminator",
        "a discriminator of no width",
        "width must be a whole number from 1 to 4096, not 0",
        width=0,
    ),
    row(
        "soften",
        "a mask for softening",
        r"masks must be a tensor of floats \(B, n, H, W\), not bool of shape",
        masks=MASK,
    ),
]
