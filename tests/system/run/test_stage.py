"""A stage: attempts, the manifest, what is taken up, taken over and refused."""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from system.errors import NotFinished, UserError
from system.files.json_out import Ends, Measured, as_json
from system.place import PLACE
from system.records import Split
from system.run import code
from system.run.code import code_digest
from system.run.stage import SCHEMA_VERSION, Stage, Written
from system.settings import Settings
from tests.damage import WAYS


@dataclass(frozen=True)
class Outcome:
    """A stage's result."""

    rows: int
    mean: Measured = 0.5


class Rules(Settings):
    """What a stage was done with."""

    p0: float = 0.95


@pytest.fixture
def stage(tmp_path: Path) -> Stage[Outcome]:
    return Stage(tmp_path / "run", "round_01/pools", Outcome)


def write(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_text(name)
    return [folder / name for name in names]


def one_file(folder: Path) -> Written[Outcome]:
    return Written(Outcome(rows=1), write(folder, "x"))


def test_a_stage_is_done_only_once_its_manifest_is_written(stage: Stage[Outcome]) -> None:
    with stage.attempt() as folder:
        files = write(folder, "b.arrow", "a.arrow")
        assert stage.manifest() is None
        with pytest.raises(
            NotFinished, match="stage round_01/pools of run run is not finished: go on with the command"
        ):
            stage.paths()
        stage.finish(folder, Written(Outcome(rows=2), files))
    assert stage.manifest() is not None
    assert stage.paths() == [folder / "a.arrow", folder / "b.arrow"]


def test_readers_take_the_files_of_the_manifest_and_no_others(stage: Stage[Outcome]) -> None:
    with stage.attempt() as folder:
        files = write(folder, "whole.arrow", "half.arrow.part")
        stage.finish(folder, Written(Outcome(rows=1), files[:1]))
    assert [path.name for path in stage.paths()] == ["whole.arrow"]
    with pytest.raises(LookupError, match=r"stage round_01/pools wrote no half\.arrow\.part"):
        stage.path("half.arrow.part")


def test_a_manifest_says_what_was_done_with_what(stage: Stage[Outcome]) -> None:
    def do(folder: Path) -> Written[Outcome]:
        files = write(folder, "x")
        return Written(Outcome(rows=3), files, Rules(p0=0.9), archive_versions={"images": 4}, parents=["stage1"])

    assert stage.once(do) == Outcome(rows=3) == stage.result()
    manifest = stage.manifest()
    assert manifest is not None
    assert (manifest.stage, manifest.attempt, manifest.files) == ("round_01/pools", "attempt_001", ("x",))
    assert (manifest.settings, manifest.archive_versions, manifest.parents) == (
        {"p0": 0.9},
        {"images": 4},
        ("stage1",),
    )
    assert (manifest.schema_version, manifest.code_digest) == (SCHEMA_VERSION, code_digest())


def test_a_number_that_could_not_be_measured_comes_back_as_nan(stage: Stage[Outcome]) -> None:
    stage.once(lambda _: Written(Outcome(rows=0, mean=float("nan"))))
    assert '"mean": null' in (stage.folder / "manifest.json").read_text()
    assert stage.result().mean != stage.result().mean


@dataclass(frozen=True)
class Deep:
    """A result with records, intervals and names inside."""

    outcomes: tuple[Outcome, ...]
    by_rate: dict[str, Measured]
    interval: Ends
    split: Split


def test_a_result_of_many_records_comes_back_as_it_was_but_for_nan_which_is_no_number(tmp_path: Path) -> None:
    nan = float("nan")
    deep = Deep((Outcome(1), Outcome(2, nan)), {"0.1": 1 / 3, "1": nan}, (0.1, nan), Split.TEST)
    stage = Stage(tmp_path / "run", "stage1/froc", Deep)
    assert stage.once(lambda _: Written(deep)) is deep
    found = Stage(tmp_path / "run", "stage1/froc", Deep).result()
    assert found.outcomes[0] == Outcome(1)
    assert (found.by_rate["0.1"], found.interval[0], found.split) == (1 / 3, 0.1, Split.TEST)
    assert all(math.isnan(value) for value in (found.outcomes[1].mean, found.by_rate["1"], found.interval[1]))
    assert as_json(found) == as_json(deep)


def test_a_stage_read_without_its_type_has_plain_values(stage: Stage[Outcome]) -> None:
    stage.once(one_file)
    assert Stage(stage.run, stage.name, object).result() == {"rows": 1, "mean": 0.5}


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda manifest: manifest | {"result": {"rows": "many"}}, "rows: "),
        (lambda manifest: manifest | {"result": {"rows": 1, "mean": "good"}}, "mean: "),
        (lambda manifest: manifest | {"attempt": 1}, "attempt: "),
        (lambda manifest: manifest | {"files": "x"}, "files: "),
        (lambda manifest: manifest | {"archive_versions": {"images": "newest"}}, "archive_versions.images: "),
        (lambda manifest: manifest | {"seconds": "long"}, "seconds: "),
        (lambda manifest: manifest | {"result": {}}, "rows: Field required"),
        (lambda manifest: manifest | {"note": "mine"}, "note: "),
        (lambda manifest: {key: value for key, value in manifest.items() if key != "files"}, "files: Field required"),
        (lambda _: {}, "KeyError: 'schema_version'"),
        (lambda _: [], "TypeError: "),
    ],
)
def test_a_manifest_that_was_edited_is_refused_with_its_place(
    stage: Stage[Outcome], edit: Callable[[dict[str, object]], object], reason: str
) -> None:
    stage.once(lambda _: Written(Outcome(rows=1)))
    path = stage.folder / "manifest.json"
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    with pytest.raises(UserError, match=r"the manifest of stage round_01/pools of run run is not what was") as caught:
        stage.result()
    assert f"({reason}" in str(caught.value)
    assert str(caught.value).endswith("): restore it, or remove it to do the stage again")
    assert "\n" not in str(caught.value)


def test_a_manifest_that_was_cut_short_is_refused(stage: Stage[Outcome]) -> None:
    stage.once(lambda _: Written(Outcome(rows=1)))
    path = stage.folder / "manifest.json"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"is not what was written \(JSONDecodeError: .*restore it, or remove it"):
        stage.result()


def test_a_finished_stage_is_not_done_again(stage: Stage[Outcome]) -> None:
    calls: list[Path] = []

    def do(folder: Path) -> Written[Outcome]:
        calls.append(folder)
        return Written(Outcome(rows=1), write(folder, "x"))

    assert stage.once(do) == stage.once(do)
    assert len(calls) == 1


def test_an_attempt_that_failed_leaves_no_manifest_and_is_cleaned_away_by_the_next(stage: Stage[Outcome]) -> None:
    def fail(folder: Path) -> Written[Outcome]:
        write(folder, "half")
        raise OSError("no space left on device")

    for _ in range(2):
        with pytest.raises(OSError, match="no space left"):
            stage.once(fail)
        assert stage.manifest() is None
    stage.once(one_file)
    manifest = stage.manifest()
    assert manifest is not None
    assert manifest.attempt == "attempt_003"  # never the name of a folder that another process may still write into
    assert sorted(path.name for path in stage.folder.iterdir()) == ["attempt_003", "manifest.json"]


def test_attempts_are_counted_as_numbers(stage: Stage[Outcome]) -> None:
    for name in ("attempt_999", "attempt_1000"):
        (stage.folder / name).mkdir(parents=True)
    with stage.attempt() as folder:
        assert folder.name == "attempt_1001"


def test_a_finished_stage_takes_no_further_attempt(stage: Stage[Outcome]) -> None:
    stage.once(one_file)
    with pytest.raises(ValueError, match="stage round_01/pools is finished and stays as it is"), stage.attempt():
        pass
    assert stage.path("x").read_text() == "x"


@pytest.mark.parametrize("schema", [0, SCHEMA_VERSION + 1, None])
def test_a_manifest_of_another_schema_is_refused(stage: Stage[Outcome], schema: int | None) -> None:
    stage.once(one_file)
    path = stage.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": schema}))
    with pytest.raises(
        UserError, match=rf"was written under schema {schema}, this is schema {SCHEMA_VERSION}: start a new run"
    ):
        stage.manifest()
    with pytest.raises(UserError, match="written under schema"):
        stage.once(one_file)


def test_a_manifest_of_schema_1_is_refused_with_the_way_out(stage: Stage[Outcome]) -> None:
    stage.once(one_file)
    older = {"stage": stage.name, "attempt": "attempt_001", "files": ["x"], "rows": 3, "metrics": {"mean": 0.5}}
    (stage.folder / "manifest.json").write_text(json.dumps(older | {"schema_version": 1}))
    with pytest.raises(UserError) as caught:
        stage.result()
    assert str(caught.value) == (
        "stage round_01/pools of run run was written under schema 1, this is schema 3: start a new run, or read it "
        "with the version that wrote it; its models can be used as they are, `mammoloop predict --checkpoint` takes "
        "an attempt's folder"
    )


def test_a_run_can_be_moved(stage: Stage[Outcome], tmp_path: Path) -> None:
    stage.once(one_file)
    stage.run.rename(tmp_path / "elsewhere")
    assert Stage(tmp_path / "elsewhere", stage.name, Outcome).path("x").read_text() == "x"


def test_the_code_digest_follows_the_sources_of_our_packages_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("system/run/code.py", "pipelines/train.py", "tests/test_x.py", "system/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x = 1\n")
    monkeypatch.setattr(code, "__file__", str(tmp_path / "system" / "run" / "code.py"))
    first = code_digest()
    (tmp_path / "tests/test_x.py").write_text("x = 2\n")
    (tmp_path / "system/notes.txt").write_text("y\n")
    assert code_digest() == first
    (tmp_path / "pipelines/train.py").write_text("x = 2\n")
    changed = code_digest()
    (tmp_path / "pipelines/train.py").rename(tmp_path / "pipelines/retrain.py")
    assert len({first, changed, code_digest()}) == 3


def test_an_abandoned_attempt_of_the_same_inputs_is_taken_up_with_what_it_has(stage: Stage[Outcome]) -> None:
    with stage.attempt(inputs="a") as folder:
        write(folder, "part_0")
    with stage.attempt(inputs="a") as again:
        assert again == folder
        assert (again / "part_0").exists()
        stage.finish(again, Written(Outcome(rows=2), [*write(again, "part_1"), again / "part_0"]))
    assert [path.name for path in stage.paths()] == ["part_0", "part_1"]


@pytest.mark.parametrize("inputs", ["b", ""])
def test_an_abandoned_attempt_of_other_or_unknown_inputs_is_not_taken_up(stage: Stage[Outcome], inputs: str) -> None:
    with stage.attempt(inputs="a") as folder:
        write(folder, "part_0")
    with stage.attempt(inputs=inputs) as fresh:
        assert fresh.name == "attempt_002"
        assert not folder.exists()


def test_an_attempt_that_said_nothing_of_its_inputs_is_never_taken_up(stage: Stage[Outcome]) -> None:
    with stage.attempt() as folder:
        write(folder, "part_0")
    with stage.attempt(inputs="a") as fresh:
        assert fresh != folder


def test_a_finished_stage_is_taken_over_by_another_run_with_its_files(stage: Stage[Outcome], tmp_path: Path) -> None:
    other = Stage(tmp_path / "other", stage.name, Outcome)
    with pytest.raises(NotFinished, match="stage round_01/pools of run run is not finished"):
        other.adopt(stage)
    result = stage.once(lambda folder: Written(Outcome(rows=3), write(folder, "a.arrow")))
    (stage.folder / "beside.txt").write_text("no part of it")
    assert other.adopt(stage) == result == other.result()
    assert other.manifest() == stage.manifest()
    assert [path.read_text() for path in other.paths()] == ["a.arrow"]
    assert not (other.folder / "beside.txt").exists()


def test_a_finished_stage_takes_nothing_over(stage: Stage[Outcome], tmp_path: Path) -> None:
    stage.once(lambda _: Written(Outcome(rows=1)))
    other = Stage(tmp_path / "other", stage.name, Outcome)
    mine = other.once(lambda _: Written(Outcome(rows=2)))
    assert other.adopt(stage) == mine


def test_a_manifest_says_how_long_its_stage_took(stage: Stage[Outcome]) -> None:
    def slowly(_: Path) -> Written[Outcome]:
        time.sleep(0.2)
        return Written(Outcome(rows=0))

    stage.once(slowly)
    manifest = stage.manifest()
    assert manifest is not None
    assert 0.2 <= manifest.seconds < 60


@pytest.mark.parametrize("way", [way for name, way in WAYS.items() if name != "gone"])
def test_a_manifest_that_was_overwritten_is_refused(stage: Stage[Outcome], way: Callable[[Path], object]) -> None:
    stage.once(one_file)
    way(stage.folder / "manifest.json")
    with pytest.raises(UserError, match=r"manifest of stage round_01/pools of run run is not what was written|schema"):
        stage.paths()


@pytest.mark.parametrize(
    "change",
    [
        {"attempt": "../../elsewhere"},
        {"attempt": "/tmp"},
        {"attempt": "attempt_1/.."},
        {"files": ["../x"]},
        {"files": ["/etc/passwd"]},
        {"files": [""]},
        {"files": ["a/../../x"]},
    ],
)
def test_a_manifest_that_names_files_elsewhere_is_refused(stage: Stage[Outcome], change: dict[str, object]) -> None:
    stage.once(one_file)
    path = stage.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=r"is not what was written .*: restore it, or remove it to do the stage again"):
        stage.paths()


def test_a_file_of_a_finished_stage_that_is_gone_is_named(stage: Stage[Outcome]) -> None:
    stage.once(lambda folder: Written(Outcome(rows=1), write(folder, "x", "y")))
    (stage.folder / "attempt_001" / "x").unlink()
    assert stage.path("y").exists()
    for use in (stage.paths, lambda: stage.path("x")):
        with pytest.raises(UserError, match=r"stage round_01/pools of run run has lost x: restore it, or remove the"):
            use()


def test_a_stage_that_is_reopened_is_done_again_in_another_attempt(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "part", dict)

    def write(attempt: Path) -> Written[dict[str, str]]:
        (attempt / "text").write_text(attempt.name)
        return Written({"of": attempt.name}, files=[attempt / "text"])

    assert stage.once(write) == {"of": "attempt_001"}
    stage.reopen()
    stage.reopen()
    assert not stage.finished
    assert (stage.folder / "attempt_001/text").exists()
    assert stage.once(write) == {"of": "attempt_002"}


def test_a_stage_has_one_line_when_it_begins_and_one_when_it_ends_and_is_the_place_meanwhile(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    def mine(_: Path) -> Written[Outcome]:
        assert PLACE.in_words() == "in round 2, mine"
        return Written(Outcome(rows=1), summary="7 images")

    before = Stage(tmp_path, "round_01/pools", Outcome)
    with before.attempt() as folder:
        before.finish(folder, Written(Outcome(rows=1)), seconds=63.0)
    caplog.clear()
    this = Stage(tmp_path, "round_02/pools", Outcome)
    this.once(mine, amount="9 images")
    assert PLACE.in_words() == ""
    assert caplog.messages == [
        "round 2, mine: begins; 9 images, it took 1 min 3 s in round 1",
        "round 2, mine: done in 0 s; 7 images",
    ]
    caplog.clear()
    this.once(mine)
    assert caplog.messages == []


def test_a_decision_that_is_made_at_once_has_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    Stage(tmp_path, "chosen", Outcome).once(lambda _: Written(Outcome(rows=1), summary="round 1, the highest"))
    assert caplog.messages == ["choose the result: round 1, the highest"]
