"""Read source files in a child process, so that a file that crashes a decoder costs one row.

The same holds for a file that needs too much memory or never ends.

Each file to read is a line of JSON on the child's standard input, each result a line of JSON on its standard output;
nothing is pickled. What decoders print is discarded: it may quote patient data.
"""

import json
import os
import resource
import select
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from system.archive.intake import Intake, source_of, stamp_of, take
from system.archive.layouts import LAYOUTS, SourceItem
from system.archive.store import Archive
from system.imaging import DicomConfig

START_TIMEOUT_S = 120.0  # importing the decoders from a cold disk
PATIENCE_S = 0.5  # wait for a child that should end by itself; then it is killed
_PIPE_BYTES = 65536
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

    def to_json(self) -> str:
        """Return the job as one line, for `from_json`."""
        return json.dumps(asdict(self) | {"dicom": self.dicom.model_dump()})

    @classmethod
    def from_json(cls, line: str) -> "ReadJob":
        """Return the job written by `to_json`."""
        fields = json.loads(line)
        return cls(**fields | {"dicom": DicomConfig(**fields["dicom"])})


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

        Raises RuntimeError when the reading process cannot be started at all.
        """
        child = self._child = self._child or self._start()
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(asdict(item)).encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            return self._failed(item, "crash", f"the reading process ended with exit status {self.close()}")
        if (line := self._next_line(timeout_s=self.job.timeout_s)) is None:
            self.close()
            return self._failed(item, "timeout", f"reading it took more than ingest.timeout_s = {self.job.timeout_s:g}")
        if not line.endswith(b"\n"):
            return self._failed(item, "crash", f"the reading process ended with exit status {self.close()}")
        return Intake(**json.loads(line))

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
        """Start a child, with this process's module path, and wait until it is ready to read."""
        environment = dict(os.environ) | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "system.archive.fence"]
        self._child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment
        )
        assert self._child.stdin is not None
        self._child.stdin.write(self.job.to_json().encode() + b"\n")
        if self._next_line(timeout_s=START_TIMEOUT_S) != b"ready\n":
            raise RuntimeError(
                f"the process that reads files cannot be started (exit status {self.close()}): see its messages above"
            )
        return self._child

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

    def _failed(self, item: SourceItem, code: str, detail: str) -> Intake:
        """Return the row of a file that the child could not finish."""
        archive, job = Archive.open(self.job.archive_uri), self.job
        source = Path(job.source)
        stamp = stamp_of(archive, LAYOUTS[job.layout], source=source, item=item, dicom=job.dicom)
        return Intake(source=source_of(archive, source, item), stamp=stamp, code=code, detail=detail)


def item_from_json(text: str) -> SourceItem:
    """Return an item from the JSON of its fields."""
    fields = json.loads(text)
    return SourceItem(**{name: _tuples(value) for name, value in fields.items()})


def _tuples(value: Any) -> Any:
    """Return a value from JSON, with tuples instead of lists."""
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def serve() -> None:
    """Run as the reading process: read the files that the parent names, until it closes the pipe."""
    with os.fdopen(os.dup(1), "w", encoding="utf8") as results:
        job = ReadJob.from_json(sys.stdin.readline())
        archive, layout = Archive.open(job.archive_uri), LAYOUTS[job.layout]
        _limit_memory(job.memory_mib)
        _discard_output()
        print("ready", file=results, flush=True)
        for line in sys.stdin:
            intake = take(archive, layout, source=Path(job.source), item=item_from_json(line), dicom=job.dicom)
            print(json.dumps(asdict(intake)), file=results, flush=True)


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
