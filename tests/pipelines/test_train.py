"""Training through Ray Train: any number of workers takes the same steps, and a killed one changes nothing."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pipelines import train
from pipelines.workers.train_loop import BEST
from system.archive import Archive
from system.errors import MachineFault, WorkerLost
from system.losses import LossConfig
from system.metrics import FrocConfig
from system.nets import NetConfig
from system.place import LIVE, LIVE_LOGGER
from system.records import Split
from system.resources import TrainResources
from system.run.results import TrainResult
from system.run.stage import Stage
from system.training.config import TrainConfig
from system.training.epoch_row import EpochRow
from system.training.job import TrainJob
from tests.events_in import events_of, scalars, scalars_of
from tests.pipelines.fixture_types import Killing, MakeArchive

pytestmark = [pytest.mark.ray, pytest.mark.slow]
PATIENTS = dict.fromkeys("abcdef", Split.STRONG)
FP32 = {"batch_size": 6, "negatives_per_positive": 2, "learning_rate": 1e-3, "class_factor": 1.0, "precision": "fp32"}
KEPT = "ray/checkpoint_*/progress.json"
REGISTERED_S = 2.5  # Ray looks for its workers' checkpoints every second at most
ONE, TWO = (TrainResources(num_workers=number, cpus=1, gpus=0) for number in (1, 2))
OFTEN = ONE.changed(checkpoint_steps=6)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, make_archive: MakeArchive) -> Archive:
    return make_archive(tmp_path_factory.mktemp("train-archive"), PATIENTS)


def job(archive: Archive, settings: Mapping[str, Any]) -> TrainJob:
    return TrainJob(
        name="test",
        archive_uri=archive.uri,
        archive_versions=archive.versions(),
        method="btv",
        net=NetConfig(backbone="resnet18", decoder_width=16, pretrained=False, prior=0.1),
        train=TrainConfig.model_validate(FP32 | dict(settings)),
        loss=LossConfig(),
        strong_share=1.0,
        seed=4,
    )


def checkpoint_of(run: Path) -> Stage[TrainResult]:
    return Stage(run, "stage1/checkpoint", TrainResult)


def weights(stage: Stage[TrainResult]) -> bytes:
    return stage.path("model.safetensors").read_bytes()


@pytest.mark.usefixtures("ray_cluster")
def test_two_workers_take_the_steps_of_one(archive: Archive, tmp_path: Path) -> None:
    """An epoch of one step, so that the file of epochs holds the loss of each step; the rates of stage 1, warmed up.

    In float64 they differ by 1e-8 throughout. In float32 Adam's first steps are as long for the smallest gradients as
    for the largest, rounding errors included.
    """
    settings = {"num_epochs": 20, "steps_per_epoch": 1, "learning_rate": 1e-4, "warmup_steps": 20, "class_factor": 0.0}
    settings |= {"synced_norms": True}
    losses = {}
    for name, resources in (("one", ONE), ("two", TWO)):
        stage = checkpoint_of(tmp_path / name)
        result = train.run(job(archive, settings), resources=resources, stage=stage)
        assert (result.num_epochs, result.num_steps) == (20, 20)
        losses[name] = [row.losses["total"] for row in train.epoch_rows(stage)]
    assert len(losses["one"]) == 20
    assert losses["two"] == pytest.approx(losses["one"], abs=1e-4)
    assert losses["one"][-1] < 0.95 * losses["one"][0]


@pytest.mark.usefixtures("ray_cluster")
def test_where_only_one_of_two_workers_finds_room_an_elastic_group_trains_with_one(
    archive: Archive, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """While it trains, the driver is shown where it is."""
    caplog.set_level(LIVE, logger=LIVE_LOGGER)
    stage = checkpoint_of(tmp_path / "run")
    elastic = TrainResources(num_workers=2, min_workers=1, cpus=5, gpus=0)  # of the test cluster's 8
    train.run(job(archive, {"num_epochs": 2, "steps_per_epoch": 1}), resources=elastic, stage=stage)
    rows = train.epoch_rows(stage)
    assert [row.workers for row in rows] == [1, 1]
    drawn = scalars(tmp_path / "run/tensorboard/stage1/checkpoint")
    assert [drawn["loss/total", step] for step in (1, 2)] == pytest.approx([row.losses["total"] for row in rows])
    assert drawn["pools/STRONG_MASS", 2] == len(PATIENTS)
    assert "test, epoch 1 of 2: step 1 of 1, loss " in caplog.text


@pytest.fixture(scope="module")
def long(archive: Archive) -> TrainJob:
    """Return a training that lasts long enough to be disturbed."""
    return job(archive, {"num_epochs": 1, "steps_per_epoch": 50})


@pytest.fixture(scope="module")
def calm(ray_cluster: Path, long: TrainJob, tmp_path_factory: pytest.TempPathFactory) -> Stage[TrainResult]:
    """Return the long training, undisturbed."""
    stage = checkpoint_of(tmp_path_factory.mktemp("calm"))
    train.run(long, resources=OFTEN, stage=stage)
    return stage


def test_a_worker_killed_in_mid_epoch_changes_no_weight(
    long: TrainJob, calm: Stage[TrainResult], tmp_path: Path, killing: Killing
) -> None:
    disturbed = checkpoint_of(tmp_path / "disturbed")
    killed: list[int] = []
    storage = disturbed.folder / "train"
    with killing("RayTrainWorker", into=killed, when=lambda: any(storage.glob(KEPT)), after_s=REGISTERED_S):
        train.run(long, resources=OFTEN, stage=disturbed)
        assert killed, "no worker was killed while it trained"
    assert train.epoch_rows(disturbed)[0].resumed_at_step > 0
    assert weights(disturbed) == weights(calm)
    assert [row.losses for row in train.epoch_rows(disturbed)] == [row.losses for row in train.epoch_rows(calm)]


@pytest.fixture(scope="module")
def with_validation(tmp_path_factory: pytest.TempPathFactory, make_archive: MakeArchive) -> Archive:
    patients = PATIENTS | dict.fromkeys("vw", Split.VALIDATION)
    return make_archive(tmp_path_factory.mktemp("with-validation"), patients)


NEVER_FOUND = FrocConfig(iou=0.999)
"""Rules by which no candidate of an untrained network finds a lesion: validation is 0 in every epoch."""


@pytest.mark.usefixtures("ray_cluster")
def test_a_training_ends_when_validation_stops_rising_and_keeps_the_best_epochs_weights(
    with_validation: Archive, tmp_path: Path
) -> None:
    """The best is the first of equals, so the weights are those of a training of one epoch."""
    length = {"steps_per_epoch": 2, "plan": "constant"}
    stopped, short = checkpoint_of(tmp_path / "stopped"), checkpoint_of(tmp_path / "short")
    wanted = job(with_validation, length | {"num_epochs": 9, "patience_epochs": 2}).changed(froc=NEVER_FOUND)
    result = train.run(wanted, resources=ONE, stage=stopped)
    assert (result.num_epochs, result.kept_epoch, result.num_steps) == (3, 1, 6)
    assert [row.validation for row in train.epoch_rows(stopped)] == [0.0, 0.0, 0.0]

    train.run(job(with_validation, length | {"num_epochs": 1}), resources=ONE, stage=short)
    assert weights(stopped) == weights(short)
    drawn = scalars(tmp_path / "stopped/tensorboard/stage1/checkpoint")
    assert drawn["validation/mean_sensitivity", 6] == 0.0  # three epochs of two steps


@pytest.mark.usefixtures("ray_cluster")
def test_without_patience_all_epochs_are_done_and_validation_is_null_in_their_rows(
    with_validation: Archive, tmp_path: Path
) -> None:
    stage = checkpoint_of(tmp_path / "run")
    result = train.run(job(with_validation, {"num_epochs": 2, "steps_per_epoch": 1}), resources=ONE, stage=stage)
    assert (result.num_epochs, result.kept_epoch) == (2, 2)
    lines = stage.path("epochs.jsonl").read_text().splitlines()
    assert [json.loads(line, parse_constant=pytest.fail)["validation"] for line in lines] == [None, None]
    assert ("validation/mean_sensitivity", 1) not in scalars(tmp_path / "run/tensorboard/stage1/checkpoint")


@pytest.mark.usefixtures("ray_cluster")
def test_a_worker_killed_after_the_best_epoch_changes_neither_the_kept_weights_nor_the_rows(
    with_validation: Archive, tmp_path: Path, killing: Killing
) -> None:
    length = {"num_epochs": 9, "steps_per_epoch": 16, "patience_epochs": 3}
    wanted = job(with_validation, length).changed(froc=NEVER_FOUND)
    calm, disturbed = checkpoint_of(tmp_path / "calm"), checkpoint_of(tmp_path / "disturbed")
    train.run(wanted, resources=OFTEN, stage=calm)

    killed: list[int] = []
    storage = disturbed.folder / "train"
    best_kept = partial(_any, storage, f"ray/checkpoint_*/{BEST}")
    with killing("RayTrainWorker", into=killed, when=best_kept, after_s=REGISTERED_S):
        result = train.run(wanted, resources=OFTEN, stage=disturbed)
        assert killed, "no worker was killed while it trained"
    last = scalars_of(events_of(tmp_path / "disturbed/tensorboard/stage1/checkpoint")[-1])
    assert [("validation/mean_sensitivity", 16 * epoch) in last for epoch in (1, 4)] == [False, True], (
        "it did not go on after epoch 1"
    )
    assert (result.num_epochs, result.kept_epoch) == (4, 1)
    assert weights(disturbed) == weights(calm)
    assert [lasting(row) for row in train.epoch_rows(disturbed)] == [lasting(row) for row in train.epoch_rows(calm)]


def _any(folder: Path, pattern: str) -> bool:
    return any(folder.glob(pattern))


def lasting(row: EpochRow) -> EpochRow:
    """Return the row without what depends on the clock and on where it was resumed."""
    return replace(row, images_per_s=0.0, wait_share=0.0, seconds=0.0, resumed_at_step=0)


@contextmanager
def disk(folder: Path, *, num_bytes: int) -> Iterator[None]:
    """Mount a disk of this size."""
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={num_bytes}", "tmpfs", str(folder)], check=False)
    if made.returncode:
        pytest.skip("this user may not mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.usefixtures("ray_cluster")
def test_a_full_disk_ends_a_training_at_once_and_with_room_it_goes_on_to_the_same_weights(
    archive: Archive, tmp_path: Path
) -> None:
    wanted = job(archive, {"num_epochs": 3, "steps_per_epoch": 2})
    calm = checkpoint_of(tmp_path / "calm")
    train.run(wanted, resources=ONE, stage=calm)
    size = len(weights(calm))  # a checkpoint holds them four times: raw, and with two moments
    with disk(tmp_path / "disk", num_bytes=20 * size):
        fill_and_train(tmp_path / "disk", wanted, room=6 * size, calm=calm)


def fill_and_train(small: Path, wanted: TrainJob, *, room: int, calm: Stage[TrainResult]) -> None:
    """Train with room for one checkpoint, then with more."""
    stage, filler = checkpoint_of(small / "run"), small / "filler"
    with filler.open("wb") as file:
        for _ in range(0, shutil.disk_usage(small).free - room, 2**20):
            file.write(bytes(2**20))

    began_s = time.monotonic()
    with pytest.raises(
        MachineFault, match=rf"no space is left on the storage \({small}.*, \d+\.\d MB are wanted\): free space"
    ):
        train.run(wanted, resources=ONE, stage=stage)
    assert time.monotonic() - began_s < 120
    kept = [path for path in (small / "run").rglob("checkpoint_*") if path.is_dir()]
    assert len(kept) == 1
    assert all((kept[0] / name).stat().st_size for name in ("model.safetensors", "optimizer.safetensors"))

    filler.unlink()
    train.run(wanted, resources=ONE, stage=stage)
    assert weights(stage) == weights(calm)
    assert [lasting(row) for row in train.epoch_rows(stage)] == [lasting(row) for row in train.epoch_rows(calm)]


def test_a_worker_that_stands_still_is_noticed_said_and_replaced(
    long: TrainJob, calm: Stage[TrainResult], tmp_path: Path, killing: Killing, caplog: pytest.LogCaptureFixture
) -> None:
    disturbed = checkpoint_of(tmp_path / "disturbed")
    caplog.set_level("INFO")
    stopped: list[int] = []
    kept = partial(_any, disturbed.folder / "train", KEPT)
    with killing("RayTrainWorker", into=stopped, when=kept, after_s=REGISTERED_S, by=signal.SIGSTOP):
        train.run(long, resources=OFTEN.changed(stall_s=30.0), stage=disturbed)
    assert stopped, "no worker was stopped while it trained"
    assert "test: training worker 0 gave no sign of life for 30 s (epoch 1, after step " in caplog.text
    assert "test: a process stood still, for resources.train.stall_s = 30 s; going on after the last" in caplog.text
    assert weights(disturbed) == weights(calm)


@pytest.mark.usefixtures("ray_cluster")
def test_a_training_whose_workers_stand_still_each_time_ends_with_the_reason(
    archive: Archive, tmp_path: Path, killing: Killing
) -> None:
    wanted = job(archive, {"num_epochs": 1, "steps_per_epoch": 50})
    stopped: list[int] = []
    stage = checkpoint_of(tmp_path / "run")
    kept = partial(_any, stage.folder / "train", KEPT)
    with (
        killing("RayTrainWorker", into=stopped, when=kept, by=signal.SIGSTOP),
        pytest.raises(WorkerLost, match=r"a process stood still, for resources\.train\.stall_s = 20 s: look for the"),
    ):
        train.run(wanted, resources=ONE.changed(checkpoint_steps=6, stall_s=20.0, max_failures=0), stage=stage)
    assert stopped


@pytest.mark.usefixtures("ray_cluster")
def test_a_training_begun_with_two_workers_and_lost_goes_on_with_one(
    archive: Archive, tmp_path: Path, killing: Killing
) -> None:
    """The steps are those of one worker from the beginning, to the rounding of their sums."""
    settings = {"num_epochs": 2, "steps_per_epoch": 16, "learning_rate": 1e-4, "class_factor": 0.0}
    wanted = job(archive, settings | {"synced_norms": True})
    calm, begun = checkpoint_of(tmp_path / "calm"), checkpoint_of(tmp_path / "begun")
    train.run(wanted, resources=ONE, stage=calm)

    killed: list[int] = []
    storage, once = begun.folder / "train", TWO.changed(checkpoint_steps=6, max_failures=0)
    with (
        killing("RayTrainWorker", into=killed, when=lambda: any(storage.glob(KEPT)), after_s=REGISTERED_S),
        pytest.raises(WorkerLost, match="a process was killed or lost, Ray: "),
    ):
        train.run(wanted, resources=once, stage=begun)
    assert killed, "no worker was killed while it trained"
    assert not begun.finished

    result = train.run(wanted, resources=ONE, stage=begun)
    assert result.num_steps == calm.result().num_steps == 32
    resumed = [row for row in train.epoch_rows(begun) if row.workers == 1]
    assert sum(row.resumed_at_step for row in resumed) > 0 or len(resumed) == 1
    assert train.epoch_rows(begun)[-1].losses["total"] == pytest.approx(
        calm.result().last_epoch.losses["total"], abs=1e-4
    )
