"""The whole configuration of a run: every part's settings in one tree, from a preset, a file and the command line."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from pydantic import BaseModel, Field, ValidationError, ValidationInfo, field_validator

from system.archive import IngestConfig, SplitConfig
from system.losses import LossConfig
from system.methods import METHODS
from system.metrics import FrocConfig
from system.nets import NetConfig
from system.phantom import PhantomConfig
from system.refine import InferConfig
from system.reports import ReportConfig
from system.rounds import RoundsConfig
from system.settings import Settings
from system.training.config import TrainConfig


class ConfigError(ValueError):
    """The configuration is wrong; the text names every mistake at once."""


class ClusterConfig(Settings):
    """Where Ray runs and how much of it each stage takes."""

    address: str = "auto"  # local = start Ray on this machine; auto = the cluster this machine belongs to; ray://host:port
    logical_cpus: int = Field(default=0, ge=0)  # local only; 0 = as many as the machine has. More than it has lets small actors share cores
    object_store_bytes: int = Field(default=0, ge=0)  # local only; 0 = Ray's choice
    dashboard: bool = False  # local only; Ray Tune with Ray Train inside needs it
    worker_logs: bool = False  # also print what the workers log; Ray keeps it in its session folder in any case
    num_train_workers: int = Field(default=1, ge=1)
    min_train_workers: int = Field(default=0, ge=0)  # go on with as few when nodes leave, and grow again; 0 = never fewer than asked for
    train_cpus: float = Field(default=4, gt=0)  # a worker
    train_gpus: float = Field(default=1, ge=0)  # a worker
    max_failures: int = Field(default=3, ge=0)  # worker groups lost before training gives up

    @field_validator("min_train_workers")
    @classmethod
    def _no_more_than_asked_for(cls, fewest: int, info: ValidationInfo) -> int:
        if fewest > (most := info.data.get("num_train_workers", fewest)):
            raise ValueError(f"must not be more than num_train_workers, {most}")
        return fewest


class DemoConfig(Settings):
    """The synthetic archive of `mammoloop demo`."""

    num_exams: int = Field(default=480, ge=12)
    seed: int = Field(default=1, ge=0)
    phantom: PhantomConfig = PhantomConfig()
    split: SplitConfig = SplitConfig()  # in place of ingest.split


class RunConfig(Settings):
    """Everything that decides what a run does; written beside its results."""

    seed: int = Field(default=0, ge=0)
    method: str = "btv"  # key of methods.METHODS
    strong_share: float = Field(default=1.0, gt=0, le=1)  # share of the fully labelled patients that trains (seed 000, table 3)
    weak_share: float = Field(default=1.0, gt=0, le=1)  # share of the patients with a report alone that is mined (seed 000, figure 4)
    demo: DemoConfig = DemoConfig()
    ingest: IngestConfig = IngestConfig()
    reports: ReportConfig = ReportConfig()
    net: NetConfig = NetConfig()
    loss: LossConfig = LossConfig()
    stage1: TrainConfig = TrainConfig()
    rounds: RoundsConfig = RoundsConfig()
    infer: InferConfig = InferConfig()
    froc: FrocConfig = FrocConfig()
    choose_candidate_floor: bool = True  # on validation; False takes froc.candidate_floor
    cluster: ClusterConfig = ClusterConfig()

    @field_validator("method")
    @classmethod
    def _known_method(cls, method: str) -> str:
        if method not in METHODS:
            raise ValueError(f"no such method; choose one of {', '.join(METHODS)}")
        return method


def resolve(base: RunConfig, *, text: str = "", settings: Sequence[str] = ()) -> RunConfig:
    """Return the preset changed by a YAML file and then by `a.b=c` settings.

    text: YAML, read safely;  settings: each `dotted.key=value`, the value in YAML
    Raises ConfigError naming all mistakes, each with what was found and the nearest known key.
    """
    changes = _read_yaml(text)
    mistakes = [mistake for setting in settings if (mistake := _apply(changes, setting))]
    try:
        config = RunConfig.model_validate(_merge(base.model_dump(), changes))
    except ValidationError as error:
        raise ConfigError("\n".join([*mistakes, *(_explain(item) for item in error.errors())])) from error
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return config


def as_yaml(config: RunConfig) -> str:
    """Return the resolved configuration as text that `resolve` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read_yaml(text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"the config file is no plain YAML: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"the config file holds a {type(found).__name__}, expected keys such as `stage1:` at its top")
    return found


def _read_value(text: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _apply(changes: dict[str, Any], setting: str) -> str:
    """Write one `dotted.key=value` into the changes; return what is wrong with it, or nothing."""
    key, equals, value = setting.partition("=")
    if not equals:
        return f"--set {setting!r}: expected key=value, e.g. --set stage1.batch_size=12"
    *above, last = key.strip().split(".")
    for name in above:
        if changes.get(name) is None:
            changes[name] = {}
        changes = changes[name]
        if not isinstance(changes, dict):
            return f"--set {setting!r}: {name} has been set to {changes!r}, so nothing lies below it; remove one of the two"
    changes[last] = _read_value(value)
    return ""


def _merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged


def _explain(item: Any) -> str:
    place = [str(part) for part in item["loc"]]
    if item["type"] == "extra_forbidden":
        near = difflib.get_close_matches(place[-1], _keys_at(place[:-1]), n=1)
        hint = f"did you mean {'.'.join([*place[:-1], near[0]])}?" if near else f"known here: {', '.join(_keys_at(place[:-1]))}"
        return f"{'.'.join(place)}: no such setting; {hint}"
    return f"{'.'.join(place) or 'config'}: {item['msg']}; found {item['input']!r}"


def _keys_at(path: Sequence[str]) -> list[str]:
    model: Any = RunConfig
    for key in path:
        field = getattr(model, "model_fields", {}).get(key)
        if field is None or not isinstance(field.annotation, type) or not issubclass(field.annotation, BaseModel):
            return []
        model = field.annotation
    return list(model.model_fields)
