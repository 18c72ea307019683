"""Training until a segmentation gets no better: looks at images that are set aside."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from fastai.callback.core import Callback, CancelFitException
from torch import nn

from ..data import checks
from ..data.errors import DataError
from ..device import mixed_precision
from ..metrics import dice


@dataclass(frozen=True)
class WatchedImages:
    """Images with masks that are trained on by nobody and tested by nobody.

    Attributes:
        images: (N, S, S, C) uint8, as the network sees them in training.
        masks: (N, S, S) bool, of the structure.
        inside: (N, S, S) bool, the field of view.

    Raises:
        DataError: There is no image, or the images have another type or shape.
        ValueError: Masks and images do not fit each other.

    Calling it on a segmenter returns the mean Dice at threshold 0.5, in [0, 1].
    """

    images: np.ndarray
    masks: np.ndarray
    inside: np.ndarray

    def __post_init__(self):
        images = checks.as_bytes(self.images, "images", "NSSC")
        if not len(images):
            raise DataError("there is no image to look at while training")
        masks, inside = (
            checks.mask(given, name, "NSS")
            for given, name in ((self.masks, "masks"), (self.inside, "inside"))
        )
        checks.one_shape(masks=masks, inside=inside, **{"pixels of images": images[..., 0]})
        for name, value in dict(images=images, masks=masks, inside=inside).items():
            object.__setattr__(self, name, value)

    @torch.no_grad()
    def __call__(self, net: nn.Module) -> float:
        place, was_training = next(net.parameters()).device, net.training
        net.eval()
        found = []
        for image, truth, inside in zip(self.images, self.masks, self.inside):
            x = torch.from_numpy(np.array(image)).to(place).permute(2, 0, 1)[None].float() / 255
            with mixed_precision(place):
                logits = net(x.contiguous(memory_format=torch.channels_last))
            found.append(dice((logits[0, 0].float() > 0).cpu().numpy() & inside, truth))
        net.train(was_training)
        return float(np.mean(found))


class Watched(Callback):
    """Looks at the images after each epoch; ends the training when looks get no better, and leaves
    the network of the best one.

    Args:
        net: The segmenter that is trained.
        images: What it is looked at with.
        steps: Of an epoch.
        patience: Looks without a better one after which training ends; 0 never ends it and leaves
            the last network.
    """

    def __init__(self, net: nn.Module, images: WatchedImages, steps: int, patience: int):
        self.net, self.images, self.steps, self.patience = net, images, steps, patience
        self.looks: dict[int, float] = {}

    def after_epoch(self):
        now = self.images(self.net)
        is_best = now > max(self.looks.values(), default=-1.0)
        self.looks[(self.epoch + 1) * self.steps] = now
        if is_best:
            self.best, self.waited = deepcopy(self.net.state_dict()), 0
            return
        self.waited += 1
        if self.patience and self.waited >= self.patience:
            raise CancelFitException()

    def after_fit(self):
        if self.patience:
            self.net.load_state_dict(self.best)
