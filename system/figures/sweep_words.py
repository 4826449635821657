"""What a sweep has come to, in sentences and tables, for terminal and page."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

from system.figures import format as text
from system.figures.compared import PlainTable
from system.figures.sweep_rows import SHOWN, Behind, State, SweepResults, SweepTrial
from system.settings import Value


def setting_in_words(setting: Mapping[str, Value]) -> str:
    """Return a setting for people: each key's last name and value, its whole name where two end alike."""
    names = short_names(list(setting))
    return ", ".join(f"{names[key]} {text_of(value)}" for key, value in setting.items())


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Return each dotted key's last name, or as many of its names as tell it from the others."""
    parts = {key: key.split(".") for key in keys}

    def tail(key: str, count: int) -> str:
        return ".".join(parts[key][-count:])

    found = {}
    for key in keys:
        count = 1
        while count < len(parts[key]) and any(tail(other, count) == tail(key, count) for other in keys if other != key):
            count += 1
        found[key] = tail(key, count)
    return found


def text_of(value: object) -> str:
    """Return a setting's value for people."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def sentences(found: SweepResults) -> Iterator[str]:
    """Give what a sweep has come to, in words."""
    counts = {state: sum(trial.state == state for trial in found.trials) for state in get_args(State)}
    ended = [
        f"{counts[state]} {word}"
        for state, word in (("done", "finished"), ("stopped", "stopped early"), ("failed", "failed"))
        if counts[state]
    ]
    under_way = f"; {counts['running']} under way" if counts["running"] else ""
    num_ended = sum(counts.values()) - counts["running"]
    yield f"{num_ended} of {found.wanted} trials ended: {', '.join(ended) or 'none'}{under_way}."
    order = found.ranked
    if not order or math.isnan(order[0].mean):
        return
    best = order[0]
    reached = f"{text.share(best.mean)} ({text.interval(best.interval)})"
    yield f"Best {found.measure} on validation: trial {best.number}, {reached}, with {setting_in_words(best.setting)}."
    tied = [number for number, each in found.behind.items() if number != best.number and each.is_noise]
    if tied:
        among = "" if len(order) <= SHOWN else f" of the best {SHOWN}"
        yield f"Within noise of it on these patients{among}: {_trials(tied)}."
    if found.front:
        yield f"None is both better and faster than {_trials(found.front)}."
    if found.confirmed:
        yield from _confirmed(found)
    elif found.by_seeds:
        yield (
            "The best of many on the same validation patients is flattered by the choice: --confirm 3 trains it anew "
            "with fresh seeds."
        )
    if found.final:
        final = found.final
        reached = f"{text.share(final.mean)} ({text.interval(final.interval)})"
        gain = f"{text.signed(final.gain)} ({text.signed_interval(final.gain_interval)})"
        yield (
            f"On test, once: trial {final.number} {reached}, the start {text.share(final.start_mean)}; difference "
            f"{gain}; {final.num_patients} patients, {final.num_lesions} lesions, models of each: {final.num_models}."
        )


def _trials(numbers: Sequence[int]) -> str:
    return f"trial{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"


def _confirmed(found: SweepResults) -> Iterator[str]:
    first = max(found.confirmed, key=lambda row: row.mean)
    if first.is_start:
        yield "With fresh seeds no setting is better than the start: keep it."
        return
    low, high = first.gain_interval
    verdict = (
        "better than the start" if low > 0 else "not to be told from the start" if high > 0 else "worse than the start"
    )
    yield (
        f"With fresh seeds trial {first.number} reaches {text.share(first.mean)}, {text.signed(first.gain)} "
        f"({text.signed_interval(first.gain_interval)}) over the start: {verdict} on these patients."
    )


def ranking(found: SweepResults) -> PlainTable:
    """Return the best trials, each beside the very best."""
    shown = found.ranked[:SHOWN]
    keys = list(dict.fromkeys(key for trial in shown for key in trial.setting))
    names = short_names(keys)
    more = f", the best {SHOWN}" if len(found.ranked) > SHOWN else ""
    rows = [
        [
            *(str(rank), _number(trial, found)),
            *(text.share(trial.mean), text.interval(trial.interval)),
            *_behind_cells(found.behind.get(trial.number)),
            *(text_of(trial.setting[key]) if key in trial.setting else "–" for key in keys),
            text.number(round(trial.seconds)) if not math.isnan(trial.seconds) else "–",
        ]
        for rank, trial in enumerate(shown, start=1)
    ]
    measures = ("mean", "95 %", "behind", "95 %, paired", "noise")
    headings = ["rank", "trial", *measures, *(names[key] for key in keys), "seconds"]
    return PlainTable(f"Trials by {found.measure} on validation{more}", headings, rows, num_names=2)


def _number(trial: SweepTrial, found: SweepResults) -> str:
    marks = ["start"] if trial.number == found.start else []
    marks += ["front"] if trial.number in found.front else []
    return f"{trial.number}" + (f" ({', '.join(marks)})" if marks else "")


def _behind_cells(each: Behind | None) -> list[str]:
    if each is None:
        return ["–", "–", ""]
    if each.interval == (0.0, 0.0) and not each.difference:
        return ["best", "–", ""]
    return [text.signed(each.difference), text.signed_interval(each.interval), "yes" if each.is_noise else "no"]


def tables_of(found: SweepResults) -> Iterator[PlainTable]:
    """Give the page's tables that have a row."""
    if found.ranked:
        yield ranking(found)
    if found.confirmed:
        yield confirmation(found)
    if others := [trial for trial in found.trials if trial.state in {"stopped", "failed"}]:
        rows = [
            [
                *(str(trial.number), "stopped early" if trial.state == "stopped" else "failed"),
                trial.reason or f"{text.share(trial.values[-1])} after {len(trial.values)}"
                if trial.values or trial.reason
                else "–",
                setting_in_words(trial.setting),
            ]
            for trial in others
        ]
        yield PlainTable("Stopped early, and failed", ["trial", "end", "why", "setting"], rows, num_names=4)


def confirmation(found: SweepResults) -> PlainTable:
    """Return the settings that were trained anew."""
    rows = [
        [
            f"{row.number}{' (start)' if row.is_start else ''}",
            *(text.share(row.mean), text.share(row.sd), ", ".join(text.share(each) for each in row.each)),
            *(("–", "–") if row.is_start else (text.signed(row.gain), text.signed_interval(row.gain_interval))),
        ]
        for row in found.confirmed
    ]
    headings = ["trial", "mean", "sd", "seed by seed", "over the start", "95 %, paired"]
    return PlainTable(
        f"Trained anew with {len(found.confirmed[0].each)} fresh seeds, {found.measure} on validation", headings, rows
    )
