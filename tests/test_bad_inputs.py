"""Bad inputs of every public function end with a sentence that names the argument, what was given
and what is expected.
"""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from bad_inputs import FOLDER, TABLE
from valid_calls import valid_calls

from ldr_lib import DataError

pytestmark = pytest.mark.filterwarnings("ignore")
CASES = [(room, row) for room, rows in TABLE.items() for row in rows]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("calls")
    for name in ("text.txt", "text.png"):
        (folder / name).write_text("no image, no network", encoding="utf-8")
    (folder / "empty").mkdir()
    return folder


@pytest.fixture(scope="module")
def calls(folder):
    return valid_calls(folder)


def placed(value, folder: Path):
    """A value, with FOLDER replaced by the test's own folder."""
    if isinstance(value, Path | str) and str(value).startswith(str(FOLDER)):
        return type(value)(str(value).replace(str(FOLDER), str(folder), 1))
    return value


@pytest.mark.parametrize(
    "row",
    [row for _, row in CASES],
    ids=[f"{room}, {row.call}: {row.what}" for room, row in CASES],
)
def test_a_bad_input_ends_with_a_sentence(calls, folder, row):
    function, arguments = calls[row.call]
    wrong = {argument: placed(value, folder) for argument, value in row.changes.items()}
    with pytest.raises((DataError, ValueError, AssertionError)) as caught:
        function(**arguments | wrong)
    plt.close("all")
    sentence = str(caught.value)
    assert caught.type is row.error and re.search(row.words, sentence), sentence
    assert "\n" not in sentence.strip() and 10 < len(sentence) < 500


def test_the_table_covers_every_room():
    assert len(CASES) >= 150 and len(CASES) == len({(row.call, row.what) for _, row in CASES})
    assert all(len(rows) >= 12 for rows in TABLE.values())


SLOW = {"train", "pretrain", "train_guided", "train_decoder", "fine_tune", "vessel_trees"} | {
    "open_gallery",
    "choose",
    "measure",
}
"""Calls that train, start processes or simulate many images; other tests make them."""


def test_the_calls_that_are_changed_work_unchanged(calls):
    for name, (function, arguments) in calls.items():
        if name not in SLOW:
            try:
                function(**arguments)
            except Exception as error:
                raise AssertionError(f"the valid call of {name} fails") from error
    plt.close("all")


TAKEN_AS_ARRAYS = [list, torch.from_numpy, np.asfortranarray]


@pytest.mark.parametrize(
    "name, argument",
    [
        ("represent", "images"),
        ("standardise", "images"),
        ("local_normalize", "image"),
        ("field_of_view", "image"),
        ("predict_structure", "image"),
        ("teacher_maps", "images"),
        ("vesselness", "image"),
        ("brightest_blob", "image"),
        ("central_circle", "image"),
        ("otsu_lungs", "image"),
        ("remove_vessels", "images"),
        ("colour_statistics", "images"),
        ("filter_bank", "images"),
        ("health", "images"),
        ("overlay", "image"),
        ("outline", "image"),
    ],
)
def test_shares_tensors_and_lists_are_taken_as_the_bytes_that_they_stand_for(calls, name, argument):
    function, arguments = calls[name]
    given = arguments[argument]
    expected = _numbers(function(**arguments))
    for same in (given / 255, (given / 255).astype(np.float32)):
        found = _numbers(function(**arguments | {argument: same}))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for convert in TAKEN_AS_ARRAYS:
        found = _numbers(function(**arguments | {argument: convert(given)}))
        np.testing.assert_array_equal(found, expected)


def _numbers(result) -> np.ndarray:
    parts = result if isinstance(result, tuple) else (result,)
    return np.concatenate([np.asarray(part, float).ravel() for part in parts])
