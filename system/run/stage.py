"""One stage of a run on disk: attempts, and the manifest that makes the stage count as done.

A stage writes into a fresh attempt folder, and its manifest last and atomically. A stage with a manifest is never
written again. Other code takes the files that the manifest lists, never those of a folder's listing, and the result as
a record, never by a key.
"""

import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from system.durations import duration_in_words
from system.errors import NotFinished, UserError
from system.faults import storage
from system.files.atomic import replacing, sync_file, write_text
from system.files.json_in import first_mistake, parse
from system.files.json_out import as_json
from system.place import PLACE
from system.run.code import code_digest
from system.run.stage_words import at_once, in_words, took_before
from system.settings import Settings, different_keys

log = logging.getLogger(__name__)
SCHEMA_VERSION = 3  # of manifests; 1 had no typed results, 2 one control; both are refused
MANIFEST = "manifest.json"
_INPUTS = "inputs.txt"  # in an attempt that may be continued

Result = TypeVar("Result")


@dataclass(frozen=True)
class Written(Generic[Result]):
    """The result of doing a stage, and what its manifest keeps beside it."""

    result: Result
    files: Sequence[Path] = ()  # in the attempt folder
    settings: Settings | None = None  # what the stage was done with
    archive_versions: Mapping[str, int] = field(default_factory=dict[str, int])  # table -> Delta version
    parents: Sequence[str] = ()  # names of the stages that were read
    summary: str = ""  # what it came to, for the line at its end; not kept


@dataclass(frozen=True)
class Manifest(Generic[Result]):
    """The record of a finished stage; a stage is finished when it has one."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    stage: str
    attempt: str  # folder name inside the stage
    files: tuple[str, ...]  # relative to the attempt folder
    result: Result
    settings: dict[str, object]
    archive_versions: dict[str, int]
    parents: tuple[str, ...]
    code_digest: str
    seconds: float  # duration of the attempt that finished; of one that was continued, only of its last part
    schema_version: int


@dataclass(frozen=True)
class Stage(Generic[Result]):
    """One stage of a run, e.g. `round_01/predictions`, and the type of its result."""

    run: Path
    name: str
    result_type: type[Result]

    @property
    def folder(self) -> Path:
        """Where the stage's attempts and its manifest lie."""
        return self.run / self.name

    @property
    def title(self) -> str:
        """What it does, in words, e.g. "round 2, retrain"."""
        return in_words(self.name)

    @property
    def finished(self) -> bool:
        """Whether the stage has its manifest."""
        return (self.folder / MANIFEST).exists()

    def reopen(self) -> None:
        """Take the manifest away, so that the stage is done anew in another attempt; what it wrote stays until then."""
        (self.folder / MANIFEST).unlink(missing_ok=True)

    def manifest(self) -> Manifest[Result] | None:
        """Return the manifest if the stage is done.

        Raises UserError for a manifest of another schema, and for one that was edited or damaged.
        """
        path = self.folder / MANIFEST
        if not path.exists():
            return None
        place = f"stage {self.name} of run {self.run.name}"
        try:
            found: Any = parse(path.read_bytes())
            version = found["schema_version"]
            if version != SCHEMA_VERSION:
                raise UserError(
                    f"{place} was written under schema {version}, this is schema {SCHEMA_VERSION}: start a new run, "
                    "or read it with the version that wrote it; its models can be used as they are, "
                    "`mammoloop predict --checkpoint` takes an attempt's folder"
                )
            found["result"] = _adapter(self.result_type).validate_python(found["result"])
            manifest: Manifest[Result] = _adapter(Manifest[Result]).validate_python(found)
            _check_inside(manifest)
            return manifest
        except UserError:  # a ValueError too, but one that says what to do
            raise
        except (ValidationError, ValueError, KeyError, TypeError) as error:
            reason = _first_line(error)
            raise UserError(
                f"the manifest of {place} is not what was written ({reason}): "
                "restore it, or remove it to do the stage again"
            ) from error

    def check_settings(self, settings: Settings, *, above: str) -> None:
        """Raise UserError, naming each key with both values, when the stage was finished with other settings.

        above: where the settings lie in the configuration, e.g. "reports"
        """
        manifest = self.manifest()
        now = settings.model_dump(mode="json")
        if manifest and (changed := different_keys({above: manifest.settings}, {above: now})):
            raise UserError(
                f"stage {self.name} of run {self.run.name} was done with other settings ({'; '.join(changed)}): give "
                "the same ones to go on from it, or choose another --out"
            )

    def result(self) -> Result:
        """Return the result of the finished stage. Raises NotFinished."""
        return self._finished_manifest().result

    def paths(self) -> list[Path]:
        """Return the files of the finished stage. Raises NotFinished, and UserError where one of them is missing."""
        return [self._there(path) for path in self._listed()]

    def path(self, name: str) -> Path:
        """Return one file of the finished stage by its name.

        Raises NotFinished, UserError where the file is missing, and LookupError for one that the stage did not write.
        """
        for path in self._listed():
            if path.name == name:
                return self._there(path)
        raise LookupError(f"stage {self.name} wrote no {name}")

    def _listed(self) -> list[Path]:
        manifest = self._finished_manifest()
        return [self.folder / manifest.attempt / name for name in manifest.files]

    def _there(self, path: Path) -> Path:
        if not path.exists():
            raise UserError(
                f"stage {self.name} of run {self.run.name} has lost {path.name}: restore it, or remove the stage's "
                f"{MANIFEST} to do the stage again"
            )
        return path

    @contextmanager
    def attempt(self, *, inputs: str = "") -> Generator[Path]:
        """Give a fresh attempt folder; attempts that never got a manifest are removed first.

        inputs: a digest of all that decides the files' content, for a stage whose files are each written whole. An
            abandoned attempt of the same inputs is then continued with the files that it has. A worker that outlived
            its driver may still write there: it writes identical files.

        Raises ValueError when the stage is finished: its files are never written again. Raises MachineFault for what
        the storage does.
        """
        if self.finished:
            raise ValueError(f"stage {self.name} is finished and stays as it is: read it, or start a new run")
        with storage(self.folder):
            folder = self._begun(inputs)
        yield folder

    def _begun(self, inputs: str) -> Path:
        """Return the folder of a new attempt, or of one to go on with, and remove all others."""
        self.folder.mkdir(parents=True, exist_ok=True)
        abandoned = sorted(self.folder.glob("attempt_*"), key=_number_of)
        continued = next((old for old in reversed(abandoned) if inputs and _inputs_of(old) == inputs), None)
        for old in abandoned:
            if old != continued:
                shutil.rmtree(old)
        folder = continued or self.folder / f"attempt_{_number_of(abandoned[-1]) + 1 if abandoned else 1:03d}"
        folder.mkdir(exist_ok=True)
        if inputs:
            write_text(folder / _INPUTS, inputs)
        return folder

    def finish(self, attempt: Path, written: Written[Result], *, seconds: float = 0.0) -> Result:
        """Bring the files to disk and write the manifest, last and atomically; from then on the stage is done."""
        manifest = Manifest(
            stage=self.name,
            attempt=attempt.name,
            files=tuple(sorted(str(path.relative_to(attempt)) for path in written.files)),
            result=written.result,
            settings=written.settings.model_dump(mode="json") if written.settings else {},
            archive_versions=dict(written.archive_versions),
            parents=tuple(written.parents),
            code_digest=code_digest(),
            seconds=round(seconds, 1),
            schema_version=SCHEMA_VERSION,
        )
        with storage(self.folder):
            for path in written.files:
                sync_file(path)
        write_text(self.folder / MANIFEST, as_json(manifest))
        took = [] if at_once(self.name) else [f"done in {duration_in_words(seconds)}"]
        log.info("%s: %s", self.title, "; ".join([*took, *filter(None, [written.summary])]) or "done")
        return written.result

    @contextmanager
    def begun(self, amount: str = "") -> Generator[None]:
        """Log the stage's beginning; the command is there while the block runs. amount: of work, for people."""
        before = took_before(self.run, self.name)
        if not at_once(self.name):
            what = ", ".join(filter(None, (amount, f"it took {before}" if before else "")))
            log.info("%s: begins%s", self.title, f"; {what}" if what else "")
        with PLACE.at(f"in {self.title}"):
            yield

    def adopt(self, other: "Stage[Result]") -> Result:
        """Take over files and result of another run's finished stage; files are linked where the storage has links.

        A stage that is finished already stays as it is. Raises NotFinished when the other is not.
        """
        if self.finished:
            return self.result()
        theirs = other._finished_manifest()
        for name in theirs.files:
            target = self.folder / theirs.attempt / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                link_or_copy(other.folder / theirs.attempt / name, target)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / MANIFEST, (other.folder / MANIFEST).read_text(encoding="utf8"))
        return theirs.result

    def once(self, do: Callable[[Path], Written[Result]], *, inputs: str = "", amount: str = "") -> Result:
        """Return the result of a finished stage, or do the stage now.

        do: gets the attempt folder, writes the stage's files into it and returns them with the result
        inputs: as of `attempt`;  amount: as of `begun`
        """
        if self.finished:
            return self.result()
        start = time.monotonic()
        with self.begun(amount), self.attempt(inputs=inputs) as folder:
            return self.finish(folder, do(folder), seconds=time.monotonic() - start)

    def _finished_manifest(self) -> Manifest[Result]:
        if manifest := self.manifest():
            return manifest
        raise NotFinished(
            f"stage {self.name} of run {self.run.name} is not finished: go on with the command that makes it"
        )


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where that is not possible, e.g. on another storage."""
    try:
        os.link(source, target)
    except OSError:
        with replacing(target) as partial:
            shutil.copyfile(source, partial)


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what checks a record; making it takes longer than the check."""
    return TypeAdapter(kind)


def _check_inside(manifest: Manifest[Any]) -> None:
    """Raise ValueError for a manifest that names files outside its stage."""
    if not re.fullmatch(r"attempt_\d+", manifest.attempt):
        raise ValueError(f"attempt is {manifest.attempt[:40]!r}, expected attempt_ and a number")
    for name in map(PurePosixPath, manifest.files):
        if name.is_absolute() or ".." in name.parts or not name.parts:
            raise ValueError("a file lies outside the attempt's folder")


def _number_of(attempt: Path) -> int:
    return int(attempt.name.removeprefix("attempt_"))


def _inputs_of(attempt: Path) -> str:
    path = attempt / _INPUTS
    return path.read_text(encoding="utf8") if path.exists() else ""


def _first_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return first_mistake(error)
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
