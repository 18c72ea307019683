"""The start from ImageNet: its maps, its weights, and that it is segmented with like all others."""

import pytest
import torch

from ldr_lib.callbacks import STEP_FILE
from ldr_lib.checkpoint import save_model
from ldr_lib.data.errors import DataError
from ldr_lib.explore import rivals
from ldr_lib.explore.learning import training_folder
from ldr_lib.network import TwoBranchNet
from ldr_lib.pretrained import load_representation, random_encoder
from ldr_lib.transfer.imagenet import ImageNetEncoder
from ldr_lib.transfer.segmenter import Segmenter
from ldr_lib.transfer.starts import initial_encoder
from ldr_lib.transfer.tasks import task

VESSEL, LUNGS = task("vessel_chase_db1"), task("lungs_covid19_cxr_seg")


@pytest.mark.parametrize("doubled, finest", [(False, 2), (True, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_maps_have_the_stated_widths_and_sizes(channels, doubled, finest):
    net = ImageNetEncoder(channels, doubled).eval()
    maps = net(torch.rand(1, channels, 64, 96))
    assert tuple(one.shape[1] for one in maps) == net.widths
    for level, one in enumerate(maps):
        assert one.shape[2:] == (64 // (finest << level), 96 // (finest << level))


def test_weights_are_those_of_imagenet_and_each_encoder_has_its_own():
    one, other = ImageNetEncoder(), ImageNetEncoder()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = rivals.imagenet_maps(x)
        assert all(torch.equal(*pair) for pair in zip(one.eval()(x), expected))
        next(one.parameters()).zero_()
        assert all(torch.equal(*pair) for pair in zip(other.eval()(x), expected))
        assert all(torch.equal(*pair) for pair in zip(rivals.imagenet_maps(x), expected))


def test_grey_is_the_same_grey_in_all_colours():
    x = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        grey, colour = (
            ImageNetEncoder(1).eval()(x),
            ImageNetEncoder(3).eval()(x.expand(-1, 3, -1, -1)),
        )
    assert all(torch.equal(*pair) for pair in zip(grey, colour))


@pytest.mark.parametrize(
    "channels, message", [(2, "1 or 3 channels, not of 2"), (4, "in_channels")]
)
def test_other_channels_are_refused(channels, message):
    with pytest.raises(ValueError, match=message):
        ImageNetEncoder(channels)


@pytest.mark.parametrize("doubled", [False, True])
def test_a_segmenter_answers_at_full_size_and_every_weight_is_used(doubled):
    net = Segmenter(ImageNetEncoder(3, doubled))
    logits = net(torch.rand(2, 3, 64, 48))
    assert logits.shape == (2, 1, 64, 48)
    logits.mean().backward()
    assert not [name for name, value in net.named_parameters() if value.grad is None]


def test_starts_by_name():
    assert not initial_encoder("imagenet", VESSEL, 0).doubled
    assert initial_encoder("imagenet doubled", LUNGS, 0).in_channels == 1
    x = torch.rand(1, 3, 64, 64)
    shipped = load_representation("fundus", "cpu").encoder
    with torch.no_grad():
        pairs = list(zip(initial_encoder("ldr", VESSEL, 0)(x), shipped(x)))
    assert all(torch.equal(*pair) for pair in pairs)


def test_a_long_training_that_does_not_come_with_the_package_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("LDR_RUNS", str(tmp_path))
    with pytest.raises(DataError, match='ldr_lib learn "embedding only" --modality chest'):
        initial_encoder("embedding only", LUNGS, 0)
    net, folder = TwoBranchNet(1), training_folder("embedding only", "chest", 0)
    folder.mkdir(parents=True)
    save_model(net, folder / STEP_FILE.format(3_000))
    found = initial_encoder("embedding only", LUNGS, 0).state_dict()
    assert all(torch.equal(value, found[name]) for name, value in net.encoder.state_dict().items())
    assert found.keys() == random_encoder(1).state_dict().keys()
