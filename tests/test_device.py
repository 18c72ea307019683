import pytest
import torch

from ldr_lib import TwoBranchNet
from ldr_lib.benchmark import PAIRS, literal_loss
from ldr_lib.data.views import ViewMaker
from ldr_lib.device import mixed_precision, pick_device, to_device
from ldr_lib.tiers import BOTH_BRANCHES
from ldr_lib.training import LocalDiscrimination, _StageNet


def test_an_absent_device_is_named():
    with pytest.raises(
        ValueError, match='device "cuda:99" is not available here; use "auto" or "cpu"'
    ):
        pick_device("cuda:99")
    assert pick_device("auto").type in ("cpu", "cuda", "mps")


def test_networks_are_laid_out_channels_last():
    net = to_device(TwoBranchNet(), torch.device("cpu"))
    assert net.encoder.groups[1][0][0].weight.is_contiguous(memory_format=torch.channels_last)


def test_the_fast_step_computes_what_the_literal_one_does():
    torch.manual_seed(0)
    net = TwoBranchNet(n_clusters=4)
    views = ViewMaker(32)(torch.rand(2 * PAIRS, 3, 48, 48))
    fast = LocalDiscrimination(BOTH_BRANCHES)(_StageNet(net, clusters=True)(views), views)
    tolerance = 0.03 if mixed_precision(torch.device("cpu"))._enabled else 1e-5
    torch.testing.assert_close(fast, literal_loss(net, views), rtol=tolerance, atol=0)
