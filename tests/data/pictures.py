"""Pictures for tests: DICOM files of any values, and the comparison of what is read from them."""

import numpy as np


def close(read: np.ndarray, expected: np.ndarray, most: float = 0) -> None:
    assert read.dtype == np.uint8 and read.shape == expected.shape
    assert np.abs(read.astype(int) - expected).max() <= most


def dicom(path, values, syntax=None, **tags):
    """Writes values as a DICOM file with the given tags."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = syntax or ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    header.Rows, header.Columns = values.shape[-2:] if values.ndim == 2 else values.shape[:2]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated = header.BitsStored = 8 * values.dtype.itemsize
    header.HighBit = header.BitsStored - 1
    header.PixelRepresentation = int(values.dtype.kind == "i")
    for name, value in tags.items():
        setattr(header, name, value)
    header.PixelData = values.tobytes()
    header.save_as(path, enforce_file_format=True)
    return path


def stretched(values: np.ndarray) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return ((values - low) * (255 / (high - low))).round()
