"""The header's description of its stored pixels (PS3.3 C.7.6.3.1, Image Pixel Module), checked before decoding."""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from system.imaging.dicom_file import text_of
from system.imaging.refused import ImageRefused, counted, quoted

LARGEST_SIDE = 65535  # Rows and Columns are of VR US
GRAY = ("MONOCHROME1", "MONOCHROME2")
PHOTOMETRIC = frozenset(  # PS3.3 C.7.6.3.1.2
    {*GRAY, "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "XYB"}
)


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """One gray sample per pixel."""

    rows: int  # (0028,0010)
    cols: int  # (0028,0011)
    bits_allocated: int  # (0028,0100): 8 or 16, the size of a stored word
    bits_stored: int  # (0028,0101): 1 to bits_allocated
    high_bit: int  # (0028,0102): bits_stored - 1 in all but old files
    is_signed: bool  # (0028,0103) is 1: two's complement in bits_stored bits
    is_monochrome1: bool  # (0028,0004): the lowest value is to be displayed white

    @property
    def num_bytes(self) -> int:
        """Bytes of the picture when it is not compressed."""
        return self.rows * self.cols * self.bits_allocated // 8


def pixel_format(header: Dataset, *, max_pixels: int) -> PixelFormat:
    """Return the format in the header.

    Raises ImageRefused pixel_size for colour, other word sizes, no pixels or too many.
    """
    rows, cols, allocated, stored, high, representation = (
        int(header.get(keyword) or 0)
        for keyword in ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    )
    samples, photometric = int(header.get("SamplesPerPixel") or 1), text_of(header, "PhotometricInterpretation")
    if not (0 < rows <= LARGEST_SIDE and 0 < cols <= LARGEST_SIDE and rows * cols <= max_pixels):
        raise ImageRefused("pixel_size", f"{counted(cols)}x{counted(rows)} px, expected 1 to {max_pixels} px")
    if samples != 1 or photometric not in GRAY:
        raise ImageRefused(
            "pixel_size",
            f"{counted(samples)} samples per pixel, Photometric Interpretation (0028,0004) is "
            f"{quoted(photometric, known=PHOTOMETRIC)}, expected 1 of {' or '.join(GRAY)}",
        )
    if allocated not in (8, 16) or not 1 <= stored <= high + 1 <= allocated or representation not in (0, 1):
        raise ImageRefused(
            "pixel_size",
            f"{counted(stored)} bits up to bit {counted(high)} of {counted(allocated)}, "
            f"representation {counted(representation)}: "
            "expected words of 8 or 16 bits that hold them",
        )
    return PixelFormat(
        rows, cols, allocated, stored, high, is_signed=representation == 1, is_monochrome1=photometric == "MONOCHROME1"
    )
