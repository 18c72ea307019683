import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ldr_lib import TwoBranchNet, benchmark
from ldr_lib.benchmark import PAIRS, as_earlier, literal_loss
from ldr_lib.data.views import ViewMaker
from ldr_lib.device import mixed_precision, pick_device, to_device
from ldr_lib.stage import LocalDiscrimination, _StageNet
from ldr_lib.tiers import BOTH_BRANCHES


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


def test_the_earlier_formulation_computes_the_same_bit_by_bit():
    views, steps = ViewMaker(32)(torch.rand(2 * PAIRS, 3, 48, 48)), []
    for prepare_net in (as_earlier, lambda net: net):
        torch.manual_seed(0)
        net = prepare_net(to_device(TwoBranchNet(n_clusters=4), torch.device("cpu")))
        loss = LocalDiscrimination(BOTH_BRANCHES)(_StageNet(net, clusters=True)(views), views)
        loss.backward()
        steps.append([loss.detach(), *(parameter.grad for parameter in net.parameters())])
    assert all(torch.equal(earlier, now) for earlier, now in zip(*steps))


def test_held_to_avx2_torch_computes_in_float32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert not mixed_precision(torch.device("cpu"))._enabled
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert mixed_precision(torch.device("cpu"))._enabled


def test_every_way_of_a_step_is_timed_and_gives_one_loss(monkeypatch):
    monkeypatch.setattr(benchmark, "SIZE", 32)
    device = torch.device("cpu")
    found = [benchmark.time_step(way, device, 1) for way in benchmark.WAYS]
    assert all(one["seconds"] > 0 and one["memory"] for one in found)
    literal, earlier, kit = (one["loss"] for one in found)
    assert earlier == kit == pytest.approx(literal, rel=0.03)
    monkeypatch.setenv("LDR_TIER", "smoke")
    found = benchmark.time_class_step("kit", device, 1)
    assert 0 < found["views"] < found["seconds"]


def test_convolutions_alone_are_those_of_one_step(monkeypatch):
    monkeypatch.setattr(benchmark, "SIZE", 32)
    found = benchmark.time_convolutions("kit", torch.device("cpu"), 1)
    assert 0 < found["forward"] < found["seconds"]

    net = TwoBranchNet(n_clusters=16)
    with FlopCounterMode(display=False) as counter:  # a step of both branches on five views
        embeddings, clusters = net(torch.rand(5 * PAIRS, 3, 32, 32))
        (embeddings.sum() + clusters.sum()).backward()
    mixed_clusters = PAIRS * 3 * 2 * 9 * 16 * (32 + 16) * 32 * 32  # a step leaves these out
    assert found["operations"] == counter.get_total_flops() - mixed_clusters


def test_the_benchmark_reports_every_way_in_one_run(monkeypatch):
    asked = []

    def timed(task, way, device, steps, environment):
        asked.append((task, way, bool(environment)))
        if task == "waits":
            return {"a click in the explorer": 0.004}
        seconds = {"literal": 4.0, "kit": 1.0}.get(way, 1.5)
        memory = {"process": 100}
        if task == "convolutions":
            return {"seconds": 0.8, "forward": 0.2, "operations": 1.6e11}
        return dict(seconds=seconds, loss=43.0, memory=memory, views=0.1, device=device)

    monkeypatch.setattr(benchmark, "_in_own_process", timed)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    said = benchmark.measure("cpu", steps=1)
    assert said.count("literal:") == said.count("the kit is 4.00 times as fast") == 2
    assert said.count("1.50 times as fast as revision 1d8e877") == 2
    assert said.count("200 billion operations a second): with them a step is at most 5.00") == 2
    assert "held to AVX2" in said and "4.0 ms  a click in the explorer" in said
    assert asked.count(("step", "kit", False)) == asked.count(("step", "kit", True)) == 2
