"""The whole loop on one archive: label, train, then round after round infer, mine, retrain, evaluate.

Each stage is skipped when its manifest is there, so a run that was killed is started again with the same arguments.
"""

import logging
import math
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import evaluate, infer, label, mine, retrain, train
from system.archive import Archive, check_no_leak, pair_table, share_of_patients
from system.config import RunConfig
from system.errors import NotFinished
from system.evaluation.examine_run import MaskRule
from system.evaluation.thresholds import choose_thresholds
from system.mining import known_truth, labels_since, outlined_by_radiologists, verdicts_of
from system.records import Split
from system.rounds import GoOn, RoundResult, Stop, decide
from system.run.folder import Round, RunFolder, System
from system.run.results import FrocResult, InferResult, PoolsResult, TrainResult
from system.training.job import TrainJob

log = logging.getLogger(__name__)


def run(archive_uri: str, out: Path, *, config: RunConfig) -> list[System]:
    """Run the loop until `decide` returns Stop; return the systems in the order of the table. Needs a running Ray.

    Raises UserError when the folder holds a run of another recipe, or a patient is in two splits.
    """
    folder = RunFolder(out.resolve())  # workers stand in other folders
    with folder.claimed(config):
        archive = prepare(archive_uri, folder, config=config)
        loop = Loop(folder, config, archive)
        loop.train_stage1()
        loop.measure(folder.stage1)
        history: list[RoundResult] = []
        while True:
            match decide(history, config=config.rounds):
                case GoOn(number):
                    pools = loop.mine(folder.round(number))
                    loop.retrain(folder.round(number))
                    loop.measure(folder.round(number))
                    history.append(RoundResult(number, num_mined=max(pool.counts.num_pooled for pool in pools.pools)))
                case Stop(reason):
                    log.info("stop: %s", reason)
                    break
        if config.rounds.control and history:
            loop.train_control(num_rounds=len(history))
            loop.measure(folder.control)
    return folder.systems()


def prepare(archive_uri: str, folder: RunFolder, *, config: RunConfig) -> Archive:
    """Do what comes before any network: label the reports, and pin the archive's versions."""
    label.run(archive_uri, config=config.reports, resources=config.resources.reports, stage=folder.labels)
    archive = folder.pin(archive_uri)
    check_no_leak(archive.table("images"))
    return archive


def infer_alone(out: Path, number: int, *, config: RunConfig) -> InferResult:
    """Do a round's inference and nothing else; the rest of the run must be there up to it. Needs a running Ray.

    config: the run's own, perhaps with other resources;  number: from 1
    Raises NotFinished for a round whose model is not trained yet.
    """
    folder = RunFolder(out.resolve())
    with folder.claimed(config):
        loop, before = Loop(folder, config, folder.archive()), folder.before(number)
        if not before.checkpoint.finished:
            raise NotFinished(
                f"round {number} needs the model of {before.name}, which {folder.name} does not have: "
                "go on with `mammoloop selftrain`"
            )
        loop.measure(before)
        return loop.infer(folder.round(number))


class Loop:
    """The steps of the loop, each on one run, its settings, and the archive pinned to one version."""

    def __init__(self, folder: RunFolder, config: RunConfig, archive: Archive) -> None:
        self.folder, self.config, self.archive = folder, config, archive
        self.images = archive.table("images")

    def train_stage1(self) -> TrainResult:
        """Train on the fully annotated data alone (Tang et al. 2021, section 3.1)."""
        job = self._job("stage 1", seed=self.config.seed)
        return train.run(job, resources=self.config.resources.train, stage=self.folder.stage1.checkpoint)

    def mine(self, this: Round) -> PoolsResult:
        """Infer the weak images with the latest model and compare its masks with the reports."""
        self.infer(this)
        now = Archive.open(self.archive.uri)  # not the pinned one: corrected reports and verdicts count at once
        labels, verdicts = self.archive.table("labels"), now.table("verdicts")
        rounds = self.config.rounds
        return mine.run(
            this.predictions,
            mine.Inputs(
                labels=labels,
                images=self.images,
                updates=[
                    labels_since(labels, now.table("labels"), self.images, round_number=this.number),
                    verdicts_of(verdicts, self.images, round_number=this.number),
                ],
                outlined=outlined_by_radiologists(verdicts, self.images),
                truth=known_truth(self.archive.table("masks"), verdicts, self.images),
            ),
            p0=rounds.p0.values(rounds.train.num_epochs),
            round_number=this.number,
            miner_place=rounds.miner,
            stage=this.pools,
        )

    def infer(self, this: Round) -> InferResult:
        """Run the latest model over the weak images (docs/method.md, One round, step 1)."""
        latest = self.folder.before(this.number)
        weak = share_of_patients(self._members(Split.WEAK), share=self.config.weak_share)
        return infer.for_mining(
            pair_table(weak),
            archive_uri=self.archive.uri,
            checkpoint=latest.model,
            config=self.config.infer,
            resources=self.config.resources.infer,
            mask_threshold=latest.thresholds.result().mask_threshold,
            stage=this.predictions,
        )

    def retrain(self, this: Round) -> TrainResult:
        """Train on the strong data and the round's pools, from the latest model (Tang et al. 2021, section 3.3)."""
        rounds = self.config.rounds
        job = self._job(f"round {this.number}", seed=self.config.seed + this.number)
        job = job.changed(train=rounds.train, start=str(self.folder.before(this.number).model))
        resources = self.config.resources.train
        return retrain.run(job, pools=this.pools, schedule=rounds.p0, resources=resources, stage=this.checkpoint)

    def train_control(self, *, num_rounds: int) -> TrainResult:
        """Go on with Stage 1 for as many more steps as the rounds took: what the rounds must beat."""
        settings = self.config.rounds.train
        steps = sum(self.folder.round(number).checkpoint.result().num_steps for number in range(1, num_rounds + 1))
        num_epochs = num_rounds * settings.num_epochs
        longer = settings.changed(
            num_epochs=num_epochs,
            steps_per_epoch=math.ceil(steps / num_epochs),
            class_factor=self.config.stage1.class_factor,
        )
        job = self._job("control", seed=self.config.seed + 1)
        job = job.changed(train=longer, start=str(self.folder.stage1.model))
        return train.run(job, resources=self.config.resources.train, stage=self.folder.control.checkpoint)

    def measure(self, system: System) -> FrocResult:
        """Run a model over the held-out patients, choose its thresholds on validation, evaluate it on test."""
        infer_and_choose_thresholds(
            system, pair_table(self._members(Split.VALIDATION, Split.TEST)), archive=self.archive, config=self.config
        )
        return evaluate_on(system, Split.TEST, archive=self.archive, config=self.config)

    def _job(self, name: str, *, seed: int) -> TrainJob:
        return train_job(name, archive=self.archive, config=self.config, seed=seed)

    def _members(self, *splits: Split) -> pa.Table:
        return self.images.filter(pc.field("split").isin([str(split) for split in splits]))


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
    )


def infer_and_choose_thresholds(system: System, pairs: pa.Table, *, archive: Archive, config: RunConfig) -> None:
    """Run a trained model over held-out pairs, and choose its thresholds on validation. Needs a running Ray."""
    infer.whole_maps(
        pairs,
        archive_uri=archive.uri,
        checkpoint=system.model,
        config=config.infer,
        resources=config.resources.infer,
        stage=system.held_out,
    )
    choose_thresholds(
        system.held_out,
        archive=archive,
        refine=config.infer.refine,
        froc=config.froc,
        choose_candidates=config.choose_candidate_threshold,
        stage=system.thresholds,
    )


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
