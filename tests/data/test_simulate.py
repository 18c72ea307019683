import numpy as np
import pytest

from ldr_lib.data import simulate

FUNDUS = {
    "field_of_view",
    "vessel",
    "artery",
    "vein",
    "disc",
    "cup",
    "fovea",
    "bright_lesion",
    "dark_lesion",
}


def centre(mask):
    return np.argwhere(mask).mean(0)


@pytest.mark.parametrize("generate", [simulate.fundus, simulate.chest])
def test_a_seed_decides_everything(generate):
    one, again, other = generate(96, 3), generate(96, 3), generate(96, 4)
    np.testing.assert_array_equal(one.image, again.image)
    assert all(np.array_equal(one.masks[name], again.masks[name]) for name in one.masks)
    assert (one.image != other.image).mean() > 0.3


@pytest.mark.parametrize("size", [32, 100, 257])
def test_any_size(size):
    eye, thorax = simulate.fundus(size, 1), simulate.chest(size, 1)
    assert eye.image.shape == (size, size, 3) and thorax.image.shape == (size, size)
    for sample in (eye, thorax):
        assert sample.image.dtype == np.uint8
        assert all(
            mask.shape == (size, size) and mask.dtype == bool for mask in sample.masks.values()
        )


@pytest.mark.parametrize("seed", range(6))
def test_fundus_anatomy(seed):
    sample = simulate.fundus(192, seed)
    masks, green = sample.masks, sample.image[..., 1].astype(float)
    assert set(masks) >= FUNDUS
    inside = masks["field_of_view"]
    for name in ("vessel", "disc", "fovea", "cup"):
        assert masks[name].any() and not (masks[name] & ~inside).any()
    np.testing.assert_array_equal(masks["vessel"], masks["artery"] | masks["vein"])
    assert not (masks["cup"] & ~masks["disc"]).any()
    assert 0.03 < masks["vessel"].sum() / inside.sum() < 0.2
    plain = (
        inside
        & ~masks["vessel"]
        & ~masks["disc"]
        & ~masks["fovea"]
        & ~masks["bright_lesion"]
        & ~masks["dark_lesion"]
    )
    outside_disc = masks["vessel"] & ~masks["disc"]
    assert (
        green[masks["disc"] & ~masks["vessel"]].mean()
        > green[plain].mean()
        > green[outside_disc].mean()
    )
    assert sample.image[~inside].mean() < 20


def test_eye_and_lesions_can_be_chosen():
    for eye, sign in (("right", 1), ("left", -1)):
        masks = simulate.fundus(128, 5, eye=eye).masks
        assert sign * (centre(masks["disc"]) - centre(masks["fovea"]))[1] > 0
    healthy, ill = (simulate.fundus(128, 5, lesions=lesions).masks for lesions in (False, True))
    assert not (healthy["bright_lesion"] | healthy["dark_lesion"]).any()
    assert (ill["bright_lesion"] | ill["dark_lesion"]).any()


@pytest.mark.parametrize("seed", range(6))
def test_chest_anatomy(seed):
    sample = simulate.chest(192, seed)
    masks, image = sample.masks, sample.image.astype(float)
    np.testing.assert_array_equal(masks["lungs"], masks["left_lung"] | masks["right_lung"])
    assert (
        0.1 < masks["lungs"].mean() < 0.5
        and masks["heart"].any()
        and masks["clavicles"].any()
        and masks["ribs"].any()
    )
    assert (
        centre(masks["right_lung"])[1] < centre(masks["heart"])[1] < centre(masks["left_lung"])[1]
    )
    assert (
        image[masks["lungs"] & ~masks["heart"] & ~masks["ribs"]].mean()
        < image[masks["heart"]].mean()
    )
    assert image[masks["body"]].mean() > image[~masks["body"]].mean()


@pytest.mark.parametrize("generate", [simulate.fundus, simulate.chest])
def test_sizes_out_of_range_are_refused(generate):
    with pytest.raises(ValueError, match="between 32 and 4096"):
        generate(16)


def test_an_unknown_eye_is_refused():
    with pytest.raises(ValueError, match='"left", "right" or None'):
        simulate.fundus(64, eye="middle")
