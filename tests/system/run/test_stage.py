import json
import os
import time
from pathlib import Path

import pytest

from system import runs
from system.run.stage import SCHEMA_VERSION, Stage, as_json, code_digest, write_atomically


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "run", "round_01/pools")


def write(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_text(name)
    return [folder / name for name in names]


def test_a_stage_is_done_only_once_its_manifest_is_written(stage: Stage) -> None:
    with stage.attempt() as folder:
        files = write(folder, "b.arrow", "a.arrow")
        assert stage.manifest() is None
        with pytest.raises(FileNotFoundError, match=r"stage round_01/pools has no manifest under run: run it first"):
            stage.paths()
        stage.finish(folder, files, rows=2)
    assert stage.manifest() is not None
    assert stage.paths() == [folder / "a.arrow", folder / "b.arrow"]


def test_readers_take_the_files_of_the_manifest_and_no_others(stage: Stage) -> None:
    with stage.attempt() as folder:
        files = write(folder, "whole.arrow", "half.arrow.part")
        stage.finish(folder, files[:1])
    assert [path.name for path in stage.paths()] == ["whole.arrow"]
    with pytest.raises(FileNotFoundError, match=r"stage round_01/pools wrote no half\.arrow\.part"):
        stage.path("half.arrow.part")


def test_a_manifest_says_what_was_done_with_what(stage: Stage) -> None:
    facts = {
        "rows": 3,
        "config": {"p0": 0.95},
        "archive_versions": {"images": 4},
        "parents": ["stage1"],
        "metrics": {"mean": 0.5},
    }
    manifest = stage.once(lambda folder: (write(folder, "x"), facts))
    assert stage.manifest() == manifest
    assert {name: getattr(manifest, name) for name in facts} == facts
    assert (manifest.stage, manifest.attempt, manifest.schema_version) == (
        "round_01/pools",
        "attempt_001",
        SCHEMA_VERSION,
    )
    assert manifest.code_digest == code_digest()


def test_a_finished_stage_is_not_done_again(stage: Stage) -> None:
    calls: list[Path] = []

    def do(folder: Path) -> tuple[list[Path], dict]:
        calls.append(folder)
        return write(folder, "x"), {"rows": 1}

    assert stage.once(do) == stage.once(do)
    assert len(calls) == 1


def test_an_attempt_that_failed_leaves_no_manifest_and_is_cleaned_away_by_the_next(stage: Stage) -> None:
    def fail(folder: Path) -> tuple[list[Path], dict]:
        write(folder, "half")
        raise OSError("no space left on device")

    for _ in range(2):
        with pytest.raises(OSError, match="no space left"):
            stage.once(fail)
        assert stage.manifest() is None
    manifest = stage.once(lambda folder: (write(folder, "x"), {}))
    assert manifest.attempt == "attempt_003"  # never the name of a folder that another process may still write into
    assert sorted(path.name for path in stage.folder.iterdir()) == ["attempt_003", "manifest.json"]


def test_attempts_are_counted_as_numbers(stage: Stage) -> None:
    for name in ("attempt_999", "attempt_1000"):
        (stage.folder / name).mkdir(parents=True)
    with stage.attempt() as folder:
        assert folder.name == "attempt_1001"


def test_a_finished_stage_takes_no_further_attempt(stage: Stage) -> None:
    stage.once(lambda folder: (write(folder, "x"), {}))
    with pytest.raises(ValueError, match="stage round_01/pools is finished and stays as it is"), stage.attempt():
        pass
    assert stage.path("x").read_text() == "x"


@pytest.mark.parametrize("schema", [0, SCHEMA_VERSION + 1, None])
def test_a_manifest_of_another_schema_is_refused(stage: Stage, schema: int | None) -> None:
    stage.once(lambda folder: (write(folder, "x"), {}))
    path = stage.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": schema}))
    with pytest.raises(
        ValueError, match=rf"written under schema {schema}, this is schema {SCHEMA_VERSION}: start a new run"
    ):
        stage.manifest()
    with pytest.raises(ValueError, match="written under schema"):
        stage.once(lambda folder: (write(folder, "y"), {}))


def test_a_run_can_be_moved(stage: Stage, tmp_path: Path) -> None:
    stage.once(lambda folder: (write(folder, "x"), {}))
    stage.run.rename(tmp_path / "elsewhere")
    assert Stage(tmp_path / "elsewhere", stage.name).path("x").read_text() == "x"


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "manifest.json"
    write_atomically(path, "old")

    def fail(_file: int) -> None:
        raise OSError("input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="input/output"):
            write_atomically(path, "new")
    assert path.read_text() == "old"
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert [child.name for child in tmp_path.iterdir()] == ["manifest.json"]


def test_the_code_digest_follows_the_sources_of_our_packages_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("system/runs.py", "pipelines/train.py", "tests/test_x.py", "system/notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(runs, "__file__", str(tmp_path / "system" / "runs.py"))
    first = code_digest()
    (tmp_path / "tests/test_x.py").write_text("x = 2\n")
    (tmp_path / "system/notes.txt").write_text("y\n")
    assert code_digest() == first
    (tmp_path / "pipelines/train.py").write_text("x = 2\n")
    changed = code_digest()
    (tmp_path / "pipelines/train.py").rename(tmp_path / "pipelines/retrain.py")
    assert len({first, changed, code_digest()}) == 3


def test_an_abandoned_attempt_of_the_same_inputs_is_taken_up_with_what_it_has(stage: Stage) -> None:
    with stage.attempt(inputs="a") as folder:
        write(folder, "part_0")
    with stage.attempt(inputs="a") as again:
        assert again == folder
        assert (again / "part_0").exists()
        stage.finish(again, [*write(again, "part_1"), again / "part_0"])
    assert [path.name for path in stage.paths()] == ["part_0", "part_1"]


@pytest.mark.parametrize("inputs", ["b", ""])
def test_an_abandoned_attempt_of_other_or_unknown_inputs_is_not_taken_up(stage: Stage, inputs: str) -> None:
    with stage.attempt(inputs="a") as folder:
        write(folder, "part_0")
    with stage.attempt(inputs=inputs) as fresh:
        assert fresh.name == "attempt_002"
        assert not folder.exists()


def test_an_attempt_that_said_nothing_of_its_inputs_is_never_taken_up(stage: Stage) -> None:
    with stage.attempt() as folder:
        write(folder, "part_0")
    with stage.attempt(inputs="a") as fresh:
        assert fresh != folder


def test_a_finished_stage_is_taken_over_by_another_run_with_its_files(stage: Stage, tmp_path: Path) -> None:
    other = Stage(tmp_path / "other", stage.name)
    with pytest.raises(
        FileNotFoundError, match="stage round_01/pools of run is not finished: there is nothing to take over"
    ):
        other.adopt(stage)
    manifest = stage.once(lambda folder: (write(folder, "a.arrow"), {"rows": 3}))
    (stage.folder / "beside.txt").write_text("no part of it")
    assert other.adopt(stage) == manifest == other.manifest()
    assert [path.read_text() for path in other.paths()] == ["a.arrow"]
    assert not (other.folder / "beside.txt").exists()


def test_a_finished_stage_takes_nothing_over(stage: Stage, tmp_path: Path) -> None:
    stage.once(lambda _: ([], {"rows": 1}))
    other = Stage(tmp_path / "other", stage.name)
    mine = other.once(lambda _: ([], {"rows": 2}))
    assert other.adopt(stage) == mine


def test_a_manifest_says_how_long_its_stage_took(stage: Stage) -> None:
    def slowly(_: Path) -> tuple[list[Path], dict]:
        time.sleep(0.2)
        return [], {}

    assert 0.2 <= stage.once(slowly).seconds < 60


def test_json_has_null_for_what_is_no_number() -> None:
    assert json.loads(as_json({"a": [float("nan"), (1.5, {"b": float("nan")})], "c": "é"})) == {
        "a": [None, [1.5, {"b": None}]],
        "c": "é",
    }
