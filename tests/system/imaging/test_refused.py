"""Reasons quote nothing of a header but the field's own words and short numbers."""

import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset

from system.imaging import DicomConfig, ImageRefused, quoted, read_dicom
from system.imaging.refused import counted

SECRET = "ZHANGXIAOMING"
NUMBER = "13812345678"
TEXT_FIELDS = [
    "Modality",
    "ImageLaterality",
    "Laterality",
    "ViewPosition",
    "PhotometricInterpretation",
    "PixelIntensityRelationship",
    "PaddleDescription",
    "PartialViewDescription",
    "ContrastBolusAgent",
    "ConversionType",
    "VOILUTFunction",
    "PatientOrientation",
    "ImageType",
    "PresentationIntentType",
    "QualityControlImage",
    "StudyInstanceUID",
]
NUMBER_FIELDS = ["NumberOfFrames", "EstimatedRadiographicMagnificationFactor", "WindowCenter", "RescaleSlope"]


def test_a_known_word_is_quoted_and_another_is_not() -> None:
    assert quoted("XCCL", known={"XCCL"}) == "'XCCL'"
    assert quoted("Jane Doe", known={"XCCL"}) == "another value"
    assert quoted("", known={"XCCL"}) == "empty"


@pytest.mark.parametrize(("number", "text"), [(4, "4"), (-3, "-3"), (99_999, "99999"), (100_000, "more than 99999")])
def test_a_long_number_is_not_shown(number: int, text: str) -> None:
    assert counted(number) == text


def test_a_refusal_reaches_another_process_complete() -> None:
    assert pickle.loads(pickle.dumps(ImageRefused("view", "why"))).detail == "why"


def reason_of(dataset: Dataset, folder: Path) -> str:
    path = folder / "a.dcm"
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        dataset.save_as(path, enforce_file_format=True)
    try:
        read_dicom(path, config=DicomConfig(allow_for_processing=True))
    except ImageRefused as refused:
        return str(refused)
    return ""


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fields=st.lists(st.sampled_from(TEXT_FIELDS), min_size=1, max_size=4, unique=True),
    form=st.sampled_from([SECRET, f"SPOT {SECRET}", f"CC {SECRET}", f"[link=http://{SECRET}]x[/link]", f"{SECRET}^CT"]),
)
def test_a_name_in_any_text_of_a_header_is_never_in_the_reason(
    make: Callable[..., Dataset], tmp_path: Path, fields: list[str], form: str
) -> None:
    dataset = make()
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        for field in fields:
            setattr(dataset, field, form)

    assert SECRET not in reason_of(dataset, tmp_path)


@pytest.mark.parametrize("field", NUMBER_FIELDS)
def test_a_telephone_number_in_a_number_of_a_header_is_never_in_the_reason(
    make: Callable[..., Dataset], tmp_path: Path, field: str
) -> None:
    assert NUMBER not in reason_of(make(**{field: NUMBER}), tmp_path)


def test_a_wrong_transfer_syntax_is_named_only_where_it_is_one_of_the_standard(
    make: Callable[..., Dataset], tmp_path: Path
) -> None:
    path = tmp_path / "a.dcm"
    make().save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    for named, shown in (("1.2.840.10008.1.2.4.94", True), ("1.13812345678.987654.3", False)):
        padded = named.encode() + b"\0" * (len(named) % 2)
        changed = content.replace(b"\x14\x001.2.840.10008.1.2.1\0", len(padded).to_bytes(2, "little") + padded, 1)
        path.write_bytes(changed)
        with pytest.raises(ImageRefused) as refused:
            read_dicom(path)
        assert refused.value.code == "transfer_syntax"
        assert (named in refused.value.detail) == shown
