"""What a sweep tries next, and what its study remembers; no Ray is running."""

import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import optuna
import pytest
from optuna.exceptions import StorageInternalError
from optuna.trial import Trial, TrialState
from ray.tune.search.optuna import optuna_search
from ray.tune.search.searcher import Searcher

from pipelines.sweep.places import place_of
from pipelines.sweep.search import FAULT, NUMBER, SETTING, STEP, STOPPED, StudySearch
from pipelines.sweep.study import (
    REASON,
    SECONDS,
    SENSITIVITY,
    begun,
    driver_of,
    enqueue,
    left_behind,
    open_study,
    pruner,
)
from system.errors import MachineFault, UserError
from tune_spaces import Choice, Range, Space

SPACE = Space({"loss.alpha": Range(0.1, 0.9), "loss.mask_labels": Choice(("soft", "hard"))})
START = {"loss.alpha": 0.25, "loss.mask_labels": "soft"}
Make = Callable[..., StudySearch]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make the search of a driver on the same folder."""

    def search(*, wanted: int = 8, space: Space = SPACE, **options: Any) -> StudySearch:
        objectives = options.pop("objectives", (SENSITIVITY,))
        study = open_study(tmp_path, objectives=objectives)
        options = {"driver": "me", "seed": 0, "pruner": pruner(stops_early=False, grace=1)} | options
        return StudySearch(study, space, tmp_path, wanted=wanted, **options)

    return search


def end(search: StudySearch, name: str, value: float, *, seconds: float = 1.0, stopped: int = 0) -> None:
    search.on_trial_complete(name, {SENSITIVITY: value, SECONDS: seconds, STOPPED: stopped})


def suggested(search: StudySearch, name: str) -> dict[str, Any]:
    found = search.suggest(name)
    assert isinstance(found, dict)
    return found


def test_known_settings_come_first_then_drawn_ones_until_it_is_enough(make: Make, tmp_path: Path) -> None:
    search = make(wanted=3)
    enqueue(search.study, [START, START])
    first, second, third = (suggested(search, name) for name in "abc")
    assert first == {SETTING: START, NUMBER: 0}
    assert all(SPACE.holds(each[SETTING]) for each in (second, third))
    assert search.suggest("d") == Searcher.FINISHED
    assert (place_of(tmp_path, START).path / "settings.json").exists()


def test_the_study_holds_how_each_trial_ended(make: Make) -> None:
    search = make()
    for name in "abcdef":
        suggested(search, name)
    end(search, "a", 0.5, seconds=7.0)
    search.on_trial_result("b", {SENSITIVITY: 0.2, STEP: 1})
    end(search, "b", 0.2, stopped=1)
    search.on_trial_complete("c", {REASON: "the loss was not finite"})
    search.on_trial_complete("d", None, error=True)
    end(search, "e", math.nan)
    trials = search.study.get_trials()
    assert [trial.state for trial in trials] == [
        *(TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.FAIL, TrialState.FAIL),
        TrialState.RUNNING,
    ]
    assert (trials[0].value, trials[0].user_attrs[SECONDS], trials[1].intermediate_values) == (0.5, 7.0, {1: 0.2})
    assert [trial.user_attrs.get(REASON) for trial in trials[2:5]] == [
        "the loss was not finite",
        "its process was lost again and again",
        "validation has no lesion to find",
    ]


def test_what_a_killed_driver_left_is_done_first_and_keeps_its_number_setting_and_values(
    make: Make, tmp_path: Path
) -> None:
    killed = make(driver="gone")
    kept = [suggested(killed, name) for name in "ab"]
    killed.on_trial_result("b", {SENSITIVITY: 0.3, STEP: 1})
    end(killed, "a", 0.5)
    again = make(wanted=3)
    assert [trial.number for trial in left_behind(again.study, tmp_path)] == [1]
    assert suggested(again, "x") == kept[1]
    again.on_trial_result("x", {SENSITIVITY: 0.9, STEP: 1})  # told before: it stays
    again.on_trial_result("x", {SENSITIVITY: 0.4, STEP: 2})
    assert again.study.trials[1].intermediate_values == {1: 0.3, 2: 0.4}
    assert suggested(again, "y")[NUMBER] == 2
    assert again.suggest("z") == Searcher.FINISHED


def test_a_draw_that_takes_long_is_no_warning(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_search, "DEFINE_BY_RUN_WARN_THRESHOLD_S", -1.0)  # every draw takes longer
    assert suggested(make(), "a")


def test_trials_of_a_driver_at_work_are_left_to_it(make: Make, tmp_path: Path) -> None:
    with driver_of(tmp_path) as other:
        suggested(make(driver=other), "a")
        assert left_behind(open_study(tmp_path), tmp_path) == []
        mine = make(driver="me", wanted=2)
        assert suggested(mine, "a")[NUMBER] == 1
        assert mine.suggest("b") == Searcher.FINISHED
    assert [trial.number for trial in left_behind(open_study(tmp_path), tmp_path)] == [0, 1]
    assert list((tmp_path / "drivers").iterdir()) == []


def test_two_drivers_at_once_never_take_the_same_trial(tmp_path: Path) -> None:
    together = Barrier(3)

    def drive(name: str) -> list[int]:
        with driver_of(tmp_path) as driver:
            together.wait()
            study, none = open_study(tmp_path), pruner(stops_early=False, grace=1)
            search = StudySearch(study, SPACE, tmp_path, driver=driver, wanted=12, seed=0, pruner=none)
            numbers: list[int] = []
            while isinstance(found := search.suggest(f"{name}{len(numbers)}"), dict):
                numbers.append(found[NUMBER])
                end(search, f"{name}{len(numbers) - 1}", 0.5)
        return numbers

    open_study(tmp_path)
    with ThreadPoolExecutor(3) as pool:
        taken = [number for found in pool.map(drive, "abc") for number in found]
    assert sorted(taken) == list(range(12))


def test_a_search_that_was_killed_draws_what_one_that_was_not_would_have(tmp_path: Path) -> None:
    def drawn(out: Path, *, restarts: bool) -> list[dict[str, Any]]:
        found, search = [], None
        for number in range(14):  # the sampler looks at the earlier ones from the eleventh on
            if search is None or restarts:
                search = StudySearch(
                    open_study(out, name="same"),
                    SPACE,
                    out,
                    driver="me",
                    wanted=20,
                    seed=3,
                    pruner=pruner(stops_early=False, grace=1),
                )
            found.append(suggested(search, str(number))[SETTING])
            end(search, str(number), found[-1]["loss.alpha"])
        return found

    calm = drawn(tmp_path / "calm", restarts=False)
    assert drawn(tmp_path / "killed", restarts=True) == calm
    assert len({str(each) for each in calm}) == 14


def test_poor_trials_are_told_to_stop_and_good_ones_are_not(make: Make, tmp_path: Path) -> None:
    search = make(pruner=pruner(stops_early=True, grace=1))
    places = {}
    for name, value in (("a", 0.5), ("b", 0.2), ("c", 0.7)):
        places[name] = place_of(tmp_path, suggested(search, name)[SETTING])
        search.on_trial_result(name, {SENSITIVITY: value, STEP: 1})
    assert {name: place.stop.exists() for name, place in places.items()} == {"a": False, "b": True, "c": False}
    # Its memory is the study: another driver judges by the same values.
    for name, value in (("a", 0.5), ("b", 0.2), ("c", 0.7)):
        end(search, name, value)
    other = make(driver="another", pruner=pruner(stops_early=True, grace=1))
    place = place_of(tmp_path, suggested(other, "d")[SETTING])
    other.on_trial_result("d", {SENSITIVITY: 0.1, STEP: 1})
    assert place.stop.exists()


def test_of_those_that_came_as_far_a_third_goes_on(make: Make, tmp_path: Path) -> None:
    search = make(pruner=pruner(stops_early=True, grace=1))
    stopped = []
    for name, value in (("a", 0.1), ("b", 0.2), ("c", 0.3), ("d", 0.4), ("e", 0.5), ("second", 0.45), ("third", 0.42)):
        place = place_of(tmp_path, suggested(search, name)[SETTING])
        search.on_trial_result(name, {SENSITIVITY: value, STEP: 1})
        stopped.append(place.stop.exists())
    assert stopped == 6 * [False] + [True]


def test_the_setting_that_others_are_held_against_is_tried_to_its_end(make: Make, tmp_path: Path) -> None:
    search = make(pruner=pruner(stops_early=True, grace=1), never_stopped=START)
    enqueue(search.study, [{"loss.alpha": 0.5, "loss.mask_labels": "soft"}, START])
    for name, value in (("a", 0.5), ("b", 0.2)):
        suggested(search, name)
        search.on_trial_result(name, {SENSITIVITY: value, STEP: 1})
    assert not place_of(tmp_path, START).stop.exists()


def test_a_trial_whose_validation_is_no_number_is_told_to_stop(make: Make, tmp_path: Path) -> None:
    search = make(pruner=pruner(stops_early=True, grace=1))
    place = place_of(tmp_path, suggested(search, "a")[SETTING])
    search.on_trial_result("a", {SENSITIVITY: math.nan, STEP: 1})
    assert place.stop.exists()


def test_no_trial_is_told_to_stop_within_its_grace(make: Make, tmp_path: Path) -> None:
    search = make(pruner=pruner(stops_early=True, grace=2))
    for name, value in (("a", 0.5), ("b", 0.2)):
        place = place_of(tmp_path, suggested(search, name)[SETTING])
        search.on_trial_result(name, {SENSITIVITY: value, STEP: 1})
        assert not place.stop.exists()


def test_a_fault_of_the_machine_ends_the_search_and_leaves_the_trial_to_be_done_again(
    make: Make, tmp_path: Path
) -> None:
    search = make()
    suggested(search, "a")
    suggested(search, "b")
    search.on_trial_complete("a", {FAULT: "no space is left on the storage: free space"})
    assert isinstance(search.fault, MachineFault)
    assert search.suggest("c") == Searcher.FINISHED
    end(search, "b", 0.4)
    assert [trial.number for trial in left_behind(search.study, tmp_path)] == [0]


@pytest.mark.parametrize("moment", ["suggest", "report", "end"])
def test_a_database_that_fails_in_the_midst_ends_the_search_and_loses_nothing(
    make: Make, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StorageInternalError("postgresql://me:secret@host/db is gone")

    search = make()
    suggested(search, "a")
    with monkeypatch.context() as broken:
        broken.setattr(optuna.Study, "ask", fail)
        broken.setattr(optuna.Study, "tell", fail)
        broken.setattr(Trial, "report", fail)
        match moment:
            case "suggest":
                assert search.suggest("b") == Searcher.FINISHED
            case "report":
                search.on_trial_result("a", {SENSITIVITY: 0.2, STEP: 1})
            case "end":
                end(search, "a", 0.5)
    assert isinstance(search.fault, MachineFault)
    assert "secret" not in str(search.fault)
    assert search.suggest("c") == Searcher.FINISHED
    assert [trial.number for trial in left_behind(search.study, tmp_path)] == [0]


def test_an_error_of_ours_is_not_taken_for_the_databases(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna.Study, "ask", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make().suggest("a")


def test_no_trial_is_begun_after_its_hours(make: Make) -> None:
    search = make(hours=1e-9)
    time.sleep(0.01)
    assert search.suggest("a") == Searcher.FINISHED
    assert begun(search.study) == []


def test_the_same_setting_does_not_run_twice_at_once(make: Make) -> None:
    only = Space({"loss.mask_labels": Choice(("soft",))})
    search = make(space=only, wanted=2)
    suggested(search, "a")
    assert search.suggest("b") == Searcher.FINISHED
    end(search, "a", 0.5)
    states = [(trial.state, trial.user_attrs.get(REASON)) for trial in search.study.trials]
    assert states == [(TrialState.COMPLETE, None), (TrialState.FAIL, "trial 0 has the same setting, and runs")]


def test_two_objectives_are_both_kept_and_none_is_reported_on_the_way(make: Make) -> None:
    search = make(objectives=(SENSITIVITY, SECONDS))
    suggested(search, "a")
    search.on_trial_result("a", {SENSITIVITY: 0.2, STEP: 1})
    end(search, "a", 0.5, seconds=9.0)
    assert search.study.trials[0].values == [0.5, 9.0]
    with pytest.raises(UserError, match="was begun to maximize sensitivity and minimize seconds: give the same"):
        make()


def test_a_conditional_key_is_only_in_the_settings_that_have_it(make: Make) -> None:
    space = Space(
        {"loss.mask_labels": Choice(("soft", "hard")), "loss.report_weights": Choice((True, False))},
        only_if={"loss.report_weights": {"loss.mask_labels": ("soft",)}},
    )
    search = make(space=space, wanted=12)
    for number in range(12):
        setting = suggested(search, str(number))[SETTING]
        assert ("loss.report_weights" in setting) == (setting["loss.mask_labels"] == "soft")
        end(search, str(number), 0.1 * number)


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("nonsense", UserError, "--storage is no URL of a database"),
        ("mongo://x", UserError, "--storage is no URL of a database"),
        ("postgresql://me:secret@127.0.0.1:1/db", (UserError, MachineFault), "--storage"),
        ("sqlite:////proc/nowhere/study.db", MachineFault, "the database of --storage cannot be used"),
    ],
)
def test_a_database_that_cannot_be_used_is_said_without_its_password(
    url: str, error: type[Exception] | tuple[type[Exception], ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words) as refused:
        open_study(tmp_path, url=url)
    assert "secret" not in str(refused.value)


def test_a_study_file_that_is_none_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "study.db").write_text("not a database, but long enough to be taken for one " * 20)
    with pytest.raises(MachineFault, match=r"study\.db of the sweep cannot be used"):
        open_study(tmp_path)


def test_optunas_own_tools_read_the_study(make: Make, tmp_path: Path) -> None:
    search = make()
    suggested(search, "a")
    end(search, "a", 0.5)
    study = optuna.load_study(study_name=tmp_path.name, storage=f"sqlite:///{tmp_path / 'study.db'}")
    assert study.best_value == 0.5
