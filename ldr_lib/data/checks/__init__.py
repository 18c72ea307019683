"""Checks of what a user hands over: numbers, arrays, images, masks.

Each takes a value and its name and returns the value, or ends with a sentence that says which
argument, what was given and what is expected. What can be read as meant is accepted: numbers of
numpy, tensors, lists and pictures of Pillow as arrays, floats in [0, 1] as images.
"""

from .arrays import array as array
from .arrays import as_bytes as as_bytes
from .arrays import as_unit_floats as as_unit_floats
from .arrays import finite as finite
from .arrays import labels as labels
from .arrays import mask as mask
from .arrays import one_shape as one_shape
from .arrays import probabilities as probabilities
from .arrays import training_images as training_images
from .values import LARGEST_SEED as LARGEST_SEED
from .values import MOST as MOST
from .values import equally_many as equally_many
from .values import flag as flag
from .values import given as given
from .values import instance as instance
from .values import multiple as multiple
from .values import named as named
from .values import names as names
from .values import number as number
from .values import path as path
from .values import plain as plain
from .values import seed as seed
from .values import several as several
from .values import shown as shown
from .values import span as span
from .values import text as text
from .values import whole as whole
