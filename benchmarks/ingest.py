"""Ingest against a bare pydicom loop with the same steps, per core: native, JPEG 2000 and JPEG lossless, full size.

python benchmarks/ingest.py                # rates, medians of three turns each, taken in alternation
python benchmarks/ingest.py --memory 2000  # memory of the reading process over so many files
"""

import argparse
import hashlib
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gdcm
import numpy as np
from pydicom import dcmread
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian

from system.archive import Archive
from system.archive.fence import Fence, ReadJob
from system.archive.layouts import LAYOUTS
from system.imaging import DicomConfig, ImagingConfig, canonical_view, encode_png
from system.phantom import PhantomConfig, write_phantom

ROWS, COLS = 3328, 2560
IMAGING = ImagingConfig(height_px=1024, width_px=800)
SYNTAXES = ("native", "JPEG 2000", "JPEG lossless")
TURNS = 3
DECODER_HEADROOM_MIB = 3072


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exams", type=int, default=3, help="phantom exams of four views per transfer syntax")
    parser.add_argument(
        "--memory", type=int, default=0, metavar="FILES", help="watch memory over so many files instead"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as text:
        sources = {name: _write(Path(text) / name, name, num_exams=options.exams) for name in SYNTAXES}
        if options.memory:
            _watch_memory(sources, num_files=options.memory)
        else:
            _compare(sources)


def _compare(sources: dict[str, Path]) -> None:
    about = f"{ROWS}x{COLS}, 12 bit, one core, medians of {TURNS}"
    print(f"{'files':>14} {'bare/s':>8} {'ours/s':>8} {'ratio':>6}   ({about})")
    for name, source in sources.items():
        pairs = [(_bare_rate(source), _our_rate(source)) for _ in range(TURNS)]
        bare, ours = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(
            f"{name:>14} {bare:8.2f} {ours:8.2f} {statistics.median(second / first for first, second in pairs):6.2f}",
            flush=True,
        )


def _bare_rate(source: Path) -> float:
    """Return images/s of pydicom, the canonical view, PNG and a file named by its hash, and nothing else."""
    files = sorted((source / "dicom").rglob("*.dcm"))
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        for path in files:
            dataset = dcmread(path)
            values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset, index=0).astype(
                np.float32
            )
            if dataset.PhotometricInterpretation == "MONOCHROME1":
                values = values.max() - values
            view, _ = canonical_view(values, config=IMAGING)
            name = hashlib.sha256(np.ascontiguousarray(view).tobytes()).hexdigest()
            (Path(out) / f"{name}.png").write_bytes(encode_png(view))
        return len(files) / (time.perf_counter() - start)


def _our_rate(source: Path) -> float:
    """Return images/s of the reading process, started and warm.

    With the fence, ids, stamps, the archive's pixel store and checks.
    """
    with tempfile.TemporaryDirectory() as out:
        with _fence(source, Path(out)) as fence:
            items = LAYOUTS["dicom"].items(source)
            fence.take(items[0])
            start = time.perf_counter()
            codes = [fence.take(item).code for item in items]
            rate = len(items) / (time.perf_counter() - start)
        assert not any(codes), codes
        return rate


def _watch_memory(sources: dict[str, Path], *, num_files: int) -> None:
    """Print the reading process's resident memory while it reads the same files again and again."""
    for name, source in sources.items():
        with tempfile.TemporaryDirectory() as out, _fence(source, Path(out)) as fence:
            items, marks = LAYOUTS["dicom"].items(source), {}
            for number in range(1, num_files // len(sources) + 1):
                fence.take(items[number % len(items)])
                if number in (50, num_files // len(sources)):
                    marks[number] = _memory_mib(fence)
            print(
                f"{name:>14}: "
                + ", ".join(f"after {number} files {now} MiB, peak {peak} MiB" for number, (now, peak) in marks.items())
            )


@contextmanager
def _fence(source: Path, out: Path) -> Iterator[Fence]:
    """Give a fence on a fresh archive."""
    archive = Archive.create(out, imaging=IMAGING)
    fence = Fence(
        ReadJob(archive.uri, "dicom", str(source), DicomConfig(), memory_mib=DECODER_HEADROOM_MIB, timeout_s=120)
    )
    yield fence
    fence.close()


def _memory_mib(fence: Fence) -> tuple[int, int]:
    """Return resident memory and its peak."""
    assert fence.pid
    lines = Path(f"/proc/{fence.pid}/status").read_text(encoding="ascii").splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) // 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
    return found["VmRSS"], found["VmHWM"]


def _write(folder: Path, syntax: str, *, num_exams: int) -> Path:
    """Write phantom exams whose files all have one transfer syntax."""
    share = 1.0 if syntax == "JPEG 2000" else 0.0
    config = PhantomConfig(height_px=ROWS, width_px=COLS, jpeg2000_share=share)
    write_phantom(folder, num_exams=num_exams, seed=1, config=config)
    for path in _files(folder):
        if syntax == "JPEG lossless":
            _to_jpeg_lossless(path)
    return folder


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted((folder / "dicom").rglob("*.dcm"))


def _to_jpeg_lossless(path: Path) -> None:
    assert dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGLosslessProcess14_1))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()


if __name__ == "__main__":
    main()
