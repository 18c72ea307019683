"""Reads one picture of any common format into bytes, and says what was done to its values.

`reader` opens a file by its content, not by its name; `ordinary`, `tiff` and `dicom` know the
formats; `picture` holds what they found; `depth` brings values of any type to bytes.
"""

from .depth import common_ranges as common_ranges
from .picture import Picture as Picture
from .reader import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from .reader import as_colour as as_colour
from .reader import as_grey as as_grey
from .reader import is_colour as is_colour
from .reader import is_plain_grey as is_plain_grey
from .reader import looks_like_image as looks_like_image
from .reader import may_be_deep as may_be_deep
from .reader import read_image as read_image
from .reader import read_picture as read_picture
