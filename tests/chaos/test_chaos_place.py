"""The workplace: every strike begins with the same bytes under the same paths, and its state is read row by row."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
import typer
from deltalake import write_deltalake

from tests.chaos import checks
from tests.chaos.__main__ import HISTORY, _emptied
from tests.chaos.place import Workplace
from tests.chaos.words import finished_in_order

STAGES = ("labels", "stage1/checkpoint", "round_01/predictions", "round_01/pools", "chosen")


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A workplace whose run has finished all stages, each a second after the one before."""
    place = Workplace(tmp_path)
    for number, stage in enumerate(STAGES):
        folder = place.run / stage
        (folder / "attempt_001").mkdir(parents=True)
        (folder / "attempt_001" / "rows.bin").write_bytes(stage.encode())
        manifest = folder / "manifest.json"
        manifest.write_text('{"attempt": "attempt_001", "files": ["rows.bin"], "result": {}}')
        os.utime(manifest, (1000 + number, 1000 + number))
    for name in ("run/miner/journal/00000000.arrow", "run/page/index.html", "run/tensorboard/stage1/checkpoint/events"):
        path = place.now / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"x")
    return place


def write_rows(place: Workplace, table: str, rows: list[dict[str, str]]) -> None:
    write_deltalake(str(place.now / "archive/tables" / table), pa.Table.from_pylist(rows), mode="append")


def test_all_is_brought_back_as_it_was_kept_with_its_times(place: Workplace) -> None:
    before = place.state()
    times = {path.name: path.stat().st_mtime_ns for path in place.now.rglob("manifest.json")}
    place.keep("kept")
    (place.run / "chosen/manifest.json").unlink()
    (place.now / "more").write_text("x")
    place.bring_back("kept")
    assert place.state() == before
    assert {path.name: path.stat().st_mtime_ns for path in place.now.rglob("manifest.json")} == times


def test_a_run_is_cut_where_a_stage_begins(place: Workplace) -> None:
    place.keep("kept")
    place.bring_back("kept", without="round_01/predictions")
    assert finished_in_order(place.run) == ["labels", "stage1/checkpoint"]
    assert not (place.run / "round_01/predictions").exists()
    assert not any((place.run / name).exists() for name in ("miner", "page"))
    assert (place.run / "tensorboard/stage1/checkpoint").exists()
    place.bring_back("kept", without="chosen")
    assert finished_in_order(place.run) == list(STAGES[:-1])
    assert (place.run / "miner").exists()


def test_a_state_has_every_row_by_its_key_and_a_doubled_one_twice(place: Workplace) -> None:
    rows = [{"source": "a", "code": "", "detail": ""}, {"source": "b", "code": "view", "detail": "x"}]
    write_rows(place, "quarantine", rows)
    whole = place.state()
    assert [key for key, _ in whole.rows["quarantine"]] == ["a", "b"]
    assert whole.rows["labels"] == []
    assert checks.doubled(whole) == checks.unfinished(whole) == []
    write_rows(place, "quarantine", rows[1:])
    assert checks.doubled(place.state()) == ["1 rows of quarantine are there twice: b"]
    assert len(checks.unlike(place.state(), whole)) == 1


def test_a_key_of_two_columns_is_both_and_another_value_is_another_digest(place: Workplace) -> None:
    columns = ("study_id", "side", "model")
    write_rows(
        place, "labels", [dict(zip(columns, values, strict=True)) for values in (("s", "L", "m"), ("s", "R", "m"))]
    )
    (left, one), (right, other) = place.state().rows["labels"]
    assert (left, right) == ("s/L", "s/R")
    assert one != other


def test_a_row_of_the_registry_is_the_same_whenever_and_after_however_many_commits_it_was_written(
    place: Workplace,
) -> None:
    def digests(at: str, lineage: dict[str, object]) -> int:
        """Write the row once more, and return how many different ones there are then."""
        write_rows(place, "models", [{"entry": "1", "at": at, "event": "registered", "lineage": json.dumps(lineage)}])
        return len({digest for _, digest in place.state().rows["models"]})

    lineage: dict[str, object] = {"system": "stage1", "checkpoint": "attempt_a", "archive_versions": {"images": 3}}
    assert digests("2026-01-01", lineage) == 1
    assert digests("2026-01-02", lineage | {"checkpoint": "attempt_b", "archive_versions": {"images": 4}}) == 1
    assert digests("2026-01-02", lineage | {"system": "round_01"}) == 2


def test_a_folder_with_something_else_is_never_emptied(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("x")
    with pytest.raises(typer.BadParameter, match="holds something else: name a new folder"):
        _emptied(tmp_path)
    assert (tmp_path / "kept.txt").exists()
    out = _emptied(tmp_path / "new")
    (out / "logs" / "old.err").write_text("x")
    assert not any((_emptied(out) / "logs").iterdir())
    assert (out / HISTORY).exists()
