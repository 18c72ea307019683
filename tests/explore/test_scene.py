import json
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from ldr_lib import DataError, Encoder, TwoBranchNet, explore, prepare
from ldr_lib.data.datasets import open_dataset
from ldr_lib.explore.packing import downsample, pack, unpack


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return TwoBranchNet(3, n_clusters=4).eval()


@pytest.fixture
def images(photograph):
    return [photograph(i, 64, 48) for i in range(3)]


@pytest.fixture
def scene(net, images):
    return explore.embed_scene(net, images)


def middle(n=0, similar=True, row=30):
    return explore.Point(n, row, 24, similar)


def test_similarity_is_the_cosine_to_the_chosen_pixel(scene):
    found = scene.similarity([middle(1)])
    v = scene.embeddings.astype(np.float64)
    cosine = (v * v[1, 30, 24]).sum(-1)
    assert np.abs(found[scene.inside] / 127.5 - 1 - cosine[scene.inside]).max() < 0.005
    assert found[1, 30, 24] == 255 and (found[~scene.inside] == 0).all() and found.dtype == np.uint8


def test_several_points_refine_the_query(scene):
    v = scene.embeddings.astype(np.float64)
    query = (v[0, 30, 24] + v[1, 40, 24]) / 2 - v[2, 20, 24] / 2
    expected = query / np.linalg.norm(query)
    asked = [middle(0), middle(1, row=40), middle(2, False, row=20)]
    np.testing.assert_allclose(scene.query(asked), expected, atol=1e-6)
    assert scene.query(asked) @ v[2, 20, 24] < scene.query(asked[:2]) @ v[2, 20, 24]


def test_masks_grow_as_the_threshold_falls_and_areas_are_shares_of_the_field_of_view(scene):
    high, low = (scene.masks([middle()], threshold) for threshold in (0.95, 0.5))
    assert (high <= low).all() and high[0, 30, 24] and not (low & ~scene.inside).any()
    assert scene.areas(scene.masks([middle()], -1)) == [1.0] * 3
    described = scene.described([middle()], 0.95)
    assert (
        described["areas"]["image 1"]
        == pytest.approx(high[0].sum() / scene.inside[0].sum(), abs=1e-5)
        and described["points"][0]["row"] == 30
    )


@pytest.mark.parametrize(
    "points, words",
    [
        ([explore.Point(0, 0, 0)], "outside the field of view"),
        ([explore.Point(3, 10, 10)], "no pixel at row 10, column 10 of image 4"),
        ([explore.Point(0, 10, 48)], "48 x 64"),
        ([middle(similar=False)], "at least one pixel"),
        ([], "at least one pixel"),
    ],
)
def test_points_that_cannot_be_asked_for_are_named(scene, points, words):
    with pytest.raises(DataError, match=words):
        scene.similarity(points)


def test_what_cannot_be_shown_is_said(net, images, photograph):
    cases = {
        "no images to explore": (net, []),
        "2 sizes": (net, [*images, photograph(0, 80, 48)]),
        "colour images .* was given grey": (net, [image[..., 0] for image in images]),
        "grey images .* was given colour": (TwoBranchNet(1), images),
        "floats must lie in .0, 1.*divide by 255": (net, [2.0 * image for image in images]),
        "gives no embedding": (Encoder(3), images),
    }
    for words, given in cases.items():
        with pytest.raises(DataError, match=words):
            explore.embed_scene(*given)


def test_prepared_images_are_shown_with_their_raw_intensities(net):
    prepared = prepare(open_dataset("simulated_fundus", "", "test"), 64)
    scene = explore.embed_scene(net, prepared, limit=2)
    assert (scene.shown == prepared.originals[:2]).all() and scene.names == list(prepared.names[:2])
    assert (scene.inside == prepared.masks["field_of_view"][:2]).all()


def test_a_network_without_clusters_can_be_explored(images):
    net = TwoBranchNet(3)
    del net.clustering_branch
    scene = explore.embed_scene(net.eval(), images)
    assert (
        scene.clusters is None
        and scene.n_clusters == 0
        and scene.similarity([middle()])[0, 30, 24] == 255
    )


def test_shrinking_keeps_directions_and_bytes_keep_cosines(scene):
    small = downsample(scene, 32)
    assert small.inside.shape == (3, 32, 24) and np.allclose(
        np.linalg.norm(small.embeddings, axis=-1), 1, atol=1e-5
    )
    cell = scene.embeddings[1, 30:32, 24:26].mean((0, 1))
    np.testing.assert_allclose(small.embeddings[1, 15, 12], cell / np.linalg.norm(cell), atol=1e-5)
    assert downsample(scene, 64) is scene
    again = unpack(pack(small.embeddings, small.inside, 20), small.inside)
    exact, coarse = (v[small.inside].astype(np.float64) for v in (small.embeddings, again))
    assert np.corrcoef(exact @ exact[200], coarse @ coarse[200])[0, 1] > 0.99
    assert np.abs(exact @ exact[200] - coarse @ coarse[200]).max() < 0.01
    assert (again[~small.inside] == 0).all()


def test_a_page_too_large_for_a_browser_or_of_points_that_ask_nothing_is_refused(scene, tmp_path):
    huge = explore.Scene(
        ["a"],
        scene.shown[:1],
        np.ones((1, 1100, 1100), bool),
        np.zeros((1, 1100, 1100, 32), np.float32),
        None,
        0,
    )
    with pytest.raises(DataError, match="more than 50 MB"):
        explore.write_page(huge, tmp_path / "page.html", side=1100)
    with pytest.raises(DataError, match="outside the field of view"):
        explore.write_page(scene, tmp_path / "page.html", [explore.Point(0, 0, 0)])
    with pytest.raises(DataError, match="choose at least one pixel"):
        explore.write_page(scene, tmp_path / "page.html", [middle(similar=False)])
    assert not list(tmp_path.iterdir())


class Page(HTMLParser):
    """The content of each script of a page."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.inside = [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        if tag == "script":
            self.scripts.append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag != "script"

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data


@pytest.mark.parametrize(
    "name",
    ["<!--<script>", "</script><script>alert(1)</script>", "<!--", "a</SCRIPT >", "左", "\u2028"],
)
def test_a_page_holds_any_name(scene, tmp_path, name):
    named = replace(scene, names=[name, "other", "third"])
    path = explore.write_page(named, tmp_path / "page.html", side=16)
    data, program = Page(path.read_text(encoding="utf-8")).scripts
    content = json.loads(data)
    assert content["names"][0] == name and "<" not in data and program.count("<script") == 0
    assert content["files"] == named.mask_files()
