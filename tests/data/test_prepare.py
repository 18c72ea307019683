import resource
import subprocess
import sys
import textwrap
import warnings

import numpy as np
import pytest

from ldr_lib import DataError, open_dataset, prepare
from ldr_lib.data.crop import field_of_view, local_normalize, prepare_sample
from ldr_lib.data.datasets import Folder
from ldr_lib.data.simulate import Sample, fundus


def kept_in(cache):
    """What a cache holds apart from its locks and the digests of images."""
    return [path for path in cache.iterdir() if path.name not in (".locks", ".sources")]


@pytest.fixture
def eyes(tmp_path, photograph, save):
    """A folder of eight photographs of different sizes."""
    for i in range(8):
        save(tmp_path / "eyes" / f"eye{i}.png", photograph(i, 80 + i, 100))
    return tmp_path / "eyes"


def test_field_of_view_is_the_lit_disc_with_its_dark_parts(photograph):
    image = photograph(0, 200, 260)
    image[90:110, 120:140] = 0
    rows, columns = np.mgrid[:200, :260]
    truth = np.hypot(rows - 100, columns - 130) < 90
    found = field_of_view(image)
    assert (found == truth).mean() > 0.98 and found[100, 130]


def test_field_of_view_ignores_a_label_in_the_corner(photograph):
    image = photograph(0, 200, 200)
    image[5:15, 5:25] = 255
    assert not field_of_view(image)[:20, :30].any()


def test_a_black_image_has_no_field_of_view():
    with pytest.raises(DataError, match="almost.*black"):
        field_of_view(np.full((64, 64, 3), 3, np.uint8))


def test_prepared_masks_stay_on_their_structure(photograph):
    image = photograph(0, 150, 220)
    structure = np.zeros((150, 220), bool)
    structure[60:90, 100:125] = True
    image[structure] = (250, 250, 0)
    small, masks, (top, left, height, width) = prepare_sample(
        Sample(image, {"disc": structure}), 64, "fundus"
    )
    assert (
        small.shape == (64, 64, 3) and height == width and set(masks) == {"field_of_view", "disc"}
    )
    yellow = (small[..., 1] > 200) & (small[..., 2] < 60)
    assert 2 * (yellow & masks["disc"]).sum() / (yellow.sum() + masks["disc"].sum()) > 0.85


def test_local_normalisation_removes_uneven_illumination():
    sample = fundus(128, 2, lesions=False)
    inside = sample.masks["field_of_view"]
    rows = np.linspace(0.6, 1.0, 128)[:, None, None]
    half_lit = (sample.image * rows).round().astype(np.uint8)
    one, other = (
        local_normalize(image, inside).astype(float)[inside] for image in (sample.image, half_lit)
    )
    raw = np.corrcoef(sample.image[inside][:, 1], half_lit[inside][:, 1])[0, 1]
    normalised = np.corrcoef(one[:, 1], other[:, 1])[0, 1]
    assert normalised > 0.95 and normalised > raw
    assert (local_normalize(sample.image, inside)[~inside] == 0).all()


def test_shares_are_taken_as_the_bytes_that_they_stand_for(photograph):
    image, inside = photograph(), np.ones((96, 96), bool)
    assert (field_of_view(image / 255) == field_of_view(image)).all()
    assert (local_normalize(image / 255, inside) == local_normalize(image, inside)).all()
    for call in (lambda: field_of_view(1.0 * image), lambda: local_normalize(1.0 * image, inside)):
        with pytest.raises(DataError, match="of floats must lie in .0, 1.*divide by 255"):
            call()


def test_cache_is_filled_once_and_mapped(eyes, tmp_path, monkeypatch):
    first = prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "cache")
    assert first.images.shape == (8, 48, 48, 3) and isinstance(first.images, np.memmap)
    assert not first.images.flags.writeable and first.masks["field_of_view"].any()
    monkeypatch.setattr(Folder, "__getitem__", lambda *_: pytest.fail("decoded a second time"))
    second = prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "cache")
    np.testing.assert_array_equal(first.images, second.images)
    assert first.fingerprint == second.fingerprint and first.names == second.names


def test_cache_follows_content_not_names(eyes, tmp_path, photograph, save):
    keys = [prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "cache").fingerprint]
    save(eyes / "eye0.png", photograph(99, 80, 100))
    keys.append(prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "cache").fingerprint)
    keys.append(prepare(open_dataset("folder", eyes, "all"), 64, tmp_path / "cache").fingerprint)
    assert len(set(keys)) == 3


def test_x_rays_keep_their_raw_intensities(tmp_path, photograph, save):
    for i in range(3):
        save(tmp_path / "x" / f"{i}.png", photograph(i)[..., 0])
    prepared = prepare(open_dataset("folder", tmp_path / "x"), 48, tmp_path / "cache")
    np.testing.assert_array_equal(prepared.images, prepared.originals)
    assert prepared.masks["field_of_view"].all()


def test_one_bad_file_in_more_than_a_hundred_is_left_out(tmp_path, photograph, save):
    for i in range(101):
        save(tmp_path / "many" / f"{i:03d}.png", photograph(i % 7, 40, 40))
    (tmp_path / "many" / "050.png").write_bytes(b"\x89PNG truncated")
    with pytest.warns(UserWarning, match="left out: .*050.png cannot be read"):
        prepared = prepare(open_dataset("folder", tmp_path / "many", "all"), 32, tmp_path / "cache")
    assert len(prepared) == 100 and "050" not in prepared.names and len(prepared.skipped) == 1


def test_more_bad_files_are_an_error_that_lists_them(eyes, tmp_path):
    for name in ("eye2.png", "eye5.png"):
        (eyes / name).write_text("no image", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"(?s)2 of 8 files of folder are unusable.*eye2.png.*eye5.png"
    ):
        prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "cache")
    assert not kept_in(tmp_path / "cache")


def test_a_black_photograph_is_named(eyes, tmp_path, save):
    almost = np.zeros((60, 60, 3), np.uint8)
    almost[0, 0] = 1
    save(eyes / "eye3.png", almost)
    with pytest.raises(DataError, match="eye3.png: no field of view"):
        prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "cache")


def test_too_little_space_is_reported_before_work_begins(eyes, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(DataError, match="needs .* MiB and 0.0 MiB are free.*LDR_CACHE"):
        prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "cache")


@pytest.mark.skipif(
    not hasattr(resource, "RLIMIT_FSIZE"), reason="this system cannot limit the size of files"
)
def test_a_disk_that_fills_while_caching_leaves_nothing_half_written(eyes, tmp_path):
    program = textwrap.dedent(f"""
        import resource, signal
        from ldr_lib import open_dataset, prepare, DataError
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        dataset = open_dataset("folder", {str(eyes)!r}, "all")
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
        try:
            prepare(dataset, 64, {str(tmp_path / "cache")!r})
        except DataError as error:
            print(error)
    """)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, encoding="utf-8"
    )
    assert "could not write" in done.stdout and "nothing half-written was kept" in done.stdout, (
        done.stderr
    )
    assert not kept_in(tmp_path / "cache")
    assert len(prepare(open_dataset("folder", eyes, "all"), 64, tmp_path / "cache")) == 8


@pytest.mark.parametrize("size", [8, 5000])
def test_sizes_out_of_range_are_refused(eyes, tmp_path, size):
    with pytest.raises(ValueError, match="size must be a whole number from 32 to 4096"):
        prepare(open_dataset("folder", eyes), size, tmp_path)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["chase_db1", "drions", "covid19_cxr_seg"])
def test_real_images_are_prepared_without_a_warning(real_data, tmp_path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepared = prepare(open_dataset(name, real_data, "test"), 64, tmp_path)
    lit = prepared.originals.max(3) > 20
    assert (lit & prepared.masks["field_of_view"]).sum() > 0.9 * lit.sum()
    structure = next(name for name in ("vessel", "disc", "lungs") if name in prepared.masks)
    assert all(mask.any() for mask in prepared.masks[structure])


def killed_after(eyes, cache, images):
    """Runs `prepare` in a process that is killed when that many images were decoded."""
    program = textwrap.dedent(f"""
        import os, signal, sys
        import numpy as np
        from ldr_lib import open_dataset, prepare
        from ldr_lib.data.cache import ArrayFiles
        sys.modules["ldr_lib.data.prepare"].KEPT_EVERY = -1
        keep, rest = ArrayFiles.keep, np.full(1000, 7, np.uint8)
        def keep_and_die(files, reached):
            keep(files, reached)
            if len(reached["names"]) == {images}:
                for name, file in files.files.items():
                    files.write(name, rest)  # what comes after the last note
                    file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
        ArrayFiles.keep = keep_and_die
        prepare(open_dataset("folder", {str(eyes)!r}, "all"), 48, {str(cache)!r})
    """)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True)
    assert done.returncode == -9, done.stderr.decode()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_preparing_goes_on_where_a_killed_process_stopped(eyes, tmp_path, monkeypatch):
    whole = prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "whole")
    killed_after(eyes, tmp_path / "cache", images=5)
    decoded, read = [], Folder.__getitem__
    monkeypatch.setattr(Folder, "__getitem__", lambda d, i: decoded.append(i) or read(d, i))
    after = prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "cache")
    assert sorted(decoded) == [5, 6, 7]
    for name in ("images", "originals", "boxes"):
        np.testing.assert_array_equal(getattr(after, name), getattr(whole, name))
    assert (after.names, after.fingerprint) == (whole.names, whole.fingerprint)
    np.testing.assert_array_equal(after.masks["field_of_view"], whole.masks["field_of_view"])
    assert len(kept_in(tmp_path / "cache")) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_doubts_of_a_killed_process_are_said_by_the_next_one(eyes, tmp_path, photograph, save):
    save(eyes / "eye0.png", photograph(0)[..., 0])
    killed_after(eyes, tmp_path / "cache", images=5)
    dataset = open_dataset("folder", eyes, "all")
    dataset.items[0].image.touch()  # the content is the same
    with pytest.warns(UserWarning, match="eye0.png: grey where photographs in colour"):
        prepare(dataset, 48, tmp_path / "cache")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("damage", ["truncated", "note", "image"])
def test_preparing_begins_anew_where_what_was_kept_does_not_fit(
    eyes, tmp_path, photograph, save, damage
):
    killed_after(eyes, tmp_path / "cache", images=5)
    (unfinished,) = (tmp_path / "cache").glob(".*.unfinished")
    if damage == "truncated":
        (unfinished / "images.u8").write_bytes(b"")
    elif damage == "note":
        (unfinished / "so_far.json").write_text('{"half', encoding="utf-8")
    else:
        save(eyes / "eye0.png", photograph(99, 80, 100))
    after = prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "cache")
    whole = prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "whole")
    np.testing.assert_array_equal(after.images, whole.images)


def test_equal_names_from_two_folders_are_numbered(eyes, tmp_path, photograph, save):
    save(eyes / "more" / "eye0.png", photograph(42))
    prepared = prepare(open_dataset("folder", eyes, "all"), 48, tmp_path / "cache")
    assert len(set(prepared.names)) == 9 and "eye0" in prepared.names
