"""The images of a step of a guided training, and who makes them."""

from dataclasses import dataclass

import torch
from fastai.callback.core import Callback

from ..data.augment import PairMaker, Pairs
from ..data.views import ViewMaker, Views
from ..distributed import own_share


@dataclass
class GuidedBatch:
    """The images of a step.

    Attributes:
        views: Views of real images, if a loss needs them.
        rendered: Rendered images with their masks.
        teacher: Real images with the teacher's maps, if a loss needs them.
        use_rendered: Whether a loss needs the rendered images themselves; the adversary needs only
            their masks.
    """

    views: Views | None
    rendered: Pairs
    teacher: Pairs | None
    use_rendered: bool

    def stack(self) -> torch.Tensor:
        """All images in one batch (5B + R + T, C, s, s), views first, so that all share the
        statistics of BatchNorm.
        """
        images = [] if self.views is None else [self.views.stack()]
        images += [self.rendered.images] if self.use_rendered else []
        images += [self.teacher.images] if self.teacher else []
        return torch.cat(images).contiguous(memory_format=torch.channels_last)

    def split(self, outputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cuts outputs of `stack()` into those of the views and those of all other images."""
        n_views = 0 if self.views is None else self.views.n_images
        return outputs[:n_views], outputs[n_views:]  # (5B, ...), (R + T, ...)

    def unmixed(self, outputs: torch.Tensor) -> torch.Tensor:
        """Outputs of `stack()` without those of mixed images."""
        if self.views is None:
            return outputs
        of_views, others = self.split(outputs)
        return torch.cat([of_views[: self.views.n_unmixed], others])  # (4B + R + T, ...)

    def split_unmixed(self, outputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Cuts outputs of `unmixed()` into those of unmixed views (4B), rendered images (R) and the
        teacher's images (T).
        """
        n_views = 0 if self.views is None else self.views.n_unmixed
        n_rendered = len(self.rendered.images) if self.use_rendered else 0
        return outputs.split([n_views, n_rendered, len(outputs) - n_views - n_rendered])


class MakeGuidedBatch(Callback):
    """Replaces the batch of real images by a `GuidedBatch`; with a teacher half of the rendered
    images are real ones instead. Each of several processes renders all pairs and keeps its share.
    """

    def __init__(
        self,
        make_views: ViewMaker | None,
        make_pairs: PairMaker,
        make_teacher_pairs: PairMaker | None,
        n_images: int,
        use_rendered: bool,
    ):
        self.make_views, self.make_pairs, self.make_teacher_pairs = (
            make_views,
            make_pairs,
            make_teacher_pairs,
        )
        self.n_teacher = n_images // 2 if make_teacher_pairs else 0
        self.n_rendered, self.use_rendered = n_images - self.n_teacher, use_rendered
        own_share().equal(self.n_rendered, "number of rendered images")
        own_share().equal(self.n_teacher, "number of the teacher's images")

    def before_batch(self):
        device, views, teacher = next(self.model.parameters()).device, None, None
        if self.make_views:
            images = self.xb[0].to(device, non_blocking=True)
            views = self.make_views(images.permute(0, 3, 1, 2), own_share())  # (2B, C, H, W)
        rendered = _shared(self.make_pairs(self.n_rendered, device))
        if self.n_teacher:
            teacher = _shared(self.make_teacher_pairs(self.n_teacher, device))
        batch = GuidedBatch(views, rendered, teacher, self.use_rendered)
        self.learn.xb, self.learn.yb = (batch,), (batch,)


def _shared(pairs: Pairs) -> Pairs:
    take = own_share().take
    return Pairs(take(pairs.images), take(pairs.targets))
