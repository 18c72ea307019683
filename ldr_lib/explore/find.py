"""The explorer's mode "find this point": the place in every image that looks most like the chosen
one.
"""

from functools import cached_property

import numpy as np

from ..distinctive import MANY, share_alike
from ..template import (
    BETWEEN,
    CELLS,
    COMMON,
    Kernel,
    best_place,
    blurred,
    bounds,
    describe_cells,
    score_map,
)
from ..template import template as template_of
from .scene import Point, Scene

KERNEL = Kernel()
"""The surroundings that count: a Gaussian of 1/32 of the image's side."""


class Finder:
    """Finds chosen points in the images of a scene; images are described when first needed.

    Args:
        scene: As `embed_scene` returns it.

    Taught in notebook 07, section 6.
    """

    def __init__(self, scene: Scene):
        self.scene = scene

    @cached_property
    def _described(self) -> list:
        sides, cell = self.scene.inside.shape[1:], cell_side(self.scene)
        whole = tuple(slice(side // cell * cell) for side in sides)
        return [
            blurred(describe_cells(vectors[whole], inside[whole], cell), KERNEL.width * max(sides))
            for vectors, inside in zip(self.scene.embeddings, self.scene.inside)
        ]

    def find(self, points: list[Point]) -> list[dict]:
        """The best place in every image for the mean of the similar points.

        Args:
            points: Chosen pixels; those marked dissimilar are not looked at.

        Returns:
            For each image "row" and "column" in pixels, "score" (cosine), "found": whether the
            score reaches the bound of `ldr_lib.template.bounds`, and "distinctive": whether
            few other places of the points' own images look like them (`ldr_lib.distinctive`).
            Nothing where no pixel is marked similar.
        """
        similar = [point for point in points if point.similar]
        if not similar:
            return []
        support = [self._described[point.image] for point in similar]
        places = [(point.row, point.column) for point in similar]
        wanted = template_of(support, places, KERNEL)
        cells = max(support[0].inside.shape)
        maps = [score_map(image, wanted, KERNEL, cells) for image in self._described]
        reach = KERNEL.reach * max(self.scene.inside.shape[1:])
        own = [maps[point.image] for point in similar]
        _, bound = bounds(own, places, reach, support[0].cell)
        distinctive = share_alike(own, places, reach, support[0].cell) < MANY
        found = []
        for map_ in maps:
            row, column, score = best_place(map_, support[0].cell)
            place = {"row": round(row), "column": round(column), "score": round(score, 3)}
            found.append(place | {"found": score >= bound, "distinctive": distinctive})
        return found


def cell_side(scene: Scene) -> int:
    """Side of a cell in pixels, of which 64 to 128 fit along the longer side of an image; pixels at
    the far rims that fill no whole cell are left out.
    """
    return 2 ** max(0, int(np.log2(max(scene.inside.shape[1:]) / CELLS)))


def constants(scene: Scene) -> dict[str, float]:
    """What the page without a kernel needs to find points as `Finder` does (`find.js`).

    Args:
        scene: At the resolution of the page.

    Returns:
        "cell", the side of a cell in pixels; "deviation" of the Gaussian in cells; "reach" in
        pixels, nearer than which no place is another one; "between", where the bound of a finding
        lies between another place, 0, and the point itself, 1; "common", the share of the
        point's own score from which another place looks like it; and "many", the share of such
        places from which the point is not distinctive.
    """
    side, cell = max(scene.inside.shape[1:]), cell_side(scene)
    return {
        "cell": cell,
        "deviation": KERNEL.width * side / cell,
        "reach": KERNEL.reach * side,
        "between": BETWEEN,
        "common": COMMON,
        "many": MANY,
    }
