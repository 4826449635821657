"""Every transfer syntax that is read: a file of it gives the pixels that went in."""

import struct
from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLSNearLossless,
    RLELossless,
)

from system.imaging import ImageRefused, read_dicom, read_pixels

Y, X = np.mgrid[:64, :48]
SMOOTH = np.minimum(4095, 60 * X + 20 * Y).astype(np.uint16)  # 12 bits in 16
TWELVE, EIGHT = SMOOTH, (SMOOTH >> 4).astype(np.uint8)
SIGNED = SMOOTH.astype(np.int16) - 2048


def example(name: str) -> Path:
    """Return the path of a file that comes with pydicom."""
    return Path(str(get_testdata_file(name, download=False)))


def code_of(path: Path) -> str:
    with pytest.raises(ImageRefused) as refused:
        read_dicom(path)
    return refused.value.code


@pytest.mark.parametrize("stored", [TWELVE, EIGHT, SIGNED], ids=["12", "8", "signed"])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_uncompressed_and_deflated_pixels_come_as_they_are(
    write: Callable[..., Path], syntax: UID, stored: np.ndarray
) -> None:
    np.testing.assert_array_equal(read_dicom(write(transfer_syntax=syntax, stored=stored)).pixels, stored)


@pytest.mark.parametrize("stored", [TWELVE, EIGHT, SIGNED], ids=["12", "8", "signed"])
@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_what_pydicom_compresses_without_loss_comes_back_equal(
    make: Callable[..., Dataset], tmp_path: Path, syntax: UID, stored: np.ndarray
) -> None:
    dataset = make(stored=stored)
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)

    np.testing.assert_array_equal(read_dicom(tmp_path / "a.dcm").pixels, stored)


def test_lossy_jpeg_2000_comes_back_nearly_equal(make: Callable[..., Dataset], tmp_path: Path) -> None:
    dataset = make(stored=TWELVE)
    dataset.compress(JPEG2000, generate_instance_uid=False, j2k_cr=[10])
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)

    pixels = read_dicom(tmp_path / "a.dcm").pixels

    np.testing.assert_allclose(pixels, TWELVE, atol=40)
    assert 0 <= pixels.min() <= pixels.max() <= 4095


@pytest.mark.parametrize("stored", [TWELVE, EIGHT, SIGNED], ids=["12", "8", "signed"])
@pytest.mark.parametrize(
    "syntax",
    [
        gdcm.TransferSyntax.JPEGLosslessProcess14,
        gdcm.TransferSyntax.JPEGLosslessProcess14_1,
        gdcm.TransferSyntax.JPEGLSLossless,
        gdcm.TransferSyntax.JPEGLSNearLossless,
    ],
)
def test_what_gdcm_compresses_without_loss_comes_back_equal(
    write: Callable[..., Path], transcoded: Callable[[Path, int], Path], syntax: int, stored: np.ndarray
) -> None:
    np.testing.assert_array_equal(read_dicom(transcoded(write(stored=stored), syntax)).pixels, stored)


def test_eight_bit_jpeg_comes_back_nearly_equal(
    write: Callable[..., Path], transcoded: Callable[[Path, int], Path]
) -> None:
    path = transcoded(write(stored=EIGHT), gdcm.TransferSyntax.JPEGBaselineProcess1)

    np.testing.assert_allclose(read_dicom(path).pixels, EIGHT, atol=2)


def test_twelve_bit_jpeg_extended_is_read() -> None:
    path = example("JPGExtended.dcm")
    assert dcmread(path).file_meta.TransferSyntaxUID == JPEGExtended12Bit

    # most of this picture is black; a decoder of 8 bits would miss its bright spots
    pixels = read_pixels(path)

    assert pixels.shape == (1024, 256)
    assert (pixels.min(), pixels.max()) == (0, 264)


def test_near_lossless_jpeg_ls_is_read() -> None:
    path = example("JPEGLSNearLossless_16.dcm")
    assert dcmread(path).file_meta.TransferSyntaxUID == JPEGLSNearLossless

    np.testing.assert_array_equal(read_pixels(path), dcmread(path).pixel_array)


def test_an_htj2k_codestream_of_an_even_gray_is_read(make: Callable[..., Dataset], tmp_path: Path) -> None:
    # Of a picture in the middle of the range nothing is left after the wavelet transform: all packets are empty, so the
    # same codestream is also valid HTJ2K with the right headers (T.814 A.2: bit 14 of Rsiz, the CAP segment, bit 6 of
    # the code-block style).
    dataset = make(stored=np.full((64, 48), 2048, np.uint16))
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    stream = bytearray(get_frame(dataset.PixelData, 0, number_of_frames=1))
    stream[6:8] = struct.pack(">H", 0x4000)
    style = stream.index(b"\xff\x52") + 12
    stream[style] = 0x40
    after_siz = 4 + struct.unpack(">H", stream[4:6])[0]
    stream[after_siz:after_siz] = struct.pack(">HHIH", 0xFF50, 8, 1 << 17, 0)
    dataset.file_meta.TransferSyntaxUID = HTJ2KLossless
    dataset.PixelData = encapsulate([bytes(stream)])
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)

    assert (read_dicom(tmp_path / "a.dcm").pixels == 2048).all()


def test_data_of_another_syntax_than_named_is_refused(make: Callable[..., Dataset], tmp_path: Path) -> None:
    dataset = make(stored=TWELVE)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)

    assert code_of(tmp_path / "a.dcm") == "transfer_syntax"


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_a_codestream_that_ends_early_is_truncated(make: Callable[..., Dataset], tmp_path: Path, syntax: UID) -> None:
    dataset = make(stored=np.random.default_rng(0).integers(0, 4096, (64, 48)).astype(np.uint16))
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.PixelData = encapsulate([get_frame(dataset.PixelData, 0, number_of_frames=1)[:4000]])
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)

    assert code_of(tmp_path / "a.dcm") == "truncated"


def test_a_picture_in_several_fragments_is_put_together(make: Callable[..., Dataset], tmp_path: Path) -> None:
    dataset = make(stored=TWELVE)
    dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = encapsulate([frame], fragments_per_frame=3, has_bot=False)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)

    np.testing.assert_array_equal(read_dicom(tmp_path / "a.dcm").pixels, TWELVE)


@pytest.mark.parametrize("segment", [b"\x81\x00" * 40, b"\x7f" + bytes(60), b"\x00\x01" * 30 + b"\x7f"])
def test_an_rle_segment_that_unpacks_to_another_length_is_truncated(
    make: Callable[..., Dataset], tmp_path: Path, segment: bytes
) -> None:
    # runs of 128 bytes for 48 pixels; 128 bytes declared and 60 present; too few, and a length without bytes
    dataset = make()
    dataset.file_meta.TransferSyntaxUID = RLELossless
    header = struct.pack("<16I", 2, 64, 64 + len(segment), *[0] * 13)
    dataset.PixelData = encapsulate([header + segment + segment])
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)

    assert code_of(tmp_path / "a.dcm") == "truncated"
