"""The whole configuration of a run: every part's settings in one tree, from a preset, a file and the command line."""

import hashlib
import json
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator

from system.archive import IngestConfig, SplitConfig
from system.errors import UserError
from system.losses import LossConfig
from system.methods import METHOD_NAMES
from system.metrics import FrocConfig
from system.nets import NetConfig
from system.phantom import PhantomConfig
from system.refine import InferConfig
from system.reports import ReportConfig
from system.resources import Resources
from system.rounds import RoundsConfig
from system.setting_mistakes import in_words
from system.settings import Settings, different_keys
from system.training.config import TrainConfig


class ConfigError(UserError):
    """The configuration is wrong; the text names every mistake at once."""


class RunConfig(Settings):
    """Everything that decides what a run does; written beside its results.

    `resources` may differ each time a run is started, and `ingest` belongs to the archive. All other keys are the
    run's recipe: they decide its results, and must be the same when it is started again.
    """

    seed: int = Field(default=0, ge=0)
    method: str = "btv"  # key of methods.METHODS
    # Share of the fully annotated patients that trains (Tang et al. 2021, table 3).
    strong_share: float = Field(default=1.0, gt=0, le=1)
    # Share of the patients with a report alone that is mined (Tang et al. 2021, figure 4).
    weak_share: float = Field(default=1.0, gt=0, le=1)
    reports: ReportConfig = ReportConfig()
    net: NetConfig = NetConfig()
    loss: LossConfig = LossConfig()
    stage1: TrainConfig = TrainConfig()  # Stage 1 of the paper: on the fully annotated data alone
    rounds: RoundsConfig = RoundsConfig()  # Stage 2 of the paper
    infer: InferConfig = InferConfig()
    froc: FrocConfig = FrocConfig()
    choose_candidate_threshold: bool = True  # on validation; False takes froc.candidate_threshold
    ingest: IngestConfig = IngestConfig()
    resources: Resources = Resources()

    @field_validator("method")
    @classmethod
    def _known_method(cls, method: str) -> str:
        if method not in METHOD_NAMES:
            raise ValueError(f"no such method; choose one of {', '.join(METHOD_NAMES)}")
        return method

    def of_run(self) -> "RunConfig":
        """Return the settings of a run alone, without what a preset adds for writing synthetic exams."""
        return RunConfig(**{name: getattr(self, name) for name in RunConfig.model_fields})


class ExamsConfig(Settings):
    """The synthetic archive of `mammoloop demo`."""

    num_exams: int = Field(default=480, ge=12)
    seed: int = Field(default=1, ge=0)
    phantom: PhantomConfig = PhantomConfig()
    split: SplitConfig = SplitConfig()  # in place of ingest.split


class DemoConfig(RunConfig):
    """The settings of a run, and of the synthetic exams it is tried on."""

    demo: ExamsConfig = ExamsConfig()


Config = TypeVar("Config", bound=Settings)
NOT_IN_RECIPE: Mapping[str, bool | Mapping[str, bool]] = {
    "ingest": True,
    "resources": True,
    "rounds": {"num_rounds": True},
}
"""Settings that may differ when a run is started again; how many rounds there are to be may grow."""


def recipe_digest(config: RunConfig) -> str:
    """Return 16 hex digits that stand for a run's recipe: two runs of one recipe have the same."""
    recipe = config.of_run().model_dump(mode="json", exclude=NOT_IN_RECIPE)
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def differences(kept: RunConfig, asked: RunConfig) -> list[str]:
    """Return the keys of the recipe that differ, each with both values; empty where a run may go on."""
    before, now = (config.of_run().model_dump(mode="json", exclude=NOT_IN_RECIPE) for config in (kept, asked))
    return different_keys(before, now)


def resolve(base: Config, *, text: str = "", settings: Sequence[str] = ()) -> Config:
    """Return a preset, or another tree of settings, changed by a YAML file and then by `a.b=c` settings.

    text: YAML, read safely;  settings: each `dotted.key=value`, the value in YAML
    Raises ConfigError naming all mistakes, each with what was found and the nearest known key.
    """
    changes = read_yaml(text)
    mistakes = [mistake for setting in settings if (mistake := _apply(changes, setting))]
    try:
        config = type(base).model_validate(_merge(base.model_dump(), changes))
    except ValidationError as error:
        raise ConfigError("\n".join([*mistakes, *in_words(error.errors(), type(base))])) from error
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return config


def as_yaml(config: Settings) -> str:
    """Return the resolved configuration as text that `resolve` reads back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


class _OneValueAKey(yaml.SafeLoader):
    """A SafeLoader that refuses a key that stands twice, of which yaml would silently drop the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, object]:
        """Return the mapping. Raises yaml's ConstructorError with the place of a doubled key."""
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} stands there twice: keep one", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(text: str, *, what: str = "the config file", key: str = "stage1") -> dict[str, object]:
    """Return the tree of a YAML file, read safely. Raises ConfigError for a key that stands twice, and for no tree.

    what: the file, for the message;  key: one that may stand at its top
    """
    try:
        found = yaml.load(text, Loader=_OneValueAKey) or {}  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{what} is no plain YAML: {error}") from error
    if not isinstance(found, dict):
        raise ConfigError(f"{what} holds a {type(found).__name__}, expected keys such as `{key}:` at its top")
    return found


def _read_value(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return text


def _apply(changes: dict[str, object], setting: str) -> str:
    """Write one `dotted.key=value` into the changes; return what is wrong with it, or nothing."""
    key, equals, value = setting.partition("=")
    if not equals:
        return f"--set {setting!r}: expected key=value, e.g. --set stage1.batch_size=12"
    *above, last = key.strip().split(".")
    for name in above:
        if changes.get(name) is None:
            changes[name] = {}
        below = changes[name]
        if not isinstance(below, dict):
            return (
                f"--set {setting!r}: {name} has been set to {below!r}, so nothing lies below it; remove one of the two"
            )
        changes = below
    changes[last] = _read_value(value)
    return ""


def _merge(base: Mapping[str, object], changes: Mapping[str, object]) -> dict[str, object]:
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, Mapping) else value
    return merged
