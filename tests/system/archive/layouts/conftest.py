"""DICOM files for source folders made by tests."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

MAMMOGRAPHY = UID("1.2.840.10008.5.1.4.1.1.1.2")


@pytest.fixture
def write_dicom() -> Callable[..., Path]:
    """Return a function that writes gray pixels under a path.

    The header has the given elements, and beside them only those that pixels need.
    """

    def write(path: Path, pixels: np.ndarray, **elements: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = MAMMOGRAPHY, UID("1.2.3.4")
        dataset.file_meta.MediaStorageSOPClassUID = MAMMOGRAPHY
        dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3.4")
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
def gray() -> Callable[[int, int], np.ndarray]:
    """Return a function that gives [rows, cols] uint16 in which no two neighbours are equal."""
    return lambda rows, cols: np.arange(rows * cols, dtype=np.uint16).reshape(rows, cols) + 7
