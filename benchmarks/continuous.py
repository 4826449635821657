"""What new studies cost beside many known ones: intake and catching up, in one Ray, against the same without the many.

python benchmarks/continuous.py --demo out/demo                     # a finished `mammoloop demo`; 100 new, 10,000 known
python benchmarks/continuous.py --demo out/demo --known 2000 --new 20 --turns 1

The known studies are copies of the demo's weak ones under other ids, with their labels and with the maps that the model
gave of the first. Turns alternate; the ratio is of the medians.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actors.predictor import PredictorConfig
from pipelines import ingest
from pipelines.cluster import session
from pipelines.continuous import catch_up
from system.archive import Archive
from system.config import RunConfig
from system.continuous.caught_up import CaughtUp
from system.files.parquet import read_table
from system.phantom import PhantomConfig, write_phantom
from system.records import Split, image_key
from system.run.ahead import Ahead
from system.run.folder import RunFolder
from system.run.results import InferResult
from system.run.stage import Stage, Written

_IDS = {
    "images": ("image_id", "patient_id", "study_id"),
    "reports": ("study_id",),
    "labels": ("study_id",),
    "files": ("source", "image_id", "patient_id", "study_id"),
}


def main() -> None:
    """Print seconds and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", type=Path, required=True, help="folder of a finished demo")
    parser.add_argument("--known", type=int, default=10_000, help="studies that were looked at before")
    parser.add_argument("--new", type=int, default=100, help="studies that arrive")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    config = RunFolder(options.demo / "run").config()
    with tempfile.TemporaryDirectory() as text, session(config.resources.cluster):
        place = Path(text)
        few, many = _place(options.demo, place / "few"), _place(options.demo, place / "many")
        _look(few, config)
        _look(many, config)
        _multiply(many, num_studies=options.known)
        _look(many, config)  # its record is of all from here on
        seconds: dict[str, list[float]] = {"few": [], "many": []}
        for turn in range(options.turns):
            for name, each in seconds.items():
                here = place / f"{name}_{turn}"
                shutil.copytree(place / name, here, copy_function=shutil.copy2)
                source = _arrive(here / "source", num_studies=options.new, first=10_000 + 1000 * turn)
                began_s = time.perf_counter()
                settings = config.ingest.changed(imaging=Archive.open(here / "archive").imaging)
                ingest.run(source, str(here / "archive"), layout="phantom", config=settings)
                ingested_s = time.perf_counter()
                found = _look(here, config)
                ended_s = time.perf_counter()
                each.append(ended_s - began_s)
                print(
                    f"{name}: intake {ingested_s - began_s:.1f} s, catching up {ended_s - ingested_s:.1f} s, "
                    f"{found.num_inferred} images looked at of {found.counts.num_images}"
                )
                shutil.rmtree(here)
    few_s, many_s = (statistics.median(seconds[name]) for name in ("few", "many"))
    print(f"{options.new} new studies beside {options.known} more known ones cost {many_s / few_s:.2f} times as much")


def _place(demo: Path, here: Path) -> Path:
    for name in ("archive", "run"):
        shutil.copytree(demo / name, here / name)
    return here


def _look(here: Path, config: RunConfig) -> CaughtUp:
    folder = RunFolder(here / "run")
    return catch_up.run(str(here / "archive"), folder.path, system=folder.result().name, config=config)


def _arrive(source: Path, *, num_studies: int, first: int) -> Path:
    write_phantom(source, num_exams=num_studies, seed=1, config=PhantomConfig(), first_exam=first)
    return source


def _multiply(here: Path, *, num_studies: int) -> None:
    """Give the archive so many more weak studies, each with report, labels and the maps of the one it is a copy of."""
    archive, folder = Archive.open(here / "archive"), RunFolder(here / "run")
    images = archive.table("images")
    weak = images.filter(pc.field("split") == str(Split.WEAK))
    studies = pc.unique(weak["study_id"])
    copies = -(-num_studies // len(studies))
    for name, ids in _IDS.items():
        rows = weak if name == "images" else archive.table(name)
        rows = rows.filter(pc.field("study_id").isin(studies))
        for copy in range(copies):
            archive.upsert(name, _renamed(rows, ids, copy))
    part = Ahead(folder.path, folder.result().model_name).parts()[0]
    manifest = part.manifest()
    assert manifest is not None
    first = pa.concat_tables([read_table(path) for path in part.paths()])
    following = Ahead(folder.path, folder.result().model_name).next()
    _write(following, first, copies, PredictorConfig.model_validate(manifest.settings), manifest.result)


def _write(
    stage: Stage[InferResult], rows: pa.Table, copies: int, settings: PredictorConfig, result: InferResult
) -> None:
    def write(attempt: Path) -> Written[InferResult]:
        files = [attempt / f"part_{copy:06d}.parquet" for copy in range(copies)]
        for copy, file in enumerate(files):
            pq.write_table(_renamed(rows, ("image_id", "study_id"), copy), file)
        return Written(result, files=files, settings=settings)

    stage.once(write)


def _renamed(rows: pa.Table, ids: tuple[str, ...], copy: int) -> pa.Table:
    for name in ids:
        column = [f"{copy:03d}{value[3:]}" if value else value for value in rows[name].to_pylist()]
        rows = rows.set_column(rows.schema.get_field_index(name), name, pa.array(column, rows.schema.field(name).type))
    if "image_key" in rows.column_names:
        keys = pa.array([image_key(value) for value in rows["image_id"].to_pylist()], pa.int64())
        rows = rows.set_column(rows.schema.get_field_index("image_key"), "image_key", keys)
    return rows


if __name__ == "__main__":
    main()
