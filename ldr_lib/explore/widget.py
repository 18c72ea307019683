"""The explorer in a notebook: click a pixel of any image and see which pixels of all images are
similar.
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import anywidget
import matplotlib.pyplot as plt
import numpy as np
import traitlets
from matplotlib.figure import Figure

from ..data import checks
from ..data.checks import instance, number
from ..data.errors import DataError, one_of
from ..data.files import atomic_write
from ..data.prepare import Prepared
from ..network import TwoBranchNet
from ..runs.paths import runs_folder
from ..runs.pictures import encode
from .figures import explorer_figure
from .find import Finder
from .scene import Point, Scene, embed_scene
from .steps import embed_steps

HERE = Path(__file__).parent
SCRIPTS = ("explorer.js", "marks.js", "steps.js", "widget.js")
HINT = "Click a pixel in any image, or reach an image with the tab key."


class SimilarityExplorer(anywidget.AnyWidget):
    """Images side by side; a click on any pixel shows, in all of them, how similar every other
    pixel is.

    Several points refine the query; points marked dissimilar keep pixels out. A threshold turns
    similarity into a segmentation with its area. "find this point" marks in every image the place
    whose surroundings look most like the chosen one, or says that it is not there. Clusters can be
    shown one by one. Masks are saved as PNG files and points as JSON. Mouse, touch and keyboard all
    work. Where images cannot be shown, the widget says why in a sentence. With the networks of
    several training steps it has a slider over them, and all that is shown follows.

    Args:
        model: A trained network; or several of them, training step to network, as
            `explore.snapshots` returns them; or what was kept of them, as `explore.embed_steps`
            takes it.
        images: As `prepare` returns them, or uint8 arrays (H, W, C) of one size.
        points: Points that are chosen when the widget appears.
        threshold: Similarity in [-1, 1] from which a pixel is marked.
        folder: Where masks and points are saved; None takes runs/explorer of this project.
        limit: Largest number of images, the first ones are taken; None takes all.

    Raises:
        ValueError: Points, threshold, folder or limit make no sense.

    Attributes:
        points: The chosen points, a dictionary of image, row, column and similar each; may be set.
        step: Training step that is shown, 0 where there is only one network; may be set.
        threshold: May be set.
        finding: Whether the chosen point is looked for in all images; may be set.
        found: Where it was found: row, column, score and found for each image.
        message: The sentence that the widget shows.

    Example:
        >>> images = prepare(open_dataset("simulated_fundus", split="test"), 256)  # doctest: +SKIP
        >>> SimilarityExplorer(load_representation("fundus"), images)  # doctest: +SKIP

    Source: Chen et al. 2021, local similarity. Taught in notebook 03, section 3.
    """

    _esm = "".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    _css = (HERE / "explorer.css").read_text(encoding="utf-8")
    scene = traitlets.Dict().tag(sync=True)
    points = traitlets.List(traitlets.Dict()).tag(sync=True)
    step = traitlets.Int(0).tag(sync=True)
    clusters = traitlets.Bytes(b"").tag(sync=True)
    similarity = traitlets.Bytes(b"").tag(sync=True)
    threshold = traitlets.Float(0.7).tag(sync=True)
    finding = traitlets.Bool(False).tag(sync=True)
    found = traitlets.List(traitlets.Dict()).tag(sync=True)
    message = traitlets.Unicode(HINT).tag(sync=True)

    def __init__(
        self,
        model: TwoBranchNet | dict[int, TwoBranchNet] | Sequence[tuple],
        images: Prepared | np.ndarray | list[np.ndarray],
        points: Sequence[Point] = (),
        threshold: float = 0.7,
        folder: Path | str | None = None,
        limit: int | None = None,
    ):
        super().__init__(threshold=number(threshold, "threshold", -1, 1))
        folder = folder if checks.given(folder) else runs_folder() / "explorer"
        self.folder = checks.path(folder, "folder")
        for point in instance(points, (list, tuple), "points", "a list of Point"):
            instance(point, Point, "points", "a list of Point")
        self.content = self.several = None
        try:
            if isinstance(model, dict | list | tuple):
                self.several = embed_steps(model, images, limit)
                self.step = next(iter(self.several.embeddings))
                content = self.several.scene(self.step)
            else:
                content = embed_scene(model, images, limit)
        except DataError as error:
            self.message = _sentence(error)
            return
        self._show(content)
        _, height, width = self.content.inside.shape
        shown = (self.several or self.content).shown
        self.scene = {
            "names": self.content.names,
            "width": width,
            "height": height,
            "images": [encode(image, "png") for image in shown],
            "inside": self.content.inside.astype(np.uint8).tobytes(),
            "nClusters": self.content.n_clusters,
            "steps": list(self.several.embeddings) if self.several else [],
        }
        if self.content.clusters is None:
            self.message = (
                "This network has no clustering branch: similarity can be explored, clusters "
                f"cannot. {HINT}"
            )
        self.on_msg(lambda _, content, buffers: self.save() if content == "save" else None)
        self.points = [vars(point) for point in points]

    def _show(self, content: Scene) -> None:
        """Takes what one network makes of the images."""
        self.content, self.finder = content, Finder(content)
        self.clusters = content.cluster_bytes() or b""

    @traitlets.observe("step")
    def _go_to(self, change) -> None:
        if self.content is None:
            return
        try:
            content = self._of_step(change["new"])
        except ValueError as error:
            self.message = _sentence(error)
            self.step = change["old"]
            return
        if content is self.content:
            return
        with self.hold_sync():
            self._show(content)
            self.similarity = self._similarity()
            self._look_for(change)

    def _of_step(self, step: int) -> Scene:
        if self.several is None:
            one_of(step, [0], "step")
            return self.content
        return self.several.scene(step)

    def _similarity(self) -> bytes:
        chosen = self._chosen()
        return self.content.similarity(chosen).tobytes() if chosen else b""

    @traitlets.observe("points")
    def _answer(self, change) -> None:
        if not self.content:
            return
        try:
            self.similarity = self._similarity()
        except DataError as error:
            self.message = _sentence(error)
            self.points = change["old"] if change["old"] is not traitlets.Undefined else []

    @traitlets.observe("points", "finding")
    def _look_for(self, change) -> None:
        self.found = self.finder.find(self._chosen()) if self.content and self.finding else []

    def _chosen(self) -> list[Point]:
        return [Point(**point) for point in self.points]

    def save(self) -> Path | None:
        """Writes a PNG mask for each image and `points.json` to the folder.

        Returns:
            The folder, or None where nothing was saved; the widget's message says why.
        """
        chosen = self._chosen()
        if not chosen:
            self.message = "There is nothing to save yet: choose a pixel first."
            return None
        try:
            masks = self.content.masks(chosen, self.threshold)
            for name, mask in zip(self.content.mask_files(), masks):
                with atomic_write(self.folder / name) as temporary:
                    temporary.write_bytes(encode(mask, "png"))
            with atomic_write(self.folder / "points.json") as temporary:
                described = self.content.described(chosen, self.threshold)
                described |= {"step": self.step} if self.several else {}
                temporary.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
        except DataError as error:
            self.message = _sentence(error)
            return None
        self.message = (
            f"{len(self.content.names)} masks and points.json were saved to {self.folder.name}/"
        )
        return self.folder

    def figure(self) -> Figure:
        """The same view as a figure, for readers without a kernel."""
        chosen = self._chosen()
        maps = self.content.similarity(chosen) / 127.5 - 1 if chosen else None
        return explorer_figure(self.content, chosen, maps, self.found)

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        if self.content is None:
            return data | {"text/plain": self.message}, metadata
        file = io.BytesIO()
        figure = self.figure()
        figure.savefig(file, format="png", bbox_inches="tight")
        plt.close(figure)
        return data | {
            "image/png": file.getvalue(),
            "text/plain": f"SimilarityExplorer of {len(self.content.names)} images",
        }, metadata


def _sentence(error: Exception) -> str:
    words = str(error)
    return words[0].upper() + words[1:] + ("" if words.endswith(".") else ".")
