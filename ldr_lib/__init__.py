"""Local discriminative representations of medical images: a small library behind the notebooks."""

import warnings
from importlib import import_module

# What libraries say about each other, not about the user's code: fastai at its import, MONAI within its Hausdorff distance.
warnings.filterwarnings("ignore", r".torch\.jit\.script. is deprecated", FutureWarning)
warnings.filterwarnings("ignore", r"monai.*always_return_as_numpy", FutureWarning)

_PUBLIC = {
    "TwoBranchNet": "network",
    "Encoder": "network",
    "losses": "",
    "data": "",
    "open_dataset": "data.datasets",
    "prepare": "data.prepare",
    "DataError": "data.files",
    "ViewMaker": "data.views",
    "Settings": "training",
    "stage_learner": "training",
    "train": "training",
    "save_model": "checkpoint",
    "load_model": "checkpoint",
    "represent": "clustering",
    "compare": "clustering",
    "train_guided": "guided",
    "GuidedSettings": "guided",
    "load_encoder": "encoders",
    "load_representation": "encoders",
    "SimilarityExplorer": "explore.widget",
    "load_pretrained": "structures",
    "predict_structure": "structures",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'ldr_lib' has no attribute {name!r}; public are {', '.join(_PUBLIC)}")
    home = _PUBLIC[name]
    return getattr(import_module(f".{home}", __name__), name) if home else import_module(f".{name}", __name__)
