import pytest

from ldr_lib import DataError
from ldr_lib.data.files import atomic_write, progress


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "result.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("first")
        assert not path.exists()
    with pytest.raises(KeyError), atomic_write(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "first" and [p.name for p in path.parent.iterdir()] == ["result.txt"]


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "cache"
    for content in ("old", "new"):
        with atomic_write(path) as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content)
    assert [p.name for p in path.iterdir()] == ["new"]


def test_a_full_disk_keeps_what_was_there(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("precious")
    with (
        pytest.raises(
            DataError, match="could not write .*result.txt: No space left.*Free some space"
        ),
        atomic_write(path),
    ):
        raise OSError(28, "No space left on device")
    assert path.read_text() == "precious"


def test_progress_passes_every_item_on(capsys):
    assert list(progress(iter("abc"), "reading", 3)) == ["a", "b", "c"]
    assert capsys.readouterr().out == ""
