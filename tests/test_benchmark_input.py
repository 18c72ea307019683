import pytest

from ldr_lib.benchmark_input import PER_FOLDER, make_tree, measure_input


def test_the_files_differ_and_stay(tmp_path):
    make_tree(tmp_path, 12)
    files = sorted(tmp_path.rglob("*.jpg"))
    assert len({path.read_bytes() for path in files}) == len(files) == 12 < PER_FOLDER
    before = files[0].stat().st_mtime_ns
    make_tree(tmp_path, 14)
    assert files[0].stat().st_mtime_ns == before and len(list(tmp_path.rglob("*.jpg"))) == 14


def test_every_part_is_timed(tmp_path):
    text = measure_input(12, tmp_path, size=64, workers=2, steps=1)
    words = [line.split()[0] for line in text.splitlines()[1:]]
    parts = ["listing", "preparing", "reopening", *3 * ["loading"], "training", "peak"]
    assert words == parts and text.startswith("12 photographs")
    assert (tmp_path / "input.txt").read_text(encoding="utf-8") == text


def test_too_few_files_are_refused():
    with pytest.raises(ValueError, match="n must be at least 10, not 3"):
        measure_input(3)
