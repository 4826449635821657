"""What a sweep has found: read back from study and folders, ranked, as table, CSV, best.yaml and page."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import optuna
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from pipelines.sweep.inputs import SweepInputs
from pipelines.sweep.measured import counts_of, curve_of, gain_of, measure_of
from pipelines.sweep.places import TrialPlace
from pipelines.sweep.study import REASON, begun, place_of_trial
from system.config import as_yaml
from system.figures.rows import FrocSeries
from system.figures.sweep_page import SweepPage, write_sweep_page
from system.figures.sweep_rows import SHOWN, Behind, State, SweepResults, SweepTrial, pareto, ranked
from system.figures.sweep_words import sentences, short_names, tables_of, text_of
from system.files.atomic import write_text
from system.files.csv_out import write_csv
from system.files.json_out import as_json
from tune_spaces import KINDS, Range, Space, applied, own_setting

PAGE = "page.html"
_FEWEST_FOR_IMPORTANCE = 8
_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "done",
    TrialState.PRUNED: "stopped",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


def read_trials(study: optuna.Study, inputs: SweepInputs) -> list[SweepTrial]:
    """Return the trials that are begun or ended, by number."""
    return [_read(trial, place_of_trial(inputs.out, trial)) for trial in begun(study)]


def _read(trial: FrozenTrial, place: TrialPlace) -> SweepTrial:
    state = _STATES[trial.state]
    result = place.result.result() if state in {"done", "stopped"} and place.result.finished else None
    values = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    return SweepTrial(
        number=trial.number,
        setting=trial.params,
        state=state,
        mean=result.mean if result and state == "done" else math.nan,
        interval=result.interval if result else (math.nan, math.nan),
        sensitivity=result.sensitivity if result else {},
        seconds=result.seconds if result else math.nan,
        values=values,
        folder=place.folder,
        reason=trial.user_attrs.get(REASON, ""),
    )


def gather(study: optuna.Study, inputs: SweepInputs, space: Space, *, wanted: int) -> SweepResults:
    """Return what is known now; the best trials are compared with the very best, patient by patient."""
    trials = read_trials(study, inputs)
    best = [trial for trial in ranked(trials) if not math.isnan(trial.mean)][:SHOWN]
    return SweepResults(
        trials=trials,
        wanted=wanted,
        start=_start(trials, space, inputs),
        behind=_behind(inputs, best),
        measure=measure_of(inputs.kind),
        by_seeds=KINDS[inputs.kind].trains,
        front=sorted(pareto(trials)) if len(study.directions) > 1 else (),
    )


def _start(trials: Sequence[SweepTrial], space: Space, inputs: SweepInputs) -> int | None:
    own = own_setting(space, inputs.config)
    same = [trial for trial in trials if dict(trial.setting) == own]
    done = [trial.number for trial in [*same, *trials] if trial.state == "done"]
    return done[0] if done else None


def _behind(inputs: SweepInputs, best: Sequence[SweepTrial]) -> dict[int, Behind]:
    if not best:
        return {}
    counts = {trial.number: [counts_of(inputs, _place(inputs, trial))] for trial in best}
    first = best[0].number
    found = {first: Behind(0.0, (0.0, 0.0))}
    for trial in best[1:]:
        gain, interval = gain_of(inputs, counts[first], counts[trial.number])
        found[trial.number] = Behind(gain, interval.pair())
    return found


def _place(inputs: SweepInputs, trial: SweepTrial) -> TrialPlace:
    return TrialPlace(inputs.out, trial.folder)


def write_results(found: SweepResults, inputs: SweepInputs) -> None:
    """Write what machines read: results.json and results.csv of all trials, and best.yaml once there is a best."""
    write_text(inputs.out / "results.json", as_json(found))
    keys = list(dict.fromkeys(key for trial in found.trials for key in trial.setting))
    points = list(dict.fromkeys(fppi for trial in found.trials for fppi in trial.sensitivity))
    columns = ["trial", "state", *keys, "mean", "low", "high", *(f"sensitivity_at_{x}" for x in points), "behind_best"]
    columns += ["seconds", "steps", "last_value", "reason", "folder"]
    write_csv(inputs.out / "results.csv", columns, [_csv_row(trial, found, keys, points) for trial in found.trials])
    if found.ranked:
        write_text(inputs.out / "best.yaml", as_yaml(applied(inputs.base, found.winner.setting)))


def _csv_row(trial: SweepTrial, found: SweepResults, keys: Sequence[str], points: Sequence[str]) -> list[object]:
    behind = found.behind.get(trial.number)
    return [
        *(trial.number, trial.state),
        *("" if key not in trial.setting else _plain(trial.setting[key]) for key in keys),
        *(_plain(value) for value in (trial.mean, *trial.interval)),
        *(_plain(trial.sensitivity.get(x, math.nan)) for x in points),
        _plain(behind.difference if behind else math.nan),
        _plain(trial.seconds),
        len(trial.values),
        _plain(trial.values[-1] if trial.values else math.nan),
        *(trial.reason, trial.folder),
    ]


def _plain(value: Any) -> object:
    """Return a value as a cell: nothing for NaN, words as the configuration has them."""
    if isinstance(value, bool) or value is None:
        return text_of(value)
    return "" if isinstance(value, float) and math.isnan(value) else value


def write_page(found: SweepResults, study: optuna.Study, inputs: SweepInputs, space: Space) -> None:
    """Write the page: what was found, the history, what matters, each key, all keys, curves, tables."""
    names = short_names(list(space.domains))
    page = SweepPage(
        name=inputs.out.name,
        measure=found.measure,
        sentences=list(sentences(found)),
        trials=found.trials,
        names=names,
        log_keys=[key for key, domain in space.domains.items() if isinstance(domain, Range) and domain.log],
        importance={names[key]: share for key, share in importance_of(study).items()},
        curves=list(_curves(found, inputs)) if KINDS[inputs.kind].trains else [],
        fppi=inputs.config.froc.fppi,
        tables=list(tables_of(found)),
    )
    write_sweep_page(page, inputs.out / PAGE)


def importance_of(study: optuna.Study) -> dict[str, float]:
    """Return how much of the values' variance each key explains (fANOVA, Hutter et al. 2014), 0 to 1.

    Empty where too few trials are finished, all reached the same, or the keys differ from trial to trial.
    """
    done = [
        trial
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not any(math.isnan(value) for value in trial.values)
    ]
    values = {trial.values[0] for trial in done}
    if len(done) < _FEWEST_FOR_IMPORTANCE or len(values) < 2:
        return {}
    try:
        return get_param_importances(
            study, evaluator=FanovaImportanceEvaluator(seed=0), target=lambda trial: trial.values[0]
        )
    except (ValueError, RuntimeError):  # no key is in all of them
        return {}


def _curves(found: SweepResults, inputs: SweepInputs) -> Iterator[FrocSeries]:
    """Give the curve of the start, and that of the best."""
    if not found.ranked or found.start is None or math.isnan(found.ranked[0].mean):
        return
    start, best = found.trial(found.start), found.winner
    yield curve_of(inputs, _place(inputs, start), title=f"start, trial {start.number}")
    if best.number != start.number:
        yield curve_of(inputs, _place(inputs, best), title=f"best, trial {best.number}")
