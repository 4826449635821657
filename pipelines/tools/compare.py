"""Several runs side by side: recipe and data, sensitivities with paired intervals, pools, cost. Needs no Ray."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from system.config import NOT_IN_RECIPE
from system.errors import NotFinished, UserError
from system.evaluation.read_back import patient_counts, read_report, shared_counts
from system.figures.compared import (
    Against,
    ComparedPools,
    ComparedRun,
    Comparison,
    Difference,
    on_terminal,
    sentences,
    tables_of,
    write_comparison,
)
from system.figures.console import console
from system.figures.rows import NAN, FrocSeries
from system.files.json_out import write_json
from system.metrics import FrocConfig, compare_systems, paired
from system.run.folder import RunFolder
from system.run.systems import System
from system.settings import flat

NOT_SET = "–"
# Chosen for each model, or without effect on what is measured.
_OWN_RULES = {"candidate_threshold", "bootstrap", "seed", "fppi", "num_thresholds"}
_KINDS = {"labels": "labels", "checkpoint": "training", "predictions": "inference", "held_out": "inference"}


@dataclass(frozen=True)
class _Chosen:
    """What one RUN of the command line names."""

    name: str
    run: RunFolder
    system: System


def run(wanted: Sequence[str], *, json_file: Path | None = None, page: Path | None = None) -> Comparison:
    """Print the runs side by side and return all that is shown; also written to `json_file` and `page`.

    wanted: folders of runs, each perhaps with `:` and a system (stage1, control_01, round_01); without it the run's
        result. The first is the one that the others are held against.

    Raises UserError for fewer than two, the same one twice and an unknown system, NotFinished for a run without a
    result.
    """
    if len(wanted) < 2:
        raise UserError(f"compare takes two runs or more, found {len(wanted)}: name them one after another")
    chosen = _named([_chosen(each) for each in wanted])
    found = Comparison(
        runs=[_compared(each, first=chosen[0]) for each in chosen],
        recipe=_differing([_recipe(each.run) for each in chosen]),
        data=_differing([_data(each.run) for each in chosen]),
    )
    screen = console(json_file=json_file)
    for table in tables_of(found):
        screen.print(on_terminal(table))
    for sentence in sentences(found):
        screen.print(sentence)
    if json_file:
        write_json(json_file, found)
    if page:
        screen.print(f"page: {write_comparison(found, [_curve(each) for each in chosen], page)}")
    return found


def _chosen(text: str) -> _Chosen:
    """Return what a RUN of the command line names."""
    folder, colon, system = (text, "", "") if Path(text).is_dir() else text.rpartition(":")
    folder, system = (folder, system) if colon else (text, "")
    run = RunFolder(Path(folder))
    run.config()  # refused here where it is no run
    measured = run.systems()
    if system:
        known = {each.name: each for each in measured}
        if system not in known:
            raise UserError(
                f"run {run.name} has no measured system {system!r}: found {', '.join(known) or 'none'}, name one"
            )
        return _Chosen(f"{run.name}:{system}", run, known[system])
    if not run.chosen.finished:
        names = ", ".join(f"{folder}:{each.name}" for each in measured)
        hint = f"name one of its systems ({names})" if names else "none of its systems is measured yet"
        raise NotFinished(f"run {run.name} has no result yet: go on with `mammoloop selftrain`, or {hint}")
    return _Chosen(run.name, run, run.result())


def _named(chosen: Sequence[_Chosen]) -> list[_Chosen]:
    """Return them under names that differ. Raises UserError where one is named twice."""
    places = [(each.run.path.resolve(), each.system.name) for each in chosen]
    if len(set(places)) < len(places):
        raise UserError("one run or system is named twice: name each once")
    names = [each.name for each in chosen]
    if len(set(names)) == len(names):
        return list(chosen)
    longer = [f"{each.run.path.resolve().parent.name}/{each.name}" for each in chosen]
    if len(set(longer)) < len(longer):
        longer = [f"{number}: {name}" for number, name in enumerate(longer, start=1)]
    return [_Chosen(name, each.run, each.system) for name, each in zip(longer, chosen, strict=True)]


def _compared(this: _Chosen, *, first: _Chosen) -> ComparedRun:
    rules, stage = first.run.config().froc, this.system.froc()
    result = stage.result()
    row = compare_systems({this.name: patient_counts(stage, config=rules)}, baseline=this.name, config=rules)[0]
    return ComparedRun(
        name=this.name,
        system=this.system.title,
        num_images=result.counts.num_images,
        num_patients=result.counts.num_patients,
        num_lesions=result.counts.num_lesions,
        sensitivity={f"{fppi:g}": value for fppi, value in row.sensitivity.items()},
        mean=row.mean,
        interval=row.interval.pair(),
        pools=list(_pools(this.run)),
        seconds=_seconds(this.run),
        num_steps=sum(
            system.checkpoint.result().num_steps for system in this.run.systems() if system.checkpoint.finished
        ),
        against=None if this is first else _against(this, first, rules=rules),
    )


def _against(this: _Chosen, first: _Chosen, *, rules: FrocConfig) -> Against:
    """Return a system against the first run's, on the test images that both have."""
    shared = shared_counts(first.system.froc(), this.system.froc(), config=rules)
    num_patients, num_lesions = len(shared.first.patients), int(shared.first.lesions.sum())
    if why_not := _why_not(this, first, shared.num_images, shared.num_other_lesions):
        return Against(num_patients, num_lesions, NAN, NAN, NAN, (NAN, NAN), why_not)
    means = [
        compare_systems({"": counts}, baseline="", config=rules)[0].mean for counts in (shared.first, shared.second)
    ]
    found = paired(shared.first, shared.second, config=rules)
    return Against(num_patients, num_lesions, means[0], means[1], found.difference, found.interval.pair(), "")


def _why_not(this: _Chosen, first: _Chosen, num_images: int, num_other_lesions: int) -> str:
    """Return why two systems cannot be compared on the images that both have; "" where they can."""
    if not num_images:
        return "they have no test image in common, their archives are others or draw other splits"
    rules = [each.system.froc().result().rules.model_dump(mode="json") for each in (first, this)]
    other = [key for key in rules[0] if key not in _OWN_RULES and rules[0][key] != rules[1][key]]
    if other:
        keys = "; ".join(f"froc.{key} {rules[0][key]} and {rules[1][key]}" for key in other)
        return f"they were evaluated by other rules ({keys})"
    if num_other_lesions:
        return f"{num_other_lesions} of the {num_images} test images that both have show other lesions in the two"
    return ""


def _recipe(run: RunFolder) -> dict[str, object]:
    return flat(run.config().of_run().model_dump(mode="json", exclude=set(NOT_IN_RECIPE)))


def _data(run: RunFolder) -> dict[str, object]:
    """Return what identifies a run's data: its archive's key and tables."""
    pin = run.archive_pin.result()
    tables = {
        f"archive.{name}": f"version {version}" + (f" of {pin.table_ids[name][:8]}" if name in pin.table_ids else "")
        for name, version in pin.versions.items()
    }
    return {"archive.site_key": pin.key_fingerprint, **tables}


def _differing(each: Sequence[Mapping[str, object]]) -> list[Difference]:
    """Return the keys that have not the same value everywhere, in the order in which they occur first."""
    keys = dict.fromkeys(key for settings in each for key in settings)
    values = {key: tuple(_text(settings, key) for settings in each) for key in keys}
    return [Difference(key, found) for key, found in values.items() if len(set(found)) > 1]


def _text(settings: Mapping[str, object], key: str) -> str:
    return str(settings[key]) if key in settings else NOT_SET


def _pools(run: RunFolder) -> Iterator[ComparedPools]:
    for this in run.rounds():
        last = this.pools.result().pools[-1]
        found = last.counts
        yield ComparedPools(this.number, last.p0, found.tp, found.fp, found.fn, found.tn, found.unused)


def _seconds(run: RunFolder) -> dict[str, float]:
    """Return what a run's stages took by kind; of a stage that was begun again, only its last start."""
    found = dict.fromkeys([*dict.fromkeys(_KINDS.values()), "other"], 0.0)
    for stage in run.stages():
        if manifest := stage.manifest():
            part = stage.name.rpartition("/")[2]
            found[_KINDS.get("labels" if part.startswith("labels") else part, "other")] += manifest.seconds
    return found


def _curve(each: _Chosen) -> FrocSeries:
    curve = read_report(each.system.froc()).sweep_curve
    return FrocSeries(each.name, curve.fppi, curve.sensitivity)
