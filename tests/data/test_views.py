"""The geometry is tested with an image whose channels are its own coordinates."""

import pytest
import torch

from ldr_lib import ViewMaker

EXACT = dict(wobble=0.0, colour=0.0, grey=0.0)


def coordinate_images(n, size):
    ramp = (torch.arange(size) + 0.5) / size
    rows, columns = torch.meshgrid(ramp, ramp, indexing="ij")
    which = torch.arange(n)[:, None, None].expand(n, size, size) / n
    return torch.stack([rows.expand(n, size, size), columns.expand(n, size, size), which], 1)


def cells(views, grid=8):
    return torch.nn.functional.adaptive_avg_pool2d(views, grid)


@pytest.mark.parametrize("scale", [(0.3, 0.5), (0.5, 0.6)])
def test_both_views_show_the_same_part_of_the_image_in_the_same_cell(scale):
    torch.manual_seed(0)
    views = ViewMaker(32, scale, **EXACT)(coordinate_images(32, 64))
    assert set(views.pose.tolist()) == set(range(8))
    torch.testing.assert_close(
        views.realign(cells(views.second)), cells(views.first), atol=1e-5, rtol=0
    )


def test_without_turning_back_they_differ():
    torch.manual_seed(0)
    views = ViewMaker(32, (0.3, 0.5), **EXACT)(coordinate_images(32, 64))
    apart = (cells(views.second) - cells(views.first)).abs().amax((1, 2, 3))
    assert (apart[views.pose > 0] > 0.01).all() and (apart[views.pose == 0] < 1e-5).all()


def test_wobble_moves_cells_by_no_more_than_it_says():
    torch.manual_seed(0)
    views = ViewMaker(32, (0.5, 0.5), rotation=0.0, wobble=2.0, colour=0.0, grey=0.0)(
        coordinate_images(64, 64)
    )
    off = (views.realign(cells(views.second)) - cells(views.first))[:, :2].norm(dim=1)
    off = off[
        (views.stack()[:64, :2] > 0.03).flatten(1).all(1)
        & (views.stack()[64:128, :2] > 0.03).flatten(1).all(1)
    ]
    farthest = 0.5 * 2**0.5 / 2 * 2 * torch.deg2rad(torch.tensor(2.0))
    assert 0.002 < off.max() <= farthest


def test_crops_keep_to_their_scale_and_inside_the_image():
    torch.manual_seed(0)
    views = ViewMaker(32, (0.4, 0.5), rotation=0.0, **EXACT)(coordinate_images(64, 64))
    covered = views.first[:, :2].amax((2, 3)) - views.first[:, :2].amin((2, 3))
    assert (covered > 0.4 * 31 / 32 - 0.02).all() and (covered < 0.5 + 0.01).all()
    assert (views.first[:, :2] > 0).all()


def test_mixed_images_are_the_stated_mixture():
    torch.manual_seed(0)
    views = ViewMaker(16)(torch.rand(6, 3, 32, 32))
    share = views.lam[:, None, None, None]
    torch.testing.assert_close(views.mixed, share * views.first[:3] + (1 - share) * views.first[3:])
    assert (views.lam >= 0.2).all() and (views.lam <= 0.8).all()


def test_stack_and_split_are_inverse():
    views = ViewMaker(16)(torch.rand(4, 3, 32, 32))
    for part, original in zip(views.split(views.stack()), (views.first, views.second, views.mixed)):
        assert torch.equal(part, original)
    assert len(views.stack()) == 5 * 2


def test_appearances_differ_and_stay_in_range():
    torch.manual_seed(0)
    views = ViewMaker(32, (0.9, 1.0))(torch.randint(0, 256, (8, 3, 48, 48), dtype=torch.uint8))
    assert views.stack().min() >= 0 and views.stack().max() <= 1
    assert (views.first - views.second).abs().mean() > 0.02
    grey = (views.stack()[:16].amax(1) - views.stack()[:16].amin(1)).amax((1, 2)) < 1e-3
    assert 0 < grey.sum() < 16


def test_x_rays_have_one_channel():
    assert ViewMaker(32)(torch.rand(2, 1, 40, 40)).stack().shape == (5, 1, 32, 32)


@pytest.mark.parametrize("shape", [(3, 3, 32, 32), (2, 3, 32, 40)])
def test_odd_numbers_and_oblong_images_are_refused(shape):
    with pytest.raises(ValueError, match="even number of square images"):
        ViewMaker(16)(torch.rand(shape))


@pytest.mark.parametrize("values", [255.0, -1.0])
def test_floats_outside_0_to_1_are_refused(values):
    with pytest.raises(ValueError, match=r"floats in \[0, 1\]"):
        ViewMaker(16)(values * torch.ones(2, 3, 32, 32))


def test_bytes_and_shares_give_the_same_views():
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    torch.manual_seed(0)
    of_bytes = ViewMaker(16)(images)
    torch.manual_seed(0)
    assert torch.equal(of_bytes.stack(), ViewMaker(16)(images / 255).stack())


def test_each_view_shows_one_of_the_appearances_of_its_image():
    torch.manual_seed(0)
    images = coordinate_images(32, 64)
    shifted = torch.cat([images * 0.5, 0.5 + images * 0.5], 1)  # two appearances, dark and bright
    views = ViewMaker(32, (0.3, 0.5), appearances=2, rotation=0, **EXACT)(shifted)
    assert views.first.shape[1] == 3
    bright = {name: getattr(views, name).amin((1, 2, 3)) >= 0.49 for name in ("first", "second")}
    assert 4 < bright["first"].sum() < 28 and 4 < bright["second"].sum() < 28
    assert (bright["first"] != bright["second"]).any()  # drawn for each view
    plain = {
        name: getattr(views, name) - 0.5 * bright[name][:, None, None, None] for name in bright
    }
    torch.testing.assert_close(
        views.realign(cells(plain["second"])), cells(plain["first"]), atol=1e-5, rtol=0
    )
    with pytest.raises(
        ValueError, match="images hold 2 appearances, .* 3 channels cannot be shared"
    ):
        ViewMaker(32, appearances=2)(images)


def test_the_field_of_view_goes_with_the_views():
    torch.manual_seed(0)
    images = coordinate_images(32, 64)
    seen = (images[:, :1] > 0.5).float()  # the lower half
    for antialias in (False, True):
        maker = ViewMaker(32, (0.3, 1.0), field_of_view=True, antialias=antialias, **EXACT)
        views = maker(torch.cat([images, seen], 1))
        rows = torch.cat([views.first, views.second])[:, :1]
        assert views.first.shape[1] == 3 and views.inside.shape == (64, 1, 32, 32)
        assert (rows[views.inside > 0] > 0.48).all()
        assert (views.inside[rows > 0.56] > 0).float().mean() > 0.97  # all but the image's border
        counted = views.cells_inside(8)
        assert counted.shape == (32, 8, 8) and 0.1 < counted.float().mean() < 0.9
        first = -torch.nn.functional.max_pool2d(-views.inside[:32], 4)[:, 0] > 0
        assert not (counted & ~first).any()
    assert ViewMaker(32)(images).cells_inside(8).all()
    with pytest.raises(ValueError, match="the field of view as the last one, and 1 channels"):
        ViewMaker(32, field_of_view=True)(seen)


def test_smoothed_crops_show_the_same_place_without_aliases():
    torch.manual_seed(0)
    images = coordinate_images(16, 256)
    for scale in ((0.125, 0.15), (0.3, 0.35), (0.8, 0.9)):  # at full, half and quarter size
        torch.manual_seed(1)
        plain = ViewMaker(32, scale, rotation=0, **EXACT)(images)
        torch.manual_seed(1)
        smooth = ViewMaker(32, scale, antialias=True, rotation=0, **EXACT)(images)
        inner = (..., slice(4, -4), slice(4, -4))
        torch.testing.assert_close(smooth.first[inner], plain.first[inner], atol=0.02, rtol=0)
    stripes = torch.zeros(8, 1, 256, 256)
    stripes[..., ::2] = 1.0  # finer than a view that shows the whole image can hold
    spread = {}
    for antialias in (False, True):
        torch.manual_seed(2)
        views = ViewMaker(32, (0.8, 0.9), antialias=antialias, rotation=3, **EXACT)(stripes)
        spread[antialias] = views.first[..., 8:24, 8:24].std().item()
    assert spread[True] < 0.02 < 0.1 < spread[False]
