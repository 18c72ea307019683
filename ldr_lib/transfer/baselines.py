"""What local discrimination is compared with as pretraining: image-level and dense contrast, a
denoising autoencoder.
"""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from ..data.views import Views
from ..distributed import own_share
from ..losses import dense_contrast, info_nce, masked_reconstruction, patch_discrimination
from ..network import Decoder, Encoder


class InstanceDiscrimination(nn.Module):
    """Image-level discrimination: the two views of an image together, all other images apart.

    The mean of the last feature map goes through two layers to a vector of length one; the
    criterion is that of `patch_discrimination`, with whole images in the place of patches.

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
        first, second = (_unit(self.head(x)) for x in (first, second))
        with torch.autocast(first.device.type, enabled=False):  # log(1 - P) is infinite in bfloat16
            return patch_discrimination(first, second)


class DenseContrast(nn.Module):
    """DenseCL within a batch: each place of the last feature map finds its counterpart in the other
    view.

    The counterpart is the place with the most similar feature; its projection is the positive, the
    pooled projections of the other images are the negatives. Half of the loss is the same contrast
    of whole images. There is no queue and no second encoder: negatives come from the batch, as
    those of local discrimination do.

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
        self.dense_head = _projection(partial(nn.Conv2d, kernel_size=1))

    def forward(self, views: Views) -> torch.Tensor:
        first, second = (self.encoder(x)[-1] for x in _both(views))
        return (self._one_way(first, second) + self._one_way(second, first)) / 2

    def _one_way(self, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        of_query, of_key = (_unit(self.image_head(x.mean((2, 3)))) for x in (query, key))  # (N, 32)
        images = info_nce(of_query, of_key, self.temperature)

        likeness = torch.einsum("ndp,ndq->npq", _unit(query).flatten(2), _unit(key).flatten(2))
        queries, keys = (_unit(self.dense_head(x)).flatten(2) for x in (query, key))  # (N, 32, P)
        return (images + dense_contrast(queries, keys, likeness.argmax(2), self.temperature)) / 2


class Autoencoder(nn.Module):
    """A denoising autoencoder: half of each view is hidden in blocks of 16 pixels and has to be
    filled in.

    Args:
        in_channels: 3 for photographs, 1 for X-rays.

    Calling it on `Views` returns the scalar loss, the mean squared error of what was hidden; mixed
    images are not used.

    Source: Vincent et al., JMLR 2010; blocks as in Pathak et al., CVPR 2016. Taught in notebook 05,
    section 3.
    """

    def __init__(self, in_channels: int):
        super().__init__()
        self.encoder, self.decoder = Encoder(in_channels), Decoder()
        self.head = nn.Conv2d(32, in_channels, 1)

    def forward(self, views: Views) -> torch.Tensor:
        x = torch.cat(_both(views))
        share, blocks = own_share(), [size // 16 for size in x.shape[-2:]]
        hidden = torch.rand(share.of * len(x), 1, *blocks, device=x.device) < 0.5
        hidden = share.take(hidden, parts=4)  # first and second views, each in two halves
        hidden = F.interpolate(hidden.float(), x.shape[-2:])
        filled = self.head(self.decoder(self.encoder(x * (1 - hidden) + 0.5 * hidden)))
        return masked_reconstruction(filled, x, hidden)


BASELINES = {"instance": InstanceDiscrimination, "dense": DenseContrast, "autoencoder": Autoencoder}


def _unit(x: torch.Tensor) -> torch.Tensor:
    return F.normalize(x.float(), dim=1)


def _both(views: Views) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(
        x.contiguous(memory_format=torch.channels_last) for x in (views.first, views.second)
    )


def _projection(layer) -> nn.Sequential:
    return nn.Sequential(layer(128, 128), nn.ReLU(inplace=True), layer(128, 32))
