"""What an inference comes to: its speed, its waiting, and the record and the table of it."""

import io
import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from actors.shard_predictor import ShardFacts
from pipelines.workers import infer_summary
from pipelines.workers.infer_summary import InferProgress, images_per_s, summarise, summary_table, wait_share
from system.schemas import PREDICTIONS


def facts(actor: str = "a", *, began_s: float, ended_s: float, num_images: int = 10) -> ShardFacts:
    return ShardFacts(
        shard=0,
        num_pairs=5,
        num_images=num_images,
        actor=actor,
        began_s=began_s,
        ended_s=ended_s,
        read_s=0.5,
        network_s=0.25,
        refine_s=0.125,
        write_s=0.0625,
        pixel_bytes=2 * 1024**2,
        written_bytes=1024**2,
    )


def test_speed_is_taken_from_the_first_shards_beginning_to_the_last_ones_end() -> None:
    assert images_per_s([facts(began_s=10, ended_s=12), facts("b", began_s=11, ended_s=14)]) == 5  # 20 images in 4 s
    assert images_per_s([]) == 0


def test_predictors_wait_while_they_have_no_shard() -> None:
    one = [facts(began_s=0, ended_s=4), facts(began_s=6, ended_s=10)]  # 2 of 10 s
    assert wait_share(one) == pytest.approx(0.2)
    assert wait_share([*one, facts("b", began_s=0, ended_s=10)]) == pytest.approx(0.1)  # 2 of 20 s


def test_two_shards_at_once_are_not_counted_twice() -> None:
    assert wait_share(
        [facts(began_s=0, ended_s=6), facts(began_s=4, ended_s=8), facts(began_s=9, ended_s=10)]
    ) == pytest.approx(0.1)


def test_what_was_done_in_earlier_starts_has_no_speed() -> None:
    found = summarise([], [facts(began_s=12, ended_s=14)], began_s=10, ended_s=15)
    assert (found.duration_s, found.start_s, found.images_per_s) == (5, 2, 5)
    assert found.seconds == {"read": 0.5, "network": 0.25, "refine": 0.125, "write": 0.062}
    assert (found.pixel_mib, found.written_mib, found.num_predictors) == (2, 1, 1)
    nothing = summarise([], [], began_s=10, ended_s=10)
    assert (nothing.num_images, nothing.images_per_s, nothing.wait_share) == (0, 0, 0)


def test_images_are_counted_over_the_files_of_all_starts(tmp_path: Path) -> None:
    rows = [
        {"mask_area_px": 9, "crf_removed": 0.6, "error": None},
        {"mask_area_px": 0, "crf_removed": 0.5, "error": None},
        {"mask_area_px": None, "crf_removed": None, "error": "truncated"},
    ]
    files = [tmp_path / f"{number}.parquet" for number in range(2)]
    for path in files:
        pq.write_table(pa.Table.from_pylist(rows, schema=PREDICTIONS), path)
    found = summarise(files, [facts(began_s=12, ended_s=14)], began_s=10, ended_s=15)
    assert (found.num_images, found.num_errors, found.num_masked, found.num_crf_warnings) == (6, 2, 2, 2)
    assert found.num_earlier_shards == 1


def test_progress_is_logged_now_and_then(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = iter([0.0, 5.0, 10.0, 10.0, 12.0])
    monkeypatch.setattr(infer_summary.time, "monotonic", lambda: next(now_s))
    progress = InferProgress("round_01/predictions", num_pairs=20)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            progress.add(facts(began_s=0, ended_s=1))
    assert [record.message for record in caplog.records] == ["round_01/predictions: 10 of 20 pairs, 20.0 images/s"]


def test_the_table_shows_what_a_finished_inference_came_to() -> None:
    result = summarise([], [facts(began_s=12, ended_s=14)], began_s=10, ended_s=15)
    output = io.StringIO()
    Console(width=120, file=output).print(summary_table("round_01/predictions", result))
    printed = output.getvalue()
    assert "Inference, round_01/predictions" in printed
    assert "5.0 / 2.0" in printed
    assert "read 0.5, network 0.2, refine 0.1, write 0.1" in printed
