"""Local discriminative representations of medical images: a small library behind the notebooks.

The names below are loaded when they are first used; `dir(ldr_lib)` lists them. One room a notebook:
`ldr_lib.data` (01), the method itself at the top level (00 and 02), `ldr_lib.explore` (03),
`ldr_lib.guided` (04), `ldr_lib.transfer` (05) and `ldr_lib.runs` (06).
"""

import warnings

import lazy_loader

# Warnings of libraries about each other, not about the user's code: of fastai when it is imported,
# and of MONAI within its Hausdorff distance.
warnings.filterwarnings("ignore", r".torch\.jit\.script. is deprecated", FutureWarning)
warnings.filterwarnings("ignore", r"monai.*always_return_as_numpy", FutureWarning)

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
