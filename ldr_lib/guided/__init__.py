"""Room of notebooks 04a to 04c: clusters guided to anatomical structures by topological priors.

The path of a mask: `vessel_prior` opens a `MaskBank`; `VesselPairs` or `SimulatedPairs` renders
images with their masks (any `PairMaker` can do it); `train_guided` trains the network on them;
`predict_structure` finds the structure in an image.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
