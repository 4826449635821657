"""The whole loop on one archive: label, train, then round after round infer, mine, retrain, evaluate.

Each stage is skipped when its manifest is there, so a run that was killed is started again with the same arguments.
"""

import logging
import math
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import evaluate, go_on, infer, label, mine, retrain, tensorboard, train
from pipelines.hardware import hardware
from pipelines.infer import InferJob
from pipelines.page.live import live_page
from system.archive import Archive, check_no_leak, pair_table, share_of_patients
from system.config import RunConfig
from system.errors import NotFinished
from system.evaluation.examine_run import MaskRule
from system.evaluation.read_back import patient_counts
from system.evaluation.report_negatives import negative_pairs
from system.evaluation.thresholds import choose_thresholds
from system.metrics import PatientCounts, compare_systems
from system.mining import (
    first_labels,
    hard_labels,
    known_truth,
    labels_since,
    on_these_pictures,
    outlined_by_radiologists,
    true_labels,
    verdicts_of,
)
from system.records import Split
from system.rounds import (
    Chosen,
    Gain,
    GoOn,
    Promotion,
    RoundResult,
    Stop,
    Train,
    choose,
    decide,
    promote,
)
from system.run.after_mining import training_of
from system.run.ahead import Ahead
from system.run.chapter import chapters
from system.run.folder import RunFolder
from system.run.going_on import begins_chapter, wants_more
from system.run.results import FrocResult, InferResult, PoolsResult, TrainResult
from system.run.stage import Written
from system.run.stage_words import taken_over
from system.run.starts import Start, note_start
from system.run.systems import Round, System
from system.training.job import TrainJob

log = logging.getLogger(__name__)


def run(archive_uri: str, out: Path, *, config: RunConfig, more: bool = False, start: str = "") -> list[System]:
    """Run the loop until `decide` returns Stop; return the systems in the order of the table. Needs a running Ray.

    A run that has come to its end goes on where more rounds are wanted, with what its archive has by then.

    more: go on also where the run has stopped by itself, as it does where more rounds are wanted than it ended with
    start: folder of the system that the next chapter goes on from; "" = as the rounds before it decided
    Raises UserError when the folder holds a run of another recipe, or a patient is in two splits.
    """
    folder, config = RunFolder(out.resolve()), located(config)  # workers stand in other folders
    more = more or wants_more(folder, config.rounds.num_rounds)
    with folder.claimed(config), live_page(folder, archive_uri=archive_uri, config=config):
        if done := taken_over([stage.name for stage in folder.stages()]):
            log.info("%s goes on; taken over: %s", folder.name, done)
        if more or not folder.ended:
            note_start(folder.path, Start(datetime.now(UTC).isoformat(timespec="seconds"), hardware()))
        archive = prepare(archive_uri, folder, config=config)
        loop = Loop(folder, config, archive)
        loop.train_stage1()
        loop.measure(folder.stage1)
        history: list[RoundResult] = []
        first = folder.num_done + 1 if more and folder.ended else folder.last_chapter.first
        while True:
            match decide(history, config=config.rounds, first=first):
                case GoOn(number):
                    if begins_chapter(folder, number, more=more):
                        go_on.take_in(archive_uri, folder, number, config=config, start=start)
                    history.append(loop.round(folder.round(number)))
                case Stop(reason):
                    log.log(logging.WARNING if history and history[-1].untrained else logging.INFO, "stop: %s", reason)
                    break
        loop.choose()
        go_on.say_what_is_new(folder, archive_uri)
    return folder.systems()


def located(config: RunConfig) -> RunConfig:
    """Return the settings with every file named by its full path. Raises UserError for one that is not there."""
    return config.changed(net=config.net.located())


def prepare(archive_uri: str, folder: RunFolder, *, config: RunConfig) -> Archive:
    """Do what comes before any network: label the reports, and pin the archive's versions."""
    labelling = folder.labelling
    label.run(archive_uri, config=config.reports, resources=config.resources.reports, stage=labelling)
    if not folder.archive_pin.finished:
        label.check_current(archive_uri, stage=labelling)
    archive = folder.pin(archive_uri)
    check_no_leak(archive.table("images"))
    return archive


def infer_alone(out: Path, number: int, *, config: RunConfig, archive_uri: str = "") -> InferResult:
    """Do a round's inference and nothing else; the rest of the run must be there up to it. Needs a running Ray.

    config: the run's own, perhaps with other resources;  number: from 1
    archive_uri: where the run's archive lies now; "" = where it lay when the run was started
    Raises NotFinished for a round whose model is not trained yet.
    """
    folder = RunFolder(out.resolve())
    with folder.claimed(config):
        loop = Loop(folder, config, folder.measured_archive(uri=archive_uri))
        last = folder.round(number - 1) if number > 1 else folder.stage1
        if not last.checkpoint.finished:
            raise NotFinished(
                f"round {number} needs the model of {last.name}, which {folder.name} does not have: "
                "go on with `mammoloop selftrain`"
            )
        if folder.ended and number > folder.num_done:
            raise NotFinished(f"run {folder.name} has come to its end: go on with `mammoloop selftrain --rounds +1`")
        loop.measure(last)
        if isinstance(last, Round):
            loop.promote(last)
        return loop.infer(folder.round(number))


class Loop:
    """The steps of the loop, each on one run, its settings, and the archive as it was when the run began.

    What is measured, is measured on that. Rounds learn from the archive as their chapter reads it.
    """

    def __init__(self, folder: RunFolder, config: RunConfig, archive: Archive) -> None:
        self.folder, self.config, self.archive = folder, config, archive
        self.images = archive.table("images")

    def _read_by(self, number: int) -> Archive:
        """Return the archive as the chapter of a round reads it."""
        return self.archive.pinned(self.folder.chapter_of(number).archive_pin.result().versions)

    def train_stage1(self) -> TrainResult:
        """Train on the fully annotated data alone (Tang et al. 2021, section 3.1)."""
        job = train_job("stage 1", archive=self.archive, config=self.config, seed=self.config.seed)
        return train.run(job, resources=self.config.resources.train, stage=self.folder.stage1.checkpoint)

    def round(self, this: Round) -> RoundResult:
        """Infer, mine, retrain and measure, the control beside it; decide whether the next round goes on from it."""
        match training_of(this, self.mine(this), config=self.config.rounds):
            case Stop(reason):
                return RoundResult(this.number, num_mined=0, better=False, untrained=reason)
            case Train(num_mined):
                self.retrain(this)
        self.measure(this)
        if self.config.rounds.control:
            self.train_control(this.number)
            self.measure(self.folder.control(this.number))
        promotion = self.promote(this)
        return RoundResult(this.number, num_mined=num_mined, better=not promotion.gain.is_none)

    def mine(self, this: Round) -> PoolsResult:
        """Infer the weak images with the latest model and compare its masks with the reports."""
        self.infer(this)
        archive = self._read_by(this.number)
        now = self.folder.newest_archive(uri=archive.uri)  # corrected reports and verdicts count at once
        images, masks = archive.table("images"), archive.table("masks")
        verdicts = on_these_pictures(now.table("verdicts"), images)
        rounds = self.config.rounds
        updates = [verdicts_of(verdicts, images, round_number=this.number)]
        if not rounds.perfect_reports:
            updates += [labels_since(self._first_labels(), self._labels(now), images, round_number=this.number)]
        return mine.run(
            this.predictions,
            mine.Inputs(
                labels=true_labels(masks, images) if rounds.perfect_reports else self._labels(archive),
                images=images,
                updates=updates,
                outlined=outlined_by_radiologists(verdicts, images),
                truth=known_truth(masks, verdicts, images),
            ),
            p0=rounds.p0.values(rounds.train.num_epochs),
            round_number=this.number,
            miner_place=rounds.miner,
            stage=this.pools,
        )

    def _first_labels(self) -> pa.Table:
        """Return the labels of the chapter in which a breast was first labelled; the miner knows what came after."""
        pins = [chapter.archive_pin.result().versions for chapter in chapters(self.folder.path)]
        return first_labels([self._labels(self.archive.pinned(versions)) for versions in pins])

    def _labels(self, archive: Archive) -> pa.Table:
        """Return the archive's labels, cut to yes or no where the settings ask for it."""
        labels = archive.table("labels")
        return hard_labels(labels) if self.config.loss.report_labels == "hard_before" else labels

    def infer(self, this: Round) -> InferResult:
        """Run the latest model over the weak images (docs/method.md, One round, step 1)."""
        if this.predictions.finished:  # its model need not even be there any more
            return this.predictions.result()
        latest, images = self.folder.before(this.number), self._read_by(this.number).table("images")
        weak = share_of_patients(_members(images, Split.WEAK), share=self.config.weak_share)
        threshold = latest.thresholds.result().mask_threshold
        job = InferJob(
            self.archive.uri, latest.model, self.config.infer, self.config.resources.infer, mask_threshold=threshold
        )
        looked = Ahead(self.folder.path, latest.model_name).parts()
        return infer.for_mining(pair_table(weak), job, stage=this.predictions, earlier=looked)

    def retrain(self, this: Round) -> TrainResult:
        """Train on the strong data and the round's pools, from the latest model (Tang et al. 2021, section 3.3)."""
        rounds = self.config.rounds
        job = self._job(f"round {this.number}", number=this.number)
        job = with_pools(job, config=self.config, stage1=self.folder.stage1.checkpoint.result())
        job = job.changed(start=str(self.folder.before(this.number).model))
        resources = self.config.resources.train
        return retrain.run(job, pools=this.pools, schedule=rounds.p0, resources=resources, stage=this.checkpoint)

    def train_control(self, number: int) -> TrainResult:
        """Go on with Stage 1, without weak data, for as many steps as the round took: what the rounds must beat."""
        settings, folder = self.config.rounds.train, self.folder
        steps = folder.round(number).checkpoint.result().num_steps
        longer = settings.changed(
            steps_per_epoch=math.ceil(steps / settings.num_epochs), class_factor=self.config.stage1.class_factor
        )
        start = folder.stage1 if number == 1 else folder.control(number - 1)
        job = self._job(f"control {number}", number=number)
        job = job.changed(train=longer, start=str(start.model))
        return train.run(job, resources=self.config.resources.train, stage=folder.control(number).checkpoint)

    def measure(self, system: System) -> FrocResult:
        """Run a model over the held-out patients, choose its thresholds on validation, evaluate it on test."""
        held_out = pair_table(_members(self.images, Split.VALIDATION, Split.TEST))
        infer_and_choose_thresholds(system, held_out, archive=self.archive, config=self.config)
        with tensorboard.following(system.froc(), system, archive=self.archive):
            return evaluate_on(system, Split.TEST, archive=self.archive, config=self.config)

    def promote(self, this: Round) -> Promotion:
        """Compare a round's model with the one before it on validation, and decide which the next goes on from."""
        before = self.folder.before(this.number)

        def compare(_: Path) -> Written[Promotion]:
            found = promote(self.gain(this, before), over=before.name, config=self.config.rounds)
            verdict = "it is gone on from" if found.promoted else "it is not gone on from"
            summary = f"{verdict}: {found.gain.line()}; {found.reason}"
            return Written(found, parents=[before.validated.name, this.validated.name], summary=summary)

        return this.promotion.once(compare)

    def gain(self, this: System, before: System) -> Gain:
        """Return how much better a model is than another on validation, paired by patient."""
        counts = {system.title: self._validated(system) for system in (before, this)}
        first, second = compare_systems(counts, baseline=before.title, config=self.config.froc)
        return Gain(second.mean, first.mean, second.difference, second.difference_interval.pair())

    def choose(self) -> Chosen:
        """Choose the run's result: the best of its systems on validation."""
        systems = self.folder.systems()

        def compare(_: Path) -> Written[Chosen]:
            for system in systems:
                self._validated(system)
            means = {system.title: system.validated.result().sweep.mean for system in systems}
            found = choose([(system.name, system.title) for system in systems], means)
            found = replace(found, num_rounds=self.config.rounds.num_rounds)
            parents = [system.validated.name for system in systems]
            return Written(found, parents=parents, summary=f"{found.title}, {found.reason}")

        return self.folder.last_chapter.chosen.once(compare)

    def _validated(self, system: System) -> PatientCounts:
        """Return what a model finds in each validation patient, without a chosen threshold."""
        config = self.config.froc.changed(candidates="own_peak", regions="map")
        masks = MaskRule(system.thresholds.result().mask_threshold, self.config.infer.refine)
        with tensorboard.following(system.validated, system, archive=self.archive):
            evaluate.run(
                system.held_out,
                archive=self.archive,
                config=config,
                split=Split.VALIDATION,
                masks=masks,
                stage=system.validated,
            )
        return patient_counts(system.validated, config=config)

    def _job(self, name: str, *, number: int) -> TrainJob:
        """Return the training of a round, or of the control beside it, as one of Stage 1."""
        return train_job(name, archive=self._read_by(number), config=self.config, seed=self.config.seed + number)


def _members(images: pa.Table, *splits: Split) -> pa.Table:
    return images.filter(pc.field("split").isin([str(split) for split in splits]))


def train_job(name: str, *, archive: Archive, config: RunConfig, seed: int) -> TrainJob:
    """Return Stage 1's training, which the others are changes of. archive: pinned to the run's versions."""
    return TrainJob(
        name=name,
        archive_uri=archive.uri,
        archive_versions=archive.versions(),
        method=config.method,
        net=config.net,
        train=config.stage1,
        loss=config.loss,
        strong_share=config.strong_share,
        seed=seed,
        froc=config.froc,
    )


def with_pools(job: TrainJob, *, config: RunConfig, stage1: TrainResult) -> TrainJob:
    """Return Stage 1's training as that of a round: its lengths and rates, and what its batches hold."""
    rounds = config.rounds
    steps = rounds.steps_per_epoch(of_stage1=stage1.num_steps / stage1.num_epochs)
    return job.changed(
        train=rounds.train.changed(steps_per_epoch=steps),
        strong_in_batch=rounds.strong_in_batch,
        fn_in_batch=rounds.fn_in_batch,
        disputed=rounds.disputed == "train",
    )


def infer_and_choose_thresholds(system: System, pairs: pa.Table, *, archive: Archive, config: RunConfig) -> None:
    """Run a trained model over held-out pairs, and choose its thresholds. Needs a running Ray."""
    if config.infer.refine.mask_threshold == "report_negatives":
        negative = negative_pairs(archive, p0=config.rounds.p0.start, weak_share=config.weak_share)
        pairs = pa.concat_tables([pairs, negative])
    infer.whole_maps(
        pairs,
        archive_uri=archive.uri,
        checkpoint=system.model,
        config=config.infer,
        resources=config.resources.infer,
        stage=system.held_out,
    )
    choose_thresholds(system.held_out, archive=archive, config=config, stage=system.thresholds)


def evaluate_on(system: System, split: Split, *, archive: Archive, config: RunConfig) -> FrocResult:
    """Return how good a measured system is on the test or the validation split; evaluated once."""
    thresholds = system.thresholds.result()
    return evaluate.run(
        system.held_out,
        archive=archive,
        config=config.froc.changed(candidate_threshold=thresholds.candidate_threshold),
        split=split,
        masks=MaskRule(thresholds.mask_threshold, config.infer.refine),
        stage=system.froc(split),
    )
