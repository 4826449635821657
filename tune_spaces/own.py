"""A researcher's own space, read from a YAML file.

kind: retrain                 # what a trial does; stage1, retrain, loop or refine
trials: 40                    # how many, unless --trials says another number
vary:
  loss.gamma: [1, 2, 5]                               # one of these
  loss.alpha: {low: 0.1, high: 0.9}                   # a number between
  loss.mask_weak: {low: 0.06, high: 6, log: true}     # searched evenly in its logarithm
  rounds.train.num_epochs: {low: 2, high: 8, step: 2}
  loss.mask_labels: [soft, hard]
  loss.report_weights: {values: [true, false], only_if: {loss.mask_labels: soft}}
first:                        # tried before anything is drawn
  - {loss.gamma: 2, loss.alpha: 0.25, loss.mask_weak: 0.6, rounds.train.num_epochs: 4, loss.mask_labels: hard}
"""

from typing import Annotated, TypeVar

from pydantic import Field, ValidationError

from system.config import read_yaml
from system.errors import UserError
from system.settings import Settings, Value
from tune_spaces.space import Choice, Domain, Range, Space

_Values = Annotated[list[Value], Field(min_length=1)]
_KNOWN = "vary, kind, trials, grid, first; of a key: low, high, log, step, values, only_if"


class _Varied(Settings):
    """How one key is varied."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float = Field(default=0.0, ge=0)
    values: _Values | None = None
    only_if: dict[str, Value | _Values] = Field(default={})


class _File(Settings):
    """The file."""

    vary: dict[str, object]
    kind: str = "retrain"
    trials: int = Field(default=30, ge=1)
    grid: bool = False
    first: list[dict[str, Value]] = Field(default=[])


def read_space(text: str, *, name: str) -> Space:
    """Return the space that a file describes. Raises UserError for what it does not say, or says wrongly.

    text: YAML, read safely;  name: of the file, for the message
    """
    try:
        found = _checked(_File, read_yaml(text, what="the space", key="vary"))
        varied = {key: _varied(key, given) for key, given in found.vary.items()}
        return Space(
            {key: _domain(key, each) for key, each in varied.items()},
            num_trials=found.trials,
            first=tuple(found.first),
            grid=found.grid,
            only_if={
                key: {
                    other: tuple(given) if isinstance(given, list) else (given,)
                    for other, given in each.only_if.items()
                }
                for key, each in varied.items()
                if each.only_if
            },
            kind=found.kind,
        )
    except UserError as error:
        raise UserError("\n".join(f"{name}: {line}" for line in str(error).splitlines())) from None


def _varied(key: str, given: object) -> _Varied:
    if isinstance(given, list):
        given = {"values": given}
    if not isinstance(given, dict):
        raise UserError(f"{key}: expected a list of values, or low and high, found {given!r}")
    return _checked(_Varied, given, above=f"{key}.")


def _domain(key: str, varied: _Varied) -> Domain:
    ends = [end for end in (varied.low, varied.high) if end is not None]
    try:
        if varied.values is not None and not ends and not varied.log and not varied.step:
            return Choice(tuple(varied.values))
        if varied.values is None and len(ends) == 2:
            return Range(*ends, log=varied.log, step=varied.step)
    except UserError as error:
        raise UserError(f"{key}: {error}") from None
    raise UserError(f"{key}: expected low and high, perhaps with log or step, or else values, a list")


_Checked = TypeVar("_Checked", bound=Settings)


def _checked(kind: type[_Checked], tree: object, *, above: str = "") -> _Checked:
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise UserError("\n".join(_lines(error, above=above))) from None


def _lines(error: ValidationError, *, above: str) -> list[str]:
    """Return a line for each place that is wrong. above: where in the file it lies, with a dot at its end."""
    places: dict[str, str] = {}
    for item in error.errors():
        place = above + ".".join(str(part) for part in item["loc"] if "[" not in str(part))
        if item["type"] == "missing":
            places.setdefault(place, f"{place} is missing; known: {_KNOWN}")
        elif item["type"] == "extra_forbidden":
            places.setdefault(place, f"{place}: no such key; known: {_KNOWN}")
        else:
            expected = f"{item['msg'][0].lower()}{item['msg'][1:]}"
            places.setdefault(place, f"{place}: {expected}, found {item['input']!r}"[:300])
    return list(places.values())
