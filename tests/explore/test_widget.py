import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ldr_lib import TwoBranchNet
from ldr_lib.data.prepare import Prepared
from ldr_lib.explore import Point, SimilarityExplorer, explorer_figure


@pytest.fixture
def images(photograph):
    return [photograph(i, 48, 48) for i in range(2)]


@pytest.fixture
def explorer(images, tmp_path):
    torch.manual_seed(0)
    return SimilarityExplorer(
        TwoBranchNet(3, n_clusters=4).eval(),
        images,
        [Point(0, 20, 20)],
        folder=str(tmp_path / "saved"),
    )


def test_points_are_answered_with_similarity(explorer):
    before = explorer.similarity
    explorer.points = [dict(image=1, row=30, column=25, similar=True)]
    after = np.frombuffer(explorer.similarity, np.uint8).reshape(2, 48, 48)
    assert explorer.similarity != before and after[1, 30, 25] == after.max() == 255
    explorer.points = []
    assert explorer.similarity == b""


def test_a_point_outside_changes_nothing_but_the_message(explorer):
    before, points = explorer.similarity, explorer.points
    explorer.points = [*points, dict(image=0, row=0, column=0, similar=True)]
    assert explorer.points == points and explorer.similarity == before
    assert (
        explorer.message
        == "Row 0, column 0 of image 1 lies outside the field of view: choose a pixel inside it."
    )


def test_masks_and_points_are_saved_as_they_are_shown(explorer, tmp_path):
    explorer.threshold = 0.9
    explorer.save()
    files = {path.name for path in (tmp_path / "saved").iterdir()}
    assert files == {"image_1_mask.png", "image_2_mask.png", "points.json"}
    mask = np.asarray(Image.open(tmp_path / "saved" / "image_1_mask.png"))
    shown = np.frombuffer(explorer.similarity, np.uint8).reshape(2, 48, 48)[0]
    assert set(np.unique(mask)) <= {0, 255} and ((mask > 0) == (shown >= 1.9 * 127.5)).all()
    described = json.loads((tmp_path / "saved" / "points.json").read_text(encoding="utf-8"))
    assert described["threshold"] == 0.9 and described["points"] == [
        {"image": 0, "row": 20, "column": 20, "similar": True, "name": "image 1"}
    ]
    assert "saved to saved/" in explorer.message


def test_images_of_one_name_keep_a_mask_each(images, tmp_path):
    shown = np.stack(images)
    prepared = Prepared(
        shown, shown, {"field_of_view": shown.any(-1)}, ["01", "01"], np.zeros((2, 4), int), [], ""
    )
    SimilarityExplorer(
        TwoBranchNet(3, n_clusters=4).eval(), prepared, [Point(0, 20, 20)], folder=str(tmp_path)
    ).save()
    assert {path.name for path in tmp_path.iterdir()} == {
        "01_mask.png",
        "01_2_mask.png",
        "points.json",
    }
    assert len(json.loads((tmp_path / "points.json").read_text(encoding="utf-8"))["areas"]) == 2


def named_scene(photograph, names):
    shown = np.stack([photograph(i, 48, 48) for i in range(len(names))])
    inside = {"field_of_view": shown.any(-1)}
    prepared = Prepared(shown, shown, inside, names, np.zeros((len(names), 4), int), [], "")
    torch.manual_seed(0)
    return TwoBranchNet(3, n_clusters=4).eval(), prepared


@pytest.mark.parametrize(
    "names",
    [
        ["IM.1", "IM.2", "IM.10"],
        ["1.2.840.113619.2.55.1", "1.2.840.113619.2.55.2"],
        ["左", "右", "両"],
        ["a b", "a_b", "a-b"],
        ["a", "a", "a 1", "a 2", "a_2"],
        ["eye", "Eye"],
        ["é", "e\u0301"],
        ["../eye", "eye", "/eye", "x/eye"],
        ["con", "CON", "nul.1"],
        ["", " ", "."],
        ["a" * 200, "a" * 201],
        ["<!--<script>", "</script>"],
        ["\udc80", "\udc81"],
        ["$a$", "$$"],
        ["a.png", "a.jpg"],
    ],
)
def test_every_image_keeps_its_own_mask_whatever_it_is_called(photograph, tmp_path, names):
    net, prepared = named_scene(photograph, names)
    folder = tmp_path / "saved"
    explorer = SimilarityExplorer(net, prepared, [Point(0, 20, 20)], folder=str(folder))
    explorer.threshold = 0.8
    explorer.save()
    described = json.loads((folder / "points.json").read_text(encoding="utf-8"))
    files = {path.name for path in folder.iterdir()} - {"points.json"}
    assert set(described["masks"].values()) == files and len(files) == len(names)
    assert len({name.lower() for name in files}) == len(names) and len(described["areas"]) == len(
        names
    )
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    expected = explorer.content.masks([Point(0, 20, 20)], 0.8)
    for file, mask in zip(described["masks"].values(), expected):
        assert (np.asarray(Image.open(folder / file)) == 255 * mask).all()


@pytest.mark.parametrize("n, width", [(4, 1), (256, 1), (257, 2), (70_000, 4)])
def test_clusters_keep_their_numbers(explorer, n, width):
    clusters = np.arange(2 * 48 * 48).reshape(2, 48, 48) % n
    content = replace(explorer.content, clusters=clusters, n_clusters=n)
    found = np.frombuffer(content.cluster_bytes(), f"<u{width}").reshape(2, 48, 48)
    assert (found == clusters).all()


def test_nothing_to_save_and_no_folder_to_save_are_said(explorer, tmp_path):
    (tmp_path / "saved").write_text("a file where the folder should be", encoding="utf-8")
    assert explorer.save() is None and "could not write" in explorer.message.lower()
    explorer.points = []
    assert explorer.save() is None and "nothing to save" in explorer.message


def test_the_same_view_is_there_without_a_kernel(explorer):
    data, _ = explorer._repr_mimebundle_()
    assert (
        data["image/png"][:4] == b"\x89PNG" and "application/vnd.jupyter.widget-view+json" in data
    )


def test_the_view_without_a_kernel_shows_where_points_were_found(explorer):
    explorer.finding = True
    figure = explorer.figure()
    diamonds = [
        (line.get_ydata()[0], line.get_xdata()[0], line.get_markeredgewidth() > 1)
        for axis in figure.axes
        for line in axis.lines
        if line.get_marker() == "D"
    ]
    places = [(place["row"], place["column"], place["found"]) for place in explorer.found]
    assert len(places) == len(explorer.content.names) and sorted(diamonds) == sorted(2 * places)
    with pytest.raises(ValueError, match="a place for each of"):
        explorer_figure(explorer.content, [], None, explorer.found[:1])


def test_what_cannot_be_shown_is_a_sentence_in_the_widget(images):
    for model, given, words in [
        (TwoBranchNet(1), images, "This network takes grey images"),
        (TwoBranchNet(3), [], "There are no images"),
        (TwoBranchNet(3), [images[0], images[1][:40]], "The images are of 2 sizes"),
    ]:
        shown = SimilarityExplorer(model, given)
        data, _ = shown._repr_mimebundle_()
        assert (
            shown.message.startswith(words)
            and not shown.scene
            and data["text/plain"] == shown.message
        )
    flat = TwoBranchNet(3)
    flat.clustering_branch = None
    assert SimilarityExplorer(flat, images).message.startswith(
        "This network has no clustering branch"
    )


def test_a_chosen_point_is_found_in_all_images_when_asked(explorer):
    assert explorer.found == []
    explorer.finding = True
    own, other = explorer.found
    assert abs(own["row"] - 20) <= 3 and abs(own["column"] - 20) <= 3 and own["found"]
    assert other.keys() == {"row", "column", "score", "found", "distinctive"}
    assert other["score"] <= own["score"]
    explorer.points = [dict(image=1, row=30, column=25, similar=True)]
    assert abs(explorer.found[1]["row"] - 30) <= 3 and explorer.found[1]["score"] > 0.9
    explorer.points = []
    assert explorer.found == []
    explorer.points = [dict(image=1, row=30, column=25, similar=True)]
    explorer.finding = False
    assert explorer.found == []


def test_an_explorer_without_images_finds_nothing(explorer):
    empty = SimilarityExplorer(TwoBranchNet(3, n_clusters=4), [])
    empty.finding = True
    assert empty.found == [] and "no images" in empty.message
