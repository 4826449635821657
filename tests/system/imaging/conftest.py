"""A small mammogram as a DICOM file, for the tests of this folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

STORED = np.arange(48, dtype=np.uint16).reshape(8, 6) * 80  # 12 bits in 16


def mammogram(
    *, transfer_syntax: str = ExplicitVRLittleEndian, stored: np.ndarray = STORED, **elements: Any
) -> Dataset:
    """Return a mammogram in which nothing is wrong; elements replace or add to its header, None deletes."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.2")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3.4")
    dataset.StudyInstanceUID, dataset.PatientID, dataset.Modality = UID("1.2.3"), "P1", "MG"
    dataset.ImageLaterality, dataset.ViewPosition = "L", "MLO"
    dataset.Rows, dataset.Columns = stored.shape
    bits = stored.dtype.itemsize * 8
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, min(bits, 12), min(bits, 12) - 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelRepresentation = int(stored.dtype.kind == "i")
    dataset.ImagerPixelSpacing = [0.1, 0.1]
    dataset.PixelData = stored.tobytes()
    for keyword, value in elements.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return dataset


def code_item(value: str, meaning: str = "", *, scheme: str = "SCT") -> Dataset:
    """Return an item of a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def with_gdcm(path: Path, syntax: int) -> Path:
    """Rewrite a file with GDCM, which encodes what pydicom cannot; `syntax` is of gdcm.TransferSyntax."""
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(path))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return path


@pytest.fixture(scope="session")
def transcoded() -> Callable[[Path, int], Path]:
    """Return the function that compresses a file in place with GDCM."""
    return with_gdcm


@pytest.fixture(scope="session")
def make() -> Callable[..., Dataset]:
    """Return the function that makes a mammogram in memory."""
    return mammogram


@pytest.fixture(scope="session")
def coded() -> Callable[..., Dataset]:
    """Return the function that makes an item of a code sequence."""
    return code_item


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return the function that writes a mammogram and returns its path."""

    def written(**elements: Any) -> Path:
        path = tmp_path / "a.dcm"
        mammogram(**elements).save_as(path, enforce_file_format=True)
        return path

    return written
