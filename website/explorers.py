"""The explorer without a kernel, for the retina and the chest, in the site's frame."""

import tempfile
from pathlib import Path

from ldr_lib import Settings, explore, load_representation, open_dataset, prepare

from .page import Page, adopted

SHOWN = {"fundus": "Photographs of the retina", "chest": "X-rays of the chest"}
SOURCES = {
    "fundus": "Photographs: CHASE_DB1, Kingston University, CC BY 4.0.",
    "chest": "X-rays: Kermany et al. 2018, CC BY 4.0.",
}
N_IMAGES = 6


def explorer_pages() -> list[Page]:
    """A page for each modality: real sample images under the shipped representation."""
    return [_explorer_page(modality) for modality in SHOWN]


def _explorer_page(modality: str) -> Page:
    size = Settings.for_tier("class", modality, seed=0).image_size
    images = prepare(open_dataset(f"sample_{modality}", split="test"), size)
    scene = explore.embed_scene(load_representation(modality), images, limit=N_IMAGES)
    with tempfile.TemporaryDirectory() as folder:
        document = explore.write_page(scene, Path(folder) / "explorer.html")
        style, content = adopted(document.read_text(encoding="utf-8"), "body")
    title = SHOWN[modality]
    content = content.replace("<h1>", f"<p>{title}</p>\n<h1>", 1)
    body = f"{content}\n<p><small>{SOURCES[modality]}</small></p>"
    return Page(f"explorer/{modality}.html", title, "Explorer", body, style=style)
