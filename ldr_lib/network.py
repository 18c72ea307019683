"""The two-branch network: a shared encoder and decoder, an embedding branch and a clustering
branch.

Shapes in comments: B images of H x W pixels, D embedding dimensions, K clusters.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .data.checks import shown, whole


def l2_normalize(x: torch.Tensor) -> torch.Tensor:
    """Scales every pixel's vector to length one.

    Multiplies by the reciprocal length, because the gradient of a division would pass over the
    full-resolution map twice as often.

    Args:
        x: (B, D, H, W).

    Returns:
        (B, D, H, W) unit vectors along D.

    Example:
        >>> unit = l2_normalize(torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1))
        >>> [round(x, 4) for x in unit.flatten().tolist()]
        [0.6, 0.8]
    """
    return x * x.square().sum(1, keepdim=True).clamp(min=1e-24).rsqrt()  # length: (B, 1, H, W)


class _RepeatBorder(torch.autograd.Function):
    """Repeats the outermost pixels once on every side, (B, C, H, W) to (B, C, H + 2, W + 2).

    torch's own padding would leave the channels_last layout. Both directions copy the map once:
    copies of the full-resolution maps cost more than the arithmetic on them.
    """

    @staticmethod
    def forward(context, x: torch.Tensor) -> torch.Tensor:
        n, channels, height, width = x.shape
        padded = torch.empty(
            (n, channels, height + 2, width + 2),
            dtype=x.dtype,
            device=x.device,
            memory_format=torch.channels_last,
        )
        padded[:, :, 1:-1, 1:-1] = x
        padded[:, :, 0, 1:-1], padded[:, :, -1, 1:-1] = x[:, :, 0], x[:, :, -1]
        padded[..., 0], padded[..., -1] = padded[..., 1], padded[..., -2]
        return padded

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> torch.Tensor:
        inner = gradient[:, :, 1:-1, 1:-1].clone(memory_format=torch.channels_last)
        inner[:, :, 0] += gradient[:, :, 0, 1:-1]
        inner[:, :, -1] += gradient[:, :, -1, 1:-1]
        for side in (0, -1):  # the border columns, with the corners folded into their ends
            column = gradient[:, :, 1:-1, side].clone()  # (B, C, H)
            column[:, :, 0] += gradient[:, :, 0, side]
            column[:, :, -1] += gradient[:, :, -1, side]
            inner[..., side] += column
        return inner  # (B, C, H, W)


class _Conv3x3(nn.Conv2d):
    """A 3x3 convolution that repeats the border, because zeros there would tell pixels that they
    lie near the border of the view.
    """

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__(channels_in, channels_out, 3)
        self.pad = _RepeatBorder.apply

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(self.pad(x))  # (B, channels_out, H, W)


def convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    """3x3 convolution, BatchNorm and ReLU, (B, channels_in, H, W) to (B, channels_out, H, W)."""
    return nn.Sequential(
        _Conv3x3(channels_in, channels_out), nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)
    )


def init_weights(net: nn.Module) -> nn.Module:
    """Initialises all convolutions as He et al. 2015 (normal, fan-out), with zero biases.

    Args:
        net: Changed in place; random numbers come from torch's generator.

    Returns:
        The same network.
    """
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(module.bias)
    return net


def _require_images(x: torch.Tensor, net: nn.Module, what: str) -> None:
    """Makes sure that a network is called on images; looks at type, shape and device only."""
    channels, place = net.in_channels, next(net.parameters()).device
    if not isinstance(x, torch.Tensor) or not x.is_floating_point():
        raise ValueError(
            f"this {what} takes tensors of floats in [0, 1], (B, {channels}, H, W), not "
            f"{shown(x)}; represent takes arrays of images as they are"
        )
    if x.ndim != 4 or x.shape[1] != channels or min(x.shape) < 1:
        raise ValueError(
            f"this {what} takes image batches (B, {channels}, H, W), not "
            f"{tuple(x.shape)}; build it with in_channels equal to the channels of your images"
        )
    if x.device != place:
        raise ValueError(f"this {what} is on {place} and the images are on {x.device}; move one")


def require_embedding(net: nn.Module, name: str = "net") -> nn.Module:
    """Makes sure that something embeds every pixel of an image.

    Args:
        net: A `TwoBranchNet`, or another module with its `embed` and `in_channels`.
        name: Of the argument, for the message.

    Returns:
        The network.

    Raises:
        ValueError: It does not.
    """
    if isinstance(net, nn.Module) and hasattr(net, "embed") and hasattr(net, "in_channels"):
        return net
    raise ValueError(
        f"{name} must be a TwoBranchNet, which embeds every pixel, not a {type(net).__name__}; "
        "load_representation gives one"
    )


class Encoder(nn.Module):
    """Small VGG-16 that returns the feature map of every resolution, finest first.

    Calling it on (B, in_channels, H, W) with H and W multiples of 16 returns five maps of 16, 32,
    64, 128 and 128 channels at 1/1, 1/2, 1/4, 1/8 and 1/16 of the size. 922,896 parameters for
    three input channels.

    Args:
        in_channels: 3 for photographs, 1 for X-rays.

    Example:
        >>> [tuple(maps.shape[1:]) for maps in Encoder()(torch.rand(1, 3, 64, 64))]
        [(16, 64, 64), (32, 32, 32), (64, 16, 16), (128, 8, 8), (128, 4, 4)]

    Source: Chen et al. 2021, section 3.1 (network). Taught in notebook 02, section 2.
    """

    widths = (16, 32, 64, 128, 128)
    depths = (2, 2, 3, 3, 3)

    def __init__(self, in_channels: int = 3):
        super().__init__()
        self.in_channels = whole(in_channels, "in_channels", 1, 1024)
        groups, channels = [], in_channels
        for width, depth in zip(self.widths, self.depths):
            layers = [convolution(channels if i == 0 else width, width) for i in range(depth)]
            groups.append(nn.Sequential(*layers))
            channels = width
        self.groups = nn.ModuleList(groups)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        _require_images(x, self, "encoder")
        x = x.to(next(self.parameters()).dtype)  # images are floats, weights may be half or double
        features = []
        for level, group in enumerate(self.groups):
            x = group(F.max_pool2d(x, 2) if level else x)  # (B, width, H / 2^level, W / 2^level)
            features.append(x)
        return features


class Decoder(nn.Module):
    """U-Net decoder from the encoder's five maps to one shared 32-channel map at full resolution.

    Example:
        >>> Decoder()(Encoder()(torch.rand(1, 3, 64, 64))).shape
        torch.Size([1, 32, 64, 64])

    Source: Chen et al. 2021, section 3.1 (network). Taught in notebook 02, section 2.
    """

    def __init__(self):
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(convolution(2 * width, width), convolution(width, width // 2))
            for width in (128, 64, 32)
        )

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        *skips, x = features
        for level, skip in zip([*self.levels, nn.Identity()], reversed(skips)):
            x = F.interpolate(x, scale_factor=2.0)  # (B, C, h, w) to (B, C, 2h, 2w)
            x = level(torch.cat([x, skip], 1))  # 256 to 64, 128 to 32, 64 to 16, then 32 channels
        return x  # (B, 32, H, W)


class TwoBranchNet(nn.Module):
    """Embeds every pixel on a hypersphere and assigns it softly to clusters.

    Args:
        in_channels: Channels of the image (3 colour, 1 X-ray).
        embedding_dim: Dimension D of the space in which the unit sphere lies.
        n_clusters: Number K of clusters.

    Attributes:
        guide: Which clusters stand for which structure (`ldr_lib.structures.Guide`), None if no
            cluster was guided.

    Raises:
        ValueError: A size that is not positive, or, when called, an image batch of another shape or
            channel count.

    Example:
        >>> embeddings, clusters = TwoBranchNet()(torch.rand(2, 3, 100, 80))
        >>> embeddings.shape, clusters.shape
        (torch.Size([2, 32, 100, 80]), torch.Size([2, 16, 100, 80]))

    Source: Chen et al. 2021, section 3.1 (network). Taught in notebook 02, section 2.
    """

    def __init__(self, in_channels: int = 3, embedding_dim: int = 32, n_clusters: int = 16):
        super().__init__()
        self.in_channels = whole(in_channels, "in_channels", 1, 1024)
        self.embedding_dim = whole(embedding_dim, "embedding_dim", 1, 4096)
        self.n_clusters = whole(n_clusters, "n_clusters", 1, 4096)
        self.guide = None
        self.encoder = Encoder(in_channels)
        self.decoder = Decoder()
        self.embedding_branch = nn.Sequential(convolution(32, 32), _Conv3x3(32, embedding_dim))
        self.clustering_branch = nn.Sequential(
            convolution(32, n_clusters), _Conv3x3(n_clusters, n_clusters)
        )
        init_weights(self)

    def shared_map(self, x: torch.Tensor) -> torch.Tensor:
        """The (B, 32, H', W') map that both branches read; H' and W' are H and W rounded up to
        multiples of 16.
        """
        _require_images(x, self, "network")
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % 16, 0, -height % 16), mode="replicate")  # (B, C, H', W')
        return self.decoder(self.encoder(x))  # (B, 32, H', W')

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """Embedding branch alone: (B, D, H, W) unit vectors v(p)."""
        return self.embeddings(self.shared_map(x), x.shape[-2:])

    def embeddings(self, shared: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Unit vectors v(p) from the shared map, cut to the image's height and width."""
        raw = self.embedding_branch(shared)[..., : size[0], : size[1]]  # (B, D, H, W)
        return l2_normalize(raw.float())

    def assignments(self, shared: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Cluster assignments a_k(p) from the shared map, cut to the image's height and width."""
        raw = self.clustering_branch(shared)[..., : size[0], : size[1]]  # (B, K, H, W)
        activated = raw.float().sigmoid()
        return activated * activated.sum(1, keepdim=True).clamp(min=1e-12).reciprocal()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeds and clusters an image batch.

        Args:
            x: (B, in_channels, H, W) images in [0, 1], any H and W.

        Returns:
            Embeddings v(p), (B, D, H, W) unit vectors, and cluster assignments a_k(p), (B, K, H, W)
            summing to 1 over K.
        """
        shared, size = self.shared_map(x), x.shape[-2:]
        return self.embeddings(shared, size), self.assignments(shared, size)
