"""Where a command works: its folder, its archive's place, copies of both, and what they hold."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deltalake import DeltaTable

from system.archive.tables import KEYS
from tests.chaos.checks import MANIFEST, State
from tests.chaos.faults import Store
from tests.chaos.words import finished_in_order

RUN, BUCKET, ARCHIVE = "run", "bucket", "archive"
POOLS = "round_01/pools"


@dataclass(frozen=True)
class Workplace:
    """The folder `now` in which every command is typed, so that all see the same paths, and kept copies beside it."""

    folder: Path
    store: Store | None = None  # in which the archive and the miner's journal lie; None = all lies in the folder

    @property
    def now(self) -> Path:
        """The working folder of the commands."""
        return self.folder / "now"

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.now / RUN

    @property
    def archive(self) -> str:
        """The archive's place, as one types it."""
        return f"s3://{self.store.bucket}/{ARCHIVE}" if self.store else ARCHIVE

    @property
    def miner(self) -> str:
        """Where the miner's journal lies; "" = in the run's folder."""
        return f"s3://{self.store.bucket}/miner" if self.store else ""

    def environment(self) -> dict[str, str]:
        """Return the variables by which a command finds the archive and its key."""
        if not self.store:
            return {}
        return self.store.through_the_proxy | {"MAMMOLOOP_SITE_KEY_FILE": str(self.now / "site.key")}

    def keep(self, name: str) -> None:
        """Copy what is there now, under a name."""
        kept = self.folder / name
        shutil.copytree(self.now, kept)
        for place, data in self.store.objects().items() if self.store else ():
            path = kept / BUCKET / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def bring_back(self, name: str, *, without: str = "") -> None:
        """Let all be as it was when it was kept.

        without: this stage of the run, and all that was finished after it, is taken away again; "" = nothing is
        """
        self.clear()
        shutil.copytree(self.folder / name, self.now, dirs_exist_ok=True)
        bucket = self.now / BUCKET
        if without:
            _cut(self.run, bucket, without)
        if self.store:
            files = [path for path in bucket.rglob("*") if path.is_file()]
            self.store.replace_by({path.relative_to(bucket).as_posix(): path.read_bytes() for path in files})
            shutil.rmtree(bucket, ignore_errors=True)

    def clear(self) -> None:
        """Empty the working folder, which may be a mounted one, and the bucket."""
        self.now.mkdir(parents=True, exist_ok=True)
        for path in self.now.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if self.store:
            self.store.replace_by({})

    def state(self) -> State:
        """Return what archive and run hold, read without the product."""
        digests, texts = dict[str, str](), dict[str, str]()
        for path in sorted(self.now.rglob("*")):
            with suppress(FileNotFoundError, IsADirectoryError):  # what outlives a killed driver may still tidy up
                data, name = path.read_bytes(), path.relative_to(self.now).as_posix()
                digests[name] = _digest(data)
                if path.name == MANIFEST:
                    texts[name.removesuffix(f"/{MANIFEST}")] = data.decode(errors="replace")
        objects = self.store.objects() if self.store else {}
        digests |= {f"{BUCKET}/{name}": _digest(data) for name, data in objects.items()}
        return State({name: self._rows(name, key) for name, key in KEYS.items()}, texts, digests)

    def _rows(self, table: str, key: tuple[str, ...]) -> list[tuple[str, str]]:
        options = self.store.direct if self.store else None
        uri = f"{self.archive if self.store else (self.now / ARCHIVE)}/tables/{table}"
        if not DeltaTable.is_deltatable(uri, storage_options=options):
            return []
        rows = DeltaTable(uri, storage_options=options).to_pyarrow_table().to_pylist()
        return [_keyed(row, key) for row in rows]


def _cut(run: Path, bucket: Path, stage: str) -> None:
    """Take a stage and all that was finished after it out of a run, as if it had been killed there."""
    order = finished_in_order(run)
    gone = order[order.index(stage) :]
    for each in gone:
        shutil.rmtree(run / each)
        shutil.rmtree(run / "tensorboard" / each, ignore_errors=True)
    shutil.rmtree(run / "page", ignore_errors=True)
    if POOLS in gone:
        shutil.rmtree(run / "miner", ignore_errors=True)
        shutil.rmtree(bucket / "miner", ignore_errors=True)


def _keyed(row: dict[str, object], key: Sequence[str]) -> tuple[str, str]:
    text = json.dumps(_without_time(row), sort_keys=True, default=str)
    return "/".join(str(row[name]) for name in key), _digest(text.encode())


def _without_time(row: dict[str, object]) -> dict[str, object]:
    """Return a row of the registry without when it was written and in how many commits and attempts what it names."""
    if "lineage" not in row:
        return row
    lineage = json.loads(str(row["lineage"]) or "{}")
    kept = {name: value for name, value in lineage.items() if name not in {"archive_versions", "checkpoint"}}
    return row | {"at": "", "lineage": kept}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
