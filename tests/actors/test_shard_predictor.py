from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray

from actors.predictor import NOT_FINITE, Predictor
from actors.shard_predictor import ShardPredictor, shard_name
from system.errors import UserError
from system.methods import METHODS
from system.records import image_key
from system.schemas import PREDICTIONS

SIZE = 64
SETTINGS = {"height_px": SIZE, "width_px": SIZE, "batch_pairs": 2, "precision": "fp32", "keep_maps": "all"}


def shard(number: int, *, rows: int = 2, expected: int = 2) -> dict[str, NDArray[Any]]:
    """A shard of pairs of which the last lacks its right breast."""
    pixels = np.random.default_rng(number).integers(1, 60000, (SIZE, SIZE)).astype(np.uint16).tobytes()
    batch: dict[str, NDArray[Any]] = {
        name: np.empty(rows, dtype=object)
        for name in (
            "study_id",
            "view",
            "left_id",
            "right_id",
            "left_sha",
            "right_sha",
            "left_pixels",
            "right_pixels",
            "error",
        )
    }
    for row in range(rows):
        last = row == rows - 1
        ids = (f"l{row}", "" if last else f"r{row}")
        values = (f"s{row}", "CC", *ids, *ids, pixels, None if last else pixels, None)  # ids stand for shas too
        for name, value in zip(batch, values, strict=True):
            batch[name][row] = value
    batch["left_key"] = np.array([image_key(name) for name in batch["left_id"]])
    batch["right_key"] = np.array([image_key(name) if name else 0 for name in batch["right_id"]])
    return batch | {
        "shard": np.full(rows, number),
        "shard_rows": np.full(rows, expected),
        "read_s": np.full(rows, 0.25),
    }


def test_a_shard_becomes_one_file_of_the_predictors_rows(checkpoint: Path, tmp_path: Path) -> None:
    facts = ShardPredictor(str(checkpoint), SETTINGS, str(tmp_path))(shard(7)).to_pylist()
    assert [path.name for path in tmp_path.iterdir()] == ["part_000007.parquet"]
    written = pq.ParquetFile(tmp_path / shard_name(7)).read()
    assert written.schema == PREDICTIONS
    assert written.equals(Predictor(str(checkpoint), SETTINGS)(shard(7)))
    (row,) = facts
    assert (row["shard"], row["num_pairs"], row["num_images"], row["read_s"]) == (7, 2, 3, 0.5)
    assert row["pixel_bytes"] == 3 * 2 * SIZE * SIZE
    assert row["written_bytes"] == (tmp_path / shard_name(7)).stat().st_size
    assert 0 < row["network_s"] + row["refine_s"] + row["write_s"] <= row["ended_s"] - row["began_s"]


def test_a_shard_done_again_ends_with_the_same_bytes(checkpoint: Path, tmp_path: Path) -> None:
    predictor = ShardPredictor(str(checkpoint), SETTINGS, str(tmp_path))
    predictor(shard(7))
    first = (tmp_path / shard_name(7)).read_bytes()
    predictor(shard(7))
    assert (tmp_path / shard_name(7)).read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("batch", [shard(7, expected=4), shard(7) | {"shard": np.array([7, 8])}])
def test_a_part_of_a_shard_is_never_written_as_the_whole(
    checkpoint: Path, tmp_path: Path, batch: dict[str, NDArray[Any]]
) -> None:
    text = r"expected the [24] of one: Ray Data cut or joined blocks; set resources\.infer\.shard_bytes lower"
    with pytest.raises(UserError, match=text):
        ShardPredictor(str(checkpoint), SETTINGS, str(tmp_path))(batch)
    assert list(tmp_path.iterdir()) == []


def test_a_map_that_is_no_number_is_an_error_row_and_not_a_map_without_masses(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = Predictor(str(checkpoint), SETTINGS)
    forward = METHODS["btv"].predict

    def broken(model: torch.nn.Module, left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, *others = forward(model, left, right)
        logits[1] = torch.nan
        return logits, *others

    monkeypatch.setattr(METHODS["btv"], "predict", broken)
    rows = predictor(shard(7)).to_pylist()
    assert [row["error"] for row in rows] == [None, None, NOT_FINITE]
    assert [row["score"] is None for row in rows] == [False, False, True]
