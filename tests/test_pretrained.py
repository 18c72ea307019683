"""Pretrained encoders: what is loaded arrived, and behaves as the card says."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ldr_lib import (
    load_encoder,
    load_pretrained,
    load_representation,
    predict_structure,
    represent,
)
from ldr_lib.checkpoint import save_model
from ldr_lib.data.errors import DataError
from ldr_lib.data.simulate import fundus
from ldr_lib.network import TwoBranchNet
from ldr_lib.pretrained import SHIPPED, as_sequential, load_weights, random_encoder, set_statistics
from ldr_lib.transfer.segmenter import Segmenter


def random(seed: int = 0, channels: int = 3):
    return random_encoder(channels, seed)


@pytest.mark.parametrize("modality, channels", [("fundus", 3), ("chest", 1)])
@pytest.mark.parametrize("method", SHIPPED)
def test_shipped_encoders_give_five_maps_and_differ_from_random_ones(modality, channels, method):
    net, x = load_encoder(modality, method, "cpu"), torch.rand(1, channels, 64, 96)
    maps = net(x)
    assert [map_.shape[1:] for map_ in maps] == [
        (c, 64 // s, 96 // s) for c, s in zip((16, 32, 64, 128, 128), (1, 2, 4, 8, 16))
    ]
    assert not net.training and all(map_.isfinite().all() and map_.std() > 0 for map_ in maps)
    assert not torch.allclose(maps[0], random(0, channels)(x)[0], atol=0.1)
    assert Segmenter(net)(x).shape == (1, 1, 64, 96)


@pytest.mark.parametrize("modality", ["fundus", "chest"])
def test_the_encoder_of_local_discrimination_is_that_of_the_representation(modality):
    whole = load_representation(modality, "cpu").encoder.state_dict()
    alone = load_encoder(modality, "ldr", "cpu").state_dict()
    assert whole.keys() == alone.keys()
    assert all(torch.equal(whole[name], alone[name]) for name in whole)


def test_unknown_encoders_are_named():
    with pytest.raises(ValueError, match='unknown modality "liver"; known are fundus, chest'):
        load_encoder("liver")
    with pytest.raises(ValueError, match='unknown pretraining "magic"; known are ldr, instance'):
        load_encoder("fundus", "magic")


def test_a_random_encoder_depends_on_its_seed_alone():
    torch.manual_seed(3)
    a, follows = random(1), torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(follows, torch.rand(1))

    def weight(net):
        return net.groups[2][0][0].weight

    assert torch.equal(weight(a), weight(random(1))) and not torch.equal(
        weight(a), weight(random(2))
    )
    fan_out = weight(a).shape[0] * 9
    assert weight(a).std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.03)


def test_weights_of_a_whole_network_arrive_in_an_random(tmp_path):
    torch.manual_seed(5)
    source = TwoBranchNet(3)
    save_model(source, tmp_path / "net.safetensors")
    got = load_weights(random(), tmp_path / "net.safetensors")
    assert all(
        torch.equal(a, b)
        for a, b in zip(got.state_dict().values(), source.encoder.state_dict().values())
    )


def test_weights_that_did_not_arrive_are_an_error(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(random(1).state_dict(), path)
    load_weights(random(0), path)
    with pytest.raises(DataError, match="nothing was transferred"):
        load_weights(random(1), path)
    with pytest.raises(
        DataError, match="does not fit the encoder: groups.0.0.0.weight .*1 image channels"
    ):
        load_weights(random(0, channels=1), path)
    partly = {
        name: value for name, value in random(1).state_dict().items() if "groups.4" not in name
    }
    save_file(partly, path)
    with pytest.raises(DataError, match="lacks 21 of 91 weights"):
        load_weights(random(0), path)
    mixed = random(0).state_dict() | {
        name: value for name, value in random(1).state_dict().items() if "groups.0" in name
    }
    save_file(mixed, path)
    with pytest.raises(DataError, match="equal those that the encoder had before"):
        load_weights(random(0), path)
    path.write_bytes(b"no weights")
    with pytest.raises(DataError, match="pickles are never opened"):
        load_weights(random(0), path)


def test_statistics_are_those_of_the_images():
    net, images = random(), torch.rand(12, 3, 32, 32) * 0.2 + 0.5
    set_statistics(net, images, batch=4)
    normalised = net.groups[0][0][1](net.groups[0][0][0](images))
    assert not net.training and normalised.mean((0, 2, 3)).abs().max() < 0.02
    assert (normalised.var((0, 2, 3)) - 1).abs().max() < 0.05


def test_fastai_builds_a_unet_on_the_encoder():
    from fastai.vision.models.unet import DynamicUnet

    encoder, x = random(), torch.rand(2, 3, 64, 64)
    chain = as_sequential(encoder)
    assert torch.equal(chain.eval()(x), encoder(x)[-1])
    net = DynamicUnet(chain, 2, (64, 64)).eval()
    assert net(x).shape == (2, 2, 64, 64)
    assert any(p is encoder.groups[0][0][0].weight for p in net.parameters())


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16, torch.float64])
def test_networks_brought_to_another_precision_predict_nearly_the_same(precision):
    sample = fundus(96, 3)
    nets = load_pretrained("fundus", "cpu")
    expected = predict_structure(nets, sample.image, "disc")
    found = predict_structure(nets.to(precision), sample.image, "disc")
    assert np.abs(found - expected).mean() < 0.02
    representation = load_representation("fundus", "cpu")
    embeddings, _ = represent(representation, sample.image[None])
    again, _ = represent(representation.to(precision), sample.image[None])
    assert (embeddings * again).sum(-1).mean() > 0.99
    assert load_encoder("fundus", device="cpu").to(precision)(torch.rand(1, 3, 32, 32))
