"""A run's folder: its stages by name, its rounds and systems, its lock, its settings, and its archive."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.config import RunConfig
from system.errors import NotFinished, UserError
from system.imaging import ImagingConfig
from system.metrics import FrocConfig
from system.metrics.summary import FrocSummary
from system.mining import QuadrantCounts
from system.records import Split
from system.reports.rule_rates import RuleRates
from system.rounds import Chosen, Gain, Promotion
from system.run.folder import RunFolder
from system.run.kept_config import CONFIG
from system.run.results import (
    ArchivePin,
    EvaluationCounts,
    FrocResult,
    InferResult,
    LabelResult,
    Pool,
    PoolsResult,
    Thresholds,
    TrainResult,
)
from system.run.stage import Stage, Written
from system.run.systems import SUPERVISED, System
from tests.epoch_rows import epoch_row

CONFIGURED = RunConfig()
NO_LABELS = LabelResult("m", {}, {}, {}, 0, 0, "models", RuleRates(0.5, 0.5, 0.5))


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run_7")


@pytest.fixture
def make_archive(tmp_path: Path) -> Callable[[str, bytes], Archive]:
    """Return a maker of archives with one image, from a folder's name and a site key."""

    def make(name: str, site_key: bytes) -> Archive:
        imaging = ImagingConfig(height_px=64, width_px=64)
        archive = Archive.create(tmp_path / name, imaging=imaging, site_key=site_key)
        add_image(archive, "first")
        return archive

    return make


def add_image(archive: Archive, image_id: str) -> None:
    row = {
        "image_id": image_id,
        "image_key": len(image_id),
        "patient_id": "p",
        "study_id": "s",
        "side": "L",
        "view": "CC",
        "split": "test",
    }
    schema = SCHEMAS["images"]
    archive.upsert("images", pa.Table.from_pylist([dict.fromkeys(schema.names) | row], schema=schema))


def froc_result() -> FrocResult:
    nan = float("nan")
    summary = FrocSummary({"1": nan}, {"1": (nan, nan)}, nan, (nan, nan), 0, 0.0, ("1",))
    counts = EvaluationCounts(1, 1, 0, 0, 0, 0, 0, 0)
    return FrocResult("test", FrocConfig(), 0.5, summary, summary, counts, nan, nan, {})


def measure(system: System, *, split: Split = Split.TEST) -> None:
    system.thresholds.once(lambda _: Written(Thresholds(0.3, "chosen", 0.1, "chosen")))
    system.froc(split).once(lambda _: Written(froc_result()))


def freeze_pools(run: RunFolder, number: int) -> None:
    pool = Pool(1, 0.95, "pool_step_1.arrow", QuadrantCounts(1, 0, 0, 0, 0), {}, {}, ())
    result = PoolsResult(number, 1, 0, 0, {}, (pool,), "outlined.parquet")
    run.round(number).pools.once(lambda _: Written(result))


def decide_on(run: RunFolder, number: int, *, promoted: bool) -> None:
    gain = Gain(mean=0.5, before=0.4, difference=0.1, interval=(0.0, 0.2))
    run.round(number).promotion.once(lambda _: Written(Promotion(promoted, "stage1", gain, "by hand")))


def test_attributes_are_the_stages_of_their_names(run: RunFolder) -> None:
    stages: list[tuple[Stage[Any], str, type]] = [
        (run.labels, "labels", LabelResult),
        (run.archive_pin, "archive", ArchivePin),
        (run.stage1.checkpoint, "stage1/checkpoint", TrainResult),
        (run.stage1.held_out, "stage1/held_out", InferResult),
        (run.stage1.thresholds, "stage1/thresholds", Thresholds),
        (run.stage1.froc(), "stage1/froc", FrocResult),
        (run.stage1.froc(Split.TEST), "stage1/froc", FrocResult),
        (run.stage1.froc(Split.VALIDATION), "stage1/froc_validation", FrocResult),
        (run.stage1.validated, "stage1/validated", FrocResult),
        (run.control(2).checkpoint, "control_02/checkpoint", TrainResult),
        (run.round(1).predictions, "round_01/predictions", InferResult),
        (run.round(1).pools, "round_01/pools", PoolsResult),
        (run.round(2).checkpoint, "round_02/checkpoint", TrainResult),
        (run.round(2).promotion, "round_02/promotion", Promotion),
        (run.round(12).froc(), "round_12/froc", FrocResult),
        (run.chosen, "chosen", Chosen),
    ]
    for stage, name, result_type in stages:
        assert (stage.run, stage.name, stage.result_type) == (run.path, name, result_type)


def test_a_labelling_with_new_models_follows_the_last_finished_one(run: RunFolder) -> None:
    assert (run.last_labelling(), run.next_labelling()) == (None, run.labels)
    run.labels.once(lambda _: Written(NO_LABELS))
    assert run.last_labelling() == run.labels
    second = run.next_labelling()
    assert (second.name, second.result_type) == ("labels_02", LabelResult)
    second.folder.mkdir()  # begun, not finished
    assert (run.last_labelling(), run.next_labelling()) == (run.labels, second)
    second.once(lambda _: Written(NO_LABELS))
    assert run.labellings() == [run.labels, second]
    assert (run.last_labelling(), run.next_labelling().name) == (second, "labels_03")


def test_systems_have_the_titles_of_the_final_table(run: RunFolder) -> None:
    titles = [system.title for system in (run.stage1, run.control(2), run.round(2))]
    assert titles == [SUPERVISED, "control 2", "round 2"]


def test_a_folder_is_named_as_on_disk_also_when_it_is_given_as_a_dot(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.path.mkdir()
    monkeypatch.chdir(run.path)
    assert (run.name, RunFolder(Path()).name) == ("run_7", "run_7")


def test_the_first_round_goes_on_from_stage_1(run: RunFolder) -> None:
    assert run.before(1) == run.stage1


@pytest.mark.parametrize(
    ("promoted", "expected"),
    [((True, True), "round_02"), ((True, False), "round_01"), ((False, True), "round_02"), ((False, False), "stage1")],
)
def test_a_round_goes_on_from_the_last_one_that_was_promoted(
    run: RunFolder, promoted: tuple[bool, ...], expected: str
) -> None:
    for number, better in enumerate(promoted, start=1):
        decide_on(run, number, promoted=better)
    assert run.before(3).name == expected


def test_what_a_round_goes_on_from_is_open_until_the_round_before_is_decided_on(run: RunFolder) -> None:
    decide_on(run, 1, promoted=True)
    with pytest.raises(NotFinished, match="stage round_02/promotion of run run_7 is not finished"):
        run.before(3)


def test_the_result_is_the_system_that_was_chosen(run: RunFolder) -> None:
    freeze_pools(run, 1)
    for system in (run.stage1, run.control(1), run.round(1)):
        measure(system)
    with pytest.raises(NotFinished, match="stage chosen of run run_7 is not finished"):
        run.result()
    run.chosen.once(lambda _: Written(Chosen("control_01", "control 1", {"control 1": 0.5}, "highest")))
    assert run.result() == run.control(1)


def test_rounds_stop_at_the_first_without_pools(run: RunFolder) -> None:
    assert run.rounds() == []
    for number in (1, 2, 4):
        freeze_pools(run, number)
    assert [found.number for found in run.rounds()] == [1, 2]
    run.round(3).predictions.folder.mkdir(parents=True)  # round 3 was begun
    assert [found.number for found in run.rounds()] == [1, 2]


def test_systems_are_those_that_are_measured_in_the_order_of_the_final_table(run: RunFolder) -> None:
    assert run.systems() == []
    freeze_pools(run, 1)
    freeze_pools(run, 2)
    for system in (run.round(2), run.round(1), run.control(2), run.control(1), run.stage1):
        measure(system)
    names = ["stage1", "control_01", "round_01", "control_02", "round_02"]
    assert [system.name for system in run.systems()] == names


def test_rounds_without_a_control_beside_them_stand_alone(run: RunFolder) -> None:
    freeze_pools(run, 1)
    for system in (run.stage1, run.round(1)):
        measure(system)
    assert [system.name for system in run.systems()] == ["stage1", "round_01"]


def test_a_system_without_thresholds_or_without_its_evaluation_on_test_is_not_measured(run: RunFolder) -> None:
    measure(run.stage1, split=Split.VALIDATION)
    assert not run.stage1.measured
    freeze_pools(run, 1)
    run.control(1).froc().once(lambda _: Written(froc_result()))
    assert not run.control(1).measured
    measure(run.round(2))  # without pools it is no round of this run
    assert run.systems() == []


def test_the_model_is_the_attempt_of_its_training(run: RunFolder) -> None:
    with pytest.raises(NotFinished, match="stage stage1/checkpoint of run run_7 is not finished"):
        _ = run.stage1.model

    def train(attempt: Path) -> Written[TrainResult]:
        for name in ("model.json", "model.safetensors"):
            (attempt / name).write_text("{}")
        return Written(TrainResult(1, 1, 4, epoch_row()), sorted(attempt.iterdir()))

    run.stage1.checkpoint.once(train)
    assert run.stage1.model == run.path / "stage1" / "checkpoint" / "attempt_001"


def test_a_run_takes_its_labels_from_the_last_finished_labelling(run: RunFolder) -> None:
    assert run.labelling == run.labels
    run.labels.once(lambda _: Written(NO_LABELS))
    second = run.next_labelling()
    second.folder.mkdir()  # begun, not finished
    assert run.labelling == run.labels
    second.once(lambda _: Written(NO_LABELS))
    assert run.labelling == second


def test_a_run_that_is_pinned_to_its_archive_gets_no_other_labelling(
    run: RunFolder, make_archive: Callable[[str, bytes], Archive]
) -> None:
    run.labels.once(lambda _: Written(NO_LABELS))
    run.pin(make_archive("archive", b"k" * 32).uri)
    with pytest.raises(
        UserError, match=r"run run_7 is pinned to the archive with the labels of labels; .*another --out"
    ):
        run.next_labelling()


def test_a_folder_whose_labels_were_made_with_other_settings_is_not_claimed_and_stays_as_it_is(run: RunFolder) -> None:
    settings = CONFIGURED.reports
    run.labels.once(lambda _: Written(NO_LABELS, settings=settings.changed(epochs=9, learning_rate=0.5)))
    refusal = (
        r"stage labels of run run_7 was done with other settings \(reports\.epochs: 9, now 5; "
        r"reports\.learning_rate: 0\.5, now 2e-05\): give the same ones to go on from it, or choose another --out"
    )
    with pytest.raises(UserError, match=refusal), run.claimed(CONFIGURED):
        pass
    assert not (run.path / CONFIG).exists()


def test_a_folder_whose_labels_were_made_with_the_same_settings_is_claimed_whatever_the_resources(
    run: RunFolder,
) -> None:
    run.labels.once(lambda _: Written(NO_LABELS, settings=CONFIGURED.reports))
    resources = CONFIGURED.resources
    fewer = resources.changed(reports=resources.reports.changed(fits_at_once=1))
    with run.claimed(CONFIGURED.changed(resources=fewer)):
        assert run.config().resources.reports.fits_at_once == 1
    assert run.labels.finished


def test_every_finished_stage_is_listed_by_name(run: RunFolder) -> None:
    freeze_pools(run, 1)
    measure(run.stage1)
    run.labels.folder.mkdir(parents=True)  # begun, not finished
    assert [stage.name for stage in run.stages()] == ["round_01/pools", "stage1/froc", "stage1/thresholds"]


def test_a_claimed_folder_refuses_a_second_driver_until_the_first_ends(run: RunFolder) -> None:
    def claim_again() -> None:
        with RunFolder(run.path).claimed(CONFIGURED):
            pass

    with run.claimed(CONFIGURED), pytest.raises(UserError, match="another driver works on run run_7: wait until"):
        claim_again()
    claim_again()


@pytest.mark.slow
def test_a_driver_of_another_process_is_refused_and_a_killed_one_holds_nothing(run: RunFolder) -> None:
    code = f"""
import sys, time
from pathlib import Path
from system.config import RunConfig
from system.run.folder import RunFolder
with RunFolder(Path({str(run.path)!r})).claimed(RunConfig()):
    print("claimed", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "claimed\n"
        with pytest.raises(UserError, match="another driver works on run run_7"), run.claimed(CONFIGURED):
            pass
        driver.kill()
        driver.wait()
    with run.claimed(CONFIGURED):
        pass


def test_a_claimed_folder_keeps_its_settings(run: RunFolder) -> None:
    config = CONFIGURED.changed(seed=5)
    with run.claimed(config):
        assert run.config() == config
    assert (run.path / CONFIG).read_text().startswith("# mammoloop run, schema 3\n")


def test_another_recipe_is_refused_with_the_keys_that_differ(run: RunFolder) -> None:
    with run.claimed(CONFIGURED):
        pass
    other = CONFIGURED.changed(seed=5, strong_share=0.5)
    text = r"was begun with other settings \(seed: 0, now 5; strong_share: 1.0, now 0.5\): give the same ones"
    with pytest.raises(UserError, match=text), run.claimed(other):
        pass
    assert run.config() == CONFIGURED


def test_other_resources_are_taken_and_kept(run: RunFolder) -> None:
    with run.claimed(CONFIGURED):
        pass
    resources = CONFIGURED.resources.changed(train=CONFIGURED.resources.train.changed(num_workers=8))
    with run.claimed(CONFIGURED.changed(resources=resources)):
        pass
    assert run.config().resources.train.num_workers == 8


def test_a_run_in_a_bucket_is_refused() -> None:
    with pytest.raises(UserError, match="runs are kept in a folder"), RunFolder(Path("s3://b/run")).claimed(CONFIGURED):
        pass


def test_a_folder_without_a_run_says_so_and_where_a_demo_keeps_its_own(run: RunFolder) -> None:
    with pytest.raises(NotFinished, match=r"run_7 holds no run: it has no config\.yaml; start one"):
        run.config()
    with RunFolder(run.path / "run").claimed(CONFIGURED):
        pass
    with pytest.raises(NotFinished, match=r"it has no config\.yaml; run_7/run does; start one"):
        run.config()


def test_a_run_of_another_schema_is_refused_with_the_way_out(run: RunFolder) -> None:
    run.path.mkdir()
    (run.path / CONFIG).write_text("seed: 0\ncluster: {address: auto}\n")
    with pytest.raises(
        UserError, match=r"was written by another version .*: start a new run, or go on with the version"
    ):
        run.config()
    with pytest.raises(UserError, match="was written by another version"), run.claimed(CONFIGURED):
        pass


def test_a_run_reads_the_archive_at_the_versions_of_its_first_start(
    run: RunFolder, make_archive: Callable[[str, bytes], Archive]
) -> None:
    archive = make_archive("archive", b"k" * 32)
    with pytest.raises(NotFinished, match="run run_7 is not pinned to an archive yet"):
        run.archive()
    assert run.pin(archive.uri).table("images")["image_id"].to_pylist() == ["first"]
    add_image(archive, "later")
    for pinned in (run.archive(), run.pin(archive.uri), RunFolder(run.path).archive(uri=archive.uri)):
        assert pinned.table("images")["image_id"].to_pylist() == ["first"]
    assert sorted(Archive.open(archive.uri).table("images")["image_id"].to_pylist()) == ["first", "later"]


def test_without_its_archive_a_run_names_the_option_and_the_copy_beside_it(
    run: RunFolder, make_archive: Callable[[str, bytes], Archive], tmp_path: Path
) -> None:
    first = make_archive("archive", b"k" * 32).uri
    run.pin(first)
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (tmp_path / "archive").rename(moved / "old")
    with pytest.raises(
        UserError, match=rf"run run_7 was begun on the archive at {first}, where there is none now"
    ) as no:
        run.archive()
    assert "--archive" in str(no.value)
    assert "beside" not in str(no.value)
    (moved / "old").rename(moved / "archive")
    run.path.rename(moved / "run_7")
    with pytest.raises(
        UserError, match=rf"--archive where it lies; one of the same key lies beside the run, at {moved}"
    ):
        RunFolder(moved / "run_7").archive()
    with pytest.raises(UserError, match=r"there is no archive at .*nowhere"):
        RunFolder(moved / "run_7").archive(uri=str(tmp_path / "nowhere"))


def test_a_copied_run_does_not_read_the_first_archive_without_a_word(
    run: RunFolder,
    make_archive: Callable[[str, bytes], Archive],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    first = make_archive("archive", b"k" * 32).uri
    run.pin(first)
    assert run.archive().uri == first
    assert f"run run_7 reads the archive at {first}" in caplog.messages
    for name in ("archive", run.path.name):
        shutil.copytree(run.path.parent / name, tmp_path / "copy" / name)
    caplog.clear()
    assert RunFolder(tmp_path / "copy" / run.path.name).archive().uri == first
    (warning,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert f"one of the same key lies beside the run, at {tmp_path / 'copy' / 'archive'}: name the one" in warning


def test_what_is_no_stage_has_its_place_too(run: RunFolder) -> None:
    assert [run.miner, run.page, run.tensorboard("round_01/checkpoint"), run.picture_of("abc")] == [
        run.path / "miner",
        run.path / "page" / "index.html",
        run.path / "tensorboard" / "round_01" / "checkpoint",
        run.path / "explain" / "abc.png",
    ]
