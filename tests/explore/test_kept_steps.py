"""The representations that come with the package at several steps, and what they make of four
photographs.
"""

import shutil

import numpy as np
import pytest
import torch

from ldr_lib import DataError, load_representation
from ldr_lib.checkpoint import load_model
from ldr_lib.explore import SimilarityExplorer, embed_steps, shipped_steps, write_page
from ldr_lib.explore.kept_steps import CELL, steps_file
from ldr_lib.explore.learning import NAME, curves
from ldr_lib.explore.learning_table import ASKED
from ldr_lib.explore.packing import cell_means
from ldr_lib.explore.shipping import card
from ldr_lib.pretrained import REPRESENTATIONS, WEIGHTS, representation_file
from ldr_lib.representation import represent
from ldr_lib.runs.records import committed_records
from ldr_lib.tensor_files import SUMS

SHIPPED = [(m, way, n) for m, ways in REPRESENTATIONS.items() for way in ways for n in ways[way]]


@pytest.mark.parametrize("modality, way, step", SHIPPED)
def test_every_declared_network_comes_with_the_package(modality, way, step):
    net = load_representation(modality, "cpu", step=step, way=way)
    other = {tuple(one) for one in SHIPPED if one[0] == modality} - {(modality, way, step)}
    weights = net.state_dict()["embedding_branch.0.0.weight"]
    for _, its_way, its_step in other:
        its = load_representation(modality, "cpu", step=its_step, way=its_way).state_dict()
        assert not torch.equal(weights, its["embedding_branch.0.0.weight"])


@pytest.mark.parametrize("modality", REPRESENTATIONS)
def test_without_a_step_the_one_is_loaded_after_which_training_images_are_searched_best(modality):
    dataset, main = ASKED[modality]
    records = committed_records(NAME, modality=modality, split="train", way="both")
    table = curves(records, dataset, "clusters", f"AP {main}")
    assert table.groupby("steps")["seed"].nunique().eq(3).all()  # three seeds of each
    best = int(table.groupby("steps")["value"].mean().idxmax())
    loaded, expected = (
        load_representation(modality, "cpu", step=step).state_dict() for step in (None, best)
    )
    assert all(torch.equal(loaded[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    "options, words",
    [
        (dict(modality="foot"), 'unknown modality "foot"; known are fundus, chest'),
        (dict(modality="fundus", way="published"), 'of a network for "fundus" "published"; known'),
        (dict(modality="chest", way="embedding only"), "known are both"),
        (dict(modality="fundus", step=5), 'step of the way "both" for "fundus".*1000, 10000'),
        (dict(modality="fundus", step="1000"), "known are 1000, 10000"),
        (dict(modality="fundus", step=[1000]), "known are 1000, 10000"),
    ],
)
def test_what_does_not_come_with_the_package_lists_what_does(options, words):
    with pytest.raises(ValueError, match=words):
        load_representation(device="cpu", **options)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A copy of the package's weights that may be spoiled."""
    folder = shutil.copytree(WEIGHTS, tmp_path / "weights")
    for module in ("pretrained", "explore.kept_steps"):
        monkeypatch.setattr(f"ldr_lib.{module}.WEIGHTS", folder)
    return folder


@pytest.mark.parametrize(
    "other",
    [
        "representation_chest_both_3000",
        "representation_fundus_embedding-only_1000",
        "vessel",
        "encoder_fundus_dense",
        "steps_fundus_both",
    ],
)
def test_a_file_of_another_network_is_refused_by_name(weights, other):
    path = representation_file("fundus", "both", 1_000)
    shutil.copy(weights / f"{other}.safetensors", path)
    with pytest.raises(DataError, match=f"{path.name} is damaged, or is another file"):
        load_representation("fundus", "cpu")


def test_a_network_for_other_images_is_refused_without_a_list_of_checksums_too(weights):
    (weights / SUMS).unlink()
    path = representation_file("fundus", "both", 1_000)
    shutil.copy(representation_file("chest", "both", 3_000), path)
    with pytest.raises(DataError, match=f"{path.name}.*fundus"):
        load_representation("fundus", "cpu")


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("other", ["steps_fundus_embedding-only", "vessel"])
def test_embeddings_of_another_way_are_refused_by_name(weights, other, listed):
    if not listed:
        (weights / SUMS).unlink()
    shutil.copy(weights / f"{other}.safetensors", steps_file("both"))
    with pytest.raises(DataError, match="steps_fundus_both.*came with the package"):
        shipped_steps()


@pytest.mark.parametrize("way", REPRESENTATIONS["fundus"])
def test_the_last_kept_embeddings_are_those_of_the_shipped_network(way):
    steps, photographs = shipped_steps(way)
    assert [n for n, _, _ in steps] == [0, 10, 30, 100, 300, 1_000, 3_000, 10_000]
    for _, embeddings, clusters in steps:
        assert embeddings.dtype == np.int8 and (clusters is None) == (way == "embedding only")
    net = load_representation("fundus", "cpu", step=10_000, way=way)
    expected, _ = represent(net, np.asarray(photographs.images))
    expected = cell_means(expected, CELL)
    kept = steps[-1][1].astype(float)
    inside = np.abs(kept).sum(-1) > 0
    expected, kept = expected[inside], kept[inside]
    cosine = (expected * kept).sum(-1)
    cosine /= np.linalg.norm(expected, axis=-1) * np.linalg.norm(kept, axis=-1)
    assert 0.4 < inside.mean() < 0.9 and np.quantile(cosine, 0.01) > 0.99


def test_widget_and_page_show_them(tmp_path):
    widget = SimilarityExplorer(*shipped_steps())
    assert widget.scene["steps"][-1] == 10_000 and widget.scene["nClusters"] == 16
    page = write_page(embed_steps(*shipped_steps()), tmp_path / "page.html")
    assert 1_000_000 < page.stat().st_size < 8_000_000


def test_a_damaged_file_of_embeddings_is_noticed(tmp_path, monkeypatch):
    damaged = tmp_path / steps_file("both").name
    content = bytearray(steps_file("both").read_bytes())
    content[-5] ^= 1
    damaged.write_bytes(content)
    monkeypatch.setattr("ldr_lib.explore.kept_steps.WEIGHTS", tmp_path)
    with pytest.raises(DataError, match=f"{damaged.name} is damaged"):
        shipped_steps()


def test_all_of_it_is_small():
    files = [representation_file(*one) for one in SHIPPED] + [
        steps_file(way) for way in REPRESENTATIONS["fundus"]
    ]
    default = {
        representation_file(m, "both", ways["both"][0]) for m, ways in REPRESENTATIONS.items()
    }
    assert sum(path.stat().st_size for path in files if path not in default) < 15_000_000
    assert all(load_model(path, "cpu").n_clusters == 16 for path in files[: len(SHIPPED)])


def test_the_card_is_that_of_the_records():
    assert (WEIGHTS / "representations.md").read_text(encoding="utf-8") == card()
