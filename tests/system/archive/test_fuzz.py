"""Files with bytes changed at random: each one is a row, and the reading process stays within its memory.

MAMMOLOOP_FUZZ_FILES is their number (10000 for a release; --log-cli-level=INFO shows the counts).
"""

import logging
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import RLELossless

from system.archive import Archive
from system.archive.fence import Fence, ReadJob
from system.archive.layouts import SourceItem
from system.imaging import DicomConfig, ImagingConfig
from system.phantom import PhantomConfig, write_phantom

log = logging.getLogger(__name__)
NUM_FILES = int(os.environ.get("MAMMOLOOP_FUZZ_FILES", "200"))
MEMORY_MIB = 512
SMALL = PhantomConfig(height_px=96, width_px=64)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return a small file of each of three transfer syntaxes, as bytes."""
    folder = tmp_path_factory.mktemp("originals")
    for name, share in (("native", 0.0), ("jpeg2000", 1.0)):
        write_phantom(folder / name, num_exams=1, seed=1, config=SMALL.model_copy(update={"jpeg2000_share": share}))
    native, jpeg2000 = (sorted((folder / name / "dicom").rglob("*.dcm"))[0] for name in ("native", "jpeg2000"))
    rle = dcmread(native)
    rle.compress(RLELossless)
    rle.save_as(folder / "rle.dcm")
    return [path.read_bytes() for path in (native, jpeg2000, folder / "rle.dcm")]


@pytest.mark.slow
def test_every_mutated_file_is_one_row_and_memory_stays_bounded(originals: list[bytes], tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    archive = Archive.create(tmp_path / "archive", imaging=ImagingConfig(height_px=64, width_px=32), site_key=bytes(32))
    fence = Fence(ReadJob(archive.uri, "dicom", str(source), DicomConfig(), memory_mib=MEMORY_MIB, timeout_s=30))
    rng, codes, most_mib = np.random.default_rng(1), Counter(), 0
    for number in range(NUM_FILES):
        (source / "file.dcm").write_bytes(_mutated(originals[number % len(originals)], rng=rng))
        codes[fence.take(SourceItem("file.dcm")).code] += 1
        most_mib = max(most_mib, _private_mib(fence.pid))
    fence.close()

    log.info("%d files: %s, largest private memory %d MiB", NUM_FILES, dict(codes.most_common()), most_mib)
    assert sum(codes.values()) == NUM_FILES
    assert codes[""] < NUM_FILES, "no mutation was noticed at all"
    assert most_mib < MEMORY_MIB + 400  # what the process has before it reads anything


def _mutated(data: bytes, *, rng: np.random.Generator) -> bytes:
    """Change bytes, and at times cut some out; half the time in the header only."""
    changed = bytearray(data)
    end = min(len(data), 2000) if rng.random() < 0.5 else len(data)
    for place in rng.integers(0, end, size=rng.integers(1, 12)):
        changed[place] = rng.integers(256)
    if rng.random() < 0.2:
        start = int(rng.integers(len(changed)))
        del changed[start : start + int(rng.integers(1, 500))]
    return bytes(changed)


def _private_mib(pid: int) -> int:
    """Return a process's private writable memory; 0 while there is none."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text(encoding="ascii").splitlines() if pid and status.exists() else []
    return next((int(line.split()[1]) // 1024 for line in lines if line.startswith("VmData:")), 0)
