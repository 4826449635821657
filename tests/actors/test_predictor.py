import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from actors.predictor import Predictor, PredictorConfig
from system.imaging import decode_png
from system.methods import METHODS
from system.records import image_key
from system.refine import CrfParams, RefineConfig
from system.schemas import PREDICTIONS

SIZE = 64
REFINE = RefineConfig(backend="grid", params=CrfParams().scaled(0.1), candidate_threshold=0.02, min_candidate_px=4)


Row = dict[str, str | int | bytes | None]


def view(seed: int) -> NDArray[np.uint16]:
    """A canonical view: breast on the left, zero elsewhere."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((SIZE, SIZE), dtype=np.uint16)
    pixels[4:60, :40] = rng.integers(5000, 60000, (56, 40))
    return pixels


def pair(number: int, *, left: bool = True, right: bool = True, error: str | None = None) -> Row:
    row: Row = {"study_id": f"study{number}", "view": "CC", "error": error}
    for name, exists in (("left", left), ("right", right)):
        identity = f"{name}{number}" if exists else ""
        row |= {f"{name}_id": identity, f"{name}_key": image_key(identity) if exists else 0}
        row[f"{name}_sha"] = f"pixels of {identity}" if exists else ""
        row[f"{name}_pixels"] = view(2 * number + (name == "right")).tobytes() if exists and error is None else None
    return row


def columns(*pairs: Row) -> dict[str, NDArray[np.object_]]:
    """Pairs as Ray Data gives them."""
    batch = {name: np.empty(len(pairs), dtype=object) for name in pairs[0]}
    for i, row in enumerate(pairs):
        for name, value in row.items():
            batch[name][i] = value
    return batch


def make(checkpoint: Path, **changes: object) -> Predictor:
    settings = {
        "height_px": SIZE,
        "width_px": SIZE,
        "batch_pairs": 2,
        "precision": "fp32",
        "refine": REFINE.model_dump(),
    } | changes
    return Predictor(str(checkpoint), settings)


@pytest.fixture(scope="module")
def predictor(checkpoint: Path) -> Predictor:
    return make(checkpoint, keep_maps="all")


def test_rows_have_the_schema_of_predictions_and_one_row_per_image(predictor: Predictor) -> None:
    rows = predictor(columns(pair(1), pair(2)))
    assert rows.schema == PREDICTIONS
    assert rows["image_id"].to_pylist() == ["left1", "right1", "left2", "right2"]
    assert rows["side"].to_pylist() == ["L", "R", "L", "R"]
    assert rows["image_key"].to_pylist() == [image_key(name) for name in rows["image_id"].to_pylist()]
    assert rows["error"].null_count == 4


def test_a_missing_breast_gives_no_row(predictor: Predictor) -> None:
    assert predictor(columns(pair(1, left=False), pair(2, right=False)))["image_id"].to_pylist() == ["right1", "left2"]


def test_a_pair_that_could_not_be_read_gives_error_rows_and_leaves_its_neighbour_alone(predictor: Predictor) -> None:
    rows = predictor(columns(pair(1, error="left breast: pixels_damaged"), pair(2))).to_pylist()
    assert [row["error"] for row in rows] == ["left breast: pixels_damaged"] * 2 + [None] * 2
    assert rows[0]["score"] is None
    assert rows[0]["map_png"] is None
    expected = predictor(columns(pair(3), pair(2))).to_pylist()
    assert rows[2:] == expected[2:]


def test_a_batch_of_unreadable_pairs_alone_is_answered_too(predictor: Predictor) -> None:
    assert (
        predictor(columns(pair(1, error="right breast: pixels_missing")))["error"].to_pylist()
        == ["right breast: pixels_missing"] * 2
    )


def test_a_pair_alone_gets_the_same_rows_as_in_a_full_batch(predictor: Predictor) -> None:
    assert predictor(columns(pair(1))).to_pylist() == predictor(columns(pair(1), pair(2))).to_pylist()[:2]


def test_more_pairs_than_a_batch_are_cut_into_batches(predictor: Predictor) -> None:
    assert len(predictor(columns(pair(1), pair(2), pair(3)))) == 6


def test_maps_kept_for_evaluation_are_the_networks_probabilities(predictor: Predictor, checkpoint: Path) -> None:
    row = predictor(columns(pair(1))).to_pylist()[1]
    model = METHODS["btv"].load(Path(checkpoint), "cpu")
    left, right = (torch.from_numpy(view(seed).astype(np.float32) / 65535)[None, None] for seed in (2, 3))
    with torch.inference_mode():
        _, logits, _, p_image = METHODS["btv"].predict(model, left, right)
    expected = torch.sigmoid(logits)[0, 0].numpy()
    found = decode_png(row["map_png"])
    assert found.dtype == np.uint16
    assert (row["map_rows"], row["map_cols"]) == found.shape == (16, 16)
    np.testing.assert_allclose(found / 65535, expected, atol=1e-4)
    assert row["p_image"] == pytest.approx(p_image[0].item(), abs=1e-4)


def upside_down(row: Row) -> Row:
    """Return a pair with its views mirrored up for down."""
    views = {
        name: np.frombuffer(cast(bytes, row[name]), np.uint16).reshape(SIZE, SIZE)
        for name in ("left_pixels", "right_pixels")
    }
    return row | {name: pixels[::-1].tobytes() for name, pixels in views.items()}


def test_flips_are_averaged_over_the_view_and_its_up_down_mirror_image(checkpoint: Path) -> None:
    plain, averaging = make(checkpoint, keep_maps="all"), make(checkpoint, keep_maps="all", flip_average="vertical")
    as_is, mirrored, found = (
        predictor(columns(row)).to_pylist()
        for predictor, row in ((plain, pair(1)), (plain, upside_down(pair(1))), (averaging, pair(1)))
    )
    for one, other, mean in zip(as_is, mirrored, found, strict=True):
        first, second = decode_png(one["map_png"]) / 65535, decode_png(other["map_png"])[::-1] / 65535
        assert np.abs(first - second).max() > 1e-3
        np.testing.assert_allclose(decode_png(mean["map_png"]) / 65535, (first + second) / 2, atol=1e-4)
        assert mean["p_image"] == pytest.approx((one["p_image"] + other["p_image"]) / 2, abs=1e-6)
        assert one["p_image"] != pytest.approx(other["p_image"], abs=1e-6)


def test_a_method_may_turn_gradients_on(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor, plainly = make(checkpoint), METHODS["btv"].predict
    slopes = []

    def with_gradient(model: nn.Module, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        with torch.enable_grad():
            answer = plainly(model, left.requires_grad_(), right)
            slopes.append(torch.autograd.grad(answer[0].sum(), left)[0])
        return tuple(part.detach() for part in answer)  # type: ignore[return-value]

    monkeypatch.setattr(predictor.method, "predict", with_gradient)
    assert len(predictor(columns(pair(1)))) == 2
    assert slopes[0].abs().max() > 0
    assert all(parameter.grad is None for parameter in predictor.model.parameters())


def test_candidates_are_those_of_the_map_and_the_score_is_the_best_of_them(predictor: Predictor) -> None:
    row = predictor(columns(pair(1))).to_pylist()[0]
    candidates = json.loads(row["candidates"])
    assert set(candidates[0]) == {"box_px", "score", "area_px", "centroid_px"}
    assert row["score"] == pytest.approx(max(candidate["score"] for candidate in candidates))
    assert row["score"] <= row["peak"] + 1e-6


def test_for_mining_maps_are_kept_where_there_is_a_mask_and_nowhere_else(checkpoint: Path) -> None:
    low = make(checkpoint, mask_threshold=0.001)(columns(pair(1))).to_pylist()[0]
    high = make(checkpoint, mask_threshold=0.999)(columns(pair(1))).to_pylist()[0]
    assert low["mask_area_px"] > 0
    assert decode_png(low["map_png"]).dtype == np.uint8
    assert set(np.unique(decode_png(low["mask_png"]))) <= {0, 255}
    assert high["mask_area_px"] == 0
    assert (high["map_png"], high["mask_png"]) == (None, None)


def test_bf16_stays_near_fp32(predictor: Predictor, checkpoint: Path) -> None:
    exact = decode_png(predictor(columns(pair(1)))["map_png"][0].as_py()) / 65535
    rounded = make(checkpoint, keep_maps="all", precision="bf16")(columns(pair(1)))
    coarse = decode_png(rounded["map_png"][0].as_py()) / 65535
    assert np.abs(exact - coarse).max() < 0.05


def test_removal_by_the_crf_is_warned_of_with_its_parameters(
    checkpoint: Path, caplog: pytest.LogCaptureFixture
) -> None:
    harsh = REFINE.changed(params=CrfParams(smoothness_sigma_px=20, smoothness_weight=60))
    predictor = make(checkpoint, refine=harsh.model_dump())
    peak = predictor(columns(pair(1)))["peak"].to_pylist()
    rows = make(checkpoint, refine=harsh.model_dump(), mask_threshold=0.98 * max(peak))(columns(pair(1)))
    assert max(rows["crf_removed"].to_pylist()) > 0.5
    assert "the CRF took more than half of a component" in caplog.text
    assert "smoothness_sigma_px" in caplog.text


def test_an_unknown_method_is_refused_with_the_known_ones(checkpoint: Path) -> None:
    with pytest.raises(ValueError, match="unknown method 'gmic': choose one of btv"):
        make(checkpoint, method="gmic")


def test_config_has_a_default_everywhere() -> None:
    assert PredictorConfig().batch_pairs == 8
