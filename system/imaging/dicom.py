"""Read one digital mammogram (DICOM PS3.3 A.26, Digital Mammography X-Ray) as pixels in which dense tissue is bright.

The header decides whether an image is used before a pixel is decoded; an image that is refused gets a quarantine code.
Transfer syntaxes:

| syntax                                   | read | decoder  | tested on a file                                        |
|------------------------------------------|------|----------|---------------------------------------------------------|
| implicit and explicit little endian      | yes  | numpy    | written by pydicom                                      |
| deflated                                 | yes  | zlib     | written by pydicom; inflated here, to a cap             |
| RLE                                      | yes  | pylibjpeg| written by pydicom                                      |
| JPEG baseline, 8 bits                    | yes  | GDCM     | written by GDCM                                         |
| JPEG extended, 12 bits                   | yes  | GDCM     | pydicom's example; correct, with a line on stderr       |
| JPEG lossless, process 14 and its SV1    | yes  | GDCM     | written by GDCM; a real GE mammogram                    |
| JPEG-LS lossless, near-lossless          | yes  | GDCM     | written by GDCM; near-lossless also pydicom's example   |
| JPEG 2000 lossless, lossy                | yes  | OpenJPEG | written by pydicom                                      |
| HTJ2K lossless, RPCL, lossy              | yes  | OpenJPEG | a codestream without coefficients; there is no encoder  |
| explicit big endian (retired in 2006)    | no   |          | refused, `transfer_syntax`                              |
| video, JPEG 2000 part 2, JPIP, the rest  | no   |          | refused, `transfer_syntax`                              |
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from pydicom.charset import python_encoding
from pydicom.dataset import Dataset

from system.imaging.config import DicomConfig
from system.imaging.dicom_decode import coding_of, stored_words
from system.imaging.dicom_file import DicomFile, careful_reading, header_values, number_of, parse_header, text_of
from system.imaging.dicom_orientation import orientation_of
from system.imaging.dicom_screening import check_screening
from system.imaging.dicom_values import bright_values
from system.imaging.dicom_view import side_of, view_of
from system.imaging.geometry import UPRIGHT, Turn
from system.imaging.pixel_format import pixel_format
from system.imaging.refused import ImageRefused, counted, quoted
from system.records import Side, ViewPosition

FOR_PROCESSING_CLASS = "1.2.840.10008.5.1.4.1.1.1.2.1"  # Digital Mammography X-Ray Image Storage - For Processing
TOMOSYNTHESIS_CLASSES = frozenset(  # Breast Tomosynthesis, and Breast Projection for presentation and for processing
    {"1.2.840.10008.5.1.4.1.1.13.1.3", "1.2.840.10008.5.1.4.1.1.13.1.4", "1.2.840.10008.5.1.4.1.1.13.1.5"}
)
MODALITIES = frozenset(  # the defined terms (PS3.3 C.7.3.1.1.1) that a reason may name
    {"CR", "CT", "DOC", "DX", "ES", "IO", "KO", "MR", "NM", "OP", "OT", "PR", "PT", "RF", "RG", "SC", "SEG", "SM", "SR"}
    | {"RTDOSE", "RTIMAGE", "RTPLAN", "RTSTRUCT", "US", "XA", "XC"}
)
ISO_2022_ESCAPE = re.compile(rb"\x1b[\x20-\x2f]+[\x30-\x7e]")  # ECMA-35: ESC, intermediate bytes, a final one
# Specific Character Set (0008,0005); any other character in such a text is not declared
ASCII_SETS = frozenset({"", "ISO_IR 6", "ISO 2022 IR 6"})
CHINESE_SETS = frozenset({"ISO 2022 IR 58", "GB18030", "GBK"})  # without escapes, the first two are parts of GB18030


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One view as it lies in its file; the ids are not pseudonymised and must only be hashed."""

    pixels: np.ndarray  # [rows, cols] float32, dense tissue bright, after VOI LUT and MONOCHROME1
    side: Side  # Image Laterality (0020,0062)
    view: ViewPosition  # View Position (0018,5101)
    spacing_mm: float  # of a source pixel; 0 where the file gives none
    patient: str  # Patient ID (0010,0020); may be empty
    study: str  # Study Instance UID (0020,000D)
    image: str  # SOP Instance UID (0008,0018)
    # by Patient Orientation (0020,0020), for canonical_view: the side of the upright picture, None where the file gives
    # none; and how the pixels, which are as in the file, are turned upright
    chest_wall: Side | None = None
    turn: Turn = UPRIGHT
    birth_date: str = ""  # Patient's Birth Date (0010,0030); may be empty


def read_dicom(path: Path, *, config: DicomConfig = DicomConfig()) -> SourceImage:
    """Return the mammogram in a DICOM file.

    Raises ImageRefused: too_large, not_dicom, truncated, transfer_syntax, modality, multiframe, view, missing_id,
    for_processing, no_pixels, pixel_size, unreadable, no_signal. Raises OSError when the file cannot be opened,
    MemoryError when the memory is too small.
    """
    with path.open("rb") as file, careful_reading():
        dicom = parse_header(file, max_file_bytes=config.max_file_bytes, max_inflated_bytes=config.max_inflated_bytes)
        image = _described(dicom.header)
        return replace(image, pixels=_pixels(dicom, config=config))


def read_study_uid(path: Path, *, config: DicomConfig = DicomConfig()) -> str:
    """Return the Study Instance UID (0020,000D) of a mammogram, from its header alone. Raises as `read_dicom`."""
    with path.open("rb") as file, careful_reading():
        dicom = parse_header(file, max_file_bytes=config.max_file_bytes, max_inflated_bytes=config.max_inflated_bytes)
        return _described(dicom.header).study


def _described(header: Dataset) -> SourceImage:
    """Return what the header gives of a mammogram, without its pixels."""
    with header_values():
        if (modality := text_of(header, "Modality")) != "MG":
            raise ImageRefused(
                "modality", f"Modality (0008,0060) is {quoted(modality, known=MODALITIES)}, expected 'MG'"
            )
        _check_single_frame(header)
        side, view = side_of(header), view_of(header)
        check_screening(header)
        orientation = orientation_of(header, side=side, view=view)
        return SourceImage(
            pixels=np.zeros((0, 0), np.float32),
            side=side,
            view=view,
            spacing_mm=_spacing_mm(header),
            study=_required_uid(header, "StudyInstanceUID"),
            image=_required_uid(header, "SOPInstanceUID"),
            patient=_patient(header),
            chest_wall=orientation.chest_wall,
            turn=orientation.turn,
            birth_date=text_of(header, "PatientBirthDate"),
        )


def read_pixels(path: Path, *, config: DicomConfig = DicomConfig()) -> np.ndarray:
    """Return the pixels of a DICOM file whose header has no usable identity, side or modality.

    returns: [rows, cols] float32, dense tissue bright; limits, decoding and values as in `read_dicom`

    Raises ImageRefused: too_large, not_dicom, truncated, transfer_syntax, multiframe, for_processing, no_pixels,
    pixel_size, unreadable, no_signal. Raises OSError when the file cannot be opened, MemoryError when the memory is
    too small.
    """
    with path.open("rb") as file, careful_reading():
        dicom = parse_header(file, max_file_bytes=config.max_file_bytes, max_inflated_bytes=config.max_inflated_bytes)
        with header_values():
            _check_single_frame(dicom.header)
        return _pixels(dicom, config=config)


def _check_single_frame(header: Dataset) -> None:
    frames = int(header.get("NumberOfFrames") or 1)
    if frames != 1 or text_of(header, "SOPClassUID") in TOMOSYNTHESIS_CLASSES:
        raise ImageRefused(
            "multiframe",
            f"{counted(frames)} frames (0028,0008) or tomosynthesis by its SOP Class (0008,0016), "
            "expected one projection",
        )


def _pixels(dicom: DicomFile, *, config: DicomConfig) -> np.ndarray:
    """Return [rows, cols] float32, dense tissue bright; the whole header is checked before the pixels are read."""
    header, syntax = dicom.header, str(dicom.syntax)
    with header_values():
        intent, sop_class = text_of(header, "PresentationIntentType"), text_of(header, "SOPClassUID")
    for_processing = intent == "FOR PROCESSING" or sop_class == FOR_PROCESSING_CLASS
    if for_processing and not config.allow_for_processing:
        raise ImageRefused(
            "for_processing",
            "Presentation Intent Type (0008,0068) is FOR PROCESSING: set dicom.allow_for_processing to read it",
        )
    coding = coding_of(syntax)
    if not dicom.has_pixels:
        raise ImageRefused("no_pixels", "there is no Pixel Data (7FE0,0010)")
    with header_values():
        pixels = pixel_format(header, max_pixels=config.max_pixels)
    words = stored_words(dicom.pixel_data(), pixels=pixels, syntax=syntax)
    with header_values():
        return bright_values(
            words, header=header, pixels=pixels, is_lossy=coding.is_lossy, for_processing=for_processing
        )


def _spacing_mm(header: Dataset) -> float:
    """Return Imager Pixel Spacing (0018,1164), else Pixel Spacing (0028,0030), of a row; 0 where neither is given."""
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        if (spacing_mm := number_of(header, keyword)) and spacing_mm > 0:
            return spacing_mm
    return 0.0


def _required_uid(header: Dataset, keyword: str) -> str:
    """Return a UID that must be there."""
    if not (uid := text_of(header, keyword)):
        raise ImageRefused("missing_id", f"{keyword} is missing or empty")
    return uid


def _patient(header: Dataset) -> str:
    r"""Return Patient ID (0010,0020), the same for one patient under every Specific Character Set (0008,0005).

    It is decoded from the bytes and not by pydicom, which leaves ISO 2022 escapes (PS3.5 6.1.2.5) such as ESC $)A in,
    and splits GBK characters at their second byte where that is a backslash. Bytes without a declared set are read as
    UTF-8 where they are valid UTF-8, else as GB18030.
    """
    if "PatientID" not in header:
        return ""
    value = header.get_item("PatientID").value or b""
    if not isinstance(value, bytes):
        return text_of(header, "PatientID")
    plain = ISO_2022_ESCAPE.sub(b"", value).strip(b" \0")
    return plain.decode(
        _encoding(plain, declared=header.get("SpecificCharacterSet")), errors="backslashreplace"
    ).strip()


def _encoding(plain: bytes, *, declared: object) -> str:
    """Return Python's name of the encoding of a text without escapes.

    declared: one or several defined terms of Specific Character Set (0008,0005)
    """
    names = declared if isinstance(declared, Sequence) and not isinstance(declared, str) else [declared or ""]
    named = next((str(name) for name in names if str(name) not in ASCII_SETS), "")
    if named and named not in CHINESE_SETS:
        return python_encoding.get(named, "gb18030")
    return "gb18030" if named or not _is_utf8(plain) else "utf8"


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf8")
    except UnicodeDecodeError:
        return False
    return True
