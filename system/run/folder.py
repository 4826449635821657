"""A self-training run as an object: its stages by name, its settings, and the archive it is pinned to.

```
RUN/config.yaml                 the resolved settings
    labels/ archive/            report models and labels; which archive, at which versions
    stage1/ control_01/ round_01/   one system each: checkpoint, held_out, thresholds, froc, validated
                                (froc_validation; by other rules than the run's: froc_by_…, froc_validation_by_…)
    round_01/                   and before it: predictions, pools; after it: promotion
    chosen/                     which of the systems is the run's result
    miner/ tensorboard/         the journal of the pools, training curves
    page/ explain/              for people
    labels_02/ ...              of `mammoloop label --retrain`, before the run is pinned; the last one counts
```
"""

import logging
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from system.archive import Archive, NoArchive
from system.config import ConfigError, RunConfig, as_yaml, differences, resolve
from system.errors import NotFinished, UserError
from system.faults import storage
from system.files.atomic import clear_partial, write_text
from system.files.names import is_utf8, readable
from system.metrics import FrocConfig
from system.records import Split
from system.rounds import Chosen, Promotion
from system.run.kept_config import CONFIG, HEADER, config_text, not_what_was_written
from system.run.lock import LOCK, taken
from system.run.pin import check_pinned, pin_of
from system.run.results import (
    ArchivePin,
    FrocResult,
    InferResult,
    LabelResult,
    PoolsResult,
    Thresholds,
    TrainResult,
)
from system.run.stage import Stage, Written

log = logging.getLogger(__name__)

SUPERVISED = "supervised"  # title of Stage 1


@dataclass(frozen=True)
class System:
    """A trained model of a run with its measurements; one row of the final table."""

    run: Path
    name: str  # of its folder in the run: stage1, control, round_01
    title: str  # as tables and the page name it

    @property
    def checkpoint(self) -> Stage[TrainResult]:
        """The training; files model.safetensors, model.json, epochs.jsonl."""
        return Stage(self.run, f"{self.name}/checkpoint", TrainResult)

    @property
    def held_out(self) -> Stage[InferResult]:
        """Predictions on validation and test, every map kept; files of schemas.PREDICTIONS.

        Where the mask threshold comes from reports (report_negatives), on a few weak images too.
        """
        return Stage(self.run, f"{self.name}/held_out", InferResult)

    @property
    def thresholds(self) -> Stage[Thresholds]:
        """The mask threshold and the candidate threshold, chosen on validation; no files."""
        return Stage(self.run, f"{self.name}/thresholds", Thresholds)

    def froc(self, split: Split = Split.TEST, *, other_rules: FrocConfig | None = None) -> Stage[FrocResult]:
        """The evaluation on a split; files froc.json, and images, lesions, candidates, cuts of these schemas.

        other_rules: than the run's own; each set of rules has a stage of its own
        """
        by = "" if other_rules is None else f"_by_{_digest(other_rules)}"
        return Stage(self.run, f"{self.name}/froc{'' if split is Split.TEST else f'_{split}'}{by}", FrocResult)

    def thresholds_by(self, other_rules: FrocConfig) -> Stage[Thresholds]:
        """The thresholds chosen for an evaluation by other rules than the run's own, which needed none; no files."""
        return Stage(self.run, f"{self.name}/thresholds_by_{_digest(other_rules)}", Thresholds)

    @property
    def validated(self) -> Stage[FrocResult]:
        """The evaluation on validation by which systems are compared: own-peak candidates, no chosen threshold."""
        return Stage(self.run, f"{self.name}/validated", FrocResult)

    @property
    def model(self) -> Path:
        """The folder that holds the trained model. Raises NotFinished."""
        return self.checkpoint.path("model.json").parent

    @property
    def measured(self) -> bool:
        """Whether the model is trained and evaluated on test."""
        return self.thresholds.finished and self.froc().finished


def _digest(rules: FrocConfig) -> str:
    return sha256(rules.model_dump_json().encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Round(System):
    """A round: its predictions, its pools, and the system that it trained."""

    number: int  # from 1

    @property
    def predictions(self) -> Stage[InferResult]:
        """Predictions of the model before, on the weak images; files of schemas.PREDICTIONS."""
        return Stage(self.run, f"{self.name}/predictions", InferResult)

    @property
    def pools(self) -> Stage[PoolsResult]:
        """The pools; files pool_step_N.arrow of schemas.POOL, and outlined.parquet of schemas.OUTLINED."""
        return Stage(self.run, f"{self.name}/pools", PoolsResult)

    @property
    def promotion(self) -> Stage[Promotion]:
        """Whether the next round goes on from this one's model; no files."""
        return Stage(self.run, f"{self.name}/promotion", Promotion)


@dataclass(frozen=True)
class RunFolder:
    """One self-training run on disk. Cheap to make; opens nothing by itself."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.resolve().name

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
        """Which archive the run reads; no files."""
        return Stage(self.path, "archive", ArchivePin)

    @property
    def stage1(self) -> System:
        """The system trained on the fully annotated data alone (Tang et al. 2021, Stage 1)."""
        return System(self.path, "stage1", SUPERVISED)

    def control(self, number: int) -> System:
        """Return Stage 1, trained without weak data for as many more steps as the rounds up to this one took."""
        return System(self.path, f"control_{number:02d}", f"control {number}")

    @property
    def chosen(self) -> Stage[Chosen]:
        """Which system is the run's result; no files."""
        return Stage(self.path, "chosen", Chosen)

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
        """Return the system whose model a round goes on from: of the last round before it that was promoted.

        Raises NotFinished where a round before it is not.
        """
        earlier = (self.round(each) for each in range(number - 1, 0, -1))
        return next((each for each in earlier if each.promotion.result().promoted), self.stage1)

    def rounds(self) -> list[Round]:
        """Return the rounds whose pools are frozen, in order."""
        found: list[Round] = []
        while (following := self.round(len(found) + 1)).pools.finished:
            found.append(following)
        return found

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
        """Return the run's archive at the versions it is pinned to.

        uri: where the archive lies now; "" = where it lay when the run was started

        Raises NotFinished for a run without a pin, UserError for another archive than the run's, and where there is
        none any more.
        """
        return self.newest_archive(uri=uri).pinned(self.archive_pin.result().versions)

    def newest_archive(self, *, uri: str = "") -> Archive:
        """Return the run's archive as it is now: with the reports, labels and verdicts that came since the pin.

        uri, Raises: as of `archive`
        """
        if not self.archive_pin.finished:
            raise NotFinished(f"run {self.name} is not pinned to an archive yet: go on with `mammoloop selftrain`")
        pin = self.archive_pin.result()
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
        return self.archive(uri=archive_uri)

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
            if (self.path / CONFIG).exists() and (changed := differences(self.config(), config)):
                raise UserError(
                    f"run {self.name} was begun with other settings ({'; '.join(changed)}): "
                    "give the same ones, or choose another --out"
                )
            clear_partial(self.path)
            self.labelling.check_settings(config.reports, above="reports")
            write_text(self.path / CONFIG, HEADER + as_yaml(config.of_run()))
            yield
