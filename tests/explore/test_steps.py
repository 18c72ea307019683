"""Networks of several training steps in one scene, and their page."""

import json
import re
import shutil

import numpy as np
import pytest
import torch

from ldr_lib import DataError, SimilarityExplorer, TwoBranchNet, explore, save_model
from ldr_lib.explore import Point
from ldr_lib.explore.network_page import network_page


@pytest.fixture(scope="module")
def nets():
    torch.manual_seed(0)
    return {step: TwoBranchNet(3, n_clusters=4).eval() for step in (100, 0, 10)}


@pytest.fixture
def images(photograph):
    return [photograph(i, 64, 48) for i in range(3)]


@pytest.fixture
def steps(nets, images):
    return explore.embed_steps(nets, images)


@pytest.fixture
def folder(nets, tmp_path):
    for step, net in nets.items():
        save_model(net, tmp_path / "trained" / f"step_{step:06d}.safetensors")
    save_model(nets[100], tmp_path / "trained" / "model.safetensors")
    return tmp_path / "trained"


def test_each_step_is_the_scene_of_its_network(nets, images, steps):
    assert list(steps.embeddings) == [0, 10, 100]
    for step, net in nets.items():
        alone, among = explore.embed_scene(net, images), steps.scene(step)
        np.testing.assert_allclose(among.embeddings, alone.embeddings, atol=1e-3)
        assert (among.clusters == alone.clusters).all() and (among.shown == alone.shown).all()
        assert among.names == alone.names and among.n_clusters == 4
    with pytest.raises(ValueError, match='unknown step "7"; known are 0, 10, 100'):
        steps.scene(7)


def test_snapshots_of_a_folder_are_its_networks(nets, folder):
    found = explore.snapshots(folder, "cpu")
    assert list(found) == [0, 10, 100] and not any(net.training for net in found.values())
    for step, net in found.items():
        weights = nets[step].state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("kept, scale", [(np.int8, 127), (np.float32, 3)])
def test_what_was_kept_of_networks_is_enough(images, steps, kept, scale):
    arrays = []
    for step in (10, 0):
        scene = steps.scene(step)
        vectors = scale * scene.embeddings
        vectors = np.rint(vectors) if kept is np.int8 else vectors
        arrays.append((step, vectors.astype(kept), scene.clusters))
    again = explore.embed_steps(arrays, images, limit=2)
    assert list(again.embeddings) == [0, 10] and len(again.names) == 2
    found, expected = again.scene(10), steps.scene(10)
    np.testing.assert_allclose(found.embeddings, expected.embeddings[:2], atol=0.02)
    assert (found.clusters == expected.clusters[:2]).all()


def test_kept_embeddings_may_be_coarser_than_the_images(images, steps, tmp_path):
    coarse = [
        (step, steps.scene(step).embeddings[:, 1::3, 1::3][:, :21, :16], None) for step in (0, 10)
    ]
    again = explore.embed_steps(coarse, images)
    scene = again.scene(10)
    assert scene.inside.shape == scene.shown.shape[:3] == (3, 21, 16) and scene.clusters is None
    assert again.shown.shape == (3, 63, 48, 3) and scene.similarity([Point(0, 10, 8)]).any()
    text = explore.write_page(again, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "16 x 21 pixels" in text


def test_a_page_holds_all_steps(steps, tmp_path):
    path = explore.write_page(steps, tmp_path / "page.html", [Point(0, 30, 24)])
    text = path.read_text(encoding="utf-8")
    content = json.loads(re.search(r'id="scene">(.*?)</script>', text, re.S)[1])
    assert content["steps"] == [0, 10, 100]
    assert len(content["embeddings"]) == len(content["clusters"]) == 3
    assert "last training step, 100" in text and "32 dimensions are kept at 48 x 64 pixels" in text


def test_a_page_too_large_is_made_smaller_or_refused(steps, tmp_path, monkeypatch):
    whole = explore.write_page(steps, tmp_path / "whole.html").stat().st_size
    monkeypatch.setattr("ldr_lib.explore.page.LIMIT", 150_000)
    small = explore.write_page(steps, tmp_path / "small.html")
    assert small.stat().st_size < whole / 2 and "24 x 32 pixels" in small.read_text(
        encoding="utf-8"
    )
    monkeypatch.setattr("ldr_lib.explore.page.LIMIT", 1000)
    with pytest.raises(DataError, match="at 3 steps .* fewer images or steps"):
        explore.write_page(steps, tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()


def test_the_widget_follows_the_step(nets, images, tmp_path):
    explorer = SimilarityExplorer(nets, images, [Point(0, 30, 24)], folder=str(tmp_path))
    assert explorer.scene["steps"] == [0, 10, 100] and explorer.step == 0
    explorer.finding = True
    seen = []
    for step in (0, 10, 100):
        explorer.step = step
        alone = explore.embed_scene(nets[step], images)
        shown = np.frombuffer(explorer.similarity, np.uint8).reshape(3, 64, 48).astype(int)
        assert np.abs(shown - alone.similarity([Point(0, 30, 24)])).max() <= 1
        assert explorer.clusters == alone.cluster_bytes()
        seen.append(explorer.found)
    assert seen[0] != seen[1] != seen[2] and seen[0][0]["found"]
    explorer.step = 55
    assert explorer.step == 100 and explorer.message.startswith('Unknown step "55"; known are 0,')
    explorer.save()
    assert json.loads((tmp_path / "points.json").read_text(encoding="utf-8"))["step"] == 100
    one = SimilarityExplorer(nets[0], images, folder=str(tmp_path))
    one.step = 3
    assert one.step == 0 and one.scene["steps"] == [] and "known are 0" in one.message


def test_a_widget_of_networks_that_do_not_fit_says_so(nets, images):
    mixed = nets | {200: TwoBranchNet(1)}
    shown = SimilarityExplorer(mixed, images)
    assert shown.message.startswith("The network of step 200 has in_channels=1 and the network of")
    shown.step = 10
    assert not shown.scene and shown.similarity == b""


def another(folder, *sizes):
    save_model(TwoBranchNet(*sizes), folder / "step_20.safetensors")


def damaged(folder):
    (folder / "step_000010.safetensors").write_bytes(b"nothing")


def twice(folder):
    shutil.copy(folder / "step_000010.safetensors", folder / "step_10.safetensors")


def without_snapshots(folder):
    for path in folder.glob("step_*"):
        path.unlink()


@pytest.mark.parametrize(
    "change, sizes, words",
    [
        (shutil.rmtree, (), "is no folder of snapshots"),
        (without_snapshots, (), "holds no snapshots.*train"),
        (
            another,
            (3, 32, 8),
            "20.safetensors has n_clusters=8 and .* has n_clusters=4",
        ),
        (another, (3, 16, 4), "step_20.safetensors has embedding_dim=16"),
        (another, (1, 32, 4), "step_20.safetensors has in_channels=1"),
        (damaged, (), "step_000010.safetensors cannot be read as a safetensors file"),
        (twice, (), "are of the same step"),
    ],
)
def test_a_folder_that_cannot_be_shown_is_said(folder, tmp_path, change, sizes, words):
    change(folder, *sizes)
    with pytest.raises(DataError, match=words) as caught:
        network_page(tmp_path / "page.html", folder, dataset="simulated_fundus")
    assert "\n" not in str(caught.value) and not (tmp_path / "page.html").exists()


def test_snapshots_of_another_modality_are_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("LDR_TIER", "smoke")
    page = tmp_path / "page.html"
    with pytest.raises(DataError, match="trained take fundus images, not chest images"):
        network_page(page, folder, modality="chest")
    with pytest.raises(DataError, match=r"takes colour images .* was given grey images"):
        network_page(page, folder, dataset="simulated_chest")
    with pytest.raises(ValueError, match='unknown modality "liver"'):
        network_page(page, folder, modality="liver")
    for path in folder.glob("*"):
        path.unlink()
    save_model(TwoBranchNet(5), folder / "step_000000.safetensors")
    with pytest.raises(DataError, match="take images of 5 channels, not fundus or chest"):
        network_page(page, folder)


def test_arrays_that_do_not_fit_are_said(images, steps):
    v, c = steps.scene(0).embeddings, steps.scene(0).clusters
    for given, words in [
        ([], "steps must be a list of .* holds none"),
        ({}, "steps must be a dictionary"),
        ([(0, v)], "each of steps must be .step, embeddings, clusters."),
        ([(0, v, c), (0, v, c)], "step 0 is given twice"),
        ([(-1, v, c)], "a step must be a whole number of at least 0, not -1"),
        ([(0, v, c), (10, v, None)], "some of steps have clusters"),
        ([(0, v, c), (10, v[..., :8], c)], "step 10 are .* and those of step 0"),
        ([(0, v, c[:, :9])], "the clusters of step 0"),
        ([(0, v[:, :50], None)], "48 x 50 pixels, which does not fit the 3 images of 48 x 64"),
        ([(0, v[:2], None)], "of 2 images"),
        ([(0, v * np.nan, None)], "step 0"),
    ]:
        with pytest.raises(ValueError, match=words):
            explore.embed_steps(given, images)
    nameless = TwoBranchNet(3, n_clusters=4).eval()
    nameless.clustering_branch = None
    with pytest.raises(DataError, match="some of these networks have a clustering branch"):
        explore.embed_steps({0: nameless, 1: TwoBranchNet(3, n_clusters=4)}, images)
    with pytest.raises(ValueError, match="the network of step 0 must be a TwoBranchNet"):
        explore.embed_steps({0: Point(0, 0, 0)}, images)
