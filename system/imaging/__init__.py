"""From a DICOM, PGM or PNG file to the canonical view that networks are given, and back to the source frame.

refused.py       the error that carries a quarantine code
dicom.py         one digital mammogram -> SourceImage; the table of transfer syntaxes
dicom_file.py    parsing of a file within limits of memory
dicom_view.py    breast, projection and chest wall from the header
pixel_format.py  the header's description of stored pixels
codestream.py    the size of compressed data, checked before decoding
dicom_decode.py  the decoder of each transfer syntax
dicom_values.py  lookup tables, windows, padding, inversion
plain.py         one PGM or PNG -> pixels
breast.py        the place of the breast and the side of its chest wall
geometry.py      the mapping between source and canonical pixels, both ways
canonical.py     the canonical view and its mask
png.py           arrays <-> PNG bytes
"""

from system.imaging.canonical import ImagingConfig, canonical_mask, canonical_view, to_network
from system.imaging.dicom import DicomConfig, SourceImage, read_dicom, read_pixels
from system.imaging.geometry import Geometry, Turn
from system.imaging.plain import read_plain
from system.imaging.png import decode_png, encode_png
from system.imaging.refused import ImageRefused

__all__ = [
    "DicomConfig",
    "Geometry",
    "ImageRefused",
    "ImagingConfig",
    "SourceImage",
    "Turn",
    "canonical_mask",
    "canonical_view",
    "decode_png",
    "encode_png",
    "read_dicom",
    "read_pixels",
    "read_plain",
    "to_network",
]
