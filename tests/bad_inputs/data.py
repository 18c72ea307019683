"""Bad inputs. Room of notebook 01: files, views, fields of view, pairs."""

import numpy as np
import torch

from ldr_lib import DataError

from .inputs import FOLDER, INSIDE, NAN, SMALLER, UNAVAILABLE, X, row

DATA = [
    row(
        "read_image",
        "an image that is not there",
        "absent.png does not exist",
        DataError,
        path=FOLDER / "absent.png",
    ),
    row("read_image", "a text as image", "text.png", DataError, path=FOLDER / "text.png"),
    row("open_dataset", "an unknown dataset", 'unknown dataset "liver"; known are', name="liver"),
    row(
        "open_dataset",
        "an unknown split",
        'unknown split "half"; known are train, test, all',
        split="half",
    ),
    row(
        "open_dataset",
        "a folder that is not there",
        "absent",
        DataError,
        data_dir=FOLDER / "absent",
    ),
    row(
        "prepare",
        "images of 8 pixels",
        "size must be a whole number from 32 to 4096, not 8",
        size=8,
    ),
    row(
        "ViewMaker",
        "a view of no pixel",
        "size must be a whole number from 1 to 4096, not 0",
        size=0,
    ),
    row(
        "ViewMaker",
        "a negative crop",
        "scale must be two numbers, smaller first, above 0 and at most 1",
        scale=(-1, 1),
    ),
    row(
        "ViewMaker",
        "a rotation of nan",
        "rotation must be a number from 0 to 180, not nan",
        rotation=NAN,
    ),
    row("ViewMaker", "a probability of 2", "grey must be a number from 0 to 1, not 2", grey=2),
    row(
        "views",
        "three images for pairs",
        "views need an even number of square images, not 3 of 32 x 32",
        images=torch.rand(3, 3, 32, 32),
    ),
    row("views", "an array for views", "views need a tensor of images", images=X),
    row(
        "views",
        "nan in views",
        "images for views must be uint8, or floats in .0, 1.",
        images=torch.full((2, 3, 32, 32), NAN),
    ),
    row(
        "field_of_view",
        "a black photograph",
        "no field of view: the image is .almost. black",
        DataError,
        image=np.zeros((64, 64, 3), np.uint8),
    ),
    row(
        "field_of_view",
        "a threshold of 300",
        "threshold must be a number from 0 to 255, not 300",
        threshold=300,
    ),
    row(
        "field_of_view",
        "an image in a row",
        r"an image must be an array \(H, W, 3\) or \(H, W\), not \(50,\)",
        DataError,
        image=np.ones(50, np.uint8),
    ),
    row(
        "local_normalize",
        "a field of view of another size",
        "inside and the pixels of the image must be of one shape",
        inside=SMALLER,
    ),
    row(
        "standardise",
        "an empty field of view",
        "inside is empty for image 0: it has no field of view",
        inside=np.zeros_like(INSIDE),
    ),
    row(
        "standardise",
        "16-bit values",
        "images must be uint8 or floats in .0, 1., not uint16",
        DataError,
        images=X.astype(np.uint16),
    ),
    row(
        "standardise",
        "a grey stack without channels",
        r"images must be an array \(N, H, W, C\), not uint8 of shape \(2, 32, 32\)",
        DataError,
        images=X[..., 0],
    ),
    row(
        "LabelledPairs",
        "targets above 1",
        "targets must hold values in .0, 1., not values from 255 to 255",
        targets=np.full((2, 1, 32, 32), 255),
    ),
    row(
        "LabelledPairs",
        "targets of other images",
        "inside and each of the targets must be of one shape",
        targets=np.ones((1, 1, 32, 32)),
    ),
    row("pairs", "no pairs", "n must be a whole number .*, not 0", n=0),
    row(
        "blur",
        "a blur of nothing",
        "sigma must be a number above 0 and at most 1000, not 0",
        sigma=0,
    ),
    row("read_image", "None for a path", "path must be a path, not None", path=None),
    row("prepare", "a folder for a dataset", "dataset must be one that open_dataset", dataset="x"),
    row("prepare", "a number for a cache", "cache must be a path, not 5", cache=5),
    row("open_dataset", "a number for a folder", "data_dir must be a path, not 5", data_dir=5),
    row("prepare_sample", "an image for a sample", "sample must be a Sample, not uint8", sample=X),
    row("crops", "no array", "arrays must be a list of tensors .* holds none", arrays=[]),
    row("crops", "a bend of 2", "bend must be a number from 0 to 1, not 2", bend=2),
    row(
        "blur",
        "a blur in double precision",
        "x must be a tensor of torch.float32, not torch.float64; convert it with .float",
        x=torch.rand(1, 1, 8, 8).double(),
    ),
    row(
        "blur",
        "a blur of bytes",
        r"x must be a tensor of floats \(B, C, H, W\), not torch.uint8",
        x=torch.ones(1, 1, 8, 8, dtype=torch.uint8),
    ),
    row(
        "crops",
        "arrays in half precision",
        "one of arrays must be a tensor of torch.float32, not torch.float16",
        arrays=[torch.rand(2, 1, 8, 8).half()],
    ),
    row(
        "crops",
        "arrays of bytes",
        r"one of arrays must be a tensor of floats \(B, C, S, S\), not torch.uint8",
        arrays=[torch.ones(2, 1, 8, 8, dtype=torch.uint8)],
    ),
    row(
        "crops",
        "arrays of two batches",
        r"of one batch on one device, not .\(2, 1, 8, 8\), \(3, 1, 8, 8\)",
        arrays=[torch.rand(2, 1, 8, 8), torch.rand(3, 1, 8, 8)],
    ),
    row("pairs", "a device that is not there", UNAVAILABLE, device="gpu"),
    row("pairs", "None for a device", 'device must be a name such as "cpu", not None', device=None),
    row(
        "pairs",
        "a number for a device",
        'device must be a name such as "cpu", not 0',
        device=0,
    ),
]
