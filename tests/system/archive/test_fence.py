"""Reading in a child process: a file that ends it costs one row."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from system.archive import Archive
from system.archive import fence as fence_module
from system.archive.fence import Fence, ReadJob, item_from_json
from system.archive.layouts import LAYOUTS, SourceItem
from system.errors import MachineFault, UserError
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


@pytest.fixture
def held(fence: Fence, monkeypatch: pytest.MonkeyPatch) -> Fence:
    """The same, whose readers are held as soon as they are ready: what they are asked, they have not answered yet."""
    start = fence._started

    def started() -> subprocess.Popen[bytes] | None:
        if child := start():
            os.kill(child.pid, signal.SIGSTOP)
        return child

    monkeypatch.setattr(fence, "_started", started)
    return fence


@contextmanager
def ending(fence: Fence, *numbers: int) -> Iterator[None]:
    """Send each signal to a reader of its own while it is held; SIGCONT lets one go on."""

    def act() -> None:
        before = 0
        for number in numbers:
            while fence.pid in {0, before} or state_of(fence.pid) != "T":
                time.sleep(0.02)
            before = fence.pid
            time.sleep(0.3)  # the question is asked within less
            os.kill(before, number)
            os.kill(before, signal.SIGCONT)

    actor = threading.Thread(target=act, daemon=True)
    actor.start()
    yield
    actor.join(5)


def state_of(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_file_that_crashes_its_reader_is_one_row_and_the_next_file_gets_a_new_one(held: Fence, source: Path) -> None:
    with ending(held, signal.SIGSEGV, signal.SIGCONT):
        crashed, after = held.take(good(source)), held.take(good(source))

    assert (crashed.code, crashed.detail) == ("crash", "the reading process ended with exit status -11")
    assert after.code == ""
    assert (crashed.source, crashed.stamp) == (after.source, after.stamp)


def test_a_reader_killed_between_two_files_costs_neither(fence: Fence, source: Path) -> None:
    fence.take(good(source))
    killed = fence.pid
    os.kill(killed, signal.SIGKILL)
    while state_of(killed) != "Z":
        time.sleep(0.01)

    assert fence.take(good(source)).code == ""
    assert fence.pid != killed


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_file_whose_reader_is_ended_from_outside_once_is_read_once_more(
    held: Fence, source: Path, number: int, caplog: pytest.LogCaptureFixture
) -> None:
    with ending(held, number, signal.SIGCONT):
        taken = held.take(good(source))

    assert taken.code == ""
    assert f"ended with exit status {-number}: it is started again" in caplog.text
    assert good(source).name not in caplog.text


def test_only_the_second_death_of_its_reader_is_the_files(held: Fence, source: Path) -> None:
    with ending(held, signal.SIGKILL, signal.SIGKILL, signal.SIGCONT):
        crashed, after = held.take(good(source)), held.take(good(source))

    assert (crashed.code, crashed.detail) == ("crash", "the reading process ended with exit status -9")
    assert after.code == ""


@pytest.fixture
def impatient(source: Path, tmp_path: Path) -> Iterator[Fence]:
    archive = Archive.create(tmp_path, imaging=ImagingConfig(height_px=96, width_px=64), site_key=bytes(32))
    made = Fence(ReadJob(archive.uri, "phantom", str(source), DicomConfig(), memory_mib=200, timeout_s=4))
    made.take(good(source))
    yield made
    made.close()


def test_a_file_that_takes_too_long_is_one_row_and_the_next_file_gets_a_new_reader(
    impatient: Fence, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(impatient.pid, signal.SIGSTOP)
    monkeypatch.setattr(fence_module, "_state_of", lambda _: "R")  # as if it were computing
    late = impatient.take(good(source))

    assert (late.code, late.detail) == ("timeout", "reading it took more than ingest.timeout_s = 4")
    assert impatient.take(good(source)).code == ""


def test_a_reader_that_waits_for_its_disk_too_long_is_the_machines_fault(
    impatient: Fence, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.kill(impatient.pid, signal.SIGSTOP)
    monkeypatch.setattr(fence_module, "_state_of", lambda _: "D")

    with pytest.raises(MachineFault, match="does not answer, reading a file waited for it for 4 s: check"):
        impatient.take(good(source))


def test_a_reader_that_is_stopped_from_outside_is_replaced_and_costs_no_file(
    impatient: Fence, source: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopped = impatient.pid
    os.kill(stopped, signal.SIGSTOP)

    assert impatient.take(good(source)).code == ""
    assert impatient.pid != stopped
    assert "the reading process was stopped: it is started again" in caplog.text


def test_a_store_that_fails_is_nobodys_file_and_the_same_file_is_taken_afterwards(fence: Fence, source: Path) -> None:
    pixels = Path(fence.job.archive_uri) / "pixels"
    pixels.write_bytes(b"")  # no folder, so nothing can be stored

    with pytest.raises(MachineFault, match=r"the storage failed to read or write \(pixels of .*\), NotADirectoryError"):
        fence.take(good(source))

    pixels.unlink()
    assert fence.take(good(source)).code == ""


def test_a_reader_without_an_archive_is_the_users_mistake(source: Path, tmp_path: Path) -> None:
    fence = Fence(ReadJob(str(tmp_path / "none"), "phantom", str(source), DicomConfig(), memory_mib=200, timeout_s=60))

    with pytest.raises(UserError, match="there is no archive at"):
        fence.take(good(source))


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exit 3", RuntimeError(r"cannot be started \(exit status 3\)")),
        ("kill -9 $$", MachineFault("a process was killed or lost, the one that reads files, each time before")),
    ],
)
def test_a_reader_that_cannot_start_is_an_error_not_a_row(
    fence: Fence, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, error: Exception
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))

    with pytest.raises(type(error), match=str(error)):
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
