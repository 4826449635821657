"""A tiny finished run that the trials of a sweep start from."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.sweep.inputs import SweepInputs, prepare
from system.archive import Archive
from system.config import RunConfig, resolve
from system.maps import encode_map
from system.methods import METHODS
from system.nets import ModelCard, write_model
from system.presets import demo
from system.records import Quadrant, Split, image_key
from system.run.folder import RunFolder
from system.run.results import Thresholds, TrainResult
from system.run.stage import Written
from tests.pipelines.fixture_types import MakeArchive
from tests.pipelines.tools.by_hand import fill, infer_by_hand, mine_by_hand, train_result
from tune_spaces import Space, find, fitted

SETTINGS_OF_TEST = [
    "strong_share=1.0",
    "resources.train.cpus=1",
    "stage1.num_epochs=1",
    "stage1.steps_per_epoch=1",
    "stage1.batch_size=2",
    "stage1.negatives_per_positive=1",
    "stage1.patience_epochs=0",
    "rounds.num_rounds=1",
    "rounds.train.num_epochs=1",
    "rounds.p0.start=0.95",
    "rounds.train.steps_per_epoch=1",
    "rounds.train.batch_size=2",
    "rounds.train.negatives_per_positive=1",
    "infer.batch_pairs=2",
    "resources.infer.num_predictors=1",
    "resources.infer.decode_cpus=1.0",
    "resources.infer.predictor_cpus=0.5",
    "froc={bootstrap: 10, min_lesion_px: 4, min_candidate_px: 4}",
]
MASK_THRESHOLD = 0.3

MakeInputs = Callable[..., SweepInputs]


@pytest.fixture(scope="module")
def config() -> RunConfig:
    return resolve(demo(), settings=SETTINGS_OF_TEST).of_run()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory, make_archive: MakeArchive) -> Archive:
    """Three patients annotated, two for validation, one for test, one known by their report alone."""
    splits = dict(
        zip("abcdefg", [*(3 * [Split.STRONG]), *(2 * [Split.VALIDATION]), Split.WEAK, Split.TEST], strict=True)
    )
    archive = make_archive(tmp_path_factory.mktemp("sweep-archive"), splits)
    sides = (("L", 0.99), ("R", 0.01))
    fill(
        archive,
        labels=[{"study_id": "study-f", "side": side, "p_mass": p_mass, "model": "mean"} for side, p_mass in sides],
    )
    return archive


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory, archive: Archive, config: RunConfig) -> Path:
    """A run whose stage 1 is an untrained network, with maps by hand, and whose first pool holds one FN and one FP."""
    run = RunFolder(tmp_path_factory.mktemp("sweep-run"))

    def model(attempt: Path) -> Written[TrainResult]:
        torch.manual_seed(1)
        card = ModelCard(method="btv", net=config.net.model_dump(), height_px=64, width_px=64, classifies=False)
        write_model(attempt, METHODS["btv"].build(config.net).state_dict(), card)
        return Written(train_result(), files=[attempt / "model.json", attempt / "model.safetensors"])

    with run.claimed(config):
        run.pin(archive.uri)
    run.stage1.checkpoint.once(model)
    infer_by_hand(run.stage1.held_out, [_predicted(f"{patient}{side}") for patient in "deg" for side in "LR"])
    thresholds = Thresholds(MASK_THRESHOLD, "by hand", 0.05, "by hand")
    run.stage1.thresholds.once(lambda _: Written(thresholds))
    pool = [
        {"image_id": "fL", "quadrant": Quadrant.FN, "p_mass": 0.99, "score": 0.0},
        {"image_id": "fR", "quadrant": Quadrant.FP, "p_mass": 0.01, "score": 0.6},
    ]
    mine_by_hand(
        run.round(1).pools,
        {0.95: [row | {"image_key": image_key(str(row["image_id"])), "disputed": False} for row in pool]},
    )
    return run.path


def _predicted(image_id: str) -> dict[str, object]:
    """Return a prediction, sure of the mass of a left view, and less of a smaller place that is none in every view."""
    probability = np.full((16, 16), 0.01, np.float32)
    probability[12:14, 8:10] = 0.35
    if image_id.endswith("L"):
        probability[5:8, 3:6] = 0.8
    peak = float(probability.max())
    return {
        "image_id": image_id,
        "peak": peak,
        "p_image": peak,
        "map_png": encode_map(probability, bits=16),
        "error": None,
    }


@pytest.fixture
def make_inputs(mined: Path, archive: Archive, config: RunConfig, tmp_path: Path) -> MakeInputs:
    """Return what prepares a sweep in the test's folder."""

    def make(
        space: Space | str = "paper_grid", *, kind: str = "", changes: list[str] | None = None, **options: object
    ) -> SweepInputs:
        changed = resolve(config, settings=changes or [])
        found = find("btv", space) if isinstance(space, str) else space
        fit = fitted(found, kind=kind or found.kind, config=changed, own=False).space
        name = space if isinstance(space, str) else "own"
        return prepare(mined, archive.uri, tmp_path / "sweep", space=fit, space_name=name, config=changed, **options)  # type: ignore[arg-type]

    return make
