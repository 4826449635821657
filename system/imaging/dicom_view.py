"""The breast and the projection that a header gives.

Nothing is guessed: a view that is missing, contradicts itself or is an extra view is refused.
"""

from pydicom.dataset import Dataset

from system.imaging.dicom_file import text_of
from system.imaging.refused import ImageRefused
from system.records import Side, ViewPosition

# CID 4014, View for Mammography: SNOMED CT codes and the SNOMED RT codes that older files carry
VIEW_CODES = {
    "399162004": ViewPosition.CC,
    "R-10242": ViewPosition.CC,
    "399368009": ViewPosition.MLO,
    "R-10226": ViewPosition.MLO,
}
# other designators are a vendor's own; their codes are ignored
VIEW_SCHEMES = frozenset({"SCT", "SRT", "SNM3", "99SDM"})
MAX_MAGNIFICATION = 1.3  # (0018,1114): contact views have 1.0 to 1.1, magnification views 1.5 and more


def side_of(header: Dataset) -> Side:
    """Return the breast: Image Laterality (0020,0062), or where that is empty Laterality (0020,0060).

    Raises ImageRefused view.
    """
    image, series = text_of(header, "ImageLaterality"), text_of(header, "Laterality")
    found = image or series
    if found not in ("L", "R"):
        raise ImageRefused("view", f"Image Laterality (0020,0062) is {found[:16]!r}, expected L or R")
    if series and series != found:
        raise ImageRefused(
            "view", f"Image Laterality (0020,0062) is {found}, Laterality (0020,0060) {series[:16]!r}: they must agree"
        )
    return Side(found)


def view_of(header: Dataset) -> ViewPosition:
    """Return the projection: View Position (0018,5101), or where that is empty View Code Sequence (0054,0220).

    Raises ImageRefused view, also for magnification, spot, specimen, implant and every other modified view.
    """
    coded, named = _coded_view(header), text_of(header, "ViewPosition")
    found = named or coded
    if found not in ("CC", "MLO"):
        raise ImageRefused("view", f"View Position (0018,5101) is {found[:16]!r}, expected CC or MLO")
    if coded and coded != found:
        raise ImageRefused(
            "view", f"View Position (0018,5101) is {found}, View Code (0054,0220) {coded[:16]!r}: they must agree"
        )
    _check_standard(header)
    return ViewPosition(found)


def _coded_view(header: Dataset) -> str:
    """Return CC, MLO, the code of another view, or an empty text where no standard code is given."""
    for item in header.get("ViewCodeSequence") or []:
        code = text_of(item, "CodeValue")
        if code and text_of(item, "CodingSchemeDesignator") in VIEW_SCHEMES:
            return VIEW_CODES.get(code, code)
    return ""


def _check_standard(header: Dataset) -> None:
    """Refuse what is not the plain projection of the whole breast."""
    for item in header.get("ViewCodeSequence") or []:
        for modifier in item.get("ViewModifierCodeSequence") or []:
            found = text_of(modifier, "CodeMeaning") or text_of(modifier, "CodeValue")
            if found:  # CID 4015: each of them makes an extra view
                raise ImageRefused("view", f"View Modifier (0054,0222) is {found[:32]!r}, expected a standard view")
    if (factor := float(header.get("EstimatedRadiographicMagnificationFactor") or 1)) > MAX_MAGNIFICATION:
        raise ImageRefused("view", f"the magnification (0018,1114) is {factor:g}, expected at most {MAX_MAGNIFICATION}")
    if header.get("SpecimenDescriptionSequence"):
        raise ImageRefused("view", "the picture is of a specimen (0040,0560), expected a breast")
    if text_of(header, "BreastImplantPresent") == "YES":
        raise ImageRefused("view", "Breast Implant Present (0028,1300) is YES, expected a breast without implant")
