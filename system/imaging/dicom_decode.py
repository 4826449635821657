"""From Pixel Data (7FE0,0010) to stored words: the transfer syntaxes that are read, and the decoder of each."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gdcm
import numpy as np
from pydicom import uid
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder

from system.imaging.codestream import check_jpeg, check_jpeg2000, check_rle
from system.imaging.decoder_messages import refused_on_message
from system.imaging.jpeg2000_packets import check_packets
from system.imaging.pixel_format import PixelFormat
from system.imaging.refused import ImageRefused, quoted


@dataclass(frozen=True, slots=True)
class Coding:
    """One way in which pixels are stored."""

    check: Callable[..., None]  # (data, *, expected) before decoding
    decode: Callable[[bytes, PixelFormat, str], np.ndarray]  # (data, format, syntax) -> words [rows, cols]
    is_lossy: bool = False  # a decoded value may lie slightly outside the range of the stored bits


def stored_words(data: bytes, *, pixels: PixelFormat, syntax: str) -> np.ndarray:
    """Return the words of the picture: [rows, cols] uint8 or uint16, bits beyond Bits Stored (0028,0101) unchanged.

    data: the value of Pixel Data, encapsulated where the transfer syntax is

    Raises ImageRefused: transfer_syntax, pixel_size, truncated.
    """
    coding = coding_of(syntax)
    if syntax not in NATIVE:
        data = get_frame(data, 0, number_of_frames=1)
    coding.check(data, expected=pixels)
    with refused_on_message():
        words = coding.decode(data, pixels, syntax)
    if words.shape != (pixels.rows, pixels.cols) or words.dtype.itemsize * 8 > pixels.bits_allocated:
        raise ImageRefused("pixel_size", f"decoded to {list(words.shape)}, the header has {[pixels.rows, pixels.cols]}")
    return words.view(np.uint8 if words.dtype.itemsize == 1 else np.uint16)


def coding_of(syntax: str) -> Coding:
    """Return the coding of a transfer syntax. Raises ImageRefused transfer_syntax where it is not read."""
    if syntax not in CODINGS:
        raise ImageRefused(
            "transfer_syntax",
            f"Transfer Syntax UID (0002,0010) is {quoted(syntax, known=uid.UID_dictionary)}, which is not read",
        )
    return CODINGS[syntax]


def _check_native(data: bytes, *, expected: PixelFormat) -> None:
    if len(data) < expected.num_bytes:
        raise ImageRefused(
            "truncated",
            f"the pixel data has {len(data)} bytes, {expected.cols}x{expected.rows} px need {expected.num_bytes}",
        )


def _check_jpeg2000(frame: bytes, *, expected: PixelFormat) -> None:
    check_jpeg2000(frame, expected=expected)
    check_packets(frame)


def _native(data: bytes, pixels: PixelFormat, syntax: str) -> np.ndarray:  # noqa: ARG001 - all three are little endian
    words = np.frombuffer(data, dtype=f"<u{pixels.bits_allocated // 8}", count=pixels.rows * pixels.cols)
    return words.reshape(pixels.rows, pixels.cols)


def _with_pylibjpeg(frame: bytes, pixels: PixelFormat, syntax: str) -> np.ndarray:
    """Decode RLE, JPEG 2000 and HTJ2K; a codestream of at most 8 bits gives 8-bit words, also if the header has 16."""
    options: dict[str, Any] = {
        "rows": pixels.rows,
        "columns": pixels.cols,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "bits_allocated": pixels.bits_allocated,
        "bits_stored": pixels.bits_stored,
        "pixel_representation": int(pixels.is_signed),
        "photometric_interpretation": "MONOCHROME2",
    }
    try:
        return get_decoder(uid.UID(syntax)).as_array(
            _encapsulated(frame), raw=True, decoding_plugin="pylibjpeg", **options
        )[0]
    except BaseException as error:
        if type(error).__module__ != "pyo3_runtime":  # the RLE decoder is in Rust; its panics are no Exception
            raise
        raise ImageRefused("truncated", "the RLE data does not unpack to the header's picture") from None


def _encapsulated(frame: bytes) -> bytes:
    """Return one fragment after an empty offset table (PS3.5 A.4); the file's own tables of frames are not used."""
    item = b"\xfe\xff\x00\xe0"
    return b"".join([item, bytes(4), item, len(frame).to_bytes(4, "little"), frame])


def _with_gdcm(frame: bytes, pixels: PixelFormat, syntax: str) -> np.ndarray:
    """Decode JPEG and JPEG-LS by GDCM itself: pydicom does not pass 12-bit JPEG Extended on to it."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((pixels.cols, pixels.rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2))
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(syntax)))
    image.SetPixelFormat(
        gdcm.PixelFormat(1, pixels.bits_allocated, pixels.bits_stored, pixels.bits_stored - 1, int(pixels.is_signed))
    )
    decoded = image.GetBuffer().encode("utf-8", "surrogateescape")  # the binding returns bytes as text
    return _native(decoded, pixels, syntax)


NATIVE = frozenset(
    map(str, (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.DeflatedExplicitVRLittleEndian))
)
_JPEG_LOSSLESS, _JPEG_LOSSY = Coding(check_jpeg, _with_gdcm), Coding(check_jpeg, _with_gdcm, is_lossy=True)
_JPEG2000 = Coding(_check_jpeg2000, _with_pylibjpeg)
_JPEG2000_LOSSY = Coding(_check_jpeg2000, _with_pylibjpeg, is_lossy=True)

CODINGS: dict[str, Coding] = {
    **dict.fromkeys(NATIVE, Coding(_check_native, _native)),
    str(uid.RLELossless): Coding(check_rle, _with_pylibjpeg),
    str(uid.JPEGBaseline8Bit): _JPEG_LOSSY,
    str(uid.JPEGExtended12Bit): _JPEG_LOSSY,
    str(uid.JPEGLossless): _JPEG_LOSSLESS,
    str(uid.JPEGLosslessSV1): _JPEG_LOSSLESS,
    str(uid.JPEGLSLossless): _JPEG_LOSSLESS,
    str(uid.JPEGLSNearLossless): _JPEG_LOSSY,
    str(uid.JPEG2000Lossless): _JPEG2000,
    str(uid.JPEG2000): _JPEG2000_LOSSY,
    str(uid.HTJ2KLossless): _JPEG2000,
    str(uid.HTJ2KLosslessRPCL): _JPEG2000,
    str(uid.HTJ2K): _JPEG2000_LOSSY,
}
