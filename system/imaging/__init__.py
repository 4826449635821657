"""From a DICOM, PGM or PNG file to the canonical view that nets see, and back to the source frame. May import records and settings.

refused.py       the error that carries a quarantine code
dicom.py         one digital mammogram -> SourceImage; which transfer syntaxes are read
dicom_file.py    parsed within bounds, inflated to a cap
dicom_view.py    which breast and projection the header means
pixel_format.py  how the header says pixels are stored
codestream.py    what compressed data says of its size
dicom_decode.py  the decoder of each transfer syntax
dicom_values.py  lookup tables, windows, padding, inversion
plain.py         one PGM or PNG -> pixels
breast.py        where the breast is and on which side the chest wall lies
geometry.py      the mapping between source and canonical pixels, both ways
canonical.py     the canonical view and its mask
png.py           arrays <-> PNG bytes
"""

from system.imaging.canonical import ImagingConfig, canonical_mask, canonical_view, to_network
from system.imaging.dicom import DicomConfig, SourceImage, read_dicom, read_pixels
from system.imaging.geometry import Geometry
from system.imaging.plain import read_plain
from system.imaging.png import decode_png, encode_png
from system.imaging.refused import ImageRefused

__all__ = [
    "DicomConfig",
    "Geometry",
    "ImageRefused",
    "ImagingConfig",
    "SourceImage",
    "canonical_mask",
    "canonical_view",
    "decode_png",
    "encode_png",
    "read_dicom",
    "read_pixels",
    "read_plain",
    "to_network",
]
