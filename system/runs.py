"""A self-training run on disk: stages, attempts, and the manifest that makes a stage count as done."""

import hashlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

SCHEMA_VERSION = 1
_INPUTS = "inputs.txt"  # in an attempt that may be taken up again
PACKAGES = ("system", "actors", "pipelines", "tune_spaces")


@dataclass(frozen=True)
class Manifest:
    """What a finished stage wrote; its presence is what 'finished' means."""

    stage: str
    attempt: str  # folder name inside the stage
    files: list[str]  # relative to the attempt folder; readers use these, never a listing
    rows: int = 0
    config: dict[str, Any] = field(default_factory=dict)
    archive_versions: dict[str, int] = field(default_factory=dict)  # table -> Delta version
    parents: list[str] = field(default_factory=list)  # stages read, relative to the run
    metrics: dict[str, Any] = field(default_factory=dict)
    code_digest: str = ""
    seconds: float = 0.0  # that the attempt took which finished; of one taken up again, its last part
    schema_version: int = SCHEMA_VERSION


@dataclass(frozen=True)
class Stage:
    """One stage of a run, e.g. `round_01/predictions`."""

    run: Path
    name: str

    @property
    def folder(self) -> Path:
        """Where the stage's attempts and its manifest lie."""
        return self.run / self.name

    def manifest(self) -> Manifest | None:
        """Return the manifest if the stage is done. Raises ValueError for one of another schema."""
        path = self.folder / "manifest.json"
        if not path.exists():
            return None
        found = json.loads(path.read_text(encoding="utf8"))
        if found.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(
                f"stage {self.name} was written under schema {found.get('schema_version')}, this is schema {SCHEMA_VERSION}: "
                "start a new run, or read it with the version that wrote it"
            )
        return Manifest(**found)

    def paths(self) -> list[Path]:
        """Return the files of the finished stage. Raises FileNotFoundError when it is not finished."""
        manifest = self.manifest()
        if manifest is None:
            raise FileNotFoundError(f"stage {self.name} has no manifest under {self.run.name}: run it first")
        return [self.folder / manifest.attempt / name for name in manifest.files]

    def path(self, name: str) -> Path:
        """Return one file of the finished stage by name. Raises FileNotFoundError when it is not in the manifest."""
        for path in self.paths():
            if path.name == name:
                return path
        raise FileNotFoundError(f"stage {self.name} wrote no {name}")

    @contextmanager
    def attempt(self, *, inputs: str = "") -> Iterator[Path]:
        """Give a fresh attempt folder; attempts that never got a manifest are removed first.

        inputs: a digest of all that decides what is written, for a stage whose files are each written whole: an abandoned attempt of
        the same inputs is taken up again with the files it has. A writer that outlived its driver does no harm there: it writes the same.
        Raises ValueError when the stage is finished: what it wrote is never written again.
        """
        if self.manifest():
            raise ValueError(f"stage {self.name} is finished and stays as it is: read it, or start a new run")
        self.folder.mkdir(parents=True, exist_ok=True)
        abandoned = sorted(self.folder.glob("attempt_*"), key=_number_of)
        again = next((old for old in reversed(abandoned) if inputs and _inputs_of(old) == inputs), None)
        for old in abandoned:
            if old != again:
                shutil.rmtree(old)
        folder = again or self.folder / f"attempt_{_number_of(abandoned[-1]) + 1 if abandoned else 1:03d}"
        folder.mkdir(exist_ok=True)
        if inputs:
            write_atomically(folder / _INPUTS, inputs)
        yield folder

    def finish(self, attempt: Path, files: list[Path], **facts: Any) -> Manifest:
        """Write the manifest, last and atomically; from then on the stage is done."""
        manifest = Manifest(
            stage=self.name,
            attempt=attempt.name,
            files=sorted(str(path.relative_to(attempt)) for path in files),
            code_digest=code_digest(),
            **facts,
        )
        write_atomically(self.folder / "manifest.json", json.dumps(asdict(manifest), indent=1, ensure_ascii=False, sort_keys=True))
        return manifest

    def adopt(self, other: "Stage") -> Manifest:
        """Take over what another run's finished stage wrote, its files linked where the storage has links; a finished stage stays as it is.

        Raises FileNotFoundError when the other is not finished.
        """
        if done := self.manifest():
            return done
        written = other.manifest()
        if written is None:
            raise FileNotFoundError(f"stage {other.name} of {other.run.name} is not finished: there is nothing to take over")
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in written.files:
            target = self.folder / written.attempt / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                _link(other.folder / written.attempt / name, target)
        write_atomically(self.folder / "manifest.json", (other.folder / "manifest.json").read_text(encoding="utf8"))
        return written

    def once(self, do: Callable[[Path], tuple[list[Path], dict[str, Any]]], *, inputs: str = "") -> Manifest:
        """Return the manifest of a finished stage, or do the stage now.

        do: given the attempt folder, returns the files written and the manifest's other facts;  inputs: as `attempt` takes them
        """
        if done := self.manifest():
            return done
        start = time.monotonic()
        with self.attempt(inputs=inputs) as folder:
            files, facts = do(folder)
            return self.finish(folder, files, seconds=round(time.monotonic() - start, 1), **facts)


def _number_of(attempt: Path) -> int:
    return int(attempt.name.removeprefix("attempt_"))


def _inputs_of(attempt: Path) -> str:
    path = attempt / _INPUTS
    return path.read_text(encoding="utf8") if path.exists() else ""


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        partial = target.with_name(target.name + ".part")
        shutil.copyfile(source, partial)
        partial.replace(target)


def write_atomically(path: Path, text: str) -> None:
    """Write text so that a reader sees the old file or the whole new one."""
    temporary = path.with_name(path.name + ".part")
    with temporary.open("w", encoding="utf8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def as_json(value: Any) -> str:
    """Return plain values as JSON that every reader takes: null for NaN."""
    return json.dumps(_without_nan(value), indent=1, ensure_ascii=False, allow_nan=False)


def _without_nan(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_nan(each) for key, each in value.items()}
        case list() | tuple():
            return [_without_nan(each) for each in value]
        case float() if math.isnan(value):
            return None
    return value


def code_digest() -> str:
    """Return a digest of our own sources, so that a run says which code made it and a mixed cluster is noticed."""
    root = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
