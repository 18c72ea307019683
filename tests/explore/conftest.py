"""A study of long trainings that takes seconds."""

import pytest

from ldr_lib.explore import learning


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A study of a few simulated images that takes seconds."""
    monkeypatch.setenv("LDR_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr("ldr_lib.runs.paths.figures_folder", lambda name: tmp_path / name)
    tiny = dict(image_size=64, crop_scale=(0.5, 1.0), views=dict(appearances=2))
    tiny |= dict(pairs=2, view_size=32, grid=4, n_clusters=16)
    monkeypatch.setitem(learning.TRAINING["fundus"], "class", tiny)
    monkeypatch.setitem(learning.UNLABELLED, "fundus", (("simulated_fundus", "test", ""),))
    monkeypatch.setitem(learning.JUDGED, "fundus", ("simulated_fundus",))
    monkeypatch.setattr(learning, "AT_MOST", 3)
    return tmp_path
