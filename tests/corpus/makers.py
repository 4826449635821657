"""Makers of the corpus: a maker takes a folder, writes one input into it and returns its path."""

import io
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
from PIL import Image
from pydicom import dcmread
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian

Maker = Callable[[Path], Path]
MAMMOGRAPHY = UID("1.2.840.10008.5.1.4.1.1.1.2")
ROWS, COLS = 160, 128


def breast(*, chest_wall: str = "left", bits: int = 12, seed: int = 0) -> np.ndarray:
    """Return half an ellipse of tissue at one side, with grain and a mass: [160, 128] uint16."""
    y, x = np.mgrid[:ROWS, :COLS]
    grain = np.random.default_rng(seed).random((ROWS, COLS))
    inside = ((y - ROWS / 2) / (0.42 * ROWS)) ** 2 + (x / (0.7 * COLS)) ** 2 < 1
    pixels = np.where(inside, 0.35 + 0.25 * grain, 0.01)
    pixels[(y - 0.4 * ROWS) ** 2 + (x - 0.3 * COLS) ** 2 < (0.05 * ROWS) ** 2] = 0.9
    pixels = pixels if chest_wall == "left" else pixels[:, ::-1]
    return np.ascontiguousarray(pixels * ((1 << bits) - 1)).astype(np.uint16)


def dataset(pixels: np.ndarray | None = None, *, syntax: str = ExplicitVRLittleEndian, **header: Any) -> Dataset:
    """Return a mammogram in which nothing is wrong but what the header changes; None deletes an element."""
    pixels = breast() if pixels is None else pixels
    bits = 8 * pixels.itemsize
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(syntax)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = MAMMOGRAPHY
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = UID("1.2.3.4")
    made.StudyInstanceUID, made.PatientID, made.Modality = UID("1.2.3"), "P1", "MG"
    made.PresentationIntentType, made.ImageLaterality, made.ViewPosition = "FOR PRESENTATION", "L", "CC"
    made.Rows, made.Columns = pixels.shape
    made.BitsAllocated, made.BitsStored, made.HighBit = bits, min(bits, 12), min(bits, 12) - 1
    made.SamplesPerPixel, made.PixelRepresentation, made.PhotometricInterpretation = 1, 0, "MONOCHROME2"
    made.PixelData = pixels.tobytes()
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        for keyword, value in header.items():
            if value is None:
                delattr(made, keyword)
            else:
                setattr(made, keyword, value)
    return made


def dicom(pixels: np.ndarray | None = None, **header: Any) -> Maker:
    """Write a mammogram with these elements."""
    return lambda folder: _saved(dataset(pixels, **header), folder)


def _saved(made: Dataset, folder: Path) -> Path:
    path = folder / "a.dcm"
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        made.save_as(path, enforce_file_format=True)
    return path


def capture(**header: Any) -> Maker:
    """Write a picture of the class Secondary Capture."""

    def make(folder: Path) -> Path:
        made = dataset(**header)
        made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
        return _saved(made, folder)

    return make


def patched(old: bytes, new: bytes, **header: Any) -> Maker:
    """Write a mammogram and change bytes of the file once; what pydicom would not write."""

    def make(folder: Path) -> Path:
        path = _saved(dataset(**header), folder)
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))
        return path

    return make


def cut_file(share: float, **header: Any) -> Maker:
    """Write only the beginning of a file."""

    def make(folder: Path) -> Path:
        path = _saved(dataset(**header), folder)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
        return path

    return make


def content(data: bytes, name: str = "a.dcm") -> Maker:
    """Write these bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def by_gdcm(syntax: int, pixels: np.ndarray, change: Callable[[bytes], bytes] = lambda frame: frame) -> Maker:
    """Write a picture that GDCM compressed, its codestream changed."""

    def make(folder: Path) -> Path:
        path = _saved(dataset(pixels), folder)
        reader, coder, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        assert reader.Read()
        coder.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        coder.SetInput(reader.GetImage())
        assert coder.Change()
        writer.SetFileName(str(path))
        writer.SetFile(reader.GetFile())
        writer.SetImage(coder.GetOutput())
        assert writer.Write()
        return _with_frame(dcmread(path), change, folder)

    return make


def by_pydicom(syntax: str, change: Callable[[bytes], bytes] = lambda frame: frame) -> Maker:
    """Write a picture that pydicom's encoders compressed, its codestream changed."""

    def make(folder: Path) -> Path:
        made = dataset()
        made.compress(syntax, generate_instance_uid=False)
        return _with_frame(made, change, folder)

    return make


def _with_frame(made: Dataset, change: Callable[[bytes], bytes], folder: Path) -> Path:
    made.PixelData = encapsulate([change(get_frame(made.PixelData, 0, number_of_frames=1))])
    made["PixelData"].is_undefined_length = True
    return _saved(made, folder)


def half_but_ended(frame: bytes) -> bytes:
    """Cut a codestream in the middle and end it with the end marker of JPEG and JPEG 2000."""
    return frame[: len(frame) // 2] + b"\xff\xd9"


def last_packet_lost(frame: bytes) -> bytes:
    """Cut a JPEG 2000 tile-part to its first bytes and correct its length: what is missing reads as empty packets."""
    start = frame.index(b"\xff\x90")
    cut = bytearray(frame[: start + 14 + 3] + b"\xff\xd9")
    struct.pack_into(">I", cut, start + 6, 17)
    return bytes(cut)


def half_an_rle_segment(frame: bytes) -> bytes:
    """Cut the second segment in half, with the offsets right."""
    second = struct.unpack_from("<3I", frame)[2]
    return frame[: second + (len(frame) - second) // 2]


def deflate_bomb(folder: Path) -> Path:
    """Write a small deflated file that inflates to 300 MB."""
    path = _saved(dataset(syntax=DeflatedExplicitVRLittleEndian), folder)
    data = path.read_bytes()
    meta = data[: data.index(b"1.2.840.10008.1.2.1.99") + 22]
    deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    piece = bytes(1_000_000)
    path.write_bytes(meta + b"".join(deflater.compress(piece) for _ in range(300)) + deflater.flush())
    return path


def big_endian(folder: Path) -> Path:
    """Write a file of the retired big endian syntax."""
    path = folder / "a.dcm"
    made = dataset(syntax="1.2.840.10008.1.2.2", PixelData=breast().byteswap().tobytes())
    made["PixelData"].VR = "OW"
    made.save_as(path, enforce_file_format=True)
    return path


def code(value: str, *, modifier: str = "") -> list[Dataset]:
    """Return a View Code Sequence, with a modifier where one is given."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, "SCT"
    if modifier:
        inner = Dataset()
        inner.CodeValue, inner.CodingSchemeDesignator, inner.CodeMeaning = modifier, "SCT", "JANE DOE"
        item.ViewModifierCodeSequence = [inner]
    return [item]


def lut(**elements: Any) -> list[Dataset]:
    """Return a sequence of one lookup table with these elements."""
    item = Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return [item]


def item() -> list[Dataset]:
    """Return a sequence of one empty item."""
    return [Dataset()]


def png(pixels: np.ndarray, *, mode: str = "", name: str = "a.png") -> Maker:
    """Write a picture with Pillow, converted to a mode where one is given."""

    def make(folder: Path) -> Path:
        picture = Image.fromarray(pixels)
        (picture.convert(mode) if mode else picture).save(folder / name)
        return folder / name

    return make


def png_of_rows(num_rows: int, *, claimed: tuple[int, int], extra: bytes = b"") -> Maker:
    """Write a gray PNG, right in every checksum, whose data has so many rows of the claimed height and width."""
    height, width = claimed
    lines = zlib.compress((b"\0" + b"\7" * width) * num_rows)
    header = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + extra + _chunk(b"IDAT", lines) + _chunk(b"IEND", b"")
    return content(data, "a.png")


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def text_bomb() -> bytes:
    """Return a compressed text chunk that inflates to 100 MB."""
    return _chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9))


def pgm(pixels: np.ndarray, *, lost: int = 0) -> Maker:
    """Write an 8-bit PGM without its last bytes."""
    data = b"P5\n%d %d\n255\n" % pixels.shape[::-1] + pixels.astype(np.uint8).tobytes()
    return content(data[: len(data) - lost], "a.pgm")


def picture_of(kind: str) -> bytes:
    """Return a small picture in another format."""
    file = io.BytesIO()
    Image.fromarray((breast() >> 4).astype(np.uint8)).save(file, kind)
    return file.getvalue()


def framed(width: int, *, sides: str = "tbrl", askew: int = 0) -> np.ndarray:
    """Return a film of 460 x 300 px with a white frame, one end of each side wider where it lies askew."""
    film = np.kron(breast(bits=16), np.ones((3, 3), np.uint16)).clip(4000)
    rows, cols = film.shape
    y, x = np.mgrid[:rows, :cols]
    wider = askew * x / cols, askew * y / rows
    for side, white in {
        "t": y < width + wider[0],
        "b": y >= rows - width - wider[0],
        "l": x < width + wider[1],
        "r": x >= cols - width - wider[1],
    }.items():
        if side in sides:
            film[white] = 65535
    return film
