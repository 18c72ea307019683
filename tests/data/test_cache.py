"""The cache of prepared images: damaged, shared by processes and threads, in odd places; images
that change meanwhile.
"""

import errno
import os
import shutil
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from ldr_lib import DataError, open_dataset, prepare
from ldr_lib.data import cache as cache_module
from ldr_lib.data import sources
from ldr_lib.data.datasets import Folder


@pytest.fixture
def eyes(tmp_path, photograph, save):
    """A folder of six photographs."""
    for i in range(6):
        save(tmp_path / "eyes" / f"eye{i}.png", photograph(i, 60, 60))
    return tmp_path / "eyes"


def prepared(eyes, cache):
    return prepare(open_dataset("folder", eyes, "all"), 48, cache)


def folder_of(cache):
    """The one folder of prepared images in a cache."""
    (folder,) = (path for path in cache.iterdir() if not path.name.startswith("."))
    return folder


def forget():
    """As in a new process: what was checked before is not known."""
    cache_module._checked.clear()


FILES = ("images.u8", "originals.u8", "field_of_view.u8", "about.json")


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)


def zero_tail(path):
    size = path.stat().st_size
    os.truncate(path, size - size // 4)
    os.truncate(path, size)


DAMAGE = {
    "first byte flipped": lambda path: flip(path, 0),
    "middle byte flipped": lambda path: flip(path, 0.5),
    "last byte flipped": lambda path: flip(path, 1),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: path.write_bytes(b""),
    "tail zeroed": zero_tail,
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_cache_is_noticed_and_made_anew(eyes, tmp_path, name, damage):
    whole = prepared(eyes, tmp_path / "cache")
    expected = {key: np.array(getattr(whole, key)) for key in ("images", "originals", "boxes")}
    path = folder_of(tmp_path / "cache") / name
    before = path.read_bytes()
    DAMAGE[damage](path)
    forget()
    again = prepared(eyes, tmp_path / "cache")
    for key, value in expected.items():
        np.testing.assert_array_equal(getattr(again, key), value)
    assert path.read_bytes() == before and again.fingerprint == whole.fingerprint


@pytest.mark.parametrize("content", ["null", "[]", "{}", "3", '{"content": {}, "checksum": ""}'])
def test_what_is_said_about_a_folder_may_be_anything(eyes, tmp_path, content):
    prepared(eyes, tmp_path / "cache")
    (folder_of(tmp_path / "cache") / "about.json").write_text(content, encoding="utf-8")
    assert len(prepared(eyes, tmp_path / "cache")) == 6


def test_damage_while_a_process_runs_is_noticed_by_size_and_time(eyes, tmp_path):
    expected = np.array(prepared(eyes, tmp_path / "cache").images)
    flip(folder_of(tmp_path / "cache") / "images.u8", 0.3)
    np.testing.assert_array_equal(prepared(eyes, tmp_path / "cache").images, expected)


def test_a_folder_of_other_images_is_not_taken_for_these(eyes, tmp_path, photograph, save):
    expected = np.array(prepared(eyes, tmp_path / "cache").images)
    folder = folder_of(tmp_path / "cache")
    save(eyes / "eye0.png", photograph(9, 60, 60))
    prepared(eyes, tmp_path / "other")
    shutil.rmtree(folder)
    shutil.copytree(folder_of(tmp_path / "other"), folder)
    save(eyes / "eye0.png", photograph(0, 60, 60))
    np.testing.assert_array_equal(prepared(eyes, tmp_path / "cache").images, expected)


def test_a_cache_of_other_code_is_made_anew(eyes, tmp_path, monkeypatch):
    prepared(eyes, tmp_path / "cache")
    monkeypatch.setattr(cache_module, "preparing_code", lambda: "other")
    decoded = []
    read = Folder.__getitem__
    monkeypatch.setattr(Folder, "__getitem__", lambda *a: decoded.append(1) or read(*a))
    prepared(eyes, tmp_path / "cache")
    prepared(eyes, tmp_path / "cache")
    assert len(decoded) == 6


# ---- images that change ----


def test_nothing_is_read_again_when_nothing_changed(eyes, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "SETTLED", -1.0)
    first = prepared(eyes, tmp_path / "cache")
    monkeypatch.setattr(sources, "file_digest", lambda path: pytest.fail(f"{path} was read"))
    assert prepared(eyes, tmp_path / "cache").fingerprint == first.fingerprint


def test_a_file_changed_a_moment_ago_is_read_again(eyes, tmp_path, monkeypatch):
    prepared(eyes, tmp_path / "cache")
    read = []
    digest = sources.file_digest
    monkeypatch.setattr(sources, "file_digest", lambda path: read.append(path) or digest(path))
    prepared(eyes, tmp_path / "cache")
    assert len(read) == 6


@pytest.mark.parametrize("way", ["in place", "renamed", "same size and time"])
def test_a_changed_image_is_noticed(eyes, tmp_path, photograph, save, monkeypatch, way):
    monkeypatch.setattr(sources, "SETTLED", -1.0)
    path = eyes / "eye2.bmp"
    save(path, photograph(20, 60, 60))
    before = prepared(eyes, tmp_path / "cache").fingerprint
    times = path.stat()
    other = save(tmp_path / "other.bmp", photograph(21, 60, 60))
    if way == "renamed":
        os.replace(other, path)
    else:
        path.write_bytes(other.read_bytes())
    if way == "same size and time":
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert prepared(eyes, tmp_path / "cache").fingerprint != before


@pytest.mark.parametrize("content", ["", "null", "[]", '{"checksum": "", "content": {"a": 1}}'])
def test_a_damaged_index_only_costs_time(eyes, tmp_path, monkeypatch, content):
    monkeypatch.setattr(sources, "SETTLED", -1.0)
    first = prepared(eyes, tmp_path / "cache")
    (index,) = (tmp_path / "cache" / ".sources").iterdir()
    index.write_text(content, encoding="utf-8")
    assert prepared(eyes, tmp_path / "cache").fingerprint == first.fingerprint


@pytest.mark.parametrize("settled", [-1.0, 2.0])
def test_an_image_replaced_before_it_is_decoded_is_not_kept_under_the_old_key(
    eyes, tmp_path, photograph, save, monkeypatch, settled
):
    monkeypatch.setattr(sources, "SETTLED", settled)
    old = prepared(eyes, tmp_path / "old")
    read = Folder.__getitem__
    replaced = []

    def replacing(self, index):
        if index == 3 and not replaced:
            replaced.append(save(eyes / "eye3.png", photograph(33, 60, 60)))
        return read(self, index)

    monkeypatch.setattr(Folder, "__getitem__", replacing)
    new = prepared(eyes, tmp_path / "new")
    monkeypatch.setattr(Folder, "__getitem__", read)
    alone = prepared(eyes, tmp_path / "alone")
    assert replaced and new.fingerprint == alone.fingerprint != old.fingerprint
    np.testing.assert_array_equal(new.images, alone.images)


def test_images_that_keep_changing_are_named(eyes, tmp_path, photograph, save, monkeypatch):
    read, count = Folder.__getitem__, iter(range(100))

    def replacing(self, index):
        if index == 3:
            save(eyes / "eye3.png", photograph(next(count), 60, 60))
        return read(self, index)

    monkeypatch.setattr(Folder, "__getitem__", replacing)
    with pytest.raises(DataError, match="eye3.png changes while .*Wait until all files are copied"):
        prepared(eyes, tmp_path / "cache")


def test_what_is_no_regular_file_does_not_hold_the_preparation(eyes, tmp_path):
    os.mkfifo(eyes / "pipe")
    assert sources.state_of(eyes / "pipe") is None
    assert sources._read(eyes / "pipe") == (None, "is no regular file")


# ---- several at once ----

PROGRAM = """
    import sys, pathlib, time
    import numpy as np
    from ldr_lib import open_dataset, prepare
    dataset = open_dataset("folder", sys.argv[1], "all")
    print("ready", flush=True)
    for cache in sys.stdin.read().split():
        while not pathlib.Path(cache, "go").exists():
            time.sleep(0.001)
        try:
            found = prepare(dataset, 48, cache)
            print(int(np.asarray(found.images, np.int64).sum()), found.fingerprint, flush=True)
        except BaseException as error:
            print(type(error).__name__, str(error).replace(" ", "_"), flush=True)
"""


def damaged_copy(source, target):
    """A cache whose folders are broken."""
    shutil.copytree(source, target)
    flip(folder_of(target) / "images.u8", 0.5)
    return target


@pytest.mark.slow
def test_four_processes_at_once_on_cold_and_broken_caches(eyes, tmp_path):
    rounds = int(os.environ.get("LDR_ROUNDS") or 3)
    whole = prepared(eyes, tmp_path / "whole")
    expected = f"{int(np.asarray(whole.images, np.int64).sum())} {whole.fingerprint}"
    caches = []
    for i in range(rounds):
        (tmp_path / f"cold{i}").mkdir()
        caches += [tmp_path / f"cold{i}", damaged_copy(tmp_path / "whole", tmp_path / f"broken{i}")]
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(PROGRAM), encoding="utf-8")
    running = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", script, eyes],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for _ in range(4)
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("\n".join(map(str, caches)))
        process.stdin.close()
    for cache in caches:
        (cache / "go").touch()
    lines = [line.strip() for process in running for line in process.stdout]
    assert [process.wait() for process in running] == [0] * 4
    wrong = [line for line in lines if line != expected]
    assert len(lines) == 4 * len(caches) and not wrong, f"{len(wrong)} of {len(lines)}: {wrong[:3]}"
    assert not [path for cache in caches for path in cache.glob(".*.part*")]


def test_four_threads_at_once_on_cold_and_broken_caches(eyes, tmp_path):
    rounds = int(os.environ.get("LDR_ROUNDS") or 3)
    expected = np.array(prepared(eyes, tmp_path / "whole").images)
    for i in range(rounds):
        broken = damaged_copy(tmp_path / "whole", tmp_path / f"broken{i}")
        for cache in (tmp_path / f"cold{i}", broken):
            with ThreadPoolExecutor(4) as pool:
                for found in list(pool.map(prepared, [eyes] * 4, [cache] * 4)):
                    np.testing.assert_array_equal(found.images, expected)


# ---- places ----


def test_what_a_killed_process_left_is_removed_at_the_next_start(eyes, tmp_path):
    program = textwrap.dedent(f"""
        import os, signal
        from ldr_lib import open_dataset, prepare
        from ldr_lib.data.datasets import Folder
        Folder.__getitem__ = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        prepare(open_dataset("folder", {str(eyes)!r}, "all"), 48, {str(tmp_path / "cache")!r})
    """)
    subprocess.run([sys.executable, "-W", "ignore", "-c", program])
    assert list((tmp_path / "cache").glob(".*.unfinished"))
    assert len(prepared(eyes, tmp_path / "cache")) == 6
    for ending in (".unfinished", ".part", ".part.lock"):
        assert not list((tmp_path / "cache").glob(f".*{ending}"))


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_cache_that_may_not_be_written_is_named_with_the_way_out(
    eyes, tmp_path, monkeypatch, number
):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number), str(tmp_path / "cache"))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(DataError, match=r"could not write .*cache.*You may not write.*LDR_CACHE"):
        prepared(eyes, tmp_path / "cache")


def test_a_cache_that_may_only_be_read_is_opened(eyes, tmp_path, monkeypatch):
    expected = np.array(prepared(eyes, tmp_path / "cache").images)

    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("ldr_lib.data.locks.FileLock.acquire", refuse)
    np.testing.assert_array_equal(prepared(eyes, tmp_path / "cache").images, expected)


def test_a_file_in_the_place_of_the_cache_is_named(eyes, tmp_path):
    (tmp_path / "cache").write_text("precious", encoding="utf-8")
    with pytest.raises(DataError, match="could not write .*cache.*Rename or move what is there"):
        prepared(eyes, tmp_path / "cache")
    assert (tmp_path / "cache").read_text(encoding="utf-8") == "precious"


def test_without_a_home_the_variable_is_named(monkeypatch):
    def no_home(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("LDR_CACHE")
    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(DataError, match="set the environment variable LDR_CACHE"):
        cache_module.default_cache()
