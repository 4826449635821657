"""DICOM files for made-up source folders."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

SECONDARY_CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7")


@pytest.fixture
def write_dicom():
    """Return a function that writes gray pixels under a path, with these header elements and no others but what pixels need."""

    def write(path: Path, pixels: np.ndarray, **elements) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = SECONDARY_CAPTURE, UID("1.2.3.4")
        dataset.file_meta.MediaStorageSOPClassUID, dataset.file_meta.MediaStorageSOPInstanceUID = SECONDARY_CAPTURE, UID("1.2.3.4")
        dataset.Modality = "MG"
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.itemsize
        dataset.HighBit = dataset.BitsStored - 1
        dataset.SamplesPerPixel, dataset.PixelRepresentation, dataset.PhotometricInterpretation = 1, 0, "MONOCHROME2"
        dataset.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")  # published sets have hashes where UIDs belong
            for keyword, value in elements.items():
                setattr(dataset, keyword, value)
            dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def gray():
    """Return a function that gives [rows, cols] uint16 in which no two neighbours are alike."""
    return lambda rows, cols: np.arange(rows * cols, dtype=np.uint16).reshape(rows, cols) + 7
