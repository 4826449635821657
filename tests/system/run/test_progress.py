"""How far a run has come: finished, under way, killed, or damaged; and how long what is left will take."""

import fcntl
import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from system.errors import NotFinished, UserError
from system.run.plan import Duration, Plan, RoundsPlan, TrainPlan, seconds_of, stages_left
from system.run.progress import progress_of, title_of
from tests.damage import WAYS
from tests.epoch_rows import epoch_row
from tests.kept import set_times, unpack

BEGAN_S = 1_700_000_000.0
PLAN = Plan(TrainPlan(10, 0), RoundsPlan(2, control=True, epoch_of_stage1=2.0, train=TrainPlan(5, 0)))
# What pipelines/selftrain.py does in one round with a control, in its order.
ORDER = [
    *("labels", "archive", "stage1/checkpoint", "stage1/held_out", "stage1/thresholds", "stage1/froc"),
    *("round_01/predictions", "round_01/pools"),
    *("round_01/checkpoint", "round_01/held_out", "round_01/thresholds", "round_01/froc"),
    *("control_01/checkpoint", "control_01/held_out", "control_01/thresholds", "control_01/froc"),
    *("stage1/validated", "round_01/validated", "round_01/promotion", "control_01/validated", "chosen"),
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpack(tmp_path_factory.mktemp("kept")) / "run"


@pytest.fixture
def until(kept: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Return a maker of the kept run as it was before a stage was begun; a stage ended every 100 s."""

    def make(stage: str) -> Path:
        run = tmp_path / "run_7"
        shutil.copytree(kept, run)
        done = ORDER[: ORDER.index(stage)] if stage else ORDER
        for name in ORDER[len(done) :]:
            shutil.rmtree(run / name)
        set_times(run, order=done, began_s=BEGAN_S)
        return run

    return make


def train(run: Path, stage: str, *, lines: str, at_s: float, checkpoint: str = "") -> None:
    """Let a training be under way."""
    scratch = run / stage / "train"
    (scratch / "ray").mkdir(parents=True)
    (scratch / "epochs.jsonl").write_text(lines)
    os.utime(scratch / "epochs.jsonl", (at_s, at_s))
    if checkpoint:
        (scratch / "ray" / "checkpoint_manager_snapshot.json").write_text(checkpoint)


def line(epoch: int, *, num_epochs: int, seconds: float, validation: float = math.nan) -> str:
    row = asdict(epoch_row(epoch=epoch, num_epochs=num_epochs, seconds=seconds, validation=validation))
    return json.dumps(row).replace("NaN", "null") + "\n"


def test_the_plan_is_the_order_in_which_a_whole_run_did_its_stages(kept: Path) -> None:
    one_round = Plan(PLAN.stage1, RoundsPlan(1, control=True, epoch_of_stage1=2.0, train=PLAN.rounds.train))
    assert one_round.stages() == ORDER
    assert {str(path.parent.relative_to(kept)) for path in kept.rglob("manifest.json")} == set(ORDER)


def test_a_run_without_rounds_and_one_without_controls_have_their_plans() -> None:
    none = Plan(PLAN.stage1, RoundsPlan(0, control=True, epoch_of_stage1=2.0, train=PLAN.rounds.train))
    assert none.stages()[-2:] == ["stage1/validated", "chosen"]
    alone = Plan(PLAN.stage1, RoundsPlan(2, control=False, epoch_of_stage1=2.0, train=PLAN.rounds.train))
    assert not any(name.startswith("control") for name in alone.stages())
    assert alone.stages()[-3:] == ["round_02/validated", "round_02/promotion", "chosen"]


def test_a_finished_run_has_a_result_and_nothing_left(until: Callable[[str], Path]) -> None:
    found = progress_of(until(""), now_s=BEGAN_S + 9000)
    assert (found.run, found.state, found.stage, found.left_s, found.waits_for) == ("run_7", "finished", "", 0.0, "")
    assert found.result == "supervised"
    assert [stage.name for stage in found.finished] == ORDER
    assert found.finished[1].ended_s == BEGAN_S + 200
    assert found.finished[1].began_s == BEGAN_S + 200 - found.finished[1].seconds
    assert found.changed_s == BEGAN_S + 100 * len(ORDER)


def test_pools_and_the_best_so_far_are_read_from_the_stages(until: Callable[[str], Path]) -> None:
    run = until("round_01/promotion")
    for path, change in (
        (run / "round_01/pools/manifest.json", ['"tp": 0', '"tp": 7']),
        (run / "round_01/validated/manifest.json", ['"mean": 0.0', '"mean": 0.25']),
    ):
        text = path.read_text()
        assert change[0] in text
        path.write_text(text.replace(change[0], change[1], 1 if "tp" in change[0] else -1))
    found = progress_of(run)
    assert [(pool.round, pool.tp, pool.fp, pool.fn) for pool in found.pools] == [(1, 7, 0, 0)]
    assert found.best is not None
    assert (found.best.title, found.best.validation) == ("round 1", 0.25)


def test_before_systems_are_compared_there_is_no_best_and_before_a_round_there_are_no_pools(
    until: Callable[[str], Path],
) -> None:
    found = progress_of(until("round_01/predictions"))
    assert (found.best, found.pools, found.result) == (None, (), "")


def test_a_run_whose_folder_a_driver_holds_is_at_work_and_a_killed_one_is_stopped(until: Callable[[str], Path]) -> None:
    run = until("stage1/held_out")
    with (run / "driver.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        held = progress_of(run)
    left = progress_of(run)
    assert (held.state, held.stage) == ("at work", "stage1/held_out")
    assert held.waits_for == "the predictors, which have written no shard yet"
    assert (left.state, left.stage) == ("stopped", "stage1/held_out")
    assert left.waits_for == "the same command to be started again: it goes on here"


def test_a_training_under_way_has_its_epoch_its_pace_and_its_last_checkpoint(until: Callable[[str], Path]) -> None:
    run = until("round_01/checkpoint")
    rows = [line(1, num_epochs=6, seconds=50, validation=0.3), line(2, num_epochs=6, seconds=60, validation=0.2)]
    kept = json.dumps({"latest_checkpoint_result": {"checkpoint_dir_name": "c", "metrics": {"epoch": 2, "step": 80}}})
    at_s = BEGAN_S + 5000
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("num_epochs: 1\n", "num_epochs: 6\n"))
    train(run, "round_01/checkpoint", lines="".join(rows) + '{"half', at_s=at_s, checkpoint=kept)
    found = progress_of(run, now_s=at_s + 20)
    assert found.training is not None
    assert (found.training.epoch, found.training.num_epochs, found.training.epoch_s) == (3, 6, 60)
    assert found.training.validation == 0.3
    assert found.training.checkpoint is not None
    assert (found.training.checkpoint.epoch, found.training.checkpoint.step) == (2, 80)
    assert found.stage_left_s == 4 * 60 - 20


def test_an_epoch_that_was_done_again_or_was_resumed_does_not_count_twice(until: Callable[[str], Path]) -> None:
    run = until("stage1/checkpoint")
    half = line(2, num_epochs=5, seconds=3).replace('"resumed_at_step": 0', '"resumed_at_step": 9')
    rows = [line(1, num_epochs=5, seconds=50), line(2, num_epochs=5, seconds=60), half]
    train(run, "stage1/checkpoint", lines="".join(rows), at_s=BEGAN_S)
    found = progress_of(run).training
    assert found is not None
    assert (found.epoch, found.epoch_s, found.checkpoint) == (1, 50, None)  # planned with one epoch


def test_a_list_of_checkpoints_that_is_being_written_is_none(until: Callable[[str], Path]) -> None:
    run = until("stage1/checkpoint")
    train(run, "stage1/checkpoint", lines="", at_s=BEGAN_S, checkpoint='{"latest_checkpoint_res')
    found = progress_of(run)
    assert found.training is not None
    assert (found.training.checkpoint, found.training.epoch) == (None, 1)
    assert math.isnan(found.left_s)


def test_the_newest_change_is_seen_within_the_stage_under_way(until: Callable[[str], Path]) -> None:
    run = until("round_01/predictions")
    part = run / "round_01/predictions/attempt_001/part_000003.parquet"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"")
    os.utime(part, (BEGAN_S + 7000, BEGAN_S + 7000))
    os.utime(part.parent, (BEGAN_S, BEGAN_S))
    found = progress_of(run)
    assert (found.changed_s, found.started_s) == (BEGAN_S + 7000, BEGAN_S)
    assert found.shards is not None
    assert found.shards.done == 1


def test_a_round_that_the_loop_left_out_is_not_under_way() -> None:
    stages = PLAN.stages()
    until_two = set(stages[: stages.index("round_02/predictions")])
    left = stages_left(PLAN, finished=until_two, begun={"control_01/validated"})
    assert left == ("control_01/validated", "control_02/validated", "chosen")


def test_a_later_labelling_takes_the_place_of_the_first() -> None:
    assert stages_left(PLAN, finished={"labels_02"}, begun={"labels"})[0] == "archive"


def test_what_is_left_takes_as_long_as_what_is_like_it_took() -> None:
    done = [Duration("stage1/checkpoint", 300, num_steps=100), Duration("stage1/held_out", 40)]
    assert seconds_of("round_01/held_out", done, plan=PLAN) == 40
    assert math.isnan(seconds_of("round_01/predictions", done, plan=PLAN))
    # Stage 1: 100 steps in 10 epochs; a round: 5 epochs of twice as many steps, so as many.
    assert seconds_of("round_01/checkpoint", done, plan=PLAN) == 300
    done += [Duration("round_01/checkpoint", 500), Duration("control_01/checkpoint", 200)]
    assert seconds_of("round_02/checkpoint", done, plan=PLAN) == 500
    assert seconds_of("control_02/checkpoint", done, plan=PLAN) == 200


def test_the_time_left_of_a_run_is_that_of_the_stage_under_way_and_of_those_after_it(
    until: Callable[[str], Path],
) -> None:
    run = until("control_01/held_out")
    for name, seconds in (("stage1/held_out", 50.0), ("round_01/held_out", 70.0), ("stage1/froc", 3.0)):
        path = run / name / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": seconds}))
    path = run / "round_01/froc/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"seconds": 5.0}))
    done = ORDER[: ORDER.index("control_01/held_out")]
    set_times(run, order=done, began_s=BEGAN_S)
    found = progress_of(run, now_s=BEGAN_S + 100 * len(done) + 30)
    assert found.stage_left_s == pytest.approx(40)
    assert found.left_s == pytest.approx(40 + 5 + 3 * 5)  # froc, and three validations like it; the rest is short


def test_titles_are_those_of_the_table() -> None:
    assert [title_of(name) for name in ("stage1", "control_01", "round_12")] == ["supervised", "control 1", "round 12"]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFinished, match=r"holds no run: it has no config\.yaml; start one"):
        progress_of(tmp_path)


def test_a_run_of_another_schema_is_refused(until: Callable[[str], Path]) -> None:
    run = until("")
    (run / "config.yaml").write_text("# mammoloop run, schema 2\nseed: 0\n")
    with pytest.raises(UserError, match="was written by another version"):
        progress_of(run)


@pytest.mark.parametrize("way", sorted(set(WAYS) - {"gone"}))
@pytest.mark.parametrize("name", ["config.yaml", "stage1/froc/manifest.json", "round_01/pools/manifest.json"])
def test_a_damaged_run_is_refused_with_the_file_and_the_remedy(
    until: Callable[[str], Path], name: str, way: str
) -> None:
    run = until("")
    WAYS[way](run / name)
    with pytest.raises(UserError, match=r"run run_7 (is not what was written .*restore it|was written )") as refused:
        progress_of(run)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("text", ["rounds: 3\n", "stage1: {num_epochs: many}\n", "a: [\n", "- 1\n"])
def test_settings_that_are_none_are_refused(until: Callable[[str], Path], text: str) -> None:
    run = until("")
    (run / "config.yaml").write_text("# mammoloop run, schema 3\n" + text)
    with pytest.raises(UserError, match=r"config\.yaml of run run_7 is not what was written \(.+\): restore it"):
        progress_of(run)


def test_a_damaged_line_of_a_training_is_refused(until: Callable[[str], Path]) -> None:
    run = until("stage1/checkpoint")
    train(run, "stage1/checkpoint", lines='{"epoch": 1}\n', at_s=BEGAN_S)
    with pytest.raises(UserError, match=r"epochs\.jsonl of the training in stage1 is not what was written"):
        progress_of(run)
