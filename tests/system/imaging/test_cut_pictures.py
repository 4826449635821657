"""Pictures of which a part is missing, although their data ends as it should: refused in every coding."""

import io
import logging
import os
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from system.imaging import ImageRefused, read_dicom
from system.imaging.decoder_messages import refused_on_message

NUM_EXAMPLES = int(os.environ.get("MAMMOLOOP_FUZZ_EXAMPLES", "20"))
Y, X = np.mgrid[:64, :48]
GRAIN = np.random.default_rng(0).integers(0, 300, (64, 48))
TWELVE = (40 * X + 20 * Y + GRAIN).clip(0, 4095).astype(np.uint16)
EIGHT = (TWELVE >> 4).astype(np.uint8)
END = b"\xff\xd9"
SOT, SOS = b"\xff\x90", b"\xff\xda"
TILE_PART_BYTES = 14  # SOT and SOD

BY_GDCM = {
    "lossless": (gdcm.TransferSyntax.JPEGLosslessProcess14, TWELVE),
    "lossless, first order": (gdcm.TransferSyntax.JPEGLosslessProcess14_1, TWELVE),
    "extended": (gdcm.TransferSyntax.JPEGExtendedProcess2_4, TWELVE),
    "baseline": (gdcm.TransferSyntax.JPEGBaselineProcess1, EIGHT),
    "JPEG-LS": (gdcm.TransferSyntax.JPEGLSLossless, TWELVE),
    "JPEG-LS, near": (gdcm.TransferSyntax.JPEGLSNearLossless, TWELVE),
}
BY_PILLOW = {
    "restarts": {"quality": 95, "restart_marker_blocks": 3},
    "optimised": {"quality": 95, "optimize": True},
}
JPEG_2000 = {
    "one tile": {},
    "tiles": {"tile_size": (32, 20)},
    "layers": {"quality_layers": [40, 20, 0], "quality_mode": "rates"},
    "RLCP": {"progression": "RLCP", "codeblock_size": (16, 16)},
    "RPCL": {"progression": "RPCL", "precinct_size": (32, 32)},
    "PCRL": {"progression": "PCRL", "precinct_size": (32, 32), "tile_size": (50, 30)},
    "CPRL": {"progression": "CPRL", "codeblock_size": (4, 64)},
}


@pytest.fixture(scope="module")
def originals(
    make: Callable[..., Dataset], transcoded: Callable[[Path, int], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Dataset]:
    """Return a whole picture of each coding, in memory."""
    path = tmp_path_factory.mktemp("originals") / "a.dcm"
    found = {}
    for name, (syntax, stored) in BY_GDCM.items():
        make(stored=stored).save_as(path, enforce_file_format=True)
        found[name] = dcmread(transcoded(path, syntax))
    for name, options in BY_PILLOW.items():
        found[name] = of_frame(make(stored=EIGHT), saved("JPEG", EIGHT, **options), syntax=JPEGBaseline8Bit)
    for name, options in JPEG_2000.items():
        frame = saved("JPEG2000", EIGHT, no_jp2=True, irreversible=False, **options)
        found[name] = of_frame(make(stored=EIGHT), frame, syntax=JPEG2000Lossless)
    return found


def saved(kind: str, stored: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(stored).save(file, kind, **options)
    return file.getvalue()


def of_frame(dataset: Dataset, frame: bytes, *, syntax: str | None = None) -> Dataset:
    """Return the mammogram with this codestream as its picture."""
    if syntax:
        dataset.file_meta.TransferSyntaxUID = UID(syntax)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].is_undefined_length = True
    return dataset


def frame_of(dataset: Dataset) -> bytes:
    return get_frame(dataset.PixelData, 0, number_of_frames=1)


def outcome(dataset: Dataset, folder: Path) -> np.ndarray | str:
    """Return the pixels that are read, or the code."""
    path = folder / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    try:
        return read_dicom(path).pixels
    except ImageRefused as refused:
        return refused.code


def assert_refused(dataset: Dataset, frame: bytes, folder: Path) -> None:
    whole = frame_of(dataset)
    try:
        assert isinstance(outcome(of_frame(dataset, frame), folder), str)
    finally:
        of_frame(dataset, whole)


def tile_parts(frame: bytes | bytearray) -> list[tuple[int, int]]:
    """Return where each tile-part begins and ends."""
    place, found = frame.index(SOT), []
    while frame[place : place + 2] == SOT:
        length = struct.unpack_from(">I", frame, place + 6)[0]
        found.append((place, place + length))
        place += length
    return found


@pytest.mark.parametrize("name", [*BY_GDCM, *BY_PILLOW, *JPEG_2000])
def test_a_whole_picture_is_read(originals: dict[str, Dataset], tmp_path: Path, name: str) -> None:
    pixels = outcome(originals[name], tmp_path)

    assert isinstance(pixels, np.ndarray)
    expected = BY_GDCM[name][1] if name in BY_GDCM else EIGHT
    lossy = name in ("extended", "baseline", *BY_PILLOW)
    np.testing.assert_allclose(pixels, expected, atol=60 if lossy else 0)


@pytest.mark.parametrize("name", [*BY_GDCM, *BY_PILLOW, *JPEG_2000])
@settings(max_examples=NUM_EXAMPLES, derandomize=True)
@given(kept=st.floats(0, 0.9999))
def test_data_cut_anywhere_and_ended_with_its_end_marker_is_refused(
    originals: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory, name: str, kept: float
) -> None:
    frame = frame_of(originals[name])
    begin, end = frame.index(SOT if name in JPEG_2000 else SOS) + TILE_PART_BYTES, frame.rindex(END)

    assert_refused(originals[name], frame[: begin + int((end - begin) * kept)] + END, tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("name", ["lossless", "JPEG-LS"])
@settings(max_examples=NUM_EXAMPLES, derandomize=True)
@given(place=st.floats(0, 1), num_bytes=st.integers(100, 400))
def test_a_span_lost_inside_is_refused_and_the_rest_is_not_moved_up(
    originals: dict[str, Dataset], tmp_path_factory: pytest.TempPathFactory, name: str, place: float, num_bytes: int
) -> None:
    frame = frame_of(originals[name])
    begin, end = frame.index(SOS) + TILE_PART_BYTES, frame.rindex(END)
    start = begin + int((end - begin - num_bytes) * place)

    assert_refused(originals[name], frame[:start] + frame[start + num_bytes :], tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("name", JPEG_2000)
@pytest.mark.parametrize("length_given", [True, False])
@settings(max_examples=NUM_EXAMPLES, derandomize=True)
@given(kept=st.floats(0, 0.9999))
def test_a_tile_part_whose_length_was_corrected_after_the_cut_is_refused(
    originals: dict[str, Dataset],
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    length_given: bool,
    kept: float,
) -> None:
    frame = frame_of(originals[name])
    start, end = tile_parts(frame)[-1]
    length = TILE_PART_BYTES + int((end - start - TILE_PART_BYTES) * kept)
    cut = bytearray(frame[: start + length] + END)
    struct.pack_into(">I", cut, start + 6, length if length_given else 0)

    assert_refused(originals[name], bytes(cut), tmp_path_factory.getbasetemp())


@pytest.mark.parametrize("lost", [0, 3, -1])
def test_a_tile_that_is_missing_is_refused(originals: dict[str, Dataset], tmp_path: Path, lost: int) -> None:
    frame = frame_of(originals["tiles"])
    start, end = tile_parts(frame)[lost]

    assert_refused(originals["tiles"], frame[:start] + frame[end:], tmp_path)


def test_packets_beyond_those_of_the_picture_are_refused(originals: dict[str, Dataset], tmp_path: Path) -> None:
    frame = bytearray(frame_of(originals["one tile"]))
    start, end = tile_parts(frame)[-1]
    struct.pack_into(">I", frame, start + 6, end - start + 3)
    frame[end:end] = bytes(3)

    assert_refused(originals["one tile"], bytes(frame), tmp_path)


def test_a_tile_part_whose_length_is_left_open_is_read(originals: dict[str, Dataset], tmp_path: Path) -> None:
    frame = bytearray(frame_of(originals["one tile"]))
    struct.pack_into(">I", frame, tile_parts(frame)[-1][0] + 6, 0)

    np.testing.assert_array_equal(outcome(of_frame(originals["one tile"], bytes(frame)), tmp_path), EIGHT)


def test_the_scans_of_a_progressive_picture_may_be_missing_so_it_is_refused(
    make: Callable[..., Dataset], tmp_path: Path
) -> None:
    frame = saved("JPEG", EIGHT, progressive=True)
    dataset = of_frame(make(stored=EIGHT), frame, syntax=JPEGBaseline8Bit)

    assert outcome(dataset, tmp_path) == "transfer_syntax"


@pytest.mark.parametrize("name", ["lossless", "lossless, first order", "extended", "baseline"])
def test_a_size_that_header_and_codestream_claim_but_the_data_cannot_hold_is_truncated(
    originals: dict[str, Dataset], tmp_path: Path, name: str
) -> None:
    original = originals[name]
    frame, rows, cols = bytearray(frame_of(original)), original.Rows, original.Columns
    size = struct.pack(">HH", rows, cols)
    frame[frame.index(size) : frame.index(size) + 4] = struct.pack(">HH", 7000, 8000)
    try:
        original.Rows, original.Columns = 7000, 8000
        assert outcome(of_frame(original, bytes(frame)), tmp_path) == "truncated"
    finally:
        original.Rows, original.Columns = rows, cols
        of_frame(original, bytes(frame).replace(struct.pack(">HH", 7000, 8000), size, 1))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
@pytest.mark.parametrize("lost", [2, 96, 3000])
def test_uncompressed_data_shorter_than_its_size_is_truncated(
    make: Callable[..., Dataset], tmp_path: Path, syntax: str, lost: int
) -> None:
    dataset = make(stored=TWELVE, transfer_syntax=syntax, PixelData=TWELVE.tobytes()[:-lost])

    assert outcome(dataset, tmp_path) == "truncated"


@settings(max_examples=NUM_EXAMPLES, derandomize=True)
@given(first=st.integers(0, 1), lost=st.integers(1, 1500), place=st.floats(0, 1))
def test_an_rle_segment_that_lost_bytes_is_truncated(
    make: Callable[..., Dataset],
    tmp_path_factory: pytest.TempPathFactory,
    first: int,
    lost: int,
    place: float,
) -> None:
    dataset = make(stored=TWELVE)
    dataset.compress(RLELossless, generate_instance_uid=False)
    frame = frame_of(dataset)
    _, begin, middle = struct.unpack_from("<3I", frame)
    high, low = frame[begin:middle], frame[middle:]
    segment = low if first else high
    lost = min(lost, len(segment) - 1)
    start = int((len(segment) - lost) * place)
    cut = segment[:start] + segment[start + lost :]
    high, low = (high, cut) if first else (cut, low)
    again = struct.pack("<16I", 2, 64, 64 + len(high), *[0] * 13) + high + low

    pixels = outcome(of_frame(dataset, again), tmp_path_factory.getbasetemp())

    # what is lost may be the byte that makes the segment's length even, or a pair of the same meaning
    assert isinstance(pixels, str) or np.array_equal(pixels, TWELVE) or lost <= 2


def speaks_to_stderr() -> None:
    os.write(2, b"Corrupt JPEG data: premature end of data segment\n")


def logs() -> None:
    logging.getLogger("openjpeg.decode").warning("tile part length is wrong")


def warns() -> None:
    warnings.warn("Image file is truncated", UserWarning, stacklevel=1)


@pytest.mark.parametrize("message", [speaks_to_stderr, logs, warns])
def test_whatever_a_decoder_prints_logs_or_warns_of_refuses_the_picture(
    message: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ImageRefused, match="truncated: the decoder has made up a part"), refused_on_message():
        message()

    sys.stderr.flush()
    assert "Corrupt" not in capfd.readouterr().err


def test_stderr_is_itself_again_after_a_picture_even_where_the_decoder_fails(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(RuntimeError), refused_on_message():
        raise RuntimeError

    os.write(2, b"heard again\n")
    assert capfd.readouterr().err == "heard again\n"


def test_what_gdcm_prints_while_it_looks_for_its_decoder_is_no_fault() -> None:
    with refused_on_message():
        os.write(2, b"Unsupported JPEG data precision 12\n")
