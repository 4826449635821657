"""Pictures that are no screening view: what in a header marks them, in one table (PS3.3 A.26, C.7.6.1, C.8.11.7).

A screening view is one plain projection of a whole breast of a patient. All else is refused as `view`, by what the
header has: words of a vendor are searched in it, and none of its text is quoted.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence

from system.imaging.dicom_file import number_of
from system.imaging.refused import ImageRefused

MAX_MAGNIFICATION = 1.3  # contact views have 1.0 to 1.1, magnification views 1.5 and more
NOT_GIVEN = frozenset({"", "NONE", "NO", "N/A", "NA", "NULL", "UNKNOWN"})
IMAGE_TYPE_WORDS = {
    # PS3.3 tables C.8-74a, C.8.21.6-1a: stereotaxy and biopsy
    "a stereotactic or biopsy picture": (
        "STEREO STEREOTACTIC SCOUT PREFIRE POSTFIRE POSTBIOPSY POSTMARKER BIOPSY NEEDLE LOCALIZER"
    ),
    # C.8-74b, C.8-74d
    "of tomosynthesis, or computed from it": (
        "TOMO TOMOSYNTHESIS DBT GENERATED SYNTHETIC SYNTHESIZED MAXIMUM MIP MEAN SLAB CVIEW"
    ),
    # C.8-74c to C.8-74e
    "a contrast-enhanced picture": (
        "CONTRAST ADDITION SUBTRACTION SUBTRACTED RECOMBINED ENERGY DUAL CESM CEDM CEM IODINE"
    ),
    "a picture with marks of a computer, or of a screen": "CAD CAPTURE SCREENSHOT REPORT ANNOTATED COLLAGE MOSAIC",
    "a picture for quality control": "QC QA QUALITY CALIBRATION PHANTOM FLATFIELD",
    "a picture of a part, or of a specimen": "SPECIMEN MAGNIFICATION MAG SPOT PARTIAL",
}
PADDLE_WORDS = {
    "a spot view": "SPOT QUADRANT",
    "a magnification view": "MAG MAGNIFICATION",
    "a biopsy": "BIOPSY STEREO STEREOTACTIC NEEDLE LOC LOCALIZATION",
}

Values = list[str]
"""An element's values, upper case, stripped; one text per item of a sequence."""


@dataclass(frozen=True, slots=True)
class Mark:
    """One element that marks pictures which are no screening views."""

    keyword: str
    name: str  # and tag, for the reason
    marks: Callable[[Values], str]  # what such a picture is, an empty text for a screening view


def _has(*terms: str, what: str) -> Callable[[Values], str]:
    return lambda values: what if set(values) & set(terms) else ""


def _given(what: str) -> Callable[[Values], str]:
    return lambda values: what if any(value not in NOT_GIVEN for value in values) else ""


def _words(table: dict[str, str], *, first_value: int) -> Callable[[Values], str]:
    """Look for words, whatever separates them, in the values from one on."""

    def found(values: Values) -> str:
        words = {word for value in values[first_value:] for word in re.split(r"[^A-Z]+", value)}
        return next((what for what, marked in table.items() if words & set(marked.split())), "")

    return found


def _is_secondary(values: Values) -> str:
    """Image Type value 2 (C.7.6.1.1.2): made after the examination, not by it."""
    return "a secondary picture, not one of the examination" if values[1:2] == ["SECONDARY"] else ""


def _is_capture(values: Values) -> str:
    return "a secondary capture" if values and values[0].startswith("1.2.840.10008.5.1.4.1.1.7") else ""


MARKS = (
    Mark("ImageType", "Image Type (0008,0008)", _is_secondary),
    Mark("ImageType", "Image Type (0008,0008)", _words(IMAGE_TYPE_WORDS, first_value=2)),
    Mark("SOPClassUID", "SOP Class (0008,0016)", _is_capture),
    Mark(
        "ConversionType",
        "Conversion Type (0008,0064)",
        _has("DRW", "SD", "SYN", what="a drawing, a document or a computed picture"),
    ),
    Mark(
        "QualityControlImage",
        "Quality Control Image (0028,0300)",
        _has("YES", "BOTH", what="a picture for quality control"),
    ),
    Mark("CalibrationImage", "Calibration Image (0050,0004)", _has("YES", what="a calibration exposure")),
    Mark("PartialView", "Partial View (0028,1350)", _has("YES", what="a part of a breast")),
    Mark("PartialViewDescription", "Partial View Description (0028,1351)", _given("a part of a breast")),
    Mark("PartialViewCodeSequence", "Partial View Code (0028,1352)", _given("a part of a breast")),
    Mark("BurnedInAnnotation", "Burned In Annotation (0028,0301)", _has("YES", what="a picture with text in it")),
    Mark("BreastImplantPresent", "Breast Implant Present (0028,1300)", _has("YES", what="a breast with an implant")),
    Mark("SpecimenDescriptionSequence", "Specimen Description (0040,0560)", _given("a specimen")),
    Mark("ContrastBolusAgent", "Contrast/Bolus Agent (0018,0010)", _given("a contrast-enhanced picture")),
    Mark("ContrastBolusAgentSequence", "Contrast/Bolus Agent (0018,0012)", _given("a contrast-enhanced picture")),
    Mark("PaddleDescription", "Paddle Description (0018,11A4)", _words(PADDLE_WORDS, first_value=0)),
    Mark("TomoType", "Tomo Type (0018,1490)", _given("of tomosynthesis")),
    Mark("TomoClass", "Tomo Class (0018,1491)", _given("of tomosynthesis")),
    Mark(
        "NumberOfTomosynthesisSourceImages",
        "Number of Tomosynthesis Source Images (0018,1495)",
        lambda values: "computed from tomosynthesis" if any(value.strip("0") for value in values) else "",
    ),
)
DIGITISED_FILM = "DF"  # Conversion Type: a film's scan may come as a secondary capture, for want of a class of its own


def check_screening(header: Dataset) -> None:
    """Refuse what is not the plain projection of one whole breast of a patient. Raises ImageRefused view."""
    is_film = _values(header, "ConversionType") == [DIGITISED_FILM]
    for mark in MARKS:
        what = mark.marks(_values(header, mark.keyword))
        if what and not (is_film and mark.marks in (_is_capture, _is_secondary)):
            raise ImageRefused("view", f"{mark.name} marks the picture as {what}, expected a screening view")
    for item in header.get("ViewCodeSequence") or []:
        for modifier in item.get("ViewModifierCodeSequence") or []:
            if _values(modifier, "CodeValue") or _values(modifier, "CodeMeaning"):  # CID 4015: each makes an extra view
                raise ImageRefused("view", "View Modifier (0054,0222) is given, expected a standard view")
    if (number_of(header, "EstimatedRadiographicMagnificationFactor") or 1) > MAX_MAGNIFICATION:
        raise ImageRefused(
            "view", f"the magnification (0018,1114) is above {MAX_MAGNIFICATION}, expected a contact view"
        )


def _values(dataset: Dataset, keyword: str) -> Values:
    """Return an element's values; none when it is absent or empty."""
    value = dataset.get(keyword)
    if isinstance(value, Sequence):
        return ["ITEM"] * len(value)
    if value is None or value == "":
        return []
    values = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
    return [str(one if one is not None else "").strip(" \0").upper() for one in values]
