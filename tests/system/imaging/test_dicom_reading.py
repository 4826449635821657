"""DICOM files: what is read, and what is refused with which code before a pixel is decoded."""

import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from system.imaging import DicomConfig, ImageRefused, ImagingConfig, canonical_view, read_dicom, read_pixels
from system.records import Side

STORED = np.arange(48, dtype=np.uint16).reshape(8, 6) * 80


def code_of(path: Path, *, read: Callable[..., object] = read_dicom, **config: Any) -> str:
    with pytest.raises(ImageRefused) as refused:
        read(path, config=DicomConfig(**config))
    return refused.value.code


def test_pixels_ids_side_view_and_spacing_are_read(write: Callable[..., Path]) -> None:
    image = read_dicom(write())

    np.testing.assert_array_equal(image.pixels, STORED)
    assert image.pixels.dtype == np.float32
    assert (image.side, image.view, image.spacing_mm, image.chest_wall) == ("L", "MLO", 0.1, None)
    assert (image.patient, image.study, image.image) == ("P1", "1.2.3", "1.2.3.4")


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"Modality": "CT"}, "modality"),
        ({"Modality": None}, "modality"),
        ({"NumberOfFrames": 4}, "multiframe"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.13.1.3"}, "multiframe"),  # Breast Tomosynthesis, if of one frame
        ({"StudyInstanceUID": ""}, "missing_id"),
        ({"SOPInstanceUID": ""}, "missing_id"),
        ({"Rows": 65535, "Columns": 65535}, "pixel_size"),
        ({"Rows": 9}, "truncated"),
        ({"Rows": 0}, "pixel_size"),
        ({"SamplesPerPixel": 3}, "pixel_size"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "pixel_size"),
        ({"BitsAllocated": 32}, "pixel_size"),
        ({"BitsStored": 0}, "pixel_size"),
        ({"HighBit": 16}, "pixel_size"),
        ({"PixelData": None}, "no_pixels"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2.1"}, "for_processing"),
    ],
)
def test_a_header_that_is_not_a_standard_mammogram_is_refused_with_its_code(
    write: Callable[..., Path], elements: dict[str, Any], code: str
) -> None:
    without_media_class = {
        key: value for key, value in elements.items() if key not in ("SOPClassUID", "SOPInstanceUID")
    }
    path = write(**without_media_class)
    if elements != without_media_class:
        _rewrite(path, elements)

    assert code_of(path) == code


def _rewrite(path: Path, elements: dict[str, Any]) -> None:
    """Change elements that save_as would make agree with the file meta information."""
    dataset = dcmread(path)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def test_float_pixels_are_no_pixels(write: Callable[..., Path]) -> None:
    assert code_of(write(PixelData=None, FloatPixelData=bytes(8 * 6 * 4), BitsAllocated=32)) == "no_pixels"


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4 " + bytes(300), bytes(128) + b"DICN", b"P5 3 3 255 123456789"])
def test_a_file_that_is_not_dicom_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(content)

    assert code_of(path) == "not_dicom"


@pytest.mark.parametrize("lost_bytes", [2, 10, 95])
def test_a_file_cut_off_in_its_pixels_is_truncated(write: Callable[..., Path], lost_bytes: int) -> None:
    path = write()
    path.write_bytes(path.read_bytes()[:-lost_bytes])

    assert code_of(path) == "truncated"


def test_a_file_cut_off_in_its_header_is_truncated(write: Callable[..., Path]) -> None:
    path = write(StudyDescription="x" * 60)
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"x" * 60) + 30])

    assert code_of(path) == "truncated"


def test_a_file_cut_off_in_its_last_fragment_is_truncated(make: Callable[..., Dataset], tmp_path: Path) -> None:
    dataset = make()
    dataset.compress(RLELossless, generate_instance_uid=False)
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    (tmp_path / "a.dcm").write_bytes((tmp_path / "a.dcm").read_bytes()[:-20])

    assert code_of(tmp_path / "a.dcm") == "truncated"


@pytest.mark.parametrize(
    "named", [b"1.2.3.99", b"1.2.840.10008.1.2.2", b"1.2.840.10008.1.2.4.100", b"1.2.840.10008.1.2.4.92", b""]
)
def test_a_transfer_syntax_that_is_unknown_missing_or_not_read_is_refused(
    write: Callable[..., Path], named: bytes
) -> None:
    path = write()
    content, known = path.read_bytes(), b"\x14\x001.2.840.10008.1.2.1\0"
    padded = named + b"\0" * (len(named) % 2)
    assert known in content
    path.write_bytes(content.replace(known, len(padded).to_bytes(2, "little") + padded, 1))

    assert code_of(path) == "transfer_syntax"


def test_a_file_larger_than_its_cap_is_refused_unread(write: Callable[..., Path]) -> None:
    assert code_of(write(), max_file_bytes=100) == "too_large"


def test_a_picture_larger_than_the_cap_of_pixels_is_refused(write: Callable[..., Path]) -> None:
    assert code_of(write(), max_pixels=47) == "pixel_size"
    assert read_dicom(write(), config=DicomConfig(max_pixels=48)).pixels.size == 48


def test_a_deflated_file_that_inflates_without_end_is_refused_at_its_cap(write: Callable[..., Path]) -> None:
    path = write(transfer_syntax=DeflatedExplicitVRLittleEndian)
    meta = path.read_bytes()[: path.read_bytes().index(b"1.2.840.10008.1.2.1.99") + 22]
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    path.write_bytes(meta + deflater.compress(bytes(200_000_000)) + deflater.flush())

    tracemalloc.start()
    code = code_of(path, max_inflated_bytes=1_000_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert code == "too_large"
    assert peak < 10_000_000


@pytest.mark.parametrize("lost_bytes", [3, 20])
def test_a_deflated_file_without_its_end_is_truncated(write: Callable[..., Path], lost_bytes: int) -> None:
    path = write(transfer_syntax=DeflatedExplicitVRLittleEndian, DataSetTrailingPadding=bytes(300))
    path.write_bytes(path.read_bytes()[:-lost_bytes])

    assert code_of(path) == "truncated"


@pytest.mark.parametrize(("syntax", "code"), [(RLELossless, "truncated"), (JPEG2000Lossless, "pixel_size")])
def test_a_compressed_picture_of_another_size_than_its_header_is_refused(
    make: Callable[..., Dataset], tmp_path: Path, syntax: UID, code: str
) -> None:
    dataset = make(stored=np.zeros((64, 48), np.uint16))
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.Rows, dataset.Columns = 6000, 6000
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)

    assert code_of(tmp_path / "a.dcm") == code


def test_the_error_of_a_refused_file_has_no_header_text_of_the_patient(write: Callable[..., Path]) -> None:
    with pytest.raises(ImageRefused) as refused:
        read_dicom(write(PatientID="JANE-DOE", Modality="CT"))

    assert "JANE" not in str(refused.value)


def test_pixels_are_read_without_identity_side_or_modality(write: Callable[..., Path]) -> None:
    bare = {
        "PatientID": None,
        "StudyInstanceUID": None,
        "Modality": None,
        "ImageLaterality": None,
        "ViewPosition": None,
    }

    pixels = read_pixels(write(**bare, WindowCenter=2000, WindowWidth=1000))

    np.testing.assert_array_equal(pixels, read_dicom(write(WindowCenter=2000, WindowWidth=1000)).pixels)


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"Rows": 65535, "Columns": 65535}, "pixel_size"),
        ({"NumberOfFrames": 2}, "multiframe"),
        ({"PixelData": None}, "no_pixels"),
        ({"PresentationIntentType": "FOR PROCESSING"}, "for_processing"),
    ],
)
def test_pixels_alone_are_read_within_the_same_bounds(
    write: Callable[..., Path], elements: dict[str, Any], code: str
) -> None:
    assert code_of(write(**elements), read=read_pixels) == code


def with_bytes(path: Path, *, patient: bytes, charset: bytes) -> Path:
    """Put the bytes of a Specific Character Set and of a Patient ID into a file whose Patient ID is 20 times P."""
    content = path.read_bytes().replace(b"P" * 20, patient.ljust(20))
    place = content.index(b"\x08\x00\x16\x00UI")  # SOP Class UID follows the character set
    padded = charset.ljust(len(charset) + len(charset) % 2)
    element = b"\x08\x00\x05\x00CS" + len(padded).to_bytes(2, "little") + padded
    path.write_bytes(content[:place] + element + content[place:])
    return path


def test_a_patient_has_one_id_under_every_chinese_character_set(write: Callable[..., Path]) -> None:
    def under(charset: bytes, patient: bytes) -> str:
        return read_dicom(with_bytes(write(PatientID="P" * 20), patient=patient, charset=charset)).patient

    gbk = "王小东12".encode("gbk")

    assert under(b"GB18030", gbk) == "王小东12"
    assert under(b"\\ISO 2022 IR 58", b"\x1b$)A" + "王小东".encode("gb2312") + b"12") == "王小东12"
    assert under(b"ISO_IR 192", "王小东12".encode()) == "王小东12"
    assert under(b"", gbk) == "王小东12"
    assert under(b"", "王小东12".encode()) == "王小东12"


def test_a_character_whose_second_byte_is_a_backslash_stays_one(write: Callable[..., Path]) -> None:
    patient = "乗".encode("gbk")
    assert patient[1:] == b"\\"

    assert read_dicom(with_bytes(write(PatientID="P" * 20), patient=patient, charset=b"GB18030")).patient == "乗"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "charset", [b"", b"ISO_IR 192", b"ISO_IR 100", b"nonsense", b"ISO 2022 IR 6\\ISO 2022 IR 58", b"ISO_IR 126"]
)
def test_names_outside_their_character_set_neither_warn_nor_fail_nor_are_logged(
    write: Callable[..., Path], charset: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(PatientName="P" * 20, PatientID="7", InstitutionName="P" * 20)

    assert read_dicom(with_bytes(path, patient="王^小东".encode("gbk"), charset=charset)).patient == "7"
    undeclared = with_bytes(write(PatientID="P" * 20), patient=b"\xff\xfe7", charset=charset)
    assert read_dicom(undeclared).patient.endswith("7")
    assert not caplog.records


def test_implicit_headers_are_read(write: Callable[..., Path]) -> None:
    pixels = read_dicom(write(transfer_syntax=ImplicitVRLittleEndian, PixelPaddingValue=0)).pixels

    np.testing.assert_array_equal(pixels[0, 1:], STORED[0, 1:])


def test_a_real_mammogram_is_read_and_turned_to_the_left(shared_data: Path) -> None:
    image = read_dicom(shared_data / "data" / "dicom" / "mg_rmlo_jpeg_lossless.dcm")
    view, geometry = canonical_view(
        image.pixels, config=ImagingConfig(height_px=256, width_px=192), chest_wall=image.chest_wall
    )

    assert (image.side, image.view, image.pixels.shape, image.chest_wall) == ("R", "MLO", (3062, 2394), Side.RIGHT)
    assert geometry.mirrored
    assert view[64:128, 0].all()


def test_the_values_of_a_real_mammogram_are_those_of_its_first_voi_table(shared_data: Path) -> None:
    path = shared_data / "data" / "dicom" / "mg_rmlo_jpeg_lossless.dcm"
    dataset = dcmread(path)
    item, stored = dataset.VOILUTSequence[0], dataset.pixel_array
    _, first, _ = item.LUTDescriptor
    table = np.asarray(item.LUTData)
    expected = table[np.clip(stored.astype(int) - first, 0, table.size - 1)]

    pixels = read_dicom(path).pixels

    seen = stored > 30  # its Pixel Padding Range Limit
    np.testing.assert_array_equal(pixels[seen], expected[seen])
    assert (pixels[~seen] == expected[seen].min()).all()


def test_a_real_tomosynthesis_is_refused(shared_data: Path) -> None:
    assert code_of(shared_data / "data" / "dicom" / "mg_tomosynthesis_4frames_j2k.dcm") == "multiframe"
