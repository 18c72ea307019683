"""Room of notebook 05: what a pretrained encoder is worth for segmentation with few labels."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
