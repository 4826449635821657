"""Reading in a child process: a file that ends it costs one row."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from system.archive import Archive
from system.archive.fence import Fence, ReadJob, item_from_json
from system.archive.layouts import LAYOUTS, SourceItem
from system.imaging import DicomConfig, ImagingConfig
from system.phantom import PhantomConfig, write_phantom


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    write_phantom(folder, num_exams=1, seed=3, config=PhantomConfig(height_px=160, width_px=128, jpeg2000_share=0))
    large = dcmread(sorted((folder / "dicom").rglob("*.dcm"))[0])
    large.Rows, large.Columns = 7000, 6000
    large.PixelData = np.zeros((7000, 6000), np.uint16).tobytes()
    large.SOPInstanceUID = "1.2.3.4"
    large.save_as(folder / "dicom" / "large.dcm")
    return folder


@pytest.fixture
def fence(source: Path, tmp_path: Path) -> Iterator[Fence]:
    archive = Archive.create(tmp_path, imaging=ImagingConfig(height_px=96, width_px=64), site_key=bytes(32))
    made = Fence(ReadJob(archive.uri, "phantom", str(source), DicomConfig(), memory_mib=200, timeout_s=60))
    yield made
    made.close()


def good(source: Path) -> SourceItem:
    return LAYOUTS["phantom"].items(source)[0]


def test_a_good_file_is_taken_and_its_pixels_are_stored(fence: Fence, source: Path) -> None:
    intake = fence.take(good(source))

    assert intake.code == ""
    assert Archive.open(fence.job.archive_uri).pixels(intake.pixel_sha).shape == (96, 64)


def test_a_file_that_needs_too_much_memory_is_one_row_and_the_child_goes_on(fence: Fence, source: Path) -> None:
    codes = [fence.take(item).code for item in (SourceItem("large.dcm"), good(source))]

    assert codes == ["memory", ""]


def test_a_child_that_dies_is_one_row_and_the_next_file_gets_a_new_one(fence: Fence, source: Path) -> None:
    fence.take(good(source))
    os.kill(fence.pid, signal.SIGSEGV)

    crashed, after = fence.take(good(source)), fence.take(good(source))

    assert (crashed.code, crashed.detail) == ("crash", "the reading process ended with exit status -11")
    assert after.code == ""
    assert (crashed.source, crashed.stamp) == (after.source, after.stamp)


def test_a_child_that_never_returns_is_one_row_and_the_next_file_gets_a_new_one(source: Path, tmp_path: Path) -> None:
    archive = Archive.create(tmp_path, imaging=ImagingConfig(height_px=96, width_px=64), site_key=bytes(32))
    fence = Fence(ReadJob(archive.uri, "phantom", str(source), DicomConfig(), memory_mib=200, timeout_s=15))
    fence.take(good(source))
    os.kill(fence.pid, signal.SIGSTOP)

    codes = [fence.take(item).code for item in (good(source), good(source))]

    fence.close()
    assert codes == ["timeout", ""]


def test_a_child_that_cannot_start_is_an_error_not_a_row(source: Path, tmp_path: Path) -> None:
    fence = Fence(ReadJob(str(tmp_path / "none"), "phantom", str(source), DicomConfig(), memory_mib=200, timeout_s=60))

    with pytest.raises(RuntimeError, match=r"cannot be started \(exit status 1\)"):
        fence.take(good(source))


def test_a_job_and_an_item_come_back_from_their_line(source: Path) -> None:
    job = ReadJob("a", "phantom", "b", DicomConfig(allow_for_processing=True), memory_mib=3, timeout_s=0.5)

    assert ReadJob.from_json(job.to_json()) == job
    item = SourceItem("f", masks=("a", "b"), circles_px=((1.0, 2.0, 3.0),))
    assert item_from_json(json.dumps(asdict(item))) == item


def test_a_child_that_stops_within_a_line_is_a_timeout_too(fence: Fence, source: Path) -> None:
    code = "import sys, time; sys.stdin.readline(); print('half a', end='', flush=True); time.sleep(60)"
    fence._child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    fence.job = replace(fence.job, timeout_s=1.0)
    assert fence.take(good(source)).code == "timeout"
    assert fence.pid == 0
