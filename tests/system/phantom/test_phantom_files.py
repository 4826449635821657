"""The folder that write_phantom leaves behind: DICOM files, masks, tables."""

import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, JPEG2000Lossless

from system.phantom import PhantomConfig, make_exam, write_exam, write_phantom, write_tables

SMALL = PhantomConfig(height_px=96, width_px=80, mass_share=1.0, monochrome1_share=0.5)
NUM_EXAMS = 8


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phantom")
    write_phantom(out, num_exams=NUM_EXAMS, seed=5, config=SMALL)
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_seed_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    write_phantom(tmp_path, num_exams=NUM_EXAMS, seed=5, config=SMALL)
    assert contents(tmp_path) == contents(written)


def test_exams_made_in_another_order_give_the_same_folder(written: Path, tmp_path: Path) -> None:
    rows = [write_exam(tmp_path, make_exam(index, 5, SMALL)) for index in reversed(range(NUM_EXAMS))]
    write_tables(tmp_path, rows)
    assert contents(tmp_path) == contents(written)


def test_one_file_in_four_is_lossless_jpeg_2000_and_decodes_to_its_pixels(written: Path) -> None:
    compressed = 0
    for index in range(NUM_EXAMS):
        exam = make_exam(index, 5, SMALL)
        for view in exam.views:
            dataset = pydicom.dcmread(written / "dicom" / f"{index:06d}" / f"{index:06d}_{view.side}_{view.view}.dcm")
            compressed += dataset.file_meta.TransferSyntaxUID == JPEG2000Lossless
            stored = dataset.pixel_array
            seen = 4095 - stored if dataset.PhotometricInterpretation == "MONOCHROME1" else stored
            assert np.array_equal(seen, view.pixels)
    assert compressed == NUM_EXAMS


def test_monochrome1_and_monochrome2_files_both_occur_and_are_dark_outside_the_breast_as_displayed(
    written: Path,
) -> None:
    found = set()
    for path in written.glob("dicom/*/*_L_CC.dcm"):
        dataset = pydicom.dcmread(path)
        found.add(dataset.PhotometricInterpretation)
        air = dataset.pixel_array[-8:, -20:].mean()
        assert (air > 4000) if dataset.PhotometricInterpretation == "MONOCHROME1" else (air < 95)
    assert found == {"MONOCHROME1", "MONOCHROME2"}


def test_every_attribute_a_mammogram_must_have_is_there(written: Path) -> None:
    dataset = pydicom.dcmread(written / "dicom" / "000003" / "000003_R_MLO.dcm")
    assert dataset.SOPClassUID == DigitalMammographyXRayImageStorageForPresentation
    assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID
    expected = {
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        "ImageLaterality": "R",
        "ViewPosition": "MLO",
        "PatientOrientation": ["P", "FL"],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "BurnedInAnnotation": "NO",
        "PositionerType": "MAMMOGRAPHIC",
        "OrganExposed": "BREAST",
        "ImagerPixelSpacing": [2.08333, 2.08333],  # 200 mm over 96 rows
        "WindowCenter": 2048,
        "WindowWidth": 4096,
    }
    assert {name: dataset.get(name) for name in expected} == expected
    assert dataset.ViewCodeSequence[0].CodeValue == "399368009"
    assert len(dataset.ViewCodeSequence[0].ViewModifierCodeSequence) == 0
    assert dataset.AnatomicRegionSequence[0].CodeMeaning == "Breast"


def test_uids_are_distinct_and_shared_as_the_standard_requires(written: Path) -> None:
    datasets = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(written.glob("dicom/*/*.dcm"))]
    assert len({dataset.SOPInstanceUID for dataset in datasets}) == 4 * NUM_EXAMS
    assert len({dataset.StudyInstanceUID for dataset in datasets}) == NUM_EXAMS
    assert len({(dataset.StudyInstanceUID, dataset.PatientID) for dataset in datasets}) == NUM_EXAMS


def test_truth_names_every_file_and_a_mask_exactly_where_there_is_a_mass(written: Path) -> None:
    truth = rows_of(written / "truth.csv")
    assert list(truth[0]) == ["file", "mask", "patient", "study", "side", "view", "density", "num_masses", "split"]
    assert {row["density"] for row in truth} <= set("abcd")
    assert len(truth) == 4 * NUM_EXAMS
    for row in truth:
        dataset = pydicom.dcmread(written / "dicom" / row["file"])
        assert (dataset.PatientID, dataset.StudyInstanceUID) == (row["patient"], row["study"])
        assert (dataset.ImageLaterality, dataset.ViewPosition) == (row["side"], row["view"])
        assert bool(row["mask"]) == (row["num_masses"] != "0")
        if row["mask"]:
            mask = np.asarray(Image.open(written / "masks" / row["mask"]))
            assert mask.shape == dataset.pixel_array.shape
            assert set(np.unique(mask)) == {0, 255}
            assert Path(row["mask"]).stem == Path(row["file"]).stem


def test_every_study_has_a_final_report(written: Path) -> None:
    reports = rows_of(written / "reports.csv")
    assert list(reports[0]) == ["study", "version", "status", "language", "description", "impression"]
    assert {row["study"] for row in reports} == {row["study"] for row in rows_of(written / "truth.csv")}
    assert all(row["version"] == "1" and row["status"] == "final" and row["description"] for row in reports)


def test_a_marker_is_burnt_into_the_air_and_leaves_the_breast_alone() -> None:
    marked, plain = (make_exam(2, 6, SMALL.model_copy(update={"marker_share": share})) for share in (1.0, 0.0))
    for with_marker, without in zip(marked.views, plain.views, strict=True):
        changed = np.abs(with_marker.pixels.astype(int) - without.pixels) > 1000
        assert changed.sum() >= 20
        assert (without.pixels[changed] < 200).all()
