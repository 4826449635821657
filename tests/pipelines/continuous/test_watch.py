"""The watcher through a month of arrivals: what it does, why, and that it is the same however often it is killed."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pipelines.continuous import watch
from pipelines.continuous.judging import adopt
from pipelines.continuous.watch import preview, tick
from pipelines.continuous.watched import Failed, Watched, lease
from pipelines.tools.status import lines
from system.archive import Archive
from system.continuous import decisions, registry
from system.continuous.plan import Alarms, GatePlan, Intake, Limits, Plan, Triggers
from system.continuous.policy import Alert, Retrain, Wait
from system.errors import MachineFault, UserError
from system.run import watching
from system.run.folder import RunFolder
from system.run.progress import progress_of
from tests.pipelines.continuous.scripted import (
    ANOTHER_CONTRAST,
    DAY_S,
    DENSE,
    OLD_CODE,
    PLACES,
    Found,
    Killed,
    Scripted,
    begun,
    report,
    state,
)

FIRST = PLACES % 2 == 0  # what Stage 1 finds
WORSE = PLACES % 4 == 0
BETTER = FIRST | (PLACES % 3 == 0)
DENSE_LOST = np.where(DENSE, PLACES % 12 == 0, True)
PLAN = Plan(triggers=Triggers(new_samples=10, verdicts=0), gate=GatePlan(looks=10), alarms=Alarms(refused_in_a_row=0))
ROUNDS = {1: WORSE, 2: BETTER, 3: DENSE_LOST, 4: BETTER | (PLACES % 7 == 0)}
BURSTS = {2: "a", 9: "b", 16: "c"}  # day -> ten studies


def arrivals() -> dict[int, list[dict[str, object]]]:
    """Return bursts of reports, some of them corrected and one withdrawn later."""
    found = {day: [report(f"{name}{place}") for place in range(10)] for day, name in BURSTS.items()}
    found[11] = [report("a1", version=2, status="corrected"), report("a2", version=2, status="withdrawn")]
    found[23] = [report(f"{ANOTHER_CONTRAST}{place}") for place in range(3)]
    return found


@dataclass
class Month:
    """A run, its archive and its watcher, and a clock that is set by hand."""

    archive: Archive
    run: RunFolder
    commands: Scripted
    plan: Plan
    at_s: float = 0.0

    def watched(self) -> Watched:
        return Watched(self.archive.uri, self.run, self.plan, self.commands, lambda: self.at_s)

    def play(self, days: range) -> None:
        """Look each day until it ends undisturbed, as a watcher that is started again does."""
        for day in days:
            self.at_s = day * DAY_S
            while True:
                try:
                    tick(self.watched())
                except (Killed, Failed):
                    continue
                break

    def lines(self) -> list[tuple[str, str]]:
        return [(line.kind, line.reason) for line in decisions.read(self.watched().folder)]


@pytest.fixture
def month(tmp_path: Path) -> Callable[..., Month]:
    def make(*, plan: Plan = PLAN, rounds: dict[int, Found] = ROUNDS, name: str = "calm") -> Month:
        (tmp_path / name).mkdir()
        archive, run = begun(tmp_path / name, found=FIRST)
        found = Month(archive, run, Scripted(archive, run, arrivals(), rounds, lambda: found.at_s), plan)
        return found

    return make


def test_a_month_refuses_what_is_worse_promotes_what_is_better_and_refuses_what_is_worse_in_dense_breasts(
    month: Callable[..., Month],
) -> None:
    calm = month()
    calm.play(range(31))
    found = state(calm.archive, calm.run)
    models = found.systems
    assert len(found.labels) == 1 + 33  # the first, three bursts, three of another contrast
    assert [row["study_id"] for row in found.labels if row["p_mass"] is None] == ["a2"]
    assert [len(pool) for pool in found.pools] == [11, 21, 30, 33]
    assert [found.models[models[name]] for name in models] == [
        "retired",
        "refused",
        "retired",
        "refused",
        "promoted",
    ]
    assert found.starts == ["stage1", "stage1", "round_02", "round_02"]  # a refused model is not gone on from
    retrains = [reason for kind, reason in calm.lines() if kind == "retrain"]
    drifted = "drift of the maps: population stability index 0.400, the plan's limit is 0.25"
    assert retrains == [*["10 new images in the pools, 10 are enough"] * 3, drifted]
    judged = [reason for kind, reason in calm.lines() if kind == "judged"]
    assert judged[0].startswith("refused: all lesions (240): 0.500 to 0.250")
    assert judged[1].startswith("promoted: not worse in any of")
    assert judged[2].startswith("refused: density d (60)")
    assert judged[3].startswith("promoted: ")
    page = (calm.run.path / "watch" / models["round_02"] / "decision.html").read_text(encoding="utf8")
    assert f"Model {models['round_02']}: promoted" in page
    assert "reports 1" in page
    assert "{'" not in page
    assert registry.read(calm.archive).models[models["round_02"]].lineage.code_digest == OLD_CODE


def without_failures(lines: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the lines as if nothing had failed: after a failure it is said again what is waited for."""
    kept = [line for line in lines if line[0] != "failed"]
    return [line for place, line in enumerate(kept) if line[0] != "wait" or place == 0 or kept[place - 1][0] != "wait"]


@pytest.mark.slow
def test_killed_and_failing_anywhere_a_month_ends_as_the_calm_one(month: Callable[..., Month]) -> None:
    calm = month()
    calm.play(range(31))
    rng = np.random.default_rng(7)
    faults = ["kill before", "kill after", "fail before", "fail after", "", ""]
    for trial in range(3):
        struck = month(name=f"struck_{trial}")
        struck.commands.faults = [faults[place] for place in rng.integers(len(faults), size=200)]
        struck.play(range(31))
        assert state(struck.archive, struck.run) == state(calm.archive, calm.run)
        assert without_failures(struck.lines()) == calm.lines()


def test_a_day_without_anything_new_does_no_work_and_logs_nothing(month: Callable[..., Month]) -> None:
    quiet = month()
    quiet.play(range(2))
    before, calls = quiet.lines(), len(quiet.commands.calls)
    quiet.at_s = 1.5 * DAY_S
    assert isinstance(tick(quiet.watched()), Wait)
    assert quiet.lines() == before
    assert quiet.commands.calls[calls:] == ["ingest"]


def test_a_beginning_that_was_cut_short_is_ended(month: Callable[..., Month]) -> None:
    cut = month()
    model = cut.run.stage1.model_name
    adopt(cut.watched())
    ended = registry.read(cut.archive)
    cut.archive.remove("models", ["000002"])
    assert registry.read(cut.archive).promoted == ""
    assert adopt(cut.watched()) == ended
    assert ended.promoted == model


def test_the_promoted_model_of_another_run_is_not_replaced_without_a_word(month: Callable[..., Month]) -> None:
    first, second = month(name="first"), month(name="second")
    first.play(range(2))
    other = Month(first.archive, second.run, second.commands, PLAN)
    with pytest.raises(UserError, match=r"is of run .*/first/run, so no candidate .* `mammoloop models promote "):
        tick(other.watched())
    assert registry.read(first.archive).promoted == first.run.stage1.model_name


def test_a_plan_with_an_approver_holds_the_candidate_and_waits(month: Callable[..., Month]) -> None:
    held = month(plan=PLAN.changed(approval="R. Ansari"), rounds={1: BETTER, 2: BETTER})
    held.play(range(12))
    book = registry.read(held.archive)
    candidate = held.run.round(1).model_name
    assert (book.models[candidate].status, book.promoted) == ("held", held.run.stage1.model_name)
    assert held.lines()[-1] == ("wait", f"{candidate} waits for approval by R. Ansari")
    said = registry.Said("2026-11-26", "R. Ansari", "looked at the page")
    registry.add(held.archive, registry.approve(candidate, said=said))
    held.play(range(12, 20))
    assert held.run.chapter_of(2).start == "round_01"


def test_after_a_rollback_the_next_candidate_goes_on_from_the_model_before(month: Callable[..., Month]) -> None:
    back = month(rounds={1: BETTER, 2: BETTER})
    back.play(range(5))
    assert registry.read(back.archive).promoted == back.run.round(1).model_name
    registry.add(back.archive, registry.roll_back("", said=registry.Said("2026-11-26", "R1", "artefacts")))
    back.play(range(5, 12))
    assert back.run.chapter_of(2).start == "stage1"


def test_an_odd_intake_calls_a_person_and_trains_nothing(month: Callable[..., Month]) -> None:
    odd = month()
    odd.commands.arrivals = {1: [report(f"x{place}", language="tlh") for place in range(30)]}
    odd.at_s = DAY_S
    found = tick(odd.watched())
    assert isinstance(found, Alert)
    assert found.reason == "reports of unknown language: 30 of 30, 100%, the plan's limit is 10%"
    assert not odd.run.rounds()


def test_what_goes_on_as_it_was_is_logged_once(month: Callable[..., Month]) -> None:
    silent = month(plan=PLAN.changed(alarms=PLAN.alarms.changed(silence_days=1)))
    silent.commands.arrivals = {}
    silent.commands.last_arrival_s = 0.0
    silent.play(range(3, 30))
    assert [kind for kind, _ in silent.lines()] == ["plan", "notice", "wait"]


def test_another_plan_begins_a_chapter_of_the_log(month: Callable[..., Month]) -> None:
    changed = month()
    changed.play(range(2))
    changed.plan = PLAN.changed(triggers=PLAN.triggers.changed(new_samples=5))
    changed.at_s = 2 * DAY_S
    assert isinstance(tick(changed.watched()), Retrain)
    lines = decisions.read(changed.watched().folder)
    assert [line.plan for line in lines if line.kind == "plan"] == [PLAN.digest, changed.plan.digest]
    assert lines[-1].plan == changed.plan.digest


def test_a_run_that_was_moved_is_the_same_run(month: Callable[..., Month]) -> None:
    moved = month()
    moved.play(range(4))
    place = moved.run.path.rename(moved.run.path.with_name("elsewhere"))
    moved.run = moved.commands.run = RunFolder(place)
    moved.play(range(4, 31))
    assert [model.status for model in registry.read(moved.archive).models.values()] == [
        "retired",
        "refused",
        "retired",
        "refused",
        "promoted",
    ]


def test_one_watcher_at_a_time(month: Callable[..., Month]) -> None:
    run = month().run
    with lease(run), pytest.raises(UserError, match="another watcher holds run run"), lease(run):
        pass
    with lease(run):
        pass


def test_failures_wait_longer_each_time_and_are_told_until_one_look_goes_well(month: Callable[..., Month]) -> None:
    limits = Limits(backoff_s=60, longest_backoff_s=200)
    failing = month(plan=PLAN.changed(limits=limits, intake=Intake(poll_s=5)))
    failing.commands.faults = ["fail before", "fail after", "fail before", "", ""]
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        told = watching.read(failing.run.path)
        assert told is not None
        assert (told.decision, told.next_look_s) == ("Failed" if len(waits) < 4 else "Wait", failing.at_s + seconds)
        if len(waits) == 4:
            raise Killed("enough")

    with pytest.raises(Killed):
        watch.run(failing.watched(), sleep=sleep)
    assert waits == [60, 120, 200, 5]
    assert [kind for kind, _ in failing.lines()] == ["plan", "failed", "failed", "failed", "wait"]


def test_once_ends_with_the_failure(month: Callable[..., Month]) -> None:
    failing = month()
    failing.commands.faults = ["fail before"]
    with pytest.raises(MachineFault, match="ingest failed"):
        watch.run(failing.watched(), once=True)


def test_a_preview_says_what_the_next_look_does_and_does_nothing(month: Callable[..., Month]) -> None:
    seen = month()

    def previewed() -> str:
        before = sorted(str(path) for path in seen.run.path.rglob("*"))
        found = preview(seen.watched())
        assert sorted(str(path) for path in seen.run.path.rglob("*")) == before
        return found

    assert previewed() == "would begin with the result of run run, supervised, as the first promoted model"
    seen.play(range(2))
    assert previewed() == "Wait: nothing is due: 0 of 10 new images in the pools"
    seen.at_s = 2 * DAY_S
    seen.commands.ingest()
    assert previewed().startswith("would label, infer and sort what has come first")
    seen.commands.catch_up("stage1")
    assert previewed() == "Retrain: 10 new images in the pools, 10 are enough"
    seen.commands.faults = ["", "kill before"]
    with pytest.raises(Killed):
        tick(seen.watched())
    assert previewed().startswith("would end the retraining of round 1, begun because of: 10 new images")


def test_status_tells_of_the_watcher(month: Callable[..., Month]) -> None:
    watched = month()
    watched.play(range(4))
    found = list(lines(progress_of(watched.run.path, now_s=watched.at_s + 30)))
    assert (
        f"watched until its watcher was stopped or killed, by plan {PLAN.digest}; last look 30 s ago: Wait: "
        in next(line for line in found if line.startswith("watched"))
    )
    model = registry.read(watched.archive).promoted
    assert f"promoted: {model}, supervised, mean sensitivity not known on test" in found
    with lease(watched.run):
        found = list(lines(progress_of(watched.run.path, now_s=watched.at_s + 30)))
    assert any(line.startswith("watched, by plan") for line in found)
    assert "next look: in 30 s" in found
