"""Images that are neither photographs of the retina nor X-rays: the whole image, as it is."""

import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image
from skimage import data as pictures

from ldr_lib import (
    DataError,
    Settings,
    evaluation,
    explore,
    load_model,
    open_dataset,
    prepare,
    train,
)
from ldr_lib.data.check import check
from ldr_lib.data.read import read_picture
from ldr_lib.explore.network_page import network_page


@pytest.fixture
def tissue(tmp_path):
    """Tiles of the stained tissue that comes with scikit-image."""
    slide = pictures.immunohistochemistry()
    for row in range(3):
        for column in range(4):
            tile = slide[128 * row : 128 * row + 128, 128 * column : 128 * column + 128]
            Image.fromarray(tile).save(tmp_path / f"{row}{column}.png")
    return tmp_path


def test_stained_tissue_stays_in_colour_and_whole(tissue, cache):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tiles = open_dataset("folder", tissue, "all", modality="other")
        prepared = prepare(tiles, 128, cache)
    assert tiles.channels == 3 and tiles.modality == "other" and len(tiles) == 12
    assert prepared.masks["field_of_view"].all()
    first = pictures.immunohistochemistry()[:128, :128]
    assert (prepared.images[0] == first).all(), "neither normalised nor cut"


def test_images_that_are_not_square_are_padded_and_the_padding_is_outside(tmp_path, save, cache):
    rng = np.random.default_rng(0)
    for i in range(4):
        save(tmp_path / f"{i}.png", rng.integers(0, 255, (64, 128, 3)).astype(np.uint8))
    prepared = prepare(open_dataset("folder", tmp_path, "all", modality="other"), 64, cache)
    inside = prepared.masks["field_of_view"]
    assert inside.mean() == 0.5 and inside[:, 16:48].all()
    assert not prepared.images[:, :15].any() and not prepared.images[:, 49:].any()


def test_grey_images_keep_one_channel(tmp_path, save, cache):
    for i in range(4):
        save(tmp_path / f"{i}.png", np.roll(pictures.cell()[::4, ::4], 5 * i))
    cells = open_dataset("folder", tmp_path, "all", modality="other")
    assert cells.channels == 1 and cells[0].image.ndim == 2
    assert prepare(cells, 64, cache).images.shape == (4, 64, 64, 1)


def test_one_image_in_colour_among_grey_ones_is_told(tmp_path, save):
    for i in range(4):
        save(tmp_path / f"{i}.png", pictures.cell()[i : i + 99, :99])
    save(tmp_path / "4.png", pictures.immunohistochemistry()[:99, :99])
    images = open_dataset("folder", tmp_path, "all", modality="other")
    with pytest.warns(UserWarning, match=r"4.png: in colour where most images are grey"):
        assert images[4].image.shape == (99, 99)


def test_sixteen_bits_share_one_range(tmp_path):
    tile = pictures.immunohistochemistry()[:96, :96].astype(np.uint16) * 200
    for i, share in enumerate((1.0, 0.5, 0.8)):
        tifffile.imwrite(tmp_path / f"{i}.tif", (tile * share).astype(np.uint16))
    images = open_dataset("folder", tmp_path, "all", modality="other")
    bright, dark = images[0].image.mean(), images[1].image.mean()
    assert dark == pytest.approx(bright / 2, rel=0.02), "a dark exposure stays dark"


def test_volumes_are_refused(tmp_path, save):
    volume = np.random.default_rng(0).integers(0, 255, (7, 40, 40)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "volume.tif", volume)
    images = open_dataset("folder", tmp_path, "all", modality="other")
    sentence = "volume.tif is a volume or a series of 7 images.*export each slice as a file"
    with pytest.raises(DataError, match=sentence):
        images[0]
    assert check(tmp_path, modality="other").problems == 1


def test_smaller_pages_of_a_slide_are_no_volume(tmp_path):
    slide = pictures.immunohistochemistry()
    with tifffile.TiffWriter(tmp_path / "slide.tif") as written:
        for step in (1, 2, 4):
            written.write(slide[::step, ::step], photometric="rgb")
    images = open_dataset("folder", tmp_path, "all", modality="other")
    with pytest.warns(UserWarning, match="the first of 3 pages"):
        assert (images[0].image == slide).all()


@pytest.mark.parametrize("channels", [5, 9])
def test_more_channels_are_refused_with_a_sentence(tmp_path, channels):
    stack = np.random.default_rng(0).integers(0, 255, (40, 40, channels)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "many.tif", stack, photometric="minisblack", planarconfig="contig")
    images = open_dataset("folder", tmp_path, "all", modality="other")
    with pytest.raises(DataError, match=r"many.tif has shape .*1 \(grey\) or 3 \(colour\)"):
        images[0]


def test_the_check_calls_them_by_their_name(tissue):
    report = str(check(tissue, modality="other"))
    assert "12 images, taken for images of another kind; 0 unusable" in report


def test_an_unknown_modality_lists_the_known_ones(tissue):
    with pytest.raises(ValueError, match="known are fundus, chest, other"):
        open_dataset("folder", tissue, modality="skin")


def test_a_folder_is_of_another_kind_by_its_name(tissue, cache):
    by_name, asked = (
        open_dataset("folder_other", tissue),
        open_dataset("folder", tissue, "train", "other"),
    )
    assert (by_name.modality, by_name.channels, len(by_name)) == ("other", 3, len(asked))
    assert (by_name[3].image == asked[3].image).all()
    with pytest.raises(DataError, match='"folder_other" needs data_dir'):
        open_dataset("folder_other")


def test_tiles_of_stained_tissue_cover_the_slide_once(cache):
    train_set, test_set = (open_dataset("immunohistochemistry", split=s) for s in ("train", "test"))
    rows = [
        np.concatenate([part[i].image for i in range(first, first + 4)], 1)
        for part, first in ((train_set, 0), (train_set, 4), (train_set, 8), (test_set, 0))
    ]
    assert (np.concatenate(rows) == pictures.immunohistochemistry()).all()
    assert prepare(test_set, 64, cache).images.shape == (4, 64, 64, 3)
    with pytest.raises(ValueError, match='split "dev"; known are train, test, all'):
        open_dataset("immunohistochemistry", split="dev")


def test_other_images_are_trained_measured_and_explored(tmp_path, cache, monkeypatch):
    """Everything that notebooks and the command `page` do, without any known structure."""
    monkeypatch.setenv("LDR_CACHE", str(cache))
    tiles = prepare(open_dataset("immunohistochemistry", split="test"), 64)
    settings = Settings.for_tier("smoke", "other", epochs=(1, 1, 1), steps=1)
    train(tiles, settings, tmp_path / "run", snapshots=True)
    net = load_model(sorted((tmp_path / "run").glob("after_*"))[-1])
    assert evaluation.anatomy_of(tiles, "other")[1] == []
    table = evaluation.compare({"trained": net}, tiles, "other").table
    assert list(table.index) == [
        "raw intensities, k-means",
        "trained, clusters",
        "trained, k-means",
    ]
    assert table["NMI"].isna().all() and not any("AUC" in column for column in table)
    picked, row, column, what = evaluation.query_pixel(tiles, "other")
    assert "darkest pixel" in what and tiles.masks["field_of_view"][picked, row, column]
    embeddings, clusters = evaluation.represent(net, tiles.images)
    inside = np.asarray(tiles.masks["field_of_view"])
    painted = explore.cluster_colours(clusters, None, net.n_clusters, inside)
    assert painted.shape == (4, 64, 64, 3)
    page = explore.write_page(explore.embed_scene(net, tiles, 2), tmp_path / "page.html", side=32)
    assert page.stat().st_size > 10_000


def test_the_page_of_other_images_needs_snapshots(tmp_path):
    for choice in (dict(modality="other"), dict(dataset="immunohistochemistry")):
        with pytest.raises(DataError, match="no network for images of another kind comes"):
            network_page(tmp_path / "page.html", **choice)


@pytest.mark.parametrize("channels, left", [(2, 1), (4, 3)])
def test_a_channel_that_is_left_out_is_said(tmp_path, channels, left):
    stack = np.random.default_rng(0).integers(0, 255, (40, 40, channels)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "x.tif", stack, photometric="minisblack", planarconfig="contig")
    picture = read_picture(tmp_path / "x.tif")
    assert (np.atleast_3d(picture.pixels) == stack[..., :left]).all()
    assert picture.doubts == ["its last channel, which is not marked as transparency, is left out"]


def test_a_narrow_range_of_sixteen_bits_fills_the_bytes(tmp_path):
    """Bytes are made after the range is known, so that no level is lost before."""
    values = np.random.default_rng(0).permutation(np.arange(1000, 1256).repeat(16)).reshape(64, 64)
    tifffile.imwrite(tmp_path / "dark.tif", values.astype(np.uint16))
    assert len(np.unique(read_picture(tmp_path / "dark.tif").pixels)) == 256


@pytest.mark.parametrize(
    "name, head, words",
    [
        ("x.nii", b"\x5c\x01\0\0", "a NIfTI volume.*Export each slice as png or tif"),
        ("x.nrrd", b"NRRD0004\n", "an NRRD volume.*Export each slice"),
        ("x.mha", b"ObjectType = Image\n", "a MetaImage volume.*Export each slice"),
        ("x.czi", b"ZISRAWFILE", "CZI file.*Export its images as tif"),
        ("x.raw", b"\x00\x01\x00", "of no known format"),
    ],
)
def test_volumes_of_other_formats_are_called_by_their_name(tmp_path, name, head, words):
    (tmp_path / name).write_bytes(head + bytes(600))
    with pytest.raises(DataError, match=words):
        read_picture(tmp_path / name)
