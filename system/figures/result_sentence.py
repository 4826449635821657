"""The result of a run in one sentence, made of the same numbers as its main table."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from system.figures import format as text
from system.figures.rows import BASELINE, HeadlineRow

_COUNTS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


@dataclass(frozen=True)
class RoundStanding:
    """One round of a run, by its titles in the main table."""

    title: str  # "round 2"
    control: str = ""  # "control 2": the supervised model after as many more steps; "" = there is none
    promoted: bool = True  # the next round goes on from it


@dataclass(frozen=True)
class Standing:
    """Where a run stands, as far as the sentence depends on it."""

    rounds: Sequence[RoundStanding] = ()  # whose pools are frozen, in order
    chosen: str = ""  # title of the system that is the run's result; "" = it is not chosen yet
    num_outlined: int = 0  # weak images in which radiologists outlined a mass, and that trained as annotated ones


def result_sentence(rows: Sequence[HeadlineRow], standing: Standing) -> str:
    """Return what the rounds brought on test patients, for a reader who reads nothing else.

    rows: of the main table; each but the supervised one is compared with it
    """
    found = {row.title: row for row in rows}
    if BASELINE not in found:
        return "No model of this run is measured yet."
    supervised = found[BASELINE]
    if math.isnan(supervised.mean):
        return "The test images show no lesion, so that there is no sensitivity to compare."
    measured = [each for each in standing.rounds if each.title in found]
    if not measured:
        return _supervised_alone(supervised, over=bool(standing.chosen))
    last = found[measured[-1].title]
    if standing.chosen == BASELINE:
        return (
            f"The rounds did not help on validation: the supervised model is the result, with a mean sensitivity of "
            f"{text.share(supervised.mean)} (95 % {text.interval(supervised.interval)}); "
            f"{last.title} has {text.share(last.mean)} {_compared(last)}."
        )
    if standing.chosen and standing.chosen in {each.control for each in measured}:
        best = found[standing.chosen]
        return (
            f"More training on outlines alone did best on validation: {best.title} is the result and "
            f"{_moved(supervised, best)}; {last.title} has {text.share(last.mean)} {_compared(last)}."
        )
    title = standing.chosen or measured[-1].title
    sentence = _of_round(title, found, measured, num_outlined=standing.num_outlined)
    return sentence if standing.chosen else f"So far: {sentence[0].lower()}{sentence[1:]}"


def _supervised_alone(row: HeadlineRow, *, over: bool) -> str:
    rest = "the run has no round" if over else "no round is measured yet"
    return (
        f"The supervised model has a mean sensitivity of {text.share(row.mean)} (95 % {text.interval(row.interval)}); "
        f"{rest}."
    )


def _of_round(
    title: str, found: Mapping[str, HeadlineRow], measured: Sequence[RoundStanding], *, num_outlined: int
) -> str:
    """Return the sentence of a run whose result is a round's model."""
    number = next(place for place, each in enumerate(measured) if each.title == title)
    this, row = measured[number], found[title]
    in_a_row = all(each.promoted for each in measured[:number])
    subject = _rounds(number + 1) if in_a_row else title.capitalize()
    parts = [f"{subject} {_moved(found[BASELINE], row)} {_outlines(num_outlined)}"]
    if control := found.get(this.control):
        verb = " did better" if round(control.mean, 3) > round(row.mean, 3) else ""
        parts.append(f"the same steps on outlines alone{verb}: {text.share(control.mean)}")
    others = [found[each.title] for each in measured if each.title != title]
    if others and (best := max(others, key=lambda other: other.mean)).mean > row.mean:
        parts.append(f"{best.title} has {text.share(best.mean)}")
    return "; ".join(parts) + "."


def _rounds(number: int) -> str:
    count = _COUNTS[number] if number < len(_COUNTS) else str(number)
    return f"{count} round" if number == 1 else f"{count} rounds"


def _outlines(num_outlined: int) -> str:
    if not num_outlined:
        return "without one more outline"
    return f"with {text.number(num_outlined)} more image{'' if num_outlined == 1 else 's'} outlined by radiologists"


def _moved(before: HeadlineRow, after: HeadlineRow) -> str:
    """Return how the mean sensitivity moved; a word that claims it only where the interval is clear of 0."""
    start, end = text.share(before.mean), text.share(after.mean)
    if start == end:
        return f"left mean sensitivity at {start} {_compared(after)}"
    low, high = (round(value, 3) for value in after.difference_interval)
    if low > 0:
        return f"raised mean sensitivity from {start} to {end} {_compared(after)}"
    if high < 0:
        return f"lowered mean sensitivity from {start} to {end} {_compared(after)}"
    return f"moved mean sensitivity from {start} to {end} {_compared(after, note=', which may be chance')}"


def _compared(row: HeadlineRow, *, note: str = "") -> str:
    """Return a system's difference from the supervised one, with its interval."""
    if any(math.isnan(end) for end in row.difference_interval):
        return f"({text.signed(row.difference)}, without an interval)"
    return f"({text.signed(row.difference)}, 95 % {text.signed_interval(row.difference_interval)}{note})"
