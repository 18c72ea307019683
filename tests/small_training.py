"""A small training for tests: settings and the comparison of weights."""

from dataclasses import replace

import torch

from ldr_lib import Settings

TINY = Settings(
    n_clusters=3, pairs=2, view_size=32, crop_scale=(0.5, 0.7), epochs=(2, 2), steps=3, seed=5
)
WITH_PROTOTYPES = replace(
    TINY,
    stages=({"patch": 1.0}, {"k_means": 1.0}, {"prototype": 1.0, "assignment": 1.0}),
    epochs=(1, 2, 1),
    learning_rate=(1e-3, 5e-3, 1e-3),
    schedule="flat",
)


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one) and one.keys() == other.keys()
