"""A self-training run as an object: its stages by name, its settings, and the archive it is pinned to.

```
RUN/config.yaml                 the resolved settings
    labels/ archive/            report models and labels; which archive, at which versions
    stage1/ control_01/ round_01/   one system each: checkpoint, held_out, thresholds, froc, validated
                                (froc_validation; by other rules than the run's: froc_by_…, froc_validation_by_…)
    round_01/                   and before it: predictions, pools; after it: promotion
    chosen/                     which of the systems is the run's result
    archive_02/ chosen_02/      of a run that went on after its end, with what its archive had by then (chapter.py)
    miner/ tensorboard/         the journal of the pools, training curves
    ahead/MODEL/part_001        what the promoted model has looked at since the last round (ahead.py)
    watch/                      the watcher's decisions, their pages, its lock (continuous.md)
    page/ explain/              for people
    labels_02/ ...              of `mammoloop label --retrain`, before the run is pinned; the last one counts
```
"""

import hashlib
import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from system.archive import Archive, NoArchive
from system.config import ConfigError, RunConfig, as_yaml, differences, resolve
from system.errors import NotFinished, UserError
from system.faults import storage
from system.files.atomic import clear_partial, write_text
from system.files.names import is_utf8, readable
from system.rounds import Chosen
from system.run.chapter import Chapter, chapters
from system.run.kept_config import CONFIG, HEADER, config_text, not_what_was_written
from system.run.lock import LOCK, taken
from system.run.pin import check_pinned, pin_of
from system.run.results import (
    ArchivePin,
    LabelResult,
)
from system.run.stage import MANIFEST, Stage, Written
from system.run.systems import SUPERVISED, Round, System

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFolder:
    """One self-training run on disk. Cheap to make; opens nothing by itself."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

    @property
    def identity(self) -> str:
        """16 hex digits that a moved or copied run keeps, of its first pin to an archive. Raises NotFinished."""
        self.archive_pin.result()
        return hashlib.sha256((self.archive_pin.folder / MANIFEST).read_bytes()).hexdigest()[:16]

    @property
    def labels(self) -> Stage[LabelResult]:
        """The report models and the labels of every report."""
        return Stage(self.path, "labels", LabelResult)

    def labellings(self) -> list[Stage[LabelResult]]:
        """Return `labels` and, in order, those that followed it with new models: labels_02, labels_03, ..."""
        later = sorted(self.path.glob("labels_[0-9][0-9]"))
        return [self.labels, *(Stage(self.path, path.name, LabelResult) for path in later)]

    def last_labelling(self) -> Stage[LabelResult] | None:
        """Return the last labelling that is finished, None without one."""
        finished = [stage for stage in self.labellings() if stage.finished]
        return finished[-1] if finished else None

    @property
    def labelling(self) -> Stage[LabelResult]:
        """The labelling that the run takes its labels from: the last that is finished, `labels` where none is."""
        return self.last_labelling() or self.labels

    def next_labelling(self) -> Stage[LabelResult]:
        """Return the labelling to do when new models are wanted: the first that is not finished.

        Raises UserError once the run is pinned to its archive: what it has mined and trained from then on belongs to
        the labels it had, and a report corrected later would come with those of other models.
        """
        stages = self.labellings()
        if self.archive_pin.finished:
            raise UserError(
                f"run {self.name} is pinned to the archive with the labels of {self.labelling.name}; labels of other "
                "models would mix with them: give a new labelling another --out, and start a run there"
            )
        unfinished = (stage for stage in stages if not stage.finished)
        return next(unfinished, Stage(self.path, f"labels_{len(stages) + 1:02d}", LabelResult))

    @property
    def archive_pin(self) -> Stage[ArchivePin]:
        """Which archive the run reads, and at which versions it began; no files."""
        return Chapter(self.path, 1).archive_pin

    @property
    def last_chapter(self) -> Chapter:
        """The rounds since the run last read its archive anew: all, for most runs."""
        return chapters(self.path)[-1]

    def chapter_of(self, number: int) -> Chapter:
        """Return the chapter that a round, from 1, belongs to."""
        return [chapter for chapter in chapters(self.path) if chapter.first <= number][-1]

    def read_by(self, system: System) -> Chapter:
        """Return the chapter whose archive a system was trained on: a control's is that of the round beside it."""
        number = system.name.partition("_")[2]
        return self.chapter_of(int(number)) if number.isdecimal() else Chapter(self.path, 1)

    @property
    def stage1(self) -> System:
        """The system trained on the fully annotated data alone (Tang et al. 2021, Stage 1)."""
        return System(self.path, "stage1", SUPERVISED)

    def control(self, number: int) -> System:
        """Return Stage 1, trained without weak data for as many more steps as the rounds up to this one took."""
        return System(self.path, f"control_{number:02d}", f"control {number}")

    @property
    def chosen(self) -> Stage[Chosen]:
        """Which system is the run's result, by the last chapter that has come to its end; no files."""
        found = [chapter.chosen for chapter in chapters(self.path)]
        return next((stage for stage in reversed(found) if stage.finished), found[0])

    def result(self) -> System:
        """Return the system that is the run's result. Raises NotFinished."""
        name = self.chosen.result().system
        return next(system for system in self.systems() if system.name == name)

    @property
    def miner(self) -> Path:
        """The folder of the miner's journal and pools, unless they lie in a bucket."""
        return self.path / "miner"

    @property
    def page(self) -> Path:
        """The page about the run."""
        return self.path / "page" / "index.html"

    def tensorboard(self, training: str) -> Path:
        """Return the folder of the TensorBoard events of the training whose stage has this name."""
        return self.path / "tensorboard" / training

    def steps_before(self, training: str) -> int:
        """Return the optimiser steps of the trainings that one follows: where its curve begins on TensorBoard's axis.

        training: name of its stage. A round follows Stage 1 and the rounds before it, a control runs beside its round.
        """
        number = training.partition("/")[0].partition("_")[2]
        if not number.isdecimal():
            return 0
        earlier = [self.stage1, *(self.round(each) for each in range(1, int(number)))]
        return sum(each.checkpoint.result().num_steps for each in earlier if each.checkpoint.finished)

    def picture_of(self, image_id: str) -> Path:
        """Return where the picture of an explained image goes."""
        return self.path / "explain" / f"{image_id}.png"

    def round(self, number: int) -> Round:
        """Return a round by number, from 1, whether or not it was run."""
        return Round(self.path, f"round_{number:02d}", f"round {number}", number)

    def before(self, number: int) -> System:
        """Return the system whose model a round goes on from.

        It is that of the last round before it that was promoted, as far as its chapter goes back where that was told
        what to go on from. Raises NotFinished where a round before it is not.
        """
        chapter = self.chapter_of(number)
        first = chapter.first if chapter.start else 1
        earlier = (self.round(each) for each in range(number - 1, first - 1, -1))
        start = self.trained(chapter.start) if chapter.start else self.stage1
        return next((each for each in earlier if each.promotion.result().promoted), start)

    def trained(self, name: str) -> System:
        """Return a system that is trained and measured, by the name of its folder. Raises UserError for another."""
        found = {system.name: system for system in self.systems()}
        if name not in found:
            raise UserError(f"run {self.name} has no measured system {name!r}: it has {', '.join(found) or 'none'}")
        return found[name]

    @property
    def begun(self) -> bool:
        """Whether the folder holds a run's settings."""
        return (self.path / CONFIG).exists()

    @property
    def ended(self) -> bool:
        """Whether the run has come to its end, so that a further round begins a chapter."""
        return self.last_chapter.chosen.finished

    @property
    def num_done(self) -> int:
        """Rounds that are trained and measured."""
        return sum(this.measured for this in self.rounds())

    @property
    def num_begun(self) -> int:
        """Rounds of which anything is on disk."""
        return sum(path.is_dir() for path in self.path.glob("round_[0-9][0-9]"))

    def rounds(self) -> list[Round]:
        """Return the rounds whose pools are frozen, in order."""
        found: list[Round] = []
        while (following := self.round(len(found) + 1)).pools.finished:
            found.append(following)
        return found

    def trained_rounds(self) -> list[Round]:
        """Return the rounds that are done, in order; the last one mined may have trained nothing, and is none."""
        return [this for this in self.rounds() if this.promotion.finished]

    def systems(self) -> list[System]:
        """Return the systems that are trained and measured, in the order of the final table."""
        beside = [system for this in self.rounds() for system in (self.control(this.number), this)]
        return [system for system in (self.stage1, *beside) if system.measured]

    def stages(self) -> Iterator[Stage[object]]:
        """Give every finished stage, by name."""
        for path in sorted(self.path.glob("**/manifest.json")):
            yield Stage(self.path, str(path.parent.relative_to(self.path)), object)

    def config(self) -> RunConfig:
        """Return the settings that the run was started with.

        Raises NotFinished where there is no run, UserError for a run of another schema.
        """
        text = config_text(self.path)
        try:
            return resolve(RunConfig(), text=text)
        except ConfigError as error:
            raise not_what_was_written(self.path, str(error).splitlines()[0]) from error

    def archive(self, *, uri: str = "") -> Archive:
        """Return the run's archive at the versions that its last chapter reads.

        uri: where the archive lies now; "" = where it lay when the run was started

        Raises NotFinished for a run without a pin, UserError for another archive than the run's, and where there is
        none any more.
        """
        return self.newest_archive(uri=uri).pinned(self.last_chapter.archive_pin.result().versions)

    def measured_archive(self, *, uri: str = "") -> Archive:
        """Return the run's archive at the versions that it began with: all its systems are measured on these.

        uri, Raises: as of `archive`
        """
        return self.newest_archive(uri=uri).pinned(self.archive_pin.result().versions)

    def newest_archive(self, *, uri: str = "") -> Archive:
        """Return the run's archive as it is now: with the reports, labels and verdicts that came since the pin.

        uri, Raises: as of `archive`
        """
        if not self.archive_pin.finished:
            raise NotFinished(f"run {self.name} is not pinned to an archive yet: go on with `mammoloop selftrain`")
        pin = self.last_chapter.archive_pin.result()
        archive = Archive.open(uri) if uri else self._archive_of(pin)
        check_pinned(archive, pin, run=self.name)
        return archive

    def _archive_of(self, pin: ArchivePin) -> Archive:
        """Return the archive where it lay when the run was started, and log its place."""
        beside = self._beside(pin)
        hint = f"; one of the same key lies beside the run, at {beside}" if beside else ""
        try:
            archive = Archive.open(pin.uri)
        except NoArchive:
            raise UserError(
                f"run {self.name} was begun on the archive at {pin.uri}, where there is none now: it has moved, say "
                f"with --archive where it lies{hint}"
            ) from None
        if beside:
            log.warning(
                "run %s reads the archive at %s%s: name the one you mean with --archive", self.name, pin.uri, hint
            )
        else:
            log.info("run %s reads the archive at %s", self.name, pin.uri)
        return archive

    def _beside(self, pin: ArchivePin) -> str:
        """Return an archive of the same name and key that lies beside the run and is another copy; "" without one."""
        beside = self.path.resolve().parent / pin.uri.rstrip("/").rpartition("/")[2]
        if str(beside) == pin.uri:
            return ""
        try:
            archive = Archive.open(beside)
        except UserError:
            return ""
        return archive.uri if archive.key_fingerprint == pin.key_fingerprint and archive.uri != pin.uri else ""

    def pin(self, archive_uri: str) -> Archive:
        """Fix the archive and its versions at the first start; a restart reads the same ones."""
        self.archive_pin.once(lambda _: Written(pin_of(Archive.open(archive_uri))))
        return self.measured_archive(uri=archive_uri)

    def check_recipe(self, config: RunConfig) -> None:
        """Raise UserError, naming each key with both values, where the run or its labelling has another recipe."""
        if (self.path / CONFIG).exists() and (changed := differences(self.config(), config)):
            raise UserError(
                f"run {self.name} was begun with other settings ({'; '.join(changed)}): "
                "give the same ones, or choose another --out"
            )
        if config.rounds.num_rounds < self.num_begun:
            raise UserError(
                f"run {self.name} has begun round {self.num_begun}, rounds.num_rounds is {config.rounds.num_rounds}: "
                f"give {self.num_begun} or more, or --rounds +1"
            )
        self.labelling.check_settings(config.reports, above="reports")

    @contextmanager
    def claimed(self, config: RunConfig) -> Generator[None]:
        """Hold the folder for this driver. The lock ends with the process, so a killed run can be started again.

        Raises UserError when another driver holds it, or when the run, or the labelling in its folder, was begun with
        another recipe. Resources may differ.
        """
        if ":/" in str(self.path):
            raise UserError(
                f"--out {self.path}: runs are kept in a folder, local or mounted on every node; give a path"
            )
        if not is_utf8(str(self.path.resolve())):
            raise UserError(f"--out {readable(str(self.path))} is not UTF-8: rename its folders, or choose another one")
        with storage(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            opened = (self.path / LOCK).open("w")
        with opened as lock:
            if not taken(lock):
                raise UserError(
                    f"another driver works on run {self.name}: wait until it has ended, or choose another --out"
                )
            self.check_recipe(config)
            clear_partial(self.path)
            write_text(self.path / CONFIG, HEADER + as_yaml(config.of_run()))
            yield
