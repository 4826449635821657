"""The breast and the projection: read where the header is clear, refused where it is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from system.imaging import ImageRefused, read_dicom
from system.records import Side


def code_of(path: Path) -> str:
    with pytest.raises(ImageRefused) as refused:
        read_dicom(path)
    return refused.value.code


@pytest.mark.parametrize(
    "elements",
    [
        {"ImageLaterality": "B"},
        {"ImageLaterality": None},
        {"ImageLaterality": ""},
        {"ImageLaterality": "L", "Laterality": "R"},
        {"ViewPosition": None},
        {"ViewPosition": "XCCL"},
        {"ViewPosition": "ML"},
        {"ViewPosition": "SPECIMEN"},
        {"EstimatedRadiographicMagnificationFactor": "1.8"},
        {"BreastImplantPresent": "YES"},
        {"SpecimenDescriptionSequence": [Dataset()]},
    ],
)
def test_a_missing_contradicting_or_extra_view_is_refused(write: Callable[..., Path], elements: dict[str, Any]) -> None:
    assert code_of(write(**elements)) == "view"


@pytest.mark.parametrize(
    "elements",
    [{"Laterality": "L"}, {"EstimatedRadiographicMagnificationFactor": "1.07"}, {"BreastImplantPresent": "NO"}],
)
def test_a_header_with_more_facts_of_a_standard_view_is_read(
    write: Callable[..., Path], elements: dict[str, Any]
) -> None:
    assert read_dicom(write(**elements)).side is Side.LEFT


def test_the_series_side_counts_where_the_image_has_none(write: Callable[..., Path]) -> None:
    assert read_dicom(write(ImageLaterality="", Laterality="R")).side is Side.RIGHT


@pytest.mark.parametrize(
    ("code", "scheme", "view"),
    [("399162004", "SCT", "CC"), ("R-10242", "SNM3", "CC"), ("399368009", "SCT", "MLO"), ("R-10226", "SRT", "MLO")],
)
def test_the_view_code_counts_where_the_view_position_is_empty(
    write: Callable[..., Path], coded: Callable[..., Dataset], code: str, scheme: str, view: str
) -> None:
    assert read_dicom(write(ViewPosition="", ViewCodeSequence=[coded(code, scheme=scheme)])).view == view


@pytest.mark.parametrize(
    ("code", "named"), [("399162004", "MLO"), ("399368009", "CC"), ("399192008", "CC"), ("399192008", "")]
)
def test_a_view_code_of_another_view_is_refused(
    write: Callable[..., Path], coded: Callable[..., Dataset], code: str, named: str
) -> None:
    assert code_of(write(ViewPosition=named, ViewCodeSequence=[coded(code)])) == "view"


def test_a_view_code_of_a_vendors_own_is_ignored(write: Callable[..., Path], coded: Callable[..., Dataset]) -> None:
    assert read_dicom(write(ViewCodeSequence=[coded("X7", scheme="99GEMS")])).view == "MLO"


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("399163009", "Magnification"),
        ("399055006", "Spot Compression"),
        ("399209000", "Implant Displaced"),
        ("399197002", ""),
    ],
)
def test_a_modified_view_is_refused(
    write: Callable[..., Path], coded: Callable[..., Dataset], code: str, meaning: str
) -> None:
    view = coded("399368009")
    view.ViewModifierCodeSequence = [coded(code, meaning)]

    assert code_of(write(ViewCodeSequence=[view])) == "view"


def test_an_empty_modifier_is_none(write: Callable[..., Path], coded: Callable[..., Dataset]) -> None:
    view = coded("399368009")
    view.ViewModifierCodeSequence = [Dataset()]

    assert read_dicom(write(ViewCodeSequence=[view])).view == "MLO"
