import errno
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from safetensors import SafetensorError

from ldr_lib import DataError
from ldr_lib.data import locks
from ldr_lib.data.files import atomic_write, progress


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "result.txt"
    with atomic_write(path) as temporary:
        temporary.write_text("first", encoding="utf-8")
        assert not path.exists()
    with pytest.raises(KeyError), atomic_write(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise KeyError
    assert path.read_text(encoding="utf-8") == "first" and [
        p.name for p in path.parent.iterdir()
    ] == ["result.txt"]


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "cache"
    for content in ("old", "new"):
        with atomic_write(path) as temporary:
            temporary.mkdir()
            (temporary / content).write_text(content, encoding="utf-8")
    assert [p.name for p in path.iterdir()] == ["new"]


def test_a_full_disk_keeps_what_was_there(tmp_path):
    path = tmp_path / "result.txt"
    path.write_text("precious", encoding="utf-8")
    with (
        pytest.raises(
            DataError, match="could not write .*result.txt: No space left.*Free some space"
        ),
        atomic_write(path),
    ):
        raise OSError(28, "No space left on device")
    assert path.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    "error, words",
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left.*Free some space"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "quota exceeded.*Free some space"),
        (PermissionError(errno.EACCES, "Permission denied"), "denied.*may not write.*LDR_RUNS"),
        (OSError(errno.EROFS, "Read-only file system"), "Read-only.*may not write.*LDR_CACHE"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "too long.*shorter name"),
        (OSError("no number"), "no number.*Free some space"),
        (SafetensorError("I/O error: No space left (os error 28)"), "No space.*Free some space"),
        (SafetensorError("I/O error: denied (os error 13)"), "denied.*may not write"),
    ],
)
def test_every_way_to_fail_names_the_file_the_cause_and_the_way_out(tmp_path, error, words):
    path = tmp_path / "result.txt"
    path.write_text("precious", encoding="utf-8")
    said = pytest.raises(DataError, match=f"could not write .*result.txt: .*{words}")
    with said, atomic_write(path) as temporary:
        temporary.write_text("half", encoding="utf-8")
        raise error
    assert path.read_text(encoding="utf-8") == "precious" and len(list(tmp_path.iterdir())) == 1


def test_what_is_of_another_kind_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "precious").touch()
    said = pytest.raises(DataError, match="a folder of this name is there.*Rename or move")
    with said, atomic_write(tmp_path / "folder") as temporary:
        temporary.write_text("x", encoding="utf-8")
    (tmp_path / "file").write_text("precious", encoding="utf-8")
    said = pytest.raises(DataError, match="a file of this name is there.*Rename or move")
    with said, atomic_write(tmp_path / "file") as temporary:
        temporary.mkdir()
    assert (tmp_path / "folder" / "precious").exists()
    assert (tmp_path / "file").read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize("place", ["/", "."])
def test_a_name_that_no_file_can_have_is_said(place):
    with pytest.raises(DataError, match="a folder of this name is there"), atomic_write(place):
        pass


@pytest.mark.skipif(not os.path.exists("/proc/self"), reason="no such folder on this system")
def test_a_place_where_nothing_can_be_made_is_said_at_once():
    with pytest.raises(DataError, match="Nothing can be made there"), atomic_write("/proc/x"):
        pass


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_pipes_and_devices_are_not_replaced(tmp_path):
    """As root a file could take the place of /dev/null."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/null"):
        refused = pytest.raises(DataError, match="a pipe or a device of this name is there")
        with refused, atomic_write(path) as temporary:
            temporary.write_text("x", encoding="utf-8")
        assert not os.path.isfile(path)


def test_everything_reaches_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda file: done.append("sync") or sync(file))
    monkeypatch.setattr(os, "replace", lambda *names: done.append("name") or replace(*names))
    with atomic_write(tmp_path / "file") as temporary:
        temporary.write_text("x", encoding="utf-8")
    assert done == ["sync", "name", "sync"]
    done.clear()
    with atomic_write(tmp_path / "folder") as temporary:
        temporary.mkdir()
        (temporary / "a").touch()
    assert done == ["sync", "sync", "name", "name", "sync"]  # the first looks for an old folder


def test_many_threads_write_one_file_and_one_folder(tmp_path):
    def write(number):
        with atomic_write(tmp_path / "file") as temporary:
            temporary.write_text(str(number) * 1000, encoding="utf-8")
        with atomic_write(tmp_path / "folder") as temporary:
            temporary.mkdir()
            for name in "ab":
                (temporary / name).write_text(str(number), encoding="utf-8")
        return len(set((tmp_path / "file").read_text(encoding="utf-8")))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write, [n % 10 for n in range(80)])) == {1}
    assert (tmp_path / "folder" / "a").read_text(encoding="utf-8") == (
        tmp_path / "folder" / "b"
    ).read_text(encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


HANG = """
import sys, time
from pathlib import Path
from ldr_lib.data.files import atomic_write
with atomic_write(Path(sys.argv[1])) as temporary:
    temporary.mkdir()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_leftovers_of_killed_processes_are_removed_and_those_of_living_ones_kept(tmp_path):
    dead, living = (
        subprocess.Popen([sys.executable, "-c", HANG, tmp_path / name], stdout=subprocess.PIPE)
        for name in ("dead", "living")
    )
    try:
        assert dead.stdout.readline() == living.stdout.readline() == b"writing\n"
        dead.kill()
        dead.wait()
        same_number = tmp_path / f".old.{os.getpid()}-0123456789abcdef.part"  # of another container
        same_number.touch()
        with atomic_write(tmp_path / "new") as temporary:
            temporary.touch()
        left = sorted(path.name.split(".")[1] for path in tmp_path.glob(".*"))
        assert left == ["living", "living"] and (tmp_path / "new").exists()
    finally:
        living.kill()
        living.wait()


def test_old_leftovers_without_a_lock_are_removed_and_downloads_kept(tmp_path):
    names = [".model.1234.part", ".young.1234.part", ".HRF.zip.part", ".a.part", "b.1.part"]
    for name in names:
        (tmp_path / name).touch()
        if "young" not in name:
            os.utime(tmp_path / name, (0, 0))
    locks.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:])


def test_long_and_odd_names_are_written(tmp_path):
    for name in ("x" * 240 + ".png", "左" * 80, "a b", "$", ".hidden"):
        with atomic_write(tmp_path / name) as temporary:
            temporary.touch()
        assert (tmp_path / name).exists()


def test_progress_passes_every_item_on(capsys):
    assert list(progress(iter("abc"), "reading", 3)) == ["a", "b", "c"]
    assert capsys.readouterr().out == ""
