"""Room of notebook 03: looking at images and embeddings, an explorer to click, probes of what an
embedding knows.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
