"""What a tune space is: dotted keys of the configuration, and the values that a search may give them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Protocol

from system.errors import UserError
from system.settings import Value

Setting = Mapping[str, Value]
"""Dotted key of config.RunConfig → value, e.g. {"loss.alpha": 0.25}."""


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers a key may take: low <= value <= high. Raises UserError for an impossible one."""

    low: float
    high: float
    log: bool = False  # searched evenly in its logarithm
    step: float = 0.0  # only low, low + step, ...; 0 = every number between
    whole: bool = False  # whole numbers

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise UserError(f"a range from {self.low:g} to {self.high:g}: low must be below high")
        if self.log and (self.low <= 0 or self.step):
            raise UserError(f"a range from {self.low:g} by its logarithm: low must be above 0, and no step given")
        if not 0 <= self.step <= self.high - self.low:
            raise UserError(f"steps of {self.step:g} from {self.low:g} to {self.high:g}: the first leaves the range")
        if self.whole and not all(float(number).is_integer() for number in (self.low, self.high, self.step)):
            raise UserError(f"a range from {self.low:g} to {self.high:g} where whole numbers are wanted")

    def holds(self, value: Value) -> bool:
        """Return whether a value lies in the range; its steps are not looked at."""
        if isinstance(value, bool) or not isinstance(value, float | int):
            return False
        return self.low <= value <= self.high and (not self.whole or float(value).is_integer())


@dataclass(frozen=True, slots=True)
class Choice:
    """The values a key may take, one by one: numbers, words, true and false, null."""

    values: tuple[Value, ...]

    def __post_init__(self) -> None:
        if not self.values or len({repr(value) for value in self.values}) != len(self.values):
            raise UserError(f"a choice of {list(self.values)}: at least one value, each once")

    def holds(self, value: Value) -> bool:
        """Return whether a value is one of the choice; true is not 1."""
        return any(value == own and isinstance(value, bool) is isinstance(own, bool) for own in self.values)


Domain = Range | Choice


@dataclass(frozen=True, slots=True)
class Space:
    """What is varied, and how much of it is tried."""

    domains: Mapping[str, Domain]  # dotted key → its values
    num_trials: int = 30  # of a search, unless the caller wants another number
    first: tuple[Setting, ...] = ()  # tried before anything is drawn, so that a search starts from known settings
    grid: bool = False  # every combination of its choices is tried once; else later settings lie near the best so far
    # Key → the values of other keys under which alone it is varied, e.g. {"a.b": {"c.d": ("soft",)}}.
    only_if: Mapping[str, Mapping[str, tuple[Value, ...]]] = field(
        default_factory=dict[str, Mapping[str, tuple[Value, ...]]]
    )
    kind: str = "retrain"  # of its trials, unless the caller wants another: key of KINDS

    def __post_init__(self) -> None:
        if not self.domains:
            raise UserError("a space without a key has nothing to try")
        keys = list(self.domains)
        for key, conditions in self.only_if.items():
            for other, values in conditions.items():
                if key not in keys or other not in keys or keys.index(other) >= keys.index(key):
                    raise UserError(f"{key} depends on {other}, which must be varied too, and stand before it")
                if not values or not all(self.domains[other].holds(value) for value in values):
                    raise UserError(f"{key} depends on {other} = {list(values)}, which {other} never takes")
        if self.grid and (ranges := [key for key, domain in self.domains.items() if isinstance(domain, Range)]):
            raise UserError(f"a grid tries every combination, and {', '.join(ranges)} has a range: list its values")

    def is_varied(self, key: str, setting: Setting) -> bool:
        """Return whether a key is varied beside the values of those before it."""
        conditions = self.only_if.get(key, {})
        return all(other in setting and setting[other] in values for other, values in conditions.items())

    def holds(self, setting: Setting) -> bool:
        """Return whether a setting is one of the space."""
        varied = [key for key in self.domains if self.is_varied(key, setting)]
        return set(setting) == set(varied) and all(self.domains[key].holds(setting[key]) for key in varied)

    def points(self) -> Iterator[Setting]:
        """Give every setting of a grid, each once, the last key first to change."""
        seen = set[tuple[tuple[str, str], ...]]()
        for values in product(*(domain.values for domain in self.domains.values() if isinstance(domain, Choice))):
            point: dict[str, Value] = {}
            for key, value in zip(self.domains, values, strict=True):
                if self.is_varied(key, point):
                    point[key] = value
            if (name := tuple((key, repr(value)) for key, value in point.items())) not in seen:
                seen.add(name)
                yield point

    def without(self, keys: Sequence[str]) -> "Space":
        """Return the space without some keys, and without those that depend on them. Raises UserError if none is left.

        The known starts lose these keys too.
        """
        gone = set(keys)
        for key in self.domains:
            if gone & set(self.only_if.get(key, {})):
                gone.add(key)
        first = [{key: value for key, value in setting.items() if key not in gone} for setting in self.first]
        return Space(
            {key: domain for key, domain in self.domains.items() if key not in gone},
            num_trials=self.num_trials,
            first=tuple(setting for place, setting in enumerate(first) if setting not in first[:place]),
            grid=self.grid,
            only_if={key: conditions for key, conditions in self.only_if.items() if key not in gone},
            kind=self.kind,
        )


class Asked(Protocol):
    """What is asked for the values of a setting: a trial of Optuna."""

    def suggest_float(self, name: str, low: float, high: float, *, step: float | None, log: bool) -> float:
        """Return a number between."""
        ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int, log: bool) -> int:
        """Return a whole number between."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> Value:
        """Return one of the choices."""
        ...


def ask(space: Space, trial: Asked) -> dict[str, Value]:
    """Return the setting that a trial suggests, key by key in the space's order."""
    setting: dict[str, Value] = {}
    for key, domain in space.domains.items():
        if space.is_varied(key, setting):
            setting[key] = _suggested(trial, key, domain)
    return setting


def _suggested(trial: Asked, key: str, domain: Domain) -> Value:
    if isinstance(domain, Choice):
        return trial.suggest_categorical(key, domain.values)
    if domain.whole:
        return trial.suggest_int(key, int(domain.low), int(domain.high), step=int(domain.step) or 1, log=domain.log)
    return trial.suggest_float(key, domain.low, domain.high, step=domain.step or None, log=domain.log)


def trials_of(space: Space, *, asked: int = 0) -> int:
    """Return how many trials a sweep of the space has. asked: of a search; 0 = the space's own number.

    Raises UserError where a number is asked for of a grid.
    """
    if not space.grid:
        return asked or space.num_trials
    num_points = sum(1 for _ in space.points())
    if asked:
        raise UserError(
            f"--trials {asked}: the space is a grid of {num_points} settings, and all of them are tried; leave "
            "--trials out, or choose a space that is searched"
        )
    return num_points
