"""The whole loop on one archive: label, train, then round after round infer, mine, retrain, evaluate.

Each stage is skipped when its manifest is there, so a run that was killed is started again with the same words.
"""

import fcntl
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import evaluate, infer, label, mine, retrain, train
from pipelines.thresholds import Thresholds, choose
from pipelines.train import TrainJob
from system.archive import Archive, check_no_leak, pair_table, share_of_patients
from system.config import RunConfig, as_yaml, resolve
from system.mining import judged_at_random, labels_since, outlined_by_readers, verdicts_of
from system.records import Split
from system.refine import InferConfig
from system.rounds import GoOn, RoundResult, Stop, decide
from system.runs import Stage, write_atomically

log = logging.getLogger(__name__)
SUPERVISED, CONTROL = "supervised", "as many more supervised steps"
LABELS, ARCHIVE = "labels", "archive"  # the stages before any network; the second pins the archive's versions


@dataclass(frozen=True)
class System:
    """A trained model and what was made of it; the unit that the final table compares."""

    title: str
    checkpoint: Stage
    held_out: Stage  # predictions on validation and test
    evaluation: Stage
    thresholds: Thresholds


@dataclass(frozen=True)
class Run:
    """A run's fixed surroundings: where it lies, its settings, and the archive pinned to one version."""

    folder: Path
    config: RunConfig
    archive: Archive

    def stage(self, name: str) -> Stage:
        """Return a stage of this run by name, e.g. `round_01/pools`."""
        return Stage(self.folder, name)


def run(archive_uri: str, out: Path, *, config: RunConfig) -> list[System]:
    """Run the loop until `decide` says stop; return the systems in the order of the table. Needs a running Ray.

    Raises ValueError when the folder holds a run of another configuration, or a patient is in two splits.
    """
    out = out.resolve()  # workers stand in other folders
    with _claimed(out, config):
        here = prepare(archive_uri, out, config=config)
        first = stage_one(here)
        systems = [measure(here, SUPERVISED, train_stage=first)]
        history: list[RoundResult] = []
        while True:
            match decide(history, config=config.rounds):
                case GoOn(number):
                    pools = find_samples(here, number, latest=systems[-1])
                    model = retrain_round(here, number, pools=pools, latest=systems[-1])
                    systems.append(measure(here, f"round {number}", train_stage=model))
                    history.append(RoundResult(number, num_mined=_largest_pool(pools)))
                case Stop(reason):
                    log.info("stop: %s", reason)
                    break
        if config.rounds.control and history:
            more = train_control(here, num_rounds=len(history), start=first)
            systems.insert(1, measure(here, CONTROL, train_stage=more))
    return systems


def prepare(archive_uri: str, out: Path, *, config: RunConfig) -> Run:
    """Do what comes before any network: label the reports, and pin the archive's versions."""
    label.run(archive_uri, config=config.reports, stage=Stage(out, LABELS))
    return _pin(out, archive_uri, config)


def stage_one(here: Run) -> Stage:
    """Train on the fully labelled data alone (seed 000, section 3.1)."""
    stage = here.stage("stage1/checkpoint")
    train.run(_job(here, "stage 1", seed=here.config.seed), cluster=here.config.cluster, stage=stage)
    return stage


def find_samples(here: Run, number: int, *, latest: System) -> Stage:
    """Infer the weak images with the latest model and compare its masks with the reports."""
    predictions, pools = infer_round(here, number, latest=latest), here.stage(f"round_{number:02d}/pools")
    images, rounds = here.archive.table("images"), here.config.rounds
    now = Archive.open(here.archive.uri)  # what has been said since the run was pinned: no sample outlives its report, none a reader's word
    verdicts = now.table("verdicts")
    mine.run(
        predictions,
        labels=here.archive.table("labels"),
        images=images,
        schedule=rounds.p0,
        num_epochs=rounds.train.num_epochs,
        stage=pools,
        round=number,
        place=rounds.miner,
        later=[
            labels_since(here.archive.table("labels"), now.table("labels"), images, round_number=number),
            verdicts_of(verdicts, images, round_number=number),
        ],
        outlined=outlined_by_readers(verdicts, images),
        truth=_truth(here.archive, images, judged=judged_at_random(verdicts, images)),
    )
    return pools


def infer_round(here: Run, number: int, *, latest: System) -> Stage:
    """Run the latest model over the weak images (METHODS 1.4, step 1)."""
    predictions = here.stage(f"round_{number:02d}/predictions")
    infer.run(
        pair_table(share_of_patients(_members(here.archive.table("images"), Split.WEAK), share=here.config.weak_share)),
        archive_uri=here.archive.uri,
        checkpoint=model_folder(latest.checkpoint),
        config=here.config.infer,
        stage=predictions,
        mask_threshold=latest.thresholds.mask_threshold,
        keep_maps="masked",
    )
    return predictions


def infer_alone(out: Path, number: int, *, config: RunConfig) -> Stage:
    """Do a round's inference and nothing else; the rest of the run must be there up to it. Needs a running Ray.

    config: as `config_of` reads it from the run;  number: from 1.  Raises FileNotFoundError for a round whose model is not trained yet.
    """
    out = out.resolve()
    before = "stage1" if number == 1 else f"round_{number - 1:02d}"
    with _claimed(out, config):
        here = reopen(out, config)
        trained = here.stage(f"{before}/checkpoint")
        if not trained.manifest():
            raise FileNotFoundError(
                f"round {number} needs the model of {before}, which {out.name} does not have: go on with `mammoloop selftrain`"
            )
        return infer_round(here, number, latest=measure(here, before, train_stage=trained))


def config_of(out: Path) -> RunConfig:
    """Return the settings that a run was started with. Raises FileNotFoundError where there is no run."""
    kept = out / "config.yaml"
    if not kept.exists():
        raise FileNotFoundError(f"{out.name} holds no run: it has no config.yaml; start one with `mammoloop selftrain`")
    return resolve(RunConfig(), text=kept.read_text(encoding="utf8"))


def retrain_round(here: Run, number: int, *, pools: Stage, latest: System) -> Stage:
    """Train on the strong data and the round's pools, from the latest model (seed 000, section 3.3)."""
    stage = here.stage(f"round_{number:02d}/checkpoint")
    job = _job(here, f"round {number}", seed=here.config.seed + number)
    job = job.model_copy(update={"train": here.config.rounds.train, "start": str(model_folder(latest.checkpoint))})
    retrain.run(job, pools=pools, schedule=here.config.rounds.p0, cluster=here.config.cluster, stage=stage)
    return stage


def train_control(here: Run, *, num_rounds: int, start: Stage) -> Stage:
    """Go on with stage 1 for as many more steps as the rounds took: the mask loss on strong data alone. What the rounds must beat."""
    stage, settings = here.stage("control/checkpoint"), here.config.rounds.train
    num_epochs = num_rounds * settings.num_epochs
    steps = sum(_num_steps(here.stage(f"round_{number:02d}/checkpoint")) for number in range(1, num_rounds + 1))
    changes = {"num_epochs": num_epochs, "steps_per_epoch": -(-steps // num_epochs), "class_factor": here.config.stage1.class_factor}
    longer = settings.model_copy(update=changes)
    job = _job(here, "control", seed=here.config.seed + 1).model_copy(update={"train": longer, "start": str(model_folder(start))})
    train.run(job, cluster=here.config.cluster, stage=stage)
    return stage


def measure(here: Run, title: str, *, train_stage: Stage) -> System:
    """Run a model over the held-out patients, choose its thresholds on validation, evaluate it on test."""
    part = train_stage.name.split("/")[0]
    held_out, evaluation = here.stage(f"{part}/held_out"), here.stage(f"{part}/froc")
    infer.run(
        pair_table(_members(here.archive.table("images"), Split.VALIDATION, Split.TEST)),
        archive_uri=here.archive.uri,
        checkpoint=model_folder(train_stage),
        config=_without_crf(here.config.infer),
        stage=held_out,
        mask_threshold=0.5,  # of no consequence: only the maps of held-out images are used
        keep_maps="all",
    )
    thresholds = choose(held_out, archive=here.archive, config=here.config, stage=here.stage(f"{part}/thresholds"))
    system = System(title, train_stage, held_out, evaluation, thresholds)
    evaluate_on(here, system, Split.TEST)
    return system


def evaluate_on(here: Run, system: System, split: Split) -> Stage:
    """Return the finished evaluation of a system on the test or the validation split."""
    stage = system.evaluation if split is Split.TEST else here.stage(f"{system.evaluation.name}_{split}")
    froc = here.config.froc.model_copy(update={"candidate_floor": system.thresholds.candidate_floor})
    mask = system.thresholds.mask_threshold
    evaluate.run(system.held_out, archive=here.archive, config=froc, stage=stage, split=split, mask_threshold=mask)
    return stage


def finished_systems(here: Run) -> list[System]:
    """Return the systems of a run that are trained and evaluated, in the order of the table."""
    rounds = {f"round_{number:02d}": f"round {number}" for number in range(1, here.config.rounds.num_rounds + 1)}
    found = []
    for part, title in {"stage1": SUPERVISED, "control": CONTROL, **rounds}.items():
        thresholds, evaluation = here.stage(f"{part}/thresholds").manifest(), here.stage(f"{part}/froc")
        if thresholds and evaluation.manifest():
            stages = here.stage(f"{part}/checkpoint"), here.stage(f"{part}/held_out"), evaluation
            found.append(System(title, *stages, Thresholds(**thresholds.metrics)))
    return found


def model_folder(stage: Stage) -> Path:
    """Return the folder that holds a training stage's model."""
    return stage.path("model.json").parent


@contextmanager
def _claimed(out: Path, config: RunConfig) -> Iterator[None]:
    """Hold the run's folder for this driver; a lock that dies with the process, so a killed run can be started again."""
    if ":/" in str(out):
        raise ValueError(f"--out {out}: runs are kept in a folder, local or mounted on every node; give a path")
    out.mkdir(parents=True, exist_ok=True)
    with (out / "driver.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"another driver works on run {out.name}: wait for it, or choose another --out") from None
        text, kept = as_yaml(config), out / "config.yaml"
        if kept.exists() and kept.read_text(encoding="utf8") != text:
            raise ValueError(f"run {out.name} was started with other settings (see its config.yaml): repeat them, or choose another --out")
        write_atomically(kept, text)
        yield


def _pin(out: Path, archive_uri: str, config: RunConfig) -> Run:
    """Fix the archive's versions at the first start; a restart reads the same ones."""
    archive = Archive.open(archive_uri)
    Stage(out, ARCHIVE).once(lambda _: ([], {"archive_versions": archive.versions(), "config": {"uri": archive.uri}}))
    here = reopen(out, config, archive_uri=archive.uri)
    check_no_leak(here.archive.table("images"))
    return here


def reopen(out: Path, config: RunConfig, *, archive_uri: str = "") -> Run:
    """Return a run whose archive is pinned already. archive_uri: where it lies now, when it was moved.

    Raises FileNotFoundError for a run that has not come so far.
    """
    pinned = Stage(out, ARCHIVE).manifest()
    if not pinned:
        raise FileNotFoundError(f"{out.name} has not come to its archive yet: go on with `mammoloop selftrain`")
    return Run(out, config, Archive.open(archive_uri or pinned.config["uri"]).pinned(pinned.archive_versions))


def _job(here: Run, name: str, *, seed: int) -> TrainJob:
    config = here.config
    return TrainJob(
        name=name,
        archive_uri=here.archive.uri,
        archive_versions=here.archive.versions(),
        method=config.method,
        net=config.net,
        train=config.stage1,
        loss=config.loss,
        strong_share=config.strong_share,
        seed=seed,
    )


def _members(images: pa.Table, *splits: Split) -> pa.Table:
    return images.filter(pc.field("split").isin([str(split) for split in splits]))


def _without_crf(config: InferConfig) -> InferConfig:
    return config.model_copy(update={"refine": config.refine.model_copy(update={"backend": "none"})})


def _truth(archive: Archive, images: pa.Table, *, judged: pa.Table) -> pa.Table:
    """Return which weak images show a mass, as far as masks or readers asked at random tell; it only measures the pools' purity."""
    masks = {row["image_id"]: row["num_lesions"] > 0 for row in archive.table("masks").to_pylist()}
    known = dict(zip(judged["image_key"].to_pylist(), judged["has_mass"].to_pylist(), strict=True))
    known |= {
        key: masks[image_id]
        for key, image_id in zip(images["image_key"].to_pylist(), images["image_id"].to_pylist(), strict=True)
        if image_id in masks
    }
    return pa.table({"image_key": pa.array(list(known), pa.int64()), "has_mass": pa.array(list(known.values()), pa.bool_())})


def _num_steps(stage: Stage) -> int:
    return sum(row["num_steps"] for row in train.epoch_rows(stage))


def _largest_pool(pools: Stage) -> int:
    manifest: Any = pools.manifest()
    return max((sum(counts[name] for name in ("TP", "FP", "FN")) for counts in manifest.metrics["counts"].values()), default=0)
