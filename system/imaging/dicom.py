"""Read one digital mammogram (DICOM PS3.3 A.26, Digital Mammography X-Ray) as pixels in which dense tissue is bright.

The header decides whether an image is used before a pixel is decoded; what is refused carries a quarantine code.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import DeflatedExplicitVRLittleEndian

from system.imaging.refused import ImageRefused
from system.records import Side, ViewPosition
from system.settings import Settings

MAX_PIXELS = 60_000_000  # the largest digital mammography detector has about 20 million
EXTRA_VIEWS = frozenset(
    # View Modifier Code Sequence (0054,0222), CID 4015 code meanings that are not one of the four standard views
    ("magnification", "spot compression", "implant displaced", "tangential", "rolled", "cleavage", "axillary tail", "nipple in profile")
)


class DicomConfig(Settings):
    """What is read of what hospitals send."""

    allow_for_processing: bool = False  # raw detector values, Presentation Intent Type (0008,0068) FOR PROCESSING


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One view as its file gives it; the ids are raw and only to be hashed."""

    pixels: np.ndarray  # [rows, cols] float32, dense tissue bright, after VOI LUT and MONOCHROME1
    side: Side  # Image Laterality (0020,0062)
    view: ViewPosition  # View Position (0018,5101)
    spacing_mm: float  # of a source pixel; 0 where the file does not say
    patient: str  # Patient ID (0010,0020); may be empty
    study: str  # Study Instance UID (0020,000D)
    image: str  # SOP Instance UID (0008,0018)


def read_dicom(path: Path, *, config: DicomConfig = DicomConfig()) -> SourceImage:  # noqa: ARG001, B008
    """Return the mammogram in a DICOM file.

    Raises ImageRefused: not_dicom, too_large, modality, multiframe, view, missing_id, no_pixels, pixel_size, truncated, transfer_syntax.
    """
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")  # real headers break length rules everywhere, and the warnings quote their values
        dataset = _parse(path)
        _check_kind(dataset)
        side, view = _side(dataset), _view(dataset)
        _check_size(dataset)
        return SourceImage(
            pixels=_pixels(dataset),
            side=side,
            view=view,
            spacing_mm=_spacing_mm(dataset),
            patient=_text(dataset, "PatientID"),
            study=_required_uid(dataset, "StudyInstanceUID"),
            image=_required_uid(dataset, "SOPInstanceUID"),
        )


def _parse(path: Path) -> Dataset:
    """Return the parsed file, pixels undecoded. A deflated file is refused: pydicom would inflate it without a limit."""
    try:
        meta = read_file_meta_info(path)
        if str(meta.get("TransferSyntaxUID", "")) == DeflatedExplicitVRLittleEndian:
            raise ImageRefused("transfer_syntax", "deflated DICOM is not read")
        return dcmread(path)
    except InvalidDicomError:
        raise ImageRefused("not_dicom", "no DICOM file meta information") from None
    except ImageRefused:
        raise
    except Exception as error:  # a broken file can fail anywhere in the parser; its text may quote patient data
        raise ImageRefused("truncated", f"the file cannot be parsed ({type(error).__name__})") from None


def _check_kind(dataset: Dataset) -> None:
    """Refuse what is not a single-frame mammogram."""
    modality = _text(dataset, "Modality")
    if modality != "MG":
        raise ImageRefused("modality", f"Modality (0008,0060) is {modality[:16]!r}, expected 'MG'")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise ImageRefused("multiframe", f"NumberOfFrames (0028,0008) is {frames}, expected 1")
    if "PixelData" not in dataset:
        raise ImageRefused("no_pixels", "there is no Pixel Data (7FE0,0010)")


def _side(dataset: Dataset) -> Side:
    """Return the breast: Image Laterality (0020,0062), else Laterality (0020,0060); never guessed."""
    found = _text(dataset, "ImageLaterality") or _text(dataset, "Laterality")
    if found not in ("L", "R"):
        raise ImageRefused("view", f"Image Laterality (0020,0062) is {found[:16]!r}, expected L or R")
    return Side(found)


def _view(dataset: Dataset) -> ViewPosition:
    """Return the projection: View Position (0018,5101), without modifiers that make it an extra view."""
    found = _text(dataset, "ViewPosition")
    if found not in ("CC", "MLO"):
        raise ImageRefused("view", f"View Position (0018,5101) is {found[:16]!r}, expected CC or MLO")
    for code in dataset.get("ViewCodeSequence") or []:
        for modifier in code.get("ViewModifierCodeSequence") or []:
            meaning = _text(modifier, "CodeMeaning").lower()
            if any(extra in meaning for extra in EXTRA_VIEWS):
                raise ImageRefused("view", f"View Modifier (0054,0222) is {meaning[:32]!r}, expected a standard view")
    return ViewPosition(found)


def _check_size(dataset: Dataset) -> None:
    """Refuse a header whose picture cannot be in its pixel data: checked before decoding."""
    rows, cols = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    bits, samples = int(dataset.get("BitsAllocated") or 0), int(dataset.get("SamplesPerPixel") or 1)
    if not 0 < rows * cols <= MAX_PIXELS or bits not in (8, 16) or samples != 1:
        raise ImageRefused(
            "pixel_size", f"{cols}x{rows} px of {bits} bits, {samples} samples; at most {MAX_PIXELS} px of 8 or 16 bits, 1 sample"
        )
    expected = rows * cols * bits // 8
    if not dataset.file_meta.TransferSyntaxUID.is_compressed and len(dataset.PixelData) < expected:
        raise ImageRefused("pixel_size", f"the pixel data has {len(dataset.PixelData)} bytes, {cols}x{rows} px need {expected}")


def _pixels(dataset: Dataset) -> np.ndarray:
    """Return [rows, cols] float32, dense tissue bright: modality LUT, first VOI window, then MONOCHROME1 (PS3.3 C.7.6.3)."""
    try:
        stored = dataset.pixel_array
        values = apply_voi_lut(apply_modality_lut(stored, dataset), dataset, index=0)
    except (NotImplementedError, RuntimeError) as error:
        raise ImageRefused("transfer_syntax", f"no decoder takes this file ({type(error).__name__})") from None
    except Exception as error:  # decoders fail in their own ways on broken data
        raise ImageRefused("truncated", f"the pixel data cannot be decoded ({type(error).__name__})") from None
    pixels = np.asarray(values, dtype=np.float32)
    if pixels.ndim != 2 or pixels.shape != (dataset.Rows, dataset.Columns):
        raise ImageRefused("pixel_size", f"decoded to {list(pixels.shape)}, the header says {dataset.Rows}x{dataset.Columns}")
    if _text(dataset, "PhotometricInterpretation") == "MONOCHROME1":
        pixels = pixels.max() - pixels
    return pixels


def _spacing_mm(dataset: Dataset) -> float:
    """Return Imager Pixel Spacing (0018,1164), else Pixel Spacing (0028,0030), of a row; 0 where neither is given."""
    for keyword in ("ImagerPixelSpacing", "PixelSpacing"):
        if found := dataset.get(keyword):
            return float(found[0])
    return 0.0


def _required_uid(dataset: Dataset, keyword: str) -> str:
    """Return a UID that must be there."""
    if not (uid := _text(dataset, keyword)):
        raise ImageRefused("missing_id", f"{keyword} is missing or empty")
    return uid


def _text(dataset: Dataset, keyword: str) -> str:
    """Return an element's text, stripped; empty when absent."""
    return str(dataset.get(keyword) or "").strip()
