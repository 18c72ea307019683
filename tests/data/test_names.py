import datetime
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ldr_lib.data.names import label_of, numbered, safe_label, safe_name, unique_names

PLAIN = ["chase_db1", "IM-0001", "1.2.840.113619.2.1", "01", "a+b", "1e-3", 0, 0.5, -1, True, None]
OTHER = [
    *("1", "-1", "0.5", "True", "None", "nan", "1.0"),
    *("a/b", "a b", "/a/encoder", "/b/encoder", "../../x", "..", ".", ".hidden", "x.", "x ", ""),
    *("con", "AUX", "nul.txt", "左", "右", "é", "e\u0301", "\udc80", "\udc81", "x" * 81, "y" * 300),
    *("$a$", "<!--<script>", "</script>", "a\\b", "a:b", "a\nb", "a\0b", "a%b", "a,b=c", "a~b"),
    *([1], ["1"], (1,), {"a": 1}, b"x", 10**90, datetime.date(2020, 1, 1)),
]


@pytest.mark.parametrize("value", PLAIN)
def test_plain_values_stay_as_they_are(value):
    assert safe_name(value) == str(value)


@pytest.mark.parametrize("value", OTHER)
def test_all_others_become_one_part_that_every_system_takes(value, tmp_path):
    name = safe_name(value)
    assert name.isascii() and "~" in name and len(name) <= 71 and Path(name).name == name
    assert (tmp_path / name).parent.resolve() == (tmp_path / name).resolve().parent
    (tmp_path / name).touch()
    assert name.partition(".")[0].lower() not in ("con", "aux", "nul")


def test_different_values_have_different_names():
    names = [
        safe_name(value) for value in [*PLAIN, *OTHER, "a-b", "a_b", "encoder", "x", "2020-01-01"]
    ]
    assert len({name.casefold() for name in names}) == len(names)
    assert safe_name(np.int64(3)) == safe_name(3) == "3"
    assert safe_name(Path("a") / "b") == safe_name("a/b")


def test_of_a_path_only_the_last_part_can_be_read():
    names = [safe_name(f"/home/{person}/masks/") for person in ("anna", "otto")]
    assert names[0] != names[1] and all(name.startswith("masks~") for name in names)


def test_names_are_the_same_in_every_process():
    program = "from ldr_lib.data.names import *; print(safe_name('a/b'), safe_name('\\u5de6'))"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, encoding="utf-8")
    assert found.stdout.split() == [safe_name("a/b"), safe_name("左")]


@pytest.mark.parametrize(
    "names",
    [
        ["series.1", "series.2", "series.10"],
        ["1.2.840.10008.1", "1.2.840.10008.2"],
        ["左", "右"],
        ["a b", "a_b", "a-b"],
        ["a", "a", "a 1"],
        ["a", "a", "a 2", "a~2", "a~3"],
        ["eye", "Eye", "EYE"],
        ["x/eye", "y/eye", "x_eye"],
        ["con", "CON", "_con"],
        ["", " ", "."],
        ["é", "e\u0301", "e"],
        ["../x", "x", "/x"],
        ["a" * 100, "a" * 101, "A" * 100],
        ["<!--<script>", "script"],
        ["a.png", "a.jpg", "a"],
    ],
)
def test_files_of_a_collection_never_overwrite_each_other(names, tmp_path):
    found = unique_names(names)
    assert len({name.casefold() for name in found}) == len(names)
    for name in found:
        assert Path(name).name == name and not name.startswith(".")
        (tmp_path / f"{name}_mask.png").touch(exist_ok=False)
    assert len(set(numbered(names))) == len(names)


def test_images_with_a_number_for_a_name_keep_it():
    assert unique_names(["1", "2", "0003"]) == ["1", "2", "0003"]


def test_labels_are_sorted_bounded_and_different():
    assert label_of({"seed": 0, "dataset": "hrf"}) == "dataset=hrf,seed=0"
    long = [label_of({f"parameter{i}": "a" * 40 for i in range(n)}) for n in (10, 11)]
    assert all(len(label) == 200 for label in long) and long[0] != long[1]
    assert label_of({"seed": "0"}) != label_of({"seed": 0})
    assert label_of({"a": "1,b=2"}) != label_of({"a": 1, "b": 2})
    for label in (*long, "dataset=hrf,seed=0", safe_name("左"), "chase_db1_0"):
        assert safe_label(label) == label
    assert "/" not in safe_label("../x") and safe_label("..") != ".."
