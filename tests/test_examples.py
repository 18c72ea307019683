"""The examples in the package's docstrings run and print what they say."""

import doctest
import importlib
import pkgutil

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

import ldr_lib

MODULES = [
    module.name
    for module in pkgutil.walk_packages(ldr_lib.__path__, "ldr_lib.")
    if not module.name.endswith("__main__")
]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture(scope="module")
def names():
    """What an example may use without importing it: torch, F, np, pd and the public names."""
    public = {name: getattr(ldr_lib, name) for name in ldr_lib.__all__}
    return {"torch": torch, "F": F, "np": np, "pd": pd, **public}


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, names, tmp_path, monkeypatch):
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)
    report = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for example in doctest.DocTestFinder().find(module, name, globs=names | vars(module)):
        runner.run(example, out=report.append)
    assert not runner.summarize(verbose=False).failed, "".join(report)


def test_examples_are_found():
    finder = doctest.DocTestFinder(exclude_empty=True)
    losses = importlib.import_module("ldr_lib.losses")
    assert sum(len(found.examples) for found in finder.find(losses)) >= 3
