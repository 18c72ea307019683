"""The five trainings of the assignment "training": `python tests/course/curves.py` runs them again,
about ten minutes on one core, and stores their curves.
"""

import json

import torch
from stored import main, scope_of

from ldr_lib.teaching.checks import STORED

TRAININGS = {
    "A": {"aligned": False},
    "B": {},
    "C": {"rate": 4e-6},
    "D": {"pulled": True},
    "E": {"rate": 0.4},
}


def curves(scope: dict, rate: float = 4e-3, aligned: bool = True, pulled: bool = False) -> dict:
    """Loss of 150 steps, and top-1 share and spread on held-out images before every tenth.

    Args:
        scope: Names of the assignment.
        rate: Learning rate.
        aligned: Whether the second grid is turned back.
        pulled: Minimise the distance of partners alone.
    """
    net = scope["begin"]("scratch")
    optimiser = torch.optim.Adam(net.parameters(), lr=rate)
    found = {"loss": [], "top_1": [], "spread": []}
    for step in range(150):
        if step % 10 == 0:
            measure(net, scope, found)
        views = scope["two_views"](scope["images"], step)
        first, second = (scope["patch_grid"](net.embed(v), 8) for v in (views.first, views.second))
        second = views.realign(second) if aligned else second
        first, second = scope["patch_rows"](first), scope["patch_rows"](second)
        loss = scope["patch_discrimination"](first, second)
        minimised = -(first * second).sum(1).mean() if pulled else loss
        optimiser.zero_grad()
        minimised.backward()
        optimiser.step()
        found["loss"].append(round(loss.item(), 2))
    measure(net, scope, found)
    return found


@torch.no_grad()
def measure(net, scope: dict, found: dict) -> None:
    """Adds the mean top-1 share and spread of three pairs of views."""
    hits, spreads = [], []
    net.eval()
    for step in range(10_000, 10_003):
        first, second = scope["vectors"](net, scope["two_views"](scope["held_out"], step))
        cosines = first @ first.T
        hits.append(scope["top_1"](first, second))
        spreads.append(1 - float((cosines.sum() - len(first)) / (len(first) * (len(first) - 1))))
    net.train()
    found["top_1"].append(round(sum(hits) / 3, 4))
    found["spread"].append(round(sum(spreads) / 3, 4))


if __name__ == "__main__":
    known = json.loads(STORED.read_text(encoding="utf-8"))
    names = scope_of("training")
    known["training: curves"] = {
        "value": {letter: curves(names, **how) for letter, how in TRAININGS.items()}
    }
    STORED.write_text(json.dumps(known), encoding="utf-8")
    main()
