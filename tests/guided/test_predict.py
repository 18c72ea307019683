"""Finding structures in images of any size, and the networks that come with the package."""

import warnings
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch

from ldr_lib import load_pretrained, predict_structure
from ldr_lib.checkpoint import load_model, save_model
from ldr_lib.data.datasets import open_dataset
from ldr_lib.data.errors import DataError
from ldr_lib.data.simulate import chest, fundus
from ldr_lib.guided import predict
from ldr_lib.guided.confidence_study import _cut
from ldr_lib.guided.predict import structure_maps
from ldr_lib.metrics import dice
from ldr_lib.network import TwoBranchNet
from ldr_lib.pretrained import WEIGHTS, GuidedNets
from ldr_lib.structures import Guide, guide_for


@pytest.fixture(scope="module")
def untrained():
    torch.manual_seed(0)
    net = TwoBranchNet(3, 32, 8)
    net.guide = guide_for("vessel")
    return net


@pytest.mark.parametrize("name", ["vessel", "disc", "chest"])
def test_weights_come_with_a_card_and_are_light(name):
    assert (WEIGHTS / f"{name}.safetensors").stat().st_size < 6e6
    card = (WEIGHTS / f"{name}.md").read_text(encoding="utf-8")
    assert all(word in card for word in ("Data", "Terms", "Steps", "Seed", "Dice"))


def test_one_line_loads_all_structures_of_a_modality():
    eye, body = load_pretrained("fundus", "cpu"), load_pretrained("chest", "cpu")
    assert eye.structures == ["vessel", "disc", "fovea"] and body.structures == ["lungs", "heart"]
    assert [net.guide for net in (*eye, *body)] == [
        guide_for(name) for name in ("vessel", "disc", "chest")
    ]
    assert not any(net.training for net in (*eye, *body))
    assert eye.network("fovea") is eye[1] and eye.network("vessel") is eye[0]


def test_pretrained_networks_find_simulated_structures():
    eye, body = fundus(400, 9_000_001, lesions=False), chest(300, 9_000_001)
    net = load_pretrained("fundus", "cpu")
    assert dice(predict_structure(net, eye.image, "vessel") > 0.5, eye.masks["vessel"]) > 0.6
    assert dice(predict_structure(net, eye.image, "disc") > 0.5, eye.masks["disc"]) > 0.7
    net = load_pretrained("chest", "cpu")
    assert dice(predict_structure(net, body.image, "lungs") > 0.5, body.masks["lungs_whole"]) > 0.85
    assert dice(predict_structure(net, body.image, "heart") > 0.5, body.masks["heart"]) > 0.7


@pytest.mark.realdata
def test_pretrained_networks_find_real_structures(real_data):
    """On a training image, so that the test split stays unused here."""
    sample = open_dataset("chase_db1", real_data, "train")[0]
    assert (
        dice(
            predict_structure(load_pretrained("fundus", "cpu"), sample.image, "vessel") > 0.5,
            sample.masks["vessel"],
        )
        > 0.65
    )


@pytest.mark.parametrize("shape", [(40, 33, 3), (301, 200, 3), (2300, 3500, 3)])
def test_maps_have_the_image_s_size_and_are_zero_outside_the_field_of_view(
    untrained, photograph, shape
):
    image = photograph(0, *shape[:2])
    disc = TwoBranchNet(3, 32, 8)
    disc.guide = guide_for("disc")
    for structure in ("vessel", "disc"):
        found = predict_structure(GuidedNets([untrained, disc]), image, structure)
        assert (
            found.shape == shape[:2]
            and found.dtype == np.float32
            and 0 <= found.min() <= found.max() <= 1
        )
        assert found[0, 0] == found[-1, -1] == 0


def test_a_map_is_the_mean_over_the_guide_s_sizes(untrained, photograph):
    image, vessel = photograph(0, 100, 90), guide_for("vessel")["vessel"]

    def at(*sizes):
        net = deepcopy(untrained)
        net.guide = Guide("fundus", (replace(vessel, sizes=sizes),))
        return predict_structure(net, image, "vessel")

    apart = np.abs(at(64) - at(96)).mean()
    assert np.abs(at(64, 96) - (at(64) + at(96)) / 2).mean() < 0.2 * apart


def test_a_structure_moves_with_the_image(untrained, photograph):
    image = np.pad(photograph(1, 160, 160), ((30, 30), (30, 30), (0, 0)))
    wider = np.pad(image, ((0, 40), (60, 20), (0, 0)))
    a, b = (
        predict_structure(untrained, image, "vessel"),
        predict_structure(untrained, wider, "vessel"),
    )
    assert np.abs(b[:220, 60:280] - a).max() < 0.02


def mirror(array, axes):
    """Mirrored along rows (0) or columns (1), the last two axes."""
    return np.flip(array, [axis + array.ndim - 2 for axis in axes]).copy()


def test_prototype_maps_equal_their_formula(untrained):
    torch.manual_seed(0)
    x, inside = torch.rand(1, 3, 32, 32), torch.rand(1, 32, 32) > 0.2
    got = structure_maps(untrained, x, "vessel", "prototype", inside)[0].numpy()
    untrained.eval()
    expected = []
    for axes in ((), (1,)):
        mirrored = torch.from_numpy(mirror(x.numpy(), axes))
        with torch.no_grad():
            v, a = (output[0].double().numpy() for output in untrained(mirrored))
        fov = mirror(inside[0].numpy(), axes)
        r = np.einsum("kp,dp->kd", a[:, fov], v[:, fov])
        r /= np.linalg.norm(r, axis=1, keepdims=True)
        exponentials = np.exp(np.einsum("kd,dhw->khw", r, v) / 0.2)
        expected.append(mirror((exponentials / exponentials.sum(0))[0], axes))
    assert np.abs(got - np.mean(expected, 0)).max() < 0.03


def test_guide_survives_saving(untrained, tmp_path):
    save_model(untrained, tmp_path / "net.safetensors")
    assert (
        load_model(tmp_path / "net.safetensors", "cpu").guide.maps(torch.ones(1, 8, 2, 2)).tolist()
        == untrained.guide.maps(torch.ones(1, 8, 2, 2)).tolist()
    )


@pytest.mark.parametrize(
    "image, structure, message",
    [
        (np.zeros((64, 64, 3), np.uint8), "vessel", "all of one value"),
        (np.eye(64, dtype=np.uint8)[..., None].repeat(3, 2), "vessel", "no field of view"),
        (np.full((64, 64), 9, np.uint8), "vessel", "grey image where a colour"),
        (np.full((64, 64, 3), 99.0), "vessel", "divide by 255"),
        (np.zeros((64, 64, 7), np.uint8), "vessel", "uint8 array"),
        (np.zeros((9, 64, 3), np.uint8), "vessel", "at least 32"),
    ],
)
def test_unusable_input_is_named(untrained, image, structure, message):
    with pytest.raises(DataError, match=message):
        predict_structure(untrained, image, structure)


def test_more_mistakes_are_named(untrained, photograph):
    with pytest.raises(DataError, match="was not guided"):
        predict_structure(TwoBranchNet(), photograph(), "vessel")
    with pytest.raises(DataError, match="colour image where a grey"):
        predict_structure(load_pretrained("chest", "cpu"), photograph(), "lungs")


def test_unknown_names_are_listed_with_the_known_ones(untrained, photograph):
    with pytest.raises(ValueError, match='"liver"; known are vessel'):
        predict_structure(untrained, photograph(), "liver")
    unknown = 'unknown pretrained network "knee"; known are fundus, chest'
    with pytest.raises(ValueError, match=unknown):
        load_pretrained("knee")
    unknown = 'unknown reading of a map "magic"; known are cluster, prototype'
    with pytest.raises(ValueError, match=unknown):
        predict_structure(untrained, photograph(), "vessel", by="magic")


@pytest.fixture
def small(untrained):
    """A network that looks at small images, so that many calls are quick."""
    net = deepcopy(untrained)
    net.guide = Guide("fundus", (replace(guide_for("vessel")["vessel"], sizes=(64,)),))
    return net


def test_paths_and_lists_give_what_their_pixels_give(small, photograph, save, tmp_path):
    images = [photograph(i, 60 + i, 70) for i in range(2)]
    paths = [save(tmp_path / f"{i}.png", image) for i, image in enumerate(images)]
    expected = [predict_structure(small, image, "vessel") for image in images]
    for given in (images, tuple(images), paths, [str(paths[0]), images[1]]):
        found = predict_structure(small, given, "vessel")
        assert isinstance(found, list) and all(map(np.array_equal, found, expected))
    assert np.array_equal(predict_structure(small, paths[0], "vessel"), expected[0])
    rows = [list(row) for row in images[0]]
    assert np.array_equal(predict_structure(small, rows, "vessel"), expected[0])
    assert np.array_equal(predict_structure(small, list(images[0]), "vessel"), expected[0])


def test_files_that_cannot_be_searched_are_named(small, photograph, tmp_path):
    with pytest.raises(DataError, match="absent.png does not exist .looked for it from .*.$"):
        predict_structure(small, tmp_path / "absent.png", "vessel")
    with pytest.raises(DataError, match="is a folder. predict_folder goes through its images"):
        predict_structure(small, tmp_path, "vessel")
    (tmp_path / "text.png").write_text("no picture", encoding="utf-8")
    with pytest.raises(DataError, match="image 1 of 2: .*text.png cannot be read as an image"):
        predict_structure(small, [photograph(), tmp_path / "text.png"], "vessel")
    with pytest.raises(ValueError, match="a list of images or paths and holds none"):
        predict_structure(small, [], "vessel")


@pytest.mark.parametrize(
    "low, high, message",
    [
        (251, 256, "saturated: its values lie between 25"),
        (90, 92, "nearly flat: .* between 90 and 91 of 255"),
    ],
)
def test_exposures_without_content_are_named(untrained, low, high, message):
    image = np.random.default_rng(0).integers(low, high, (64, 64, 3), dtype=np.uint8)
    with pytest.raises(DataError, match=message):
        predict_structure(untrained, image, "vessel")


@pytest.mark.parametrize(
    "levels, message",
    [
        (
            ((251, 256), (0, 1), (0, 1)),
            r"saturated: .* 25\d and 255 .red., 0 and 0 .green., 0 and 0",
        ),
        (((0, 1), (0, 1), (252, 256)), r"saturated: .* 25\d and 255 .blue. of 255"),
        (((200, 202), (40, 42), (40, 42)), r"nearly flat: .* 200 and 201 .red., 40 and 41 .green."),
    ],
)
@pytest.mark.parametrize("ground", ["none", "black"])
def test_one_colour_without_content_is_not_called_black(untrained, levels, message, ground):
    rng, lit = np.random.default_rng(0), fundus(64, 0).image.max(2) > 20
    image = np.stack([rng.integers(*level, (64, 64)) for level in levels], -1).astype(np.uint8)
    image = image if ground == "none" else image * lit[..., None]
    with pytest.raises(DataError, match=message):
        predict_structure(untrained, image, "vessel")


def test_a_photograph_with_one_saturated_channel_is_searched(untrained):
    image = fundus(96, 0).image.copy()
    image[image.max(2) > 20, 0] = 255
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert predict_structure(untrained, image, "vessel").shape == (96, 96)


def test_a_photograph_saturated_inside_its_field_of_view_is_named(untrained):
    image = fundus(96, 0).image.copy()
    image[image.max(2) > 20] = 255  # all but the dark corners
    with pytest.raises(DataError, match="the image is saturated: its values lie between 25"):
        predict_structure(untrained, image, "vessel")


def test_an_x_ray_in_three_channels_is_no_photograph(small):
    grey = np.repeat(np.atleast_3d(chest(96, 0).image)[..., :1], 3, 2)
    with pytest.raises(DataError, match="the image is grey, an X-ray or a red-free photograph"):
        predict_structure(small, grey, "vessel")
    _, judged = predict_structure(small, grey, "vessel", confidence=True)
    assert not judged.found


NOISE = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)


def warned(model, image, structure):
    """The map, and what was warned of in Python's usual way, each sentence of a line once."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        maps = [predict_structure(model, image, structure) for _ in range(3)]
    assert all(one.category is UserWarning and one.filename == __file__ for one in said)
    return maps[0], [str(one.message) for one in said]


def test_a_doubtful_map_is_returned_as_it_is_with_one_warning(save, tmp_path):
    eye, body = load_pretrained("fundus", "cpu"), load_pretrained("chest", "cpu")
    advice = "confidence=True returns this judgement with an empty map"
    tinted = (chest(96, 0).image[..., None] * np.array([1, 0.8, 0.6])).astype(np.uint8)
    for image in (NOISE, tinted):
        map_, said = warned(eye, image, "fovea")
        assert said == [f"the fovea map of the image cannot be trusted: not a retina. {advice}"]
        assert np.array_equal(map_, predict.found_in(eye.network("fovea"), image, "fovea").whole)
    path = save(tmp_path / "noise.png", NOISE[..., 0])
    _, said = warned(body, [chest(96, 1).image, path], "heart")
    heart = f"image 1 of 2: the heart map of {path} cannot be trusted: not a chest X-ray. {advice}"
    assert said == [heart]
    outside = _cut(fundus(256, 700_004, lesions=False), 1.1)
    assert warned(eye, outside, "disc")[1] == [
        f"the disc map of the image cannot be trusted: no disc found. {advice}"
    ]


def test_images_that_belong_cause_no_warning():
    eye, body = load_pretrained("fundus", "cpu"), load_pretrained("chest", "cpu")
    for i in range(2):
        for structure in eye.structures:
            assert warned(eye, fundus(256, 700_001 + i, lesions=False).image, structure)[1] == []
        assert warned(body, chest(256, 700_001 + i).image, "lungs")[1] == []


def test_of_networks_without_statistics_nothing_is_said_unless_it_is_asked_for(monkeypatch):
    def judge(*given):
        raise DataError("confidence.safetensors was made with other weights")

    monkeypatch.setattr(predict, "judge", judge)
    image, body = chest(96, 0).image, load_pretrained("chest", "cpu")
    assert warned(body, image, "lungs")[1] == []
    with pytest.raises(DataError, match="made with other weights"):
        predict_structure(body, image, "lungs", confidence=True)
