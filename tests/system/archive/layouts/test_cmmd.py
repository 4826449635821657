"""The CMMD layout on a download made by the test: breasts of the table joined with files by their headers."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from system.archive.layouts import LAYOUTS, SourceItem
from system.errors import UserError
from system.imaging import ImageRefused

LAYOUT = LAYOUTS["cmmd"]
TABLE = "CMMD_clinicaldata_revision.csv"
HEADER = "ID1,LeftRight,Age,number,abnormality,classification,subtype\n"
ROW = "D1-0001,R,44,2,mass,Benign,\n"
PLACE = "manifest-1616439774456/CMMD/D1-0001/07-18-2010-NA-NA-79377/1.000000-NA-70244"


def view_code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", meaning
    return code


CC, MLO = view_code("399162004", "cranio-caudal"), view_code("399368009", "medio-lateral oblique")
XCCL = view_code("399265005", "cranio-caudal exaggerated laterally")


@pytest.fixture
def download(
    tmp_path: Path, write_dicom: Callable[..., Path], gray: Callable[[int, int], np.ndarray]
) -> Callable[..., Path]:
    """Write the table and return a function that adds an image as in CMMD: no View Position, no Laterality."""
    write_table(tmp_path, ROW)

    def add(
        name: str = "1-1.dcm",
        *,
        side: str = "R",
        view: Dataset = CC,
        place: str = PLACE,
        patient: str = "D1-0001",
        **elements: Any,
    ) -> Path:
        written = {
            "PatientID": patient,
            "StudyInstanceUID": "1.2.3",
            "ImageLaterality": side,
            "ViewCodeSequence": [view],
            "ViewPosition": "",
        }
        write_dicom(tmp_path / place / name, gray(8, 6), **written | elements)
        return tmp_path

    return add


def write_table(folder: Path, rows: str, *, header: str = HEADER) -> None:
    (folder / TABLE).write_text(header + rows, encoding="utf8")


def code_of(source: Path, item: SourceItem) -> str:
    with pytest.raises(ImageRefused) as refused:
        LAYOUT.read(source, item)
    return refused.value.code


def test_patient_side_and_coded_view_are_taken_from_the_header(
    download: Callable[..., Path], gray: Callable[[int, int], np.ndarray]
) -> None:
    source = download(view=MLO, ImagerPixelSpacing=[0.094, 0.094], SOPInstanceUID="1.2.9")

    (item,) = LAYOUT.items(source)
    image = LAYOUT.read(source, item)

    assert item.name == f"{PLACE}/1-1.dcm"
    assert (image.side, image.view, image.spacing_mm) == ("R", "MLO", 0.094)
    assert (image.patient, image.study, image.image) == ("CMMD D1-0001", "1.2.3", "1.2.9")
    assert (image.pixels == gray(8, 6)).all()


def test_a_file_without_spacing_has_none(download: Callable[..., Path]) -> None:
    source = download()

    assert LAYOUT.read(source, LAYOUT.items(source)[0]).spacing_mm == 0.0


@pytest.mark.parametrize(("abnormality", "num_masses"), [("mass", 1), ("both", 1), ("calcification", 0)])
def test_a_breast_has_the_masses_of_its_row_but_never_truth(
    download: Callable[..., Path], abnormality: str, num_masses: int
) -> None:
    source = download()
    write_table(source, ROW.replace("mass", abnormality))

    (item,) = LAYOUT.items(source)

    assert (item.num_masses, item.has_truth) == (num_masses, False)


def test_rows_join_by_patient_and_side_and_of_a_breast_without_one_nothing_is_known(
    download: Callable[..., Path],
) -> None:
    download("1-1.dcm", side="L")
    source = download("1-2.dcm", side="R")
    download("1-3.dcm", side="R", patient="D2-0001")

    assert [(item.name[-7:], item.num_masses, item.has_truth) for item in LAYOUT.items(source)] == [
        ("1-1.dcm", 0, False),
        ("1-2.dcm", 1, False),
        ("1-3.dcm", 0, False),
    ]


def test_a_listed_breast_without_images_is_refused(download: Callable[..., Path]) -> None:
    source = download()
    write_table(source, ROW + ROW.replace(",R,", ",L,"))

    missing = LAYOUT.items(source)[1]

    assert (missing.name, missing.num_masses) == ("CMMD/D1-0001/L", 1)
    assert code_of(source, missing) == "not_found"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"side": "B"}, "view"),
        ({"view": XCCL}, "view"),
        ({"StudyInstanceUID": ""}, "missing_id"),
    ],
)
def test_an_image_without_a_usable_side_view_or_study_is_refused(
    download: Callable[..., Path], wrong: dict[str, Any], code: str
) -> None:
    source = download(**wrong)

    assert code_of(source, LAYOUT.items(source)[0]) == code


def test_a_file_without_a_patient_has_an_unknown_patient(download: Callable[..., Path]) -> None:
    source = download(patient="")

    assert LAYOUT.read(source, LAYOUT.items(source)[0]).patient == ""


def test_a_file_that_is_no_dicom_costs_one_row(download: Callable[..., Path]) -> None:
    source = download("1-2.dcm")
    (source / PLACE / "1-1.dcm").write_bytes(b"no DICOM")

    broken, whole = LAYOUT.items(source)

    assert code_of(source, broken) == "not_dicom"
    assert LAYOUT.read(source, whole).side == "R"


def test_the_table_may_be_saved_with_semicolons_and_end_in_empty_rows(download: Callable[..., Path]) -> None:
    source = download()
    write_table(source, ROW.replace(",", ";") + ";;;;;;\n", header="\ufeff" + HEADER.replace(",", ";"))

    assert LAYOUT.items(source)[0].num_masses == 1


def test_a_spreadsheet_alone_is_refused_with_what_to_do(download: Callable[..., Path]) -> None:
    source = download()
    (source / TABLE).rename(source / "CMMD_clinicaldata_revision.xlsx")

    with pytest.raises(
        UserError, match=r"revision\.xlsx is not read: .* save it beside as CMMD_clinicaldata_revision\.csv"
    ):
        LAYOUT.items(source)


def test_without_any_table_nothing_is_listed(download: Callable[..., Path]) -> None:
    source = download()
    (source / TABLE).unlink()

    with pytest.raises(UserError, match=r"CMMD_clinicaldata_revision\.csv is not in the source folder"):
        LAYOUT.items(source)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROW + ROW, "CMMD_clinicaldata_revision.csv line 3: a breast is listed twice"),
        (ROW.replace("D1-0001", "../D1-0001"), "line 2, ID1: expected D1-0000 or D2-0000"),
        (ROW.replace(",R,", ",B,"), "line 2, LeftRight: expected one of"),
        (
            ROW.replace("mass", "masses"),
            r"line 2, abnormality: expected one of \['mass', 'both', 'calcification'\], found 'masses'",
        ),
        ("D1-0001,R\n", "line 2: 2 fields, the header has 7"),
    ],
)
def test_a_wrong_row_is_refused_with_its_line(download: Callable[..., Path], rows: str, message: str) -> None:
    source = download()
    write_table(source, rows)

    with pytest.raises(UserError, match=message):
        LAYOUT.items(source)


def test_there_are_no_reports(download: Callable[..., Path]) -> None:
    source = download()

    assert (LAYOUT.report_source, LAYOUT.reports(source, sides={})) == ("none", [])
    assert LAYOUT.files(source, LAYOUT.items(source)[0]) == [source / PLACE / "1-1.dcm"]
