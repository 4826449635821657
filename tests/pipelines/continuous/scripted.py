"""A run whose commands are scripted: they leave what a training or an inference would leave."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pipelines.continuous.watched import Failed
from system.archive import Archive
from system.config import as_yaml
from system.continuous import caught_up, registry
from system.continuous.caught_up import CaughtUp
from system.files.atomic import write_text
from system.imaging import ImagingConfig
from system.metrics import FrocConfig
from system.mining import QuadrantCounts, read_pool
from system.presets import PRESETS
from system.records import Quadrant, image_key
from system.reports.annotated import WITHDRAWN
from system.rounds import Chosen, Gain, Promotion
from system.run.code import code_digest
from system.run.folder import RunFolder
from system.run.kept_config import CONFIG, HEADER
from system.run.pin import pin_of
from system.run.results import FrocResult, Thresholds
from system.run.stage import MANIFEST, Stage, Written
from system.run.systems import System
from system.schemas import CANDIDATES, IMAGES, LESIONS
from tests.pipelines.tools.by_hand import fill, froc_result, mine_by_hand, train_result
from tests.system.run.test_folder import NO_LABELS

NUM_PATIENTS = 240  # of the plan: one image and one lesion each, every fourth breast dense
DAY_S = 86_400.0
OLD_CODE = "0123456789abcdef"  # digest of the code that trained
ANOTHER_CONTRAST = "bright"  # how studies are called whose images drift
Found = NDArray[np.bool_]
PLACES = np.arange(NUM_PATIENTS)
DENSE = PLACES % 4 == 0


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


def measured(stage: Stage[FrocResult], found: Found) -> None:
    """Finish an evaluation in which these patients' lesions were found, without a false positive."""

    def write(attempt: Path) -> Written[FrocResult]:
        names = [f"i{place:03d}" for place in PLACES]
        images = [
            {"image_id": name, "patient_id": f"p{name}", "view": "CC", "density": "d" if dense else "b"}
            | {"source": "phantom", "num_lesions": 1, "error": False}
            for name, dense in zip(names, DENSE, strict=True)
        ]
        lesions = [{"image_id": name, "lesion": 0, "area_px": 50, "diameter_mm": 12.0} for name in names]
        boxes = {"x0": 0, "y0": 0, "x1": 9, "y1": 9, "area_px": 81, "outcome": "TP", "lesion": 0, "nearest_lesion": 0}
        candidates = [
            {"image_id": name, "score": 0.9, "iou": 1.0} | boxes for name, hit in zip(names, found, strict=True) if hit
        ]
        for name, rows, schema in (
            ("images", images, IMAGES),
            ("lesions", lesions, LESIONS),
            ("candidates", candidates, CANDIDATES),
        ):
            pq.write_table(pa.Table.from_pylist(rows, schema=schema), attempt / f"{name}.parquet")
        return Written(froc_result(FrocConfig()), files=sorted(attempt.glob("*.parquet")))

    stage.once(write)


def trained(system: System, found: Found) -> None:
    """Finish a system whose weights are named by what it finds."""

    def write(attempt: Path) -> Written[object]:
        (attempt / "model.safetensors").write_bytes(system.name.encode() + found.tobytes())
        (attempt / "model.json").write_text("{}")
        return Written(train_result(), files=sorted(attempt.iterdir()))

    system.checkpoint.once(write)  # type: ignore[arg-type]
    manifest = system.checkpoint.folder / MANIFEST
    manifest.write_text(manifest.read_text().replace(code_digest(), OLD_CODE))
    system.thresholds.once(lambda _: Written(Thresholds(0.3, "chosen", 0.1, "chosen")))
    measured(system.froc(), found)


def begun(place: Path, *, found: Found) -> tuple[Archive, RunFolder]:
    """Return an archive, and a run on it that has come to its end with Stage 1 alone."""
    archive = Archive.create(place / "archive", imaging=ImagingConfig(height_px=64, width_px=64))
    fill(archive, reports=[report("first")])
    run = RunFolder(place / "run")
    run.path.mkdir()
    write_text(run.path / CONFIG, HEADER + as_yaml(PRESETS["demo"]().of_run()))
    run.labels.once(lambda _: Written(NO_LABELS))
    run.archive_pin.once(lambda _: Written(pin_of(archive)))
    trained(run.stage1, found)
    run.chosen.once(lambda _: Written(Chosen("stage1", "supervised", {}, "the only one", num_rounds=0)))
    return archive, run


def report(study: str, *, version: int = 1, status: str = "final", language: str = "en") -> dict[str, object]:
    row: dict[str, object] = {"study_id": study, "version": version, "status": status, "language": language}
    return row | {"description": "", "impression": ""}


@dataclass
class Scripted:
    """The commands: arrivals and candidates come from a script; each may be killed or fail before or after its work."""

    archive: Archive
    run: RunFolder
    arrivals: dict[int, list[dict[str, object]]]  # day -> rows of `reports`
    candidates: Mapping[int, Found]  # round -> what its model finds
    now_s: Callable[[], float]
    faults: list[str] = field(default_factory=list)  # the next calls that are struck: "kill before", "fail after", ""
    calls: list[str] = field(default_factory=list)
    last_arrival_s: float | None = None  # of the source; None = now, at every look

    def ingest(self) -> dict[str, float]:
        with _Struck(self, "ingest"):
            for day in [day for day in self.arrivals if day * DAY_S <= self.now_s()]:
                fill(self.archive, reports=self.arrivals[day])
                del self.arrivals[day]
        return {"hospital": self.now_s() if self.last_arrival_s is None else self.last_arrival_s}

    def catch_up(self, system: str) -> None:
        with _Struck(self, f"catch up with {system}"):
            self._sort(self.run.trained(system))

    def _label(self) -> None:
        """Label each study by its last report; a withdrawn one has no label."""
        last = {row["study_id"]: row for row in self.archive.table("reports").sort_by("version").to_pylist()}
        rows = [
            {"study_id": study, "side": "L", "model": "m/mean", "report_version": row["version"]}
            | {"p_mass": None if row["status"] == WITHDRAWN else 0.9 / row["version"]}
            for study, row in last.items()
        ]
        fill(self.archive, labels=rows)

    def _pool(self) -> list[dict[str, object]]:
        """Return every labelled study as one image of the pool."""
        labels = [row for row in self.archive.table("labels").to_pylist() if row["p_mass"] is not None]
        return [
            {"image_key": image_key(row["study_id"]), "image_id": row["study_id"], "quadrant": int(Quadrant.TP)}
            | {"p_mass": row["p_mass"], "score": 0.5, "disputed": False}
            for row in labels
        ]

    def _sort(self, system: System) -> None:
        self._label()
        before = self.archive.pinned(self.run.last_chapter.archive_pin.result().versions)
        seen, now = (set(each.table("reports")["study_id"].to_pylist()) for each in (before, self.archive))
        record = CaughtUp(
            system=system.name,
            model=system.model_name,
            archive_versions=self.archive.versions(),
            num_rounds=self.run.num_done,
            report_models="m",
            num_labelled=0,
            num_inferred=0,
            p0=0.85,
            counts=QuadrantCounts(len(now), 0, 0, 0, 0),
            num_new_samples=len(now - seen),
            map_drift=0.4 if any(study.startswith(ANOTHER_CONTRAST) for study in now - seen) else float("nan"),
        )
        caught_up.Ahead(self.run.path, system.model_name).folder.mkdir(parents=True, exist_ok=True)
        caught_up.write(record, run=self.run.path)

    def retrain(self, system: str) -> None:
        with _Struck(self, f"retrain from {system}"):
            run = self.run
            number = run.num_done + 1
            if run.ended:
                pin = replace(pin_of(self.archive), first_round=number, start=system)
                run.last_chapter.next.archive_pin.once(lambda _: Written(pin))
            this = run.round(number)
            mine_by_hand(this.pools, {0.85: self._pool()})
            trained(this, self.candidates[number])
            gain = Gain(0.5, 0.4, 0.1, (0.0, 0.2))
            this.promotion.once(lambda _: Written(Promotion(True, system, gain, "by validation")))
            run.last_chapter.chosen.once(lambda _: Written(Chosen(this.name, this.title, {}, "the last", number)))


@dataclass
class _Struck:
    """Strike a call before or after its work, as the script says."""

    commands: Scripted
    call: str

    def __enter__(self) -> None:
        self.commands.calls.append(self.call)
        self.fault = self.commands.faults.pop(0) if self.commands.faults else ""
        self._strike("before")

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._strike("after")

    def _strike(self, when: str) -> None:
        if self.fault == f"kill {when}":
            raise Killed(self.call)
        if self.fault == f"fail {when}":
            raise Failed(f"{self.call} failed")


@dataclass(frozen=True)
class MonthEnd:
    """What a month leaves."""

    reports: list[dict[str, object]]
    labels: list[dict[str, object]]
    pools: list[list[dict[str, object]]]  # of each round
    models: dict[str, str]  # name -> status
    events: list[tuple[str, str]]  # event, model
    promoted: str
    systems: dict[str, str]  # folder -> name of its model
    starts: list[str]  # what each round was told to go on from


def state(archive: Archive, run: RunFolder) -> MonthEnd:
    """Return what is there at a month's end."""
    book = registry.read(archive)
    return MonthEnd(
        archive.table("reports").sort_by([("study_id", "ascending"), ("version", "ascending")]).to_pylist(),
        archive.table("labels").sort_by("study_id").to_pylist(),
        [read_pool(this.pools.path("pool_step_1.arrow")).sort_by("image_id").to_pylist() for this in run.rounds()],
        {name: model.status for name, model in book.models.items()},
        [(entry.event, entry.model) for entry in book.entries],
        book.promoted,
        {system.name: system.model_name for system in run.systems()},
        [run.chapter_of(this.number).start for this in run.rounds()],
    )
