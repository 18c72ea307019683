"""Looking at images and embeddings: figures, and an explorer one can click."""

from .figures import (
    anatomy_colours,
    contact_sheet,
    embedding_colours,
    explored,
    label_colours,
    loss_curves,
    overlay,
    representation_sheet,
    similarity_maps,
    similarity_sheet,
    sphere_map,
    sphere_pairs,
    typical_patches,
    view_pairs,
)
from .scene import Point, Scene, look
from .standalone import write_page
from .widget import SimilarityExplorer

__all__ = [
    "Point",
    "Scene",
    "SimilarityExplorer",
    "anatomy_colours",
    "contact_sheet",
    "embedding_colours",
    "explored",
    "label_colours",
    "look",
    "loss_curves",
    "overlay",
    "representation_sheet",
    "similarity_maps",
    "similarity_sheet",
    "sphere_map",
    "sphere_pairs",
    "typical_patches",
    "view_pairs",
    "write_page",
]
