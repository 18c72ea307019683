"""A start for the clustering branch: k-means of what the embedding branch has learned, ours.

Shapes in comments: B pairs of source images (4B views), D embedding dimensions, K clusters, s
pixels along a view's side.
"""

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.cluster import MiniBatchKMeans

from .data.batches import image_batches
from .data.views import Views
from .device import mixed_precision
from .distributed import average
from .network import TwoBranchNet
from .settings import Settings

BATCHES, PIXELS = 6, 20_000
"""Batches from which pixels are drawn for k-means, and how many pixels."""


@torch.no_grad()
def k_means_centres(net: TwoBranchNet, images: np.ndarray, settings: Settings) -> torch.Tensor:
    """Centres of the pixels' embeddings on the sphere, by k-means.

    Args:
        net: Its embedding branch is looked at, in evaluation mode; it is not changed.
        images: As in `ldr_lib.train`.
        settings: Views, number of clusters and seed.

    Returns:
        (K, D) unit vectors.
    """
    device, was_training = next(net.parameters()).device, net.training
    net.eval()
    found = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        for (batch,) in image_batches(images, settings.pairs, BATCHES):
            views = settings.view_maker(batch.to(device).permute(0, 3, 1, 2))
            with mixed_precision(device, net):
                v = net.embed(views.first.contiguous(memory_format=torch.channels_last))
            inside = views.inside[: len(v), 0] > 0  # (2B, s, s)
            found.append(v.permute(0, 2, 3, 1)[inside].cpu())  # (pixels, D)
    net.train(was_training)
    vectors = torch.cat(found).numpy()
    rng = np.random.default_rng(settings.seed)
    drawn = vectors[rng.choice(len(vectors), min(PIXELS, len(vectors)), replace=False)]
    k_means = MiniBatchKMeans(settings.n_clusters, n_init=3, random_state=settings.seed).fit(drawn)
    return F.normalize(torch.from_numpy(k_means.cluster_centers_).float(), dim=1).to(device)


class ClustersAlone(torch.nn.Module):
    """What is run to start the clustering branch: this branch in training mode, on the shared map
    of a network that stays as it is.
    """

    def __init__(self, net: TwoBranchNet):
        super().__init__()
        self.net = net

    def train(self, mode: bool = True):
        self.training = mode
        self.net.eval()
        self.net.clustering_branch.train(mode)
        return self

    def forward(self, views: Views) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.cat([views.first, views.second]).contiguous(memory_format=torch.channels_last)
        with mixed_precision(x.device):
            with torch.no_grad():
                shared, size = self.net.shared_map(x), x.shape[-2:]
                embeddings = self.net.embeddings(shared, size)  # (4B, D, s, s)
            return embeddings, self.net.assignments(shared, size)  # (4B, K, s, s)


class NearestCentre:
    """The clustering branch answers, for every pixel, which centre its embedding is nearest to: the
    mean of -log a_k(p) with k the nearest centre.

    Args:
        centres: (K, D) unit vectors.
        weight: Of the loss.

    Attributes:
        terms: The term of the last call, detached.
    """

    def __init__(self, centres: torch.Tensor, weight: float = 1.0):
        self.centres, self.weight, self.terms = centres, weight, {}

    def __call__(self, outputs: tuple[torch.Tensor, torch.Tensor], views: Views) -> torch.Tensor:
        embeddings, clusters = outputs
        nearest = torch.einsum("bdhw,kd->bkhw", embeddings, self.centres).argmax(1, keepdim=True)
        chosen = clusters.clamp(min=1e-6).log().gather(1, nearest)  # (4B, 1, s, s)
        n_inside = average(views.inside.sum()).clamp(min=1)
        loss = -(chosen * views.inside).sum() / n_inside
        self.terms = {"k_means": loss.detach()}
        return self.weight * loss
