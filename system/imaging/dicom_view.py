"""The breast and the projection that a header gives.

Nothing is guessed: a view that is missing, contradicts itself or is an extra view is refused.
"""

from pydicom.dataset import Dataset

from system.imaging.dicom_file import text_of
from system.imaging.refused import ImageRefused, quoted
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
# the other views of CID 4014 and of View Position (0018,5101), by code and by name; they are refused, and named
OTHER_VIEWS = {
    "399192008": "XCCL",
    "399101009": "XCCM",
    "399260004": "ML",
    "399352003": "LM",
    "399099002": "LMO",
    "399188001": "SIO",
    "441555000": "ISO",
    "399196006": "FB",
    "127457009": "SPECIMEN",
}
KNOWN_VIEWS = frozenset({*ViewPosition, *OTHER_VIEWS.values(), "AT", "CV", "TAN", "RL", "RM", "XCC"})
KNOWN_SIDES = frozenset({*Side, "B", "U"})


def side_of(header: Dataset) -> Side:
    """Return the breast: Image Laterality (0020,0062), or where that is empty Laterality (0020,0060).

    Raises ImageRefused view.
    """
    image, series = text_of(header, "ImageLaterality"), text_of(header, "Laterality")
    found = image or series
    if found not in tuple(Side):
        raise ImageRefused(
            "view", f"Image Laterality (0020,0062) is {quoted(found, known=KNOWN_SIDES)}, expected L or R"
        )
    if series and series != found:
        raise ImageRefused(
            "view",
            f"Image Laterality (0020,0062) is {found}, Laterality (0020,0060) is {quoted(series, known=KNOWN_SIDES)}: "
            "they must agree",
        )
    return Side(found)


def view_of(header: Dataset) -> ViewPosition:
    """Return the projection: View Position (0018,5101), or where that is empty View Code Sequence (0054,0220).

    Raises ImageRefused view.
    """
    coded, named = _coded_view(header), text_of(header, "ViewPosition")
    found = named or coded
    if found not in ("CC", "MLO"):
        raise ImageRefused(
            "view", f"View Position (0018,5101) is {quoted(found, known=KNOWN_VIEWS)}, expected CC or MLO"
        )
    if coded and coded != found:
        raise ImageRefused(
            "view",
            f"View Position (0018,5101) is {found}, View Code (0054,0220) is {quoted(coded, known=KNOWN_VIEWS)}: "
            "they must agree",
        )
    return ViewPosition(found)


def _coded_view(header: Dataset) -> str:
    """Return CC, MLO, the code of another view, or an empty text where no standard code is given."""
    for item in header.get("ViewCodeSequence") or []:
        code = text_of(item, "CodeValue")
        if code and text_of(item, "CodingSchemeDesignator") in VIEW_SCHEMES:
            return VIEW_CODES.get(code) or OTHER_VIEWS.get(code, code)
    return ""
