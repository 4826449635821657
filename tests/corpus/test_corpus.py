"""A corpus of inputs, made by code: name, maker, and what must become of it: accepted, or a quarantine code.

An accepted one goes through to the canonical view. No reason quotes a name that stands in a header.
"""

from pathlib import Path

import gdcm
import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from system.imaging import ImageRefused, ImagingConfig, canonical_view, read_dicom, read_plain
from tests.corpus.makers import (
    Maker,
    big_endian,
    breast,
    by_gdcm,
    by_pydicom,
    capture,
    code,
    content,
    cut_file,
    deflate_bomb,
    dicom,
    framed,
    half_an_rle_segment,
    half_but_ended,
    item,
    last_packet_lost,
    lut,
    patched,
    pgm,
    picture_of,
    png,
    png_of_rows,
    text_bomb,
)

ACCEPTED = "accepted"
CONFIG = ImagingConfig(height_px=128, width_px=96)
SYNTAX = gdcm.TransferSyntax
EIGHT = (breast() >> 4).astype(np.uint8)
RIGHT = breast(chest_wall="right")
NAME = "JANE DOE"

CODINGS: dict[str, tuple[Maker, str]] = {
    "explicit": (dicom(), ACCEPTED),
    "implicit": (dicom(syntax=ImplicitVRLittleEndian), ACCEPTED),
    "deflated": (dicom(syntax=DeflatedExplicitVRLittleEndian), ACCEPTED),
    "eight bits": (dicom(EIGHT), ACCEPTED),
    "RLE": (by_pydicom(RLELossless), ACCEPTED),
    "RLE, half a segment": (by_pydicom(RLELossless, half_an_rle_segment), "truncated"),
    "lossless JPEG": (by_gdcm(SYNTAX.JPEGLosslessProcess14_1, breast()), ACCEPTED),
    "lossless JPEG, half": (by_gdcm(SYNTAX.JPEGLosslessProcess14_1, breast(), half_but_ended), "truncated"),
    "baseline JPEG": (by_gdcm(SYNTAX.JPEGBaselineProcess1, EIGHT), ACCEPTED),
    "baseline JPEG, half": (by_gdcm(SYNTAX.JPEGBaselineProcess1, EIGHT, half_but_ended), "truncated"),
    "extended JPEG": (by_gdcm(SYNTAX.JPEGExtendedProcess2_4, breast()), ACCEPTED),
    "extended JPEG, half": (by_gdcm(SYNTAX.JPEGExtendedProcess2_4, breast(), half_but_ended), "truncated"),
    "JPEG-LS": (by_gdcm(SYNTAX.JPEGLSLossless, breast()), ACCEPTED),
    "JPEG-LS, half": (by_gdcm(SYNTAX.JPEGLSLossless, breast(), half_but_ended), "truncated"),
    "JPEG 2000": (by_pydicom(JPEG2000Lossless), ACCEPTED),
    "JPEG 2000, half": (by_pydicom(JPEG2000Lossless, half_but_ended), "truncated"),
    "JPEG 2000, packets missing": (by_pydicom(JPEG2000Lossless, last_packet_lost), "truncated"),
    "more rows than data": (dicom(Rows=161), "truncated"),
    "more rows than data, deflated": (dicom(Rows=161, syntax=DeflatedExplicitVRLittleEndian), "truncated"),
    "size beyond the limit": (dicom(Rows=65535, Columns=65535), "pixel_size"),
    "colour": (dicom(SamplesPerPixel=3, PhotometricInterpretation="RGB"), "pixel_size"),
    "cut in its pixels": (cut_file(0.8), "truncated"),
    "cut in its header": (cut_file(0.01, StudyDescription="x" * 60), "truncated"),
    "deflate bomb": (deflate_bomb, "too_large"),
    "big endian": (big_endian, "transfer_syntax"),
    "unknown syntax": (
        patched(b"\x14\x001.2.840.10008.1.2.1\0", b"\x14\x001.2.840.10008.1.2.9\0"),
        "transfer_syntax",
    ),
    "no pixels": (dicom(PixelData=None), "no_pixels"),
}

ORIENTATIONS: dict[str, tuple[Maker, str]] = {
    "left CC": (dicom(PatientOrientation=["A", "R"]), ACCEPTED),
    "right CC": (dicom(RIGHT, ImageLaterality="R", PatientOrientation=["P", "L"]), ACCEPTED),
    "left MLO": (dicom(ViewPosition="MLO", PatientOrientation=["A", "FR"]), ACCEPTED),
    "upside down": (dicom(breast()[::-1], ViewPosition="MLO", PatientOrientation=["A", "HL"]), ACCEPTED),
    "half a turn": (dicom(np.rot90(breast(), 2), PatientOrientation=["P", "L"]), ACCEPTED),
    "lying": (dicom(np.ascontiguousarray(breast().T), PatientOrientation=["R", "A"]), ACCEPTED),
    "header of another, mirrored": (dicom(PatientOrientation=["P", "R"]), "view"),
    "CC with a head": (dicom(PatientOrientation=["A", "H"]), "view"),
    "along and across the same": (dicom(PatientOrientation=["A", "P"]), "view"),
    "no orientation": (dicom(PatientOrientation=["", ""]), ACCEPTED),
}

VIEWS: dict[str, tuple[Maker, str]] = {
    "quality control": (dicom(QualityControlImage="YES"), "view"),
    "quality control beside a patient": (dicom(QualityControlImage="BOTH"), "view"),
    "no quality control": (dicom(QualityControlImage="NO", PartialView="NO", BurnedInAnnotation="NO"), ACCEPTED),
    "calibration": (dicom(CalibrationImage="YES"), "view"),
    "partial": (dicom(PartialView="YES"), "view"),
    "partial, coded": (dicom(PartialViewCodeSequence=item()), "view"),
    "text burned in": (dicom(BurnedInAnnotation="YES"), "view"),
    "implant": (dicom(BreastImplantPresent="YES"), "view"),
    "specimen": (dicom(SpecimenDescriptionSequence=item()), "view"),
    "contrast": (dicom(ContrastBolusAgent="IODINE"), "view"),
    "contrast, coded": (dicom(ContrastBolusAgentSequence=item()), "view"),
    "no contrast": (dicom(ContrastBolusAgent="NONE"), ACCEPTED),
    "for presentation": (dicom(ImageType=["DERIVED", "PRIMARY", "", "", "", "", "", "", "150000"]), ACCEPTED),
    "of an older vendor": (dicom(ImageType=["ORIGINAL", "PRIMARY", "POST_PROCESSED"]), ACCEPTED),
    **{
        f"image type {value}": (dicom(ImageType=["DERIVED", "PRIMARY", *value.split(",")]), "view")
        for value in [
            "STEREO,LEFT",
            "STEREO_SCOUT",
            "STEREO_MINUS",
            "STEREO_PLUS",
            "PREFIRE_MINUS",
            "PREFIRE_PLUS",
            "POSTFIRE_MINUS",
            "POSTBIOPSY",
            "POSTMARKER",
            "TOMO_PROJ",
            "TOMOSYNTHESIS",
            "TOMO_SCOUT",
            "TOMO_2D",
            "TOMO,GENERATED_2D",
            ",GENERATED_2D",
            "PRE_CONTRAST",
            "POST_CONTRAST",
            ",ADDITION",
            ",SUBTRACTION",
            ",RECOMBINED",
            ",,LOW_ENERGY",
            ",,HIGH_ENERGY",
            ",,CAD",
        ]
    },
    "capture with marks": (dicom(ImageType=["DERIVED", "SECONDARY", "POST_PROCESSED", "", "CAD"]), "view"),
    "secondary": (dicom(ImageType=["DERIVED", "SECONDARY"]), "view"),
    "secondary capture": (capture(), "view"),
    "film in a secondary capture": (capture(ConversionType="DF"), ACCEPTED),
    "drawing": (dicom(ConversionType="DRW"), "view"),
    "workstation": (dicom(ConversionType="WSD"), ACCEPTED),
    "spot paddle": (dicom(PaddleDescription="7CM SPOT"), "view"),
    "magnification paddle": (dicom(PaddleDescription="MAG_PADDLE"), "view"),
    "screening paddle": (dicom(PaddleDescription="24X30 FLEX"), ACCEPTED),
    "magnified": (dicom(EstimatedRadiographicMagnificationFactor="1.8"), "view"),
    "contact": (dicom(EstimatedRadiographicMagnificationFactor="1.07"), ACCEPTED),
    "modified": (dicom(ViewPosition="", ViewCodeSequence=code("399162004", modifier="399055006")), "view"),
    "coded CC": (dicom(ViewPosition="", ViewCodeSequence=code("399162004")), ACCEPTED),
    "coded XCCL": (dicom(ViewPosition="", ViewCodeSequence=code("399192008")), "view"),
    "specimen by code": (dicom(ViewPosition="", ViewCodeSequence=code("127457009")), "view"),
    "source images of tomosynthesis": (dicom(NumberOfTomosynthesisSourceImages=15), "view"),
    "both breasts": (dicom(ImageLaterality="B"), "view"),
    "no side": (dicom(ImageLaterality=None), "view"),
    "tomosynthesis": (dicom(NumberOfFrames=2), "multiframe"),
    "raw": (dicom(PresentationIntentType="FOR PROCESSING"), "for_processing"),
    "not mammography": (dicom(Modality="CT"), "modality"),
}

VALUES: dict[str, tuple[Maker, str]] = {
    "one pixel spacing": (patched(b"0.10\\0.10", b"0.1      ", PixelSpacing=["0.10", "0.10"]), ACCEPTED),
    "no pixel spacing": (patched(b"0.10\\0.10", b"         ", PixelSpacing=["0.10", "0.10"]), ACCEPTED),
    "a word for a spacing": (patched(b"0.10\\0.10", b"unknown  ", PixelSpacing=["0.10", "0.10"]), ACCEPTED),
    "a word for a slope": (patched(b"1.25", b"JANE", RescaleSlope="1.25", RescaleIntercept="0"), "unreadable"),
    "an empty VOI table": (dicom(VOILUTSequence=item()), ACCEPTED),
    "an empty modality table": (dicom(ModalityLUTSequence=item()), ACCEPTED),
    "a table without data": (dicom(VOILUTSequence=lut(LUTDescriptor=[4096, 0, 16], LUTData=b"")), ACCEPTED),
    "half a descriptor": (dicom(VOILUTSequence=lut(LUTDescriptor=[4096, 0], LUTData=bytes(8192))), "unreadable"),
    "a name for a modality": (dicom(Modality=NAME), "modality"),
    "a name for a side": (dicom(ImageLaterality=NAME), "view"),
    "a name for another side": (dicom(Laterality=NAME), "view"),
    "a name for a view": (dicom(ViewPosition="CC " + NAME), "view"),
    "a name for a view code": (dicom(ViewCodeSequence=code(NAME)), "view"),
    "a name for a photometric": (dicom(PhotometricInterpretation=NAME), "pixel_size"),
    "a name for an image type": (dicom(ImageType=["DERIVED", "SECONDARY", NAME]), "view"),
    "a name for a paddle": (dicom(PaddleDescription=f"SPOT {NAME}"), "view"),
    "a name for a relationship": (
        dicom(PresentationIntentType="FOR PROCESSING", PixelIntensityRelationship=NAME),
        "for_processing",
    ),
    "markup": (dicom(ViewPosition="[/red]"), "view"),
    "no study": (dicom(StudyInstanceUID=""), "missing_id"),
}

PLAIN: dict[str, tuple[Maker, str]] = {
    "png": (png(breast(bits=16)), ACCEPTED),
    "pgm": (pgm(EIGHT), ACCEPTED),
    "pgm, rows missing": (pgm(EIGHT, lost=128), "truncated"),
    "png, rows missing": (png_of_rows(3, claimed=(6, 8)), "truncated"),
    "png bomb": (png_of_rows(1, claimed=(60000, 60000)), "too_large"),
    "png just too large": (png_of_rows(1, claimed=(9000, 9000)), "too_large"),
    "png with a text bomb": (png_of_rows(6, claimed=(6, 8), extra=text_bomb()), "too_large"),
    "three equal channels": (png(EIGHT, mode="RGB"), ACCEPTED),
    "gray with alpha": (png(EIGHT, mode="LA"), ACCEPTED),
    "gray palette": (png(EIGHT, mode="P"), ACCEPTED),
    "colour": (png(np.dstack([EIGHT, EIGHT, 255 - EIGHT])), "not_gray"),
    "one value": (png(np.full((160, 128), 9, np.uint8)), "no_signal"),
    "negative": (png(4095 - breast()), "no_signal"),
    "frame": (png(framed(6)), ACCEPTED),
    "frame on three sides": (png(framed(3, sides="tbr")), ACCEPTED),
    "frame askew": (png(framed(3, askew=9)), ACCEPTED),
    "framed negative": (png(65535 - framed(0)), "no_signal"),
}

OTHERS: dict[str, tuple[Maker, str]] = {
    "empty": (content(b""), "not_dicom"),
    "jpeg": (content(picture_of("JPEG")), "not_dicom"),
    "tiff": (content(picture_of("TIFF")), "not_dicom"),
    "pdf": (content(b"%PDF-1.4 " + bytes(300)), "not_dicom"),
    "pdf as png": (content(b"%PDF-1.4 " + bytes(300), "a.png"), "not_image"),
}

CORPUS = {
    f"{kind}: {name}": entry
    for kind, entries in (
        ("coding", CODINGS),
        ("orientation", ORIENTATIONS),
        ("view", VIEWS),
        ("value", VALUES),
        ("plain", PLAIN),
        ("other", OTHERS),
    )
    for name, entry in entries.items()
}


def outcome(path: Path) -> tuple[str, str]:
    """Return what becomes of a file: accepted or its code, and the reason."""
    try:
        if path.suffix == ".dcm":
            image = read_dicom(path)
            canonical_view(image.pixels, config=CONFIG, chest_wall=image.chest_wall, turn=image.turn)
        else:
            canonical_view(read_plain(path).astype(np.float32), config=CONFIG)
    except ImageRefused as refused:
        return refused.code, refused.detail
    return ACCEPTED, ""


@pytest.mark.parametrize("name", CORPUS)
def test_an_input_of_the_corpus_is_accepted_or_refused_as_it_must_be(tmp_path: Path, name: str) -> None:
    make, expected = CORPUS[name]

    found, reason = outcome(make(tmp_path))

    assert found == expected, reason
    assert not {"JANE", "DOE"} & set(reason.upper().replace("'", " ").split())
    assert "[/" not in reason
