"""Each reason to wait, to retrain and to call a person, alone and against the others."""

from dataclasses import replace

import pytest

from system.continuous.plan import Alarms, GatePlan, Plan, Triggers
from system.continuous.policy import DAY_S, Alert, RefitLabels, Retrain, Wait, decide, notices
from system.continuous.situation import Arrived, Situation

NOW_S = 1000 * DAY_S
QUIET = Situation(NOW_S, Arrived(num_files=40, num_reports=10), num_new_samples=10)
PLAN = Plan()


def test_where_nothing_is_due_it_waits_and_says_how_near_it_is() -> None:
    found = decide(QUIET, plan=PLAN)
    assert found == Wait("nothing is due: 10 of 200 new images in the pools, 0 of 20 new verdicts")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"num_new_samples": 200}, "200 new images in the pools, 200 are enough"),
        ({"arrived": Arrived(num_verdicts=20)}, "20 new verdicts, 20 are enough"),
        ({"label_drift": 0.26}, "drift of the labels: population stability index 0.260, the plan's limit is 0.25"),
        ({"map_drift": 0.3}, "drift of the maps: population stability index 0.300, the plan's limit is 0.25"),
    ],
)
def test_each_trigger_alone_retrains_with_its_number(changes: dict[str, object], reason: str) -> None:
    assert decide(replace(QUIET, **changes), plan=PLAN) == Retrain(reason)


def test_a_trigger_of_0_never_retrains() -> None:
    never = Plan(triggers=Triggers(new_samples=0, verdicts=0, label_drift=0, map_drift=0))
    everything = replace(QUIET, num_new_samples=9999, label_drift=9.0, map_drift=9.0, arrived=Arrived(10, 0))
    assert isinstance(decide(everything, plan=never), Wait)


def test_days_count_from_the_last_retraining_and_only_where_anything_came() -> None:
    plan = Plan(triggers=Triggers(days=30))
    old = replace(QUIET, last_retrain_s=NOW_S - 30 * DAY_S)
    assert decide(old, plan=plan) == Retrain("30.0 days since the last retraining, 30 are enough")
    assert isinstance(decide(replace(old, last_retrain_s=NOW_S - 29 * DAY_S), plan=plan), Wait)
    assert isinstance(decide(replace(old, arrived=Arrived()), plan=plan), Wait)
    assert decide(replace(old, last_retrain_s=None), plan=plan) == Retrain("no retraining yet, 30 are enough")


def test_two_retrainings_keep_their_distance() -> None:
    due = replace(QUIET, num_new_samples=500, last_retrain_s=NOW_S - DAY_S / 2)
    found = decide(due, plan=PLAN)
    assert isinstance(found, Wait)
    assert found.reason.endswith("but the last retraining began 0.5 days ago, 1 must lie between two")
    assert isinstance(decide(replace(due, last_retrain_s=NOW_S - DAY_S), plan=PLAN), Retrain)


@pytest.mark.parametrize(
    ("arrived", "words"),
    [
        (Arrived(num_files=100, num_quarantined=21), "files quarantined: 21 of 100, 21%, the plan's limit is 20%"),
        (Arrived(num_reports=20, num_no_side=11), "reports without a side: 11 of 20"),
        (Arrived(num_reports=20, num_unknown_language=3), "reports of unknown language: 3 of 20"),
    ],
)
def test_an_odd_intake_is_told_and_stops_what_is_due(arrived: Arrived, words: str) -> None:
    found = decide(replace(QUIET, arrived=arrived, num_new_samples=500), plan=PLAN)
    assert isinstance(found, Alert)
    assert found.reason.startswith(words)


def test_few_files_give_no_share() -> None:
    odd = Arrived(num_files=19, num_quarantined=19, num_reports=19, num_no_side=19)
    assert isinstance(decide(replace(QUIET, arrived=odd), plan=PLAN), Wait)


def test_refusals_in_a_row_call_a_person() -> None:
    found = decide(replace(QUIET, refused_in_a_row=3, num_new_samples=500), plan=PLAN)
    assert found == Alert("3 candidates in a row were refused, the plan's limit is 3")
    assert isinstance(decide(replace(QUIET, refused_in_a_row=3), plan=Plan(alarms=Alarms(refused_in_a_row=0))), Wait)


def test_a_held_candidate_is_waited_for() -> None:
    due = replace(QUIET, num_new_samples=500)
    held = decide(replace(due, held="0123"), plan=Plan(approval="R. Ansari"))
    assert held == Wait("0123 waits for approval by R. Ansari")


def test_what_the_plan_does_not_allow_to_change_is_not_trained() -> None:
    labels_only = Plan(may_change=("labels",))
    drifted = decide(replace(QUIET, label_drift=0.5), plan=labels_only)
    assert isinstance(drifted, RefitLabels)
    assert drifted.reason.startswith("drift of the labels")
    assert isinstance(decide(replace(QUIET, num_new_samples=500), plan=labels_only), Alert)


def test_used_up_patients_call_a_person_before_anything_is_trained() -> None:
    due, gate = replace(QUIET, num_new_samples=500, looks=20), GatePlan(looks=20)
    found = decide(due, plan=Plan(gate=gate))
    assert isinstance(found, Alert)
    assert "looked at 20 times of 20" in found.reason
    assert isinstance(decide(replace(due, looks=19), plan=Plan(gate=gate)), Retrain)
    warned = Plan(gate=gate.changed(after_looks="warn"))
    assert isinstance(decide(due, plan=warned), Retrain)
    assert len(list(notices(due, plan=warned))) == 1


def test_a_silent_source_is_told_and_stops_nothing() -> None:
    silent = replace(QUIET, num_new_samples=500, last_arrival_s={"a": NOW_S - 8 * DAY_S, "b": NOW_S - 6 * DAY_S})
    assert list(notices(silent, plan=PLAN)) == ["source a: nothing for 8.0 days, the plan's limit is 7"]
    assert isinstance(decide(silent, plan=PLAN), Retrain)
