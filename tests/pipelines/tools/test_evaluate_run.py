"""`mammoloop evaluate` on a run put together by hand: two women to test, one for validation."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.selftrain import SUPERVISED, System, Thresholds, config_of, evaluate_on, reopen
from pipelines.tools import evaluate_run as breakdown
from system.archive import Archive
from system.archive.tables import SCHEMAS
from system.schemas import PREDICTIONS
from system.config import as_yaml, resolve
from system.imaging import ImagingConfig, encode_png
from system.presets import PRESETS
from system.records import Split, image_key
from system.run.stage import Stage

ROWS = COLS = 64
SPACING_MM = 0.5
IMAGES = {  # view, density, split, lesion's size in px, found
    "i0": ("CC", "b", "test", 16, True),
    "i1": ("MLO", "b", "test", 48, False),
    "i2": ("CC", "", "test", 0, False),
    "i3": ("MLO", "", "validation", 16, True),
}
PATIENTS = {"i0": "p0", "i1": "p0", "i2": "p1", "i3": "p2"}


def square(size: int) -> np.ndarray:
    drawn = np.zeros((ROWS, COLS), bool)
    drawn[4 : 4 + size, 4 : 4 + size] = True
    return drawn


@pytest.fixture
def run(tmp_path: Path) -> Path:
    archive = Archive.create(str(tmp_path / "archive"), imaging=ImagingConfig(height_px=ROWS, width_px=COLS))
    images = [
        {
            "image_id": name,
            "patient_id": PATIENTS[name],
            "view": view,
            "density": density,
            "split": split,
            "source": "made",
        }
        | {"rows": ROWS, "cols": COLS, "spacing_mm": SPACING_MM}
        for name, (view, density, split, _, _) in IMAGES.items()
    ]
    masks = [{"image_id": name, "mask_sha": archive.put_pixels(square(size))} for name, (*_, size, _) in IMAGES.items()]
    archive.upsert("images", pa.Table.from_pylist(images, schema=SCHEMAS["images"]))
    archive.upsert("masks", pa.Table.from_pylist(masks, schema=SCHEMAS["masks"]))
    folder = tmp_path / "run"
    folder.mkdir()
    config = resolve(
        PRESETS["demo"](), settings=["froc.bootstrap=20", "froc.min_lesion_px=4", "froc.min_candidate_px=4"]
    )
    (folder / "config.yaml").write_text(as_yaml(config), encoding="utf8")
    Stage(folder, "archive").once(
        lambda _: ([], {"archive_versions": archive.versions(), "config": {"uri": archive.uri}})
    )

    def predictions(attempt: Path):
        rows = [
            {
                "image_id": name,
                "image_key": image_key(name),
                "p_image": 0.1 + 0.8 * found,
                "peak": 0.9 * found,
                "error": None,
            }
            | {"map_png": encode_png((square(size)[::4, ::4] * found * 60000).astype(np.uint16))}
            for name, (*_, size, found) in IMAGES.items()
        ]
        pq.write_table(pa.Table.from_pylist(rows, schema=PREDICTIONS), attempt / "part.parquet")
        return [attempt / "part.parquet"], {"rows": len(rows)}

    Stage(folder, "stage1/held_out").once(predictions)
    chosen = Thresholds(0.5, "by hand", 0.2, "by hand")
    Stage(folder, "stage1/thresholds").once(lambda _: ([], {"metrics": vars(chosen)}))
    return folder


@pytest.fixture
def measured(run: Path) -> Path:
    """The run after its own evaluation on test."""
    here = reopen(run, config_of(run))
    checkpoint, held_out, froc = (here.stage(f"stage1/{name}") for name in ("checkpoint", "held_out", "froc"))
    evaluate_on(
        here, System(SUPERVISED, checkpoint, held_out, froc, Thresholds(0.5, "by hand", 0.2, "by hand")), Split.TEST
    )
    return run


def groups_of(result: dict) -> dict[str, dict]:
    return {f"{row['kind']} {row['name']}": row for row in result["supervised"]["groups"]}


def test_each_part_is_counted_alone(measured: Path, capsys: pytest.CaptureFixture[str]):
    groups = groups_of(breakdown.run(measured, split="test"))
    shown = capsys.readouterr().out
    assert list(groups) == [
        *("view CC", "view MLO", "density b", "density not known", "source made"),
        *("lesion size from 20 mm", "lesion size under 10 mm"),
    ]
    counted = {name: (row["num_images"], row["num_lesions"], row["mean"]) for name, row in groups.items()}
    assert counted["view CC"] == (2, 1, 1.0)
    assert counted["view MLO"] == (1, 1, 0.0)
    assert counted["density b"] == (2, 2, 0.5)
    assert counted["lesion size under 10 mm"] == (3, 1, 1.0)
    assert counted["lesion size from 20 mm"] == (3, 1, 0.0)
    assert "lesion size: under 10 mm" in shown
    assert "CorLoc" in shown


def test_image_level_measures_are_given_for_both_scores(measured: Path):
    found = breakdown.run(measured, split="test")["supervised"]
    metrics = found["metrics"]
    assert np.isnan(found["gains"]["auroc gain, classification branch"])  # it is what others are compared with
    assert metrics["image_level"]["p_image"]["auroc"] == 0.75
    assert metrics["corloc"] == 0.5
    assert 0.3 < metrics["dice"] < 0.5  # one of two masses covered but for the map's coarse edge


def test_another_split_is_evaluated_when_it_is_asked_for_and_everything_is_written(measured: Path, tmp_path: Path):
    breakdown.run(measured, split="validation", json_file=tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text(encoding="utf8"))
    assert (written["split"], written["systems"]["supervised"]["metrics"]["num_images"]) == ("validation", 1)
    assert written["systems"]["supervised"]["mean"] == 1.0
    assert Stage(measured, "stage1/froc_validation").manifest() is not None


def test_a_run_that_measured_nothing_yet_says_so(run: Path):
    with pytest.raises(FileNotFoundError, match="run has no system that is trained and measured yet"):
        breakdown.run(run, split="test")
