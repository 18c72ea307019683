"""The explorer without a kernel, for the retina and the chest and over the steps of a training, in
the site's frame.
"""

import tempfile
from pathlib import Path

from ldr_lib import Settings, explore, load_representation, open_dataset, prepare

from .page import Page, adopted

SHOWN = {"fundus": "Photographs of the retina", "chest": "X-rays of the chest"}
SOURCES = {
    "fundus": "Photographs: CHASE_DB1, Kingston University, CC BY 4.0.",
    "chest": "X-rays: Kermany et al. 2018, CC BY 4.0.",
}
LEARNING = {
    "both": "How both branches learn, step by step",
    "embedding only": "How the embedding branch alone learns, step by step",
}
N_IMAGES = 6


def explorer_pages() -> list[Page]:
    """A page for each modality, real sample images under the shipped representation; and one for
    each way of training, with a slider over its steps.
    """
    return [
        *(_page(name, title, _sample(name), SOURCES[name]) for name, title in SHOWN.items()),
        *(
            _page(way.replace(" ", "_"), title, _learning(way), SOURCES["fundus"])
            for way, title in LEARNING.items()
        ),
    ]


def _sample(modality: str) -> explore.Scene:
    size = Settings.for_tier("class", modality, seed=0).image_size
    images = prepare(open_dataset(f"sample_{modality}", split="test"), size)
    return explore.embed_scene(load_representation(modality), images, limit=N_IMAGES)


def _learning(way: str) -> explore.Steps:
    return explore.embed_steps(*explore.shipped_steps(way))


def _page(name: str, title: str, scene: explore.Scene | explore.Steps, source: str) -> Page:
    with tempfile.TemporaryDirectory() as folder:
        document = explore.write_page(scene, Path(folder) / "explorer.html")
        style, content = adopted(document.read_text(encoding="utf-8"), "body")
    content = content.replace("<h1>", f"<p>{title}</p>\n<h1>", 1)
    body = f"{content}\n<p><small>{source}</small></p>"
    return Page(f"explorer/{name}.html", title, "Explorer", body, style=style)
