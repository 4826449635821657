"""From a DICOM, PGM or PNG file to the canonical view that networks are given, and back to the source frame.

refused.py       the error that carries a quarantine code
dicom.py         one digital mammogram -> SourceImage; the table of transfer syntaxes
dicom_file.py    parsing of a file within limits of memory
dicom_view.py    breast and projection from the header
dicom_screening.py     what marks pictures that are no screening view
dicom_orientation.py   how the picture lies in its file
pixel_format.py  the header's description of stored pixels
codestream.py    the size of compressed data, checked before decoding
jpeg2000_tiles.py, jpeg2000_packets.py   whether a JPEG 2000 codestream is whole
decoder_messages.py    what decoders print while they make up what is missing
dicom_decode.py  the decoder of each transfer syntax
dicom_values.py  lookup tables, windows, padding, inversion
plain.py         one PGM or PNG -> pixels
breast.py        the place of the breast and the side of its chest wall
geometry.py      the mapping between source and canonical pixels, both ways
canonical.py     the canonical view and its mask
display.py       what a person is shown of a view, and the way from there to the canonical view
png.py           arrays <-> PNG bytes
"""

from typing import TYPE_CHECKING

from system.lazy import exported_by

if TYPE_CHECKING:
    from system.imaging.canonical import canonical_mask, canonical_view, to_network
    from system.imaging.config import DicomConfig, ImagingConfig
    from system.imaging.dicom import SourceImage, read_dicom, read_pixels, read_study_uid
    from system.imaging.display import (
        DisplayConfig,
        Picture,
        shown_source,
        shown_stored,
        source_geometry,
        stored_geometry,
    )
    from system.imaging.geometry import Geometry, Turn
    from system.imaging.plain import read_mask, read_plain
    from system.imaging.png import decode_png, encode_png
    from system.imaging.refused import ImageRefused, quoted

__all__ = [
    "DicomConfig",
    "DisplayConfig",
    "Geometry",
    "ImageRefused",
    "ImagingConfig",
    "Picture",
    "SourceImage",
    "Turn",
    "canonical_mask",
    "canonical_view",
    "decode_png",
    "encode_png",
    "quoted",
    "read_dicom",
    "read_mask",
    "read_pixels",
    "read_plain",
    "read_study_uid",
    "shown_source",
    "shown_stored",
    "source_geometry",
    "stored_geometry",
    "to_network",
]

__getattr__ = exported_by(__name__, "config", "refused", "geometry", "png", "plain", "canonical", "dicom", "display")
