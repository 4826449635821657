"""Write a view as a valid file of Digital Mammography X-Ray Image - For Presentation (PS3.3 A.26, C.8.11)."""

from datetime import date, timedelta
from pathlib import Path

import numpy as np
import openjpeg
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    generate_uid,
)

from system.phantom.exam import FULL_SCALE, Exam, PhantomView
from system.records import Side, ViewPosition

FIRST_DAY = date(2015, 1, 1)
ORIENTATION = {  # Patient Orientation (0020,0020): the directions of rows and columns
    (Side.LEFT, ViewPosition.CC): ["A", "R"],
    (Side.RIGHT, ViewPosition.CC): ["P", "L"],
    (Side.LEFT, ViewPosition.MLO): ["A", "FR"],
    (Side.RIGHT, ViewPosition.MLO): ["P", "FL"],
}
VIEW_CODES = {  # context group 4014
    ViewPosition.CC: ("399162004", "cranio-caudal"),
    ViewPosition.MLO: ("399368009", "medio-lateral oblique"),
}
POSITIONER_ANGLE_DEG = {ViewPosition.CC: 0, ViewPosition.MLO: 45}


def patient_id(exam: Exam) -> str:
    """Return the Patient ID (0010,0020); each patient has one exam."""
    return f"PH{exam.seed}-{exam.index:06d}"


def uid_of(exam: Exam, *parts: str) -> str:
    """Return the UID of the part of this exam that `parts` name, the same on every run."""
    return str(generate_uid(entropy_srcs=["mammoloop phantom", str(exam.seed), str(exam.index), *parts]))


def study_uid(exam: Exam) -> str:
    """Return the Study Instance UID (0020,000D)."""
    return uid_of(exam, "study")


def write_dicom(path: Path, exam: Exam, view: PhantomView) -> None:
    """Write one view, as explicit little endian or lossless JPEG 2000."""
    dataset = to_dataset(exam, view)
    if view.is_jpeg2000:
        _compress(dataset)
    dataset.save_as(path, enforce_file_format=True)


def to_dataset(exam: Exam, view: PhantomView) -> Dataset:
    """Return the uncompressed data set with its file meta information."""
    dataset = Dataset()
    dataset.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    dataset.SOPInstanceUID = uid_of(exam, view.side, view.view)
    dataset.file_meta = _file_meta(dataset)
    _add_patient(dataset, exam)
    _add_study(dataset, exam, view)
    _add_equipment(dataset)
    _add_acquisition(dataset, exam, view)
    _add_view(dataset, view)
    _add_pixels(dataset, exam, view)
    return dataset


def _file_meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta


def _add_patient(dataset: Dataset, exam: Exam) -> None:
    dataset.PatientName = f"Phantom^{exam.index:06d}"
    dataset.PatientID = patient_id(exam)
    dataset.PatientBirthDate = f"{_study_date(exam).year - exam.age_years}0101"
    dataset.PatientSex = "F"
    dataset.PatientAge = f"{exam.age_years:03d}Y"


def _add_study(dataset: Dataset, exam: Exam, view: PhantomView) -> None:
    day = _study_date(exam).strftime("%Y%m%d")
    for name in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(dataset, name, day)
    for name in ("StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime"):
        setattr(dataset, name, "093000")
    number = 1 + exam.views.index(view)
    dataset.StudyInstanceUID = study_uid(exam)
    dataset.SeriesInstanceUID = uid_of(exam, "series", view.side, view.view)
    dataset.StudyID = str(exam.index)
    dataset.AccessionNumber = f"A{exam.index:07d}"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Screening mammography"
    dataset.SeriesDescription = f"{view.side} {view.view}"
    dataset.SeriesNumber = number
    dataset.InstanceNumber = number
    dataset.Modality = "MG"
    dataset.PresentationIntentType = "FOR PRESENTATION"


def _study_date(exam: Exam) -> date:
    return FIRST_DAY + timedelta(days=exam.study_day)


def _add_equipment(dataset: Dataset) -> None:
    dataset.Manufacturer = "mammoloop"
    dataset.ManufacturerModelName = "phantom"
    dataset.DeviceSerialNumber = "1"
    dataset.SoftwareVersions = "1"
    dataset.InstitutionName = "Phantom"


def _add_acquisition(dataset: Dataset, exam: Exam, view: PhantomView) -> None:
    dataset.KVP = "28"
    dataset.ExposureTime = "900"
    dataset.Exposure = "90"
    dataset.BodyPartThickness = "55"
    dataset.CompressionForce = "110"
    dataset.DistanceSourceToDetector = "650"
    dataset.DistanceSourceToPatient = "633"
    dataset.EstimatedRadiographicMagnificationFactor = "1"
    dataset.DetectorType = "DIRECT"
    dataset.DetectorConfiguration = "AREA"
    dataset.PositionerType = "MAMMOGRAPHIC"
    dataset.PositionerPrimaryAngle = str(POSITIONER_ANGLE_DEG[view.view] * (1 if view.side is Side.LEFT else -1))
    spacing = [f"{exam.spacing_mm:.6g}"] * 2
    dataset.ImagerPixelSpacing = spacing
    dataset.PixelSpacing = spacing
    dataset.PixelSpacingCalibrationType = "GEOMETRY"
    dataset.PixelSpacingCalibrationDescription = "Equal to the detector's spacing"


def _add_view(dataset: Dataset, view: PhantomView) -> None:
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.BodyPartExamined = "BREAST"
    dataset.OrganExposed = "BREAST"
    dataset.ImageLaterality = str(view.side)
    dataset.ViewPosition = str(view.view)
    dataset.PatientOrientation = ORIENTATION[view.side, view.view]
    view_code = _code(*VIEW_CODES[view.view])
    view_code.ViewModifierCodeSequence = Sequence([])
    dataset.ViewCodeSequence = Sequence([view_code])
    dataset.AnatomicRegionSequence = Sequence([_code("76752008", "Breast")])
    dataset.AcquisitionContextSequence = Sequence([])
    dataset.BreastImplantPresent = "NO"
    dataset.PartialView = "NO"
    dataset.BurnedInAnnotation = "NO"  # a side marker does not identify the patient
    dataset.LossyImageCompression = "00"


def _add_pixels(dataset: Dataset, exam: Exam, view: PhantomView) -> None:
    stored = FULL_SCALE - view.pixels if exam.is_monochrome1 else view.pixels
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if exam.is_monochrome1 else "MONOCHROME2"
    dataset.PresentationLUTShape = "INVERSE" if exam.is_monochrome1 else "IDENTITY"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelIntensityRelationship = "LOG"
    # -1: high values where few X-rays arrived
    dataset.PixelIntensityRelationshipSign = 1 if exam.is_monochrome1 else -1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = "0", "1", "US"
    dataset.WindowCenter, dataset.WindowWidth = str((FULL_SCALE + 1) // 2), str(FULL_SCALE + 1)
    dataset.VOILUTFunction = "LINEAR"
    dataset.PixelData = np.ascontiguousarray(stored, "<u2").tobytes()


def _compress(dataset: Dataset) -> None:
    """Compress the pixels as lossless JPEG 2000, in place.

    The codec is called directly: `Dataset.compress` finds it only through pylibjpeg, a package that decoding does not
    need.
    """
    codestream = openjpeg.encode_pixel_data(
        dataset.PixelData,
        rows=dataset.Rows,
        columns=dataset.Columns,
        samples_per_pixel=1,
        bits_stored=dataset.BitsStored,
        pixel_representation=0,
        photometric_interpretation=dataset.PhotometricInterpretation,
    )
    dataset.PixelData = encapsulate([bytes(codestream)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", meaning
    return code
