"""Room of notebook 07: landmarks that masks mark, and how well one chosen point finds them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
