"""What local discrimination is compared with as pretraining: image-level and dense contrast, a denoising autoencoder."""

import torch
import torch.nn.functional as F
from torch import nn

from .data.views import Views
from .losses import patch_discrimination
from .network import Decoder, Encoder


class InstanceDiscrimination(nn.Module):
    """Image-level discrimination: the two views of an image together, all other images apart.

    The mean of the last feature map goes through two layers to a vector of length one; the criterion is that of
    `patch_discrimination`, with whole images in the place of patches.

    Args:
        in_channels: 3 for photographs, 1 for X-rays.

    Calling it on `Views` returns the scalar loss; mixed images are not used.

    Source: Wu et al., CVPR 2018; Ye et al., CVPR 2019. Taught in notebook 05, section 3.
    """

    def __init__(self, in_channels: int):
        super().__init__()
        self.encoder = Encoder(in_channels)
        self.head = _projection(nn.Linear)

    def forward(self, views: Views) -> torch.Tensor:
        first, second = (self.encoder(x)[-1].mean((2, 3)) for x in _both(views))
        unit = lambda pooled: F.normalize(self.head(pooled).float(), dim=1)
        first, second = unit(first), unit(second)
        with torch.autocast(first.device.type, enabled=False):  # log(1 - P) is infinite in bfloat16
            return patch_discrimination(first, second)


class DenseContrast(nn.Module):
    """DenseCL within a batch: each place of the last feature map finds its counterpart in the other view.

    The counterpart is the place with the most similar feature; its projection is the positive, the pooled projections of the
    other images are the negatives. Half of the loss is the same contrast of whole images. There is no queue and no second
    encoder: negatives come from the batch, as those of local discrimination do.

    Args:
        in_channels: 3 for photographs, 1 for X-rays.

    Calling it on `Views` returns the scalar loss; mixed images are not used.

    Source: Wang et al., CVPR 2021 (DenseCL). Taught in notebook 05, section 3.
    """

    temperature = 0.2

    def __init__(self, in_channels: int):
        super().__init__()
        self.encoder = Encoder(in_channels)
        self.image_head = _projection(nn.Linear)
        self.dense_head = _projection(lambda channels_in, channels_out: nn.Conv2d(channels_in, channels_out, 1))

    def forward(self, views: Views) -> torch.Tensor:
        first, second = (self.encoder(x)[-1] for x in _both(views))
        return (self._one_way(first, second) + self._one_way(second, first)) / 2

    def _one_way(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        unit = lambda x: F.normalize(x.float(), dim=1)
        whole, others = (unit(self.image_head(x.mean((2, 3)))) for x in (query, key))
        images = F.cross_entropy(whole @ others.T / self.temperature, torch.arange(len(whole), device=whole.device))

        alike = torch.einsum("ndp,ndq->npq", unit(query).flatten(2), unit(key).flatten(2))
        q, k = (unit(self.dense_head(x)).flatten(2) for x in (query, key))
        partner = k.gather(2, alike.argmax(2)[:, None].expand(-1, k.shape[1], -1))
        positive = (q * partner).sum(1)
        negative = torch.einsum("ndp,md->nmp", q, unit(k.mean(2)))
        own = torch.eye(len(q), dtype=torch.bool, device=q.device)[..., None]
        logits = torch.cat([positive[:, None], negative.masked_fill(own, -torch.inf)], 1) / self.temperature
        return (images - logits.log_softmax(1)[:, 0].mean()) / 2


class Autoencoder(nn.Module):
    """A denoising autoencoder: half of each view is hidden in blocks of 16 pixels and has to be filled in.

    Args:
        in_channels: 3 for photographs, 1 for X-rays.

    Calling it on `Views` returns the scalar loss, the mean squared error of what was hidden; mixed images are not used.

    Source: Vincent et al., JMLR 2010; blocks as in Pathak et al., CVPR 2016. Taught in notebook 05, section 3.
    """

    def __init__(self, in_channels: int):
        super().__init__()
        self.encoder, self.decoder = Encoder(in_channels), Decoder()
        self.head = nn.Conv2d(32, in_channels, 1)

    def forward(self, views: Views) -> torch.Tensor:
        x = torch.cat(_both(views))
        hidden = torch.rand(len(x), 1, x.shape[-2] // 16, x.shape[-1] // 16, device=x.device) < 0.5
        hidden = F.interpolate(hidden.float(), x.shape[-2:])
        filled = self.head(self.decoder(self.encoder(x * (1 - hidden) + 0.5 * hidden)))
        return ((filled.float() - x).square() * hidden).sum() / (hidden.sum() * x.shape[1]).clamp(min=1)


BASELINES = {"instance": InstanceDiscrimination, "dense": DenseContrast, "autoencoder": Autoencoder}


def _both(views: Views) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(x.contiguous(memory_format=torch.channels_last) for x in (views.first, views.second))


def _projection(layer) -> nn.Sequential:
    return nn.Sequential(layer(128, 128), nn.ReLU(inplace=True), layer(128, 32))
