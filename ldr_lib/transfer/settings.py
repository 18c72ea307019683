"""How long a segmentation is trained: the budget, the same for every start."""

from dataclasses import dataclass, fields

from ..data import checks
from ..data.checks import number, text, whole
from ..data.errors import one_of
from ..tiers import values_for

_CONVERGED = dict(steps=800, batch=4, side=128, learning_rate=1e-3, check_every=40)

BUDGETS = {
    "segmentation": {
        "smoke": dict(steps=2, batch=2, side=32, learning_rate=3e-3),
        "class": dict(steps=40, batch=6, side=64, learning_rate=3e-3),
        "study": dict(steps=80, batch=8, side=128, learning_rate=3e-3),
        "full": dict(steps=2000, batch=16, side=128, learning_rate=3e-3),
        "converged": _CONVERGED | dict(patience=6),
        "longest": _CONVERGED,
    }
}
"""Values of `TransferSettings` by tier."""


@dataclass(frozen=True)
class TransferSettings:
    """The budget of a segmentation, the same for every start.

    Attributes:
        tier: Name of the tier that these values belong to, "custom" for values of one's own.
        steps: Steps of each of the two stages, decoder and fine-tuning; at most, with patience.
        batch: Crops a step.
        side: Side of the crops in pixels, a multiple of 16.
        learning_rate: Highest rate of Adam, for the decoder.
        encoder_rate: That of the encoder, as a share of it.
        check_every: Steps between two looks at images that are set aside; the rate then stays the
            same in all steps. 0 never looks, and lets the rate rise and fall.
        patience: Looks without a better Dice after which a stage ends with the network of the best
            look; 0 trains all steps and takes the last network.
        seed: Of everything random.

    Raises:
        ValueError: A value makes no sense; the message says which.
    """

    tier: str = "custom"
    steps: int = 100
    batch: int = 8
    side: int = 128
    learning_rate: float = 1e-3
    encoder_rate: float = 1.0
    check_every: int = 0
    patience: int = 0
    seed: int = 0

    def __post_init__(self):
        checked = {
            "tier": text(self.tier, "tier"),
            "steps": whole(self.steps, "steps", 1, 10**6),
            "batch": whole(self.batch, "batch", 1, 10**5),
            "side": checks.multiple(self.side, "side", 16, 4096),
            "learning_rate": number(self.learning_rate, "learning_rate", 0),
            "encoder_rate": number(self.encoder_rate, "encoder_rate", 0),
            "check_every": whole(self.check_every, "check_every", 0, 10**6),
            "patience": whole(self.patience, "patience", 0, 10**6),
            "seed": checks.seed(self.seed),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.patience and not self.check_every:
            raise ValueError("patience needs looks: give check_every, the steps between two looks")
        if self.check_every and self.steps % self.check_every:
            raise ValueError(
                f"steps must be a multiple of check_every, {self.steps} is none of "
                f"{self.check_every}"
            )

    @classmethod
    def for_tier(cls, tier: str = "class", seed: int = 0, **changes) -> "TransferSettings":
        """The budget of a tier.

        Args:
            tier: "smoke", "class", "study" (behind the table), "full" (GPU), "converged" (until
                images that are set aside are segmented no better) or "longest" (the same without
                stopping). LDR_TIER overrides it.
            seed: Of everything random.
            changes: Further attributes to set.

        Raises:
            ValueError: Unknown tier, or a change that makes no sense.

        Example:
            >>> TransferSettings.for_tier("study").steps
            80

        Taught in notebook 05, section 3.
        """
        for name in changes:
            one_of(name, [field.name for field in fields(cls)], "setting")
        return cls(**values_for(BUDGETS, "segmentation", tier, "task") | {"seed": seed} | changes)
