"""Shares of batches and views, arrays that reading processes open themselves, borders of crops."""

import multiprocessing
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ldr_lib.data.batches import _Rows, image_batches
from ldr_lib.data.geometry import sample
from ldr_lib.data.share import Share
from ldr_lib.data.views import ViewMaker


@pytest.fixture
def images():
    coarse = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3))
    return coarse.repeat(5, 1).repeat(5, 2).astype(np.uint8)


@pytest.mark.parametrize("batch, parts", [(12, 1), (12, 2), (24, 4)])
def test_shares_are_the_batch(batch, parts):
    rows = torch.arange(2 * batch).reshape(batch, 2)
    shares = [Share(number, 3).take(rows, parts) for number in range(3)]
    assert [len(share) for share in shares] == [batch // 3] * 3
    found = torch.stack([share.unflatten(0, (parts, -1)) for share in shares], 1)
    assert torch.equal(found.flatten(0, 2), rows)
    assert Share().take(rows) is rows


@pytest.mark.parametrize("channels, upright", [(3, False), (1, True)])
def test_the_views_of_the_shares_are_the_views_of_the_batch(images, channels, upright):
    x = torch.from_numpy(images[:8, ..., :channels]).permute(0, 3, 1, 2)
    make = ViewMaker(32, (0.4, 0.9), upright=upright)
    torch.manual_seed(3)
    whole = make(x)
    after = torch.rand(1)
    for number in range(2):
        share = Share(number, 2)
        torch.manual_seed(3)
        part = make(share.take(x, parts=2), share)
        assert torch.rand(1) == after  # as many random numbers were drawn
        for name in ("first", "second", "pose"):
            expected = share.take(getattr(whole, name), parts=2)
            torch.testing.assert_close(getattr(part, name), expected, rtol=0, atol=1e-6)
        for name in ("mixed", "lam"):
            expected = share.take(getattr(whole, name))
            torch.testing.assert_close(getattr(part, name), expected, rtol=0, atol=1e-6)


def test_the_batches_of_the_shares_are_the_batches(images):
    images[:, 0, 0, 0] = range(12)

    def numbers(share):
        torch.manual_seed(0)
        return [b[:, 0, 0, 0] for (b,) in image_batches(images, pairs=4, steps=5, share=share)]

    for number in range(2):
        share = Share(number, 2)
        for part, whole in zip(numbers(share), numbers(Share())):
            assert torch.equal(part, share.take(whole, parts=2))


def test_pairs_that_cannot_be_shared_are_refused(images):
    with pytest.raises(ValueError, match="pairs = 5 is the batch of all processes.*multiple of 2"):
        image_batches(images, pairs=5, steps=1, share=Share(0, 2))


@pytest.fixture
def mapped(images, tmp_path):
    path = tmp_path / "images.u8"
    path.write_bytes(bytes(7) + images.tobytes())
    return np.memmap(path, np.uint8, "r", 7, images.shape)


@pytest.mark.parametrize(
    "piece", [slice(None), slice(3, 9)], ids=["all images", "some of the images"]
)
@pytest.mark.parametrize("plain", [False, True], ids=["memmap", "array on a memmap"])
def test_reading_processes_are_sent_the_place_of_a_memory_map(mapped, piece, plain):
    array = np.asarray(mapped)[piece] if plain else mapped[piece]
    sent = pickle.dumps(_Rows(array))
    assert len(sent) < 1000 < array.nbytes
    received = pickle.loads(sent).arrays[0]
    assert received.shape == array.shape and np.array_equal(received, array)


def test_other_arrays_are_sent_themselves(images, mapped, tmp_path):
    changed = np.memmap(tmp_path / "images.u8", np.uint8, "c", 7, images.shape)
    changed[0] = 0  # only in memory
    for array in (images, mapped[::2], mapped[..., :1], changed):
        assert np.array_equal(pickle.loads(pickle.dumps(_Rows(array))).arrays[0], array)


def test_a_script_without_main_guard_is_explained(images, monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(RuntimeError, match='if __name__ == "__main__":'):
        image_batches(images, pairs=2, steps=1, workers=2)


def test_borders_are_repeated_where_the_device_does_not_know_how():
    torch.manual_seed(0)
    x = torch.rand(2, 3, 9, 14)
    grid = 3 * torch.rand(2, 20, 20, 2) - 1.5
    expected = F.grid_sample(x, grid, padding_mode="border", align_corners=False)
    for clamp in (False, True):
        found = sample(x, grid, "border", clamp)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert sample(x, grid).abs().sum() < expected.abs().sum()
