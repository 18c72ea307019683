"""The explorer in a notebook: click a pixel of any image and see where it looks alike in all of
them.
"""

import io
import json
import re
from pathlib import Path

import anywidget
import matplotlib.pyplot as plt
import numpy as np
import traitlets
from PIL import Image

from ..data.errors import DataError
from ..data.files import atomic_write
from ..data.prepare import Prepared
from ..network import TwoBranchNet
from ..runs.paths import runs_folder
from .figures import explorer_figure
from .scene import Point, embed_scene

HERE = Path(__file__).parent
HINT = "Click a place in any image, or reach an image with the tab key."


def png(image: np.ndarray) -> bytes:
    """An image or mask as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


class SimilarityExplorer(anywidget.AnyWidget):
    """Images side by side; a click on any pixel shows, in all of them, how similar every other
    pixel is.

    Several points refine the question, those marked unlike keep their likes out. A threshold turns
    similarity into a segmentation with its area; clusters can be shown one by one; masks are saved
    as PNG and points as JSON. All of it works with mouse, touch and keyboard. What cannot be shown
    is said in a sentence in the widget's place.

    Args:
        model: A trained network.
        images: As `prepare` returns them, or uint8 arrays (H, W, C) of one size.
        points: Points chosen at the start.
        threshold: Similarity from which a pixel is marked.
        folder: Where masks and points are saved; "" takes runs/explorer of this project.
        limit: Show no more than the first so many images.

    Attributes:
        points: The chosen points, one dictionary of image, row, column and alike each; may be set.
        threshold: May be set.
        message: What the widget says.

    Example:
        >>> SimilarityExplorer(load_representation("fundus"), prepare(open_dataset("chase_db1", "PATH", "test"), 256))

    Source: Chen et al. 2021, local similarity. Taught in notebook 03, section 3.
    """

    _esm = (HERE / "explorer.js").read_text() + (HERE / "widget.js").read_text()
    _css = (HERE / "explorer.css").read_text()
    scene = traitlets.Dict().tag(sync=True)
    points = traitlets.List(traitlets.Dict()).tag(sync=True)
    similarity = traitlets.Bytes(b"").tag(sync=True)
    threshold = traitlets.Float(0.7).tag(sync=True)
    message = traitlets.Unicode(HINT).tag(sync=True)

    def __init__(
        self,
        model: TwoBranchNet,
        images: Prepared | np.ndarray | list[np.ndarray],
        points: list[Point] = (),
        threshold: float = 0.7,
        folder: str = "",
        limit: int | None = None,
    ):
        super().__init__(threshold=threshold)
        self.folder, self.content = Path(folder) if folder else runs_folder() / "explorer", None
        try:
            self.content = embed_scene(model, images, limit)
        except DataError as error:
            self.message = _sentence(error)
            return
        n, height, width = self.content.inside.shape
        clusters = self.content.clusters
        self.scene = {
            "names": self.content.names,
            "width": width,
            "height": height,
            "pictures": [png(image) for image in self.content.shown],
            "inside": self.content.inside.astype(np.uint8).tobytes(),
            "nClusters": self.content.n_clusters,
            "clusters": None if clusters is None else clusters.astype(np.uint8).tobytes(),
        }
        if clusters is None:
            self.message = (
                "This network has no clustering branch: similarity can be explored, clusters cannot. "
                + HINT
            )
        self.on_msg(lambda _, content, buffers: self.save() if content == "save" else None)
        self.points = [vars(point) for point in points]

    @traitlets.observe("points")
    def _answer(self, change) -> None:
        if not self.content:
            return
        try:
            chosen = self._chosen()
            self.similarity = self.content.similarity(chosen).tobytes() if chosen else b""
        except DataError as error:
            self.message = _sentence(error)
            self.points = change["old"] if change["old"] is not traitlets.Undefined else []

    def _chosen(self) -> list[Point]:
        return [Point(**point) for point in self.points]

    def save(self) -> Path | None:
        """Writes a PNG mask for each image and `points.json` to the folder; says in the widget
        where they are.
        """
        chosen = self._chosen()
        if not chosen:
            self.message = "There is nothing to save yet: choose a place first."
            return None
        try:
            for name, mask in zip(self.content.names, self.content.masks(chosen, self.threshold)):
                with atomic_write(
                    self.folder / f"{re.sub(r'[^-.A-Za-z0-9]+', '_', Path(name).stem)}_mask.png"
                ) as temporary:
                    temporary.write_bytes(png(mask.astype(np.uint8) * 255))
            with atomic_write(self.folder / "points.json") as temporary:
                temporary.write_text(
                    json.dumps(self.content.described(chosen, self.threshold), indent=1) + "\n"
                )
        except DataError as error:
            self.message = _sentence(error)
            return None
        self.message = (
            f"{len(self.content.names)} masks and points.json were saved to {self.folder.name}/"
        )
        return self.folder

    def picture(self):
        """The same view as a figure, for places without a kernel."""
        chosen = self._chosen()
        maps = self.content.similarity(chosen) / 127.5 - 1 if chosen else None
        return explorer_figure(self.content, chosen, maps)

    def _repr_mimebundle_(self, **kwargs):
        data, metadata = super()._repr_mimebundle_(**kwargs)
        if self.content is None:
            return data | {"text/plain": self.message}, metadata
        file = io.BytesIO()
        figure = self.picture()
        figure.savefig(file, format="png", dpi=80, bbox_inches="tight")
        plt.close(figure)
        return data | {
            "image/png": file.getvalue(),
            "text/plain": f"SimilarityExplorer of {len(self.content.names)} images",
        }, metadata


def _sentence(error: DataError) -> str:
    words = str(error)
    return words[0].upper() + words[1:] + ("" if words.endswith(".") else ".")
