"""BatchNorm with the statistics of the whole batch of several processes."""

import torch

from .distributed import gather, n_processes


class SharedBatchNorm(torch.nn.BatchNorm2d):
    """BatchNorm with the statistics of the whole batch, for processors, where torch's
    SyncBatchNorm does not run.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or n_processes() == 1:
            return super().forward(x)
        precise = x if x.dtype == torch.float64 else x.float()
        variance, mean = torch.var_mean(precise, (0, 2, 3), correction=0)  # (C,) of this share
        means, variances = gather(torch.stack([mean, variance])[None]).unbind(1)  # (processes, C)
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        n = n_processes() * x.numel() / x.shape[1]
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * n / (n - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        mean, scale, bias = (each[:, None, None] for each in (mean, scale, self.bias))  # (C, 1, 1)
        return ((precise - mean) * scale + bias).to(x.dtype)


def share_statistics(net: torch.nn.Module) -> None:
    """Makes every BatchNorm of a network use the statistics of the whole batch; weights stay the
    same objects. `own_statistics` takes it back.

    Args:
        net: Changed in place.
    """
    for module in net.modules():
        if type(module) is torch.nn.BatchNorm2d:
            on_gpu = module.running_mean.device.type == "cuda"
            module.__class__ = torch.nn.SyncBatchNorm if on_gpu else SharedBatchNorm
            module.process_group = None  # of SyncBatchNorm: all processes


def own_statistics(net: torch.nn.Module) -> None:
    """Takes `share_statistics` back.

    Args:
        net: Changed in place.
    """
    for module in net.modules():
        if type(module) in (torch.nn.SyncBatchNorm, SharedBatchNorm):
            module.__class__ = torch.nn.BatchNorm2d
            del module.process_group
