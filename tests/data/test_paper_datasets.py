"""The paper's datasets, each on a small tree of exactly the layout in which its archives unpack."""

import csv

import numpy as np
import pytest
from PIL import Image

from ldr_lib import DataError, open_dataset
from ldr_lib.data.prepare import prepare


@pytest.fixture
def square():
    """A white square on black whose position tells one mask from another."""

    def draw(at: int, shape=(96, 96), value: int = 255) -> np.ndarray:
        mask = np.zeros(shape, np.uint8)
        mask[at : at + 20, at : at + 20] = value
        return mask

    return draw


def where(mask: np.ndarray) -> tuple[int, int]:
    """First row and first column of a mask."""
    return tuple(int(index.min()) for index in mask.nonzero())


def names(name, root, split):
    dataset = open_dataset(name, root, split)
    return [dataset[i].name for i in range(len(dataset))]


def test_drive_reads_gif_masks_and_goes_without_where_the_test_set_has_none(
    tmp_path, photograph, save, square
):
    for part, number in (("training", 21), ("training", 22), ("test", 1)):
        save(tmp_path / "DRIVE" / part / "images" / f"{number:02d}_{part}.tif", photograph(number))
        save(tmp_path / "DRIVE" / part / "mask" / f"{number:02d}_{part}_mask.gif", square(0))
    for number in (21, 22):
        save(tmp_path / "DRIVE/training/1st_manual" / f"{number}_manual1.gif", square(number))
    assert names("drive", tmp_path, "train") == ["21_training", "22_training"]
    assert [where(open_dataset("drive", tmp_path)[i].masks["vessel"]) for i in (0, 1)] == [
        (21, 21),
        (22, 22),
    ]
    assert open_dataset("drive", tmp_path, "test")[0].masks == {}
    assert len(open_dataset("drive", tmp_path, "all")) == 3


def test_rite_tells_arteries_from_veins_and_gives_crossings_to_both(
    tmp_path, photograph, save, square
):
    root = tmp_path / "AV_groundTruth" / "training"
    save(root / "images" / "21_training.tif", photograph())
    save(root / "vessel" / "21_training.png", square(10))
    kinds = np.zeros((96, 96, 3), np.uint8)
    kinds[10, :], kinds[20, :], kinds[30, :], kinds[40, :] = (
        (255, 0, 0),
        (0, 0, 255),
        (0, 255, 0),
        (255, 255, 255),
    )
    save(root / "av" / "21_training.png", kinds)
    masks = open_dataset("rite", tmp_path)[0].masks
    rows = {
        name: sorted(set(mask.nonzero()[0].tolist()))
        for name, mask in masks.items()
        if name != "vessel"
    }
    assert rows == {"artery": [10, 30], "vein": [20, 30]} and masks["vessel"].sum() == 400


def test_stare_trains_on_the_first_ten_of_those_with_vessels(tmp_path, photograph, save, square):
    root = tmp_path / "STARE"
    for number in range(1, 24):
        save(root / "stare-images" / f"im{number:04d}.ppm", photograph(number))
        if number % 8:
            save(
                root / "labels-ah" / f"im{number:04d}.ah.ppm",
                np.repeat(square(number)[..., None], 3, 2),
            )
            save(root / "labels-vk" / f"im{number:04d}.vk.ppm", square(number + 30))
    train, test = names("stare", tmp_path, "train"), names("stare", tmp_path, "test")
    assert (
        train == [f"im{n:04d}" for n in (1, 2, 3, 4, 5, 6, 7, 9, 10, 11)]
        and len(test) == 11
        and test[0] == "im0012"
    )
    masks = open_dataset("stare", tmp_path)[1].masks
    assert where(masks["vessel"]) == (2, 2) and where(masks["vessel_second_observer"]) == (32, 32)


def test_drishti_takes_what_most_experts_marked(tmp_path, photograph, save):
    root = tmp_path / "Drishti-GS1_files" / "Drishti-GS1_files"
    for part, truth, name in (
        ("Training", "GT", "drishtiGS_002"),
        ("Test", "Test_GT", "drishtiGS_001"),
    ):
        save(
            root / part / "Images" / ("GLAUCOMA" if part == "Test" else "") / f"{name}.png",
            photograph(),
        )
        soft = np.zeros((96, 96), np.uint8)
        soft[:, 10:20], soft[:, 20:30], soft[:, 30:40] = 64, 191, 255
        save(root / part / truth / name / "SoftMap" / f"{name}_ODsegSoftmap.png", soft)
        save(
            root / part / truth / name / "SoftMap" / f"{name}_cupsegSoftmap.png",
            np.roll(soft, 40, 1),
        )
    assert names("drishti_gs1", tmp_path, "all") == ["drishtiGS_002", "drishtiGS_001"]
    for split in ("train", "test"):
        masks = open_dataset("drishti_gs1", tmp_path, split)[0].masks
        assert where(masks["disc"]) == (0, 20) and where(masks["cup"]) == (0, 60)
        assert masks["disc"].sum() == 20 * 96


def test_idrid_reads_palette_masks_and_takes_a_missing_one_for_a_healthy_eye(
    tmp_path, photograph, save, square
):
    root = tmp_path / "A. Segmentation"
    images, truth = root / "1. Original Images", root / "2. All Segmentation Groundtruths"
    for part, number in (("a. Training Set", 1), ("b. Testing Set", 55)):
        save(images / part / f"IDRiD_{number}.jpg", photograph(number))
        save(truth / part / "5. Optic Disc" / f"IDRiD_{number}_OD.tif", square(5, value=76))
        palette = Image.fromarray(square(30, value=1)).convert("P")
        palette.putpalette([0, 0, 0, 255, 0, 0] + [0] * 762)
        path = truth / part / "1. Microaneurysms" / f"IDRiD_{number}_MA.tif"
        path.parent.mkdir(parents=True)
        palette.save(path)
    save(
        truth / "a. Training Set" / "3. Hard Exudates" / "IDRiD_1_EX.tif",
        np.stack([square(50), 0 * square(50), 0 * square(50)], 2),
    )
    train, test = open_dataset("idrid", tmp_path)[0], open_dataset("idrid", tmp_path, "test")[0]
    assert where(train.masks["disc"]) == (5, 5) and where(train.masks["microaneurysm"]) == (30, 30)
    assert where(train.masks["hard_exudate"]) == (50, 50)
    assert (
        not test.masks["hard_exudate"].any()
        and not train.masks["haemorrhage"].any()
        and test.name == "IDRiD_55"
    )
    assert set(train.masks) == set(open_dataset("idrid", tmp_path).structures)


def test_idrid_centres_come_from_its_tables(tmp_path, photograph, save):
    root = tmp_path / "C. Localization"
    for part, word, name in (
        ("a. Training Set", "Training", "IDRiD_001"),
        ("b. Testing Set", "Testing", "IDRiD_002"),
    ):
        save(root / "1. Original Images" / part / f"{name}.jpg", photograph(0, 200, 300))
        for folder, stem, x in (
            ("1. Optic Disc Center Location", "OD", 70),
            ("2. Fovea Center Location", "Fovea", 180),
        ):
            path = root / "2. Groundtruths" / folder / f"IDRiD_{stem}_Center_{word} Set_Markups.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                f"Image No,X- Coordinate,Y - Coordinate,,\n{name} ,{x},90,,\n,,,,\n",
                encoding="utf-8",
            )
    masks = open_dataset("idrid_centres", tmp_path, "test")[0].masks
    centre = {
        name: [float(index.mean()) for index in mask.nonzero()] for name, mask in masks.items()
    }
    assert centre == {"disc_centre": [90, 70], "fovea_centre": [90, 180]}
    path.write_text("Image No,X,Y\n", encoding="utf-8")
    with pytest.raises(DataError, match="holds no centre of IDRiD_002"):
        open_dataset("idrid_centres", tmp_path, "test")[0]


def scr_masks(root, save, square, name, fold, size=1024):
    for i, part in enumerate(
        ("heart", "left lung", "right lung", "left clavicle", "right clavicle")
    ):
        save(root / fold / "masks" / part / f"{name}.gif", square(100 * i, (size, size)))


def test_scr_reads_raw_density_and_halves_it_to_the_masks(tmp_path, save, square):
    root = tmp_path / "SCR"
    density = np.full((2048, 2048), 4095, np.uint16)
    density[200:400, 200:400] = 0
    density[0, 0] = 60000  # beyond 12 bits
    (root / "All247images").mkdir(parents=True)
    density.astype(">u2").tofile(root / "All247images" / "JPCLN001.IMG")
    save(
        root / "png" / "jpcnn002.PNG",
        np.arange(2048 * 2048, dtype=np.uint32).reshape(2048, 2048).astype(np.uint8),
    )
    scr_masks(root, save, square, "JPCLN001", "fold1")
    scr_masks(root, save, square, "JPCNN002", "fold2")
    train, test = open_dataset("scr", tmp_path), open_dataset("scr", tmp_path, "test")
    assert len(train) == len(test) == 1 and len(open_dataset("scr", tmp_path, "all")) == 2
    sample = train[0]
    assert (
        sample.image.shape == (1024, 1024)
        and sample.image[150, 150] == 255
        and sample.image[0, 0] == sample.image[900, 900] == 0
    )
    assert {name: where(mask) for name, mask in sample.masks.items()} == {
        "heart": (0, 0),
        "lungs": (100, 100),
        "left_lung": (100, 100),
        "right_lung": (200, 200),
        "clavicles": (300, 300),
    }
    assert sample.masks["lungs"].sum() == 800 and test[0].name == "jpcnn002"
    (root / "All247images" / "JPCLN001.IMG").write_bytes(b"half")
    with pytest.raises(DataError, match="JPCLN001.IMG holds 2 values of 16 bits"):
        train[0]


def relative_runs(mask: np.ndarray) -> str:
    """Independent encoder: runs down the columns, each gap counted from the end of the run
    before.
    """
    values, last, column_major = [], 0, mask.T.ravel()
    starts = [
        i
        for i in range(len(column_major))
        if column_major[i] and (i == 0 or not column_major[i - 1])
    ]
    for start in starts:
        end = start
        while end < len(column_major) and column_major[end]:
            end += 1
        values += [start - last, end - start]
        last = end
    return " ".join(map(str, values))


def test_siim_decodes_relative_runs_and_joins_the_rows_of_an_image(
    tmp_path, photograph, save, square
):
    pydicom = pytest.importorskip("pydicom")
    root = tmp_path / "SIIM-ACR"
    first, second = square(5) > 0, np.zeros((96, 96), bool)
    second[60:70, 80:96] = True
    rows = [
        ("1.2.1", relative_runs(first)),
        ("1.2.1", relative_runs(second)),
        ("1.2.2", relative_runs(second)),
        ("1.2.3", "-1"),
    ]
    root.mkdir()
    with open(root / "train-rle.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [("ImageId", " EncodedPixels"), *((name, f" {runs}") for name, runs in rows)]
        )
    save(root / "1.2.2.png", photograph(2)[..., 0])
    save(root / "1.2.3.png", photograph(3)[..., 0])
    folder = root / "dicom-images-train" / "a" / "b"
    folder.mkdir(parents=True)
    header = pydicom.dataset.Dataset()
    header.Rows = header.Columns = 96
    header.BitsAllocated = header.BitsStored = 8
    header.HighBit, header.PixelRepresentation, header.SamplesPerPixel = 7, 0, 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.PixelData = photograph(1)[..., 0].tobytes()
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.1"
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    header.save_as(folder / "1.2.1.dcm", enforce_file_format=True)
    assert names("siim_acr", tmp_path, "train") == ["1.2.1"] and names(
        "siim_acr", tmp_path, "test"
    ) == ["1.2.2"]
    assert np.array_equal(
        open_dataset("siim_acr", tmp_path)[0].masks["pneumothorax"], first | second
    )
    save(root / "1.2.2.png", photograph(2, 48, 48)[..., 0])
    with pytest.raises(DataError, match="1.2.2 .* does not fit an image of 48 x 48.*resized"):
        open_dataset("siim_acr", tmp_path, "test")[0]
    (root / "train-rle.csv").unlink()
    with pytest.raises(DataError, match="train-rle.csv does not exist"):
        open_dataset("siim_acr", tmp_path)


def test_chestxray8_follows_its_lists_and_takes_files_with_alpha(tmp_path, photograph, save):
    root = tmp_path / "NIH"
    grey = photograph()[..., :1]
    save(root / "images_001" / "images" / "00000001_000.png", grey[..., 0])
    save(
        root / "images_002" / "images" / "00000002_000.png",
        np.concatenate([grey] * 3 + [255 + 0 * grey], 2),
    )
    (root / "train_val_list.txt").write_text(
        "00000002_000.png\n00000009_000.png\n", encoding="utf-8"
    )
    assert names("chestxray8", tmp_path, "train") == ["00000002_000"]
    assert open_dataset("chestxray8", tmp_path)[0].image.shape == (96, 96)
    assert len(open_dataset("chestxray8", tmp_path, "all")) == 2
    with pytest.raises(DataError, match="test_list.txt does not exist"):
        open_dataset("chestxray8", tmp_path, "test")


LATIN_1 = "00000002_000.png\nDr. Müller\n".encode("latin-1")


@pytest.mark.parametrize(
    "content, message",
    [
        (LATIN_1, "train_val_list.txt is no text in UTF-8: byte 0xfc in line 2. Copy it again"),
        (None, "train_val_list.txt cannot be read: Is a directory"),
    ],
)
def test_lists_of_images_that_cannot_be_read_are_named(
    tmp_path, photograph, save, content, message
):
    save(tmp_path / "NIH" / "images_001" / "images" / "00000002_000.png", photograph()[..., 0])
    path = tmp_path / "NIH" / "train_val_list.txt"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_dataset("chestxray8", tmp_path)


@pytest.mark.parametrize(
    "rows, message",
    [
        ("1.2.1, 5 3\n1.2.2, 5 x\n", "train-rle.csv holds no mask in line 3: .*whole numbers"),
        ("1.2.1, 5.0 3\n", "train-rle.csv holds no mask in line 2"),
        ("1.2.1, 5 3\n1.2.2 \xff, -1\n", "train-rle.csv is no text in UTF-8: .* in line 3"),
    ],
)
def test_tables_of_runs_that_cannot_be_read_are_named_with_the_line(
    tmp_path, photograph, save, rows, message
):
    save(tmp_path / "SIIM-ACR" / "1.2.1.png", photograph()[..., 0])
    table = tmp_path / "SIIM-ACR" / "train-rle.csv"
    table.write_bytes(b"ImageId, EncodedPixels\n" + rows.encode("latin-1"))
    with pytest.raises(DataError, match=message):
        open_dataset("siim_acr", tmp_path)


def test_a_dataset_is_found_one_folder_deeper_or_when_data_dir_is_its_root(
    tmp_path, photograph, save, square
):
    root = tmp_path / "mine" / "A. Segmentation"
    save(root / "1. Original Images" / "a. Training Set" / "IDRiD_01.jpg", photograph())
    assert names("idrid", tmp_path, "train") == names("idrid", root, "train") == ["IDRiD_01"]
    root.rename(tmp_path / "mine" / "renamed")
    assert names("idrid", tmp_path / "mine" / "renamed", "train") == ["IDRiD_01"]
    with pytest.raises(DataError, match="has no folder A. Segmentation"):
        open_dataset("idrid", tmp_path)
    with pytest.raises(DataError, match="has no folder SIIM-ACR"):
        open_dataset("siim_acr", tmp_path)


def test_eyepacs_is_split_by_folder(tmp_path, photograph, save):
    save(tmp_path / "EyePACS" / "train" / "10_left.jpeg", photograph())
    save(tmp_path / "EyePACS" / "test" / "1_left.JPEG", photograph())
    assert names("eyepacs", tmp_path, "train") == ["10_left"] and names(
        "eyepacs", tmp_path, "test"
    ) == ["1_left"]


def test_masks_of_an_absent_lesion_survive_preparation(tmp_path, photograph, save, square):
    root = tmp_path / "A. Segmentation"
    save(root / "1. Original Images" / "a. Training Set" / "IDRiD_01.jpg", photograph())
    prepared = prepare(open_dataset("idrid", tmp_path), 64, tmp_path / "cache")
    assert (
        prepared.masks["disc"].shape == (1, 64, 64) and not np.asarray(prepared.masks["disc"]).any()
    )
