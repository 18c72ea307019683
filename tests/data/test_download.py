"""Downloads: whole or not at all, resumed where they stopped, checked; datasets that must be asked
for say where.
"""

import hashlib
import io
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ldr_lib.data import download as module
from ldr_lib.data.download import ARCHIVES, Archive, download
from ldr_lib.data.errors import DataError


@pytest.fixture
def server(monkeypatch):
    """Serves a small CHASE_DB1 archive; `cut` ends an answer after so many bytes, `ranges` notes
    what was asked for.
    """
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("Image_01L", "Image_11R"):
            for suffix in (".jpg", "_1stHO.png", "_2ndHO.png"):
                file = io.BytesIO()
                Image.fromarray(
                    np.random.default_rng(0).integers(30, 200, (40, 40, 3), dtype=np.uint8)
                ).save(file, "JPEG" if suffix == ".jpg" else "PNG")
                archive.writestr(name + suffix, file.getvalue())
    content = packed.getvalue()

    class Handler(BaseHTTPRequestHandler):
        cut, ranges = None, []

        def do_GET(self):
            start = int((self.headers["Range"] or "bytes=0-")[6:-1])
            Handler.ranges.append(start)
            if start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            self.wfile.write(content[start : Handler.cut])

        def log_message(self, *_):
            pass

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    monkeypatch.setitem(
        ARCHIVES,
        "chase_db1",
        Archive(f"http://127.0.0.1:{running.server_port}/CHASEDB1.zip", checksum),
    )
    yield Handler
    running.shutdown()


def left_in(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".locks")


def test_a_download_arrives_whole_and_only_once(server, tmp_path):
    folder = download("chase_db1", tmp_path / "data")
    assert len(list(folder.glob("*.jpg"))) == 2 and left_in(tmp_path / "data") == ["CHASE_DB1"]
    assert download("chase_db1", tmp_path / "data") == folder and server.ranges == [0]


def test_an_interrupted_download_is_continued(server, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", 1000)
    server.cut = 5000
    with pytest.raises(
        DataError, match="could not download .*are kept, and the next call continues"
    ):
        download("chase_db1", tmp_path)
    assert not (tmp_path / "CHASE_DB1").exists()
    server.cut = None
    download("chase_db1", tmp_path)
    assert server.ranges == [0, 5000] and left_in(tmp_path) == ["CHASE_DB1"]


def test_a_changed_file_is_refused_and_removed(server, tmp_path, monkeypatch):
    monkeypatch.setitem(
        ARCHIVES, "chase_db1", Archive(ARCHIVES["chase_db1"].url, f"sha256:{'0' * 64}")
    )
    with pytest.raises(DataError, match="is not the file that was expected"):
        download("chase_db1", tmp_path)
    assert left_in(tmp_path) == []


def test_a_full_disk_keeps_nothing_half(server, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.zipfile.ZipFile, "extractall", full)
    with pytest.raises(DataError, match="No space left on device"):
        download("chase_db1", tmp_path)
    assert not (tmp_path / "CHASE_DB1").exists()


def serve(monkeypatch, content):
    """Makes these bytes the archive that is expected and kept."""
    monkeypatch.setitem(
        ARCHIVES, "chase_db1", Archive("http://x", f"sha256:{hashlib.sha256(content).hexdigest()}")
    )

    def retrieve(url, checksum, name, folder, **_):
        path = Path(folder) / name
        path.write_bytes(content)
        return str(path)

    monkeypatch.setattr(module.pooch, "retrieve", retrieve)


def zipped(method=zipfile.ZIP_DEFLATED, **files):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


WHOLE = zipped(a=b"image" * 1000)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no zip",
        b"<html>Please sign in</html>",
        WHOLE[: len(WHOLE) // 2],
        WHOLE[:40] + b"\xff\xff" + WHOLE[42:],
        WHOLE[:-30],
        WHOLE.replace(b"\x08\x00", b"\x63\x00"),
    ],
)
def test_an_archive_that_is_no_zip_is_named(tmp_path, monkeypatch, content):
    serve(monkeypatch, content)
    with pytest.raises(DataError, match=r"\.CHASE_DB1.zip is no whole zip file .*by hand"):
        download("chase_db1", tmp_path)
    assert not (tmp_path / "CHASE_DB1").exists() and not list(tmp_path.glob(".*.part*"))


def test_an_archive_that_would_fill_the_disk_is_not_unpacked(tmp_path, monkeypatch):
    serve(monkeypatch, WHOLE)
    monkeypatch.setattr(module, "UNPACKED", 1000)
    with pytest.raises(DataError, match="would unpack to .* GiB are allowed or free"):
        download("chase_db1", tmp_path)
    assert not (tmp_path / "CHASE_DB1").exists()


def test_nothing_is_unpacked_outside_the_folder(tmp_path):
    content = {"../../out.txt": b"x", "/abs.txt": b"x", "in/../../up.txt": b"x"}
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x.zip").write_bytes(zipped(**content))
    module.unpack(tmp_path / "a" / "b" / "x.zip", tmp_path / "a" / "b" / "data")
    found = {path.relative_to(tmp_path).parts[:3] for path in tmp_path.rglob("*.txt")}
    assert found == {("a", "b", "data")} and not Path("/abs.txt").exists()


def test_two_downloads_at_once_fetch_once(server, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(download, ["chase_db1"] * 2, [tmp_path] * 2))
    assert folders == [tmp_path / "CHASE_DB1"] * 2 and server.ranges == [0]
    assert left_in(tmp_path) == ["CHASE_DB1"]


def test_no_network_and_what_cannot_be_downloaded_say_where_to_go(tmp_path, monkeypatch):
    monkeypatch.setitem(ARCHIVES, "hrf", Archive("http://127.0.0.1:9/all.zip", "sha256:0"))
    with pytest.raises(DataError, match="could not download .*fetched by hand from www5.cs.fau.de"):
        download("hrf", tmp_path)
    with pytest.raises(DataError, match="DRIONS-DB cannot be downloaded directly .*Get it from"):
        download("drions", tmp_path)
    with pytest.raises(ValueError, match='unknown dataset "magic"'):
        download("magic", tmp_path)


@pytest.mark.parametrize("place", [None, 3, ""])
def test_no_place_for_a_download_is_named(place):
    with pytest.raises(ValueError, match="data_dir must be a path, not"):
        download("chase_db1", place)
