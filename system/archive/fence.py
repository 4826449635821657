"""Read source files in a child process, so that a file that crashes a decoder costs one row.

The same holds for a file that needs too much memory or never ends. What ends or stops the child from outside is not
the file's: a new child reads it once more. What a storage does is nobody's file at all and ends the job.

Each file to read is a line of JSON on the child's standard input, each answer a line of JSON on its standard output;
nothing is pickled. What decoders print is discarded: it may quote patient data.
"""

import json
import logging
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from system.archive.intake import Intake, folder_of, source_of, stamp_of, take
from system.archive.layouts import LAYOUTS, SourceItem
from system.archive.source_picture import PictureFolder, take_picture
from system.archive.store import Archive
from system.errors import MachineFault, UserError
from system.faults import KILLED, SILENT, machine_fault, storage
from system.imaging import DicomConfig, DisplayConfig

log = logging.getLogger(__name__)
START_TIMEOUT_S = 120.0  # importing the decoders from a cold disk
PATIENCE_S = 0.5  # wait for a child that should end by itself; then it is killed
_PIPE_BYTES = 65536
READY = "ready"
# Exit statuses of a child that the kernel (memory), an operator or a container ended, not a decoder.
_FROM_OUTSIDE = tuple(-number for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
_STOPPED, _WAITS_FOR_DISK = "Tt", "D"  # states of a process (proc(5))
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class ReadJob:
    """What a reading process works on: one source folder, one archive, and the limits for one file."""

    archive_uri: str
    layout: str  # key of LAYOUTS
    source: str  # folder
    dicom: DicomConfig
    memory_mib: int  # limit for one file, beyond what the child has when it starts
    timeout_s: float  # limit for one file
    pictures: PictureFolder | None = None  # for pictures of the archive's images; None = the files are taken in

    def to_json(self) -> str:
        """Return the job as one line, for `from_json`."""
        fields = asdict(self) | {"dicom": self.dicom.model_dump()}
        if self.pictures:
            fields["pictures"] = {"folder": self.pictures.folder, "display": self.pictures.display.model_dump()}
        return json.dumps(fields)

    @classmethod
    def from_json(cls, line: str) -> "ReadJob":
        """Return the job written by `to_json`."""
        fields = json.loads(line)
        if found := fields["pictures"]:
            fields["pictures"] = PictureFolder(found["folder"], DisplayConfig(**found["display"]))
        return cls(**fields | {"dicom": DicomConfig(**fields["dicom"])})


@dataclass(frozen=True)
class _Ended:
    """A reading process that gave no answer."""

    code: str  # of the quarantine, if the file is to blame
    detail: str
    from_outside: bool


class Fence:
    """One reading process for one job, started at the first file and again after each file that ended it."""

    def __init__(self, job: ReadJob) -> None:
        self.job = job
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The id of the reading process, 0 while there is none."""
        return self._child.pid if self._child else 0

    def take(self, item: SourceItem) -> Intake:
        """Return the row of one file; its code is `crash`, `timeout` or one of those of intake.take.

        A process that was ended or stopped from outside is started again and reads the file once more.

        Raises:
            MachineFault: a storage failed, or the reading process is killed before it can begin.
            UserError: as of intake.take.
            RuntimeError: the reading process cannot be started at all.
        """
        answer = self._ask(item)
        if isinstance(answer, _Ended) and answer.from_outside:
            log.warning("%s: it is started again, and reads its file once more", answer.detail)
            answer = self._ask(item)
        return self._failed(item, answer) if isinstance(answer, _Ended) else answer

    def _ask(self, item: SourceItem) -> Intake | _Ended:
        child = self._child = self._child or self._start()
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(asdict(item)).encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:  # it was gone before it was asked
            return self._ended(self.close(), from_outside=True)
        if (line := self._next_line(timeout_s=self.job.timeout_s)) is None:
            return self._too_slow()
        if not line.endswith(b"\n"):
            status = self.close()
            return self._ended(status, from_outside=status in _FROM_OUTSIDE)
        return self._answer(line)

    def _answer(self, line: bytes) -> Intake:
        """Return the row that the child sent; one that sent an error instead has ended."""
        try:
            return _answer(line)
        except (MachineFault, UserError):
            self.close()
            raise

    def _ended(self, status: int, *, from_outside: bool) -> _Ended:
        return _Ended("crash", f"the reading process ended with exit status {status}", from_outside)

    def _too_slow(self) -> _Ended:
        """End a child that did not answer in time. Raises MachineFault where it waits for a storage."""
        state = _state_of(self.pid)
        self.close()
        if state == _WAITS_FOR_DISK:
            raise machine_fault(SILENT, detail=f"reading a file waited for it for {self.job.timeout_s:g} s")
        if state and state in _STOPPED:
            return _Ended("timeout", "the reading process was stopped", from_outside=True)
        detail = f"reading it took more than ingest.timeout_s = {self.job.timeout_s:g}"
        return _Ended("timeout", detail, from_outside=False)

    def close(self) -> int:
        """End the reading process and return its exit status; 0 when there is none."""
        child, self._child = self._child, None
        if child is None:
            return 0
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.close()
        try:
            return child.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait()
        finally:
            child.stdout.close()

    def _start(self) -> subprocess.Popen[bytes]:
        """Start a child, with this process's module path, and wait until it is ready to read; try it twice."""
        for _ in range(2):
            if child := self._started():
                return child
        raise machine_fault(KILLED, detail="the one that reads files, each time before it could begin")

    def _started(self) -> subprocess.Popen[bytes] | None:
        """Return a new child that is ready; None where it was ended from outside."""
        environment = dict(os.environ) | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "system.archive.fence"]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment
        )
        assert self._child.stdin is not None
        with suppress(BrokenPipeError):
            self._child.stdin.write(self.job.to_json().encode() + b"\n")
        line = self._next_line(timeout_s=START_TIMEOUT_S)
        if line and line.endswith(b"\n"):
            if json.loads(line) == READY:
                return self._child
            self._answer(line)
        if (status := self.close()) in _FROM_OUTSIDE:
            return None
        raise RuntimeError(
            f"the process that reads files cannot be started (exit status {status}): see its messages above"
        )

    def _next_line(self, *, timeout_s: float) -> bytes | None:
        """Return the child's next line: without a line end when the child has ended, None after `timeout_s`."""
        assert self._child is not None
        assert self._child.stdout is not None
        pipe, deadline_s, line = self._child.stdout.fileno(), time.monotonic() + timeout_s, b""
        while not line.endswith(b"\n"):  # a child that stops within a line must not keep us waiting either
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline_s - time.monotonic()))
            if not ready:
                return None
            if not (part := os.read(pipe, _PIPE_BYTES)):
                break
            line += part
        return line

    def _failed(self, item: SourceItem, ended: _Ended) -> Intake:
        """Return the row of a file that the child could not finish."""
        archive, job = Archive.open(self.job.archive_uri), self.job
        source = Path(job.source)
        stamp = stamp_of(archive, LAYOUTS[job.layout], source=source, item=item, dicom=job.dicom)
        place = source_of(archive, source, item)
        return Intake(place, stamp, folder_of(archive, source), code=ended.code, detail=ended.detail)


def _answer(line: bytes) -> Intake:
    """Return the row that a child sent. Raises the MachineFault or the UserError that it sent instead."""
    answer = json.loads(line)
    if text := answer.get("fault"):
        raise MachineFault(text)
    if text := answer.get("mistake"):
        raise UserError(text)
    return Intake(**answer["row"])


def _state_of(pid: int) -> str:
    """Return the letter of a process's state (proc(5)); "" where the system does not show it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf8").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def item_from_json(text: str) -> SourceItem:
    """Return an item from the JSON of its fields."""
    fields = json.loads(text)
    return SourceItem(**{name: _tuples(value) for name, value in fields.items()})


def _tuples(value: Any) -> Any:
    """Return a value from JSON, with tuples instead of lists."""
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def serve() -> None:
    """Run as the reading process: read the files that the parent names, until it closes the pipe."""
    with os.fdopen(os.dup(1), "w", encoding="utf8") as answers:
        try:
            for answer in _answers():
                print(json.dumps(answer), file=answers, flush=True)
        except MachineFault as fault:
            print(json.dumps({"fault": str(fault)}), file=answers, flush=True)
        except UserError as mistake:
            print(json.dumps({"mistake": str(mistake)}), file=answers, flush=True)


def _answers() -> Iterator[object]:
    """Give READY, then a row for each line of the standard input."""
    job = ReadJob.from_json(sys.stdin.readline())
    with storage(job.archive_uri):
        archive, layout = Archive.open(job.archive_uri), LAYOUTS[job.layout]
    _limit_memory(job.memory_mib)
    _discard_output()
    yield READY
    read = partial(take_picture, into=job.pictures) if job.pictures else take
    for line in sys.stdin:
        intake = read(archive, layout, source=Path(job.source), item=item_from_json(line), dicom=job.dicom)
        yield {"row": asdict(intake)}


def _limit_memory(budget_mib: int) -> None:
    """Limit this process to its present private memory, which is what decoders allocate, plus a budget.

    Linux only; elsewhere there is no limit.
    """
    status = Path("/proc/self/status")
    if status.exists():
        has_kib = next(
            int(line.split()[1])
            for line in status.read_text(encoding="ascii").splitlines()
            if line.startswith("VmData:")
        )
        limit = has_kib * 1024 + budget_mib * 1024**2
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _discard_output() -> None:
    """Send what this process prints to the null device."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


if __name__ == "__main__":
    serve()
