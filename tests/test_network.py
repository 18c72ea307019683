import pytest
import torch

from ldr_lib import Encoder, TwoBranchNet


def parameters(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def test_parameter_counts_of_the_paper():
    net = TwoBranchNet(in_channels=3, embedding_dim=32, n_clusters=16)
    assert parameters(net.encoder) == 922_896
    assert parameters(net.decoder, net.embedding_branch) == 503_408
    assert parameters(net.decoder, net.embedding_branch, net.clustering_branch) == 510_384


@pytest.mark.parametrize("size", [(1, 1), (1, 4), (5, 3)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_convolutions_repeat_the_border_in_values_and_gradients(size, layout):
    torch.manual_seed(0)
    convolution = Encoder(2).double().groups[0][0][0]
    x = torch.randn(2, 2, *size, dtype=torch.float64).to(memory_format=layout).requires_grad_()
    found = convolution(x)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    expected = torch.nn.functional.conv2d(padded, convolution.weight, convolution.bias)
    torch.testing.assert_close(found, expected)
    upstream = torch.randn_like(expected)
    torch.testing.assert_close(*(torch.autograd.grad(y, x, upstream)[0] for y in (found, expected)))


def test_encoder_maps_are_taken_before_each_pool():
    maps = Encoder(1)(torch.rand(2, 1, 64, 32))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (16, 64, 32),
        (32, 32, 16),
        (64, 16, 8),
        (128, 8, 4),
        (128, 4, 2),
    ]


@pytest.mark.parametrize("size", [(16, 16), (17, 33), (100, 80), (1, 5)])
@pytest.mark.parametrize("channels", [1, 3])
def test_outputs_lie_on_sphere_and_simplex_for_any_size(size, channels):
    torch.manual_seed(0)
    net = TwoBranchNet(channels, embedding_dim=8, n_clusters=5).eval()
    v, a = net(torch.rand(2, channels, *size))
    assert v.shape == (2, 8, *size) and a.shape == (2, 5, *size)
    torch.testing.assert_close(v.norm(dim=1), torch.ones(2, *size))
    torch.testing.assert_close(a.sum(1), torch.ones(2, *size))
    assert (a >= 0).all()


def test_branches_apart_are_the_branches_together():
    torch.manual_seed(0)
    net, x = TwoBranchNet().eval(), torch.rand(1, 3, 40, 24)
    v, a = net(x)
    torch.testing.assert_close(net.embed(x), v)
    torch.testing.assert_close(net.assignments(net.shared_map(x), x.shape[-2:]), a)


def test_a_constant_image_has_a_constant_embedding():
    torch.manual_seed(0)
    v = TwoBranchNet().eval().embed(torch.full((1, 3, 64, 64), 0.4))
    assert torch.allclose(v, v[:, :, :1, :1].expand_as(v), atol=1e-5)


def test_both_branches_have_gradients_in_the_shared_layers():
    torch.manual_seed(0)
    net = TwoBranchNet()
    v, a = net(torch.rand(2, 3, 32, 32))
    for out in (v[:, 0], a[:, 0]):
        net.zero_grad()
        out.square().sum().backward(retain_graph=True)
        assert all(
            p.grad.abs().sum() > 0
            for name, p in net.encoder.named_parameters()
            if name.endswith("0.weight")
        )


@pytest.mark.parametrize(
    "batch", [torch.rand(2, 1, 32, 32), torch.rand(3, 32, 32), torch.rand(0, 3, 32, 32)]
)
def test_a_batch_of_another_kind_is_refused(batch):
    with pytest.raises(ValueError, match=r"\(B, 3, H, W\).*in_channels"):
        TwoBranchNet()(batch)


@pytest.mark.parametrize("wrong", [{"in_channels": 0}, {"embedding_dim": -1}, {"n_clusters": 2.5}])
def test_sizes_must_be_positive_whole_numbers(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be a whole number from 1"):
        TwoBranchNet(**wrong)
