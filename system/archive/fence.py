"""Read source files in a child process: a file that crashes a decoder, eats memory or never ends costs one row.

Each question is a line of JSON on the child's standard input, each answer a line of JSON on its standard output; nothing is pickled.
What decoders print goes nowhere: it may quote patient data.
"""

import json
import os
import resource
import select
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from system.archive.intake import Intake, source_of, stamp_of, take
from system.archive.layouts import LAYOUTS, SourceItem
from system.archive.store import Archive
from system.imaging import DicomConfig

START_TIMEOUT_S = 120.0  # importing the decoders from a cold disk
PATIENCE_S = 0.5  # for a child that should have ended by itself
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True)
class ReadJob:
    """What a child reads: one source into one archive."""

    archive_uri: str
    layout: str  # key of LAYOUTS
    source: str  # folder
    dicom: DicomConfig
    memory_mib: int  # that one file may take beyond what the child has when it starts
    timeout_s: float  # that one file may take

    def to_json(self) -> str:
        """Return one line that `from_json` reads back."""
        return json.dumps(asdict(self) | {"dicom": self.dicom.model_dump()})

    @classmethod
    def from_json(cls, line: str) -> "ReadJob":
        """Return the job written by `to_json`."""
        fields = json.loads(line)
        return cls(**fields | {"dicom": DicomConfig(**fields["dicom"])})


class Fence:
    """One child process for one job, started at the first file and again after each one that ended it."""

    def __init__(self, job: ReadJob) -> None:
        self.job = job
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The child's process id, 0 while there is none."""
        return self._child.pid if self._child else 0

    def take(self, item: SourceItem) -> Intake:
        """Return the row of one file; codes `crash` and `timeout` beside those of intake.take.

        Raises RuntimeError when the child cannot be started at all.
        """
        child = self._child = self._child or self._start()
        assert child.stdin is not None
        try:
            child.stdin.write(json.dumps(asdict(item)).encode() + b"\n")
            child.stdin.flush()
        except BrokenPipeError:
            return self._ended(item, "crash", f"the reader ended with exit status {self.close()}")
        if (answer := self._answer(timeout_s=self.job.timeout_s)) is None:
            self.close()
            return self._ended(item, "timeout", f"reading it took more than ingest.timeout_s = {self.job.timeout_s:g}")
        if not answer.endswith(b"\n"):
            return self._ended(item, "crash", f"the reader ended with exit status {self.close()}")
        return Intake(**json.loads(answer))

    def close(self) -> int:
        """End the child, if there is one, and return its exit status."""
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
        """Start a child that is ready to read; it sees the same modules as this process."""
        environment = dict(os.environ) | _ONE_THREAD | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", "system.archive.fence"]
        self._child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment)
        assert self._child.stdin is not None
        self._child.stdin.write(self.job.to_json().encode() + b"\n")
        if self._answer(timeout_s=START_TIMEOUT_S) != b"ready\n":
            raise RuntimeError(f"the process that reads files cannot be started (exit status {self.close()}): see its messages above")
        return self._child

    def _answer(self, *, timeout_s: float) -> bytes | None:
        """Return the child's next line, empty when it has ended, None when it takes too long."""
        assert self._child is not None
        assert self._child.stdout is not None
        ready, _, _ = select.select([self._child.stdout], [], [], timeout_s)
        return self._child.stdout.readline() if ready else None

    def _ended(self, item: SourceItem, code: str, detail: str) -> Intake:
        archive, job = Archive.open(self.job.archive_uri), self.job
        source = Path(job.source)
        stamp = stamp_of(archive, LAYOUTS[job.layout], source=source, item=item, dicom=job.dicom)
        return Intake(source=source_of(archive, source, item), stamp=stamp, code=code, detail=detail)


def item_from_json(text: str) -> SourceItem:
    """Return an item from the JSON of its fields."""
    fields = json.loads(text)
    return SourceItem(**{name: _tuples(value) for name, value in fields.items()})


def _tuples(value: Any) -> Any:
    """Return JSON's lists as the tuples they were."""
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def serve() -> None:
    """Read files as the parent asks, until it closes the pipe."""
    with os.fdopen(os.dup(1), "w", encoding="utf8") as answers:
        job = ReadJob.from_json(sys.stdin.readline())
        archive, layout = Archive.open(job.archive_uri), LAYOUTS[job.layout]
        _limit_memory(job.memory_mib)
        _silence()
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            intake = take(archive, layout, source=Path(job.source), item=item_from_json(line), dicom=job.dicom)
            print(json.dumps(asdict(intake)), file=answers, flush=True)


def _limit_memory(budget_mib: int) -> None:
    """Let this process take so much more than it has: private memory, which is what decoders allocate. Linux only; elsewhere no limit."""
    status = Path("/proc/self/status")
    if status.exists():
        has_kib = next(int(line.split()[1]) for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmData:"))
        limit = has_kib * 1024 + budget_mib * 1024**2
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


if __name__ == "__main__":
    serve()
