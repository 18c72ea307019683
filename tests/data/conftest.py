"""Smooth pictures whose values survive compression."""

import numpy as np
import pytest


@pytest.fixture
def eye():
    """A smooth photograph that compression hardly changes, (96, 128, 3) uint8."""
    rows, columns = np.mgrid[:96, :128]
    colours = [100 + rows, 40 + columns, 200 - rows]
    return np.stack(colours, 2).astype(np.uint8)


@pytest.fixture
def chest(eye):
    """The same in grey."""
    return eye[..., 0]


@pytest.fixture
def wide(chest):
    """12 bits of an X-ray."""
    return (chest.astype(np.uint16) - chest.min()) * 20
