"""Which settings may differ when a run is started again, and what is refused; no Ray."""

import json
from pathlib import Path

import pytest

from pipelines import selftrain
from system.config import RunConfig, as_yaml, resolve
from system.errors import UserError
from system.presets import demo
from system.resources import InferResources, Resources, TrainResources
from system.run.folder import RunFolder
from system.run.kept_config import CONFIG
from system.run.stage import MANIFEST, SCHEMA_VERSION

TWELVE_GPUS = Resources(train=TrainResources(num_workers=12), infer=InferResources(num_predictors=12))
EIGHT_GPUS = Resources(
    train=TrainResources(num_workers=8, min_workers=2, checkpoint_steps=100),
    infer=InferResources(num_predictors=8, max_predictors=16, shard_bytes=1024**2),
)


@pytest.fixture
def config() -> RunConfig:
    return demo().of_run().changed(resources=TWELVE_GPUS)


@pytest.fixture
def begun(tmp_path: Path, config: RunConfig) -> RunFolder:
    """Return a run that was begun and left again."""
    folder = RunFolder(tmp_path / "run")
    with folder.claimed(config):
        pass
    return folder


def test_a_run_begun_with_one_set_of_resources_is_claimed_with_another(begun: RunFolder, config: RunConfig) -> None:
    other = config.changed(resources=EIGHT_GPUS)
    with begun.claimed(other):
        assert begun.config() == other
    with begun.claimed(config):
        assert begun.config() == config


def test_settings_of_the_ingest_may_differ_as_they_belong_to_the_archive(begun: RunFolder, config: RunConfig) -> None:
    other = resolve(config, settings=["ingest.files_per_task=3"])
    with begun.claimed(other):
        assert begun.config() == other


def test_another_recipe_is_refused_with_each_key_and_both_values(begun: RunFolder, config: RunConfig) -> None:
    kept = (begun.path / CONFIG).read_bytes()
    other = resolve(config, settings=["seed=3", "stage1.learning_rate=0.5", "resources.train.num_workers=2"])
    with pytest.raises(
        UserError,
        match=rf"run run was begun with other settings \(seed: 0, now 3; stage1\.learning_rate: "
        rf"{config.stage1.learning_rate}, now 0\.5\): give the same ones, or choose another --out",
    ):
        selftrain.run("nowhere", begun.path, config=other)
    assert (begun.path / CONFIG).read_bytes() == kept


def test_a_run_of_the_schema_before_is_refused_with_the_reason_and_the_way_out(
    begun: RunFolder, config: RunConfig
) -> None:
    old = as_yaml(config)
    (begun.path / CONFIG).write_text(old, encoding="utf8")
    header = f"# mammoloop run, schema {SCHEMA_VERSION}"
    reason = rf"run run was written by another version \({CONFIG} does not begin with '{header}'\)"
    for use in (begun.config, lambda: selftrain.run("nowhere", begun.path, config=config)):
        with pytest.raises(UserError, match=rf"{reason}: start a new run, or go on with the version that began it"):
            use()
    assert (begun.path / CONFIG).read_text(encoding="utf8") == old


def test_a_stage_of_the_schema_before_is_refused_with_the_reason_and_the_way_out(begun: RunFolder) -> None:
    stage = begun.labels
    stage.folder.mkdir()
    manifest = {"stage": "labels", "attempt": "attempt_001", "files": [], "metrics": {"left": {}}, "schema_version": 1}
    (stage.folder / MANIFEST).write_text(json.dumps(manifest), encoding="utf8")
    for use in (stage.manifest, stage.result, stage.paths):
        with pytest.raises(
            UserError,
            match=rf"stage labels of run run was written under schema 1, this is schema {SCHEMA_VERSION}: start a new "
            r"run, or read it with the version that wrote it",
        ):
            use()
