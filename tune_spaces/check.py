"""A space against the configuration that its trials start from, before anything is started."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any

import yaml

from system.config import ConfigError, RunConfig, resolve
from system.errors import UserError
from system.settings import Value
from tune_spaces.kinds import KINDS, kinds_that_use
from tune_spaces.space import Choice, Domain, Setting, Space

_JUDGED_BY = ("froc.", "choose_candidate_threshold", "ingest.")


def applied(config: RunConfig, setting: Setting) -> RunConfig:
    """Return the configuration with a setting's values. Raises ConfigError for what it does not take."""
    tree: dict[str, Any] = {}
    for key, value in setting.items():
        *above, last = key.split(".")
        below = tree
        for name in above:
            below = below.setdefault(name, {})
        below[last] = value
    return resolve(config, text=yaml.safe_dump(tree))


def value_of(config: RunConfig, key: str) -> Value:
    """Return a setting's value. Raises AttributeError where there is none of that name."""
    return attrgetter(key)(config)


def own_setting(space: Space, config: RunConfig) -> dict[str, Value]:
    """Return the configuration's own values of the keys that a space varies."""
    setting: dict[str, Value] = {}
    for key in space.domains:
        if space.is_varied(key, setting):
            setting[key] = value_of(config, key)
    return setting


@dataclass(frozen=True, slots=True)
class Fitted:
    """A space as trials of one kind can use it."""

    space: Space
    left_out: tuple[str, ...]  # in words: keys of a space of ours that have no effect here


def fitted(space: Space, *, kind: str, config: RunConfig, own: bool) -> Fitted:
    """Return the space with each value as the configuration has it: whole numbers, numbers, words, true and false.

    own: written by the user, whose keys must all have an effect; of our own spaces, those without one are left out

    Raises UserError naming every mistake: unknown kinds and keys, values and ends of ranges that the configuration does
    not take, keys that a trial does not use, known starts outside the space.
    """
    if kind not in KINDS:
        raise UserError(f"--kind {kind!r} is no kind of trial; choose one of {', '.join(KINDS)}")
    mistakes: list[str] = []
    idle: dict[str, str] = {}
    domains: dict[str, Domain] = {}
    for key, domain in space.domains.items():
        try:
            domains[key] = _typed(key, domain, config)
        except UserError as error:
            mistakes.append(str(error))
            continue
        if why := _without_effect(key, space, kind=kind, config=config):
            idle[key] = why
    if own:
        mistakes += [f"{key}: {why}" for key, why in idle.items()]
    if mistakes:
        raise UserError("\n".join(mistakes))
    only_if = {
        key: {other: tuple(_value(other, value, config) for value in values) for other, values in conditions.items()}
        for key, conditions in space.only_if.items()
    }
    first = tuple({key: _value(key, value, config) for key, value in each.items()} for each in space.first)
    found = replace(space, domains=domains, only_if=only_if, first=first, kind=kind)
    if len(idle) == len(domains):
        raise UserError(f"nothing that the space varies has an effect on a trial of kind {kind}: {_listed(idle)}")
    found = found.without(list(idle))
    if outside := [setting for setting in found.first if not found.holds(setting)]:
        raise UserError(
            f"first: {dict(outside[0])} is no setting of the space: name each key that it varies, inside it"
        )
    return Fitted(found, tuple(f"{key}: {why}" for key, why in idle.items()))


def _listed(idle: Mapping[str, str]) -> str:
    return "; ".join(f"{key}: {why}" for key, why in idle.items())


def _typed(key: str, domain: Domain, config: RunConfig) -> Domain:
    """Return the values as the configuration has them. Raises UserError."""
    if isinstance(domain, Choice):
        return Choice(tuple(_value(key, value, config) for value in domain.values))
    for end in (domain.low, domain.high):
        _value(key, int(end) if float(end).is_integer() else end, config)
    now = value_of(config, key)
    if isinstance(now, bool):
        raise UserError(f"{key}: a range where true or false is wanted: give [true, false]")
    try:
        return replace(domain, whole=domain.whole or isinstance(now, int))
    except UserError as error:
        raise UserError(f"{key}: {error}") from None


def _value(key: str, value: Value, config: RunConfig) -> Value:
    try:
        found = value_of(applied(config, {key: value}), key)
    except ConfigError as error:
        raise UserError(str(error)) from None
    if not isinstance(found, float | int | bool | str | None):
        raise UserError(f"{key}: holds settings below it, or a list; a space varies single values")
    return found


def _without_effect(key: str, space: Space, *, kind: str, config: RunConfig) -> str:
    """Return why a key changes nothing in a trial; "" where it does."""
    if key.startswith(_JUDGED_BY):
        return "is what trials are judged by: all must have the same"
    if not KINDS[kind].uses_key(key):
        others = kinds_that_use(key)
        hint = f"; kinds that do: {', '.join(others)}" if others else ""
        return f"a trial of kind {kind} does not use it{hint}"
    return next(_idle(key, space, kind=kind, config=config), "")


@dataclass(frozen=True, slots=True)
class _Rule:
    """Keys that have no effect where another one, or each of several, has certain values."""

    keys: tuple[str, ...]
    governed_by: tuple[str, ...]
    idle: Callable[[Any], bool]  # of the other one's value


def _rules(kind: str) -> Iterator[_Rule]:
    trainings = {"stage1": ("stage1",), "retrain": ("rounds.train",), "loop": ("stage1", "rounds.train")}.get(kind, ())
    factors = tuple(f"{training}.class_factor" for training in trainings)
    yield _Rule(("loss.class_strong", "loss.class_gradient"), factors, lambda factor: not factor)
    yield _Rule(("loss.class_weak",), ("rounds.train.class_factor",), lambda factor: not factor)
    yield _Rule(("rounds.epoch_of_stage1",), ("rounds.train.steps_per_epoch",), bool)
    yield _Rule(("loss.report_weights",), ("loss.report_labels",), lambda labels: labels != "soft")
    yield _Rule(("infer.refine.params.",), ("infer.refine.backend",), lambda backend: backend == "none")
    for training in trainings:
        decay = (f"{training}.decay_every_epochs", f"{training}.decay_factor")
        yield _Rule(decay, (f"{training}.plan",), lambda plan: plan != "step")


def _idle(key: str, space: Space, *, kind: str, config: RunConfig) -> Iterator[str]:
    for rule in _rules(kind):
        concerned = any(key == own or (own.endswith(".") and key.startswith(own)) for own in rule.keys)
        if not concerned or any(other in space.domains for other in rule.governed_by):
            continue
        if rule.governed_by and all(rule.idle(value_of(config, other)) for other in rule.governed_by):
            values = " and ".join(f"{other} is {value_of(config, other)}" for other in rule.governed_by)
            yield f"has no effect here, {values}"
