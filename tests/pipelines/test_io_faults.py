"""Every call to the disk fails in turn, in what each stage writes: the machine's fault, no partial file, the same end.

The stages' own writing is done in this process, without Ray and without networks that learn. Two ways of failing: a
call of the operating system raises (a full disk, a broken one), and a file cannot grow beyond a size (RLIMIT_FSIZE),
which Arrow's, Delta's and safetensors' own code meets too, in the middle of a write.
"""

import errno
import io
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from actors.miner import Miner
from system.archive import Archive, SplitConfig
from system.archive.intake import Intake, take
from system.archive.layouts import LAYOUTS
from system.archive.settle import write_settled
from system.archive.tables import SCHEMAS
from system.faults import fault_of
from system.files.atomic import PARTIAL, append_line, write_bytes, write_text
from system.files.parquet import write_table
from system.imaging import DicomConfig, ImagingConfig
from system.mining import Columns, Shard, read_pool
from system.nets import ModelCard, write_model
from system.phantom import PhantomConfig, write_phantom
from system.run.results import ArchivePin
from system.run.stage import Stage, Written
from system.schemas import PREDICTIONS
from system.training.checkpoint import TrainingPosition, write_training_state

IMAGING = ImagingConfig(height_px=64, width_px=64)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hospital")
    write_phantom(folder, num_exams=1, seed=3, config=PhantomConfig(height_px=96, width_px=96, jpeg2000_share=0))
    return folder


def ingest(place: Path, source: Path) -> None:
    archive, layout = Archive.create(place / "archive", imaging=IMAGING, site_key=bytes(32)), LAYOUTS["phantom"]
    intakes = [
        take(archive, layout, source=source, item=item, dicom=DicomConfig()) for item in layout.items(source)[:1]
    ]
    assert not any(intake.code for intake in intakes), "a fault of the disk was put down to a file"
    rows = [{name: getattr(intake, name) for name in SCHEMAS["files"].names} for intake in intakes]
    archive.upsert("files", pa.Table.from_pylist(rows, schema=SCHEMAS["files"]))
    known = [Intake(**row) for row in archive.table("files").to_pylist()]
    write_settled(archive, known, config=SplitConfig(), overwrite=False)


def ingested(place: Path) -> object:
    archive = Archive.open(place / "archive")
    rows = {name: sorted(map(str, archive.table(name).to_pylist())) for name in ("files", "images", "quarantine")}
    return rows, [archive.pixels(sha).sum() for sha in sorted(archive.table("images")["pixel_sha"].to_pylist())]


def label(place: Path, _: Path) -> None:
    archive = Archive.create(place / "archive", imaging=IMAGING, site_key=bytes(32))
    labels = pa.Table.from_pylist(
        [{"study_id": "a", "side": side, "p_mass": 0.5, "model": "m", "report_version": 1} for side in "LR"],
        schema=SCHEMAS["labels"],
    )

    def write(attempt: Path) -> Written[ArchivePin]:
        write_table(labels, attempt / "labels.parquet")
        archive.upsert("labels", labels)
        return Written(ArchivePin("x", {}, "y"), files=[attempt / "labels.parquet"])

    Stage(place, "labels", ArchivePin).once(write)


def labelled(place: Path) -> object:
    archive = Archive.open(place / "archive")
    return sorted(map(str, archive.table("labels").to_pylist())), finished(place, "labels")


def infer(place: Path, _: Path) -> None:
    rows = [dict.fromkeys(PREDICTIONS.names) | {"image_key": key, "image_id": str(key)} for key in range(3)]

    def write(attempt: Path) -> Written[ArchivePin]:
        files = [attempt / f"part_{number}.parquet" for number in range(2)]
        for path in files:
            if not path.exists():
                write_table(pa.Table.from_pylist(rows, schema=PREDICTIONS), path)
        return Written(ArchivePin("x", {}, "y"), files=files)

    Stage(place, "predictions", ArchivePin).once(write, inputs="the same")


def mine(place: Path, _: Path) -> None:
    """Mine one shard, whose predictions were written before."""
    keys, half = np.arange(8, dtype=np.int64), np.full(8, 0.9, np.float32)
    columns = Columns(keys, half, half, np.ones(8, bool))
    if not (place / "part.parquet").exists():
        png = {"map_png": b"map", "mask_png": b"mask"}
        rows = [dict.fromkeys(PREDICTIONS.names) | {"image_key": int(key), "image_id": str(key)} | png for key in keys]
        write_table(pa.Table.from_pylist(rows, schema=PREDICTIONS), place / "part.parquet")
    miner = Miner(str(place / "miner"))
    miner.offer(Shard(1, 0, 1, "part.parquet", columns), driver=miner.claim())
    miner.pool(0.75)


def mined(place: Path) -> object:
    (pool,) = (place / "miner" / "pools").glob("*.arrow")
    return pool.name, read_pool(pool).to_pylist()


def train(place: Path, _: Path) -> None:
    torch.manual_seed(1)
    model = torch.nn.Linear(30, 30)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(2, 30)).sum().backward()
    optimizer.step()
    raw = dict(model.state_dict())

    def write(attempt: Path) -> Written[ArchivePin]:
        (place / "epochs.jsonl").unlink(missing_ok=True)
        append_line(place / "epochs.jsonl", '{"epoch": 1}\n')
        write_model(attempt, raw, ModelCard("btv", {}, 64, 64, classifies=False))
        write_training_state(attempt, raw=raw, optimizer=optimizer, position=TrainingPosition(1, 1, 0))
        return Written(ArchivePin("x", {}, "y"), files=sorted(attempt.iterdir()))

    Stage(place, "checkpoint", ArchivePin).once(write)


def evaluate(place: Path, _: Path) -> None:
    def write(attempt: Path) -> Written[ArchivePin]:
        write_text(attempt / "froc.json", "{}")
        write_table(pa.table({"score": np.arange(2000) / 7}), attempt / "candidates.parquet")
        return Written(ArchivePin("x", {}, "y"), files=sorted(attempt.iterdir()))

    Stage(place, "froc", ArchivePin).once(write)
    write_bytes(place / "page.html", b"<html>")


def finished(place: Path, name: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Stage(place, name, ArchivePin).paths()}


@dataclass(frozen=True)
class Step:
    """What a stage writes, and what is there in the end."""

    do: Callable[[Path, Path], None]  # place, source
    end: Callable[[Path], object]


STEPS = {
    "ingest": Step(ingest, ingested),
    "label": Step(label, labelled),
    "infer": Step(infer, lambda place: finished(place, "predictions")),
    "mine": Step(mine, mined),
    "train": Step(train, lambda place: (finished(place, "checkpoint"), (place / "epochs.jsonl").read_text())),
    "evaluate": Step(evaluate, lambda place: (finished(place, "froc"), (place / "page.html").read_bytes())),
}


@dataclass
class FailingCalls:
    """Counts the calls that write, and fails one of them."""

    fails: int = -1  # number of the call
    error: int = errno.ENOSPC
    done: int = 0
    patch: pytest.MonkeyPatch = field(default_factory=pytest.MonkeyPatch)

    def check(self) -> None:
        self.done += 1
        if self.done - 1 == self.fails:
            raise OSError(self.error, os.strerror(self.error))

    def wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(first: Any, *given: Any, **named: Any) -> Any:
            if not (call.__name__ == "mkdir" and os.path.isdir(first)):  # noqa: PTH112 - of a folder there is, no fault
                self.check()
            return call(first, *given, **named)

        return wrapper

    def open(self, file: Any, mode: str = "r", *given: Any, **named: Any) -> Any:
        opened = REAL_OPEN(file, mode, *given, **named)
        if set(mode) & set("wax+"):
            return FailingFile(opened, self)
        return opened

    @contextmanager
    def in_place(self) -> Iterator[None]:
        with self.patch.context() as patch:
            for name in ("fsync", "replace", "rename", "link", "mkdir"):
                patch.setattr(os, name, self.wrapped(getattr(os, name)))
            patch.setattr(io, "open", self.open)
            yield


REAL_OPEN = io.open


class FailingFile:
    """A file whose writes may fail, after half of what was to be written."""

    def __init__(self, file: Any, calls: FailingCalls) -> None:
        self._file, self._calls = file, calls

    def write(self, data: Any) -> int:
        try:
            self._calls.check()
        except OSError:
            self._file.write(data[: len(data) // 2])
            raise
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "FailingFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@pytest.fixture(scope="module")
def calm(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The end of each step without faults."""
    ends = {}
    for name, step in STEPS.items():
        place = tmp_path_factory.mktemp(name)
        step.do(place, source)
        ends[name] = step.end(place)
    return ends


def partial_files(place: Path) -> list[Path]:
    return list(place.rglob(f"*{PARTIAL}"))


def attempt_fault(step: Step, place: Path, source: Path) -> bool:
    """Do the step, and return whether it ended by the machine's fault; any other error is raised."""
    try:
        step.do(place, source)
    except Exception as error:
        if not fault_of(error):
            raise
        return True
    return False


def goes_on(name: str, place: Path, source: Path, calm: dict[str, object]) -> None:
    assert partial_files(place) == []
    STEPS[name].do(place, source)
    assert STEPS[name].end(place) == calm[name]
    assert partial_files(place) == []


def each_call(name: str, error: int, source: Path, calm: dict[str, object], tmp_path: Path) -> None:
    for number in range(10_000):
        place, calls = tmp_path / f"{error}_{number}", FailingCalls(number, error)
        place.mkdir()
        with calls.in_place():
            failed = attempt_fault(STEPS[name], place, source)
        if calls.done <= number:
            assert number > 3, "no call was made to fail"
            return
        assert failed or name == "mine", f"call {number} failed and nobody noticed"
        goes_on(name, place, source, calm)


@pytest.mark.parametrize("name", STEPS)
def test_whichever_call_meets_a_full_disk_the_same_words_go_on_to_the_same_end(
    name: str, source: Path, calm: dict[str, object], tmp_path: Path
) -> None:
    each_call(name, errno.ENOSPC, source, calm, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("error", [errno.EIO, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.EACCES])
def test_whichever_call_meets_a_broken_disk_the_same_words_go_on_to_the_same_end(
    name: str, error: int, source: Path, calm: dict[str, object], tmp_path: Path
) -> None:
    each_call(name, error, source, calm, tmp_path)


@contextmanager
def no_file_above(num_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("num_bytes", [0, 100, 1000, 3000])
@pytest.mark.parametrize("name", STEPS)
def test_a_file_cut_short_in_any_library_is_the_machines_fault_and_the_same_words_go_on(
    name: str, num_bytes: int, source: Path, calm: dict[str, object], tmp_path: Path
) -> None:
    with no_file_above(num_bytes):
        failed = attempt_fault(STEPS[name], tmp_path, source)
    assert failed or num_bytes > 0
    goes_on(name, tmp_path, source, calm)
