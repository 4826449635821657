"""DICOM files: what is read, how, and what is refused with which code."""

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

from system.imaging import ImageRefused, ImagingConfig, canonical_view, read_dicom

STORED = np.arange(48, dtype=np.uint16).reshape(8, 6) * 80


def write(path, *, transfer_syntax=ExplicitVRLittleEndian, without=(), **elements):
    """Write a small mammogram; elements replace or add to its header."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID = UID("1.2.840.10008.5.1.4.1.1.1.2")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID = UID("1.2.3.4")
    dataset.StudyInstanceUID, dataset.PatientID, dataset.Modality = "1.2.3", "P1", "MG"
    dataset.ImageLaterality, dataset.ViewPosition = "L", "MLO"
    dataset.Rows, dataset.Columns = STORED.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.SamplesPerPixel, dataset.PixelRepresentation, dataset.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    dataset.ImagerPixelSpacing = [0.1, 0.1]
    dataset.PixelData = STORED.tobytes()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    for keyword in without:
        delattr(dataset, keyword)
    dataset.save_as(path, enforce_file_format=True)
    return path


def code_of(path):
    with pytest.raises(ImageRefused) as refused:
        read_dicom(path)
    return refused.value.code


def test_pixels_ids_side_view_and_spacing_are_read(tmp_path):
    image = read_dicom(write(tmp_path / "a.dcm"))

    np.testing.assert_array_equal(image.pixels, STORED)
    assert image.pixels.dtype == np.float32
    assert (image.side, image.view, image.spacing_mm) == ("L", "MLO", 0.1)
    assert (image.patient, image.study, image.image) == ("P1", "1.2.3", "1.2.3.4")


def test_monochrome1_is_inverted_so_that_dense_tissue_is_bright(tmp_path):
    image = read_dicom(write(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1"))

    np.testing.assert_array_equal(image.pixels, STORED.max() - STORED.astype(np.float32))


def test_of_several_windows_the_first_is_applied(tmp_path):
    image = read_dicom(write(tmp_path / "a.dcm", WindowCenter=[2000, 100], WindowWidth=[1000, 10]))

    # PS3.3 C.11.2.1.2.1: clipped at 0 and 4095 outside 2000 - 0.5 +- 499.5, linear between
    expected = np.clip(((STORED - 1999.5) / 999 + 0.5) * 4095, 0, 4095)
    np.testing.assert_allclose(image.pixels, expected, atol=0.01)


def test_inversion_comes_after_the_window(tmp_path):
    bright = read_dicom(write(tmp_path / "a.dcm", WindowCenter=2000, WindowWidth=1000))
    dark = read_dicom(write(tmp_path / "b.dcm", WindowCenter=2000, WindowWidth=1000, PhotometricInterpretation="MONOCHROME1"))

    np.testing.assert_allclose(dark.pixels, 4095 - bright.pixels, atol=0.01)


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"Modality": "CT"}, "modality"),
        ({"NumberOfFrames": 4}, "multiframe"),
        ({"ViewPosition": "XCCL"}, "view"),
        ({"ImageLaterality": "B"}, "view"),
        ({"StudyInstanceUID": ""}, "missing_id"),
        ({"Rows": 65535, "Columns": 65535}, "pixel_size"),
        ({"Rows": 9}, "pixel_size"),
        ({"SamplesPerPixel": 3}, "pixel_size"),
        ({"without": ("ImageLaterality",)}, "view"),
        ({"without": ("PixelData",)}, "no_pixels"),
        ({"transfer_syntax": DeflatedExplicitVRLittleEndian}, "transfer_syntax"),
    ],
)
def test_a_header_that_is_not_a_standard_mammogram_is_refused_with_its_code(tmp_path, elements, code):
    assert code_of(write(tmp_path / "a.dcm", **elements)) == code


def test_a_magnified_view_is_refused(tmp_path):
    modifier, view_code = Dataset(), Dataset()
    modifier.CodeValue, modifier.CodingSchemeDesignator, modifier.CodeMeaning = "399163009", "SCT", "Magnification"
    view_code.ViewModifierCodeSequence = [modifier]

    assert code_of(write(tmp_path / "a.dcm", ViewCodeSequence=[view_code])) == "view"


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4 " + bytes(300)])
def test_a_file_that_is_not_dicom_is_refused(tmp_path, content):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)

    assert code_of(path) == "not_dicom"


def test_a_file_cut_off_in_its_pixels_is_refused(tmp_path):
    path = write(tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes()[:-10])

    assert code_of(path) in ("truncated", "pixel_size")


def test_what_is_said_about_a_refused_file_holds_no_header_text_of_the_patient(tmp_path):
    with pytest.raises(ImageRefused) as refused:
        read_dicom(write(tmp_path / "a.dcm", PatientID="JANE-DOE", Modality="CT"))

    assert "JANE" not in str(refused.value)


def test_a_real_mammogram_is_read_and_turned_to_the_left(shared_data):
    image = read_dicom(shared_data / "data" / "dicom" / "mg_rmlo_jpeg_lossless.dcm")
    view, geometry = canonical_view(image.pixels, config=ImagingConfig(height_px=256, width_px=200))

    assert (image.side, image.view, image.pixels.shape) == ("R", "MLO", (3062, 2394))
    assert geometry.mirrored
    assert view[64:128, 0].all()


def test_a_real_tomosynthesis_is_refused(shared_data):
    assert code_of(shared_data / "data" / "dicom" / "mg_tomosynthesis_4frames_j2k.dcm") == "multiframe"
