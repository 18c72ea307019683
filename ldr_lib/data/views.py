"""Two aligned views of every image, and mixed images, for a whole batch at once on the device."""

import warnings
from dataclasses import dataclass

import torch
import torch.nn.functional as F

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
    import kornia.augmentation as augment

from .checks import flag, instance, number, shown, span, whole
from .geometry import affine_grid, uniform
from .share import WHOLE, Share


@dataclass
class Views:
    """Views of 2B source images, and the geometry that aligns their patch grids.

    Attributes:
        first: (2B, C, s, s) first view of every image, in [0, 1].
        second: (2B, C, s, s) second view, flipped and turned.
        mixed: (B, C, s, s); item b is lam[b] * first[b] + (1 - lam[b]) * first[B + b].
        lam: (B,) shares in the mixed images.
        pose: (2B,) which of the eight combinations of flip and quarter turns was applied to the
            second view, 0 to 7.
        inside: (4B, 1, s, s) 1 where a pixel of the first, then of the second views lies in the
            field of view, else 0; by default all do.
    """

    first: torch.Tensor
    second: torch.Tensor
    mixed: torch.Tensor
    lam: torch.Tensor
    pose: torch.Tensor
    inside: torch.Tensor | None = None

    def __post_init__(self):
        if self.inside is None:
            self.inside = self.first.new_ones(self.n_unmixed, 1, *self.first.shape[2:])

    @property
    def n_sources(self) -> int:
        """Number 2B of source images."""
        return len(self.first)

    @property
    def n_unmixed(self) -> int:
        """Number 4B of first and second views."""
        return len(self.first) + len(self.second)

    @property
    def n_images(self) -> int:
        """Number 5B of images in `stack()`."""
        return self.n_unmixed + len(self.mixed)

    def stack(self) -> torch.Tensor:
        """All 5B images in one batch: first views, second views, mixed images."""
        images = torch.cat([self.first, self.second, self.mixed])
        return images.contiguous(memory_format=torch.channels_last)

    def split(self, outputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Splits the network outputs of `stack()` into those of first views, second views and mixed
        images.
        """
        return outputs.split([len(self.first), len(self.second), len(self.mixed)])

    def unmixed(self, outputs: torch.Tensor) -> torch.Tensor:
        """The network outputs of the first and second views, without the mixed images.

        Negative padding cuts them off, because the gradient of a slice loses channels_last.
        """
        return F.pad(outputs, (0, 0, 0, 0, 0, 0, 0, -len(self.mixed)))

    def cells_inside(self, grid: int) -> torch.Tensor:
        """Which cells of a patch grid lie in the field of view with all their pixels, in both
        views.

        Args:
            grid: Cells G along each side.

        Returns:
            (2B, G, G) bool, on the first views' grid.
        """
        least = -F.adaptive_max_pool2d(-self.inside, grid)  # (4B, 1, G, G)
        first, second = least.chunk(2)
        return torch.minimum(first, self.realign(second))[:, 0] > 0

    def realign(self, grid: torch.Tensor) -> torch.Tensor:
        """Turns a grid of the second views back, so that cell (i, j) shows what cell (i, j) of the
        first view shows.

        Args:
            grid: (2B, D, G, G) values on the second views.

        Returns:
            (2B, D, G, G) values on the first views' grid.
        """
        cells = torch.arange(grid.shape[-1] ** 2, device=grid.device).reshape(grid.shape[-2:])
        shown = torch.stack(
            [torch.rot90(cells.flip(1) if pose >= 4 else cells, pose % 4) for pose in range(8)]
        )  # (8, G, G): the first view's cell that each cell of the second view shows
        source = shown.flatten(1).argsort(1)[self.pose]  # (2B, G * G)
        return (
            grid.flatten(2)
            .gather(2, source[:, None].expand(-1, grid.shape[1], -1))
            .reshape(grid.shape)
        )


@dataclass(frozen=True)
class ViewMaker:
    """Draws the views of a batch: one crop for both views of an image, then an independent
    appearance for each view.

    Attributes:
        size: Side s of the views in pixels.
        scale: Smallest and largest side of the crop as a share of the image's side.
        rotation: Largest rotation of the crop in degrees; 180 allows any.
        wobble: Largest further rotation of each view in degrees, drawn independently.
        colour: Strength of the jitter of brightness, contrast and saturation; hue gets 1/20 of it.
            X-rays: brightness and contrast only.
        grey: Probability that a colour view becomes grey.
        upright: True applies no flips and quarter turns, for images in which the direction "up"
            matters.
        appearances: How many appearances of every image are given, one after the other along the
            channels, for example raw and locally normalised; each view shows one of them, drawn
            at random.
        antialias: Whether crops larger than a view are smoothed before they are made smaller.
        field_of_view: Whether the last channel of the images is their field of view, 0 outside.
            What lies outside it, or outside the image, then counts in no loss. Without, all pixels
            count, black ones too.

    Raises:
        ValueError: A value makes no sense; the message says which.

    Source: Chen et al. 2021, section 3.2 and the authors' settings. Taught in notebook 01,
    section 6.
    """

    size: int = 128
    scale: tuple[float, float] = (0.9, 1.0)
    rotation: float = 180.0
    wobble: float = 2.0
    colour: float = 0.4
    grey: float = 0.2
    upright: bool = False
    appearances: int = 1
    antialias: bool = False
    field_of_view: bool = False

    def __post_init__(self):
        whole(self.size, "size", 1, 4096)
        span(self.scale, "scale", 1)
        for name, most in (("rotation", 180), ("wobble", 180), ("colour", 1), ("grey", 1)):
            number(getattr(self, name), name, 0, most)
        flag(self.upright, "upright")
        whole(self.appearances, "appearances", 1, 16)
        flag(self.antialias, "antialias")
        flag(self.field_of_view, "field_of_view")

    def channels_of(self, channels: int) -> int:
        """Channels of a view, of images with so many: without the field of view, and shared by
        their appearances.

        Raises:
            ValueError: They cannot be shared so.
        """
        shared = whole(channels, "channels", 1) - self.field_of_view
        if shared < 1 or shared % self.appearances:
            raise ValueError(
                f"images hold {self.appearances} appearances, one after the other along the "
                f"channels{' and the field of view as the last one' * self.field_of_view}, and "
                f"{channels} channels cannot be shared so"
            )
        return shared // self.appearances

    def __call__(self, images: torch.Tensor, share: Share = WHOLE) -> Views:
        """Makes the views.

        Args:
            images: (2B, C, H, W) uint8, or float in [0, 1], already on the device; an even number
                of square images, with `appearances` times as many channels as the views have, and
                one more for the field of view.
            share: Which part of a larger batch they are. All random numbers of that batch are
                drawn, so that its shares get the views that they get when made together.

        Returns:
            The `Views`. Outside the image they are black.

        Raises:
            ValueError: An odd number of images, images that are not square, or floats outside
                [0, 1].
        """
        if not torch.is_tensor(images) or images.ndim != 4 or not images.numel():
            raise ValueError(f"views need a tensor of images (2B, C, S, S), not {shown(images)}")
        instance(share, Share, "share", "a Share, as own_share returns it")
        n, channels, height, width = images.shape
        if n % 2 or height != width:
            raise ValueError(
                f"views need an even number of square images, not {n} of {height} x {width}"
            )
        self.channels_of(channels)
        seen = (images[:, -1:] > 0).float() if self.field_of_view else None  # (2B, 1, H, W)
        images = images[:, :-1] if self.field_of_view else images
        if images.dtype == torch.uint8:
            images = images.float() / 255
        elif not images.is_floating_point() or not 0 <= images.min() <= images.max() <= 1:
            raise ValueError("images for views must be uint8, or floats in [0, 1]")
        images = images.float()

        def draw(low: float, high: float, *shape: int) -> torch.Tensor:
            return share.take(uniform(share.of * n, images.device, low, high, *shape), parts=2)

        side = draw(*self.scale)
        centre = (1 - side)[:, None] * draw(-1, 1, 2)
        turn = draw(-self.rotation, self.rotation)
        pose = torch.randint(1 if self.upright else 8, (share.of * n,), device=images.device)
        pose = share.take(pose, parts=2)
        views, inside = [], []
        for k in (torch.zeros_like(pose), pose):
            grid = self._crop(centre, side, turn + draw(-self.wobble, self.wobble), k)
            view = self._sample(images, grid, side)
            views.append(self._augment(self._appearance(view, share), share))
            if self.field_of_view:
                inside.append((self._sample(seen, grid, side) > 0.99).float())
        first, second = views
        lam = share.take(uniform(share.of * n // 2, images.device, 0.2, 0.8))
        part = lam[:, None, None, None]
        mixed = part * first[: n // 2] + (1 - part) * first[n // 2 :]
        return Views(first, second, mixed, lam, pose, torch.cat(inside) if inside else None)

    def _crop(self, centre, side, degrees, pose) -> torch.Tensor:
        angle = torch.deg2rad(degrees)
        rotation = _rotation(angle)
        flip = torch.diag_embed(torch.stack([1.0 - 2.0 * (pose >= 4), torch.ones_like(angle)], 1))
        linear = side[:, None, None] * rotation @ flip @ _rotation(pose % 4 * (torch.pi / 2))
        (a, b), (c, d) = linear.permute(1, 2, 0)
        return affine_grid(a, b, c, d, centre, self.size)

    def _sample(self, images, grid, side) -> torch.Tensor:
        if not self.antialias:
            return F.grid_sample(images, grid, align_corners=False)
        return _sample_smoothed(images, grid, side * images.shape[-1] / self.size)

    def _appearance(self, views: torch.Tensor, share: Share) -> torch.Tensor:
        """One appearance of each view, (2B, appearances * C, s, s) to (2B, C, s, s)."""
        if self.appearances == 1:
            return views
        n = share.of * len(views)
        drawn = torch.randint(self.appearances, (n,), device=views.device)
        drawn = share.take(drawn, parts=2)
        parts = views.unflatten(1, (self.appearances, -1))  # (2B, appearances, C, s, s)
        return parts[torch.arange(len(views), device=views.device), drawn]

    def _augment(self, views: torch.Tensor, share: Share) -> torch.Tensor:
        if self.colour:
            tint = (self.colour, self.colour / 20) if views.shape[1] == 3 else (0.0, 0.0)
            jitter = augment.ColorJitter(self.colour, self.colour, *tint, p=1.0)
            views = jitter(views, params=_drawn(jitter, views, share))
        if self.grey and views.shape[1] == 3:
            grey = augment.RandomGrayscale(p=self.grey)
            views = grey(views, params=_drawn(grey, views, share))
        return views


def _sample_smoothed(
    images: torch.Tensor, grid: torch.Tensor, pixels: torch.Tensor
) -> torch.Tensor:
    """Samples each image from itself at full, half or quarter size.

    Args:
        images: (N, C, H, W).
        grid: (N, s, s, 2), as `F.grid_sample` takes it.
        pixels: (N,) pixels of the image between two samples.
    """
    level = (pixels > 1.5).long() + (pixels > 3).long()  # (N,)
    found = images.new_empty(*images.shape[:2], *grid.shape[1:3])
    for halvings in range(3):
        chosen = (level == halvings).nonzero().flatten()
        if len(chosen):
            smaller = F.avg_pool2d(images[chosen], 2**halvings)
            found[chosen] = F.grid_sample(smaller, grid[chosen], align_corners=False)
    return found


def _drawn(augmentation, views: torch.Tensor, share: Share) -> dict[str, torch.Tensor]:
    """The share's rows of the random parameters of a whole batch."""
    drawn = augmentation.forward_parameters((share.of * len(views), *views.shape[1:]))
    same = ("order", "forward_input_shape")  # one for all images
    return {
        name: value if name in same else share.take(value, parts=2) for name, value in drawn.items()
    }


def _rotation(angle: torch.Tensor) -> torch.Tensor:
    sine, cosine = angle.sin(), angle.cos()
    return torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
