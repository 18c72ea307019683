import pickle

import numpy as np
import pytest

from ldr_lib.data.appearances import Appearances
from ldr_lib.data.batches import image_batches
from ldr_lib.data.checksums import array_fingerprint


@pytest.fixture
def parts(tmp_path):
    rng = np.random.default_rng(0)
    arrays = []
    for name in ("raw", "normalised"):
        rng.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8).tofile(tmp_path / name)
        arrays.append(np.memmap(tmp_path / name, np.uint8, "r", shape=(5, 16, 16, 3)))
    return arrays


def test_they_read_as_one_array(parts):
    both, whole = Appearances(*parts), np.concatenate(parts, -1)
    assert both.shape == whole.shape and both.dtype == whole.dtype and len(both) == 5
    for index in (2, slice(1, 4), [3, 0]):
        np.testing.assert_array_equal(both[index], whole[index])
    np.testing.assert_array_equal(np.stack(list(both)), whole)
    assert array_fingerprint(both) == array_fingerprint(whole)


def test_batches_of_them_are_batches_of_the_one_array_also_in_reading_processes(parts):
    import torch

    both, whole = Appearances(*parts), np.concatenate(parts, -1)
    found = []
    for images in (both, whole):
        torch.manual_seed(0)
        found.append([batch for (batch,) in image_batches(images, 1, 4)])
    for one, other in zip(*found):
        torch.testing.assert_close(one, other)
    rows = image_batches(both, 1, 4).dataset
    sent = pickle.dumps(rows)
    assert len(sent) < 2_000  # the places of the files, not their pixels
    np.testing.assert_array_equal(pickle.loads(sent).__getitems__([4, 1]), whole[[4, 1]])


def test_arrays_that_do_not_fit_are_refused(parts):
    with pytest.raises(ValueError, match="appearances must be of one size and type"):
        Appearances(parts[0], parts[1][:3])
