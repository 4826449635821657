"""A run that has come to its end goes on with what its archive has gained since."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipelines import ingest, selftrain
from pipelines.continuous import catch_up
from pipelines.continuous.judging import adopt, judge_candidate
from pipelines.continuous.watched import Watched
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.config import RunConfig, resolve
from system.continuous import registry
from system.continuous.caught_up import CaughtUp
from system.continuous.plan import Plan
from system.errors import NotFinished, UserError
from system.mining import read_pool
from system.phantom import write_phantom
from system.presets import demo
from system.records import Quadrant, Split
from system.rounds import Chosen
from system.run.chapter import Chapter
from system.run.folder import RunFolder
from system.run.going_on import begins_chapter, wants_more, with_rounds
from system.run.results import ArchivePin, Arrivals, PoolsResult
from system.run.stage import MANIFEST, Written
from system.run.systems import Round, System
from tests.pipelines.fixture_types import FinishedRun

NUM_NEW = 12  # exams
NOTHING = Arrivals(0, 0, 0, 0, 0, 0, 0)


@pytest.fixture
def config() -> RunConfig:
    return demo().of_run()


def begun(folder: RunFolder, config: RunConfig, *, ended: bool) -> RunFolder:
    """Write what a run without rounds leaves, as far as it says where the run is."""
    with folder.claimed(config):
        pass
    if ended:
        folder.archive_pin.once(lambda _: Written(ArchivePin("archive", {}, "key")))
        folder.last_chapter.chosen.once(lambda _: Written(Chosen("stage1", "supervised", {}, "alone")))
    return folder


def test_without_the_option_the_settings_say_how_many_rounds_there_are(tmp_path: Path, config: RunConfig) -> None:
    assert with_rounds(config, "", folder=RunFolder(tmp_path / "run")) == (config, False)


def test_a_new_run_takes_a_number_and_refuses_one_more(tmp_path: Path, config: RunConfig) -> None:
    folder = RunFolder(tmp_path / "run")
    found, more = with_rounds(config, "5", folder=folder)
    assert (found.rounds.num_rounds, more) == (5, False)
    assert found.rounds.changed(num_rounds=config.rounds.num_rounds) == config.rounds
    with pytest.raises(UserError, match=r"--rounds \+1: run holds no run that could go on"):
        with_rounds(config, "+1", folder=folder)


def test_one_more_is_added_to_an_ended_run_and_not_again_when_it_was_killed(tmp_path: Path, config: RunConfig) -> None:
    ended = begun(RunFolder(tmp_path / "ended"), config, ended=True)
    found, more = with_rounds(config, "+1", folder=ended)
    assert (found.rounds.num_rounds, more) == (1, True)
    with ended.claimed(found):
        pass
    ended.last_chapter.next.archive_pin.once(lambda _: Written(ArchivePin("archive", {}, "key", arrived=NOTHING)))
    assert with_rounds(config, "+1", folder=ended)[0].rounds.num_rounds == 1
    assert with_rounds(config, "+4", folder=ended)[0].rounds.num_rounds == 1


@pytest.mark.parametrize(
    ("ended_with", "wanted", "expected"), [(2, 2, False), (2, 3, True), (4, 3, False), (None, 2, False)]
)
def test_more_is_wanted_than_the_run_ended_with_also_after_a_kill(
    tmp_path: Path, config: RunConfig, ended_with: int | None, wanted: int, expected: bool
) -> None:
    """The settings on disk already say what is wanted now."""
    folder = begun(RunFolder(tmp_path / "run"), resolve(config, settings=[f"rounds.num_rounds={wanted}"]), ended=False)
    assert not wants_more(folder, 9)
    folder.last_chapter.chosen.once(lambda _: Written(Chosen("stage1", "supervised", {}, "alone", ended_with)))
    assert wants_more(folder, wanted) == expected


def test_a_round_that_had_nothing_to_train_on_is_done_anew_only_where_more_is_wanted(
    tmp_path: Path, config: RunConfig
) -> None:
    folder = begun(RunFolder(tmp_path / "run"), config, ended=True)
    assert begins_chapter(folder, 1, more=False)  # it was never begun
    pools = folder.round(1).pools
    pools.once(lambda _: Written(PoolsResult(1, 0, 0, 0, {}, (), "")))
    assert [begins_chapter(folder, 1, more=more) for more in (False, True)] == [False, True]
    pools.reopen()
    assert begins_chapter(folder, 1, more=False)
    folder.last_chapter.next.archive_pin.once(lambda _: Written(ArchivePin("archive", {}, "key")))
    assert not begins_chapter(folder, 1, more=True)


def test_a_chapter_is_there_once_its_archive_is_pinned(tmp_path: Path, config: RunConfig) -> None:
    folder = begun(RunFolder(tmp_path / "run"), config, ended=True)
    assert (folder.last_chapter, folder.ended) == (Chapter(folder.path, 1), True)
    folder.last_chapter.next.archive_pin.once(lambda _: Written(ArchivePin("archive", {}, "key", first_round=3)))
    assert (folder.last_chapter, folder.ended) == (Chapter(folder.path, 2), False)
    assert [folder.chapter_of(number).number for number in (1, 2, 3, 4)] == [1, 1, 2, 2]
    assert folder.chosen.result().system == "stage1"  # of the chapter that has come to its end


def test_fewer_rounds_than_are_begun_are_refused_and_more_are_not(tmp_path: Path, config: RunConfig) -> None:
    folder = begun(RunFolder(tmp_path / "run"), config, ended=False)
    (folder.path / "round_01").mkdir()
    (folder.path / "round_02").mkdir()
    for number in (2, 7):
        with folder.claimed(resolve(config, settings=[f"rounds.num_rounds={number}"])):
            assert folder.config().rounds.num_rounds == number
    with (
        pytest.raises(UserError, match=r"has begun round 2, rounds\.num_rounds is 1: give 2 or more, or --rounds \+1"),
        folder.claimed(resolve(config, settings=["rounds.num_rounds=1"])),
    ):
        pass
    assert folder.config().rounds.num_rounds == 7


class NoCommands:
    """For a watcher that is not to start anything."""

    def ingest(self) -> dict[str, float]:
        raise AssertionError("nothing is to be taken in")

    def catch_up(self, system: str) -> None:
        raise AssertionError(f"nothing is to be caught up with, by {system}")

    def retrain(self, system: str) -> None:
        raise AssertionError(f"nothing is to be trained, from {system}")


def quadrants(this: Round) -> dict[int, Quadrant]:
    """Return the images of a round's last pool, by image_key."""
    rows = read_pool(this.pools.path(this.pools.result().pools[-1].file)).to_pylist()
    return {row["image_key"]: Quadrant(row["quadrant"]) for row in rows}


def of_split(archive: Archive, split: Split) -> int:
    return archive.table("images")["split"].to_pylist().count(split)


@dataclass(frozen=True)
class GoneOn:
    """A run of two rounds that went on with a third, on an archive that has changed."""

    folder: RunFolder
    archive: Archive
    systems: list[System]
    judged: int  # key of an image that round 2 took for TP, and a reader for free of masses
    withdrawn: int  # key of one that round 2 took for TP, and whose report was withdrawn
    before: dict[Path, bytes]  # the run's manifests
    caught_up: CaughtUp  # ahead of round 3
    watched: Watched  # the run, whose result was adopted as the first promoted model before round 3

    def again(self, config: RunConfig) -> list[System]:
        return selftrain.run(self.archive.uri, self.folder.path, config=config)


def give_verdict(archive: Archive, image_id: str, verdict: str) -> None:
    row = {"image_id": image_id, "verdict": verdict, "mask_sha": "", "reader": "r", "at": "2026-01-01T00:00:00+00:00"}
    archive.upsert("verdicts", pa.Table.from_pylist([row | {"why": "random"}], schema=SCHEMAS["verdicts"]))


def withdraw(archive: Archive, study: str) -> None:
    report = archive.table("reports").filter(pc.field("study_id") == study).to_pylist()[-1]
    row = report | {"version": report["version"] + 1, "status": "withdrawn"}
    archive.upsert("reports", pa.Table.from_pylist([row], schema=SCHEMAS["reports"]))


@pytest.fixture(scope="module")
def three_rounds(finished_run: FinishedRun) -> RunConfig:
    return resolve(finished_run.config, settings=["rounds.num_rounds=3"])


@pytest.fixture(scope="module")
def gone_on(finished_run: FinishedRun, three_rounds: RunConfig, tmp_path_factory: pytest.TempPathFactory) -> GoneOn:
    place = tmp_path_factory.mktemp("gone_on")
    folder = RunFolder(shutil.copytree(finished_run.folder.path, place / "run"))
    archive = Archive.open(shutil.copytree(finished_run.archive_uri, place / "archive"))
    agreed = [key for key, quadrant in quadrants(folder.round(2)).items() if quadrant == Quadrant.TP]
    rows = [row for row in archive.table("images").to_pylist() if row["image_key"] in agreed]
    judged = rows[0]
    withdrawn = next(row for row in rows if row["study_id"] != judged["study_id"])
    give_verdict(archive, judged["image_id"], "no mass")
    withdraw(archive, withdrawn["study_id"])
    exams, settings = demo().demo, demo().ingest.changed(imaging=archive.imaging)
    write_phantom(place / "new", num_exams=NUM_NEW, seed=exams.seed, config=exams.phantom, first_exam=100)
    ingest.run(place / "new", archive.uri, layout="phantom", config=settings)
    before = {path: path.read_bytes() for path in folder.path.rglob(MANIFEST)}
    watched = Watched(archive.uri, folder, Plan(), NoCommands())
    promoted = adopt(watched)
    start = promoted.models[promoted.promoted].lineage.system
    ahead = catch_up.run(archive.uri, folder.path, system=start, config=finished_run.config)
    systems = selftrain.run(archive.uri, folder.path, config=three_rounds, start=start)
    return GoneOn(folder, archive, systems, judged["image_key"], withdrawn["image_key"], before, ahead, watched)


@pytest.mark.ray
@pytest.mark.slow
def test_an_ended_run_goes_on_with_what_has_come_and_keeps_what_it_had(gone_on: GoneOn) -> None:
    assert [system.title for system in gone_on.systems][-2:] == ["control 3", "round 3"]
    assert {path: path.read_bytes() for path in gone_on.before} == gone_on.before
    chapter = gone_on.folder.last_chapter
    arrived = chapter.archive_pin.result().arrived
    assert arrived is not None
    assert (arrived.num_studies, arrived.num_withdrawn, arrived.num_verdicts) == (NUM_NEW, 1, 1)
    assert (chapter.first, gone_on.folder.config().rounds.num_rounds) == (3, 3)
    assert set(gone_on.folder.chosen.result().validation) == {system.title for system in gone_on.systems}


@pytest.mark.ray
@pytest.mark.slow
def test_new_studies_are_mined_and_taught_and_the_run_is_measured_on_those_it_began_with(gone_on: GoneOn) -> None:
    began, now = gone_on.folder.measured_archive(uri=gone_on.archive.uri), gone_on.archive
    third, second = gone_on.folder.round(3), gone_on.folder.round(2)
    assert third.predictions.result().num_images == of_split(now, Split.WEAK) > of_split(began, Split.WEAK)
    fresh = set(now.table("images")["image_key"].to_pylist()) - set(began.table("images")["image_key"].to_pylist())
    assert fresh & quadrants(third).keys()
    for system in (third, gone_on.folder.control(3)):
        samples = system.checkpoint.result().last_epoch.samples
        assert samples["STRONG_MASS"] + samples["STRONG_FREE"] == of_split(now, Split.STRONG)
        assert system.held_out.result().num_images == second.held_out.result().num_images
        assert system.froc().result().counts == second.froc().result().counts
    assert of_split(now, Split.STRONG) > of_split(began, Split.STRONG)


@pytest.mark.ray
@pytest.mark.slow
def test_what_was_caught_up_with_ahead_is_what_the_round_finds(gone_on: GoneOn) -> None:
    third, ahead = gone_on.folder.round(3), gone_on.caught_up
    assert ahead.num_inferred == third.predictions.result().num_taken_over == third.predictions.result().num_images
    last = third.pools.result().pools[-1]
    assert (ahead.p0, ahead.counts) == (last.p0, last.counts)
    assert 0 < ahead.num_new_samples <= last.counts.num_pooled
    assert gone_on.folder.before(3).name == gone_on.folder.chapter_of(3).start == ahead.system


@pytest.mark.ray
@pytest.mark.slow
def test_the_gate_judges_a_round_by_what_its_run_measured(gone_on: GoneOn) -> None:
    before = registry.read(gone_on.archive)
    after = judge_candidate(gone_on.watched, before)
    third = gone_on.folder.round(3)
    judged = after.models[third.model_name]
    assert judged.status in ("promoted", "refused")
    assert judged.lineage.parent == before.promoted
    assert judged.lineage.archive_versions == gone_on.folder.last_chapter.archive_pin.result().versions
    page = gone_on.watched.folder / judged.name / "decision.html"
    assert f"Model {judged.name}: {judged.status}" in page.read_text(encoding="utf8")
    record = json.loads(page.with_suffix(".json").read_text(encoding="utf8"))
    overall = record["judgement"]["compared"][0]
    assert overall["num_lesions"] == third.froc().result().counts.num_lesions
    assert overall["candidate"] == pytest.approx(third.froc().result().sweep.mean)
    assert judge_candidate(gone_on.watched, after) == after  # decided once


@pytest.mark.ray
@pytest.mark.slow
def test_withdrawn_reports_and_verdicts_move_images_between_the_pools(gone_on: GoneOn) -> None:
    before, after = quadrants(gone_on.folder.round(2)), quadrants(gone_on.folder.round(3))
    assert before[gone_on.withdrawn] == before[gone_on.judged] == Quadrant.TP
    assert gone_on.withdrawn not in after
    assert after.get(gone_on.judged) in (Quadrant.FP, None)  # a mask that the reader denies, or no mask any more


@pytest.mark.ray
@pytest.mark.slow
def test_the_same_words_again_do_nothing_more_and_say_what_has_come_since(
    gone_on: GoneOn, three_rounds: RunConfig, caplog: pytest.LogCaptureFixture
) -> None:
    done = {path: path.stat().st_mtime_ns for path in gone_on.folder.path.rglob(MANIFEST)}
    give_verdict(gone_on.archive, gone_on.archive.table("images")["image_id"][0].as_py(), "unsure")
    caplog.set_level("INFO", logger="pipelines")
    assert [system.title for system in gone_on.again(three_rounds)] == [each.title for each in gone_on.systems]
    assert {path: path.stat().st_mtime_ns for path in gone_on.folder.path.rglob(MANIFEST)} == done
    assert "the archive is 1 verdict newer than this run: `--rounds +1` takes them in" in caplog.messages


@pytest.mark.ray
def test_inference_alone_begins_no_chapter_of_an_ended_run(finished_run: FinishedRun) -> None:
    kept = finished_run.folder.config()
    with pytest.raises(NotFinished, match=r"has come to its end: go on with `mammoloop selftrain --rounds \+1`"):
        selftrain.infer_alone(finished_run.folder.path, 3, config=finished_run.config)
    assert finished_run.folder.config() == kept
